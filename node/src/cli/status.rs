//! `status`: how each validator is, from its own answer, or from what others say of it.

use std::collections::BTreeMap;

use chancery_client::api::{ModeInfo, PeerInfo, StatusInfo};
use chancery_client::{ClientError, Liveness, NodeFailure, NodeReport, clock};
use chancery_ledger::Millis;
use serde_json::{Value, json};

use super::args::StatusArgs;
use super::context::{Context, block_on};
use super::explain::explain;
use super::output::Table;
use super::submit::waiting_in_words;
use super::{CliError, Report, Rows};

pub(super) fn status(context: &Context, args: &StatusArgs) -> Result<Report, CliError> {
    let reports = block_on(async { Ok(context.client()?.reports().await) })?;
    let mut report = report_of(&reports, clock())?;
    if args.explain
        && let Some(liveness) = Liveness::of(&reports)
    {
        let explanation = explain(&reports, &liveness);
        report.text.push_str(&explanation.to_text());
        report.json["explanation"] = explanation.to_json();
    }
    Ok(report)
}

/// What is known of one validator.
struct Seen<'a> {
    /// Its own answer.
    own: Option<&'a StatusInfo>,
    /// What the others who answered see of it.
    by_others: Vec<&'a PeerInfo>,
}

fn report_of(reports: &[NodeReport], now: Millis) -> Result<Report, CliError> {
    let answers: Vec<&StatusInfo> = reports
        .iter()
        .filter_map(|report| report.status.as_ref().ok())
        .collect();
    let newest = answers.iter().max_by_key(|status| status.final_height);
    let (Some(newest), Some(liveness)) = (newest, Liveness::of(reports)) else {
        let tried = reports.iter().filter_map(|report| {
            Some(NodeFailure {
                url: report.url.clone(),
                reason: report.status.as_ref().err()?.clone(),
            })
        });
        return Err(ClientError::NoNode {
            tried: tried.collect(),
        }
        .into());
    };
    let chain = newest.chain_id;
    if let Some(other) = answers.iter().find(|status| status.chain_id != chain) {
        return Err(CliError::usage(format!(
            "these nodes are of different ledgers: {chain} and {}",
            other.chain_id
        )));
    }
    let seen: BTreeMap<&str, Seen<'_>> = newest
        .validators
        .iter()
        .map(|peer| {
            let name = peer.name.as_str();
            let own = answers.iter().find(|status| status.validator == name);
            let others = answers.iter().filter(|status| status.validator != name);
            let by_others =
                others.flat_map(|status| status.validators.iter().filter(|peer| peer.name == name));
            let seen = Seen {
                own: own.copied(),
                by_others: by_others.collect(),
            };
            (name, seen)
        })
        .collect();

    let mut rows = Rows::default();
    rows.add("chain", chain);
    let age = now.since(newest.block_time_ms).0;
    rows.add(
        "newest",
        format!(
            "final height {}, block time {} ({}.{} s ago)",
            newest.final_height,
            newest.block_time,
            age / 1000,
            age % 1000 / 100
        ),
    );
    rows.add("quorum", liveness.in_words());
    if let Some(waiting) = answers.iter().find_map(|status| waiting_in_words(status)) {
        rows.add("waiting", waiting);
    }
    let mut table = Table::new(&[
        "VALIDATOR",
        "HEIGHT",
        "FINAL",
        "VIEW",
        "PEERS",
        "BEHIND BY",
        "POOL",
        "",
    ]);
    let all_asked = reports.len() >= newest.validators.len();
    let mut objects = Vec::new();
    // In the order of the set, not of the names.
    for peer in &newest.validators {
        let Some(seen) = seen.get(peer.name.as_str()) else {
            continue;
        };
        table.add(line(&peer.name, seen, all_asked));
        objects.push(object(&peer.name, seen));
    }
    let text = format!("{}\n{}", rows.to_text(), table.to_text());
    let json = json!({
        "chain_id": chain,
        "final_height": newest.final_height,
        "block_time": newest.block_time,
        "block_time_ms": newest.block_time_ms,
        "quorum": newest.quorum,
        "answering": liveness.answering,
        "silent": liveness.silent,
        "waiting": answers.iter().find_map(|status| status.waiting.as_ref()),
        "validators": objects,
    });
    Ok(Report::new(text, json))
}

