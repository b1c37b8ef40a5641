//! A running validator: puts the parts together, starts them in order, stops them in order.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use chancery_consensus::{Config, Mode, Record, message_bytes_max};
use chancery_genesis::Genesis;
use chancery_ledger::{ChainLimits, Height, PublicKey};
use chancery_runtime::{EngineError, Runtime};
use parity_scale_codec::Encode as _;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::ahead::Ahead;
use crate::api;
use crate::assemble::{AssembleError, FORGOTTEN, Parts, assemble, genesis_block, read_records};
use crate::compiled::CompiledFiles;
use crate::evidence::EvidenceStore;
use crate::handle::{Clock, NodeHandle, Progress};
use crate::home::{Home, HomeError, Start};
use crate::ingress;
use crate::metrics::Metrics;
use crate::network::{Inboxes, Network, NetworkConfig, NetworkError, PeerConfig};
use crate::pool::Pool;
use crate::store::{Store, StoreError, VoteLog, VoteLogError};
use crate::threads::{ExecutorThread, Input, ValidatorThread};
use crate::wire::bulk_frame_bytes_max;

/// Events that wait for the validator's thread; peers are read more slowly once it is full.
const INPUTS_MAX: usize = 4_096;

/// How often the validator is told that time passes.
const TICK: Duration = Duration::from_millis(50);

/// Why a validator does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Something in its home is missing or does not fit.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The ledger on disk cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vote log cannot be used.
    #[error(transparent)]
    VoteLog(#[from] VoteLogError),
    /// They make no validator.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// One of the vote log's two files is gone, and the other one is not empty.
    #[error(
        "{missing} is missing and {present} is there: bring the missing file back; if it is lost for good, move the other one away, and the validator starts in quarantine"
    )]
    HalfAVoteLog {
        /// The one that is gone.
        missing: PathBuf,
        /// The other one.
        present: PathBuf,
    },
    /// The validator found out that its key must not be used here.
    #[error("{reason}")]
    UnsafeKey {
        /// How.
        reason: String,
    },
    /// The kept evidence cannot be read.
    #[error("{path}: {source}")]
    Evidence {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// The Wasm engine does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The network does not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The API cannot listen.
    #[error("the API cannot listen on {address}: {source}")]
    Api {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread cannot be started, or the runtime of the asynchronous parts.
    #[error("the process cannot start its threads: {0}")]
    Threads(std::io::Error),
}

/// Runs the validator of `home` until the process is told to stop (SIGTERM or SIGINT).
///
/// # Errors
/// Why it does not start. Once it runs, a failing disk ends the process with code 74.
pub fn run(home: &Path) -> Result<(), NodeError> {
    let home = Home::new(home);
    let start = home.open()?;
    crate::logging::start(&start.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .map_err(NodeError::Threads)?;
    runtime.block_on(async {
        let mut node = Node::start(&home, start).await?;
        let ended = tokio::select! {
            () = stop_signal() => Ok(()),
            // The sender is dropped only when its thread ends, which takes a stop.
            Ok(reason) = &mut node.unsafe_key => Err(NodeError::UnsafeKey { reason }),
        };
        info!("stopping");
        node.stop().await;
        ended
    })
}

/// An assertion that fails in any thread ends the process: half a validator would be worse. What
/// it promised is on disk. Only where the compiler of contracts gives up, the contract is refused.
fn end_the_process_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        if !chancery_runtime::is_compilers() {
            std::process::abort();
        }
    }));
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be listened for");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// With the compiled contracts of the home, if they can be used: they only save time.
fn start_runtime(home: &Home, limits: ChainLimits) -> Result<Runtime, EngineError> {
    match CompiledFiles::open(&home.compiled_path()) {
        Ok(files) => Runtime::with_compiled_store(limits, Arc::new(files)),
        Err(error) => {
            warn!("contracts are compiled anew at every start: {error}");
            Runtime::new(limits)
        }
    }
}

