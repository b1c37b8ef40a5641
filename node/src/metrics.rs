//! What this node counts, as OpenMetrics text for Prometheus.
//!
//! Counters are kept where things happen; gauges are read from the parts that know them when
//! somebody asks ([`Gauges`]).

use std::sync::atomic::Ordering;

use chancery_ledger::{Height, Millis, Receipt, Status};
use chancery_runtime::Compilations;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of the time to finality, in seconds.
const FINALITY_SECONDS: [f64; 13] = [
    0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

/// What the replica does.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModeLabel {
    mode: &'static str,
}

/// The modes there are: the one that is on has the value 1.
const MODES: [&str; 4] = ["active", "changing", "probation", "quarantine"];

/// When a contract was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WhenLabel {
    when: &'static str,
}

/// One other validator.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabel {
    peer: String,
}

/// A peer at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerGauge {
    /// The member's name.
    pub name: String,
    /// Whether a connection stands.
    pub connected: bool,
    /// Frames for it that were dropped since the start.
    pub dropped_frames: u64,
}

/// What is read at the moment of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gauges {
    /// The newest certified block.
    pub final_height: Height,
    /// The active view, or the one that this validator wants to get to.
    pub view: u64,
    /// Whether it is active: one of `active`, `changing`, `probation` and `quarantine`.
    pub mode: &'static str,
    /// Proofs that validators lied.
    pub evidence: usize,
    /// Transactions that wait.
    pub pool: usize,
    /// Contracts compiled since the start.
    pub compilations: Compilations,
    /// The other validators.
    pub peers: Vec<PeerGauge>,
}

