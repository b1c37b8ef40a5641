use chancery_ledger::{AccountId, Call, ChainId, Fuel, SecretKey, Transaction, Upgraders};

use super::*;

const LIMITS: PoolLimits = PoolLimits {
    transactions_max: 3,
    bytes_max: 10_000,
    per_sender_max: 2,
    fuel_per_sender_max: 1_000,
};

fn pool() -> Pool {
    Pool::new(LIMITS, Millis(10))
}

fn insert(pool: &Pool, origin: Origin, signed: &Verified<SignedTransaction>) {
    pool.insert(Millis(0), origin, signed.clone())
        .expect("fits");
}

fn transaction(seed: u8, salt: u64, valid_until: u64) -> Verified<SignedTransaction> {
    declaring(1, seed, salt, valid_until)
}

fn declaring(fuel_max: u64, seed: u8, salt: u64, valid_until: u64) -> Verified<SignedTransaction> {
    let call = Call::Admit {
        account: AccountId([7; 32]),
        roles: Vec::new(),
    };
    asking(call, fuel_max, seed, salt, valid_until)
}

fn asking(
    call: Call,
    fuel_max: u64,
    seed: u8,
    salt: u64,
    valid_until: u64,
) -> Verified<SignedTransaction> {
    let key = SecretKey::from_seed(&[seed; 32]);
    Transaction {
        chain: ChainId::default(),
        sender: key.account(),
        salt,
        valid_until: Millis(valid_until),
        fuel_max: Fuel(fuel_max),
        call,
    }
    .sign(&key)
    .verify(ChainId::default(), &ChainLimits::default())
    .expect("well-formed")
}

#[test]
fn each_limit_refuses_by_its_own_name() {
    let pool = pool();
    let insert = |seed, salt| pool.insert(Millis(0), Origin::Client, transaction(seed, salt, 9));
    assert_eq!(insert(1, 1), Ok(()));
    assert_eq!(insert(1, 1), Err(PoolError::Repeated));
    assert_eq!(insert(1, 2), Ok(()));
    assert_eq!(
        insert(1, 3),
        Err(PoolError::SenderFull {
            waiting: 2,
            per_sender_max: 2
        })
    );
    assert_eq!(insert(2, 1), Ok(()));
    assert!(matches!(
        insert(3, 1),
        Err(PoolError::Full {
            transactions: 3,
            ..
        })
    ));
}

/// Others wait behind what one sender has waiting: not for long, whatever it burns.
#[test]
fn what_one_sender_has_waiting_may_burn_so_much_and_no_more() {
    let pool = Pool::new(
        PoolLimits {
            transactions_max: 99,
            per_sender_max: 99,
            bytes_max: 99_000,
            fuel_per_sender_max: 100,
        },
        Millis(10),
    );
    let insert =
        |fuel, seed, salt| pool.insert(Millis(0), Origin::Client, declaring(fuel, seed, salt, 50));
    assert_eq!(insert(60, 1, 1), Ok(()));
    assert_eq!(insert(40, 1, 2), Ok(()));
    let full = PoolError::SenderBurnsTooMuch {
        waiting: 100,
        fuel_per_sender_max: 100,
    };
    assert_eq!(insert(1, 1, 3), Err(full));
    // Neither others nor deployments count, and what is executed makes room.
    assert_eq!(insert(100, 9, 1), Ok(()));
    let code = pool.insert(Millis(0), Origin::Client, deployment(1, 1_000));
    assert_eq!(code, Ok(()));
    pool.forget(&declaring(40, 1, 2, 50).id());
    assert_eq!(
        insert(41, 1, 4),
        Err(PoolError::SenderBurnsTooMuch {
            waiting: 60,
            fuel_per_sender_max: 100
        })
    );
    assert_eq!(insert(40, 1, 4), Ok(()));
}

