//! The genesis document: what is refused and in which words, what its chain id depends on, and
//! that no text at all makes reading it panic.

use chancery_genesis::document::ACCOUNTS_MAX;
use chancery_genesis::{Genesis, GenesisAccount, GenesisError, MemberCard};
use chancery_ledger::{
    AccountId, Batch, ChainLimits, Hash, Height, Millis, Role, SecretKey, merkle,
};
use proptest::prelude::*;

const TIME: Millis = Millis(1_769_860_800_000);

fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn card(number: u8) -> MemberCard {
    let [consensus, network, log] = [0, 1, 2].map(|kind| key(number * 3 + kind));
    let address = format!("127.0.0.1:{}", 7400 + u16::from(number));
    MemberCard::sign(
        &format!("bank-{number}"),
        &consensus,
        network.public(),
        log.public(),
        address.parse().expect("an address"),
    )
    .expect("a card")
}

fn account(number: u8, name: &str, roles: &[Role]) -> GenesisAccount {
    GenesisAccount {
        name: name.to_owned(),
        account: key(number).account(),
        roles: roles.to_vec(),
    }
}

fn genesis() -> Genesis {
    let cards = (0..4).map(card).collect();
    let accounts = vec![
        account(200, "registrar", &[Role::Registrar, Role::Deployer]),
        account(201, "hospital", &[Role::Deployer]),
    ];
    Genesis::new(
        "health-net".to_owned(),
        TIME,
        ChainLimits::default(),
        cards,
        accounts,
    )
    .expect("a genesis")
}

#[test]
fn a_document_is_read_back_as_it_was_written() {
    let genesis = genesis();
    let read = Genesis::parse(&genesis.to_toml()).expect("its own words");
    assert_eq!(read, genesis);
    assert_eq!(read.chain_id(), genesis.chain_id());
    let card = card(1);
    assert_eq!(MemberCard::parse(&card.to_toml()), Ok(card));
}

#[test]
fn the_chain_id_is_frozen() {
    assert_eq!(
        genesis().chain_id().to_string(),
        "61be4c3d5ea3c9650d33af2eb9cabbec8541915f1d9b7dd92bf1bec596383142"
    );
}

#[test]
fn the_chain_id_ignores_what_means_the_same() {
    let genesis = genesis();
    let toml = genesis.to_toml();
    let without_limits: String = {
        let (head, rest) = toml.split_once("[limits]").expect("limits are written out");
        let (_, tail) = rest
            .split_once("[[validators]]")
            .expect("validators follow");
        format!("{head}\n[[validators]]{tail}")
    };
    let without_version = toml.replace("protocol_version = 1\n", "");
    assert_ne!(without_version, toml);
    let other_order = {
        let (head, first) = toml.split_once("[[accounts]]").expect("accounts");
        let (first, second) = first.split_once("[[accounts]]").expect("two of them");
        format!("{head}[[accounts]]{second}\n[[accounts]]{first}")
    };
    let commented = format!("# ours\n{}", toml.replace(" = ", "   =  "));
    let roles_turned = toml.replace(
        r#"["registrar", "deployer"]"#,
        r#"["deployer", "registrar"]"#,
    );
    assert_ne!(roles_turned, toml);
    for text in [
        without_limits,
        without_version,
        other_order,
        commented,
        roles_turned,
    ] {
        let read = Genesis::parse(&text).expect("means the same");
        assert_eq!(read.chain_id(), genesis.chain_id(), "{text}");
    }
}

/// A document names the limits and the prices that are not the usual ones, and no others.
#[test]
fn one_price_may_stand_alone() {
    let toml = genesis().to_toml();
    let (head, rest) = toml.split_once("[limits]").expect("limits are written out");
    let (_, tail) = rest
        .split_once("[[validators]]")
        .expect("validators follow");
    let text = format!("{head}\n[limits.fuel]\nsha256_per_byte = 3\n[[validators]]{tail}");
    let read = Genesis::parse(&text).expect("a genesis");
    let mut limits = ChainLimits::default();
    limits.fuel.sha256_per_byte = 3;
    assert_eq!(read.limits(), &limits);
    assert_ne!(read.chain_id(), genesis().chain_id());
    assert!(
        read.to_toml()
            .contains("[limits.fuel]\ntransaction = 50000\n")
    );
    assert_eq!(Genesis::parse(&read.to_toml()), Ok(read));
}

