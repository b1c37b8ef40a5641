//! What a method can see and do.

use alloc::vec::Vec;

use parity_scale_codec::{Decode, Encode};

use crate::host::Host;
use crate::{AccountId, ContractId, Hash, Millis, Text};

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

/// The world of one call. Everything it shows is the same on every validator.
#[derive(Debug)]
pub struct Env {
    pub(crate) host: Host,
}

impl Env {
    /// Who signed the transaction; zero in a query, so a `view` should not depend on it.
    #[must_use]
    pub fn caller(&self) -> AccountId {
        AccountId(self.host.caller())
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
