//! The rules of the contract, one by one, as plain Rust.

mod common;

use chancery_contract::{Millis, TestEnv};
use common::*;
use provenance::{
    Accepted, Commissioned, Decommissioned, Error, ItemId, ManufacturerRegistered,
    ManufacturerRevoked, Observed, Offer, Offered, Provenance, Refused, SALT_BYTES, Step,
    Withdrawn,
};

fn commissioned() -> TestEnv {
    let mut test = deployed();
    assert_eq!(commission(&mut test, "maker", PREFIX, item(1)), Ok(()));
    test
}

#[test]
fn goods_go_from_hand_to_hand_and_their_history_says_so() {
    let mut test = commissioned();
    test.advance(Millis(10));
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(1));
    let on_the_way = found(&test, item(1)).expect("commissioned");
    assert_eq!(on_the_way.custodian, who("maker"));
    let open = Offer {
        number: 1,
        recipient: who("shipper"),
    };
    assert_eq!(on_the_way.offer, Some(open));
    assert_eq!(accept(&mut test, "shipper", item(1), 1), Ok(()));
    assert_eq!(observe(&mut test, "shipper", item(1)), Ok(()));
    assert_eq!(offer(&mut test, "shipper", item(1), "retailer"), Ok(4));
    assert_eq!(accept(&mut test, "retailer", item(1), 4), Ok(()));
    test.advance(Millis(10));
    assert_eq!(decommission(&mut test, "retailer", item(1)), Ok(()));

    let sold = found(&test, item(1)).expect("it stays");
    assert_eq!(
        (sold.manufacturer, sold.custodian),
        (who("maker"), who("retailer"))
    );
    assert_eq!((sold.offer, sold.entries), (None, 7));
    assert_eq!(sold.decommissioned_at, Some(Millis(START + 20)));
    let (shipper, retailer) = (who("shipper"), who("retailer"));
    let expected = [
        (Step::Commissioned, "maker", START),
        (Step::Offered { recipient: shipper }, "maker", START + 10),
        (Step::Accepted, "shipper", START + 10),
        (Step::Observed, "shipper", START + 10),
        (
            Step::Offered {
                recipient: retailer,
            },
            "shipper",
            START + 10,
        ),
        (Step::Accepted, "retailer", START + 10),
        (Step::Decommissioned, "retailer", START + 20),
    ];
    let told = history(&test, item(1));
    assert_eq!(told.len(), expected.len());
    for (entry, (step, by, at)) in told.into_iter().zip(expected) {
        assert_eq!((entry.step, entry.by, entry.at.0), (step, who(by), at));
        assert_eq!(entry.event, Some(EVENT));
    }
    let topics: Vec<&str> = test
        .events()
        .iter()
        .map(|event| event.topic.as_str())
        .collect();
    let said = [
        "ManufacturerRegistered",
        "Commissioned",
        "Offered",
        "Accepted",
        "Observed",
        "Offered",
        "Accepted",
        "Decommissioned",
    ];
    assert_eq!(topics, said);
    let numbers = (
        test.events_of::<Commissioned>()[0].number,
        test.events_of::<Offered>()[1].number,
        test.events_of::<Accepted>()[1].number,
        test.events_of::<Observed>()[0].number,
        test.events_of::<Decommissioned>()[0].number,
    );
    assert_eq!(numbers, (0, 4, 5, 3, 6));
    assert_eq!(test.events_of::<Accepted>()[0].from, who("maker"));
}

#[test]
fn an_item_that_nobody_commissioned_is_nowhere_in_the_state() {
    let mut test = commissioned();
    assert_eq!(found(&test, item(2)), Err(Error::NotCommissioned));
    assert_eq!(entry(&test, item(2), 0), Err(Error::NotCommissioned));
    let storage = test.storage().clone();
    assert_eq!(
        observe(&mut test, "maker", item(2)),
        Err(Error::NotCommissioned)
    );
    assert_eq!(
        offer(&mut test, "maker", item(2), "shipper"),
        Err(Error::NotCommissioned)
    );
    assert_eq!(
        accept(&mut test, "shipper", item(2), 0),
        Err(Error::NotCommissioned)
    );
    assert_eq!(
        decommission(&mut test, "maker", item(2)),
        Err(Error::NotCommissioned)
    );
    assert_eq!(test.storage(), &storage);
    let mut key = b"item/".to_vec();
    key.push(u8::try_from(PREFIX.len() << 2).expect("one byte of SCALE"));
    key.extend(PREFIX.as_bytes());
    assert!(
        test.storage()
            .contains_key(&[&key[..], &item(1).0].concat())
    );
    assert!(
        !test
            .storage()
            .contains_key(&[&key[..], &item(2).0].concat())
    );
}

