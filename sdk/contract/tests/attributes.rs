//! What the attributes make of a contract that uses all they know.

use chancery_contract::{AccountId, ContractError, Env, Event, Item, Map, Millis, Text};
use chancery_contract::{
    TestEnv, contract, contract_error, contract_interface, contract_type, event,
};
use parity_scale_codec::{DecodeAll as _, Encode as _};

/// Not part of the schema: only the `impl` is.
#[derive(Debug)]
struct Consents;

/// How far a consent is.
#[contract_type]
#[derive(Copy)]
enum State {
    Asked,
    Given { until: Millis, r#for: Option<u8> },
}

#[contract_type]
enum Answer {
    NotHTTPYet = 3,
    V2 { state: Vec<State> } = 200,
}

#[contract_type]
struct Consent {
    patient: AccountId,
    until: Option<Millis>,
    r#for: Vec<String>,
}

#[contract_type]
#[derive(Default)]
struct Page {
    consents: Vec<Consent>,
}

/// Somebody was asked;
/// it "counts" as \ nothing yet.
///
/// It may be answered later.
///
/// # Notes
/// For developers.
#[event]
#[derive(PartialOrd)]
struct Asked {
    who: AccountId,
    r#for: Vec<String>,
}

#[event]
struct Closed;

#[contract_error]
#[derive(PartialOrd)]
enum Refusal {
    /// Nobody was asked.
    NotAsked = 7,
    NotNow = 4_294_967_295,
}

const STATES: Map<AccountId, State> = Map::new("state/");
const CLOSED: Item<bool> = Item::new("closed");

/// Who consents to what.
#[contract(events = [Asked, Closed])]
impl Consents {
    const FOR: &'static str = "care";

    #[init]
    fn init(_env: &mut Env) {}

