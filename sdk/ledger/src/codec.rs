//! Strict canonical SCALE: the only way by which bytes from outside become values.
//!
//! [`decode_canonical`] refuses what is longer than the caller allows, nested deeper than
//! [`DEPTH_MAX`], wants more memory than [`memory_max`] of its length, has bytes left over, or
//! does not encode to the very same bytes again (SCALE maps, sets and compact integers have
//! several encodings that decode to one value).
//!
//! Memory is counted before it is claimed, list by list. A list of things that take no bytes at all
//! would escape the count; no type here has any.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode, Error, Input, MemTrackingInput};

/// How deep lists and boxes from outside may nest. Ours nest lists in lists, no deeper than 6.
pub const DEPTH_MAX: u32 = 12;

/// How many bytes of memory decoding `len` bytes may claim.
#[must_use]
pub fn memory_max(len: usize) -> usize {
    len.saturating_mul(16).saturating_add(4096)
}

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the limit for this kind of value.
    #[error("{len} bytes, at most {len_max} are allowed")]
    TooLong {
        /// Length given.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// Not an encoding of the type, or over the depth or memory limit.
    #[error("not a valid encoding: {reason}")]
    Malformed {
        /// The decoder's words; they never contain the input.
        reason: String,
    },
    /// A value, followed by more bytes.
    #[error("{left} bytes are left over after the value")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
    /// Decodes to a value whose encoding is another.
    #[error("not the canonical encoding of its value")]
    NotCanonical,
}

/// An input that counts nesting, so that depth and memory are bounded in one pass.
struct DepthInput<'a, I> {
    inner: &'a mut I,
    depth: u32,
}

impl<I: Input> Input for DepthInput<'_, I> {
    fn remaining_len(&mut self) -> Result<Option<usize>, Error> {
        self.inner.remaining_len()
    }

    fn read(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.inner.read(into)
    }

    fn read_byte(&mut self) -> Result<u8, Error> {
        self.inner.read_byte()
    }

    fn descend_ref(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("nested deeper than the limit".into());
        }
        self.inner.descend_ref()
    }

    fn ascend_ref(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.inner.ascend_ref();
    }

    fn on_before_alloc_mem(&mut self, size: usize) -> Result<(), Error> {
        self.inner.on_before_alloc_mem(size)
    }
}

/// Decodes all of `bytes`, at most `len_max` of them, as the canonical encoding of a `T`.
///
/// # Errors
/// One [`CodecError`] for each rule of the module's page.
pub fn decode_canonical<T>(bytes: &[u8], len_max: usize) -> Result<T, CodecError>
where
    T: Decode + DecodeWithMemTracking + Encode,
{
    if bytes.len() > len_max {
        return Err(CodecError::TooLong {
            len: bytes.len(),
            len_max,
        });
    }
    let mut slice = bytes;
    let mut tracked = MemTrackingInput::new(&mut slice, memory_max(bytes.len()));
    let mut input = DepthInput {
        inner: &mut tracked,
        depth: 0,
    };
    let value = T::decode(&mut input).map_err(|e| CodecError::Malformed {
        reason: e.to_string(),
    })?;
    if !slice.is_empty() {
        return Err(CodecError::TrailingBytes { left: slice.len() });
    }
    if value.encode() != bytes {
        return Err(CodecError::NotCanonical);
    }
    Ok(value)
}