/// All counters of a node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    height: Gauge,
    final_height: Gauge,
    view: Gauge,
    mode: Family<ModeLabel, Gauge>,
    view_changes: Counter,
    evidence: Counter,
    pool: Gauge,
    connected_peers: Gauge,
    peer_connected: Family<PeerLabel, Gauge>,
    dropped_frames: Family<PeerLabel, Counter>,
    refused_frames: Counter,
    compilations: Family<WhenLabel, Counter>,
    blocks: Counter,
    transactions: Family<StatusLabel, Counter>,
    time_to_finality: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Everything at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("chancery");
        let metrics = Self {
            height: Gauge::default(),
            final_height: Gauge::default(),
            view: Gauge::default(),
            mode: Family::default(),
            view_changes: Counter::default(),
            evidence: Counter::default(),
            pool: Gauge::default(),
            connected_peers: Gauge::default(),
            peer_connected: Family::default(),
            dropped_frames: Family::default(),
            refused_frames: Counter::default(),
            compilations: Family::default(),
            blocks: Counter::default(),
            transactions: Family::default(),
            time_to_finality: Histogram::new(FINALITY_SECONDS),
            registry: Registry::default(),
        };
        // All three exist from the start, so that a rate can be taken of the first one.
        for status in ["applied", "reverted", "trapped"] {
            let _ = metrics.transactions.get_or_create(&StatusLabel { status });
        }
        registry.register("height", "Newest executed block", metrics.height.clone());
        registry.register(
            "final_height",
            "Newest block under a certificate",
            metrics.final_height.clone(),
        );
        registry.register(
            "view",
            "PBFT view: the active one, or the one being changed to",
            metrics.view.clone(),
        );
        registry.register(
            "mode",
            "What the replica does: the mode that is on is 1",
            metrics.mode.clone(),
        );
        registry.register(
            "view_changes",
            "Views that became active since the start",
            metrics.view_changes.clone(),
        );
        registry.register(
            "evidence",
            "Proofs kept that validators contradicted themselves",
            metrics.evidence.clone(),
        );
        registry.register(
            "pool_transactions",
            "Transactions that wait to be ordered",
            metrics.pool.clone(),
        );
        registry.register(
            "connected_peers",
            "Validators with a standing connection to this one",
            metrics.connected_peers.clone(),
        );
        registry.register(
            "peer_connected",
            "Whether a connection to this validator stands (1) or not (0)",
            metrics.peer_connected.clone(),
        );
        registry.register(
            "dropped_frames",
            "Frames for a peer that were not sent: it was away or too slow",
            metrics.dropped_frames.clone(),
        );
        registry.register(
            "refused_frames",
            "Frames from peers that did not verify",
            metrics.refused_frames.clone(),
        );
        registry.register(
            "contracts_compiled",
            "Contracts compiled since the start: ahead of their execution, or late, while a block or a query waited",
            metrics.compilations.clone(),
        );
        registry.register(
            "blocks",
            "Blocks executed since the start",
            metrics.blocks.clone(),
        );
        registry.register(
            "transactions",
            "Transactions executed since the start, by the status of their receipt",
            metrics.transactions.clone(),
        );
        registry.register(
            "time_to_finality_seconds",
            "From the arrival of a transaction at this node to the certificate over its block",
            metrics.time_to_finality.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    /// A frame of a peer did not verify.
    pub fn frame_refused(&self) {
        self.refused_frames.inc();
    }

    /// Another view became active.
    pub fn view_entered(&self) {
        self.view_changes.inc();
    }

    /// A block was executed.
    pub fn block_executed(&self, height: Height, receipts: &[Receipt]) {
        self.height.set(gauge(height.0));
        self.blocks.inc();
        for receipt in receipts {
            let status = match receipt.status {
                Status::Applied { .. } => "applied",
                Status::Reverted { .. } => "reverted",
                Status::Trapped { .. } => "trapped",
            };
            self.transactions
                .get_or_create(&StatusLabel { status })
                .inc();
        }
    }

    /// A transaction that arrived here became final after `took`.
    pub fn transaction_final(&self, took: Millis) {
        let took = std::time::Duration::from_millis(took.0);
        self.time_to_finality.observe(took.as_secs_f64());
    }

    /// Everything as OpenMetrics text.
    #[must_use]
    pub fn render(&self, height: Height, now: &Gauges) -> String {
        self.height.set(gauge(height.0));
        self.final_height.set(gauge(now.final_height.0));
        self.view.set(gauge(now.view));
        for mode in MODES {
            let is_on = i64::from(mode == now.mode);
            self.mode.get_or_create(&ModeLabel { mode }).set(is_on);
        }
        let evidence = u64::try_from(now.evidence).unwrap_or(u64::MAX);
        self.evidence.inner().store(evidence, Ordering::Relaxed);
        self.pool.set(i64::try_from(now.pool).unwrap_or(i64::MAX));
        let connected = now.peers.iter().filter(|peer| peer.connected).count();
        self.connected_peers
            .set(i64::try_from(connected).unwrap_or(i64::MAX));
        let Compilations { ahead, late, .. } = now.compilations;
        for (when, count) in [("ahead", ahead), ("late", late)] {
            let counter = self.compilations.get_or_create(&WhenLabel { when });
            counter.inner().store(count, Ordering::Relaxed);
        }
        for peer in &now.peers {
            let label = PeerLabel {
                peer: peer.name.clone(),
            };
            self.peer_connected
                .get_or_create(&label)
                .set(i64::from(peer.connected));
            self.dropped_frames
                .get_or_create(&label)
                .inner()
                .store(peer.dropped_frames, Ordering::Relaxed);
        }
        let mut text = String::new();
        // Writing to a string does not fail; half a text would be worse than none.
        match prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(_) => String::new(),
        }
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use chancery_ledger::{Fuel, TransactionId, TrapKind};

    use super::*;

    #[test]
    fn the_text_has_what_an_operator_looks_for() {
        let metrics = Metrics::new();
        let receipt = |status| Receipt {
            transaction: TransactionId::default(),
            status,
            fuel_used: Fuel(1),
            contract: None,
            events: Vec::new(),
        };
        let applied = receipt(Status::Applied { value: Vec::new() });
        let trapped = receipt(Status::Trapped {
            kind: TrapKind::OutOfFuel,
        });
        metrics.block_executed(Height(7), &[applied.clone(), trapped, applied]);
        metrics.transaction_final(Millis(120));
        metrics.frame_refused();
        metrics.view_entered();
        let peer = |name: &str, connected| PeerGauge {
            name: name.to_owned(),
            connected,
            dropped_frames: 5,
        };
        let gauges = Gauges {
            final_height: Height(6),
            view: 2,
            mode: "changing",
            evidence: 3,
            pool: 9,
            compilations: Compilations {
                ahead: 4,
                ahead_executed: 3,
                late: 1,
            },
            peers: vec![peer("bank-b", true), peer("bank-c", false)],
        };
        let text = metrics.render(Height(7), &gauges);
        for line in [
            "chancery_height 7",
            "chancery_final_height 6",
            "chancery_view 2",
            "chancery_mode{mode=\"active\"} 0",
            "chancery_mode{mode=\"changing\"} 1",
            "chancery_view_changes_total 1",
            "chancery_evidence_total 3",
            "chancery_pool_transactions 9",
            "chancery_connected_peers 1",
            "chancery_peer_connected{peer=\"bank-c\"} 0",
            "chancery_dropped_frames_total{peer=\"bank-b\"} 5",
            "chancery_refused_frames_total 1",
            "chancery_contracts_compiled_total{when=\"ahead\"} 4",
            "chancery_contracts_compiled_total{when=\"late\"} 1",
            "chancery_blocks_total 1",
            "chancery_transactions_total{status=\"applied\"} 2",
            "chancery_transactions_total{status=\"reverted\"} 0",
            "chancery_transactions_total{status=\"trapped\"} 1",
            "chancery_time_to_finality_seconds_count 1",
            "chancery_time_to_finality_seconds_bucket{le=\"0.1\"} 0",
            "chancery_time_to_finality_seconds_bucket{le=\"0.2\"} 1",
            "# EOF",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line:?} is not in:\n{text}"
            );
        }
    }
}
