//! What can be wrong with a vote log.

use std::io;
use std::path::PathBuf;

/// Why there is no vote log to work with. Any of these ends the process: a promise that may not be
/// durable must not be kept by hope, and a failed sync is never tried again.
#[derive(Debug, thiserror::Error)]
pub enum VoteLogError {
    /// A file is not there. Starting never makes one.
    #[error("{path} is missing: without its vote log a validator cannot know what it has promised")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// There is a log already.
    #[error("{path} exists already; a vote log is created only once")]
    AlreadyExists {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    Locked {
        /// Which file.
        path: PathBuf,
    },
    /// No file has a valid header.
    #[error("neither votes.a nor votes.b begins with the header of a vote log")]
    NoHeader,
    /// Written by a version that this one does not know.
    #[error("the vote log has format {found}, this version knows {supported}")]
    Version {
        /// What the header says.
        found: u16,
        /// What is known.
        supported: u16,
    },
    /// The log of another validator.
    #[error(
        "the vote log is of the consensus key {}, not of {}",
        Hex(found),
        Hex(expected)
    )]
    OtherOwner {
        /// What the header says.
        found: [u8; 32],
        /// Whose was asked for.
        expected: [u8; 32],
    },
    /// Something that was durable is not what was written.
    #[error("{file} is damaged at byte {offset}: {reason}")]
    Damaged {
        /// Which of the two files.
        file: &'static str,
        /// Where.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A record over the limit; nothing was written.
    #[error("a record of {len} bytes, at most {len_max} are allowed")]
    RecordTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        len_max: usize,
    },
    /// An earlier write or sync failed: what is durable is not known any more.
    #[error("the vote log failed before and cannot be used until it is opened again")]
    FailedBefore,
    /// The system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
}

struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
