//! What a method can see and do.

use alloc::vec::Vec;

use parity_scale_codec::{Decode, DecodeAll as _, Encode};

use crate::host::Host;
use crate::{AccountId, ContractError, ContractId, Hash, Millis, Never, Text, abi};

/// Something a contract announces; [`event`](crate::event) makes them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "write `#[event]` above the struct"
)]
pub trait Event: Encode + Decode {
    /// Its name in the schema.
    const TOPIC: &'static str;
    /// JSON: `{"name":…,"docs":…,"fields":[…]}`.
    const SCHEMA: Text;
}

/// Who calls a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Caller {
    /// A query: nobody signed anything, so a `view` should not depend on it.
    Nobody,
    /// The sender of the transaction.
    Account(AccountId),
    /// Another contract. Who called that one is not told: what an account has signed for one
    /// contract gives no right in another.
    Contract(ContractId),
}

impl Caller {
    /// The account, if one calls.
    #[must_use]
    pub fn account(self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(account),
            Self::Nobody | Self::Contract(_) => None,
        }
    }

    /// The contract, if one calls.
    #[must_use]
    pub fn contract(self) -> Option<ContractId> {
        match self {
            Self::Contract(contract) => Some(contract),
            Self::Nobody | Self::Account(_) => None,
        }
    }
}

impl PartialEq<AccountId> for Caller {
    fn eq(&self, account: &AccountId) -> bool {
        self.account() == Some(*account)
    }
}

impl PartialEq<ContractId> for Caller {
    fn eq(&self, contract: &ContractId) -> bool {
        self.contract() == Some(*contract)
    }
}

/// What an account may do beyond calling contracts; a registrar gives roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May admit accounts, and give them roles.
    Registrar,
    /// May deploy contracts.
    Deployer,
}

impl Role {
    pub(crate) fn bit(self) -> i32 {
        match self {
            Self::Registrar => abi::ROLE_REGISTRAR,
            Self::Deployer => abi::ROLE_DEPLOYER,
        }
    }
}

/// What came of a call to another contract, if not a value. All other ends of that contract are the
/// end of the whole transaction, and of this call with it.
///
/// `E` is the other contract's `#[contract_error]`, where an interface names it; whoever calls by
/// [`Env::call`] gets codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError<E = Never> {
    /// It refused, for this reason. What it changed and announced is taken back, and nothing else.
    Refused(E),
    /// It refused as well, with a code that `E` does not have.
    Reverted {
        /// Its own code; its schema gives the name.
        code: u32,
        /// What it added.
        data: Vec<u8>,
    },
    /// It returned what is no value of the type asked for. What it changed stays.
    OtherType,
}

impl CallError {
    /// The reason in the place of its code, if `E` has that code.
    #[must_use]
    pub fn named<E: ContractError>(self) -> CallError<E> {
        match self {
            Self::Refused(never) => match never {},
            Self::Reverted { code, data } => match E::of_code(code) {
                Some(reason) => CallError::Refused(reason),
                None => CallError::Reverted { code, data },
            },
            Self::OtherType => CallError::OtherType,
        }
    }
}

/// What the host keeps of a call that reverted: 4 bytes of code, then the data.
#[cfg(any(target_arch = "wasm32", test))]
pub(crate) fn reverted(output: &[u8]) -> CallError {
    let (code, data) = output.split_first_chunk().unwrap_or((&[0; 4], output));
    CallError::Reverted {
        code: u32::from_le_bytes(*code),
        data: data.to_vec(),
    }
}

/// The world of one call. Everything it shows is the same on every validator.
#[derive(Debug)]
pub struct Env {
    pub(crate) host: Host,
}

impl Env {
    /// Who calls this method: the sender of the transaction, or a contract that it called.
    #[must_use]
    pub fn caller(&self) -> Caller {
        self.host.caller()
    }

    /// Whether the account is admitted to the ledger, with or without roles.
    #[must_use]
    pub fn is_admitted(&self, account: AccountId) -> bool {
        self.host.roles(account) != abi::ABSENT
    }

    /// Whether the account has the role now.
    #[must_use]
    pub fn has_role(&self, account: AccountId, role: Role) -> bool {
        let bits = self.host.roles(account);
        bits != abi::ABSENT && bits & role.bit() != 0
    }

