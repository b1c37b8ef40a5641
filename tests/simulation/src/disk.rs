//! A machine's disk in memory, with its files: it loses power, fills up, fails to sync, and has
//! bits that flip. What was not synced may be lost, in part, in any order.
//!
//! Every write, sync and change of a length is one operation of the disk, whichever file it is of;
//! operations are numbered, and what is to go wrong is told by their number.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;

use crate::random::Random;

const SECTOR: usize = 512;

/// A disk; clones are handles of one.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<Device>>);

#[derive(Debug, Default)]
struct Device {
    files: BTreeMap<String, Arc<Mutex<Content>>>,
    /// Operations so far.
    used: u64,
    /// The power goes after so many operations.
    cut_after: Option<u64>,
    /// No sync succeeds after so many operations.
    syncs_fail_after: Option<u64>,
    /// There is no room for a write after so many operations.
    full_after: Option<u64>,
    happened: Happened,
}

/// Which faults the disk has shown to its user, since power was last restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Happened {
    /// An operation found the power off.
    pub power_cut: bool,
    /// A sync failed.
    pub sync_failed: bool,
    /// There was no room.
    pub full: bool,
}

#[derive(Debug, Clone)]
enum Operation {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Debug, Clone, Default)]
struct Content {
    /// What reads see.
    now: Vec<u8>,
    /// What is safe.
    synced: Vec<u8>,
    /// What was done since the last sync.
    unsynced: Vec<Operation>,
}

/// A file of a disk; clones are handles of one.
#[derive(Debug, Clone, Default)]
pub struct SimulatedFile {
    content: Arc<Mutex<Content>>,
    disk: SimulatedDisk,
}

/// Whether a sector may be written in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TearSectors {
    /// As no disk that is sold does.
    Yes,
    /// Whole or not at all.
    No,
}

enum Use {
    Write,
    SetLen,
    Sync,
}

impl SimulatedDisk {
    /// The file of that name; an empty one if there is none.
    #[must_use]
    pub fn file(&self, name: &str) -> SimulatedFile {
        let mut device = self.lock();
        let content = device.files.entry(name.to_owned()).or_default();
        SimulatedFile {
            content: Arc::clone(content),
            disk: self.clone(),
        }
    }

    /// A copy of everything on it, as reads see it, durable; nothing goes wrong on the copy.
    #[must_use]
    pub fn copy(&self) -> Self {
        let device = self.lock();
        let copy = |(name, content): (&String, &Arc<Mutex<Content>>)| {
            let content = Content::of(lock(content).now.clone());
            (name.clone(), Arc::new(Mutex::new(content)))
        };
        let files = device.files.iter().map(copy).collect();
        Self(Arc::new(Mutex::new(Device {
            files,
            ..Device::default()
        })))
    }

    /// Lets this many more operations through; then the power goes.
    pub fn cut_after(&self, operations: u64) {
        let mut device = self.lock();
        device.cut_after = Some(device.used + operations);
    }

    /// After this many more operations no sync succeeds, and what is written is not safe.
    pub fn fail_syncs_after(&self, operations: u64) {
        let mut device = self.lock();
        device.syncs_fail_after = Some(device.used + operations);
    }

    /// After this many more operations nothing can be written, as on a copy-on-write file system
    /// without room.
    pub fn fill_after(&self, operations: u64) {
        let mut device = self.lock();
        device.full_after = Some(device.used + operations);
    }

    /// Operations so far.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// What its user has met.
    #[must_use]
    pub fn happened(&self) -> Happened {
        self.lock().happened
    }

    /// Everybody who had a file open is gone and the disk is sound again; what was written is
    /// still there, synced or not.
    pub fn repair(&self) {
        let mut device = self.lock();
        *device = Device {
            files: std::mem::take(&mut device.files),
            used: device.used,
            ..Device::default()
        };
    }

    /// As [`SimulatedDisk::repair`], after the power was off: see
    /// [`SimulatedFile::after_power_loss`]. Returns the files of which a part of what was not
    /// synced is there and a part is not.
    pub fn lose_power(&self, random: &mut Random) -> Vec<String> {
        self.repair();
        let mut torn = Vec::new();
        let mut device = self.lock();
        for (name, content) in &mut device.files {
            let mut chance = |below| random.below(below);
            let left = {
                let content = lock(content);
                let left = content.after_power_loss(&mut chance, TearSectors::No);
                if left != content.synced && left != content.now {
                    torn.push(name.clone());
                }
                left
            };
            // Whoever still has the old content open must not see the new one.
            *content = Arc::new(Mutex::new(Content::of(left)));
        }
        torn
    }

