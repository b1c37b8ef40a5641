//! Numbers that the project promises, measured on real processes and printed; a machine with other
//! work to do may need more time, so what is asserted is looser than what is aimed at.

use std::time::{Duration, Instant};

use chancery_ledger::ChainLimits;
use chancery_tests::cluster::Cluster;
use chancery_tests::command::{chancery, contract, eventually};
use chancery_tests::founding::Founding;
use chancery_tests::intact::{History, assert_ledger_intact};
use chancery_tests::load::Load;
use chancery_tests::process::Launch;

/// The number in an environment variable, or what it is without.
fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{variable}={text} is not a number"))
    })
}

/// Fuel is a rule, so two measurements agree on it; each call pays for its code, and more.
#[test]
fn shipped_contracts_are_measured_in_the_executor() {
    let folder = contract("data_access").with_file_name("");
    let folder = folder.display().to_string();
    let fuel = || {
        let ran = chancery(&["bench", "contracts", "--runs", "2", "--contracts", &folder]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let contracts = ran.out["contracts"].as_array().expect("a list").clone();
        let mut fuel = Vec::new();
        for contract in &contracts {
            let number = |value: &serde_json::Value| value.as_u64().expect("a number");
            for call in contract["calls"].as_array().expect("a list") {
                assert!(
                    number(&call["fuel"]) > number(&contract["load_fuel"]),
                    "{call}"
                );
                assert!(number(&call["cold_us"]) > 0, "{call}");
                fuel.push(number(&call["fuel"]));
            }
        }
        assert_eq!(contracts.len(), 5);
        fuel
    };
    assert_eq!(fuel(), fuel());
}

#[test]
fn healthy_saturation_sees_no_view_change() {
    let seconds = number("CHANCERY_SATURATION_SECONDS", 20);
    let cluster = Cluster::start(4);
    let wasm = contract("data_access").display().to_string();
    let bench = [
        "bench",
        "--rate",
        &number("CHANCERY_SATURATION_RATE", 1_000).to_string(),
        "--seconds",
        &seconds.to_string(),
        "--wasm",
        &wasm,
    ];
    let ran = cluster.ok(&bench);
    println!(
        "measured: {seconds} s of saturation: {} of {} final, {} a second, p50 {} ms, p99 {} ms",
        ran.out["final"],
        ran.out["offered"],
        ran.out["transactions_per_second"],
        ran.out["p50_ms"],
        ran.out["p99_ms"]
    );
    for index in cluster.all() {
        assert_eq!(cluster.view(index), Some(0), "validator {index}");
    }
    assert_ledger_intact(&cluster, &cluster.all(), &mut History::default());
}

/// The speed of a validator that fetches from genesis what the others made under load.
#[test]
fn catching_up_from_genesis_is_faster_than_the_blocks_were_made() {
    let seconds = number("CHANCERY_CATCH_UP_SECONDS", 12);
    let cluster = Cluster::found(&Founding::of(4));
    let (early, late) = ([0, 1, 2], 3);
    early.iter().for_each(|index| cluster.restart(*index));
    cluster.ready(&early);
    let contract = cluster.deploy_data_access("hospital");
    let mut history = History::default();
    let (before, begun) = (cluster.height(0), Instant::now());
    let load = Load::start(&cluster, &contract, "hospital", 100);
    std::thread::sleep(Duration::from_secs(seconds));
    let made = cluster.height(0) - before;
    let making = begun.elapsed();
    history.note(&load.finish());

    let target = cluster.height(0);
    let started = Instant::now();
    cluster.restart(late);
    let mut first = None;
    let fetching = loop {
        let height = cluster.height(late);
        if height > 0 && first.is_none() {
            first = Some((height, Instant::now()));
        }
        if height >= target {
            break started.elapsed();
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "at {height} of {target}"
        );
        std::thread::sleep(Duration::from_millis(5));
    };
    let (at, since) = first.expect("it began");
    let per_second = |blocks: u64, time: Duration| blocks as f64 / time.as_secs_f64();
    let (making, whole) = (per_second(made, making), per_second(target, fetching));
    println!(
        "measured: {made} blocks were made at {making:.0} a second; {target} were fetched from \
         genesis at {whole:.0} a second since the start of the process ({:.1} times), at {:.0} a \
         second since the first {at} were there",
        whole / making,
        per_second(target - at, since.elapsed()),
    );
    assert_ledger_intact(&cluster, &cluster.all(), &mut history);
}

/// The time from the start of a process to the first vote that it hands out.
#[test]
fn a_validator_with_many_blocks_votes_soon_after_its_restart() {
    let blocks = number("CHANCERY_RESTART_BLOCKS", 1_000);
    // Blocks of one transaction are made fastest, and empty ones give it something to vote for.
    let limits = ChainLimits {
        batch_transactions_max: 1,
        heartbeat_ms: 200,
        ..ChainLimits::default()
    };
    let cluster = Cluster::found(&Founding {
        limits,
        ..Founding::of(4)
    });
    let (all, victim) = (cluster.all(), 3);
    all.iter().for_each(|index| cluster.restart(*index));
    cluster.ready(&all);
    let contract = cluster.deploy_data_access("hospital");
    let load = Load::start(&cluster, &contract, "hospital", 80);
    let begun = Instant::now();
    eventually("the blocks are made", 60 + blocks / 10, || {
        cluster.height(victim) >= blocks
    });
    let made = begun.elapsed();
    let mut history = History::default();
    history.note(&load.finish());
    cluster.level(&all);
    let mut times = Vec::new();
    for _ in 0..3 {
        cluster.kill(victim);
        let said = cluster.log(victim).len();
        let how = Launch::plain().with_log("info,chancery_node::threads=trace");
        let started = Instant::now();
        cluster.launch(victim, &how);
        let voted = loop {
            if cluster.log(victim)[said..].contains("handing out a vote") {
                break started.elapsed();
            }
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "it votes again"
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        times.push(voted);
        cluster.level(&all);
    }
    times.sort_unstable();
    println!(
        "measured: {} blocks, made in {} s: restart to the first vote: median {} ms \
         of {:?} ms",
        cluster.height(victim),
        made.as_secs(),
        times[1].as_millis(),
        times.iter().map(Duration::as_millis).collect::<Vec<_>>()
    );
    assert_ledger_intact(&cluster, &all, &mut history);
}
