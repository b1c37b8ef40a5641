//! What a contract can ask of its host: the functions of [`abi::HOST_FUNCTIONS`].
//!
//! Each judges first (may it write, is the range inside of memory, is the size allowed), then takes
//! the fuel, and only then works.

mod calls;
mod memory;

use chancery_contract::abi;
use chancery_ledger::hash::sha256;
use chancery_ledger::state_key::{AccountRecord, StateKey};
use chancery_ledger::{
    AccountId, ChainLimits, ContractEvent, ContractId, FuelPrices, Role, TrapKind,
};
use memory::{Range, charge, length, may_write, size, trap};
use wasmtime::{Linker, ResourceLimiter};

use crate::fuel::{sized, sum};
use crate::overlay::Overlay;
use crate::world::{Access, Caller, Invocation, World, stored};

/// One call of one contract, as its host functions see it.
pub(crate) struct HostState {
    /// `None` only while a contract runs that this one called.
    world: Option<World>,
    contract: ContractId,
    caller: Caller,
    access: Access,
    args: Vec<u8>,
    value: Vec<u8>,
    /// What the last call to another contract came to.
    call_output: Vec<u8>,
    /// Bytes of memory that it has.
    memory_bytes: usize,
    /// What its call had to begin with.
    fuel: u64,
}

impl HostState {
    pub(crate) fn new(world: World, invocation: Invocation, fuel: u64) -> Self {
        Self {
            world: Some(world),
            contract: invocation.contract,
            caller: invocation.caller,
            access: invocation.access,
            args: invocation.args,
            value: Vec::new(),
            call_output: Vec::new(),
            memory_bytes: 0,
            fuel,
        }
    }

    /// What its memory costs, which is not yet taken from what the engine counts.
    pub(crate) fn memory_fuel(&self) -> u64 {
        self.fuel_of_memory(self.memory_bytes)
    }

    fn fuel_of_memory(&self, bytes: usize) -> u64 {
        sized(0, self.limits().fuel.page, bytes / PAGE_BYTES)
    }

    /// The world, and what the call returned.
    pub(crate) fn into_parts(self) -> (World, Vec<u8>) {
        (self.world.expect("no contract is running"), self.value)
    }

    fn world(&self) -> &World {
        self.world.as_ref().expect("the innermost call has it")
    }

    fn world_mut(&mut self) -> &mut World {
        self.world.as_mut().expect("the innermost call has it")
    }

    fn lend_world(&mut self) -> World {
        self.world.take().expect("the innermost call has it")
    }

    fn give_back(&mut self, world: World) {
        self.world = Some(world);
    }

    fn limits(&self) -> &ChainLimits {
        self.world().engine.limits()
    }

    fn overlay_mut(&mut self) -> &mut Overlay {
        &mut self.world_mut().overlay
    }
}

/// How a call ends from within the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostEnd {
    #[error("trapped: {0:?}")]
    Trap(TrapKind),
    #[error("reverted with code {code}")]
    Revert { code: u32, data: Vec<u8> },
    /// Not the contract's doing: this machine has no more memory to give.
    #[error("the machine is out of memory")]
    MachineFailed,
}

/// A page of memory.
pub(crate) const PAGE_BYTES: usize = 65_536;

type Guest<'a> = wasmtime::Caller<'a, HostState>;
type HostResult<T> = Result<T, wasmtime::Error>;

fn input(mut guest: Guest<'_>, out: u32, capacity: u32) -> HostResult<i32> {
    let range = Range::find(&mut guest, out, capacity)?;
    let len = guest.data().args.len();
    let copied = len.min(range.len());
    charge(&mut guest, |prices| {
        sized(prices.host_call, prices.copy_per_byte, copied)
    })?;
    let args = std::mem::take(&mut guest.data_mut().args);
    range.write(&mut guest, &args);
    guest.data_mut().args = args;
    Ok(length(len))
}

fn storage_key(guest: &mut Guest<'_>, key: u32, key_len: u32) -> HostResult<Vec<u8>> {
    let range = Range::find(guest, key, key_len)?;
    size(range.len(), 1, guest.data().limits().key_bytes_max)?;
    let contract = guest.data().contract;
    Ok(StateKey::Storage(contract, range.read(guest)).to_bytes())
}

fn storage_get(
    mut guest: Guest<'_>,
    key: u32,
    key_len: u32,
    out: u32,
    capacity: u32,
) -> HostResult<i32> {
    let range = Range::find(&mut guest, out, capacity)?;
    let key = storage_key(&mut guest, key, key_len)?;
    charge(&mut guest, |prices| {
        let base = sum([prices.host_call, prices.storage_read]);
        sized(base, prices.copy_per_byte, key.len())
    })?;
    let Some(value) = guest.data().world().overlay.get(&key) else {
        return Ok(abi::ABSENT);
    };
    charge(&mut guest, |prices| {
        sized(0, prices.storage_read_per_byte, value.len())
    })?;
    range.write(&mut guest, &value);
    Ok(length(value.len()))
}