fn key_exchanges(status: &StatusInfo) -> Vec<&str> {
    let mut names: Vec<&str> = status
        .validators
        .iter()
        .filter_map(|peer| peer.key_exchange.as_deref())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Connected peers, and how many there could be.
fn peers(status: &StatusInfo) -> (usize, usize) {
    let others = || status.validators.iter().filter(|peer| !peer.is_self);
    (
        others().filter(|peer| peer.connected).count(),
        others().count(),
    )
}

fn line(name: &str, seen: &Seen<'_>, all_asked: bool) -> Vec<String> {
    let dash = || "-".to_owned();
    let Some(own) = seen.own else {
        let height = seen.by_others.iter().filter_map(|peer| peer.height).max();
        let behind = seen
            .by_others
            .iter()
            .filter_map(|peer| peer.behind_by)
            .min();
        let connected = seen.by_others.iter().filter(|peer| peer.connected).count();
        let heard = seen
            .by_others
            .iter()
            .filter_map(|peer| peer.last_heard_ms)
            .min();
        let heard = match heard {
            Some(ms) => format!("heard {}.{} s ago", ms / 1000, ms % 1000 / 100),
            None => "never heard".to_owned(),
        };
        let what = if all_asked { "silent" } else { "not asked" };
        return vec![
            name.to_owned(),
            height.map_or_else(dash, |height| height.to_string()),
            dash(),
            dash(),
            dash(),
            behind.map_or_else(dash, |behind| behind.to_string()),
            dash(),
            format!("{what}; connected to {connected} of those who answer, {heard}"),
        ];
    };
    let (connected, others) = peers(own);
    let mut notes = Vec::new();
    if let Some(state) = state(own) {
        notes.push(state.to_owned());
    } else if own.primary == name {
        notes.push("primary".to_owned());
    }
    if own.evidence > 0 {
        notes.push(format!("evidence: {}", own.evidence));
    }
    notes.push(key_exchanges(own).join(", "));
    let notes = notes.join("  ");
    vec![
        name.to_owned(),
        own.height.to_string(),
        own.final_height.to_string(),
        own.view.to_string(),
        format!("{connected} of {others}"),
        own.behind_by.to_string(),
        own.pool.to_string(),
        notes,
    ]
}

/// What is unusual about a validator.
fn state(own: &StatusInfo) -> Option<&'static str> {
    if own.halted.is_some() {
        return Some("stopped");
    }
    match own.mode {
        ModeInfo::Active => None,
        ModeInfo::Changing => Some("view change"),
        ModeInfo::Probation { .. } => Some("starting"),
        ModeInfo::Quarantine { .. } => Some("quarantine"),
    }
}

fn object(name: &str, seen: &Seen<'_>) -> Value {
    match seen.own {
        Some(own) => {
            let (connected, others) = peers(own);
            json!({
                "name": name, "answers": true, "height": own.height,
                "final_height": own.final_height, "view": own.view, "primary": own.primary,
                "peers": connected, "peers_max": others, "behind_by": own.behind_by,
                "pool": own.pool, "mode": own.mode, "view_changes": own.view_changes,
                "evidence": own.evidence, "halted": own.halted, "key_exchange": key_exchanges(own), "validators": own.validators,
            })
        }
        None => json!({
            "name": name, "answers": false,
            "height": seen.by_others.iter().filter_map(|peer| peer.height).max(),
            "behind_by": seen.by_others.iter().filter_map(|peer| peer.behind_by).min(),
            "last_heard_ms": seen.by_others.iter().filter_map(|peer| peer.last_heard_ms).min(),
        }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use chancery_ledger::{ChainId, Height, View};

    pub(in crate::cli) fn answer(name: &str) -> StatusInfo {
        let validators = (1..=4)
            .map(|number| {
                let peer = format!("validator-{number}");
                let heard = number != 4;
                PeerInfo {
                    connected: heard,
                    is_self: peer == name,
                    name: peer,
                    height: Some(Height(12)),
                    behind_by: Some(u64::from(!heard)),
                    last_heard_ms: Some(if heard { 100 } else { 61_250 }),
                    key_exchange: heard.then(|| "X25519MLKEM768".to_owned()),
                }
            })
            .collect();
        StatusInfo {
            validator: name.to_owned(),
            chain_id: ChainId([0xab; 32]),
            view: View(0),
            primary: "validator-1".to_owned(),
            height: Height(13),
            final_height: Height(12),
            block_time: "2026-01-31T12:00:00Z".to_owned(),
            block_time_ms: Millis(1_769_860_800_000),
            pool: 0,
            behind_by: 0,
            quorum: 3,
            validators,
            waiting: None,
            mode: ModeInfo::Active,
            leaving: Vec::new(),
            timer: None,
            view_changes: 0,
            left_because: None,
            evidence: 0,
            halted: None,
        }
    }

    #[test]
    fn the_table_has_a_line_for_each_validator() {
        let mut reports: Vec<NodeReport> = ["validator-1", "validator-2", "validator-3"]
            .map(|name| NodeReport {
                url: String::new(),
                status: Ok(answer(name)),
            })
            .into();
        reports.push(NodeReport {
            url: "http://127.0.0.1:1".to_owned(),
            status: Err("connection refused".to_owned()),
        });
        let report = report_of(&reports, Millis(1_769_860_801_500)).expect("three answer");
        for part in [
            "3 of 4 validators answer, 3 are needed; silent: validator-4",
            "validator-1      13     12     0",
            "primary  X25519MLKEM768",
            "2 of 3",
            "(1.5 s ago)",
            "heard 61.2 s ago",
        ] {
            assert!(
                report.text.contains(part),
                "{part} is not in:\n{}",
                report.text
            );
        }
        assert_eq!(report.json["validators"][3]["answers"], json!(false));
    }

    #[test]
    fn silence_everywhere_is_a_failure() {
        let reports = [NodeReport {
            url: "http://127.0.0.1:1".to_owned(),
            status: Err("connection refused".to_owned()),
        }];
        let error = report_of(&reports, Millis(0)).expect_err("nobody answers");
        assert_eq!(error.code, "no_node");
    }
}
