//! C2SP `signed-note`: a text with signature lines, and the `vkey` texts of the keys that verify
//! them.
//!
//! - A note is a text that ends in a newline, an empty line, and one or more lines
//!   `— NAME BASE64(id || signature)`. The last empty line separates the two. No ASCII control
//!   character but the newline occurs.
//! - A vkey is `NAME+HEX(id)+BASE64(kind || key)`. The id is the first four bytes of
//!   SHA-256(NAME || 0x0A || kind || key).
//! - Kind 0x01 signs the note's text. Kind 0x04 (`tlog-cosignature`, "cosignature/v1") signs
//!   `"cosignature/v1\ntime " seconds "\n"` and the text; its signature is eight bytes of seconds,
//!   big-endian, and the 64 of Ed25519. Both are verified by the strict rule
//!   ([`PublicKey::verify_strict`]).
//!
//! Signatures by unknown keys are ignored, as the specification demands; one by a known key that
//! does not verify spoils the note.

use core::fmt;
use core::str::FromStr;

use crate::hash::sha256_concat;
use crate::text::{from_base64, shortened, to_base64};
use crate::{PublicKey, Signature};

/// The longest note that is read.
pub const NOTE_BYTES_MAX: usize = 65_536;

/// The most signature lines of a note that is read.
pub const NOTE_SIGNATURES_MAX: usize = 128;

/// What a key signs, as the number in its vkey.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum KeyKind {
    /// The note's text.
    Note = 0x01,
    /// The note's text and a time: "cosignature/v1".
    Cosignature = 0x04,
}

/// The first bytes of the hash of a key and its name.
pub type KeyId = [u8; 4];

/// A key that verifies signature lines of notes; its text is a vkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    key: PublicKey,
}

/// Why a text is not a vkey.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// Not `NAME+ID+KEY`.
    #[error("{text:?} is not a verifier key (NAME+ID+KEY)")]
    Form {
        /// What was given, shortened.
        text: String,
    },
    /// A name that is empty or has a space or a plus in it.
    #[error("{name:?} cannot name a key: it is empty or has a space, plus or control character")]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// A key of a kind that is not known here.
    #[error("the key of {name:?} is not an Ed25519 key of kind 1 or 4")]
    Kind {
        /// Whose, shortened.
        name: String,
    },
    /// Bytes that are not a key that may be trusted.
    #[error("the key of {name:?}: {error}")]
    Key {
        /// Whose, shortened.
        name: String,
        /// What the bytes break.
        error: crate::keys::KeyError,
    },
    /// An id that is another key's.
    #[error("the id of {name:?} does not belong to its key")]
    Id {
        /// Whose, shortened.
        name: String,
    },
}

impl VerifierKey {
    /// A key with its name.
    ///
    /// # Errors
    /// If the name cannot stand in a note.
    pub fn new(name: &str, kind: KeyKind, key: PublicKey) -> Result<Self, VerifierKeyError> {
        if !is_key_name(name) {
            return Err(VerifierKeyError::Name {
                name: shortened(name),
            });
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            key,
        })
    }

    /// The name on its signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The key itself.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The id on its signature lines.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let kind = [self.kind as u8];
        let hash = sha256_concat(&[self.name.as_bytes(), b"\n", &kind, self.key.as_bytes()]);
        let [a, b, c, d, ..] = hash.0;
        [a, b, c, d]
    }

    /// Verifies what stands behind the id of a line on a note of `text`.
    ///
    /// Returns the time of a cosignature, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// If it does not verify.
    pub fn verify(
        &self,
        text: &str,
        signature: &[u8],
    ) -> Result<Option<u64>, crate::keys::SignatureError> {
        let refused = crate::keys::SignatureError;
        match self.kind {
            KeyKind::Note => {
                let signature = Signature(signature.try_into().map_err(|_| refused)?);
                self.key.verify_strict(text.as_bytes(), &signature)?;
                Ok(None)
            }
            KeyKind::Cosignature => {
                let (seconds, signature) = signature.split_first_chunk::<8>().ok_or(refused)?;
                let seconds = u64::from_be_bytes(*seconds);
                let signature = Signature(signature.try_into().map_err(|_| refused)?);
                if i64::try_from(seconds).is_err() {
                    return Err(refused);
                }
                self.key
                    .verify_strict(&cosigned_bytes(seconds, text), &signature)?;
                Ok(Some(seconds))
            }
        }
    }
}

