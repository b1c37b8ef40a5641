//! C2SP `tlog-proof`: that a leaf stands at an index of a log, under a checkpoint. Lines:
//! `c2sp.org/tlog-proof@v1`, `index N`, the inclusion path in base64 (one hash a line, the lowest
//! first), an empty line, and the checkpoint as a signed note, verbatim.
//!
//! The format's `extra` line is refused: nothing signs it.

use core::fmt;
use core::str::FromStr;

use crate::Hash;
use crate::note::{NOTE_BYTES_MAX, Note, NoteError};
use crate::text::{from_base64, from_decimal, to_base64};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// The longest inclusion path: two for each bit of a tree size are never needed.
const PATH_LEN_MAX: usize = 128;

/// The parts of a proof, none of them verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Of the leaf, counted from 0.
    pub index: u64,
    /// From the leaf's sibling up to a child of the root.
    pub path: Vec<Hash>,
    /// The checkpoint that holds the root.
    pub checkpoint: Note,
}

/// Why a text is not a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// Longer than any proof.
    #[error("the tlog-proof has {len} bytes, more than any proof")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// Another first line.
    #[error("the tlog-proof does not begin with {FIRST_LINE:?}")]
    FirstLine,
    /// No `index N` in the second line.
    #[error("the second line of the tlog-proof is not an index")]
    Index,
    /// A line of the path that is not one hash.
    #[error("line {line} of the inclusion path is not a hash in base64")]
    Path {
        /// Counted from 1.
        line: usize,
    },
    /// More lines than any path has.
    #[error("the inclusion path has more than {PATH_LEN_MAX} lines")]
    PathTooLong,
    /// No empty line behind the path.
    #[error("the tlog-proof ends without a checkpoint")]
    NoCheckpoint,
    /// What should be the checkpoint is not a note.
    #[error("the checkpoint is not a signed note: {0}")]
    Note(#[from] NoteError),
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", to_base64(&hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = TlogProofError;

    fn from_str(text: &str) -> Result<Self, TlogProofError> {
        if text.len() > 2 * NOTE_BYTES_MAX {
            return Err(TlogProofError::TooLong { len: text.len() });
        }
        let rest = text
            .strip_prefix(FIRST_LINE)
            .and_then(|rest| rest.strip_prefix('\n'))
            .ok_or(TlogProofError::FirstLine)?;
        let (index, mut rest) = rest.split_once('\n').ok_or(TlogProofError::Index)?;
        let index = index
            .strip_prefix("index ")
            .and_then(from_decimal)
            .ok_or(TlogProofError::Index)?;
        let mut path = Vec::new();
        loop {
            let (line, after) = rest.split_once('\n').ok_or(TlogProofError::NoCheckpoint)?;
            rest = after;
            if line.is_empty() {
                break;
            }
            if path.len() == PATH_LEN_MAX {
                return Err(TlogProofError::PathTooLong);
            }
            path.push(hash_from_base64(line).ok_or(TlogProofError::Path {
                line: path.len() + 1,
            })?);
        }
        Ok(Self {
            index,
            path,
            checkpoint: rest.parse()?,
        })
    }
}

/// A hash in canonical base64.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    Some(Hash(from_base64(text)?.try_into().ok()?))
}