    /// Calls a method of another contract. `args` is a tuple of its arguments, `(a,)` for one.
    /// What it costs is taken from this call's fuel. [`contract_interface`](crate::contract_interface)
    /// makes functions of such calls, with types.
    ///
    /// The transaction ends if there is no such contract or method, if the contract is running
    /// already (it called this one), if contracts call each other too deep, and if the other
    /// contract ends otherwise than by returning or refusing.
    ///
    /// # Errors
    /// If it refuses, or returns something other than a `T`.
    pub fn call<T: Decode>(
        &mut self,
        contract: ContractId,
        method: &str,
        args: &impl Encode,
    ) -> Result<T, CallError> {
        let output = Host::call(self, contract, method, &args.encode())?;
        T::decode_all(&mut &output[..]).map_err(|_| CallError::OtherType)
    }

    /// Asks a view of another contract; otherwise as [`Env::call`].
    ///
    /// # Errors
    /// If it refuses, or returns something other than a `T`.
    pub fn view<T: Decode>(
        &self,
        contract: ContractId,
        method: &str,
        args: &impl Encode,
    ) -> Result<T, CallError> {
        let output = Host::view(self, contract, method, &args.encode())?;
        T::decode_all(&mut &output[..]).map_err(|_| CallError::OtherType)
    }

    /// The contract's own address.
    #[must_use]
    pub fn own_address(&self) -> ContractId {
        ContractId(self.host.own_address())
    }

    /// The id of the transaction; zero in a query.
    #[must_use]
    pub fn transaction_id(&self) -> Hash {
        Hash(self.host.transaction_id())
    }

    /// The block's time. Blocks never go back, and two never share a time.
    #[must_use]
    pub fn block_time(&self) -> Millis {
        Millis(self.host.block_time())
    }

    /// The block's height.
    #[must_use]
    pub fn block_height(&self) -> u64 {
        self.host.block_height()
    }

    /// SHA-256.
    #[must_use]
    pub fn sha256(&self, bytes: &[u8]) -> Hash {
        Hash(self.host.sha256(bytes))
    }

    /// Announces something; forgotten if the call does not succeed.
    pub fn emit<E: Event>(&mut self, event: &E) {
        self.host.emit(E::TOPIC, &event.encode());
    }

    /// Shows text in tests and development tools; nothing on a ledger depends on it.
    pub fn debug_log(&self, text: &str) {
        self.host.debug_log(text);
    }

    /// The bytes stored under a key of this contract. [`crate::Item`] and [`crate::Map`] are the
    /// typed way.
    #[must_use]
    pub fn get_raw(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.host.get(key)
    }

    /// Stores bytes under a key of this contract; empty ones are refused.
    pub fn set_raw(&mut self, key: &[u8], value: &[u8]) {
        self.host.set(key, value);
    }

    /// Removes what is stored under a key of this contract, if anything.
    pub fn remove_raw(&mut self, key: &[u8]) {
        self.host.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revert_is_a_code_and_data() {
        let error = reverted(&[1, 2, 0, 0, 7, 8]);
        let data = Vec::from([7, 8]);
        assert_eq!(error, CallError::Reverted { code: 513, data });
    }

    #[test]
    fn a_code_is_a_reason_where_there_is_one() {
        #[derive(Debug, PartialEq)]
        struct Five;

        impl ContractError for Five {
            fn code(&self) -> u32 {
                5
            }

            fn of_code(code: u32) -> Option<Self> {
                (code == 5).then_some(Self)
            }
        }

        let reverted = |code| CallError::Reverted {
            code,
            data: Vec::new(),
        };
        assert_eq!(reverted(5).named(), CallError::Refused(Five));
        let data = Vec::new();
        let unknown = CallError::<Five>::Reverted { code: 6, data };
        assert_eq!(reverted(6).named(), unknown);
        assert_eq!(CallError::OtherType.named(), CallError::<Five>::OtherType);
    }

    #[test]
    fn a_caller_is_one_of_a_kind() {
        let bytes = [5; 32];
        assert!(Caller::Account(AccountId(bytes)) == AccountId(bytes));
        assert!(Caller::Contract(ContractId(bytes)) == ContractId(bytes));
        assert!(Caller::Contract(ContractId(bytes)) != AccountId(bytes));
        assert!(Caller::Account(AccountId(bytes)) != ContractId(bytes));
        assert!(Caller::Nobody != AccountId([0; 32]));
    }
}
