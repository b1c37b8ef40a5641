//! The types of arguments, results, events and storage, and their names in the schema.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use parity_scale_codec::{Decode, Encode};

use crate::text::Text;

macro_rules! bytes32 {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
        pub struct $name(pub [u8; 32]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                for byte in self.0 {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(")")
            }
        }
    )*};
}

bytes32! {
    /// Who acts: an Ed25519 public key.
    AccountId,
    /// The address of a contract.
    ContractId,
    /// A SHA-256 value.
    Hash,
}

/// Milliseconds: a moment since the Unix epoch, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Millis(pub u64);

/// A type that the schema can name, so that tools can read and show its values.
pub trait SchemaType {
    /// Its name.
    const NAME: Text<256>;
}

macro_rules! named {
    ($($kind:ty => $name:literal,)*) => {$(
        impl SchemaType for $kind {
            const NAME: Text<256> = Text::of($name);
        }
    )*};
}

named! {
    bool => "bool",
    u8 => "u8",
    u16 => "u16",
    u32 => "u32",
    u64 => "u64",
    u128 => "u128",
    String => "string",
    Hash => "hash",
    AccountId => "account",
    ContractId => "hash",
    Millis => "time",
}

impl<T: SchemaType> SchemaType for Option<T> {
    const NAME: Text<256> = Text::wrap("option<", &T::NAME, ">");
}

/// `Vec<u8>` would be `list<u8>`, whose encoding is that of `bytes`, which is how it is named.
impl<T: SchemaType> SchemaType for Vec<T> {
    const NAME: Text<256> = if T::NAME.is("u8") {
        Text::of("bytes")
    } else {
        Text::wrap("list<", &T::NAME, ">")
    };
}
