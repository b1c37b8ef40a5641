//! The index of everything that a contract granted.

use parity_scale_codec::Encode as _;

use super::{
    AccessEntry, COUNT_KEY, Decision, ENTRY_PREFIX, Grant, PASSES_MAX, STANDING_PREFIX, containing,
    is_name, is_resource,
};
use crate::{AccountId, Env, Hash, Item, Map, Millis};

const COUNT: Item<u64> = Item::new(COUNT_KEY);
const ENTRIES: Map<u64, AccessEntry> = Map::new(ENTRY_PREFIX);
const STANDING: Map<Hash, u64> = Map::new(STANDING_PREFIX);

/// Why nothing was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPassedOn {
    /// Nobody passes on to itself.
    ToOneself,
    /// Who passes on has no grant that holds now, covers this, lasts as long and may be passed on
    /// more often.
    BeyondOwnGrant,
    /// Somebody else's grant of the same holds: passing on takes nothing from anybody.
    GrantedByAnother,
}

/// Everything that a contract granted; see [`access`](super).
#[derive(Debug, Clone, Copy)]
pub struct AccessIndex;

impl AccessIndex {
    /// Adds an entry, and gives its number. One that stands for the same subject, action and
    /// resource is replaced: it counts as revoked, and so does what was passed on from it.
    ///
    /// # Panics
    /// If it may be passed on more than [`PASSES_MAX`] times, or as often as the entry that it is
    /// passed on from; if there is no such entry. That keeps every chain short. A time beyond that
    /// of the entry above has no effect, as [`decide`](Self::decide) asks the whole chain.
    pub fn grant(env: &mut Env, grant: Grant) -> u64 {
        let above = match grant.under {
            None => PASSES_MAX.saturating_add(1),
            Some(under) => match Self::entry(env, under) {
                Some(above) => above.passes_max,
                None => panic!("what is passed on has an entry"),
            },
        };
        if grant.passes_max >= above {
            panic!("what is passed on can be passed on less often");
        }
        let now = env.block_time();
        let place = place(env, grant.subject, &grant.action, &grant.resource);
        if let Some(replaced) = STANDING.get(env, &place) {
            revoke(env, replaced);
        }
        let number = Self::count(env);
        let entry = AccessEntry {
            subject: grant.subject,
            action: grant.action,
            resource: grant.resource,
            from: grant.from.max(now),
            until: grant.until,
            granted_by: grant.granted_by,
            under: grant.under,
            passes_max: grant.passes_max,
            revoked_at: None,
        };
        ENTRIES.set(env, &number, &entry);
        STANDING.set(env, &place, &number);
        // 2^64 grants do not come to be.
        COUNT.set(env, &number.saturating_add(1));
        number
    }

    /// Grants what `grant.granted_by` was itself granted, for that or something that
    /// [contains](containing) it: never longer, wider or to be passed on as often. What it is passed
    /// on from is found here, whatever `grant.under` says: the oldest that goes as far, one that was
    /// not itself passed on before all others. It replaces nothing but what the same account passed
    /// on before. Gives the new entry's number.
    ///
    /// # Errors
    /// Why it cannot be passed on; nothing has changed then.
    pub fn pass_on(env: &mut Env, grant: Grant) -> Result<u64, NotPassedOn> {
        let (by, until) = (grant.granted_by, grant.until);
        if grant.subject == by {
            return Err(NotPassedOn::ToOneself);
        }
        let far_enough = containing(&grant.resource).filter_map(|wider| {
            let (number, own) = Self::standing(env, by, &grant.action, wider)?;
            let as_long = Self::holds_until(env, &own, env.block_time()) >= Some(until);
            let is_enough = as_long && grant.passes_max < own.passes_max;
            is_enough.then_some((own.under.is_some(), number))
        });
        // Whoever gave the chosen one cannot have it from here: that would be a later one.
        let (_, under) = far_enough.min().ok_or(NotPassedOn::BeyondOwnGrant)?;
        let there = Self::standing(env, grant.subject, &grant.action, &grant.resource);
        if there.is_some_and(|(_, there)| {
            let is_own = there.granted_by == by && there.under.is_some();
            // One that has not begun is as good as one that has.
            let begun = env.block_time().max(there.from);
            !is_own && Self::holds_until(env, &there, begun).is_some()
        }) {
            return Err(NotPassedOn::GrantedByAnother);
        }
        let under = Some(under);
        Ok(Self::grant(env, Grant { under, ..grant }))
    }