/// A validator with everything around it.
#[derive(Debug)]
struct Node {
    handle: Arc<NodeHandle>,
    api: api::Server,
    threads: Vec<JoinHandle<()>>,
    unsafe_key: oneshot::Receiver<String>,
}

impl Node {
    async fn start(home: &Home, start: Start) -> Result<Self, NodeError> {
        let Start {
            config,
            genesis,
            genesis_toml,
            own,
            keys,
        } = start;
        let chain = genesis.chain_id();
        let validators = genesis.validators().clone();
        let limits = genesis.limits().clone();
        let clock = Clock::start();

        let key = keys.consensus.public();
        let (vote_log, records) = open_vote_log(home, key)?;
        let records = read_records(&records, chain, &limits)?;
        let store = Arc::new(open_store(home, &genesis, &records)?);
        // Opening a damaged ledger may panic and be caught; from here on nothing may.
        end_the_process_on_panic();
        let runtime = Arc::new(start_runtime(home, limits.clone())?);
        let consensus = Config {
            view_timeout: config.consensus.view_timeout(),
            view_timeout_max: config.consensus.view_timeout_max(),
            ..Config::new(chain, validators.clone(), own, limits.clone())
        };
        let path = home.evidence_path();
        let evidence = EvidenceStore::open(&path, &consensus.context())
            .map_err(|source| NodeError::Evidence { path, source })?;
        let relay_after = config.consensus.relay_after();
        let pool = Arc::new(Pool::new(config.pool.limits(&limits), relay_after));
        let log_key = keys.log;
        let Parts {
            validator,
            first,
            worker,
            intake,
            newest_final,
        } = assemble(
            consensus,
            keys.consensus,
            (vote_log, records),
            Arc::clone(&store),
            Arc::clone(&runtime),
            Arc::clone(&pool),
            // Zero stands for nobody.
            getrandom::u64()?.max(1),
            config.catch_up.snapshot_after_blocks,
            clock.now(),
        )?;

        if let Mode::Quarantine { .. } = validator.overview().mode {
            warn!(
                "this validator is in quarantine: it has forgotten what it promised, and votes on nothing yet; `chancery status --explain` tells what it waits for"
            );
        }
        let peers = genesis.members().iter().zip(validators.iter());
        let peers = peers
            .filter(|(_, (index, _))| *index != own)
            .map(|(card, (index, validator))| PeerConfig {
                index,
                name: validator.name.clone(),
                network_key: validator.network_key,
                address: card.address().as_str().to_owned(),
            })
            .collect();
        let (inboxes, received) = Inboxes::for_peers(validators.count());
        let network = Arc::new(Network::start(
            NetworkConfig {
                chain,
                own,
                key: keys.network,
                peers,
                listen: config.p2p.listen,
                votes_frame_bytes_max: message_bytes_max(validators.count(), limits.window_slots),
                bulk_frame_bytes_max: bulk_frame_bytes_max(&limits),
            },
            inboxes,
        )?);

        let height = worker.height();
        let final_height = newest_final
            .as_ref()
            .map_or(Height(0), |certificate| certificate.statement.height);
        let (progress_in, progress) = watch::channel(Progress {
            height,
            final_height,
            certificate: newest_final,
            halted: None,
        });
        let progress_in = Arc::new(progress_in);
        let (state_in, state) = watch::channel(worker.state_tree());
        let (overview_in, overview) = watch::channel(Arc::new(validator.overview()));
        let (inputs_in, inputs) = mpsc::channel(INPUTS_MAX);
        let handle = Arc::new(NodeHandle {
            genesis: Arc::new(genesis),
            genesis_toml,
            chain,
            validators,
            own,
            log_key,
            store,
            runtime,
            pool,
            network,
            progress,
            state,
            overview,
            metrics: Arc::new(Metrics::new()),
            clock,
            inputs: inputs_in,
            intake,
            evidence: Arc::new(evidence),
        });

        let api = api::Server::start(Arc::clone(&handle), &config.api)
            .await
            .map_err(|source| NodeError::Api {
                address: config.api.listen,
                source,
            })?;

        let (work_in, work) = std_mpsc::channel();
        tokio::spawn(ingress::votes(Arc::clone(&handle), received.votes));
        let ahead = Arc::new(Ahead::new(
            Arc::clone(&handle),
            Duration::from_millis(config.consensus.view_timeout().0),
        ));
        tokio::spawn(ingress::bulk(
            Arc::clone(&handle),
            work_in.clone(),
            Arc::clone(&ahead),
            received.bulk,
        ));
        let (proposed_in, proposed) = mpsc::unbounded_channel();
        tokio::spawn(ingress::proposed(ahead, proposed));
        tokio::spawn(tick(Arc::clone(&handle)));
        let executor = ExecutorThread {
            worker,
            handle: Arc::clone(&handle),
            work,
            progress: Arc::clone(&progress_in),
            state: state_in,
            arrivals: BTreeMap::new(),
        };
        let (unsafe_key_in, unsafe_key) = oneshot::channel();
        let validator = ValidatorThread {
            validator,
            handle: Arc::clone(&handle),
            inputs,
            work: work_in,
            proposed: proposed_in,
            overview: overview_in,
            progress: progress_in,
            unsafe_key: Some(unsafe_key_in),
        };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let threads = vec![
            thread("executor")
                .spawn(move || executor.run())
                .map_err(NodeError::Threads)?,
            thread("validator")
                .spawn(move || validator.run(first))
                .map_err(NodeError::Threads)?,
        ];
        info!(
            chain = %chain,
            validator = own.0,
            height = height.0,
            api = %config.api.listen,
            p2p = %config.p2p.listen,
            "started"
        );
        Ok(Self {
            handle,
            api,
            threads,
            unsafe_key,
        })
    }