#[test]
fn only_the_manufacturer_of_the_prefix_commissions_and_only_once() {
    let mut test = commissioned();
    let again = commission(&mut test, "maker", PREFIX, item(1));
    assert_eq!(again, Err(Error::AlreadyCommissioned));
    assert_eq!(decommission(&mut test, "maker", item(1)), Ok(()));
    let again = commission(&mut test, "maker", PREFIX, item(1));
    assert_eq!(again, Err(Error::AlreadyCommissioned));
    for name in ["stranger", "operator", "retailer"] {
        let got = commission(&mut test, name, PREFIX, item(2));
        assert_eq!(got, Err(Error::NotManufacturer));
    }
    let got = commission(&mut test, "maker", "4099999", item(2));
    assert_eq!(got, Err(Error::NoManufacturer));
    let long = "4".repeat(1_000);
    for bad in [
        "",
        "40123",
        "4012345678901",
        "401234x",
        "４０１２３４",
        &long,
    ] {
        let got = commission(&mut test, "maker", bad, item(2));
        assert_eq!(got, Err(Error::BadCompanyPrefix));
        let got = test.view(|env| Provenance::item(env, bad.to_owned(), item(1)));
        assert_eq!(got, Err(Error::BadCompanyPrefix));
        let got = test.view(|env| Provenance::manufacturer(env, bad.to_owned()));
        assert_eq!(got, Err(Error::BadCompanyPrefix));
    }
    // The same hash under another prefix is another item.
    assert_eq!(
        register(&mut test, "operator", "5012345", "stranger"),
        Ok(())
    );
    assert_eq!(
        commission(&mut test, "stranger", "5012345", item(1)),
        Ok(())
    );
    assert_eq!(
        found(&test, item(1)).map(|it| it.manufacturer),
        Ok(who("maker"))
    );
}

#[test]
fn only_the_owner_registers_manufacturers_and_prefixes_never_overlap() {
    let mut test = deployed();
    let other = register(&mut test, "maker", "5012345", "maker");
    assert_eq!(other, Err(Error::NotOwner));
    assert_eq!(revoke(&mut test, "maker", PREFIX), Err(Error::NotOwner));
    let nobody = register(&mut test, "operator", "5012345", "nobody");
    assert_eq!(nobody, Err(Error::NotAdmitted));
    for bad in ["", "50123", "5012345678901", "50123a"] {
        let got = register(&mut test, "operator", bad, "maker");
        assert_eq!(got, Err(Error::BadCompanyPrefix));
        assert_eq!(
            revoke(&mut test, "operator", bad),
            Err(Error::BadCompanyPrefix)
        );
    }
    for overlapping in ["401234", "40123456", "401234567890"] {
        let got = register(&mut test, "operator", overlapping, "stranger");
        assert_eq!(got, Err(Error::PrefixOverlaps), "{overlapping}");
    }
    assert_eq!(
        register(&mut test, "operator", "4012346", "stranger"),
        Ok(())
    );

    // A prefix may pass to another account: a new key, a buyer of the brand.
    assert_eq!(register(&mut test, "operator", PREFIX, "stranger"), Ok(()));
    let got = commission(&mut test, "maker", PREFIX, item(1));
    assert_eq!(got, Err(Error::NotManufacturer));
    assert_eq!(commission(&mut test, "stranger", PREFIX, item(1)), Ok(()));
    let manufacturer = test.view(|env| Provenance::manufacturer(env, PREFIX.to_owned()));
    assert_eq!(manufacturer, Ok(who("stranger")));

    assert_eq!(revoke(&mut test, "operator", PREFIX), Ok(()));
    assert_eq!(
        revoke(&mut test, "operator", PREFIX),
        Err(Error::NoManufacturer)
    );
    let got = commission(&mut test, "stranger", PREFIX, item(2));
    assert_eq!(got, Err(Error::NoManufacturer));
    let got = register(&mut test, "operator", "401234", "maker");
    assert_eq!(got, Err(Error::PrefixOverlaps), "a prefix stays taken");
    // Goods that there are go on.
    assert_eq!(offer(&mut test, "stranger", item(1), "shipper"), Ok(1));
    assert_eq!(test.events_of::<ManufacturerRegistered>().len(), 3);
    let revoked = test.events_of::<ManufacturerRevoked>();
    assert_eq!(
        (revoked.len(), revoked[0].manufacturer),
        (1, who("stranger"))
    );
}

#[test]
fn custody_takes_both_sides() {
    let mut test = commissioned();
    assert_eq!(
        accept(&mut test, "shipper", item(1), 0),
        Err(Error::NoOffer)
    );
    let got = offer(&mut test, "shipper", item(1), "retailer");
    assert_eq!(got, Err(Error::NotCustodian));
    let got = offer(&mut test, "operator", item(1), "retailer");
    assert_eq!(got, Err(Error::NotCustodian));
    let got = offer(&mut test, "maker", item(1), "maker");
    assert_eq!(got, Err(Error::SameParty));
    let got = offer(&mut test, "maker", item(1), "nobody");
    assert_eq!(got, Err(Error::NotAdmitted));
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(1));
    let got = offer(&mut test, "maker", item(1), "retailer");
    assert_eq!(got, Err(Error::OfferOpen));
    assert_eq!(
        decommission(&mut test, "maker", item(1)),
        Err(Error::OfferOpen)
    );
    for name in ["maker", "retailer", "operator"] {
        assert_eq!(
            accept(&mut test, name, item(1), 1),
            Err(Error::NotTheRecipient)
        );
        assert_eq!(
            refuse(&mut test, name, item(1), 1),
            Err(Error::NotTheRecipient)
        );
    }
    assert_eq!(
        withdraw(&mut test, "shipper", item(1)),
        Err(Error::NotCustodian)
    );
    assert_eq!(
        observe(&mut test, "shipper", item(1)),
        Err(Error::NotCustodian)
    );
    assert_eq!(accept(&mut test, "shipper", item(1), 1), Ok(()));
    for name in ["maker", "shipper"] {
        assert_eq!(accept(&mut test, name, item(1), 1), Err(Error::NoOffer));
    }
    assert_eq!(
        offer(&mut test, "maker", item(1), "retailer"),
        Err(Error::NotCustodian)
    );
}

