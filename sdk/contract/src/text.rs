//! Text put together while compiling: the schema, from the declaration of a contract.

/// Text of at most `N` bytes.
#[derive(Debug, Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// Nothing yet.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "a default could not be used in a constant"
    )]
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// A copy of `text`.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        let mut all = Self::new();
        all.push(text);
        all
    }

    /// `inner` between `before` and `after`.
    #[must_use]
    pub const fn wrap<const M: usize>(before: &str, inner: &Text<M>, after: &str) -> Self {
        let mut all = Self::new();
        all.push(before);
        all.push_text(inner);
        all.push(after);
        all
    }

    /// How many bytes it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "nobody asks")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is `other`.
    #[must_use]
    pub const fn is(&self, other: &str) -> bool {
        let other = other.as_bytes();
        if self.len != other.len() {
            return false;
        }
        let mut i = 0;
        while i < other.len() {
            if self.bytes[i] != other[i] {
                return false;
            }
            i += 1;
        }
        true
    }

    /// Exactly its bytes; `LEN` must be its length.
    #[must_use]
    pub const fn to_array<const LEN: usize>(&self) -> [u8; LEN] {
        assert!(LEN == self.len, "the array is as long as the text");
        let mut bytes = [0; LEN];
        let mut i = 0;
        while i < LEN {
            bytes[i] = self.bytes[i];
            i += 1;
        }
        bytes
    }

    /// Appends one byte.
    pub const fn push_byte(&mut self, byte: u8) {
        assert!(
            self.len < N,
            "the text is longer than what a schema has room for"
        );
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// Appends `text` as it is.
    pub const fn push(&mut self, text: &str) {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            self.push_byte(text[i]);
            i += 1;
        }
    }

    /// Appends another text as it is.
    pub const fn push_text<const M: usize>(&mut self, text: &Text<M>) {
        let mut i = 0;
        while i < text.len {
            self.push_byte(text.bytes[i]);
            i += 1;
        }
    }

    /// Appends a number.
    pub const fn push_u32(&mut self, number: u32) {
        if number >= 10 {
            self.push_u32(number / 10);
        }
        self.push_byte(b"0123456789"[(number % 10) as usize]);
    }

    /// Appends the contents of a JSON string, without its quotes.
    const fn push_escaped(&mut self, text: &[u8]) {
        let mut i = 0;
        while i < text.len() {
            match text[i] {
                b'"' => self.push("\\\""),
                b'\\' => self.push("\\\\"),
                control @ 0..0x20 => {
                    self.push("\\u00");
                    let digits = b"0123456789abcdef";
                    self.push_byte(digits[(control / 16) as usize]);
                    self.push_byte(digits[(control % 16) as usize]);
                }
                byte => self.push_byte(byte),
            }
            i += 1;
        }
    }

    /// Appends `"key":`.
    pub const fn push_key(&mut self, key: &str) {
        self.push_string(key);
        self.push_byte(b':');
    }

    /// Appends a JSON string.
    pub const fn push_string(&mut self, text: &str) {
        self.push_byte(b'"');
        self.push_escaped(text.as_bytes());
        self.push_byte(b'"');
    }

    /// Appends doc comment lines as one JSON string, joined by spaces.
    pub const fn push_docs(&mut self, lines: &[&str]) {
        self.push_byte(b'"');
        let mut i = 0;
        while i < lines.len() {
            let line = lines[i].as_bytes();
            // A doc comment's text begins with the space after its slashes.
            let line = match line.split_first() {
                Some((b' ', rest)) => rest,
                _ => line,
            };
            if i > 0 {
                self.push_byte(b' ');
            }
            self.push_escaped(line);
            i += 1;
        }
        self.push_byte(b'"');
    }

    /// Appends a comma unless it would come first in a list or object.
    pub const fn push_comma(&mut self) {
        if self.len > 0 && !matches!(self.bytes[self.len - 1], b'[' | b'{') {
            self.push_byte(b',');
        }
    }

    /// Appends `{"name":…,"type":…}`.
    pub const fn push_field<const M: usize>(&mut self, name: &str, kind: &Text<M>) {
        self.push_comma();
        self.push("{\"name\":");
        self.push_string(name);
        self.push(",\"type\":\"");
        self.push_text(kind);
        self.push("\"}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &Text<64>) -> &str {
        core::str::from_utf8(&text.bytes[..text.len]).expect("made of text")
    }

    #[test]
    fn json_is_escaped() {
        let mut text = Text::<64>::new();
        text.push_docs(&[" a \"b\" \\", "c\td"]);
        text.push_u32(4_294_967_295);
        assert_eq!(shown(&text), r#""a \"b\" \\ c\u0009d"4294967295"#);
    }

    #[test]
    fn types_have_names() {
        use crate::{AccountId, SchemaType};
        use alloc::{string::String, vec::Vec};
        fn name<T: SchemaType>() -> String {
            let name = T::NAME;
            String::from_utf8(name.bytes[..name.len].to_vec()).expect("made of text")
        }
        assert_eq!(name::<Option<Vec<AccountId>>>(), "option<list<account>>");
        assert_eq!(name::<Vec<u8>>(), "bytes");
        assert_eq!(name::<Vec<String>>(), "list<string>");
    }
}
