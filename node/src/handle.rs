//! What the API and the network side of a running validator share: everything to read the ledger,
//! and the one way for a transaction to get in.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use chancery_consensus::{Now, Overview};
use chancery_genesis::Genesis;
use chancery_ledger::checkpoint::CheckpointCertificate;
use chancery_ledger::state_tree::StateTree;
use chancery_ledger::transaction::SignedTransaction;
use chancery_ledger::{
    ChainId, ChainLimits, Height, Millis, SecretKey, TransactionId, ValidatorIndex, ValidatorSet,
    Verified,
};
use chancery_runtime::Runtime;
use tokio::sync::{mpsc, watch};

use crate::evidence::EvidenceStore;
use crate::intake::{Intake, SubmitError};
use crate::metrics::Metrics;
use crate::network::{Lane, Network};
use crate::pool::{Origin, Pool};
use crate::store::Store;
use crate::threads::Input;
use crate::wire::BulkMessage;

/// The two clocks of a process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks now.
    #[must_use]
    pub fn now(&self) -> Now {
        let since_start =
            Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX));
        Now {
            since_start,
            clock: self.wall(),
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall(&self) -> Millis {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How far this validator is; published after every block and every checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// The newest executed block.
    pub height: Height,
    /// Everything up to here is certified by a quorum.
    pub final_height: Height,
    /// What certifies it; kept here because the store has it only with the next block.
    pub certificate: Option<CheckpointCertificate>,
    /// Why this validator stopped taking part, if it did.
    pub halted: Option<String>,
}

/// A running validator, as its API sees it.
#[derive(Debug)]
pub struct NodeHandle {
    /// The document this ledger began with.
    pub genesis: Arc<Genesis>,
    /// Its text, as the operator has it.
    pub genesis_toml: String,
    /// Its hash.
    pub chain: ChainId,
    /// The validators of this epoch.
    pub validators: ValidatorSet,
    /// This one's place among them.
    pub own: ValidatorIndex,
    /// Signs notes under the log's own name; gives no trust.
    pub log_key: SecretKey,
    /// Blocks and state.
    pub store: Arc<Store>,
    /// Runs contracts.
    pub runtime: Arc<Runtime>,
    /// What waits to be ordered.
    pub pool: Arc<Pool>,
    /// The connections to the other validators.
    pub network: Arc<Network>,
    /// How far this validator is.
    pub progress: watch::Receiver<Progress>,
    /// The tree over the newest state. It follows the store by a moment, or by some blocks while these
    /// are fetched; proofs of the state are made where the two agree.
    pub state: watch::Receiver<StateTree>,
    /// What the replica waits for.
    pub overview: watch::Receiver<Arc<Overview>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The clocks.
    pub clock: Clock,
    pub(crate) inputs: mpsc::Sender<Input>,
    /// Judges what comes in.
    pub intake: Intake,
    /// Proofs that validators lied.
    pub evidence: Arc<EvidenceStore>,
}

impl NodeHandle {
    /// The chain-wide limits.
    #[must_use]
    pub fn limits(&self) -> &ChainLimits {
        self.genesis.limits()
    }

    /// Takes a transaction of a client, if the newest state would admit it, and hands it to the
    /// primary.
    ///
    /// # Errors
    /// Why it was not taken; nothing of it is kept then.
    pub fn submit(&self, signed: Verified<SignedTransaction>) -> Result<(), SubmitError> {
        let primary = self.overview.borrow().primary;
        let relayed = (primary != self.own).then(|| (*signed).clone());
        let now = self.clock.now().since_start;
        self.intake.take(now, Origin::Client, signed)?;
        self.wake();
        if let Some(relayed) = relayed {
            let frame = BulkMessage::Transactions(vec![relayed]).to_frame();
            self.network.send(primary, Lane::Bulk, frame);
        }
        Ok(())
    }

    /// Tells the validator that there may be something to propose.
    pub(crate) fn wake(&self) {
        // A full channel means that it is awake anyway.
        let _ = self.inputs.try_send(Input::Wake);
    }

    /// Whether the transaction waits in this node's pool.
    #[must_use]
    pub fn is_pending(&self, id: &TransactionId) -> bool {
        self.pool.contains(id)
    }
}