    /// Asks.
    #[call]
    fn ask(env: &mut Env, mut who: Vec<AccountId>) -> u32 {
        let mut asked = 0;
        while let Some(who) = who.pop() {
            STATES.set(env, &who, &State::Asked);
            let r#for = vec![Self::FOR.to_owned()];
            env.emit(&Asked { who, r#for });
            asked += 1;
        }
        asked
    }

    #[call]
    fn r#give(env: &mut Env, until: Millis) -> Result<Option<Consent>, Refusal> {
        let patient = env.caller().account().ok_or(Refusal::NotAsked)?;
        STATES.get(env, &patient).ok_or(Refusal::NotAsked)?;
        let r#for = None;
        STATES.set(env, &patient, &State::Given { until, r#for });
        let r#for = vec![Self::FOR.to_owned()];
        let until = Some(until);
        Ok(Some(Consent {
            patient,
            until,
            r#for,
        }))
    }

    #[call]
    fn close(env: &mut Env) -> Result<(), Refusal> {
        Self::is_open(env)?;
        CLOSED.set(env, &true);
        env.emit(&Closed);
        Ok(())
    }

    #[view]
    fn answer(_: &Env, state: State) -> Answer {
        match state {
            State::Asked => Answer::NotHTTPYet,
            State::Given { .. } => Answer::V2 { state: vec![state] },
        }
    }

    #[view]
    fn page(_: &Env, r#as: Page) -> Page {
        r#as
    }

    fn is_open(env: &Env) -> Result<(), Refusal> {
        match CLOSED.get(env) {
            None => Ok(()),
            Some(_) => Err(Refusal::NotNow),
        }
    }
}

/// Names that the attributes use in what they write, or that stand there without a path.
mod shadowed {
    use super::{Env, TestEnv, contract, contract_error, contract_interface};
    use chancery_contract::{CallError, ContractId};

    #[allow(dead_code, reason = "only the name matters")]
    struct Option;
    #[allow(dead_code, reason = "only the name matters")]
    struct Result;
    #[allow(dead_code, reason = "only the name matters")]
    struct Vec;

    #[contract_error]
    enum Refusal {
        Some = 1,
        None = 2,
    }

    struct Sums;

    #[contract]
    impl Sums {
        #[call]
        fn args(_: &mut Env, args: u8, env: u8, ending: u8, outcome: u8) -> u8 {
            args + env + ending + outcome
        }

        #[view]
        fn env(first: &Env, env: u8, arg0: u8) -> core::result::Result<u8, Refusal> {
            let _ = first.block_height();
            env.checked_sub(arg0).ok_or(Refusal::None)
        }
    }

    #[contract_interface]
    trait Sum {
        #[call]
        fn args(_: &mut Env, args: u8, env: u8, ending: u8, outcome: u8) -> u8;
        #[view]
        fn env(first: &Env, env: u8, arg0: u8) -> core::result::Result<u8, Refusal>;
    }

    #[test]
    fn arguments_and_types_have_the_names_that_the_developer_likes() {
        let mut test = TestEnv::new();
        let sums: ContractId = test.deploy::<Sums, _>(|_| ());
        assert_eq!(test.call(|env| Sums::args(env, 1, 2, 3, 4)), 10);
        assert_eq!(test.view(|env| Sums::env(env, 3, 1)), Ok(2));
        let sum = test.call(|env| Sum(sums).args(env, 1, 2, 3, 4) == Ok(10));
        assert!(sum);
        let refused = test.view(|env| Sum(sums).env(env, 1, 2));
        assert_eq!(refused, Err(CallError::Refused(Refusal::None)));
        let some = test.view(|env| Sum(sums).env(env, 2, 2));
        assert!(some.is_ok() && Refusal::Some != Refusal::None);
    }
}

const STATE: &str = "enum {0 asked, 1 given {until: time, for: option<u8>}}";
const CONSENT: &str = "{patient: account, until: option<time>, for: list<string>}";

#[test]
fn the_schema_says_what_the_code_says() {
    let page = format!("{{consents: list<{CONSENT}>}}");
    let expected = [
        r#"{"name":"Consents","docs":"Who consents to what.","methods":["#,
        r#"{"name":"init","kind":"init","docs":"","args":[]},"#,
        r#"{"name":"ask","kind":"call","docs":"Asks.","args":[{"name":"who","type":"list<account>"}],"#,
        r#""returns":"u32"},"#,
        r#"{"name":"give","kind":"call","docs":"","args":[{"name":"until","type":"time"}],"#,
        &format!(r#""returns":"option<{CONSENT}>"}},"#),
        r#"{"name":"close","kind":"call","docs":"","args":[]},"#,
        &format!(
            r#"{{"name":"answer","kind":"view","docs":"","args":[{{"name":"state","type":"{STATE}"}}],"#
        ),
        &format!(r#""returns":"enum {{3 not_http_yet, 200 v2 {{state: list<{STATE}>}}}}"}},"#),
        r#"{"name":"page","kind":"view","docs":"","#,
        &format!(r#""args":[{{"name":"as","type":"{page}"}}],"returns":"{page}"}}"#),
        r#"],"events":[{"name":"Asked","#,
        r#""docs":"Somebody was asked; it \"counts\" as \\ nothing yet. It may be answered later.","#,
        r#""fields":[{"name":"who","type":"account"},{"name":"for","type":"list<string>"}]},"#,
        r#"{"name":"Closed","docs":"","fields":[]}],"#,
        r#""errors":[{"code":7,"name":"NotAsked","docs":"Nobody was asked."},"#,
        r#"{"code":4294967295,"name":"NotNow","docs":""}]}"#,
    ];
    assert_eq!(Consents::SCHEMA, expected.concat());
}

#[test]
fn the_methods_run_as_they_are_written() {
    let (patient, until) = (TestEnv::account("patient"), Millis(2_000_000));
    let mut test = TestEnv::new();
    test.as_account(patient);
    test.call(Consents::init);
    let given = test.call(|env| Consents::give(env, until));
    assert_eq!(given, Err(Refusal::NotAsked));
    assert_eq!(test.call(|env| Consents::ask(env, vec![patient])), 1);
    let consent = Consent {
        patient,
        until: Some(until),
        r#for: vec!["care".to_owned()],
    };
    let given = test.call(|env| Consents::give(env, until));
    assert_eq!(given, Ok(Some(consent)));
    let state = test.view(|env| STATES.get(env, &patient));
    assert_eq!(state, Some(State::Given { until, r#for: None }));
    assert_eq!(test.call(Consents::close), Ok(()));
    assert_eq!(test.call(Consents::close), Err(Refusal::NotNow));
    assert_eq!(test.events_of::<Closed>(), [Closed]);
    let empty = test.view(|env| Consents::page(env, Page::default()));
    assert_eq!(empty, Page::default());
}

#[test]
fn a_variant_is_its_number_and_its_fields() {
    let (until, r#for) = (Millis(5), Some(9));
    let given = State::Given { until, r#for };
    let asked = State::Asked;
    assert_eq!(
        (asked.encode(), Answer::NotHTTPYet.encode()),
        (vec![0], vec![3])
    );
    assert_eq!(given.encode(), [1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 9]);
    let state = vec![asked, given];
    let bytes = [&[200, 8, 0][..], &given.encode()].concat();
    assert_eq!(Answer::V2 { state }.encode(), bytes);
    assert!(Answer::decode_all(&mut &[4][..]).is_err());
    let mut test = TestEnv::new();
    test.call(Consents::init);
    let answer = |state| move |env: &mut Env| Consents::answer(env, state);
    assert_eq!(test.call(answer(asked)), Answer::NotHTTPYet);
}

#[test]
fn codes_are_those_of_the_enum() {
    assert_eq!(Refusal::NotAsked.code(), 7);
    assert_eq!(Refusal::NotNow.code(), u32::MAX);
}

/// A contract needs no attribute: the traits can be implemented by hand.
#[test]
fn an_event_can_be_written_by_hand() {
    #[derive(Debug, PartialEq)]
    struct Raw([u8; 3]);

    impl parity_scale_codec::Encode for Raw {
        fn encode(&self) -> Vec<u8> {
            self.0.to_vec()
        }
    }

    impl parity_scale_codec::Decode for Raw {
        fn decode<I: parity_scale_codec::Input>(
            input: &mut I,
        ) -> Result<Self, parity_scale_codec::Error> {
            <[u8; 3]>::decode(input).map(Self)
        }
    }

    impl Event for Raw {
        const TOPIC: &'static str = "Raw";
        const SCHEMA: Text = Text::Is(r#"{"name":"Raw","fields":[]}"#);
    }

    let mut test = TestEnv::new();
    test.call(|env| env.emit(&Raw([1, 2, 3])));
    assert_eq!(test.events_of::<Raw>(), [Raw([1, 2, 3])]);
}