#[test]
fn a_batch_takes_the_oldest_first_and_each_only_once() {
    let pool = pool();
    let limits = ChainLimits {
        batch_transactions_max: 2,
        ..ChainLimits::default()
    };
    let all = [
        transaction(1, 1, 50),
        transaction(2, 1, 50),
        transaction(3, 1, 50),
    ];
    for signed in all.clone() {
        pool.insert(Millis(0), Origin::Client, signed)
            .expect("fits");
    }
    assert!(pool.fills_a_batch(&limits));
    let first = pool
        .take_batch(Millis(10), true, &limits)
        .expect("three wait");
    assert_eq!(
        first.transactions,
        [&all[0], &all[1]].map(|signed| (**signed).clone())
    );
    assert!(!pool.fills_a_batch(&limits));
    let second = pool
        .take_batch(Millis(10), true, &limits)
        .expect("one waits");
    assert_eq!(second.transactions.len(), 1);
    assert!(pool.take_batch(Millis(10), true, &limits).is_none());
    assert_eq!(
        pool.count(),
        3,
        "proposed ones stay until they are executed"
    );
    pool.remove(Source::Ordered, all.iter().map(|signed| signed.id()), []);
    assert_eq!(pool.count(), 0);
    let inner = pool.lock();
    assert_eq!(inner.waiting, Amounts::default());
    assert_eq!(inner.unproposed, Amounts::default());
    assert_eq!(inner.per_sender.len(), 0);
}

fn deployment(salt: u64, fuel_max: u64) -> Verified<SignedTransaction> {
    let call = Call::Deploy {
        code: vec![0; 100],
        upgraders: Upgraders::nobody(),
        args: Vec::new(),
    };
    asking(call, fuel_max, 9, salt, 50)
}

#[test]
fn few_deployments_of_one_sender_wait_and_others_of_it_do_not_count() {
    let pool = Pool::new(
        PoolLimits {
            transactions_max: 99,
            per_sender_max: 99,
            fuel_per_sender_max: 1_000,
            bytes_max: 99_000,
        },
        Millis(10),
    );
    let code_max = u64::try_from(CODE_PER_SENDER_MAX).expect("a small number");
    for salt in 0..code_max {
        insert(&pool, Origin::Client, &deployment(salt, 1));
    }
    let another = deployment(code_max, 1);
    let insert = |signed: &Verified<SignedTransaction>| {
        pool.insert(Millis(0), Origin::Client, signed.clone())
    };
    assert_eq!(insert(&another), Err(PoolError::SenderCodeFull));
    assert_eq!(insert(&transaction(9, 1, 50)), Ok(()));
    pool.forget(&deployment(0, 1).id());
    assert_eq!(insert(&another), Ok(()));
}

#[test]
fn code_waits_for_its_turn_and_keeps_nobody_waiting() {
    let pool = Pool::new(
        PoolLimits {
            transactions_max: 9,
            per_sender_max: 9,
            fuel_per_sender_max: 1_000,
            ..LIMITS
        },
        Millis(10),
    );
    let most = ChainLimits::default().transaction_fuel_max;
    let (small, great, plain) = (
        [deployment(1, most / 2), deployment(2, most / 2)],
        deployment(3, most),
        [transaction(1, 1, 50), transaction(2, 1, 50)],
    );
    for signed in [&small[0], &great, &plain[0], &small[1], &plain[1]] {
        insert(&pool, Origin::Client, signed);
    }
    let limits = ChainLimits {
        batch_transactions_max: 3,
        ..ChainLimits::default()
    };
    assert!(!pool.fills_a_batch(&limits), "code does not count");
    let backlog = pool.backlog(Millis(0), Millis(0), &limits);
    assert_eq!(backlog.transactions, 2);
    let taken = |with_code| {
        let batch = pool.take_batch(Millis(10), with_code, &limits);
        batch.map(|batch| batch.into_inner().transactions)
    };
    let of = |all: &[&Verified<SignedTransaction>]| {
        let all = all.iter().map(|signed| (**signed).clone().into_inner());
        Some(all.collect::<Vec<_>>())
    };
    // The great one does not fit beside the first; the next small one does.
    assert_eq!(taken(true), of(&[&small[0], &plain[0], &small[1]]));
    assert_eq!(taken(false), of(&[&plain[1]]));
    assert_eq!(taken(false), None);
    assert_eq!(taken(true), of(&[&great]));
    assert_eq!(taken(true), None);
}

#[test]
fn what_expired_is_neither_proposed_nor_kept() {
    let pool = pool();
    pool.insert(Millis(0), Origin::Client, transaction(1, 1, 10))
        .expect("fits");
    assert!(
        pool.take_batch(Millis(10), true, &ChainLimits::default())
            .is_none()
    );
    pool.remove_expired(Millis(9));
    assert_eq!(pool.count(), 1);
    pool.remove_expired(Millis(10));
    assert_eq!(pool.count(), 0);
}

