//! The standard access interface: what any data service can ask of any contract that decides about
//! access, before it hands out a record.
//!
//! | method | answers |
//! |---|---|
//! | `view.decide(subject: account, action: string, resource: string, at: time)` | a [`Decision`] |
//! | `view.count()` | how many entries the index has: `u64` |
//! | `view.entry(number: u64)` | an [`AccessEntry`], or none beyond the count |
//!
//! `#[contract(access)]` checks that a contract has them in this shape. `decide` is enough; without
//! the other two, what was granted is not enumerable. An answer is about the state as it stands:
//! asked for a moment gone by, it permits only what was granted by then and still is. Nothing is
//! permitted unless it was granted, and a trap is a denial.
//!
//! Who asks about *now* asks about the later of its own clock and the newest block's time, as
//! `chancery access check` does: by a clock that is behind, what was granted just now has not begun.
//!
//! [`AccessIndex`] keeps the entries, each under a key of its own, numbered from 0 in the order of
//! granting, never removed and never used again; one that was revoked before its end says so. A proof
//! of the count and of entries 0 to count - 1 is therefore a proof of everything that was ever granted.
//!
//! ```
//! use chancery_contract::access::{self, AccessEntry, AccessIndex, Decision, Grant};
//! use chancery_contract::{AccountId, Env, Item, Millis, TestEnv, contract};
//!
//! pub struct Reports;
//!
//! const OWNER: Item<AccountId> = Item::new("owner");
//!
//! /// Who deployed the contract lets others read reports.
//! #[contract(access)]
//! impl Reports {
//!     #[init]
//!     pub fn init(env: &mut Env) {
//!         OWNER.set(env, &env.caller().account().expect("only accounts deploy"));
//!     }
//!
//!     #[call]
//!     pub fn share(env: &mut Env, with: AccountId, report: String, until: Millis) {
//!         let owner = OWNER.get(env).expect("init stores it");
//!         assert!(env.caller() == owner && access::is_resource(&report));
//!         AccessIndex::grant(env, Grant::new(owner, with, "read", &report, until));
//!     }
//!
//!     #[view]
//!     pub fn decide(
//!         env: &Env,
//!         subject: AccountId,
//!         action: String,
//!         resource: String,
//!         at: Millis,
//!     ) -> Decision {
//!         AccessIndex::decide(env, subject, &action, &resource, at)
//!     }
//!
//!     #[view]
//!     pub fn count(env: &Env) -> u64 {
//!         AccessIndex::count(env)
//!     }
//!
//!     #[view]
//!     pub fn entry(env: &Env, number: u64) -> Option<AccessEntry> {
//!         AccessIndex::entry(env, number)
//!     }
//! }
//!
//! let (friend, until) = (TestEnv::account("friend"), Millis(2_000_000));
//! let mut test = TestEnv::new();
//! test.call(Reports::init);
//! test.call(|env| Reports::share(env, friend, "2026/11".to_owned(), until));
//! let decide = |action: &str, at| {
//!     let (action, report) = (action.to_owned(), "2026/11".to_owned());
//!     test.view(|env| Reports::decide(env, friend, action, report, at))
//! };
//! assert_eq!(decide("read", Millis(1_999_999)), Decision::Permit { until });
//! assert!(!decide("read", until).permits());
//! assert!(!decide("write", Millis(1_999_999)).permits());
//! ```

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::iter;

use crate::{AccountId, Millis, contract_type};

mod index;

pub use index::{AccessIndex, Granted, NotPassedOn};

/// Where the count stands: `u64`. A contract without it has granted nothing.
pub const COUNT_KEY: &str = "access/count";
/// Before the number of an entry, as `u64`: an [`AccessEntry`].
pub const ENTRY_PREFIX: &str = "access/entry/";
/// Before the SHA-256 of SCALE (subject, action, resource): the number of the entry that stands for
/// them, as `u64`. Where there is no such key, nothing is granted.
pub const STANDING_PREFIX: &str = "access/standing/";

/// The resource that contains all others.
pub const EVERYTHING: &str = "*";
/// How often what was granted may be passed on from one to the next, at most.
pub const PASSES_MAX: u8 = 7;
/// The longest name of a resource or an action, in bytes.
pub const NAME_BYTES_MAX: usize = 192;
/// Parts of a resource's name, between slashes.
pub const PARTS_MAX: usize = 8;

