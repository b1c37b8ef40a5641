//! The types of arguments, results, events and storage, and their names in the schema.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use parity_scale_codec::{Decode, Encode};

use crate::Text;

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

/// A moment, in milliseconds since the Unix epoch. On a command line `+24h` is one, a day from now:
/// how long something takes is a [`Duration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Millis(pub u64);

/// How long something takes, in milliseconds. On a command line, `24h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Duration(pub u64);

/// A type that the schema can name, so that tools can read and show its values.
/// [`contract_type`](crate::contract_type) makes one of a struct or an enum.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type of the schema",
    note = "there are `bool`, `u8` to `u128`, `String`, `Hash`, `AccountId`, `ContractId`, `Millis` and `Duration`, `Vec` and `Option` of them, and structs and enums with `#[contract_type]`"
)]
pub trait SchemaType: Encode + Decode {
    /// Its name.
    const NAME: Text;
    /// The name of a list of it.
    const LIST: Text = Text::All(&[Text::Is("list<"), Self::NAME, Text::Is(">")]);
}

macro_rules! named {
    ($($kind:ty => $name:literal,)*) => {$(
        impl SchemaType for $kind {
            const NAME: Text = Text::Is($name);
        }
    )*};
}

named! {
    bool => "bool",
    u16 => "u16",
    u32 => "u32",
    u64 => "u64",
    u128 => "u128",
    String => "string",
    Hash => "hash",
    AccountId => "account",
    ContractId => "contract",
    Millis => "time",
    Duration => "duration",
}

impl SchemaType for u8 {
    const NAME: Text = Text::Is("u8");
    /// Its encoding is that of `list<u8>`.
    const LIST: Text = Text::Is("bytes");
}

impl<T: SchemaType> SchemaType for Option<T> {
    const NAME: Text = Text::All(&[Text::Is("option<"), T::NAME, Text::Is(">")]);
}

impl<T: SchemaType> SchemaType for Vec<T> {
    const NAME: Text = T::LIST;
}
