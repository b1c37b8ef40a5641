//! Views that end: at every point, in every way, with every message lost; and what never follows.

mod common;

use std::collections::BTreeSet;

use chancery_consensus::Body;
use common::{Cluster, Random, World};

fn slots(slots_max: u64) -> World {
    World {
        slots_max,
        ..World::default()
    }
}

/// So slow that much time costs little.
fn slow() -> World {
    World {
        execution_ms_max: 150,
        ..World::default()
    }
}

/// Runs until everybody of `who` is final up to `height`.
fn check_gets_to(cluster: &mut Cluster, who: &[usize], height: u64, ms_max: u64, what: &str) {
    let done = cluster.run_until(ms_max, |cluster| {
        who.iter()
            .all(|index| cluster.final_height(*index) >= height)
    });
    assert!(done, "{what}: {}", cluster.describe());
    cluster.check_agreement();
}

// S-21, S-22

/// The primary dies after every number of things that it sends, one recipient after the other, and
/// comes back later with its disk.
fn check_every_death(window: u32, sends: u64) {
    let mut views = BTreeSet::new();
    for after in 0..sends {
        let mut cluster = Cluster::started(4, window, after, slots(4));
        cluster.dies_after = Some((0, after));
        let what = format!("window {window}, dead after {after}");
        check_gets_to(&mut cluster, &[1, 2, 3], 4, 30_000, &what);
        views.insert(cluster.view(1));
        cluster.dies_after = None;
        cluster.start_node(0);
        check_gets_to(&mut cluster, &[0, 1, 2, 3], 4, 30_000, &what);
    }
    assert!(views.contains(&0) && views.contains(&1), "{views:?}");
}

#[test]
fn a_primary_that_dies_at_any_point_is_replaced() {
    check_every_death(1, 60);
    check_every_death(3, 60);
}

/// The same with one of the others, which has its own last word to some, and is never seen again.
#[test]
fn the_word_of_one_who_is_gone_stays_true() {
    for after in (0..120).step_by(6) {
        for gone in [1, 2, 3] {
            let mut cluster = Cluster::started(4, 3, after, slots(6));
            cluster.dies_after = Some((gone, after));
            let others: Vec<usize> = (0..4).filter(|index| *index != gone).collect();
            check_gets_to(
                &mut cluster,
                &others,
                6,
                60_000,
                &format!("{gone} after {after}"),
            );
        }
    }
}

// S-26

#[test]
fn primaries_that_are_all_dead_are_passed_over() {
    for (count, dead) in [(4, vec![0]), (7, vec![0, 1]), (10, vec![0, 1, 2])] {
        let mut cluster = Cluster::new(count, 4, 1, slots(5));
        cluster.played.extend(dead.iter().copied());
        cluster.start();
        let others: Vec<usize> = (dead.len()..usize::from(count)).collect();
        check_gets_to(&mut cluster, &others, 5, 60_000, &format!("n={count}"));
        let view = u64::try_from(dead.len()).expect("small");
        assert!(others.iter().all(|index| cluster.view(*index) == view));
    }
}

/// A NEW-VIEW is lost to each subset of those who wait for it, and nobody sends anything new.
#[test]
fn a_new_view_that_is_lost_to_some_is_given_to_them() {
    for subset in 0..4_u32 {
        let mut cluster = Cluster::new(4, 4, u64::from(subset), slots(1));
        cluster.played.insert(0);
        cluster.loses = Box::new(move |from, to, message| {
            let is_new_view = message.is_some_and(|m| matches!(m.body, Body::NewView(_)));
            let lost = (to == 2 && subset & 1 != 0) || (to == 3 && subset & 2 != 0);
            is_new_view && from == 1 && lost
        });
        cluster.start();
        // Only the primary itself never gets through to them.
        let what = format!("subset {subset:02b}");
        if subset == 3 {
            cluster.run(3_000);
            cluster.loses = Box::new(|_, _, _| false);
        }
        check_gets_to(&mut cluster, &[1, 2, 3], 1, 30_000, &what);
    }
}

// S-25, S-31, S-38, S-39 and what nobody thought of

