//! The test ledger keeps the rules of the real one.

use chancery_contract::{Caller, Env, Item, Map, Millis, Never, Role};
use chancery_contract::{TestEnv, TestLimits, contract, contract_error, event};
use chancery_ledger::ChainLimits;

#[contract_error]
enum Error {
    No = 1,
}

#[event]
struct Noted {
    text: String,
}

const TEXT: Item<String> = Item::new("text");
const BY_NAME: Map<String, u8> = Map::new("name/");

#[test]
fn limits_are_those_of_a_new_genesis_document() {
    let chain = ChainLimits::default();
    let expected = TestLimits {
        method_bytes_max: chain.method_bytes_max as usize,
        key_bytes_max: chain.key_bytes_max as usize,
        value_bytes_max: chain.value_bytes_max as usize,
        event_bytes_max: chain.event_bytes_max as usize,
        events_max: chain.events_max as usize,
        return_bytes_max: chain.return_bytes_max as usize,
        args_bytes_max: chain.args_bytes_max as usize,
        call_depth_max: chain.call_depth_max as usize,
    };
    assert_eq!(TestLimits::default(), expected);
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let mut test = TestEnv::new();
    test.call(|env| TEXT.set(env, &"before".to_owned()));
    let refused: Result<(), Error> = test.call(|env| {
        TEXT.set(env, &"after".to_owned());
        BY_NAME.set(env, &"new".to_owned(), &1);
        let text = "lost".to_owned();
        env.emit(&Noted { text });
        Err(Error::No)
    });
    assert_eq!(refused, Err(Error::No));
    let text = test.view(|env| TEXT.get(env));
    assert_eq!(text.as_deref(), Some("before"));
    assert_eq!((test.storage().len(), test.events()), (1, &[][..]));
}

#[test]
fn names_and_numbers_are_accounts() {
    let (one, other) = (TestEnv::account(1), TestEnv::account("hospital"));
    assert_eq!(one, TestEnv::account("1"));
    assert_ne!(one, other);
    let mut test = TestEnv::new();
    let caller = |env: &mut Env| env.caller().account();
    assert_eq!(test.as_account(other).call(caller), Some(other));
    assert_eq!(test.call(caller), Some(other));
}

#[test]
fn nobody_sends_a_query() {
    let mut test = TestEnv::new();
    let id = |env: &mut Env| env.transaction_id();
    let (first, second) = (test.call(id), test.call(id));
    assert_ne!(first, second);
    assert_eq!(test.view(Env::transaction_id).0, [0; 32]);
    assert_eq!(test.view(Env::caller), Caller::Nobody);
    let caller = test.call(|env| env.caller().account());
    assert_eq!(caller, Some(TestEnv::account("somebody")));
}

#[test]
fn time_and_height_go_on_together() {
    let mut test = TestEnv::new();
    let seen = |test: &TestEnv| (test.view(Env::block_time).0, test.view(Env::block_height));
    assert_eq!(seen(&test), (1_000_000, 1));
    test.set_time(Millis(1_000_000));
    assert_eq!(seen(&test), (1_000_000, 1));
    test.set_time(Millis(1_000_010)).advance(Millis(5));
    assert_eq!(seen(&test), (1_000_015, 3));
    test.set_height(10);
    assert_eq!(seen(&test), (1_000_022, 10));
    assert_eq!((test.time(), test.height()), (Millis(1_000_022), 10));
}

#[test]
#[should_panic(expected = "blocks never go back")]
fn time_does_not_go_back() {
    TestEnv::new().set_time(Millis(999_999));
}

#[test]
#[should_panic(expected = "blocks never go back")]
fn heights_do_not_go_back() {
    TestEnv::new().set_height(0);
}

#[test]
#[should_panic(expected = "bytes of a storage key: 258, but the ledger allows at most 256")]
fn a_key_is_not_too_long() {
    // The prefix has five bytes, the length of a longer text takes two.
    TestEnv::new().call(|env| BY_NAME.set(env, &"x".repeat(251), &1));
}

