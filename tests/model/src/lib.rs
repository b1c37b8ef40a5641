//! The ordering protocol of `chancery-consensus` as a model: four validators of which one lies, and
//! a checker (stateright) that visits *every* state within some bounds. It shares no code with what
//! it is a model of.
//!
//! # What is modelled
//!
//! Statements are never sent to anybody. A statement that was signed exists from then on, and each
//! step of a validator needs that some exist: whoever takes the step has received them, whoever does
//! not take it has not. That covers every delay, loss, duplicate and order of messages.
//!
//! | [`Action`](protocol::Action) | what it stands for | rules of `chancery-consensus` |
//! |---|---|---|
//! | `Propose` | the primary's fresh PRE-PREPARE | R2 |
//! | `Prepare` | a backup accepts a PRE-PREPARE: carried by NEW-VIEW, or fresh above all that is | R4, R11 |
//! | `Commit` | the prepared certificate is durable, COMMIT is signed | R6, R10 |
//! | `ChangeView` | VIEW-CHANGE for any higher view, at any time, with any base from low upwards that can be stable | R21, R22 |
//! | `SignNewView` | a correct primary's NEW-VIEW, from any quorum of VIEW-CHANGEs; with it, the PRE-PREPAREs it carries | R25 |
//! | `AcceptNewView` | a NEW-VIEW is recomputed and accepted, low rises to its base | R25, R26 |
//! | `Restart` | only where a [`Flaw`](protocol::Flaw) makes it lose something | R10, R19 |
//!
//! - **The liar** signs everything its key can sign, so it has no state: its PREPAREs and COMMITs
//!   count everywhere; as primary it proposes anything to anybody, and proves to each validator the
//!   NEW-VIEW it likes; its VIEW-CHANGEs carry any certificates that exist, or none. It cannot sign
//!   for others. Each of the four is the liar in turn.
//! - **A commit** (R7) needs nobody to see it: it is there as soon as its quorum of COMMITs is, of
//!   any one view. **A checkpoint** (R13, R14) can be certified as soon as its slot and all below are
//!   committed. Really it takes a quorum that executed them: so the model allows more.
//! - **A crash** loses nothing that a validator has here: its votes, prepared certificates,
//!   VIEW-CHANGEs, NEW-VIEW and low water mark are durable before they are relied on. What was not
//!   yet durable was not yet signed either, so a crash within a step is as if it was not taken; and
//!   a prepared certificate whose COMMIT was not sent is one whose COMMIT nobody received.
//! - **Left out** are rules that only forbid: the window, times of batches and having their bytes,
//!   the order of proposals, timers, the rule for joining a view change, and that a slot is voted on
//!   again only for what was executed. Without them there are more runs, all of them safe.
//!   Quarantine is left out too: a validator that forgot its votes is a liar to the others.
//!
//! Whether the protocol makes progress is not asked here; the simulator asks it.
//!
//! # One order instead of every order
//!
//! [`Order::Reduced`](model::Order::Reduced) explores view after view, and within a view the
//! VIEW-CHANGEs, the NEW-VIEW, who accepts it, then slot by slot proposal, PREPAREs and COMMITs.
//!
//! - *It loses no run.* A vote in view v needs what its signer accepted as NEW-VIEW(v), and votes for
//!   the same slot of the same view. NEW-VIEW(v) needs VIEW-CHANGEs for v. These tell of the signer's
//!   certificates of lower views only, and it signs no vote there any more. Statements only ever
//!   enable. So the steps of any run can be sorted into the one order, and the same votes, prepared
//!   certificates and commits result. The exception is the base of a VIEW-CHANGE, which may come
//!   from a commit in a later view; sorted, the base has to be lower. But a higher base changes
//!   nothing in what is selected above it, it only forbids votes up to it.
//! - *What no later step can see is dropped.* Of a view that is over: all but the certificates, and
//!   who keeps which. Of a slot that is done: its votes.
//! - *In the last view nobody leaves out a step.* More statements are only more certificates and
//!   commits, and properties that fail with fewer fail with more.
//! - *States are taken up to renaming* of the two batches of a slot, and of validators that lead no
//!   view to come.
//!
//! The tests compare it with [`Order::Any`](model::Order::Any) where that is small enough. Two flaws
//! make steps of different views depend on each other, and are explored in any order: votes that are
//! forgotten, and votes below a VIEW-CHANGE.
//!
//! # Numbers
//!
//! `cargo run --release -p chancery-model -- [--views V] [--slots S] [--flaw NAME] [--any-order]`
//!
//! All properties of [`model`] hold, on one core of a small cloud machine:
//!
//! | views | slots | order | states | time | memory |
//! |---|---|---|---|---|---|
//! | 2 | 1 | any | 43,401 | < 1 s | 9 MB |
//! | 3 | 1 | any | 7,307,814 | 46 s | 1.1 GB |
//! | 4 | 1 | reduced | 91,443 | 1 s | 16 MB |
//! | 2 | 3 | reduced | 417,190 | 3 s | 50 MB |
//! | 3 | 2 | reduced | 1,523,676 | 10 s | 150 MB |
#![forbid(unsafe_code)]

pub mod model;
pub mod protocol;
pub mod reduction;
pub mod selection;
pub mod state;
