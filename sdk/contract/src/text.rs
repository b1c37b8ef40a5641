//! Text put together while compiling: the schema, from the types of a contract.

use crate::abi::SCHEMA_BYTES_MAX;

/// A text, or texts one after the other. A schema is JSON; the names of types need no escapes.
#[derive(Debug, Clone, Copy)]
pub enum Text {
    /// The text itself.
    Is(&'static str),
    /// One after the other.
    All(&'static [Text]),
}

impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Is(text) => f.write_str(text),
            Self::All(texts) => texts.iter().try_for_each(|text| text.fmt(f)),
        }
    }
}

impl Text {
    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(&self) -> usize {
        match self {
            Self::Is(text) => text.len(),
            Self::All(texts) => {
                let (mut len, mut i) = (0, 0);
                while i < texts.len() {
                    len += texts[i].len();
                    i += 1;
                }
                len
            }
        }
    }

    /// Its bytes; `LEN` must be its length.
    #[must_use]
    pub const fn to_bytes<const LEN: usize>(&self) -> [u8; LEN] {
        assert!(
            LEN <= SCHEMA_BYTES_MAX,
            "the schema is too long: shorten the doc comments of the contract"
        );
        let mut bytes = [0; LEN];
        let end = self.write(&mut bytes, 0);
        assert!(end == LEN, "the array is as long as the text");
        bytes
    }

    /// Writes it from `at` on, and says where it ends.
    const fn write(&self, into: &mut [u8], mut at: usize) -> usize {
        let mut i = 0;
        match self {
            Self::Is(text) => {
                while i < text.len() {
                    into[at] = text.as_bytes()[i];
                    at += 1;
                    i += 1;
                }
            }
            Self::All(texts) => {
                while i < texts.len() {
                    at = texts[i].write(into, at);
                    i += 1;
                }
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use crate::{AccountId, SchemaType};

    fn check<T: SchemaType>(expected: &str) {
        let mut bytes = alloc::vec![0; T::NAME.len()];
        assert_eq!(T::NAME.write(&mut bytes, 0), expected.len());
        assert_eq!(String::from_utf8(bytes).as_deref(), Ok(expected));
    }

    #[test]
    fn types_have_names() {
        check::<Option<Vec<AccountId>>>("option<list<account>>");
        check::<Vec<u8>>("bytes");
        check::<Vec<String>>("list<string>");
        check::<Vec<Vec<u8>>>("list<bytes>");
        check::<Vec<Option<u8>>>("list<option<u8>>");
    }
}
