//! How fast a ledger is made, and caught up with.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "a measurement; run with --ignored --nocapture on a quiet machine"]
fn measure_catching_up() {
    const BLOCKS: u64 = 2_000;
    let world = World::new();
    let mut server = Ledger::new(&world);
    let clock = Instant::now();
    server.execute_up_to(BLOCKS);
    let made = clock.elapsed();
    let per_second = |took: std::time::Duration| f64::from(2_000_u32) / took.as_secs_f64();
    println!("made: {:.0} blocks a second", per_second(made));

    let mut joiner = Ledger::new(&world);
    let clock = Instant::now();
    while joiner.tip() < BLOCKS {
        let (snapshot, newest) = (server.store.read(), server.certificate.clone());
        let (after, limits) = (Height(joiner.tip()), world.genesis.limits());
        let range = serve(&snapshot, newest, limits, after, Height(BLOCKS)).expect("has them");
        joiner.executor.take(Answer::Blocks(range)).expect("honest");
    }
    println!(
        "executed again: {:.0} blocks a second",
        per_second(clock.elapsed())
    );

    let mut joiner = Ledger::new(&world);
    let clock = Instant::now();
    let offers = Offers::default();
    let mut request = Some(SnapshotRequest::Offer { above: Height(0) });
    while let Some(asked) = request {
        let part = server.answer(&offers, &asked).expect("served");
        request = joiner.take(part).expect("honest").part;
    }
    println!("joined by a snapshot: {:?}", clock.elapsed());
    assert_eq!(joiner.tip(), BLOCKS);
}