#[test]
fn the_chain_id_depends_on_everything_else() {
    let toml = genesis().to_toml();
    let mut ids = vec![genesis().chain_id()];
    for (from, to) in [
        (r#"name = "health-net""#, r#"name = "health-nets""#),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"),
        ("window_slots = 16", "window_slots = 17"),
        ("segments_max = 128", "segments_max = 127"),
        ("page = 10000", "page = 10001"),
        ("memory_grow = 255", "memory_grow = 254"),
        (r#"name = "hospital""#, r#"name = "clinic""#),
        (r#"roles = ["deployer"]"#, "roles = []"),
    ] {
        let changed = toml.replace(from, to);
        assert_ne!(changed, toml, "{from}");
        ids.push(
            Genesis::parse(&changed)
                .expect("still a genesis")
                .chain_id(),
        );
    }
    let turned = Genesis::new(
        "health-net".to_owned(),
        TIME,
        ChainLimits::default(),
        (0..4).rev().map(card).collect(),
        genesis().accounts().to_vec(),
    );
    ids.push(turned.expect("another order").chain_id());
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn block_0_and_the_first_state_follow_from_the_document() {
    let genesis = genesis();
    let state = genesis.initial_state();
    assert_eq!(state.len(), 2);
    let header = genesis.genesis_block(Hash([9; 32]), 2);
    assert_eq!((header.height, header.parent), (Height(0), Hash::default()));
    assert_eq!((header.chain, header.time), (genesis.chain_id(), TIME));
    assert_eq!(header.batch, Batch::empty().digest());
    assert_eq!(header.transactions_root, merkle::root([]));
    assert_eq!((header.state_root, header.state_count), (Hash([9; 32]), 2));
}

/// Replaces `from` by `to` in a good document and returns what is said about it.
fn refusal(from: &str, to: &str) -> String {
    let toml = genesis().to_toml();
    let changed = toml.replacen(from, to, 1);
    assert_ne!(changed, toml, "{from} does not occur");
    Genesis::parse(&changed).expect_err(to).to_string()
}

#[test]
fn every_refusal_names_what_it_refuses() {
    let stranger = key(77).account().to_string();
    let bank_0 = key(0).account().to_string();
    let bank_1 = key(3).account().to_string();
    let registrar = key(200).account().to_string();
    // (what is changed, into what, the words that must occur)
    let cases: &[(&str, &str, &[&str])] = &[
        ("name = ", "nam = ", &["line 2", "nam = ", "unknown field"]),
        ("name = \"health-net\"\n", "", &["missing field `name`"]),
        (
            "window_slots = 16",
            "window_slots = -1",
            &["window_slots = -1", "line "],
        ),
        (
            "window_slots = 16",
            "window_slot = 16",
            &["window_slot = 16", "unknown field"],
        ),
        (
            "window_slots = 16",
            "window_slots = 0",
            &["window_slots = 0", "between 1 and 128"],
        ),
        (
            "nesting_max = 1024",
            "nesting_max = 1025",
            &["nesting_max = 1025", "between 32 and 1024"],
        ),
        (
            "page = 10000",
            "page = 0",
            &["limits: fuel.page = 0", "between 1 and 1000000000"],
        ),
        (
            "page = 10000",
            "pages = 10000",
            &["pages = 10000", "line ", "unknown field"],
        ),
        (
            "memory_grow = 255",
            "memory_grow = 256",
            &["memory_grow = 256", "line "],
        ),
        (
            "transaction_fuel_max = 500000000",
            "transaction_fuel_max = 1000000",
            &["transaction_fuel_max = 1000000", "at least 153245824"],
        ),
        (
            "protocol_version = 1",
            "protocol_version = 2",
            &["protocol_version = 2", "version 1"],
        ),
        ("health-net", "Health Net", &["Health Net", "a-z"]),
        (
            "2026-01-31T12:00:00Z",
            "noon",
            &["genesis_time", "noon", "RFC 3339"],
        ),
        (
            "2026-01-31T12:00:00Z",
            "2019-12-31T23:59:59Z",
            &["2019-12-31T23:59:59Z", "2020-01-01"],
        ),
        (
            "2026-01-31T12:00:00Z",
            "2100-01-01T00:00:01Z",
            &["2100-01-01T00:00:01Z", "2100"],
        ),
        (
            "name = \"bank-0\"",
            "name = \"bank 0\"",
            &["entry 1", "bank 0"],
        ),
        (
            "name = \"bank-1\"",
            "name = \"bank-9\"",
            &["entry 2", "bank-9", "signature"],
        ),
        (
            &bank_0,
            &stranger,
            &["entry 1", "bank-0", "signature", &stranger],
        ),
        (
            &bank_1,
            "did:key:zz",
            &["entry 2", "bank-1", "consensus_key", "did:key:zz"],
        ),
        ("127.0.0.1:7402", "127.0.0.1:7403", &["bank-2", "signature"]),
        (
            "127.0.0.1:7402",
            "127.0.0.1",
            &["bank-2", "127.0.0.1", "host:port"],
        ),
        (
            "signature = \"",
            "signature = \"0",
            &["bank-0", "128 hexadecimal digits"],
        ),
        (
            "roles = [\"deployer\"]",
            "roles = [\"chief\"]",
            &["chief", "line ", "registrar"],
        ),
        (
            "name = \"hospital\"",
            "name = \"registrar\"",
            &["registrar"],
        ),
        ("name = \"hospital\"", "name = \"../x\"", &["../x", "a-z"]),
        (
            "name = \"hospital\"",
            "rank = \"hospital\"",
            &["rank = \"hospital\"", "unknown field"],
        ),
        (&registrar, &bank_0, &["registrar", &bank_0, "already"]),
        (&registrar, "did:web:x", &["registrar", "did:web:x"]),
        (
            "[\"registrar\", \"deployer\"]",
            "[\"deployer\"]",
            &["none has the role registrar"],
        ),
        (
            "[\"registrar\", \"deployer\"]",
            "[\"registrar\", \"registrar\"]",
            &["registrar", "twice"],
        ),
    ];
    for (from, to, words) in cases {
        let said = refusal(from, to);
        for word in *words {
            assert!(
                said.contains(word),
                "{from} -> {to}: {word:?} is not in: {said}"
            );
        }
        assert!(!said.contains('\n'), "one line: {said}");
    }
}

#[test]
fn refusals_that_need_whole_cards() {
    let new = |cards: Vec<MemberCard>, accounts| {
        Genesis::new(
            "n".to_owned(),
            TIME,
            ChainLimits::default(),
            cards,
            accounts,
        )
    };
    let registrar = || vec![account(200, "registrar", &[Role::Registrar])];
    assert!(matches!(
        new(Vec::new(), registrar()),
        Err(GenesisError::Validators(_))
    ));
    assert!(matches!(
        new(vec![card(1), card(1)], registrar()),
        Err(GenesisError::Validators(_))
    ));
    let [consensus, network, log] = [90, 91, 92].map(key);
    let address = || card(1).address().clone();
    let same_address = MemberCard::sign("x", &consensus, network.public(), log.public(), address());
    assert!(matches!(
        new(vec![card(1), same_address.expect("a card")], registrar()),
        Err(GenesisError::AddressTwice { .. })
    ));
    assert!(
        MemberCard::sign(
            "x",
            &consensus,
            network.public(),
            network.public(),
            address()
        )
        .is_err()
    );
    assert!(MemberCard::sign("X", &consensus, network.public(), log.public(), address()).is_err());
    let mut twice = registrar();
    twice.push(account(200, "other", &[]));
    assert!(matches!(
        new(vec![card(1)], twice),
        Err(GenesisError::AccountTwice { .. })
    ));
    let mut weak = registrar();
    weak.push(GenesisAccount {
        name: "weak".to_owned(),
        account: AccountId([0; 32]),
        roles: vec![],
    });
    assert!(matches!(
        new(vec![card(1)], weak),
        Err(GenesisError::AccountKey { .. })
    ));
    let crowd = vec![account(200, "registrar", &[]); ACCOUNTS_MAX + 1];
    assert!(matches!(
        new(vec![card(1)], crowd),
        Err(GenesisError::TooManyAccounts { .. })
    ));
    assert!(matches!(
        Genesis::parse(&" ".repeat(5_000_000)),
        Err(GenesisError::TooLong { len: 5_000_000 })
    ));
    assert!(MemberCard::parse(&" ".repeat(20_000)).is_err());
}

#[test]
fn a_card_with_any_changed_field_is_refused() {
    let toml = card(1).to_toml();
    let other = card(2).to_toml();
    for (line, replacement) in toml.lines().zip(other.lines()).filter(|(a, b)| a != b) {
        let changed = toml.replace(line, replacement);
        assert!(
            MemberCard::parse(&changed).is_err(),
            "{line} -> {replacement}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "\\PC{0,200}") {
        let _ = Genesis::parse(&text);
        let _ = MemberCard::parse(&text);
    }

    #[test]
    fn no_damage_to_a_document_makes_reading_panic_or_go_unnoticed(
        at in 0..4000_usize,
        length in 0..60_usize,
        put in "[\\x00-\\x7f]{0,12}",
    ) {
        let good = genesis();
        let mut toml = good.to_toml();
        let start = at % toml.len();
        let end = (start + length).min(toml.len());
        toml.replace_range(start..end, &put);
        if let Ok(read) = Genesis::parse(&toml) {
            prop_assert_eq!(read.chain_id() == good.chain_id(), read == good);
        }
    }
}
