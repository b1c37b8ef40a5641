//! Joining, and going on from there.

use chancery_ledger::header_log::inclusion_proof;

use super::*;

fn join(joiner: &mut Ledger<'_>, server: &Ledger<'_>) {
    let parts = server.parts(0);
    let last = parts.len() - 1;
    for (i, part) in parts.into_iter().enumerate() {
        let taken = joiner.take(part).expect("an honest server");
        assert_eq!(taken.joined.is_some(), i == last, "part {i}");
    }
}

#[test]
fn a_joined_ledger_goes_on_as_the_one_it_was_taken_from() {
    let world = World::new();
    let mut server = Ledger::with_blocks(&world, 60);
    let mut joiner = Ledger::new(&world);
    join(&mut joiner, &server);
    assert_eq!(joiner.executor.tip(), server.executor.tip());
    assert_eq!(joiner.executor.statement(), server.executor.statement());
    joiner.check_state();

    // What may still be repeated is known, and nothing of what is older.
    let snapshot = joiner.store.read();
    for height in 1..=60 {
        let known = snapshot.transaction(&world.id(height)).is_some();
        let place = server.store.read().transaction(&world.id(height));
        assert!(place.is_some());
        if height >= 40 {
            assert_eq!(snapshot.transaction(&world.id(height)), place);
        } else if height < 38 {
            assert!(!known, "{height} is too old to be repeated");
        }
        assert_eq!(snapshot.block(Height(height)), None);
    }
    assert_eq!(snapshot.base(), Some(Height(60)));
    drop(snapshot);

    // Repeating a transaction is refused by both.
    let mut repeated = world.batch(61);
    repeated
        .transactions
        .push(world.batch(55).transactions[0].clone());
    for round in 0..2 {
        let [ours, theirs] = [&mut joiner, &mut server].map(|ledger| {
            let executed = ledger.executor.execute(&repeated).expect("a disk");
            assert_eq!(executed.dropped.len(), 1 + round);
            executed.header
        });
        assert_eq!(ours, theirs);
    }
    joiner = joiner.reopen();
    joiner.check_state();
    joiner.execute_up_to(70);
    server.execute_up_to(70);
    assert_eq!(joiner.executor.tip(), server.executor.tip());

    // Every block from the snapshot on can be proved, in every later log.
    let snapshot = joiner.store.read();
    for size in 61..=71 {
        for height in 60..size {
            let node = |level, index| snapshot.log_node(level, index);
            let proof = inclusion_proof(height, size, &node).expect("its nodes are here");
            let theirs = |level, index| server.store.read().log_node(level, index);
            assert_eq!(Some(proof), inclusion_proof(height, size, &theirs));
        }
    }
}

#[test]
fn a_joined_ledger_serves_what_it_has_and_nothing_else() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 60);
    let mut joiner = Ledger::new(&world);
    join(&mut joiner, &server);
    joiner.certificate = server.certificate.clone();
    joiner.execute_up_to(65);
    let limits = world.genesis.limits();
    let serve = |after, through| {
        let newest = joiner.certificate.clone();
        let snapshot = joiner.store.read();
        super::serve(&snapshot, newest, limits, Height(after), Height(through))
    };
    for (after, through) in [(0, 65), (20, 40), (58, 65), (59, 65)] {
        assert_eq!(serve(after, through), None, "{after}..{through}");
    }
    let mut third = Ledger::with_blocks(&world, 60);
    let range = serve(60, 65).expect("executed there");
    let taken = third.executor.take(Answer::Blocks(range)).expect("honest");
    assert_eq!(taken.blocks.len(), 5);
    assert_eq!(third.executor.tip(), joiner.executor.tip());

    // A snapshot needs the blocks of the last two seconds.
    let offer = SnapshotRequest::Offer { above: Height(0) };
    assert_eq!(joiner.answer(&Offers::default(), &offer), None);
    joiner.execute_up_to(85);
    let mut fourth = Ledger::new(&world);
    join(&mut fourth, &joiner);
    assert_eq!(fourth.executor.tip(), joiner.executor.tip());
}

#[test]
fn what_was_certified_here_stays_and_nothing_else() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 60);
    for behind in [5_u64, 50] {
        let mut joiner = Ledger::with_blocks(&world, behind);
        joiner.executor.flush_certificates().expect("a disk");
        // Executed, and never certified: in another world this is another block.
        for _ in 0..3 {
            joiner.executor.execute(&Batch::empty()).expect("a disk");
        }
        join_asking(&mut joiner, &server);
        joiner = joiner.reopen();
        joiner.check_state();
        let (snapshot, theirs) = (joiner.store.read(), server.store.read());
        for height in 0..=60 {
            let here = snapshot.header(Height(height));
            if height <= behind || height == 60 {
                assert_eq!(here, theirs.header(Height(height)));
            } else {
                assert_eq!(here, None, "block {height} was not certified");
            }
            if (1..=behind).contains(&height) {
                assert_eq!(snapshot.block(Height(height)), theirs.block(Height(height)));
                let node = |level, index| snapshot.log_node(level, index);
                inclusion_proof(height, behind + 1, &node).expect("its nodes are here");
            }
        }
        joiner.execute_up_to(61);
        assert_eq!(joiner.tip(), 61);
    }
}

fn join_asking(joiner: &mut Ledger<'_>, server: &Ledger<'_>) {
    let offers = Offers::default();
    let above = Height(joiner.tip());
    let mut request = Some(SnapshotRequest::Offer { above });
    while let Some(asked) = request {
        let part = server.answer(&offers, &asked).expect("served");
        request = joiner.take(part).expect("an honest server").part;
    }
}

#[test]
fn another_source_of_the_same_snapshot_goes_on_where_the_first_one_stopped() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 60);
    let mut joiner = Ledger::new(&world);
    let parts = server.parts(0);
    for part in &parts[..parts.len() - 1] {
        joiner.take(part.clone()).expect("honest");
    }
    let taken = joiner.take(parts[0].clone()).expect("honest");
    let state = matches!(taken.part, Some(SnapshotRequest::State { .. }));
    assert!(state, "{:?}", taken.part);
    let taken = joiner.take(parts[parts.len() - 1].clone()).expect("honest");
    assert!(taken.joined.is_some());
    joiner.check_state();
}

#[test]
fn a_transfer_that_ended_early_leaves_the_ledger_as_it_was() {
    let world = World::new();
    let server = Ledger::with_blocks(&world, 60);
    let mut joiner = Ledger::with_blocks(&world, 5);
    for part in &server.parts(5)[..2] {
        joiner.take(part.clone()).expect("honest");
    }
    joiner = joiner.reopen();
    joiner.check_state();
    let repeated = joiner.store.read().transaction(&world.id(59));
    assert_eq!(repeated, None);
    joiner.execute_up_to(6);
    join_asking(&mut joiner, &server);
    assert_eq!(joiner.tip(), 60);
}
