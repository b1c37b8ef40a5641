//! Homes that are made, opened, and refused.

use std::os::unix::fs::PermissionsExt as _;

use chancery_genesis::GenesisAccount;
use chancery_ledger::{ChainLimits, Millis, Role};

use super::*;

fn config() -> NodeConfig {
    let address = |text: &str| text.parse().expect("an address");
    NodeConfig::listening_on(address("127.0.0.1:7400"), address("127.0.0.1:0"))
}

fn made() -> (tempfile::TempDir, Home, MemberCard) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let home = Home::new(directory.path().join("deep/home"));
    let address = "127.0.0.1:7400".parse().expect("an address");
    let card = home
        .init("bank-a", address, &config())
        .expect("makes a home");
    (directory, home, card)
}

fn genesis_of(cards: &[&MemberCard]) -> Genesis {
    let registrar = GenesisAccount {
        name: "registrar".to_owned(),
        account: SecretKey::from_seed(&[200; 32]).account(),
        roles: vec![Role::Registrar],
    };
    let cards = cards.iter().map(|card| (*card).clone()).collect();
    let time = Millis(1_769_860_800_000);
    Genesis::new(
        "net".to_owned(),
        time,
        ChainLimits::default(),
        cards,
        vec![registrar],
    )
    .expect("a genesis")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("is there").permissions().mode() & 0o777
}

#[test]
fn a_new_home_opens_once_it_has_joined_a_network() {
    let (_directory, home, card) = made();
    assert_eq!(
        (mode(home.root()), mode(home.keys().directory())),
        (0o700, 0o700)
    );
    assert!(matches!(home.open(), Err(HomeError::Missing { path }) if path == home.genesis_path()));
    let genesis = genesis_of(&[&card]);
    home.join(&genesis.to_toml()).expect("joins");
    home.join(&genesis.to_toml()).expect("again");
    let start = home.open().expect("opens");
    assert_eq!((start.own, start.config), (ValidatorIndex(0), config()));
    assert_eq!(start.genesis.chain_id(), genesis.chain_id());
    assert_eq!(
        start.keys.consensus.public(),
        card.validator().consensus_key
    );
}

#[test]
fn a_home_is_never_made_twice_and_a_failure_leaves_nothing() {
    let (directory, home, _) = made();
    let address: PeerAddress = "127.0.0.1:7400".parse().expect("an address");
    let before = fs::read(home.member_path()).expect("is there");
    let again = home.init("bank-a", address.clone(), &config());
    assert!(matches!(again, Err(HomeError::Exists { .. })));
    assert_eq!(fs::read(home.member_path()).expect("is there"), before);

    let other = Home::new(directory.path().join("other"));
    assert!(matches!(
        other.init("Bad Name", address, &config()),
        Err(HomeError::Card(CardError::Name { .. }))
    ));
    assert!(!other.root().exists());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let (_directory, home, card) = made();
    let (_other_directory, _, other_card) = made();
    assert!(matches!(
        home.join(&genesis_of(&[&other_card]).to_toml()),
        Err(HomeError::OtherCard { .. })
    ));
    let [consensus, network, log] = [1, 2, 3].map(|seed| SecretKey::from_seed(&[seed; 32]));
    let address = "127.0.0.1:7401".parse().expect("an address");
    let stranger =
        MemberCard::sign("x", &consensus, network.public(), log.public(), address).expect("a card");
    assert!(matches!(
        home.join(&genesis_of(&[&stranger]).to_toml()),
        Err(HomeError::NotAMember { .. })
    ));
    assert!(!home.genesis_path().exists());
    home.join(&genesis_of(&[&card]).to_toml()).expect("joins");
    assert!(matches!(
        home.join(&genesis_of(&[&card, &stranger]).to_toml()),
        Err(HomeError::OtherNetwork { .. })
    ));

    let keys = home.keys();
    let path = |name| keys.path(name).expect("a name");
    fs::rename(path(LOG), path("aside")).expect("renames");
    fs::rename(path(NETWORK), path(LOG)).expect("renames");
    fs::rename(path("aside"), path(NETWORK)).expect("renames");
    assert!(matches!(home.open(), Err(HomeError::WrongKey { .. })));
    fs::set_permissions(path(CONSENSUS), fs::Permissions::from_mode(0o640)).expect("chmod");
    assert!(matches!(
        home.open(),
        Err(HomeError::Key(KeyStoreError::Exposed { mode: 0o640, .. }))
    ));
    fs::remove_file(path(CONSENSUS)).expect("removes");
    assert!(matches!(
        home.open(),
        Err(HomeError::Key(KeyStoreError::Missing { .. }))
    ));
}