    /// Until when an entry holds (exclusive), if it does at that time.
    fn holds_until(env: &Env, entry: &AccessEntry, at: Millis) -> Option<Millis> {
        match Self::decide_entry(env, entry, at) {
            Decision::Permit { until } => Some(until),
            Decision::Deny { .. } => None,
        }
    }

    /// Ends what stands for these, and gives its number; `None` if nothing does.
    pub fn revoke(env: &mut Env, subject: AccountId, action: &str, resource: &str) -> Option<u64> {
        let place = place(env, subject, action, resource);
        let number = STANDING.get(env, &place)?;
        revoke(env, number);
        STANDING.remove(env, &place);
        Some(number)
    }

    /// What stands for these, over or not, with its number.
    #[must_use]
    pub fn standing(
        env: &Env,
        subject: AccountId,
        action: &str,
        resource: &str,
    ) -> Option<(u64, AccessEntry)> {
        let number = STANDING.get(env, &place(env, subject, action, resource))?;
        Some((number, Self::entry(env, number)?))
    }

    /// Whether the subject may do that with exactly that resource, at that time.
    #[must_use]
    pub fn decide(
        env: &Env,
        subject: AccountId,
        action: &str,
        resource: &str,
        at: Millis,
    ) -> Decision {
        match Self::standing(env, subject, action, resource) {
            Some((_, entry)) => Self::decide_entry(env, &entry, at),
            None => Decision::deny("not granted"),
        }
    }

    /// Whether the subject may do that with the resource or anything that [contains](containing)
    /// it, at that time.
    #[must_use]
    pub fn decide_within(
        env: &Env,
        subject: AccountId,
        action: &str,
        resource: &str,
        at: Millis,
    ) -> Decision {
        if !is_resource(resource) || !is_name(action) {
            return Decision::deny("not a name");
        }
        let ways = containing(resource).map(|wider| Self::decide(env, subject, action, wider, at));
        // The denial of what exists says more than that something wider was not granted.
        ways.reduce(|one, other| match (&one, &other) {
            (Decision::Deny { reason }, Decision::Deny { .. }) if reason == "not granted" => other,
            _ => one.or(other),
        })
        .unwrap_or_else(|| Decision::deny("not granted"))
    }

    /// Whether an entry holds at that time: it and all above it, so until the first of them ends.
    #[must_use]
    pub fn decide_entry(env: &Env, entry: &AccessEntry, at: Millis) -> Decision {
        let mut until = entry.until;
        let mut link = entry.clone();
        for _ in 0..=PASSES_MAX {
            match link.decide(at) {
                Decision::Permit { until: end } => until = until.min(end),
                denial @ Decision::Deny { .. } => return denial,
            }
            link = match link.under.map(|under| Self::entry(env, under)) {
                None => return Decision::Permit { until },
                Some(Some(above)) => above,
                Some(None) => break,
            };
        }
        Decision::deny("passed on too often")
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(env: &Env) -> u64 {
        COUNT.get(env).unwrap_or(0)
    }

    /// The entry with that number.
    #[must_use]
    pub fn entry(env: &Env, number: u64) -> Option<AccessEntry> {
        ENTRIES.get(env, &number)
    }
}

fn place(env: &Env, subject: AccountId, action: &str, resource: &str) -> Hash {
    env.sha256(&(subject, action, resource).encode())
}

fn revoke(env: &mut Env, number: u64) {
    if let Some(mut entry) = ENTRIES.get(env, &number) {
        entry.revoked_at = Some(env.block_time());
        ENTRIES.set(env, &number, &entry);
    }
}