/// What a cosigner signs about a note of `text`.
pub(crate) fn cosigned_bytes(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.kind as u8], &self.key.as_bytes()[..]].concat();
        let id = hex::encode(self.id());
        write!(f, "{}+{id}+{}", self.name, to_base64(&bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || VerifierKeyError::Form {
            text: shortened(text),
        };
        // The key comes last because base64 may itself have a plus in it.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let bytes = from_base64(key).ok_or_else(form)?;
        let named = || shortened(name);
        let (kind, key) = match bytes.split_first() {
            Some((1, key)) => (KeyKind::Note, key),
            Some((4, key)) => (KeyKind::Cosignature, key),
            _ => return Err(VerifierKeyError::Kind { name: named() }),
        };
        let key: [u8; 32] = key
            .try_into()
            .map_err(|_| VerifierKeyError::Kind { name: named() })?;
        let key = PublicKey::try_from(key).map_err(|error| VerifierKeyError::Key {
            name: named(),
            error,
        })?;
        let verifier = Self::new(name, kind, key)?;
        if hex::encode(verifier.id()) != id {
            return Err(VerifierKeyError::Id { name: named() });
        }
        Ok(verifier)
    }
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && !name
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

/// A signature line, not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The name of the key.
    pub name: String,
    /// The id of the key.
    pub id: KeyId,
    /// As its kind of key makes it.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    /// The line that `signature` makes under the name and id of `key`.
    #[must_use]
    pub fn new(key: &VerifierKey, signature: Vec<u8>) -> Self {
        Self {
            name: key.name.clone(),
            id: key.id(),
            signature,
        }
    }

    /// Whether the line claims to be of `key`.
    #[must_use]
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id()
    }
}

/// A text with signature lines, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// With its final newline.
    pub text: String,
    /// In the order of the lines, at least one.
    pub signatures: Vec<NoteSignature>,
}

/// Why bytes are not a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Longer than [`NOTE_BYTES_MAX`].
    #[error("the note has {len} bytes, at most {NOTE_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// A control character other than the newline.
    #[error("the note has a control character in it")]
    ControlCharacter,
    /// No empty line between a text and signature lines, or no newline at the end.
    #[error("the note has no signatures: an empty line and lines that begin with a dash")]
    NoSignatures,
    /// More lines than [`NOTE_SIGNATURES_MAX`].
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signature lines")]
    TooManySignatures,
    /// A line that is not `— NAME BASE64`.
    #[error("signature line {line} is not a dash, a name and base64")]
    SignatureLine {
        /// Counted from 1.
        line: usize,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            let bytes = [&line.id, &line.signature[..]].concat();
            writeln!(f, "— {} {}", line.name, to_base64(&bytes))?;
        }
        Ok(())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { len: note.len() });
        }
        if note.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
        let signatures: Vec<NoteSignature> = (1..)
            .zip(lines.split('\n'))
            .take(NOTE_SIGNATURES_MAX + 1)
            .map(|(line, text)| signature_line(text).ok_or(NoteError::SignatureLine { line }))
            .collect::<Result<_, _>>()?;
        if signatures.len() > NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }
}

fn signature_line(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix("— ")?.split_once(' ')?;
    if !is_key_name(name) {
        return None;
    }
    let bytes = from_base64(base64)?;
    let (id, signature) = bytes.split_first_chunk::<4>()?;
    if signature.is_empty() {
        return None;
    }
    Some(NoteSignature {
        name: name.to_owned(),
        id: *id,
        signature: signature.to_vec(),
    })
}