#[test]
#[should_panic(expected = "bytes of a storage key")]
fn a_key_that_is_looked_up_is_not_too_long() {
    let _ = TestEnv::new().view(|env| BY_NAME.get(env, &"x".repeat(251)));
}

#[test]
#[should_panic(expected = "bytes of a storage value: 65540")]
fn a_value_is_not_too_long() {
    TestEnv::new().call(|env| TEXT.set(env, &"x".repeat(65_536)));
}

#[test]
#[should_panic(expected = "empty values")]
fn a_value_is_not_empty() {
    TestEnv::new().call(|env| env.set_raw(b"key", b""));
}

#[test]
#[should_panic(expected = "bytes of an event: 8199")]
fn an_event_is_not_too_long() {
    let text = "x".repeat(8_192);
    TestEnv::new().call(|env| env.emit(&Noted { text }));
}

#[test]
fn events_are_counted_by_transaction() {
    let mut test = TestEnv::new();
    let fill = |env: &mut Env| {
        for _ in 0..64 {
            let text = String::new();
            env.emit(&Noted { text });
        }
    };
    test.call(fill);
    test.call(fill);
    assert_eq!(test.events_of::<Noted>().len(), 128);
}

#[test]
#[should_panic(expected = "events of one transaction: 3, but the ledger allows at most 2")]
fn events_are_not_too_many() {
    let limits = TestLimits {
        events_max: 2,
        ..TestLimits::default()
    };
    TestEnv::with_limits(limits).call(|env| {
        for text in ["a", "b", "c"] {
            let text = text.to_owned();
            env.emit(&Noted { text });
        }
    });
}

#[test]
#[should_panic(expected = "bytes of a result")]
fn a_result_is_not_too_long() {
    let _: Result<Vec<u8>, Never> = TestEnv::new().call(|_| Ok(vec![0; 65_536]));
}

#[test]
fn roles_are_those_that_were_set() {
    let mut test = TestEnv::new();
    let (other, stranger) = (TestEnv::account("other"), TestEnv::account("stranger"));
    test.set_roles(other, &[Role::Deployer]);
    test.view(|env| {
        assert!(env.is_admitted(TestEnv::account("somebody")) && env.is_admitted(other));
        assert!(!env.is_admitted(stranger));
        assert!(env.has_role(other, Role::Deployer));
        assert!(!env.has_role(other, Role::Registrar));
        assert!(!env.has_role(stranger, Role::Registrar));
    });
    test.set_roles(other, &[]).as_account(stranger);
    test.view(|env| {
        assert!(env.is_admitted(stranger) && env.is_admitted(other));
        assert!(!env.has_role(other, Role::Deployer));
    });
}

struct Echo;

#[contract]
impl Echo {
    #[init]
    fn init(env: &mut Env, text: String) -> Result<(), Error> {
        TEXT.set(env, &text);
        if text.is_empty() {
            return Err(Error::No);
        }
        Ok(())
    }

    #[view]
    fn echo(_: &Env, text: String) -> String {
        text
    }

    #[view]
    fn twice(env: &Env, text: String) -> Result<Vec<u8>, Error> {
        // What a method calls of its own is no call: these arguments go nowhere.
        let text = Self::echo(env, [text.as_str(), &text].concat());
        let most = text.len().min(65_533);
        text.as_bytes()
            .get(..most)
            .map(<[u8]>::to_vec)
            .ok_or(Error::No)
    }
}

fn echoing() -> TestEnv {
    let mut test = TestEnv::new();
    let deployed = test.call(|env| Echo::init(env, "once".to_owned()));
    assert_eq!(deployed, Ok(()));
    test
}

#[test]
#[should_panic(expected = "bytes of arguments: 65540, but the ledger allows at most 65536")]
fn arguments_are_not_too_long() {
    let text = "x".repeat(65_536);
    echoing().view(|env| Echo::echo(env, text));
}