/// For a while the network loses what a seed decides: by kind of message, sender and receiver; and
/// some die and come back. Then it heals.
fn check_storm(count: u16, window: u32, seed: u64) {
    let mut random = Random(seed);
    let world = World {
        loss_percent: random.below(20),
        duplicate_percent: random.below(10),
        crash_per_mille: random.below(3),
        delay_ms_max: 10 + random.below(200),
        ..slow()
    };
    let mut cluster = Cluster::started(count, window, seed, world);
    for phase in 0..6 {
        let salt = random.next();
        let harshness = random.below(60);
        cluster.loses = Box::new(move |from, to, message| {
            let kind = message.map_or("batch", |message| message.body.kind());
            let from = u64::try_from(from).expect("small");
            let to = u64::try_from(to).expect("small");
            let kind =
                u64::try_from(kind.len()).expect("small") * 31 + u64::from(kind.as_bytes()[0]);
            let mut place = Random(salt ^ (from << 40) ^ (to << 20) ^ kind);
            place.next();
            place.chance(harshness)
        });
        cluster.run(500 + random.below(4_000));
        if phase % 2 == 1 {
            let one = usize::try_from(random.below(u64::from(count))).expect("small");
            if cluster.nodes[one].replica.is_some() {
                cluster.crash(one);
                cluster.start_node(one);
            }
        }
        cluster.check_agreement();
    }
    cluster.loses = Box::new(|_, _, _| false);
    cluster.world.loss_percent = 0;
    cluster.world.crash_per_mille = 0;
    let everybody: Vec<usize> = (0..usize::from(count)).collect();
    let reached = everybody.iter().map(|i| cluster.height(*i)).max();
    let height = reached.expect("somebody") + 5;
    let what = format!("n={count} window={window} seed={seed}");
    check_gets_to(&mut cluster, &everybody, height, 120_000, &what);
}

#[test]
fn after_any_storm_it_goes_on() {
    for seed in 0..30 {
        check_storm(
            4,
            [1, 3, 8][usize::try_from(seed % 3).expect("small")],
            seed,
        );
    }
    for seed in 0..6 {
        check_storm(7, 3, seed);
    }
}

// S-27, S-28

/// Everybody executed the same, but not everybody has seen that it is certified; then the primary
/// is gone.
#[test]
fn whoever_knows_which_checkpoint_a_view_begins() {
    for assignment in 0..27_u64 {
        let known = [assignment % 3, assignment / 3 % 3, assignment / 9].map(|part| 2 * part);
        let mut cluster = Cluster::started(4, 6, assignment, slots(4));
        cluster.loses = Box::new(move |_, to, message| {
            let limit = if to == 0 { 4 } else { known[to - 1] };
            message.is_some_and(|message| match &message.body {
                Body::Checkpoint(statement) => statement.height.0 > limit,
                Body::Certificate(certificate) => certificate.statement.height.0 > limit,
                _ => false,
            })
        });
        let executed = cluster.run_until(10_000, |cluster| {
            (0..4).all(|index| cluster.height(index) == 4)
        });
        assert!(executed, "{known:?}: {}", cluster.describe());
        cluster.crash(0);
        cluster.world.slots_max = 8;
        // Those who know less than others still hear nothing above of the checkpoints.
        cluster.run(5_000);
        cluster.loses = Box::new(|_, _, _| false);
        check_gets_to(&mut cluster, &[1, 2, 3], 8, 60_000, &format!("{known:?}"));
        cluster.start_node(0);
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            8,
            60_000,
            &format!("{known:?}"),
        );
    }
}

// S-34, S-36, S-37, S-40

#[test]
fn one_who_is_cut_off_drags_nobody_and_comes_back() {
    for cut in 0..4 {
        let mut cluster = Cluster::started(4, 4, 7, slow());
        cluster.run(300);
        cluster.loses = Box::new(move |from, to, _| from == cut || to == cut);
        cluster.run(60_000);
        let others: Vec<usize> = (0..4).filter(|index| *index != cut).collect();
        let view = cluster.view(others[0]);
        assert!(cluster.view(cut) <= 1, "it waits for company");
        assert_eq!(
            view,
            u64::from(cut == 0),
            "the others needed one view at most"
        );
        cluster.loses = Box::new(|_, _, _| false);
        let height = cluster.height(others[0]) + 5;
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            height,
            30_000,
            &format!("cut {cut}"),
        );
        assert!(others.iter().all(|index| cluster.view(*index) == view));
    }
}

