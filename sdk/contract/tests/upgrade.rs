//! A new version of a contract finds what the old one stored.

use chancery_contract::{Env, Item, Map, TestEnv, contract, contract_error, contract_type, event};

const OWNER: Item<String> = Item::new("owner");

/// How the first version writes its visits.
mod first {
    use super::*;

    #[derive(Debug)]
    pub(crate) struct Visits;

    pub(crate) const COUNT: Item<u32> = Item::new("count");

    #[contract]
    impl Visits {
        #[init]
        pub(crate) fn init(env: &mut Env, owner: String) {
            OWNER.set(env, &owner);
        }

        #[call]
        pub(crate) fn visit(env: &mut Env) {
            let count = COUNT.get(env).unwrap_or(0);
            COUNT.set(env, &(count + 1));
        }
    }
}

/// The second keeps them by place.
mod second {
    use super::*;

    #[derive(Debug)]
    pub(crate) struct Visits;

    #[contract_type]
    pub(crate) struct Place {
        pub(crate) visits: u64,
    }

    /// The visits were moved to that place.
    #[event]
    pub(crate) struct Moved {
        pub(crate) place: String,
    }

    #[contract_error]
    pub(crate) enum Error {
        /// A place has a name.
        NoName = 1,
    }

    pub(crate) const PLACES: Map<String, Place> = Map::new("place/");

    #[contract(events = [Moved])]
    impl Visits {
        /// Moves all visits to the one place there was.
        #[migrate]
        pub(crate) fn migrate(env: &mut Env, place: String) -> Result<u64, Error> {
            let visits = u64::from(first::COUNT.get(env).unwrap_or(0));
            first::COUNT.remove(env);
            PLACES.set(env, &place, &Place { visits });
            env.emit(&Moved {
                place: place.clone(),
            });
            // Refused at the end, so that there is something to take back.
            if place.is_empty() {
                return Err(Error::NoName);
            }
            Ok(visits)
        }

        #[view]
        pub(crate) fn visits(env: &Env, place: String) -> Option<u64> {
            PLACES.get(env, &place).map(|place| place.visits)
        }
    }
}

fn deployed() -> TestEnv {
    let mut test = TestEnv::new();
    test.call(|env| first::Visits::init(env, "hospital".to_owned()));
    test.call(first::Visits::visit);
    test.call(first::Visits::visit);
    test
}

#[test]
fn the_new_code_finds_what_the_old_code_stored() {
    let mut test = deployed();
    let moved = test.upgrade(|env| second::Visits::migrate(env, "ward 3".to_owned()));
    assert_eq!(moved, Ok(2));
    let visits = |place: &str| test.view(|env| second::Visits::visits(env, place.to_owned()));
    assert_eq!((visits("ward 3"), visits("ward 4")), (Some(2), None));
    assert_eq!(test.view(|env| first::COUNT.get(env)), None);
    let owner = test.view(|env| OWNER.get(env));
    assert_eq!(owner.as_deref(), Some("hospital"));
    assert_eq!(test.events_of::<second::Moved>().len(), 1);
}

#[test]
fn an_upgrade_that_refuses_leaves_the_old_state() {
    let mut test = deployed();
    let before = test.storage().clone();
    let refused = test.upgrade(|env| second::Visits::migrate(env, String::new()));
    assert_eq!(refused, Err(second::Error::NoName));
    assert_eq!((test.storage(), test.events()), (&before, &[][..]));
    // The old code goes on.
    test.call(first::Visits::visit);
    assert_eq!(test.view(|env| first::COUNT.get(env)), Some(3));
}

#[test]
fn the_schema_has_the_method() {
    let migrate = r#"{"name":"migrate","kind":"migrate","docs":"Moves all visits to the one place there was.","args":[{"name":"place","type":"string"}],"returns":"u64"}"#;
    assert!(second::Visits::SCHEMA.contains(migrate));
    assert!(!first::Visits::SCHEMA.contains("migrate"));
}
