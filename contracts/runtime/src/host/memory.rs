//! Ranges of the guest's memory, and the judgements that every host function begins with.

use chancery_contract::abi;
use chancery_ledger::{FuelPrices, TrapKind};
use wasmtime::{Extern, Memory};

use super::{Access, Guest, HostEnd, HostResult};

pub(super) fn trap<T>(kind: TrapKind) -> HostResult<T> {
    Err(wasmtime::Error::new(HostEnd::Trap(kind)))
}

/// A range of the guest's memory that was found to lie inside of it.
pub(super) struct Range {
    memory: Memory,
    start: usize,
    end: usize,
}

impl Range {
    pub(super) fn find(guest: &mut Guest<'_>, pointer: u32, len: u32) -> HostResult<Self> {
        let Some(Extern::Memory(memory)) = guest.get_export(abi::MEMORY) else {
            return trap(TrapKind::OutOfBounds);
        };
        let size = memory.data_size(&*guest);
        let place = |number: u32| usize::try_from(number).ok();
        let end = place(pointer).and_then(|start| Some((start, start.checked_add(place(len)?)?)));
        match end {
            Some((start, end)) if end <= size => Ok(Self { memory, start, end }),
            _ => trap(TrapKind::OutOfBounds),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn read<'a>(&self, guest: &'a Guest<'_>) -> &'a [u8] {
        self.memory
            .data(guest)
            .get(self.start..self.end)
            .expect("the range was checked, and memories never shrink")
    }

    /// The bytes of a range that was looked for with that length.
    pub(super) fn read_32(&self, guest: &Guest<'_>) -> [u8; 32] {
        let bytes = self.read(guest).try_into();
        bytes.expect("the range is 32 bytes long")
    }

    /// Writes as much of `bytes` as fits.
    pub(super) fn write(&self, guest: &mut Guest<'_>, bytes: &[u8]) {
        let into = self
            .memory
            .data_mut(guest)
            .get_mut(self.start..self.end)
            .expect("the range was checked, and memories never shrink");
        for (to, from) in into.iter_mut().zip(bytes) {
            *to = *from;
        }
    }
}

/// Takes fuel at the prices of the chain.
pub(super) fn charge(
    guest: &mut Guest<'_>,
    cost: impl FnOnce(&FuelPrices) -> u64,
) -> HostResult<()> {
    let cost = cost(&guest.data().limits().fuel);
    let left = guest.get_fuel().expect("fuel is switched on");
    match left.checked_sub(cost) {
        Some(left) => {
            guest.set_fuel(left).expect("fuel is switched on");
            Ok(())
        }
        None => trap(TrapKind::OutOfFuel),
    }
}

pub(super) fn size(len: usize, least: usize, most: u32) -> HostResult<()> {
    if len < least || len > most as usize {
        return trap(TrapKind::SizeLimit);
    }
    Ok(())
}

pub(super) fn may_write(guest: &Guest<'_>) -> HostResult<()> {
    match guest.data().access {
        Access::ReadWrite => Ok(()),
        Access::ReadOnly => trap(TrapKind::WriteInView),
    }
}

/// What a fill function returns: lengths of stored values and arguments are far below 2^31.
pub(super) fn length(len: usize) -> i32 {
    i32::try_from(len).expect("limits keep every length below 2^31")
}
