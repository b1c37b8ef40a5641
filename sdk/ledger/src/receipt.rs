//! What became of a transaction. A failure is a receipt, never an error of the node, and no text
//! of the engine reaches it: receipts are equal on every validator, byte for byte.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::{ContractId, Fuel, TransactionId};

/// Something a contract announced.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct ContractEvent {
    /// Which contract; not always the one that the transaction called.
    pub contract: ContractId,
    /// The event's name in the contract's schema.
    pub topic: String,
    /// SCALE of its fields, in schema order.
    pub data: Vec<u8>,
}

/// Why execution was ended from outside the contract, or never began. The numbers are part of the
/// format.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum TrapKind {
    /// No contract has that address.
    #[codec(index = 0)]
    UnknownContract,
    /// The contract has no such `call` method.
    #[codec(index = 1)]
    UnknownMethod,
    /// The sender lacks the role that this needs.
    #[codec(index = 2)]
    RoleMissing,
    /// The key to be admitted breaks a rule for keys.
    #[codec(index = 3)]
    InvalidKey,
    /// The module breaks a rule of deployment.
    #[codec(index = 4)]
    ModuleRefused,
    /// The declared fuel was used up.
    #[codec(index = 5)]
    OutOfFuel,
    /// The stack limit was reached.
    #[codec(index = 6)]
    StackTooDeep,
    /// Memory or a table would have grown over its limit.
    #[codec(index = 7)]
    MemoryLimit,
    /// A load, store, table or host-call pointer was outside of memory.
    #[codec(index = 8)]
    OutOfBounds,
    /// An integer operation had no result (division by zero, overflow).
    #[codec(index = 9)]
    Arithmetic,
    /// `unreachable`: how a panic in a contract ends.
    #[codec(index = 10)]
    Unreachable,
    /// An indirect call to nothing, or to a function of another type.
    #[codec(index = 11)]
    BadIndirectCall,
    /// A view tried to write, to emit an event, or to call a method that may.
    #[codec(index = 12)]
    WriteInView,
    /// A key, value, event, return value or revert was over its limit, or empty where it may not be.
    #[codec(index = 13)]
    SizeLimit,
    /// The arguments are not what the method takes.
    #[codec(index = 14)]
    BadArguments,
    /// Contracts called each other deeper than they may.
    #[codec(index = 15)]
    CallTooDeep,
    /// A contract was called that was running already, further out.
    #[codec(index = 16)]
    Reentrant,
    /// A contract called another that does not exist, or a method that it does not have.
    #[codec(index = 17)]
    UnknownCallee,
    /// One of those who should be able to upgrade a contract was never admitted.
    #[codec(index = 18)]
    UnknownUpgrader,
    /// The sender is not among those who may upgrade the contract.
    #[codec(index = 19)]
    MayNotUpgrade,
    /// The contract has another version than the one to be upgraded.
    #[codec(index = 20)]
    WrongVersion,
    /// Fewer agree to the upgrade than it takes.
    #[codec(index = 21)]
    NotApproved,
}

impl TrapKind {
    /// Its name in JSON and in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownContract => "unknown_contract",
            Self::UnknownMethod => "unknown_method",
            Self::RoleMissing => "role_missing",
            Self::InvalidKey => "invalid_key",
            Self::ModuleRefused => "module_refused",
            Self::OutOfFuel => "out_of_fuel",
            Self::StackTooDeep => "stack_too_deep",
            Self::MemoryLimit => "memory_limit",
            Self::OutOfBounds => "out_of_bounds",
            Self::Arithmetic => "arithmetic",
            Self::Unreachable => "unreachable",
            Self::BadIndirectCall => "bad_indirect_call",
            Self::WriteInView => "write_in_view",
            Self::SizeLimit => "size_limit",
            Self::BadArguments => "bad_arguments",
            Self::CallTooDeep => "call_too_deep",
            Self::Reentrant => "reentrant",
            Self::UnknownCallee => "unknown_callee",
            Self::UnknownUpgrader => "unknown_upgrader",
            Self::MayNotUpgrade => "may_not_upgrade",
            Self::WrongVersion => "wrong_version",
            Self::NotApproved => "not_approved",
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum Status {
    /// Its effects are in the state.
    #[codec(index = 0)]
    Applied {
        /// SCALE of the returned value; empty where there is none.
        value: Vec<u8>,
    },
    /// The contract refused; its effects were rolled back.
    #[codec(index = 1)]
    Reverted {
        /// The contract's own code; its schema gives the name.
        code: u32,
        /// SCALE of what the contract added.
        data: Vec<u8>,
    },
    /// Ended from outside the contract; its effects were rolled back, all its fuel is spent.
    #[codec(index = 2)]
    Trapped {
        /// Why.
        kind: TrapKind,
    },
}

/// The outcome of one transaction in one block.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Receipt {
    /// Which transaction.
    pub transaction: TransactionId,
    /// How it ended.
    pub status: Status,
    /// What it burnt, spent whatever the status.
    pub fuel_used: Fuel,
    /// The contract deployed, called, upgraded or to be upgraded, if any.
    pub contract: Option<ContractId>,
    /// In order of emission; empty unless applied.
    pub events: Vec<ContractEvent>,
}
