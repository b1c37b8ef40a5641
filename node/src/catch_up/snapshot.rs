//! Joining by a snapshot: a validator that is thousands of blocks behind, or whose ledger is gone,
//! takes over the state after a certified block instead of making it.
//!
//! - **S1** A snapshot is of a height h with a certificate of exactly that height. It consists of
//!   the header of h, the edge of the header log before it, the transactions executed in the blocks
//!   up to h that may still be repeated, and the state after h.
//! - **S2** Whoever joins asks one validator, one question at a time, each answered by one bounded
//!   part. Every question says where to go on, so it may be asked again after a lost connection (an
//!   answer to an earlier question is not looked at); nothing else is remembered of it by the one who
//!   answers.
//! - **S3** The offer holds if the certificate does, and the edge with the header of h appended has
//!   the certified root. So header, state root and number of entries are the quorum's word.
//! - **S4** Blocks come newest first: the first one hashes to the header of h, each next one to the
//!   parent of the one before, and the transactions of each have the root and the number that its
//!   header says. So each is checked as it comes.
//! - **S5** Blocks end with the first that is so old that nothing executed in it could be executed
//!   again after h (`time + valid_for_ms_max < time of h`), or above the newest certified block that
//!   is here already, whose hash is then the parent; what comes behind the end is not looked at. The replay set follows from them and from what
//!   is here; nobody's word is taken for it.
//! - **S6** The state comes in ascending order of the key's hash, until there are as many entries as
//!   the header of h says. Parts cannot be checked one by one: the root of all of them is, at the
//!   end. If it is not the header's, all is thrown away and the one who served it is not asked again
//!   for a while.
//! - **S7** What comes is written to staging tables of the ledger's own file, which nothing reads.
//!   One transaction of the database puts it all in place: the state, the replay set, the header,
//!   the log's edge, the certificate. Before it, and after a crash in between, the ledger is what it
//!   was. It also removes blocks that were executed here and are not certified: what is kept below
//!   the snapshot is certified.
//! - **S8** From then on the ledger goes on as any other. Of blocks below h there is what was there
//!   before; what is missing is reported as missing by a snapshot, never as unknown, and is not
//!   served. The log's edge is enough to prove every block from h on.
//! - **S9** Who serves keeps one consistent view of its database for each peer that reads one
//!   ([`super::offers`]), for a limited time, whatever is executed meanwhile.

use chancery_ledger::block::transactions_root;
use chancery_ledger::checkpoint::CertificateError;
use chancery_ledger::header_log::{HeaderLog, LogNode};
use chancery_ledger::state_tree::key_hash;
use chancery_ledger::{ChainId, Hash, Header, Height, Millis, TransactionId, ValidatorSet};

use crate::store::{StagedEntry, TransactionPlace};
use crate::wire::{PastBlock, SnapshotOffer, SnapshotRequest, StateEntry};

/// Why a part of a snapshot is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not above what is here.
    #[error("a snapshot of height {height} was offered, block {have} is here already")]
    NotAhead {
        /// Of the offer.
        height: Height,
        /// The newest block here.
        have: Height,
    },
    /// Header, log edge and certificate are not of one height.
    #[error(
        "the header offered is of height {header}, the certificate of {certified}, the log has {leaves} leaves before it"
    )]
    Heights {
        /// The header's.
        header: Height,
        /// The certificate's.
        certified: Height,
        /// The edge's.
        leaves: u64,
    },
    /// The certificate does not hold (S3).
    #[error("the certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The log that ends with the header offered is not the certified one (S3).
    #[error("the log offered has root {given}, certified is {certified}")]
    OtherLog {
        /// With the header appended.
        given: Hash,
        /// The certificate's.
        certified: Hash,
    },
    /// A part that was not asked for, or an empty one.
    #[error("a part that was not asked for")]
    Unexpected,
    /// A block that is not the next one (S4).
    #[error("block {height} is not the one with hash {expected}")]
    NotAChain {
        /// What it says of itself.
        height: Height,
        /// The one that was to come.
        expected: Hash,
    },
    /// Transactions that are not those of the header (S4).
    #[error("the transactions of block {height} are not those of its header")]
    OtherTransactions {
        /// The block.
        height: Height,
    },
    /// An entry out of order, or without a value (S6).
    #[error("entry {count} of the state is out of order or empty")]
    Entry {
        /// Entries that came before it.
        count: u64,
    },
    /// More entries than the header says (S6).
    #[error("more entries than the {expected} of the state")]
    TooManyEntries {
        /// The header's word.
        expected: u64,
    },
    /// The state is not the certified one (S6).
    #[error("the state has root {given}, certified is {certified}")]
    OtherState {
        /// Of what came.
        given: Hash,
        /// The header's.
        certified: Hash,
    },
}

/// The newest block here that is certified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Its height; 0 if there is genesis only.
    pub height: Height,
    /// Its header's hash.
    pub hash: Hash,
}

/// What came of some blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// To be staged.
    Transactions(Vec<(TransactionId, TransactionPlace)>),
    /// The certified chain does not contain the certified block that is here: one of the two
    /// quorums has lied, or this validator is wrong.
    Contradicts {
        /// What the certified chain has at the floor's height.
        certified: Hash,
    },
}

