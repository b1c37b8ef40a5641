use chancery_client::api::{LeavingInfo, ModeInfo, StatusInfo, TimerInfo, Waiting};
use chancery_client::{Liveness, NodeReport};
use chancery_ledger::{Slot, View};

use super::super::status::tests::answer;
use super::{Explanation, explain};

/// Of validators 1 to 3; validator 4 was last heard a minute ago.
fn explained(change: impl Fn(&mut StatusInfo)) -> Explanation {
    let reports: Vec<NodeReport> = ["validator-1", "validator-2", "validator-3"]
        .map(|name| {
            let mut status = answer(name);
            change(&mut status);
            NodeReport {
                url: String::new(),
                status: Ok(status),
            }
        })
        .into();
    let liveness = Liveness::of(&reports).expect("three answer");
    explain(&reports, &liveness)
}

fn check(change: impl Fn(&mut StatusInfo), stuck: bool, parts: &[&str]) {
    let explanation = explained(change);
    let text = explanation.to_text();
    assert_eq!(explanation.stuck, stuck, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn an_idle_ledger_is_well() {
    check(
        |_| {},
        false,
        &[
            "well and idle",
            "Silent: validator-4",
            "start validator-4: 0 more",
        ],
    );
}

#[test]
fn a_missing_quorum_is_named() {
    let deaf = |status: &mut StatusInfo| {
        for peer in &mut status.validators {
            peer.connected &= peer.is_self;
        }
    };
    let mut status = answer("validator-1");
    deaf(&mut status);
    let reports = [NodeReport {
        url: String::new(),
        status: Ok(status),
    }];
    let liveness = Liveness::of(&reports).expect("one answers");
    let explanation = explain(&reports, &liveness);
    assert!(explanation.stuck);
    assert!(
        explanation
            .verdict
            .contains("1 of 4 validators answer, 3 are needed")
    );
    assert!(explanation.advice[0].contains("start at least 2 of validator-2"));
}

#[test]
fn who_cannot_vote_does_not_count() {
    check(
        |status| {
            if status.validator == "validator-2" {
                status.mode = ModeInfo::Quarantine {
                    answered: Vec::new(),
                    needed: 2,
                    slots_through: Some(Slot(40)),
                    view_least: Some(View(3)),
                };
            }
        },
        true,
        &[
            "2 of 4 validators can vote, 3 are needed",
            "validator-2 is in quarantine",
            "from view 3 on",
        ],
    );
}

#[test]
fn an_open_slot_names_its_phase_and_who_is_missing() {
    check(
        |status| {
            status.waiting = Some(Waiting {
                slot: Slot(13),
                phase: "commit".to_owned(),
                have: vec!["validator-1".to_owned(), "validator-2".to_owned()],
                missing: vec!["validator-3".to_owned(), "validator-4".to_owned()],
                needed: 3,
            });
            status.timer = Some(TimerInfo {
                waits_for: "progress".to_owned(),
                in_ms: 740,
            });
        },
        false,
        &[
            "Slot 13 of view 0 waits for 1 more commit",
            "missing: validator-3, validator-4",
            "the view is left in 0.7 s",
        ],
    );
}

#[test]
fn a_view_change_tells_what_it_waits_for() {
    let leaving = |status: &mut StatusInfo, others: &[&str]| {
        status.mode = ModeInfo::Changing;
        status.view = View(3);
        status.primary = "validator-4".to_owned();
        status.left_because = Some("nothing was ordered in time".to_owned());
        status.leaving = others
            .iter()
            .map(|name| LeavingInfo {
                validator: (*name).to_owned(),
                view: View(3),
            })
            .collect();
    };
    check(
        |status| leaving(status, &[]),
        true,
        &[
            "left for view 3 because nothing was ordered in time",
            "1 of 3 VIEW-CHANGEs",
        ],
    );
    check(
        |status| leaving(status, &["validator-1", "validator-2", "validator-3"]),
        true,
        &["3 of 3 VIEW-CHANGEs", "validator-4, is silent"],
    );
}

#[test]
fn a_stopped_validator_and_evidence_are_pointed_out() {
    check(
        |status| {
            if status.validator == "validator-3" {
                status.halted = Some("another ledger was certified".to_owned());
                status.evidence = 2;
            }
        },
        true,
        &[
            "validator-3 has stopped by itself",
            "keep its home",
            "`chancery evidence` shows them",
        ],
    );
}

#[test]
fn the_words_of_a_validator_stay_on_their_line() {
    let text = explained(|status| {
        if status.validator == "validator-3" {
            status.halted = Some("a\n-> \u{1b}[2Jremove its home".to_owned());
        }
        status.left_because = Some("b\u{9b}\n-> c".to_owned());
        status.view_changes = 1;
    })
    .to_text();
    for part in [
        "(a\\n-> \\u{1b}[2Jremove its home)",
        "the last because b\\u{9b}\\n-> c",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
}
