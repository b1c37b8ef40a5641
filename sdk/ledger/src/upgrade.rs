//! Who may put other code in the place of a contract's, and what they agree to.
//!
//! 1. It is chosen once, at deployment, and never changes: a list of accounts and how many of them it
//!    takes. With nobody on the list the code stays as it is for ever.
//! 2. A contract starts at [`FIRST_VERSION`]; each upgrade adds 1. An upgrade names the version that
//!    it replaces, so none is ever applied to another one than it was made for. Each version has an
//!    entry of the state ([`VersionRecord`](crate::state_key::VersionRecord)) that says what it ran
//!    and since which transaction, itself included.
//! 3. An upgrade is one transaction, signed by one on the list. It is applied if enough of the list
//!    agree to it: its sender, and those whose [`UpgradeApproval`] in the state equals it.
//! 4. An account has one approval for a contract, its newest. It names the version as well: once
//!    another upgrade was applied, it is void.
//! 5. The new code passes the rules of deployment. Its `migrate`, if it has one, runs once on the
//!    state that the old code left, and may do what any call may; if it does not return, nothing
//!    has changed. The old code stays in the state under its hash.

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::hash::sha256;
use crate::{AccountId, ChainLimits, CodeHash, Hash};

/// The version of a contract that was never upgraded.
pub const FIRST_VERSION: u32 = 1;

/// Who may upgrade a contract.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode, DecodeWithMemTracking)]
pub struct Upgraders {
    /// How many of the accounts it takes; 0 where there are none.
    pub quorum: u32,
    /// Sorted, none twice.
    pub accounts: Vec<AccountId>,
}

/// The rule that a list of upgraders breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpgradersError {
    /// The list is too long.
    #[error("{count} accounts are to upgrade the contract, at most {count_max} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
        /// The chain's limit.
        count_max: usize,
    },
    /// Not sorted, or one stands there twice.
    #[error("the accounts that may upgrade a contract must be sorted, each at most once")]
    NotSorted,
    /// A number that can never be reached, or that would need nobody's consent.
    #[error("it cannot take {quorum} of {count} accounts to upgrade a contract")]
    Quorum {
        /// How many it should take.
        quorum: u32,
        /// How many there are.
        count: usize,
    },
}

impl Upgraders {
    /// Nobody: the code stays as it is.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// `quorum` of those accounts, which are put in order.
    #[must_use]
    pub fn of(quorum: u32, mut accounts: Vec<AccountId>) -> Self {
        accounts.sort_unstable();
        accounts.dedup();
        Self { quorum, accounts }
    }

    /// Whether the account is on the list.
    #[must_use]
    pub fn contains(&self, account: &AccountId) -> bool {
        self.accounts.binary_search(account).is_ok()
    }

    /// Checks the form of the list.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, limits: &ChainLimits) -> Result<(), UpgradersError> {
        let (quorum, count) = (self.quorum, self.accounts.len());
        let count_max = limits.upgraders_max as usize;
        if count > count_max {
            return Err(UpgradersError::TooMany { count, count_max });
        }
        if !self.accounts.is_sorted_by(|a, b| a < b) {
            return Err(UpgradersError::NotSorted);
        }
        let least = usize::from(count > 0);
        if !(least..=count).contains(&(quorum as usize)) {
            return Err(UpgradersError::Quorum { quorum, count });
        }
        Ok(())
    }
}

/// One upgrade of a contract, by its hashes: what an account agrees to.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct UpgradeApproval {
    /// The version that is replaced.
    pub version: u32,
    /// The new code.
    pub code: CodeHash,
    /// SHA-256 of SCALE of `migrate`'s arguments; of nothing, where there are none.
    pub args: Hash,
}

impl UpgradeApproval {
    /// The approval of replacing `version` by `code`, whose `migrate` gets `args`.
    #[must_use]
    pub fn of(version: u32, code: &[u8], args: &[u8]) -> Self {
        Self {
            version,
            code: CodeHash::of(code),
            args: sha256(args),
        }
    }
}