fn writing(prices: &FuelPrices, bytes: usize) -> u64 {
    let base = sum([prices.host_call, prices.storage_write]);
    sized(base, prices.storage_write_per_byte, bytes)
}

fn storage_set(
    mut guest: Guest<'_>,
    key: u32,
    key_len: u32,
    value: u32,
    value_len: u32,
) -> HostResult<()> {
    may_write(&guest)?;
    let key = storage_key(&mut guest, key, key_len)?;
    let range = Range::find(&mut guest, value, value_len)?;
    size(range.len(), 1, guest.data().limits().value_bytes_max)?;
    let bytes = key.len() + range.len();
    charge(&mut guest, |prices| writing(prices, bytes))?;
    let value = range.read(&guest).to_vec();
    guest.data_mut().overlay_mut().set(key, value);
    Ok(())
}

fn storage_remove(mut guest: Guest<'_>, key: u32, key_len: u32) -> HostResult<()> {
    may_write(&guest)?;
    let key = storage_key(&mut guest, key, key_len)?;
    charge(&mut guest, |prices| writing(prices, key.len()))?;
    guest.data_mut().overlay_mut().remove(key);
    Ok(())
}

fn write_32(mut guest: Guest<'_>, out: u32, bytes: [u8; 32]) -> HostResult<()> {
    let range = Range::find(&mut guest, out, 32)?;
    charge(&mut guest, |prices| prices.host_call)?;
    range.write(&mut guest, &bytes);
    Ok(())
}

fn caller(guest: Guest<'_>, out: u32) -> HostResult<i32> {
    let (kind, bytes) = match guest.data().caller {
        Caller::Nobody => (abi::CALLER_NOBODY, [0; 32]),
        Caller::Account(account) => (abi::CALLER_ACCOUNT, account.0),
        Caller::Contract(contract) => (abi::CALLER_CONTRACT, contract.0),
    };
    write_32(guest, out, bytes)?;
    Ok(kind)
}

fn roles(mut guest: Guest<'_>, account: u32) -> HostResult<i32> {
    let account = Range::find(&mut guest, account, 32)?;
    charge(&mut guest, |prices| {
        sum([prices.host_call, prices.storage_read])
    })?;
    let account = AccountId(account.read_32(&guest));
    let key = StateKey::Account(account).to_bytes();
    let Some(record) = guest.data().world().overlay.get(&key) else {
        return Ok(abi::ABSENT);
    };
    let AccountRecord { roles } = stored(record);
    let bits = roles.into_iter().map(|role| match role {
        Role::Registrar => abi::ROLE_REGISTRAR,
        Role::Deployer => abi::ROLE_DEPLOYER,
    });
    Ok(bits.fold(0, |all, bit| all | bit))
}

fn own_address(guest: Guest<'_>, out: u32) -> HostResult<()> {
    let bytes = guest.data().contract.0;
    write_32(guest, out, bytes)
}

fn transaction_id(guest: Guest<'_>, out: u32) -> HostResult<()> {
    let bytes = guest.data().world().transaction.0;
    write_32(guest, out, bytes)
}

fn block_time(mut guest: Guest<'_>) -> HostResult<u64> {
    charge(&mut guest, |prices| prices.host_call)?;
    Ok(guest.data().world().context.time.0)
}

fn block_height(mut guest: Guest<'_>) -> HostResult<u64> {
    charge(&mut guest, |prices| prices.host_call)?;
    Ok(guest.data().world().context.height.0)
}

fn emit(
    mut guest: Guest<'_>,
    topic: u32,
    topic_len: u32,
    data: u32,
    data_len: u32,
) -> HostResult<()> {
    may_write(&guest)?;
    let topic = Range::find(&mut guest, topic, topic_len)?;
    let data = Range::find(&mut guest, data, data_len)?;
    size(topic.len(), 1, guest.data().limits().event_bytes_max)?;
    let bytes = topic.len().saturating_add(data.len());
    size(bytes, 1, guest.data().limits().event_bytes_max)?;
    size(
        guest.data().world().events.len() + 1,
        1,
        guest.data().limits().events_max,
    )?;
    charge(&mut guest, |prices| {
        let base = sum([prices.host_call, prices.event]);
        sized(base, prices.event_per_byte, bytes)
    })?;
    // A topic is a name: what is not text has no size that would be allowed.
    let Ok(topic) = String::from_utf8(topic.read(&guest).to_vec()) else {
        return trap(TrapKind::SizeLimit);
    };
    let data = data.read(&guest).to_vec();
    let contract = guest.data().contract;
    guest.data_mut().world_mut().events.push(ContractEvent {
        contract,
        topic,
        data,
    });
    Ok(())
}

