//! What a NEW-VIEW can select, from every set of VIEW-CHANGEs that can be put into it.

use std::collections::BTreeSet;

use crate::protocol::{Flaw, Rules};
use crate::state::{Batch, Certificate, SLOTS_MAX, Selection, State, View, ViewChange};

/// Every selection for `view` that a NEW-VIEW can prove, with what has been signed so far.
#[must_use]
pub fn selections(rules: &Rules, state: &State, view: View) -> BTreeSet<Selection> {
    let honest: Vec<ViewChange> = state
        .validators
        .iter()
        .filter_map(|v| v.view_changes[usize::from(view)])
        .collect();
    let liars = state.validators.iter().filter(|v| v.liar).count();
    let quorum = rules.quorum();
    let forged = if honest.len() + liars < quorum || liars == 0 {
        Vec::new()
    } else {
        forgeable(rules, state, view)
    };
    let mut found = BTreeSet::new();
    for subset in 0u32..1 << honest.len() {
        let picked: Vec<ViewChange> = (0..honest.len())
            .filter(|i| subset & (1 << i) != 0)
            .map(|i| honest[i])
            .collect();
        if picked.len() <= quorum && picked.len() + liars >= quorum {
            complete(rules, picked, quorum, &forged, &mut found);
        }
    }
    found
}

/// Adds what a quorum selects, for each way to fill it up with VIEW-CHANGEs of liars.
fn complete(
    rules: &Rules,
    picked: Vec<ViewChange>,
    quorum: usize,
    forged: &[ViewChange],
    found: &mut BTreeSet<Selection>,
) {
    if picked.len() == quorum {
        found.insert(select(rules, &picked));
        return;
    }
    for lie in forged {
        let mut more = picked.clone();
        more.push(*lie);
        complete(rules, more, quorum, forged, found);
    }
}

/// Every VIEW-CHANGE that a liar can sign and prove: any checkpoint certificate that can exist, and
/// of each later slot any prepared certificate of a lower view that exists, or none.
fn forgeable(rules: &Rules, state: &State, view: View) -> Vec<ViewChange> {
    let mut all = Vec::new();
    for base in 0..=state.stable_max() {
        let mut partial = vec![[None; SLOTS_MAX]];
        for slot in usize::from(base)..usize::from(rules.slots) {
            let certificates = state.certificates_below(view, slot);
            partial = partial
                .into_iter()
                .flat_map(|prepared| {
                    let some = certificates.iter().copied().map(Some);
                    some.chain([None]).map(move |certificate| {
                        let mut prepared = prepared;
                        prepared[slot] = certificate;
                        prepared
                    })
                })
                .collect();
        }
        all.extend(
            partial
                .into_iter()
                .map(|prepared| ViewChange { base, prepared }),
        );
    }
    all
}

/// What a quorum of VIEW-CHANGEs selects.
fn select(rules: &Rules, quorum: &[ViewChange]) -> Selection {
    let bases = quorum.iter().map(|v| v.base);
    let base = if rules.flaw == Flaw::LowestBase {
        bases.min()
    } else {
        bases.max()
    }
    .unwrap_or(0);
    let mut carried = [None; SLOTS_MAX];
    for (slot, batch) in carried.iter_mut().enumerate().skip(usize::from(base)) {
        let certificates = quorum.iter().filter_map(|v| v.prepared[slot]);
        let chosen: Option<Certificate> = if rules.flaw == Flaw::LowestViewSelected {
            certificates.min_by_key(|c| c.view)
        } else {
            certificates.max_by_key(|c| c.view)
        };
        *batch = chosen.map(|c| c.batch);
    }
    if let Some(top) = carried.iter().rposition(Option::is_some) {
        for gap in &mut carried[usize::from(base)..top] {
            gap.get_or_insert(Batch::Empty);
        }
    }
    Selection { base, carried }
}

/// Every selection a lying primary could claim if nobody checked it.
#[must_use]
pub fn claims(rules: &Rules) -> BTreeSet<Selection> {
    let mut open = vec![[None; SLOTS_MAX]];
    let mut found: BTreeSet<_> = open.iter().copied().collect();
    for slot in 0..usize::from(rules.slots) {
        open = open
            .iter()
            .flat_map(|carried| {
                Batch::ALL.map(|batch| {
                    let mut carried = *carried;
                    carried[slot] = Some(batch);
                    carried
                })
            })
            .collect();
        found.extend(&open);
    }
    let base = 0;
    found
        .into_iter()
        .map(|carried| Selection { base, carried })
        .collect()
}
