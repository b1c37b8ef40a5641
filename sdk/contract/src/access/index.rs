//! The index of everything that a contract granted.

use core::iter;

use parity_scale_codec::Encode as _;

use super::{
    AccessEntry, COUNT_KEY, Decision, ENTRY_PREFIX, Grant, PASSES_MAX, STANDING_PREFIX, containing,
    is_name, is_resource,
};
use crate::{AccountId, Env, Hash, Item, Map, Millis, contract_type};

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
    /// Somebody else's grant of the same holds, or will: passing on takes nothing from anybody.
    GrantedByAnother,
}

/// What a grant changed.
#[contract_type]
#[derive(Copy)]
#[must_use = "what was replaced before its end is over now, which should be announced"]
pub struct Granted {
    /// The new entry's number.
    pub number: u64,
    /// The entry that it has replaced before that one's end.
    pub replaced: Option<u64>,
}

/// Everything that a contract granted; see [`access`](super).
#[derive(Debug, Clone, Copy)]
pub struct AccessIndex;

impl AccessIndex {
    /// Adds an entry. One that stands for the same subject, action and resource is replaced: unless
    /// it is over already it counts as revoked, and so does what was passed on from it.
    ///
    /// # Panics
    /// If it may be passed on more than [`PASSES_MAX`] times, or as often as the entry that it is
    /// passed on from; if there is no such entry. That keeps every chain short. A time beyond that
    /// of the entry above has no effect, as [`decide`](Self::decide) asks the whole chain.
    pub fn grant(env: &mut Env, grant: Grant) -> Granted {
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
        let standing = STANDING.get(env, &place);
        let replaced = standing.filter(|standing| end(env, *standing));
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
        Granted { number, replaced }
    }

    /// Grants what `grant.granted_by` was itself granted, for exactly that resource, as
    /// [`decide`](Self::decide) judges it: never longer or to be passed on as often. It replaces
    /// nothing but what the same account passed on before.
    ///
    /// # Errors
    /// Why it cannot be passed on; nothing has changed then.
    pub fn pass_on(env: &mut Env, grant: Grant) -> Result<Granted, NotPassedOn> {
        let resource = grant.resource.clone();
        Self::pass_on_from(env, grant, iter::once(&resource[..]))
    }

    /// The same for who was granted that resource or something that [contains](containing) it, as
    /// [`decide_within`](Self::decide_within) judges it: what is passed on is never wider. It is
    /// passed on from the oldest that goes as far, one that was not itself passed on before all
    /// others.
    ///
    /// A contract that decides by [`decide`](Self::decide) must not use it: there nobody has what is
    /// within a grant, and could pass it on all the same.
    ///
    /// # Errors
    /// Why it cannot be passed on; nothing has changed then.
    pub fn pass_on_within(env: &mut Env, grant: Grant) -> Result<Granted, NotPassedOn> {
        let resource = grant.resource.clone();
        Self::pass_on_from(env, grant, containing(&resource))
    }

    /// Passes on what was granted for one of these resources, whatever `grant.under` says.
    fn pass_on_from<'a>(
        env: &mut Env,
        grant: Grant,
        resources: impl Iterator<Item = &'a str>,
    ) -> Result<Granted, NotPassedOn> {
        let (by, until) = (grant.granted_by, grant.until);
        if grant.subject == by {
            return Err(NotPassedOn::ToOneself);
        }
        let far_enough = resources.filter_map(|wider| {
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
            !is_own && !is_over(env, &there)
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

    /// Ends what stands for these, and gives its number; `None` if nothing does, or it is over
    /// already.
    pub fn revoke(env: &mut Env, subject: AccountId, action: &str, resource: &str) -> Option<u64> {
        let place = place(env, subject, action, resource);
        let number = STANDING.get(env, &place)?;
        if !end(env, number) {
            return None;
        }
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
        let (mut until, mut under) = (entry.until, entry.under);
        for link in chain(env, entry) {
            match link.decide(at) {
                Decision::Permit { until: end } => until = until.min(end),
                denial @ Decision::Deny { .. } => return denial,
            }
            under = link.under;
        }
        if under.is_some() {
            return Decision::deny("passed on too often");
        }
        Decision::Permit { until }
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

/// An entry and all above it.
fn chain(env: &Env, entry: &AccessEntry) -> impl Iterator<Item = AccessEntry> {
    let above = |link: &AccessEntry| AccessIndex::entry(env, link.under?);
    iter::successors(Some(entry.clone()), above).take(usize::from(PASSES_MAX) + 1)
}

/// Whether an entry will never hold again: its time is over or it was revoked, or one above it.
fn is_over(env: &Env, entry: &AccessEntry) -> bool {
    let now = env.block_time();
    chain(env, entry).any(|link| link.revoked_at.is_some() || now >= link.until)
}

/// Ends an entry, unless it is over already; whether it did.
fn end(env: &mut Env, number: u64) -> bool {
    let entry = ENTRIES.get(env, &number);
    let Some(mut entry) = entry.filter(|entry| !is_over(env, entry)) else {
        return false;
    };
    entry.revoked_at = Some(env.block_time());
    ENTRIES.set(env, &number, &entry);
    true
}
