//! `status --explain`: why nothing happens, if nothing does. From the answers of the validators
//! alone; each sentence names who is missing, in which phase and view, and what an operator can do.

use chancery_client::api::{ModeInfo, StatusInfo};
use chancery_client::{Liveness, NodeReport};
use serde_json::{Value, json};

use super::output::printable;

/// What is going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Explanation {
    /// In a sentence.
    pub(super) verdict: String,
    /// Whether nothing can be ordered until somebody acts or time passes.
    pub(super) stuck: bool,
    /// What each validator that answers says of itself.
    pub(super) validators: Vec<(String, String)>,
    /// What an operator can do, the most useful first.
    pub(super) advice: Vec<String>,
}

impl Explanation {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("\n{}\n", printable(&self.verdict));
        for (name, says) in &self.validators {
            let (name, says) = (printable(name), printable(says));
            text.push_str(&format!("  {name}: {says}\n"));
        }
        for advice in &self.advice {
            text.push_str(&format!("-> {}\n", printable(advice)));
        }
        text
    }

    pub(super) fn to_json(&self) -> Value {
        let validators: Vec<Value> = self
            .validators
            .iter()
            .map(|(name, says)| json!({"name": name, "says": says}))
            .collect();
        json!({
            "verdict": self.verdict, "stuck": self.stuck,
            "validators": validators, "advice": self.advice,
        })
    }
}

/// Explains the reports of at least one validator that answered.
pub(super) fn explain(reports: &[NodeReport], liveness: &Liveness) -> Explanation {
    let answers: Vec<&StatusInfo> = reports
        .iter()
        .filter_map(|report| report.status.as_ref().ok())
        .collect();
    let (stuck, verdict, advice) = judge(&answers, liveness);
    let mut advice = advice;
    for answer in &answers {
        if let Some(reason) = &answer.halted {
            advice.push(format!(
                "{} stopped by itself ({reason}): keep its home, and find out which of the machines is wrong before it runs again",
                answer.validator
            ));
        }
        if answer.evidence > 0 {
            advice.push(format!(
                "{} keeps {} proof(s) that a validator contradicted itself: `chancery evidence` shows them",
                answer.validator, answer.evidence
            ));
        }
    }
    Explanation {
        verdict,
        stuck,
        validators: answers
            .iter()
            .map(|answer| (answer.validator.clone(), says(answer)))
            .collect(),
        advice,
    }
}

fn judge(answers: &[&StatusInfo], liveness: &Liveness) -> (bool, String, Vec<String>) {
    let quorum = liveness.quorum;
    let silent = silent_names(liveness);
    if !liveness.has_quorum() {
        let verdict = format!("Nothing can be ordered: {}.", liveness.in_words());
        let missing = quorum.saturating_sub(liveness.answering.len());
        let advice = vec![
            format!("start at least {missing} of {silent}"),
            "where one runs and is not heard: its UDP address in genesis must be reachable from the others, and its clock and certificate of the day are no part of this".to_owned(),
        ];
        return (true, verdict, advice);
    }
    let unable: Vec<String> = answers
        .iter()
        .filter_map(|answer| Some(format!("{} {}", answer.validator, unable_to_vote(answer)?)))
        .collect();
    let voters = liveness.answering.len().saturating_sub(unable.len());
    if voters < quorum {
        let verdict = format!(
            "Nothing can be ordered: {voters} of {} validators can vote, {quorum} are needed. {}.",
            liveness.answering.len() + liveness.silent.len(),
            unable.join("; ")
        );
        let mut advice = Vec::new();
        if !silent.is_empty() {
            advice.push(format!("start {silent}"));
        }
        if answers
            .iter()
            .any(|a| matches!(a.mode, ModeInfo::Probation { .. }))
        {
            advice.push("a validator that has just started votes as soon as enough others confirm what it remembers: seconds".to_owned());
        }
        return (true, verdict, advice);
    }
    if let Some(found) = view_change(answers, liveness) {
        return found;
    }
    waiting(answers, liveness)
}

fn silent_names(liveness: &Liveness) -> String {
    let names: Vec<&str> = liveness.silent.iter().map(String::as_str).collect();
    names.join(", ")
}

/// Why a validator does not vote, if it does not.
fn unable_to_vote(answer: &StatusInfo) -> Option<String> {
    if answer.halted.is_some() {
        return Some("has stopped by itself".to_owned());
    }
    match &answer.mode {
        ModeInfo::Active | ModeInfo::Changing => None,
        ModeInfo::Probation { confirmed, needed } => Some(format!(
            "has just started and waits until {needed} others confirm what it remembers ({} did)",
            confirmed.len()
        )),
        ModeInfo::Quarantine { .. } => Some("is in quarantine".to_owned()),
    }
}