    /// New requests are refused first; what was promised or executed is on disk already.
    async fn stop(self) {
        self.api.stop().await;
        // The thread may have ended by itself.
        let _ = self.handle.inputs.send(Input::Stop).await;
        for thread in self.threads {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.handle.network.shutdown().await;
    }
}

/// The vote log. Where it is gone, one that says so takes its place: the validator then votes only
/// where nothing that it may have promised can be contradicted.
fn open_vote_log(home: &Home, owner: PublicKey) -> Result<(VoteLog, Vec<Vec<u8>>), NodeError> {
    let missing = match VoteLog::open(home.root(), owner) {
        Err(VoteLogError::Missing { path }) => path,
        opened => return Ok(opened?),
    };
    match VoteLog::replace_lost(home.root(), owner, &[&FORGOTTEN.encode()]) {
        Err(VoteLogError::AlreadyExists { path: present }) => {
            return Err(NodeError::HalfAVoteLog { missing, present });
        }
        made => made?,
    }
    warn!(
        missing = %missing.display(),
        "the vote log is gone, and with it what this validator has promised: it starts in \
         quarantine, follows the ledger and votes on nothing until others have said how far its \
         votes went and the ledger is well past that; until then it counts among the faulty. If \
         the log still exists somewhere, stop this node, bring it back, and start again"
    );
    Ok(VoteLog::open(home.root(), owner)?)
}

/// The ledger on disk; made from genesis where there is none. Blocks that were lost are fetched.
fn open_store(home: &Home, genesis: &Genesis, promised: &[Record]) -> Result<Store, NodeError> {
    let path = home.ledger_path();
    if !path.exists() {
        if !promised.is_empty() {
            warn!(
                missing = %path.display(),
                "the ledger is gone; this validator has voted before and fetches its blocks again"
            );
        }
        Store::create(&path, &genesis_block(genesis))?;
    }
    Ok(Store::open(&path, genesis.chain_id())?)
}

/// Lets the validator's thread take a turn now and then, whatever happens.
async fn tick(handle: Arc<NodeHandle>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        if handle.inputs.send(Input::Wake).await.is_err() {
            return;
        }
    }
}
