//! Whole clusters agree, whatever the network does.

mod common;

use chancery_ledger::Millis;
use common::{Cluster, World};

/// Runs until every validator's ledger is final up to `height`.
fn check_agrees(count: u16, window: u32, seed: u64, world: World, height: u64, minutes_max: u64) {
    let mut cluster = Cluster::started(count, window, seed, world);
    let everybody = usize::from(count);
    let done = cluster.run_until(minutes_max * 60_000, |cluster| {
        (0..everybody).all(|index| cluster.final_height(index) >= height)
    });
    cluster.check_agreement();
    let finals: Vec<u64> = (0..everybody).map(|i| cluster.final_height(i)).collect();
    assert!(done, "n={count} seed={seed}: final heights {finals:?}");
}

#[test]
fn four_agree_on_thousands_of_slots_with_several_in_flight() {
    let mut cluster = Cluster::started(
        4,
        16,
        1,
        World {
            duplicate_percent: 5,
            delay_ms_max: 60,
            ..World::default()
        },
    );
    let done = cluster.run_until(3_600_000, |cluster| {
        (0..4).all(|index| cluster.final_height(index) >= 3_000)
    });
    assert!(done);
    cluster.check_agreement();
    assert!(cluster.in_flight_most >= 4, "{}", cluster.in_flight_most);
}

#[test]
fn every_size_of_cluster_agrees() {
    for count in [1, 2, 3, 4, 5, 7] {
        check_agrees(count, 8, u64::from(count), World::default(), 200, 10);
    }
}

#[test]
fn every_size_of_window_agrees() {
    for window in [1, 2, 3, 4, 64] {
        check_agrees(4, window, u64::from(window), World::default(), 200, 10);
    }
}

#[test]
fn whatever_is_lost_is_asked_for_again() {
    for (seed, loss_percent) in [(1, 5), (2, 20), (3, 20), (4, 40)] {
        let world = World {
            loss_percent,
            duplicate_percent: 10,
            delay_ms_max: 200,
            ..World::default()
        };
        check_agrees(4, 8, seed, world, 150, 60);
    }
}

#[test]
fn seven_agree_over_a_lossy_network() {
    let world = World {
        loss_percent: 10,
        duplicate_percent: 10,
        delay_ms_max: 100,
        ..World::default()
    };
    check_agrees(7, 8, 11, world, 100, 30);
}

#[test]
fn loss_is_healed_without_fetching_blocks() {
    let world = World {
        loss_percent: 20,
        delay_ms_max: 100,
        slots_max: 8,
        fetch: false,
        // Of two views, a slot's COMMITs may be left of neither in full: then blocks are fetched.
        view_timeout: Millis(3_600_000),
        ..World::default()
    };
    for seed in 0..10 {
        check_agrees(4, 8, seed, world.clone(), 8, 10);
    }
}

#[test]
fn one_seed_gives_one_trace() {
    let trace = |seed| {
        let world = World {
            loss_percent: 10,
            duplicate_percent: 10,
            ..World::default()
        };
        let mut cluster = Cluster::started(4, 8, seed, world);
        cluster.run(5_000);
        cluster.trace
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}

#[test]
fn processes_that_die_at_any_moment_never_contradict_themselves() {
    for seed in 0..8 {
        let world = World {
            crash_per_mille: 5,
            loss_percent: 2,
            delay_ms_max: 60,
            ..World::default()
        };
        let mut cluster = Cluster::started(4, 8, seed, world);
        cluster.run(10_000);
        cluster.check_agreement();
        // Then the world calms down, and all go on.
        cluster.world.crash_per_mille = 0;
        let before = (0..4).map(|i| cluster.height(i)).max().expect("four");
        let done = cluster.run_until(120_000, |cluster| {
            (0..4).all(|index| cluster.final_height(index) >= before + 20)
        });
        let finals: Vec<u64> = (0..4).map(|i| cluster.final_height(i)).collect();
        assert!(
            done,
            "seed {seed}: {before} before, final heights {finals:?}"
        );
        cluster.check_agreement();
    }
}
