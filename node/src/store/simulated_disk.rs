//! A disk in memory that loses power: what was not synced may be lost, in part, in any order.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

const SECTOR: usize = 512;

#[derive(Debug)]
enum Operation {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Default)]
struct Content {
    /// What reads see.
    now: Vec<u8>,
    /// What is safe.
    synced: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
}

/// When the power goes: after so many operations on all disks that share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Power(Arc<Mutex<Supply>>);

#[derive(Debug, Default)]
struct Supply {
    used: u64,
    cut_after: Option<u64>,
}

impl Power {
    /// Lets this many more operations through.
    pub(super) fn cut_after(&self, operations: u64) {
        let mut supply = self.0.lock().expect("no panic under the lock");
        supply.cut_after = Some(supply.used + operations);
    }

    /// Operations so far.
    pub(super) fn used(&self) -> u64 {
        self.0.lock().expect("no panic under the lock").used
    }

    fn use_one(&self) -> io::Result<()> {
        let mut supply = self.0.lock().expect("no panic under the lock");
        if supply.cut_after.is_some_and(|cut| supply.used >= cut) {
            return Err(io::Error::other("the power is off"));
        }
        supply.used += 1;
        Ok(())
    }
}

/// The disk; clones are handles of one.
#[derive(Debug, Clone, Default)]
pub(super) struct SimulatedDisk {
    content: Arc<Mutex<Content>>,
    power: Power,
}

impl SimulatedDisk {
    /// An empty disk.
    pub(super) fn new(power: &Power) -> Self {
        Self {
            content: Arc::default(),
            power: power.clone(),
        }
    }

    /// A disk that holds `bytes`, durably.
    pub(super) fn of(bytes: Vec<u8>, power: &Power) -> Self {
        let disk = Self::new(power);
        *disk.lock() = Content {
            now: bytes.clone(),
            synced: bytes,
            unsynced: Vec::new(),
        };
        disk
    }

    /// What reads see.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.lock().now.clone()
    }

    /// Takes what was written and not synced for written, as a system does whose sync has failed:
    /// reads see it, no later sync writes it.
    pub(super) fn believe_written(&self) {
        let is_write = |operation: &Operation| matches!(operation, Operation::Write { .. });
        self.lock()
            .unsynced
            .retain(|operation| !is_write(operation));
    }

    /// What is there when power is back. `chance(n)` draws below n: each unsynced operation is
    /// kept or lost, each sector of a write by itself. A sector is never torn unless `tear_sectors`.
    pub(super) fn after_power_loss(
        &self,
        chance: &mut dyn FnMut(u64) -> u64,
        tear_sectors: TearSectors,
    ) -> Vec<u8> {
        let content = self.lock();
        let mut bytes = content.synced.clone();
        for operation in &content.unsynced {
            match operation {
                Operation::SetLen(length) => {
                    if chance(4) > 0 {
                        bytes.resize(*length, 0);
                    }
                }
                Operation::Write {
                    offset,
                    bytes: written,
                } => {
                    keep_some(&mut bytes, *offset, written, chance, tear_sectors);
                }
            }
        }
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().expect("no panic under the lock")
    }
}

/// Whether a sector may be written in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TearSectors {
    /// As no disk that is sold does.
    Yes,
    /// Whole or not at all.
    No,
}

fn keep_some(
    disk: &mut [u8],
    offset: usize,
    written: &[u8],
    chance: &mut dyn FnMut(u64) -> u64,
    tear_sectors: TearSectors,
) {
    // All, nothing, or each sector by a coin.
    let fate = chance(3);
    let sectors: BTreeSet<usize> = (offset..offset + written.len())
        .map(|i| i / SECTOR)
        .collect();
    for sector in sectors {
        let start = (sector * SECTOR).max(offset);
        let mut end = ((sector + 1) * SECTOR).min(offset + written.len());
        if fate == 0 || (fate == 1 && chance(2) == 0) || end > disk.len() {
            continue;
        }
        if fate == 1 && tear_sectors == TearSectors::Yes {
            let length = chance((end - start) as u64 + 1);
            end = start + usize::try_from(length).expect("below a sector");
        }
        disk[start..end].copy_from_slice(&written[start - offset..end - offset]);
    }
}

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.lock();
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = content.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.power.use_one()?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut content = self.lock();
        content.now.resize(len, 0);
        content.unsynced.push(Operation::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.power.use_one()?;
        let mut content = self.lock();
        let unsynced = std::mem::take(&mut content.unsynced);
        let Content { synced, .. } = &mut *content;
        for operation in unsynced {
            match operation {
                Operation::SetLen(len) => synced.resize(len, 0),
                Operation::Write { offset, bytes } => {
                    synced[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.power.use_one()?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut content = self.lock();
        let target = content.now.get_mut(offset..offset + data.len());
        target
            .ok_or(io::ErrorKind::InvalidInput)?
            .copy_from_slice(data);
        content.unsynced.push(Operation::Write {
            offset,
            bytes: data.to_vec(),
        });
        Ok(())
    }
}

/// A small generator of numbers (SplitMix64), for tests that one seed repeats.
pub(super) fn chances(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed;
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}