/// Whether a view change holds everything up.
fn view_change(
    answers: &[&StatusInfo],
    liveness: &Liveness,
) -> Option<(bool, String, Vec<String>)> {
    let changing: Vec<&&StatusInfo> = answers
        .iter()
        .filter(|answer| answer.mode == ModeInfo::Changing)
        .collect();
    let newest = changing.iter().max_by_key(|answer| answer.view)?;
    let names = |answers: &[&&StatusInfo]| {
        let names: Vec<&str> = answers.iter().map(|a| a.validator.as_str()).collect();
        names.join(", ")
    };
    let active = answers
        .iter()
        .filter(|a| a.mode == ModeInfo::Active)
        .count();
    if active >= liveness.quorum {
        // The others go on; whoever waits alone joins the next view.
        return None;
    }
    let (view, primary) = (newest.view, &newest.primary);
    let wanting = newest.leaving.iter().filter(|other| other.view >= view);
    // Its own VIEW-CHANGE is not in the list of others'.
    let count = wanting
        .filter(|other| other.validator != newest.validator)
        .count()
        + 1;
    let why = newest.left_because.as_deref().unwrap_or("unknown");
    let mut verdict = format!(
        "A view change is under way: {} left for view {view} because {why}; {count} of {} VIEW-CHANGEs are there",
        names(&changing),
        liveness.quorum
    );
    let mut advice = Vec::new();
    if count < liveness.quorum {
        verdict.push_str(", more are waited for.");
        advice.push("nothing to do if this passes within seconds; otherwise look for validators that do not hear each other (PEERS in the table)".to_owned());
    } else if liveness.silent.contains(primary) {
        verdict.push_str(&format!(
            ", but the primary of that view, {primary}, is silent."
        ));
        advice.push(format!(
            "nothing to do: the view after it is asked for{}; starting {primary} helps too",
            fires(newest)
        ));
    } else {
        verdict.push_str(&format!("; its primary, {primary}, has to begin it."));
        advice.push(format!(
            "nothing to do: if it does not, the view after it is asked for{}",
            fires(newest)
        ));
    }
    Some((true, verdict, advice))
}

/// What is being ordered, if anything is.
fn waiting(answers: &[&StatusInfo], liveness: &Liveness) -> (bool, String, Vec<String>) {
    let newest = answers
        .iter()
        .max_by_key(|answer| (answer.final_height, answer.view));
    let Some(newest) = newest else {
        return (true, "Nobody answers.".to_owned(), Vec::new());
    };
    let open = newest
        .waiting
        .as_ref()
        .filter(|waiting| waiting.slot.height() > newest.final_height);
    let quiet = if liveness.silent.is_empty() {
        String::new()
    } else {
        format!(" Silent: {}.", silent_names(liveness))
    };
    let primary = &newest.primary;
    if let Some(open) = open {
        let more = open.needed.saturating_sub(open.have.len());
        let verdict = match open.phase.as_str() {
            "pre_prepare" => format!(
                "Slot {} of view {} waits for the primary, {primary}, to propose a batch.{quiet}",
                open.slot, newest.view
            ),
            "batch" => format!("Slot {} waits for its batch to arrive.{quiet}", open.slot),
            "admission" => format!(
                "Slot {} waits: by the clock of {} the proposal of {primary} is too early or too late, or lies too far ahead.{quiet}",
                open.slot, newest.validator
            ),
            "execution" => format!("Slot {} is being executed.{quiet}", open.slot),
            phase => format!(
                "Slot {} of view {} waits for {more} more {phase} ({} of {}; missing: {}).{quiet}",
                open.slot,
                newest.view,
                open.have.len(),
                open.needed,
                open.missing.join(", ")
            ),
        };
        let mut advice = vec![format!(
            "on a loaded ledger this is what every moment looks like; if it stays, the view is left{}",
            fires(newest)
        )];
        if open.phase == "admission" {
            advice.push(format!(
                "compare the clocks of {} and {primary}: they must be synchronised",
                newest.validator
            ));
        }
        return (false, verdict, advice);
    }
    if newest.pool > 0 {
        let verdict = format!(
            "{} transactions wait, and the primary, {primary}, has proposed nothing yet.{quiet}",
            newest.pool
        );
        let advice = vec![format!("nothing to do: the view is left{}", fires(newest))];
        return (false, verdict, advice);
    }
    let mut advice = Vec::new();
    if !liveness.silent.is_empty() {
        let spare = liveness.answering.len().saturating_sub(liveness.quorum);
        advice.push(format!(
            "start {}: {spare} more may fail before nothing can be ordered",
            silent_names(liveness)
        ));
    }
    let verdict = format!("Nothing waits: the ledger is well and idle.{quiet}");
    (false, verdict, advice)
}

fn fires(answer: &StatusInfo) -> String {
    answer.timer.as_ref().map_or_else(
        || " when its timer fires".to_owned(),
        |timer| format!(" in {}.{} s", timer.in_ms / 1000, timer.in_ms % 1000 / 100),
    )
}

/// What a validator says of itself.
fn says(answer: &StatusInfo) -> String {
    let view = answer.view;
    if answer.halted.is_some() {
        return format!("stopped at height {}", answer.height);
    }
    let mut text = match &answer.mode {
        ModeInfo::Active => format!("votes in view {view} (primary {})", answer.primary),
        ModeInfo::Changing => format!(
            "waits for view {view} to begin (primary {})",
            answer.primary
        ),
        ModeInfo::Probation { confirmed, needed } => format!(
            "has just started; {} of {needed} others confirm what it remembers",
            confirmed.len()
        ),
        ModeInfo::Quarantine {
            answered,
            needed,
            slots_through,
            view_least,
        } => match (slots_through, view_least) {
            (Some(slots), Some(view)) => format!(
                "in quarantine: it follows, and votes again from view {view} on and once height {slots} is passed by a checkpoint"
            ),
            _ => format!(
                "in quarantine: {} of {needed} others have told it how far its votes may have gone",
                answered.len()
            ),
        },
    };
    if answer.behind_by > 0 {
        text.push_str(&format!(", {} blocks behind", answer.behind_by));
    }
    if let Some(timer) = &answer.timer {
        let what = if timer.waits_for == "new_view" {
            "the new view"
        } else {
            "progress"
        };
        text.push_str(&format!(
            "; waits for {what} for another {}.{} s",
            timer.in_ms / 1000,
            timer.in_ms % 1000 / 100
        ));
    }
    if answer.view_changes > 0 {
        let why = answer.left_because.as_deref().unwrap_or("unknown");
        text.push_str(&format!(
            "; {} view changes since it started, the last because {why}",
            answer.view_changes
        ));
    }
    text
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
