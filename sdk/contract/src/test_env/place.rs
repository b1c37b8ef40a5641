//! Places in a contract's storage, as tests of native code see them: which keys may be theirs.

use std::any::type_name;
use std::fmt;

/// An `Item` or a `Map` at its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// What its keys begin with; the whole key of an item.
    prefix: &'static str,
    types: Types,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Types {
    Item(&'static str),
    Map(&'static str, &'static str),
}

impl Place {
    pub(crate) fn item<T>(key: &'static str) -> Self {
        let types = Types::Item(type_name::<T>());
        Self { prefix: key, types }
    }

    pub(crate) fn map<K, V>(prefix: &'static str) -> Self {
        let types = Types::Map(type_name::<K>(), type_name::<V>());
        Self { prefix, types }
    }

    /// Whether both are one place. A key may be borrowed for one of them, which is no difference.
    fn is_same(&self, other: &Self) -> bool {
        let owned = |key: &str| key.replace('&', "").replace(type_name::<String>(), "str");
        let types = match (self.types, other.types) {
            (Types::Map(one, first), Types::Map(other, second)) => {
                owned(one) == owned(other) && first == second
            }
            (one, other) => one == other,
        };
        self.prefix == other.prefix && types
    }

    /// Whether a key of the other place may be one of this as well.
    fn may_have_keys_of(&self, other: &Self) -> bool {
        match self.types {
            Types::Item(_) => self.prefix == other.prefix,
            Types::Map(..) => other.prefix.starts_with(self.prefix),
        }
    }

    /// Ends the test if both may store something under one key. The same place twice is no mistake.
    pub(super) fn must_not_overlap(&self, other: &Self) {
        assert!(
            self.is_same(other) || !self.may_have_keys_of(other) && !other.may_have_keys_of(self),
            "{self} and {other} may store under the same key, and destroy each other's values: give \
             them names and prefixes of which none begins with the prefix of another"
        );
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix;
        match self.types {
            Types::Item(value) => write!(f, "`Item<{value}>` {prefix:?}"),
            Types::Map(key, value) => write!(f, "`Map<{key}, {value}>` {prefix:?}"),
        }
    }
}
