//! What can be wrong with a store, and the one way in which a failed one ends the process.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

use chancery_ledger::ChainId;

/// Why there is no store to work with. After an error of [`super::Store::commit`] what is durable
/// is not known: the process must end.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file.
    #[error("{path} is missing")]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A new ledger never replaces what is there.
    #[error("{path} exists already")]
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
    /// The file is something else.
    #[error("this is not a ledger: {reason}")]
    NotALedger {
        /// What it lacks.
        reason: &'static str,
    },
    /// Written by a version that this one does not know.
    #[error(
        "the ledger has format {found}, this version knows {supported}: use the version that made it, or move it away, and the node fetches the blocks again from the others"
    )]
    Schema {
        /// What the file says.
        found: u16,
        /// What is known.
        supported: u16,
    },
    /// The ledger of another chain.
    #[error("the ledger is of chain {found}, not of {expected}")]
    OtherChain {
        /// What the file says.
        found: ChainId,
        /// Which was asked for.
        expected: ChainId,
    },
    /// What was written is not what is read.
    #[error("the ledger is damaged: {reason}")]
    Damaged {
        /// What is wrong; never the content.
        reason: String,
    },
    /// The system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// The system's word.
        source: io::Error,
    },
    /// The database below refused.
    #[error("{doing}: {source}")]
    Database {
        /// What was attempted.
        doing: &'static str,
        /// Its word.
        source: Box<redb::Error>,
    },
}

impl StoreError {
    pub(super) fn database(doing: &'static str, error: redb::Error) -> Self {
        match error {
            redb::Error::Corrupted(reason) => Self::Damaged { reason },
            redb::Error::Io(source) => Self::Io { doing, source },
            error => {
                let source = Box::new(error);
                Self::Database { doing, source }
            }
        }
    }

    pub(super) fn damaged(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::Damaged { reason }
    }
}

static END: OnceLock<fn(&dyn std::error::Error) -> !> = OnceLock::new();

/// From now on [`storage_failed`] calls `end` first, which may unwind: for a process that several
/// validators live in, of which one is to end. The first call counts.
pub fn end_by_unwinding(end: fn(&dyn std::error::Error) -> !) {
    END.get_or_init(|| end);
}

/// The exit code of a process that its disk failed (`EX_IOERR` of sysexits).
pub const STORAGE_FAILED_EXIT_CODE: i32 = 74;

/// Ends the process because the disk failed, with exit code [`STORAGE_FAILED_EXIT_CODE`].
///
/// A failed disk is never tried again: after a failed sync the system may report success for data
/// that it has thrown away (Rebello et al., "Can Applications Recover from fsync Failures?",
/// ATC 2020), and a validator that goes on reading what it cannot read would vote for a state of
/// its own. Look at the disk before starting the node again.
pub fn storage_failed(error: &dyn std::error::Error) -> ! {
    if let Some(end) = END.get() {
        end(error);
    }
    tracing::error!(%error, "the storage failed; this process ends");
    std::process::exit(STORAGE_FAILED_EXIT_CODE)
}