/// Whether access is allowed.
#[contract_type]
pub enum Decision {
    /// It is, and stays so until then (exclusive) unless it is revoked.
    Permit { until: Millis },
    /// It is not.
    Deny { reason: String },
}

impl Decision {
    /// A denial in these words.
    #[must_use]
    pub fn deny(reason: &str) -> Self {
        Self::Deny {
            reason: reason.to_owned(),
        }
    }

    /// Whether it is a permission.
    #[must_use]
    pub fn permits(&self) -> bool {
        matches!(self, Self::Permit { .. })
    }

    /// What is allowed where either of two ways is enough: the permission that lasts longer, else
    /// the first denial.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Permit { until }, Self::Permit { until: longer }) if longer > until => other,
            (Self::Deny { .. }, Self::Permit { .. }) => other,
            _ => self,
        }
    }
}

/// What was granted, and what became of it.
#[contract_type]
pub struct AccessEntry {
    /// To whom.
    pub subject: AccountId,
    /// What the subject may do, such as `read`.
    pub action: String,
    /// With what.
    pub resource: String,
    /// From then on (inclusive).
    pub from: Millis,
    /// Until then (exclusive).
    pub until: Millis,
    /// Who granted it.
    pub granted_by: AccountId,
    /// The entry that it was passed on from: it holds only while that one does.
    pub under: Option<u64>,
    /// How often it may be passed on from here.
    pub passes_max: u8,
    /// When it was revoked or replaced, if it was before its end.
    pub revoked_at: Option<Millis>,
}

impl AccessEntry {
    /// The decision of this entry alone.
    fn decide(&self, at: Millis) -> Decision {
        if self.revoked_at.is_some() {
            Decision::deny("revoked")
        } else if at < self.from {
            Decision::deny("not begun")
        } else if at >= self.until {
            Decision::deny("expired")
        } else {
            Decision::Permit { until: self.until }
        }
    }
}

/// What is to be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who grants it.
    pub granted_by: AccountId,
    /// To whom.
    pub subject: AccountId,
    /// What the subject may do.
    pub action: String,
    /// With what.
    pub resource: String,
    /// From then on (inclusive), but not before the block that grants it.
    pub from: Millis,
    /// Until then (exclusive).
    pub until: Millis,
    /// The entry that it is passed on from.
    pub under: Option<u64>,
    /// How often it may be passed on from here.
    pub passes_max: u8,
}

impl Grant {
    /// From now on until then (exclusive), from nobody else's grant, not to be passed on.
    #[must_use]
    pub fn new(
        granted_by: AccountId,
        subject: AccountId,
        action: &str,
        resource: &str,
        until: Millis,
    ) -> Self {
        Self {
            granted_by,
            subject,
            action: action.to_owned(),
            resource: resource.to_owned(),
            from: Millis(0),
            until,
            under: None,
            passes_max: 0,
        }
    }
}

/// Whether a text names an action: 1 to [`NAME_BYTES_MAX`] bytes, none of them ASCII's blanks and
/// control characters, `%`, `;` or `\`, and not [`EVERYTHING`]: there is no name for all actions.
#[must_use]
pub fn is_name(text: &str) -> bool {
    // Bytes, here and below: searching texts would be a tenth of a contract's module.
    let is_plain = |byte: u8| byte > b' ' && !matches!(byte, 0x7f | b'%' | b';' | b'\\');
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain) && text != EVERYTHING
}

/// Whether a text names a resource: [`EVERYTHING`], or 1 to [`PARTS_MAX`] parts with slashes between,
/// none of them empty, [`EVERYTHING`], `.` or `..`, and the whole made of what [names](is_name) are
/// made of. So no name leads out of what contains it, whoever reads it as a path or in an URL.
#[must_use]
pub fn is_resource(text: &str) -> bool {
    let parts = || text.as_bytes().split(|byte| *byte == b'/');
    let sound = |part: &[u8]| !matches!(part, b"" | b"*" | b"." | b"..");
    text == EVERYTHING || (is_name(text) && parts().count() <= PARTS_MAX && parts().all(sound))
}

/// A resource and all that contain it, `labs/2026/11` first, then `labs/2026`, `labs` and
/// [`EVERYTHING`].
pub fn containing(resource: &str) -> impl Iterator<Item = &str> {
    let parts = iter::successors(Some(resource), |part| {
        let slash = part.bytes().rposition(|byte| byte == b'/')?;
        part.get(..slash)
    });
    let everything = (resource != EVERYTHING).then_some(EVERYTHING);
    parts.chain(everything)
}