#[test]
fn what_our_clients_handed_in_goes_to_all_after_a_while_and_again_later() {
    let pool = pool();
    insert(&pool, Origin::Client, &transaction(1, 1, 50));
    insert(&pool, Origin::Peer, &transaction(2, 1, 50));
    // That of a peer comes later: whoever handed it on may be gone.
    let due = [(9, 0), (10, 1), (11, 0), (39, 0), (40, 1), (49, 0), (50, 1)];
    for (now, count) in due {
        assert_eq!(pool.due_for_all(Millis(now), 9_999).len(), count, "{now}");
    }
    let limits = ChainLimits::default();
    let _ = pool.take_batch(Millis(0), true, &limits).expect("two wait");
    let due = pool.due_for_all(Millis(500), 9_999);
    assert!(due.is_empty(), "everybody has the batch");
}

#[test]
fn what_a_client_hands_in_again_is_ours_from_then_on() {
    let pool = pool();
    let signed = transaction(1, 1, 50);
    insert(&pool, Origin::Peer, &signed);
    pool.on_new_primary([]);
    assert!(pool.due_for_primary(9_999).is_empty());
    let again = pool.insert(Millis(5), Origin::Client, signed.clone());
    assert_eq!(again, Err(PoolError::Repeated));
    assert_eq!(pool.due_for_primary(9_999).len(), 1);
    assert!(pool.due_for_all(Millis(14), 9_999).is_empty());
    assert_eq!(pool.due_for_all(Millis(15), 9_999), [signed]);
}

#[test]
fn a_new_primary_hears_of_what_waits_once_and_the_oldest_first() {
    let pool = pool();
    let all = [
        transaction(1, 1, 50),
        transaction(2, 1, 50),
        transaction(3, 1, 50),
    ];
    for signed in &all {
        insert(&pool, Origin::Client, signed);
    }
    assert!(
        pool.due_for_primary(9_999).is_empty(),
        "told when they came"
    );
    let limits = ChainLimits {
        batch_transactions_max: 2,
        ..ChainLimits::default()
    };
    let carried = pool
        .take_batch(Millis(10), true, &limits)
        .expect("three wait");
    let lost = pool
        .take_batch(Millis(10), true, &limits)
        .expect("one waits");
    assert_eq!(lost.transactions.len(), 1);
    assert!(pool.take_batch(Millis(10), true, &limits).is_none());

    pool.on_new_primary([&*lost]);
    let bytes = all[0].encoded_size();
    assert_eq!(pool.due_for_primary(bytes), [all[0].clone()]);
    assert_eq!(pool.due_for_primary(bytes), [all[1].clone()]);
    assert!(pool.due_for_primary(bytes).is_empty());
    let again = pool
        .take_batch(Millis(10), true, &limits)
        .expect("two wait again");
    assert_eq!(again.transactions, carried.transactions);
    assert!(pool.take_batch(Millis(10), true, &limits).is_none());
}

#[test]
fn only_what_every_clock_finds_valid_counts_as_waiting() {
    let limits = ChainLimits {
        valid_for_ms_max: 1_000,
        ..ChainLimits::default()
    };
    for (valid_until, counts) in [(510, false), (511, true), (1_490, true), (1_491, false)] {
        let pool = pool();
        insert(&pool, Origin::Peer, &transaction(1, 1, valid_until));
        let oldest = pool.backlog(Millis(500), Millis(10), &limits).oldest;
        assert_eq!(oldest.is_some(), counts, "{valid_until}");
    }
}

#[test]
fn what_was_fetched_says_nothing_about_the_primary() {
    let pool = pool();
    let (a, b) = (transaction(1, 1, 50), transaction(2, 1, 50));
    pool.insert(Millis(3), Origin::Client, a.clone())
        .expect("fits");
    pool.insert(Millis(4), Origin::Client, b.clone())
        .expect("fits");
    pool.remove(Source::Fetched, [b.id()], []);
    assert_eq!(pool.take_ordered(), Ordered::default());
    let arrivals = pool.remove(Source::Ordered, [a.id(), b.id()], []);
    assert_eq!(arrivals, [Millis(3)]);
    let ordered = Ordered {
        transactions: 2,
        oldest: Some(Millis(3)),
    };
    assert_eq!(pool.take_ordered(), ordered);
    assert_eq!(pool.take_ordered(), Ordered::default());
}