fn outgoing(guest: &mut Guest<'_>, data: u32, len: u32) -> HostResult<Vec<u8>> {
    let range = Range::find(guest, data, len)?;
    size(range.len(), 0, guest.data().limits().return_bytes_max)?;
    charge(guest, |prices| {
        sized(prices.host_call, prices.return_per_byte, range.len())
    })?;
    Ok(range.read(guest).to_vec())
}

fn return_value(mut guest: Guest<'_>, data: u32, len: u32) -> HostResult<()> {
    let value = outgoing(&mut guest, data, len)?;
    guest.data_mut().value = value;
    Ok(())
}

fn revert(mut guest: Guest<'_>, code: u32, data: u32, len: u32) -> HostResult<()> {
    let data = outgoing(&mut guest, data, len)?;
    Err(wasmtime::Error::new(HostEnd::Revert { code, data }))
}

fn bad_arguments(mut guest: Guest<'_>) -> HostResult<()> {
    charge(&mut guest, |prices| prices.host_call)?;
    trap(TrapKind::BadArguments)
}

fn sha256_of(mut guest: Guest<'_>, data: u32, len: u32, out: u32) -> HostResult<()> {
    let data = Range::find(&mut guest, data, len)?;
    let out = Range::find(&mut guest, out, 32)?;
    charge(&mut guest, |prices| {
        let base = sum([prices.host_call, prices.sha256]);
        sized(base, prices.sha256_per_byte, data.len())
    })?;
    let hash = sha256(data.read(&guest));
    out.write(&mut guest, &hash.0);
    Ok(())
}

fn debug_log(mut guest: Guest<'_>, text: u32, len: u32) -> HostResult<()> {
    let range = Range::find(&mut guest, text, len)?;
    charge(&mut guest, |prices| {
        sized(prices.host_call, prices.copy_per_byte, range.len())
    })?;
    if let Some(debug_log) = &guest.data().world().debug_log {
        debug_log(
            guest.data().contract,
            &String::from_utf8_lossy(range.read(&guest)),
        );
    }
    Ok(())
}

/// Everything that a contract may import.
pub(crate) fn link(linker: &mut Linker<HostState>) -> Result<(), wasmtime::Error> {
    linker
        .func_wrap(abi::MODULE, abi::INPUT, input)?
        .func_wrap(abi::MODULE, abi::STORAGE_GET, storage_get)?
        .func_wrap(abi::MODULE, abi::STORAGE_SET, storage_set)?
        .func_wrap(abi::MODULE, abi::STORAGE_REMOVE, storage_remove)?
        .func_wrap(abi::MODULE, abi::CALLER, caller)?
        .func_wrap(abi::MODULE, abi::OWN_ADDRESS, own_address)?
        .func_wrap(abi::MODULE, abi::TRANSACTION_ID, transaction_id)?
        .func_wrap(abi::MODULE, abi::BLOCK_TIME, block_time)?
        .func_wrap(abi::MODULE, abi::BLOCK_HEIGHT, block_height)?
        .func_wrap(abi::MODULE, abi::EMIT, emit)?
        .func_wrap(abi::MODULE, abi::RETURN_VALUE, return_value)?
        .func_wrap(abi::MODULE, abi::REVERT, revert)?
        .func_wrap(abi::MODULE, abi::BAD_ARGUMENTS, bad_arguments)?
        .func_wrap(abi::MODULE, abi::SHA256, sha256_of)?
        .func_wrap(abi::MODULE, abi::ROLES, roles)?
        .func_wrap(abi::MODULE, abi::CALL, calls::call)?
        .func_wrap(abi::MODULE, abi::VIEW, calls::view)?
        .func_wrap(abi::MODULE, abi::CALL_OUTPUT, calls::call_output)?
        .func_wrap(abi::MODULE, abi::DEBUG_LOG, debug_log)?;
    Ok(())
}

/// Growing over a limit traps, so that no result depends on what a machine could still give.
impl ResourceLimiter for HostState {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> HostResult<bool> {
        let chain_max = (self.limits().memory_pages_max as usize).saturating_mul(PAGE_BYTES);
        if desired > chain_max.min(maximum.unwrap_or(usize::MAX)) {
            return trap(TrapKind::MemoryLimit);
        }
        if self.fuel_of_memory(desired) > self.fuel {
            return trap(TrapKind::OutOfFuel);
        }
        self.memory_bytes = desired;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> HostResult<()> {
        Err(wasmtime::Error::new(HostEnd::MachineFailed))
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> HostResult<bool> {
        let chain_max = self.limits().table_entries_max as usize;
        if desired > chain_max.min(maximum.unwrap_or(usize::MAX)) {
            return trap(TrapKind::MemoryLimit);
        }
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> HostResult<()> {
        Err(wasmtime::Error::new(HostEnd::MachineFailed))
    }
}