#[test]
#[should_panic(expected = "bytes of a result: 65537, but the ledger allows at most 65536")]
fn the_result_of_a_view_is_not_too_long() {
    let text = "x".repeat(40_000);
    let _ = echoing().view(|env| Echo::twice(env, text));
}

#[test]
fn a_refused_init_can_be_tried_again() {
    let mut test = TestEnv::new();
    let refused = test.call(|env| Echo::init(env, String::new()));
    assert_eq!((refused, test.storage().len()), (Err(Error::No), 0));
    assert_eq!(test.call(|env| Echo::init(env, "once".to_owned())), Ok(()));
}

#[test]
#[should_panic(expected = "a contract is deployed once: use another TestEnv")]
fn a_contract_is_deployed_once() {
    let mut test = TestEnv::new();
    for text in ["once", "twice"] {
        let text = text.to_owned();
        let _ = test.call(|env| Echo::init(env, text));
    }
}

#[test]
#[should_panic(expected = "bytes of a method's name: 9, but the ledger allows at most 8")]
fn the_name_of_a_method_is_not_too_long() {
    #[derive(Debug)]
    struct Wordy;

    #[contract]
    impl Wordy {
        #[call]
        fn ninechars(env: &mut Env) {
            env.debug_log("is never run");
        }
    }

    let mut test = TestEnv::with_limits(TestLimits {
        method_bytes_max: 8,
        ..TestLimits::default()
    });
    test.call(Wordy::ninechars);
}

/// Everybody sees the contract, and nobody else its reasons to refuse.
#[allow(
    unreachable_pub,
    private_interfaces,
    reason = "a contract as its developer may write it, if this were its crate"
)]
mod guarded {
    use super::*;

    #[derive(Debug)]
    pub struct Guarded;

    #[contract_error]
    enum Reason {
        Closed = 1,
    }

    #[contract]
    impl Guarded {
        #[init]
        pub fn init(env: &mut Env, open: bool) -> Result<(), Reason> {
            TEXT.set(env, &"guarded".to_owned());
            if open { Ok(()) } else { Err(Reason::Closed) }
        }
    }

    #[test]
    fn reasons_may_be_private() {
        let mut test = TestEnv::new();
        let refused = test.call(|env| Guarded::init(env, false));
        assert_eq!(refused, Err(Reason::Closed));
        let other = test.deploy::<Guarded, _>(|env| Guarded::init(env, true));
        assert_eq!(test.storage_at(other).len(), 1);
    }
}

/// The same places, whatever the contract is called by.
mod places {
    use super::*;

    const NUMBERS: Map<u64, u64> = Map::new("n/");
    const COUNT: Item<u64> = Item::new("count");

    fn both(first: impl FnOnce(&mut Env), second: impl FnOnce(&mut Env)) {
        let mut test = TestEnv::new();
        test.call(|env| COUNT.set(env, &1));
        test.call(first);
        test.call(second);
    }

    #[test]
    fn neighbours_do_not_overlap() {
        const COUNTS: Map<u64, u64> = Map::new("count/");
        const AGAIN: Map<u64, u64> = Map::new("n/");
        const OTHERS: Map<String, bool> = Map::new("nn/");
        const NAME: Item<u64> = Item::new("n");
        both(
            |env| {
                NUMBERS.set(env, &1, &1);
                COUNTS.set(env, &1, &1);
                NAME.set(env, &1);
            },
            |env| {
                assert_eq!(AGAIN.get(env, &1), Some(1));
                assert_eq!(OTHERS.get(env, &String::new()), None);
            },
        );
    }

    #[test]
    #[should_panic(expected = "`Map<u64, bool>` \"n/\" and `Map<u64, u64>` \"n/\" may store under")]
    fn one_prefix_has_one_kind_of_values() {
        const OTHERS: Map<u64, bool> = Map::new("n/");
        both(
            |env| NUMBERS.set(env, &1, &1),
            |env| OTHERS.set(env, &2, &true),
        );
    }