/// Nothing is to be done when it comes back: it learns the view all the same.
#[test]
fn a_primary_that_was_cut_off_learns_the_new_view_without_traffic() {
    let mut cluster = Cluster::started(4, 4, 7, slots(2));
    cluster.run(300);
    cluster.loses = Box::new(|from, to, _| from == 0 || to == 0);
    cluster.world.slots_max = 4;
    check_gets_to(&mut cluster, &[1, 2, 3], 4, 30_000, "three go on");
    assert_eq!(cluster.view(1), 1);
    cluster.loses = Box::new(|_, _, _| false);
    cluster.run(1_500);
    assert_eq!(
        (cluster.view(0), cluster.is_active(0)),
        (1, true),
        "{}",
        cluster.describe()
    );
}

#[test]
fn a_primary_that_lags_far_behind_leads_once_it_has_caught_up_or_is_replaced() {
    for seed in 0..6 {
        let mut cluster = Cluster::started(4, 4, seed, World::default());
        cluster.run(300);
        cluster.nodes[1].paused = true;
        cluster.run(2_000);
        let ahead = cluster.final_height(0);
        assert!(ahead > cluster.height(1) + 20);
        cluster.resume(1, false);
        cluster.crash(0);
        check_gets_to(
            &mut cluster,
            &[1, 2, 3],
            ahead + 10,
            30_000,
            &format!("seed {seed}"),
        );
    }
}

/// One that is in turn heard and not heard.
#[test]
fn a_primary_that_comes_and_goes_does_not_stop_the_others() {
    for period in [300, 900, 1_500, 3_000] {
        let mut cluster = Cluster::started(4, 4, period, slow());
        cluster.run(200);
        for round in 0..20 {
            let silent = round % 2 == 0;
            let one_way = round % 4 == 0;
            cluster.loses =
                Box::new(move |from, to, _| silent && (from == 0 || (to == 0 && !one_way)));
            cluster.run(period);
        }
        cluster.loses = Box::new(|_, _, _| false);
        let height = cluster.height(1) + 10;
        assert!(height > 30, "period {period}: {}", cluster.describe());
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            height,
            60_000,
            &format!("period {period}"),
        );
    }
}

#[test]
fn halves_that_cannot_hear_each_other_stand_still_and_go_on_together() {
    for seed in 0..6 {
        let mut cluster = Cluster::started(4, 4, seed, slow());
        cluster.run(200);
        cluster.loses = Box::new(|from, to, _| (from < 2) != (to < 2));
        cluster.run(1_000);
        let stuck = (0..4).map(|i| cluster.height(i)).max().expect("four");
        cluster.run(60_000);
        assert!((0..4).all(|i| cluster.height(i) <= stuck && cluster.view(i) <= 1));
        cluster.loses = Box::new(|_, _, _| false);
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            stuck + 5,
            10_000,
            &format!("seed {seed}"),
        );
    }
}

// S-51, S-52

/// All die at once, at any moment of a view change, and start again.
#[test]
fn all_may_die_in_the_middle_of_a_view_change() {
    for moment in 0..40 {
        let mut cluster = Cluster::started(4, 3, moment, World::default());
        cluster.run(200);
        cluster.crash(0);
        // The view changes about a second later.
        cluster.run(950 + moment * 10);
        for index in 1..4 {
            cluster.crash(index);
        }
        for index in [2, 0, 3, 1] {
            cluster.start_node(index);
            cluster.run(moment * 7);
        }
        let reached = (0..4).map(|i| cluster.height(i)).max().expect("four");
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            reached + 5,
            60_000,
            &format!("{moment}"),
        );
    }
}

#[test]
fn nodes_that_die_again_and_again_change_views_and_never_contradict_themselves() {
    for seed in 0..6 {
        let world = World {
            crash_per_mille: 8,
            loss_percent: 10,
            delay_ms_max: 150,
            ..slow()
        };
        let mut cluster = Cluster::started(4, 3, seed, world);
        cluster.run(60_000);
        cluster.check_agreement();
        cluster.world.crash_per_mille = 0;
        let reached = (0..4).map(|i| cluster.height(i)).max().expect("four");
        check_gets_to(
            &mut cluster,
            &[0, 1, 2, 3],
            reached + 5,
            60_000,
            &format!("seed {seed}"),
        );
    }
}

// S-08

#[test]
fn a_healthy_ledger_stays_in_its_view() {
    let mut cluster = Cluster::started(4, 4, 1, slow());
    cluster.run(60_000);
    assert!((0..4).all(|index| cluster.view(index) == 0));
    let mut idle = Cluster::started(4, 4, 1, slots(3));
    idle.run(120_000);
    assert!((0..4).all(|index| idle.view(index) == 0 && idle.height(index) == 3));
}
