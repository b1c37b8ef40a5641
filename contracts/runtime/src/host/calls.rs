//! Calls from one contract to another: [`abi::CALL`], [`abi::VIEW`], [`abi::CALL_OUTPUT`].

use chancery_contract::abi;
use chancery_ledger::{ContractId, TrapKind};

use super::memory::{Range, charge, length, size, trap};
use super::{Access, Guest, HostResult};
use crate::engine;
use crate::fuel::{sized, sum};
use crate::world::{CallOutcome, Ended, NestedCall};

pub(super) fn call(
    guest: Guest<'_>,
    contract: u32,
    method: u32,
    method_len: u32,
    args: u32,
    args_len: u32,
) -> HostResult<i32> {
    let access = guest.data().access;
    nested(
        guest,
        access,
        contract,
        (method, method_len),
        (args, args_len),
    )
}

pub(super) fn view(
    guest: Guest<'_>,
    contract: u32,
    method: u32,
    method_len: u32,
    args: u32,
    args_len: u32,
) -> HostResult<i32> {
    let access = Access::ReadOnly;
    nested(
        guest,
        access,
        contract,
        (method, method_len),
        (args, args_len),
    )
}

fn nested(
    mut guest: Guest<'_>,
    access: Access,
    contract: u32,
    (method, method_len): (u32, u32),
    (args, args_len): (u32, u32),
) -> HostResult<i32> {
    let contract = Range::find(&mut guest, contract, 32)?;
    let method = Range::find(&mut guest, method, method_len)?;
    let args = Range::find(&mut guest, args, args_len)?;
    let limits = guest.data().limits();
    size(method.len(), 0, limits.method_bytes_max)?;
    size(args.len(), 0, limits.args_bytes_max)?;
    let bytes = method.len() + args.len();
    charge(&mut guest, |prices| {
        let base = sum([prices.host_call, prices.contract_call, prices.storage_read]);
        sized(base, prices.copy_per_byte, bytes)
    })?;

    let call = NestedCall {
        from: guest.data().contract,
        to: ContractId(contract.read_32(&guest)),
        method: method.read(&guest).to_vec(),
        args: args.read(&guest).to_vec(),
        access,
        stack_values: engine::stack_values(&mut guest),
    };
    // One unit of what the engine shows stands for none: see `WasmEngine::run`.
    let kept = guest.data().memory_fuel().saturating_add(1);
    let left = guest.get_fuel().expect("fuel is switched on");
    let Some(left) = left.checked_sub(kept) else {
        return trap(TrapKind::OutOfFuel);
    };
    let world = guest.data_mut().lend_world();
    let (world, ended) = world.nested(call, left);
    guest.data_mut().give_back(world);
    let Ended { outcome, fuel_left } = match ended {
        Ok(ended) => ended,
        Err(kind) => return trap(kind),
    };
    let fuel_left = fuel_left.saturating_add(kept);
    guest.set_fuel(fuel_left).expect("fuel is switched on");
    let (status, output) = match outcome {
        CallOutcome::Returned { value } => (abi::RETURNED, value),
        CallOutcome::Reverted { code, data } => {
            (abi::REVERTED, [&code.to_le_bytes()[..], &data].concat())
        }
    };
    guest.data_mut().call_output = output;
    Ok(status)
}

pub(super) fn call_output(mut guest: Guest<'_>, out: u32, capacity: u32) -> HostResult<i32> {
    let range = Range::find(&mut guest, out, capacity)?;
    let len = guest.data().call_output.len();
    let copied = len.min(range.len());
    charge(&mut guest, |prices| {
        sized(prices.host_call, prices.copy_per_byte, copied)
    })?;
    let output = std::mem::take(&mut guest.data_mut().call_output);
    range.write(&mut guest, &output);
    guest.data_mut().call_output = output;
    Ok(length(len))
}