/// A snapshot on its way here: what was verified of it, and what comes next.
#[derive(Debug)]
pub struct Join {
    offer: SnapshotOffer,
    /// With the header of the offer.
    log: HeaderLog,
    log_nodes: Vec<LogNode>,
    floor: Floor,
    valid_for: Millis,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// The block with this hash comes next; `below` came last.
    Blocks { below: Height, expected: Hash },
    /// This many entries came, the last one at `after`.
    State { after: Option<Hash>, count: u64 },
}

impl Join {
    /// Begins with an offer: S3. `have` is the newest block here.
    ///
    /// # Errors
    /// The first rule that the offer breaks.
    pub fn begin(
        offer: SnapshotOffer,
        (have, floor): (Height, Floor),
        (chain, validators): (ChainId, &ValidatorSet),
        valid_for: Millis,
    ) -> Result<Self, SnapshotError> {
        let SnapshotOffer {
            header,
            certificate,
            log,
        } = &offer;
        let height = header.height;
        if height <= have {
            return Err(SnapshotError::NotAhead { height, have });
        }
        let certified = certificate.statement.height;
        if certified != height || log.size() != height.0 {
            return Err(SnapshotError::Heights {
                header: height,
                certified,
                leaves: log.size(),
            });
        }
        certificate.verify(chain, validators)?;
        let mut log_nodes = log.peaks();
        let mut log = log.clone();
        let expected = header.hash();
        log_nodes.extend(log.append(expected));
        let (given, certified) = (log.root(), certificate.statement.root);
        if given != certified {
            return Err(SnapshotError::OtherLog { given, certified });
        }
        let below = height.next();
        Ok(Self {
            offer,
            log,
            log_nodes,
            floor,
            valid_for,
            phase: Phase::Blocks { below, expected },
        })
    }

    /// The block whose state comes.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.offer.header
    }

    /// What was offered.
    #[must_use]
    pub fn offer(&self) -> &SnapshotOffer {
        &self.offer
    }

    /// The header log with the block, and the nodes of it that are known.
    #[must_use]
    pub fn log(&self) -> (&HeaderLog, &[LogNode]) {
        (&self.log, &self.log_nodes)
    }

    /// What was certified here when this began.
    #[must_use]
    pub fn floor(&self) -> Floor {
        self.floor
    }

    /// What to ask for next; `None` once everything is here.
    #[must_use]
    pub fn next_request(&self) -> Option<SnapshotRequest> {
        let height = self.offer.header.height;
        match self.phase {
            Phase::Blocks { below, .. } => Some(SnapshotRequest::Blocks { height, below }),
            Phase::State { count, .. } if count == self.offer.header.state_count => None,
            Phase::State { after, .. } => Some(SnapshotRequest::State { height, after }),
        }
    }

    /// Takes blocks: S4, S5.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn take_blocks(
        &mut self,
        height: Height,
        blocks: &[PastBlock],
    ) -> Result<Past, SnapshotError> {
        let is_next = height == self.offer.header.height && !blocks.is_empty();
        if !is_next || matches!(self.phase, Phase::State { .. }) {
            return Err(SnapshotError::Unexpected);
        }
        let mut executed = Vec::new();
        for block in blocks {
            let Phase::Blocks { expected, .. } = self.phase else {
                // The server does not know what is here already.
                break;
            };
            let PastBlock {
                header,
                transactions,
            } = block;
            let height = header.height;
            if header.hash() != expected {
                return Err(SnapshotError::NotAChain { height, expected });
            }
            if usize::try_from(header.transactions_count) != Ok(transactions.len())
                || transactions_root(transactions) != header.transactions_root
            {
                return Err(SnapshotError::OtherTransactions { height });
            }
            executed.extend((0..).zip(transactions).map(|(index, transaction)| {
                let place = TransactionPlace { height, index };
                (transaction.id(), place)
            }));
            let reaches_floor = height <= self.floor.height.next();
            if reaches_floor && header.parent != self.floor.hash {
                let certified = header.parent;
                return Ok(Past::Contradicts { certified });
            }
            let is_past = header.time.saturating_add(self.valid_for) < self.offer.header.time;
            self.phase = if reaches_floor || is_past {
                Phase::State {
                    after: None,
                    count: 0,
                }
            } else {
                Phase::Blocks {
                    below: height,
                    expected: header.parent,
                }
            };
        }
        Ok(Past::Transactions(executed))
    }

    /// Takes entries of the state: S6. The root is checked where they are staged.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn take_entries(
        &mut self,
        height: Height,
        entries: Vec<StateEntry>,
    ) -> Result<Vec<StagedEntry>, SnapshotError> {
        let expected = self.offer.header.state_count;
        let Phase::State { after, count } = &mut self.phase else {
            return Err(SnapshotError::Unexpected);
        };
        if height != self.offer.header.height || entries.is_empty() {
            return Err(SnapshotError::Unexpected);
        }
        let mut staged = Vec::with_capacity(entries.len());
        for StateEntry { key, value } in entries {
            if *count == expected {
                return Err(SnapshotError::TooManyEntries { expected });
            }
            let key_hash = key_hash(&key);
            if value.is_empty() || after.is_some_and(|after| key_hash <= after) {
                return Err(SnapshotError::Entry { count: *count });
            }
            *after = Some(key_hash);
            *count += 1;
            staged.push(StagedEntry {
                key_hash,
                key,
                value,
            });
        }
        Ok(staged)
    }
}
