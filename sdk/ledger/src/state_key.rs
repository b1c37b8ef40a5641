//! What stands under which key in the state. The first byte keeps the spaces apart; what follows a
//! 32-byte address is all there is behind it, so no two pairs make one key.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::{AccountId, CodeHash, ContractId, Fuel, Role, TransactionPlace, Upgraders};

/// The longest key of a contract's own: no chain allows longer ones
/// ([`ChainLimits::key_bytes_max`](crate::ChainLimits)), and none is empty.
pub const STORAGE_KEY_BYTES_MAX: usize = 1_024;

/// An admitted account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct AccountRecord {
    /// Sorted, none twice.
    pub roles: Vec<Role>,
}

/// A deployed contract.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct ContractRecord {
    /// What it runs; the bytes stand under [`StateKey::Code`].
    pub code: CodeHash,
    /// Counts its upgrades, from [`crate::upgrade::FIRST_VERSION`].
    pub version: u32,
    /// Who deployed it.
    pub deployer: AccountId,
    /// Who may upgrade it.
    pub upgraders: Upgraders,
    /// What every call of it burns before its first instruction, by the size of its code.
    pub load_fuel: Fuel,
}

/// A version of a contract: which code ran when. It is written once, when the contract gets the
/// version, and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct VersionRecord {
    /// What it runs; the bytes stand under [`StateKey::Code`].
    pub code: CodeHash,
    /// The deployment or the upgrade that brought it: the first transaction that ran it. It is the
    /// contract's version up to that of the next one, exclusive.
    pub since: TransactionPlace,
}

/// A key of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateKey<'a> {
    /// SCALE of an [`AccountRecord`].
    Account(AccountId),
    /// Wasm bytes as deployed. They stay when the contract is upgraded.
    Code(CodeHash),
    /// SCALE of a [`ContractRecord`].
    Contract(ContractId),
    /// What a contract stored under a key of its own, which has 1 to [`STORAGE_KEY_BYTES_MAX`] bytes.
    Storage(ContractId, &'a [u8]),
    /// SCALE of the [`crate::UpgradeApproval`] that an account gave for a contract.
    Approval(ContractId, AccountId),
    /// SCALE of the [`VersionRecord`] of a contract's version, counted from
    /// [`crate::upgrade::FIRST_VERSION`]; the number's most significant byte comes first.
    Version(ContractId, u32),
}

impl<'a> StateKey<'a> {
    /// The key that has these bytes, if one has.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (space, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<32>()?;
        match (space, rest.len()) {
            (1, 0) => Some(Self::Account(AccountId(*id))),
            (2, 0) => Some(Self::Code(CodeHash(*id))),
            (3, 0) => Some(Self::Contract(ContractId(*id))),
            (4, 1..=STORAGE_KEY_BYTES_MAX) => Some(Self::Storage(ContractId(*id), rest)),
            (5, 32) => {
                let account = AccountId(rest.try_into().ok()?);
                Some(Self::Approval(ContractId(*id), account))
            }
            (6, 4) => {
                let version = u32::from_be_bytes(rest.try_into().ok()?);
                Some(Self::Version(ContractId(*id), version))
            }
            _ => None,
        }
    }

    /// The bytes whose SHA-256 is the key's place in the state tree.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let number;
        let (space, id, rest): (u8, [u8; 32], &[u8]) = match self {
            Self::Account(account) => (1, account.0, &[]),
            Self::Code(code) => (2, code.0, &[]),
            Self::Contract(contract) => (3, contract.0, &[]),
            Self::Storage(contract, key) => (4, contract.0, key),
            Self::Approval(contract, ref account) => (5, contract.0, &account.0),
            Self::Version(contract, version) => {
                number = version.to_be_bytes();
                (6, contract.0, &number)
            }
        };
        [&[space], &id[..], rest].concat()
    }
}