    /// Flips a bit of what is written in one of the files, not of a stretch of zeroes behind all
    /// data, and returns in which file; `None` if there is no data at all.
    pub fn flip_a_bit(&self, random: &mut Random) -> Option<String> {
        let device = self.lock();
        let used = |content: &Content| {
            let zeroes = content.now.iter().rev().take_while(|byte| **byte == 0);
            content.now.len() - zeroes.count()
        };
        let mut files: Vec<_> = device
            .files
            .iter()
            .map(|(name, content)| (name, lock(content)))
            .map(|(name, content)| (name, used(&content), content))
            .filter(|(_, used, _)| *used > 0)
            .collect();
        let position = random.index(files.len());
        let (name, used, content) = files.get_mut(position)?;
        let (at, bit) = (random.index(*used), random.below(8));
        content.now[at] ^= 1 << bit;
        let now = content.now.clone();
        **content = Content::of(now);
        Some((*name).clone())
    }

    fn lock(&self) -> MutexGuard<'_, Device> {
        lock(&self.0)
    }

    fn use_one(&self, what: &Use) -> io::Result<()> {
        let mut device = self.lock();
        let is_due = |after: Option<u64>| after.is_some_and(|after| device.used >= after);
        let (cut, syncs_fail) = (is_due(device.cut_after), is_due(device.syncs_fail_after));
        let full = is_due(device.full_after);
        if cut {
            device.happened.power_cut = true;
            return Err(io::Error::other("the power is off"));
        }
        device.used += 1;
        match what {
            Use::Sync if syncs_fail => {
                device.happened.sync_failed = true;
                Err(io::Error::other("the disk does not sync"))
            }
            Use::Write if full => {
                device.happened.full = true;
                Err(io::ErrorKind::StorageFull.into())
            }
            Use::Sync | Use::Write | Use::SetLen => Ok(()),
        }
    }
}

impl SimulatedFile {
    /// A new, empty file of `disk`, without a name.
    #[must_use]
    pub fn new(disk: &SimulatedDisk) -> Self {
        Self::of(Vec::new(), disk)
    }

    /// A new file of `disk`, without a name, that holds `bytes`, durably.
    #[must_use]
    pub fn of(bytes: Vec<u8>, disk: &SimulatedDisk) -> Self {
        Self {
            content: Arc::new(Mutex::new(Content::of(bytes))),
            disk: disk.clone(),
        }
    }

    /// What reads see.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.content).now.clone()
    }

    /// Takes what was written and not synced for written, as a system does whose sync has failed:
    /// reads see it, no later sync writes it.
    pub fn believe_written(&self) {
        let is_write = |operation: &Operation| matches!(operation, Operation::Write { .. });
        lock(&self.content)
            .unsynced
            .retain(|operation| !is_write(operation));
    }

    /// What is there when power is back. `chance(n)` draws below n: each unsynced operation is
    /// kept or lost, each sector of a write by itself. A sector is never torn unless `tear_sectors`.
    pub fn after_power_loss(
        &self,
        chance: &mut dyn FnMut(u64) -> u64,
        tear_sectors: TearSectors,
    ) -> Vec<u8> {
        lock(&self.content).after_power_loss(chance, tear_sectors)
    }
}

impl Content {
    /// All of it durable.
    fn of(bytes: Vec<u8>) -> Self {
        Self {
            now: bytes.clone(),
            synced: bytes,
            unsynced: Vec::new(),
        }
    }

    fn after_power_loss(
        &self,
        chance: &mut dyn FnMut(u64) -> u64,
        tear_sectors: TearSectors,
    ) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        for operation in &self.unsynced {
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

impl StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.content).now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = lock(&self.content);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = content.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.use_one(&Use::SetLen)?;
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let mut content = lock(&self.content);
        content.now.resize(len, 0);
        content.unsynced.push(Operation::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.use_one(&Use::Sync)?;
        let mut content = lock(&self.content);
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
        self.disk.use_one(&Use::Write)?;
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let mut content = lock(&self.content);
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no panic under the lock")
}
