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
/// may begin with another, nor with the key of an [`Item`].
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

impl<T: Encode + DecodeAll> Item<T> {
    /// The value under `key`.
    #[must_use]
    pub const fn new(key: &'static str) -> Self {
        Self {
            key,
            value: PhantomData,
        }
    }

    /// What is stored.
    #[must_use]
    pub fn get(&self, env: &Env) -> Option<T> {
        env.get_raw(self.key.as_bytes()).map(decode)
    }

    /// Stores `value`, whose encoding must not be empty.
    pub fn set(&self, env: &mut Env, value: &T) {
        env.set_raw(self.key.as_bytes(), &value.encode());
    }

    /// Stores nothing any more.
    pub fn remove(&self, env: &mut Env) {
        env.remove_raw(self.key.as_bytes());
    }
}

impl<K: Encode, V: Encode + DecodeAll> Map<K, V> {
    /// The values below `prefix`.
    #[must_use]
    pub const fn new(prefix: &'static str) -> Self {
        Self {
            prefix,
            entry: PhantomData,
        }
    }

    /// The storage key of an entry.
    #[must_use]
    pub fn storage_key(&self, key: &K) -> Vec<u8> {
        let mut bytes = self.prefix.as_bytes().to_vec();
        key.encode_to(&mut bytes);
        bytes
    }

    /// What is stored under `key`.
    #[must_use]
    pub fn get(&self, env: &Env, key: &K) -> Option<V> {
        env.get_raw(&self.storage_key(key)).map(decode)
    }

    /// Stores `value` under `key`; its encoding must not be empty.
    pub fn set(&self, env: &mut Env, key: &K, value: &V) {
        env.set_raw(&self.storage_key(key), &value.encode());
    }

    /// Stores nothing under `key` any more.
    pub fn remove(&self, env: &mut Env, key: &K) {
        env.remove_raw(&self.storage_key(key));
    }
}

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
