//! What happens when a contract gets other code, whatever runs it.
#![allow(unreachable_pub, reason = "a module of several tests")]

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use chancery_contract::{AccountId, ContractId, TestEnv};

use super::{first, second};

fn account(name: &str) -> AccountId {
    TestEnv::account(name)
}

/// That the ledger ends it with that trap.
fn traps<R>(kind: &str, test: &mut TestEnv, run: impl FnOnce(&mut TestEnv) -> R) {
    let ended = catch_unwind(AssertUnwindSafe(|| {
        run(test);
    }));
    let panic = ended.expect_err("the ledger ends it");
    let literal = panic
        .downcast_ref::<&str>()
        .map(|words| (*words).to_owned());
    let words = panic.downcast_ref::<String>().cloned().or(literal);
    let words = words.expect("in words");
    assert!(words.contains(kind), "{kind}: {words}");
}

fn upgrade(test: &mut TestEnv, place: &str) -> Result<u64, second::Error> {
    test.upgrade::<second::Visits, _>(|env| second::Visits::migrate(env, place.to_owned()))
}

fn visit(test: &mut TestEnv, guest: &str) -> Result<u32, first::Error> {
    test.call(|env| first::Visits::visit(env, guest.to_owned()))
}

/// That the first version is there as it was.
fn is_the_first(test: &TestEnv, visits: u32) {
    assert_eq!(test.version(), 1);
    assert_eq!(test.view(first::Visits::count), visits);
    assert_eq!(test.events_of::<second::Moved>(), []);
}

/// `stored` is what can be seen of what the contract stores.
pub fn told<S: PartialEq + Debug>(test: &mut TestEnv, stored: impl Fn(&TestEnv) -> S) {
    let [owner, board, stranger] = ["owner", "board", "stranger"].map(account);
    test.as_account(owner).upgradable_by(&[owner, board]);
    test.call(|env| first::Visits::init(env, "hospital".to_owned()));
    // What is said later is about other contracts.
    test.upgradable_by(&[stranger]);
    assert_eq!((visit(test, "Ada"), visit(test, "Grace")), (Ok(1), Ok(2)));
    is_the_first(test, 2);

    // Only who was named at its deployment gives it other code.
    test.as_account(stranger);
    traps("may_not_upgrade", test, |test| upgrade(test, "ward 3"));
    is_the_first(test, 2);

    // A migrate that refuses, or does not understand its arguments, leaves everything as it was.
    test.as_account(board);
    let before = stored(test);
    assert_eq!(upgrade(test, ""), Err(second::Error::NoName));
    is_the_first(test, 2);
    traps("bad_arguments", test, |test| {
        test.upgrade::<second::Visits, _>(|_| ());
    });
    is_the_first(test, 2);
    assert_eq!(stored(test), before);
    assert_eq!(visit(test, "Mary"), Ok(3));

    // One that returns has read what the old code stored, and written it as its own.
    assert_eq!(upgrade(test, "ward 3"), Ok(3));
    assert_eq!(test.version(), 2);
    assert_eq!(test.view(second::Visits::total), 3);
    let last = test.view(second::Visits::last).expect("Mary came");
    assert_eq!(
        (last.guest.as_str(), last.place.as_str()),
        ("Mary", "ward 3")
    );
    assert_eq!(last.at, None);
    let owner_of = test.view(second::Visits::owner);
    assert_eq!(owner_of.as_deref(), Some("hospital"));
    let (place, visits) = ("ward 3".to_owned(), 3);
    let moved = test.events_of::<second::Moved>();
    assert_eq!(moved, [second::Moved { place, visits }]);

    // The old methods are gone, the new ones there; migrate is none, and init has run.
    traps("unknown_method", test, |test| visit(test, "Ada"));
    let [guest, place] = ["Ada", "ward 4"].map(str::to_owned);
    let visited = test.call(|env| second::Visits::visit_place(env, guest, place));
    assert_eq!(visited, Ok(4));
    traps("unknown_method", test, |test| {
        test.call(|env| second::Visits::migrate(env, "ward 5".to_owned()))
    });
    traps("deployed once", test, |test| {
        test.call(|env| second::Visits::init(env, String::new()));
    });
    // Another upgrade is another transaction, in which it may refuse.
    assert_eq!(upgrade(test, "ward 5"), Err(second::Error::HasPlace));
    assert_eq!(test.version(), 2);
    assert_eq!(test.view(second::Visits::total), 4);

    // Those of which it was said later are others.
    let other = beside(test, stranger);
    test.as_account(owner);
    let at = |test: &mut TestEnv| {
        test.upgrade_at::<second::Visits, _>(other, |env| {
            second::Visits::migrate(env, "lobby".to_owned())
        })
    };
    traps("may_not_upgrade", test, at);
    test.as_account(stranger);
    assert_eq!((test.version_at(other), at(test)), (1, Ok(0)));
    assert_eq!((test.version_at(other), test.version()), (2, 2));
    assert_eq!(test.view_at(other, second::Visits::total), 0);
    assert_eq!(test.view(second::Visits::total), 4);
}

fn beside(test: &mut TestEnv, deployer: AccountId) -> ContractId {
    test.as_account(deployer);
    test.deploy::<first::Visits, _>(|env| first::Visits::init(env, "hotel".to_owned()))
}