#[test]
fn an_offer_is_withdrawn_or_refused_and_custody_stays() {
    let mut test = commissioned();
    assert_eq!(withdraw(&mut test, "maker", item(1)), Err(Error::NoOffer));
    assert_eq!(
        refuse(&mut test, "shipper", item(1), 0),
        Err(Error::NoOffer)
    );
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(1));
    assert_eq!(withdraw(&mut test, "maker", item(1)), Ok(()));
    assert_eq!(
        accept(&mut test, "shipper", item(1), 1),
        Err(Error::NoOffer)
    );
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(3));
    assert_eq!(refuse(&mut test, "shipper", item(1), 3), Ok(()));
    assert_eq!(
        found(&test, item(1)).map(|it| (it.custodian, it.offer)),
        Ok((who("maker"), None))
    );
    let offered = Step::Offered {
        recipient: who("shipper"),
    };
    let expected = [
        Step::Commissioned,
        offered,
        Step::Withdrawn,
        offered,
        Step::Refused,
    ];
    assert_eq!(steps(&test, item(1)), expected);
    assert_eq!(test.events_of::<Withdrawn>()[0].recipient, who("shipper"));
    assert_eq!(test.events_of::<Refused>()[0].custodian, who("maker"));
    assert_eq!(entry(&test, item(1), 2).map(|entry| entry.event), Ok(None));
}

/// The custodian cannot slip another offer under an acceptance that is on its way.
#[test]
fn an_acceptance_is_of_one_offer() {
    let mut test = commissioned();
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(1));
    assert_eq!(withdraw(&mut test, "maker", item(1)), Ok(()));
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Ok(3));
    assert_eq!(
        accept(&mut test, "shipper", item(1), 1),
        Err(Error::OtherOffer)
    );
    assert_eq!(
        refuse(&mut test, "shipper", item(1), 1),
        Err(Error::OtherOffer)
    );
    assert_eq!(accept(&mut test, "shipper", item(1), 3), Ok(()));
}

#[test]
fn what_is_decommissioned_never_moves_again() {
    let mut test = commissioned();
    assert_eq!(
        decommission(&mut test, "shipper", item(1)),
        Err(Error::NotCustodian)
    );
    assert_eq!(decommission(&mut test, "maker", item(1)), Ok(()));
    let storage = test.storage().clone();
    let over = Error::Decommissioned;
    assert_eq!(offer(&mut test, "maker", item(1), "shipper"), Err(over));
    assert_eq!(withdraw(&mut test, "maker", item(1)), Err(over));
    assert_eq!(accept(&mut test, "shipper", item(1), 0), Err(over));
    assert_eq!(refuse(&mut test, "shipper", item(1), 0), Err(over));
    assert_eq!(observe(&mut test, "maker", item(1)), Err(over));
    assert_eq!(decommission(&mut test, "maker", item(1)), Err(over));
    assert_eq!(test.storage(), &storage);
    assert_eq!(entry(&test, item(1), 2), Err(Error::UnknownEntry));
    assert_eq!(entry(&test, item(1), u64::MAX), Err(Error::UnknownEntry));
}

#[test]
fn the_ledger_s_name_of_an_item_needs_its_salt() {
    let test = deployed();
    let epc = "urn:epc:id:sgtin:4012345.011111.987";
    let id = |epc: &str, salt: &[u8]| {
        test.view(|env| Provenance::item_id(env, epc.to_owned(), salt.to_vec()))
    };
    let salt = [5; SALT_BYTES];
    let expected = ItemId {
        company_prefix: PREFIX.to_owned(),
        item: test.view(|env| env.sha256(&[&salt[..], epc.as_bytes()].concat())),
    };
    assert_eq!(id(epc, &salt), Ok(expected.clone()));
    assert_ne!(id(epc, &[6; SALT_BYTES]), Ok(expected));
    assert_eq!(
        id("urn:epc:id:sgtin:4012345.011111", &salt),
        Err(Error::BadEpc)
    );
    for bad in [0, 1, SALT_BYTES - 1, SALT_BYTES + 1, 1_000] {
        assert_eq!(id(epc, &vec![5; bad]), Err(Error::BadSalt));
    }
}