    #[test]
    fn a_borrowed_key_is_no_other_kind() {
        const OWNED: Map<(String, u8), u64> = Map::new("name/");
        const BORROWED: Map<(&str, u8), u64> = Map::new("name/");
        both(
            |env| BORROWED.set(env, &("x", 1), &7),
            |env| assert_eq!(OWNED.get(env, &("x".to_owned(), 1)), Some(7)),
        );
    }

    #[test]
    #[should_panic(expected = "`Map<u16, u64>` \"n/\" and `Map<u64, u64>` \"n/\" may store under")]
    fn one_prefix_has_one_kind_of_keys() {
        const OTHERS: Map<u16, u64> = Map::new("n/");
        both(|env| NUMBERS.remove(env, &1), |env| OTHERS.remove(env, &1));
    }

    #[test]
    #[should_panic(
        expected = "`Map<u64, u64>` \"n/old/\" and `Map<u64, u64>` \"n/\" may store under"
    )]
    fn no_prefix_begins_another() {
        const OLD: Map<u64, u64> = Map::new("n/old/");
        both(
            |env| assert_eq!(NUMBERS.get(env, &1), None),
            |env| assert_eq!(OLD.get(env, &1), None),
        );
    }

    #[test]
    #[should_panic(expected = "`Map<u64, u64>` \"c\" and `Item<u64>` \"count\" may store under")]
    fn no_prefix_begins_the_name_of_an_item() {
        const SHORT: Map<u64, u64> = Map::new("c");
        both(|_| (), |env| SHORT.set(env, &1, &1));
    }

    #[test]
    #[should_panic(expected = "`Item<bool>` \"count\" and `Item<u64>` \"count\" may store under")]
    fn an_item_has_one_type() {
        const COUNTED: Item<bool> = Item::new("count");
        both(|_| (), |env| assert_eq!(COUNTED.get(env), None));
    }

    #[test]
    fn each_contract_has_its_own() {
        const FLAG: Item<bool> = Item::new("count");

        #[derive(Debug)]
        struct Other;

        #[contract]
        impl Other {
            #[init]
            fn init(env: &mut Env) {
                FLAG.set(env, &true);
            }
        }

        let mut test = TestEnv::new();
        test.call(|env| COUNT.set(env, &1));
        let other = test.deploy::<Other, _>(Other::init);
        assert_eq!(test.view_at(other, |env| FLAG.get(env)), Some(true));
        assert_eq!(test.view(|env| COUNT.get(env)), Some(1));
    }
}

#[event]
struct Sent {
    text: String,
}

#[derive(Debug)]
struct Talker;

#[contract(events = [Noted])]
impl Talker {
    #[call]
    fn note(env: &mut Env, text: String) {
        env.emit(&Noted { text });
    }

    #[call]
    fn send(env: &mut Env, text: String) {
        env.emit(&Sent { text });
    }
}

#[test]
fn a_listed_event_is_emitted() {
    let mut test = TestEnv::new();
    test.call(|env| Talker::note(env, "a".to_owned()));
    let text = "a".to_owned();
    assert_eq!(test.events_of::<Noted>(), [Noted { text }]);
}

#[test]
#[should_panic(
    expected = "`Talker` emits the event `Sent` and does not list it, so nobody could read it: write \
                `#[contract(events = [Sent])]`"
)]
fn an_event_that_is_not_listed_is_not_emitted() {
    TestEnv::new().call(|env| Talker::send(env, "a".to_owned()));
}

#[test]
#[should_panic(expected = "`Talker` emits the event `Sent`")]
fn nor_is_it_where_another_contract_calls() {
    let mut test = TestEnv::new();
    let talker = test.deploy::<Talker, _>(|_| ());
    let text = "a".to_owned();
    test.call(|env| env.call::<()>(talker, "send", &(text,)).is_ok());
}
