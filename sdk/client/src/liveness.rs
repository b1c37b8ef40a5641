//! Who is there: what the nodes that answer say about themselves and about the silent ones.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::api::StatusInfo;
use crate::client::{Client, Failure};

/// How long a node may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);
/// Peers tell each other their status twice a second; who was heard this recently is there.
const HEARD_MS_MAX: u64 = 2_500;

/// One node's own answer.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// Its base address.
    pub url: String,
    /// What it says, or why it says nothing.
    pub status: Result<StatusInfo, String>,
}

/// Which validators take part, as far as can be seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    /// Who answers, or was heard by one who does.
    pub answering: BTreeSet<String>,
    /// Everybody else of the set.
    pub silent: BTreeSet<String>,
    /// How many it takes.
    pub quorum: usize,
}

impl Client {
    /// Asks every node at once how it is, in the order of the addresses.
    pub async fn reports(self: &Arc<Self>) -> Vec<NodeReport> {
        let asked: Vec<_> = (0..self.urls().len())
            .map(|index| {
                let client = Arc::clone(self);
                tokio::spawn(async move {
                    client
                        .ask::<(), StatusInfo>(index, "/v1/status", None, STATUS_TIMEOUT)
                        .await
                })
            })
            .collect();
        let mut reports = Vec::new();
        for (url, answer) in self.urls().iter().zip(asked) {
            let status = match answer.await {
                Ok(Ok(status)) => Ok(status),
                Ok(Err(failure)) => Err(words(failure)),
                Err(error) => Err(error.to_string()),
            };
            reports.push(NodeReport {
                url: url.clone(),
                status,
            });
        }
        reports
    }
}

impl Liveness {
    /// What the reports say together; nothing if nobody answered.
    #[must_use]
    pub fn of(reports: &[NodeReport]) -> Option<Self> {
        let statuses: Vec<&StatusInfo> = reports
            .iter()
            .filter_map(|report| report.status.as_ref().ok())
            .collect();
        let quorum = statuses.iter().map(|status| status.quorum).max()?;
        let mut answering = BTreeSet::new();
        let mut all = BTreeSet::new();
        for status in statuses {
            answering.insert(status.validator.clone());
            for peer in &status.validators {
                all.insert(peer.name.clone());
                let heard = peer.last_heard_ms.is_some_and(|age| age <= HEARD_MS_MAX);
                if peer.is_self || (peer.connected && heard) {
                    answering.insert(peer.name.clone());
                }
            }
        }
        let silent = all.difference(&answering).cloned().collect();
        Some(Self {
            answering,
            silent,
            quorum,
        })
    }

    /// Whether enough are there for anything to be decided.
    #[must_use]
    pub fn has_quorum(&self) -> bool {
        self.answering.len() >= self.quorum
    }

    /// In words: `2 of 4 validators answer, 3 are needed; silent: validator-3, validator-4`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let all = self.answering.len() + self.silent.len();
        let silent: Vec<&str> = self.silent.iter().map(String::as_str).collect();
        let tail = if silent.is_empty() {
            String::new()
        } else {
            format!("; silent: {}", silent.join(", "))
        };
        format!(
            "{} of {all} validators answer, {} are needed{tail}",
            self.answering.len(),
            self.quorum
        )
    }
}

fn words(failure: Failure) -> String {
    match failure {
        Failure::NotSent(reason) | Failure::NoAnswer(reason) | Failure::BadAnswer(reason) => reason,
        Failure::Api(_, error) => error.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{ModeInfo, PeerInfo};
    use chancery_ledger::{ChainId, Height, Millis, View};

    fn report(name: &str, heard: [Option<u64>; 4]) -> NodeReport {
        let validators = heard
            .iter()
            .enumerate()
            .map(|(index, age)| {
                let peer = format!("validator-{}", index + 1);
                PeerInfo {
                    connected: true,
                    is_self: peer == name,
                    name: peer,
                    height: None,
                    behind_by: None,
                    last_heard_ms: *age,
                    key_exchange: None,
                }
            })
            .collect();
        NodeReport {
            url: String::new(),
            status: Ok(StatusInfo {
                validator: name.to_owned(),
                chain_id: ChainId([0; 32]),
                view: View(0),
                primary: "validator-1".to_owned(),
                height: Height(1),
                final_height: Height(1),
                block_time: String::new(),
                block_time_ms: Millis(0),
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
            }),
        }
    }

    #[test]
    fn the_missing_quorum_is_named() {
        let one = report("validator-1", [None, Some(100), Some(9_000), None]);
        let liveness = Liveness::of(&[one]).expect("one answers");
        assert!(!liveness.has_quorum());
        assert_eq!(
            liveness.in_words(),
            "2 of 4 validators answer, 3 are needed; silent: validator-3, validator-4"
        );
    }

    #[test]
    fn who_answers_is_there_whatever_others_say() {
        let one = report("validator-1", [None, Some(9_000), Some(9_000), Some(9_000)]);
        let two = report("validator-2", [Some(9_000), None, Some(100), None]);
        let liveness = Liveness::of(&[one, two]).expect("two answer");
        assert!(liveness.has_quorum());
        assert!(Liveness::of(&[]).is_none());
    }
}
