//! Typed places in a contract's storage. Each value has a key of its own: what a call does not
//! touch, it neither reads nor pays for.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use parity_scale_codec::{DecodeAll, Encode};

use crate::Env;

/// One value.
pub struct Item<T> {
    key: &'static str,
    value: PhantomData<fn() -> T>,
}

/// Values by key, each stored under `prefix` followed by SCALE of its key. No prefix of a contract
/// may begin another one, nor the key of an [`Item`]: see [`Map::new`].
pub struct Map<K, V> {
    prefix: &'static str,
    entry: PhantomData<fn() -> (K, V)>,
}

fn decode<T: DecodeAll>(bytes: Vec<u8>) -> T {
    // Not `expect`, which would bring all of formatting into the module.
    match T::decode_all(&mut &bytes[..]) {
        Ok(value) => value,
        Err(_) => panic!("only values of this type are stored at this place"),
    }
}

impl<T> Item<T> {
    /// The value under `key`.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Self {
            key,
            value: PhantomData,
        }
    }

    /// Tells the host of a native test.
    fn used(&self, env: &Env) {
        #[cfg(not(target_arch = "wasm32"))]
        env.host.use_place(crate::host::Place::item::<T>(self.key));
        #[cfg(target_arch = "wasm32")]
        let _ = env;
    }

    /// What is stored.
    #[must_use]
    pub fn get(&self, env: &Env) -> Option<T>
    where
        T: Stored,
    {
        self.used(env);
        env.get_raw(self.key.as_bytes()).map(decode)
    }

    /// Stores `value`, whose encoding must not be empty.
    pub fn set(&self, env: &mut Env, value: &T)
    where
        T: Stored,
    {
        self.used(env);
        env.set_raw(self.key.as_bytes(), &value.encode());
    }

    /// Stores nothing any more.
    pub fn remove(&self, env: &mut Env)
    where
        T: Stored,
    {
        self.used(env);
        env.remove_raw(self.key.as_bytes());
    }
}

impl<K, V> Map<K, V> {
    /// The values below `prefix`. It ends best with what no name contains, such as `/`.
    ///
    /// No two places may share a key. Where native code runs in a test, the use of a place that
    /// overlaps with one that the contract used before is a panic which names both: a prefix that
    /// begins another one, or the key of an [`Item`]; and the same prefix or key with other types.
    /// Two with the same prefix and the same types cannot be told apart, and are taken for one.
    /// After an upgrade nothing is judged: the new code reads by the old types what it stores by its
    /// own.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            entry: PhantomData,
        }
    }

    /// Tells the host of a native test.
    fn used(&self, env: &Env) {
        #[cfg(not(target_arch = "wasm32"))]
        env.host
            .use_place(crate::host::Place::map::<K, V>(self.prefix));
        #[cfg(target_arch = "wasm32")]
        let _ = env;
    }

    /// The storage key of an entry.
    #[must_use]
    pub fn storage_key(&self, key: &K) -> Vec<u8>
    where
        K: StoredBy,
    {
        let mut bytes = self.prefix.as_bytes().to_vec();
        key.encode_to(&mut bytes);
        bytes
    }

    /// What is stored under `key`.
    #[must_use]
    pub fn get(&self, env: &Env, key: &K) -> Option<V>
    where
        K: StoredBy,
        V: Stored,
    {
        self.used(env);
        env.get_raw(&self.storage_key(key)).map(decode)
    }

    /// Stores `value` under `key`; its encoding must not be empty.
    pub fn set(&self, env: &mut Env, key: &K, value: &V)
    where
        K: StoredBy,
        V: Stored,
    {
        self.used(env);
        env.set_raw(&self.storage_key(key), &value.encode());
    }

    /// Stores nothing under `key` any more.
    pub fn remove(&self, env: &mut Env, key: &K)
    where
        K: StoredBy,
        V: Stored,
    {
        self.used(env);
        env.remove_raw(&self.storage_key(key));
    }
}

/// What a contract can store: everything that SCALE encodes and decodes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored",
    label = "not a type that can be stored",
    note = "put `#[contract_type]` above the struct or enum; there are `bool`, `u8` to `u128`, `String`, `Hash`, `AccountId`, `ContractId`, `Millis` and `Duration`, and `Vec`, `Option` and tuples of them"
)]
pub trait Stored: Encode + DecodeAll {}

#[diagnostic::do_not_recommend]
impl<T: Encode + DecodeAll> Stored for T {}

/// What the values of a [`Map`] can be stored by: everything that SCALE encodes.
#[diagnostic::on_unimplemented(
    message = "nothing can be stored by a `{Self}`",
    label = "not a type of keys",
    note = "put `#[contract_type]` above the struct or enum; there are `bool`, `u8` to `u128`, `String`, `Hash`, `AccountId`, `ContractId`, `Millis` and `Duration`, and `Vec`, `Option` and tuples of them"
)]
pub trait StoredBy: Encode {}

#[diagnostic::do_not_recommend]
impl<K: Encode> StoredBy for K {}

impl<T> fmt::Debug for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Item({:?})", self.key)
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({:?})", self.prefix)
    }
}
