//! Validators that lie. A liar is an honest process whose frames pass through somebody who holds
//! its key: it hears what the process hears, and may hold back, change, add and forge. Each way of
//! lying is a file of its own.

use std::sync::Arc;

use chancery_consensus::{Body, SignedMessage};
use chancery_ledger::{Batch, ChainId, Epoch, SecretKey, ValidatorIndex, Verified};

use crate::fixture;
use crate::node::Frame;
use crate::random::Random;
use crate::schedule::Schedule;

/// What a liar has besides its process.
#[derive(Debug)]
pub struct Mouth {
    /// Which validator it is.
    pub own: ValidatorIndex,
    /// How many there are.
    pub validators: u16,
    /// How many decide.
    pub quorum: usize,
    /// Of which ledger.
    pub chain: ChainId,
    /// Virtual time.
    pub now_ms: u64,
    /// The base of the view timers.
    pub view_timeout_ms: u64,
    /// The chain's limits.
    pub limits: chancery_ledger::ChainLimits,
    /// Its own source of chance.
    pub random: Random,
    key: SecretKey,
    /// What leaves it: to whom, after how many ms, what.
    pub(crate) said: Vec<(ValidatorIndex, u64, Frame)>,
    pub(crate) counts: Vec<&'static str>,
}

/// A way of lying.
pub trait Liar: std::fmt::Debug {
    /// The honest process says `frame` to `to`. What the liar does not pass on is not said.
    fn speak(&mut self, mouth: &mut Mouth, to: ValidatorIndex, frame: Frame);

    /// The process hears this, whether by its own name or not.
    fn hear(&mut self, _mouth: &mut Mouth, _from: ValidatorIndex, _frame: &Frame) {}

    /// Time passes: about every 50 ms.
    fn tick(&mut self, _mouth: &mut Mouth) {}
}

macro_rules! kinds {
    ($($module:ident: $kind:ident),* $(,)?) => {
        $(mod $module;)*

        /// Every way of lying.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum LieKind {
            $(#[doc = concat!("See the file `", stringify!($module), ".rs`.")] $kind,)*
        }

        impl LieKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The name of its file.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($module),)*
                }
            }

            /// A liar of this kind.
            #[must_use]
            pub fn make(self, random: &mut Random) -> Box<dyn Liar> {
                match self {
                    $(Self::$kind => Box::new($module::$kind::new(random)),)*
                }
            }
        }
    };
}

kinds! {
    equivocating_primary: EquivocatingPrimary,
    conflicting_votes: ConflictingVotes,
    withheld_batch: WithheldBatch,
    stale_replay: StaleReplay,
    forged_view_change: ForgedViewChange,
    two_new_views: TwoNewViews,
    huge_views: HugeViews,
    view_change_spam: ViewChangeSpam,
    lying_server: LyingServer,
    lying_status: LyingStatus,
    slow_primary: SlowPrimary,
    censoring_primary: CensoringPrimary,
    wrong_checkpoint: WrongCheckpoint,
    impersonation: Impersonation,
    mutator: Mutator,
    silent: Silent,
}

impl LieKind {
    /// Any, but those that two quorums are to withstand more often.
    pub(crate) fn draw(random: &mut Random) -> Self {
        const WORST: [LieKind; 4] = [
            LieKind::EquivocatingPrimary,
            LieKind::EquivocatingPrimary,
            LieKind::TwoNewViews,
            LieKind::ConflictingVotes,
        ];
        let from: &[Self] = if random.percent(30) {
            &WORST
        } else {
            Self::ALL
        };
        *random.pick(from).expect("there are some")
    }
}

impl Mouth {
    pub(crate) fn new(
        own: ValidatorIndex,
        chain: ChainId,
        schedule: &Schedule,
        random: Random,
    ) -> Self {
        let limits = fixture::limits(schedule.window);
        Self {
            own,
            validators: schedule.validators,
            quorum: schedule.quorum(),
            chain,
            now_ms: 0,
            view_timeout_ms: schedule.view_timeout_ms,
            limits,
            random,
            key: fixture::consensus_key(own.0),
            said: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// Says it now.
    pub fn say(&mut self, to: ValidatorIndex, frame: Frame) {
        self.said.push((to, 0, frame));
    }

    /// Says it later.
    pub fn say_after(&mut self, ms: u64, to: ValidatorIndex, frame: Frame) {
        self.said.push((to, ms, frame));
    }

    /// Says it to every other validator.
    pub fn say_to_all(&mut self, frame: &Frame) {
        for to in self.others() {
            self.say(to, frame.clone());
        }
    }

    /// Whether it proposes in that view.
    #[must_use]
    pub fn is_primary(&self, view: chancery_ledger::View) -> bool {
        view.0 % u64::from(self.validators) == u64::from(self.own.0)
    }

    /// Every other validator.
    pub fn others(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        let own = self.own;
        (0..self.validators)
            .map(ValidatorIndex)
            .filter(move |index| *index != own)
    }

    /// `body`, signed with the liar's key under its own name.
    #[must_use]
    pub fn sign(&self, body: Body) -> SignedMessage {
        self.sign_as(self.own, body)
    }

    /// `body`, signed with the liar's key under any name.
    #[must_use]
    pub fn sign_as(&self, from: ValidatorIndex, body: Body) -> SignedMessage {
        let epoch = Epoch(0);
        let signature = self.key.sign(&body.signed_bytes(self.chain, epoch));
        SignedMessage {
            chain: self.chain,
            epoch,
            from,
            body,
            signature,
        }
    }

    /// An empty batch that differs from `other` in its time, by a little.
    ///
    /// # Panics
    /// Never: no limit refuses a batch without transactions.
    pub fn other_batch(&mut self, other: chancery_ledger::Millis) -> Arc<Verified<Batch>> {
        let time = chancery_ledger::Millis(other.0 + self.random.between(1, 1_000));
        let batch = Batch::of_verified(time, Vec::new(), &self.limits);
        Arc::new(batch.expect("an empty batch is well-formed"))
    }

    /// Worth counting: it did what it is there for.
    pub fn count(&mut self, what: &'static str) {
        self.counts.push(what);
    }
}

/// The message of a frame.
#[must_use]
pub fn message_of(frame: &Frame) -> Option<&SignedMessage> {
    match frame {
        Frame::Message(message) => Some(message),
        Frame::Batch(_)
        | Frame::Transaction(_)
        | Frame::Ask { .. }
        | Frame::Blocks { .. }
        | Frame::Bytes { .. } => None,
    }
}
