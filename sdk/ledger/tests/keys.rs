//! The two signature rules, frozen on public edge cases, the rule for admission, and DIDs.

mod common;

use std::convert::Infallible;
use std::path::Path;

use chancery_ledger::keys::{KeyError, verify_transaction_signature};
use chancery_ledger::{AccountId, PublicKey, Signature};
use common::key;
use proptest::prelude::*;
use serde_json::Value;

/// A signature from a vector file, with what the file says about it.
struct Case {
    key: [u8; 32],
    message: Vec<u8>,
    signature: Vec<u8>,
    flags: Vec<String>,
    is_valid: bool,
}

impl Case {
    fn transaction_rule(&self) -> bool {
        let Ok(signature) = self.signature[..].try_into().map(Signature) else {
            return false;
        };
        verify_transaction_signature(&AccountId(self.key), &self.message, &signature).is_ok()
    }

    fn strict_rule(&self) -> bool {
        let (Ok(signature), Ok(key)) = (
            self.signature[..].try_into().map(Signature),
            PublicKey::try_from(self.key),
        ) else {
            return false;
        };
        key.verify_strict(&self.message, &signature).is_ok()
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|of_case| of_case == flag)
    }
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a text")).expect("hexadecimal")
}

fn flags(case: &Value) -> Vec<String> {
    let flags = case["flags"].as_array().into_iter().flatten();
    flags
        .map(|flag| flag.as_str().expect("a text").to_owned())
        .collect()
}

fn file(name: &str) -> Option<Value> {
    let path = common::vectors("ed25519")?.join(name);
    let text = std::fs::read_to_string(path).expect("the file can be read");
    Some(serde_json::from_str(&text).expect("the file is JSON"))
}

fn edge_cases() -> Option<Vec<Case>> {
    let file = file("ed25519vectors.json")?;
    let cases = file.as_array().expect("a list").iter();
    let case = |case: &Value| Case {
        key: unhex(&case["key"]).try_into().expect("32 bytes"),
        message: case["msg"].as_str().expect("a text").as_bytes().to_vec(),
        signature: unhex(&case["sig"]),
        flags: flags(case),
        is_valid: false,
    };
    Some(cases.map(case).collect())
}

fn wycheproof() -> Option<Vec<Case>> {
    let file = file("wycheproof_ed25519_test.json")?;
    let groups = file["testGroups"].as_array().expect("a list").iter();
    let cases = groups.flat_map(|group| {
        let key = unhex(&group["publicKey"]["pk"]);
        let cases = group["tests"].as_array().expect("a list").iter();
        cases.map(move |case| Case {
            key: key[..].try_into().expect("32 bytes"),
            message: unhex(&case["msg"]),
            signature: unhex(&case["sig"]),
            flags: flags(case),
            is_valid: case["result"] == "valid",
        })
    });
    Some(cases.collect())
}

/// How many are accepted, and the SHA-256 of one byte (0 or 1) for each case in order.
fn frozen(accepted: impl Iterator<Item = bool>) -> String {
    let accepted: Vec<u8> = accepted.map(u8::from).collect();
    let count: usize = accepted.iter().map(|bit| usize::from(*bit)).sum();
    let hash = chancery_ledger::hash::sha256(&accepted);
    format!("{count} of {} {hash}", accepted.len())
}

#[test]
fn the_accept_sets_are_frozen() {
    let (Some(edge_cases), Some(wycheproof)) = (edge_cases(), wycheproof()) else {
        return;
    };
    let admissible = |case: &Case| PublicKey::try_from(case.key).is_ok();
    let sets = [
        (
            "edge_cases_transaction_rule",
            frozen(edge_cases.iter().map(Case::transaction_rule)),
        ),
        (
            "edge_cases_strict_rule",
            frozen(edge_cases.iter().map(Case::strict_rule)),
        ),
        (
            "edge_cases_admissible",
            frozen(edge_cases.iter().map(admissible)),
        ),
        (
            "wycheproof_transaction_rule",
            frozen(wycheproof.iter().map(Case::transaction_rule)),
        ),
        (
            "wycheproof_strict_rule",
            frozen(wycheproof.iter().map(Case::strict_rule)),
        ),
        (
            "wycheproof_admissible",
            frozen(wycheproof.iter().map(admissible)),
        ),
    ];
    let lines: String = sets
        .iter()
        .map(|(name, set)| format!("{name} {set}\n"))
        .collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/ed25519.txt");
    if std::env::var_os("CHANCERY_UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &lines).expect("the golden can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden can be read");
    assert_eq!(lines, golden);
}

/// ZIP-215 takes all of these edge cases, but those that hash a re-encoded point, where that makes
/// a difference: with a key of small order it does not.
#[test]
fn the_transaction_rule_is_zip_215() {
    for (number, case) in edge_cases().into_iter().flatten().enumerate() {
        let expected = !case.has("reencoded_k") || case.has("low_order_A");
        assert_eq!(
            case.transaction_rule(),
            expected,
            "{number} {:?}",
            case.flags
        );
    }
}

/// No edge case at all passes the strict rule on a key that was admitted.
#[test]
fn the_strict_rule_takes_no_edge_case() {
    for (number, case) in edge_cases().into_iter().flatten().enumerate() {
        assert_eq!(
            case.strict_rule(),
            case.flags.is_empty(),
            "{number} {:?}",
            case.flags
        );
        let bad_key = ["low_order_A", "non_canonical_A", "low_order_component_A"];
        let admissible = !bad_key.iter().any(|flag| case.has(flag));
        assert_eq!(
            PublicKey::try_from(case.key).is_ok(),
            admissible,
            "{number} {:?}",
            case.flags
        );
    }
}

/// They disagree about one case only: ZIP-215 takes a signature whose R is the neutral element,
/// written with the sign of an x that is 0, which RFC 8032 does not allow.
#[test]
fn both_rules_agree_with_wycheproof() {
    let neutral = [&[1][..], &[0; 30], &[0x80]].concat();
    let mut odd_ones = 0;
    for (number, case) in wycheproof().into_iter().flatten().enumerate() {
        let about = format!("{number} {:?}", case.flags);
        assert_eq!(case.strict_rule(), case.is_valid, "{about}");
        let is_odd = case.signature.starts_with(&neutral);
        odd_ones += usize::from(is_odd);
        assert_eq!(case.transaction_rule(), case.is_valid || is_odd, "{about}");
    }
    assert!(odd_ones <= 1);
}

/// A counter that is hashed: good enough to weight a batch in a test.
struct CountingRng(u64);

impl rand_core::TryRng for CountingRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(32) {
            self.0 += 1;
            let hash = chancery_ledger::hash::sha256(&self.0.to_le_bytes());
            chunk.copy_from_slice(&hash.0[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for CountingRng {}

/// Whoever verifies transactions in batches decides as those who verify them one by one.
#[test]
fn batches_accept_what_single_verification_accepts() {
    let all = edge_cases().into_iter().chain(wycheproof()).flatten();
    let all: Vec<Case> = all.filter(|case| case.signature.len() == 64).collect();
    let batch_of = |cases: &[&Case]| {
        let mut batch = ed25519_zebra::batch::Verifier::new();
        for case in cases {
            let signature: [u8; 64] = case.signature[..].try_into().expect("64 bytes");
            batch.queue((
                ed25519_zebra::VerificationKeyBytes::from(case.key),
                ed25519_zebra::Signature::from(signature),
                &case.message,
            ));
        }
        batch.verify(CountingRng(7)).is_ok()
    };
    for (number, case) in all.iter().enumerate() {
        assert_eq!(batch_of(&[case]), case.transaction_rule(), "{number}");
    }
    let accepted: Vec<&Case> = all.iter().filter(|case| case.transaction_rule()).collect();
    for cases in accepted.chunks(64) {
        assert!(batch_of(cases));
    }
    for refused in all.iter().filter(|case| !case.transaction_rule()) {
        let mut cases: Vec<&Case> = accepted.iter().take(8).copied().collect();
        cases.insert(3, refused);
        assert!(!batch_of(&cases));
    }
}

/// The eight points of small order in their 14 encodings (those that RFC 8032 does not allow
/// included), from the table in C2SP/CCTV.
#[test]
fn keys_of_small_order_are_not_admitted() {
    let p_and_more = |first: u8, last: u8| {
        let mut bytes = [0xff; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    };
    let small = |first: u8, last: u8| {
        let mut bytes = [0; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    };
    let order_8 = |text: &str| -> [u8; 32] {
        hex::decode(text)
            .expect("hexadecimal")
            .try_into()
            .expect("32 bytes")
    };
    for bytes in [
        small(0, 0),
        small(0, 0x80),
        small(1, 0),
        p_and_more(0xec, 0x7f),
        order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
        order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
        order_8("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
        order_8("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
    ] {
        assert_eq!(
            PublicKey::try_from(bytes),
            Err(KeyError::SmallOrder),
            "{bytes:x?}"
        );
    }
    for bytes in [
        p_and_more(0xed, 0x7f),
        p_and_more(0xed, 0xff),
        small(1, 0x80),
        p_and_more(0xee, 0x7f),
        p_and_more(0xee, 0xff),
        p_and_more(0xec, 0xff),
    ] {
        assert_eq!(
            PublicKey::try_from(bytes),
            Err(KeyError::NotCanonical),
            "{bytes:x?}"
        );
    }
}

/// A good key with a point of order 8 added: signatures under it split verifiers.
#[test]
fn keys_with_torsion_are_not_admitted() {
    use ed25519_dalek::VerifyingKey;
    let good = VerifyingKey::from_bytes(key(1).public().as_bytes()).expect("a key");
    let order_8 = hex::decode("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
        .expect("hexadecimal");
    let order_8 =
        VerifyingKey::from_bytes(&order_8.try_into().expect("32 bytes")).expect("a point");
    let mut point = good.to_edwards();
    for _ in 1..8 {
        point += order_8.to_edwards();
        let bytes = point.compress().to_bytes();
        assert_eq!(PublicKey::try_from(bytes), Err(KeyError::Torsion));
        assert_eq!(AccountId(bytes).to_public_key(), Err(KeyError::Torsion));
    }
    point += order_8.to_edwards();
    assert!(PublicKey::try_from(point.compress().to_bytes()).is_ok());
}

#[test]
fn bytes_that_are_no_point_are_not_admitted() {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(PublicKey::try_from(bytes), Err(KeyError::NotCanonical));
}

#[test]
fn signatures_with_a_large_s_are_refused_by_both_rules() {
    let public = key(1).public();
    let signature = key(1).sign(b"message");
    // s + the order of the group: equal modulo it, but not canonical.
    let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
        .expect("hexadecimal");
    let mut larger = signature;
    let mut carry = 0_u16;
    for (byte, of_order) in larger.0[32..].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(of_order);
        *byte = u8::try_from(carry & 0xff).expect("one byte");
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    assert!(public.verify_strict(b"message", &signature).is_ok());
    assert!(public.verify_strict(b"message", &larger).is_err());
    let account = public.account();
    assert!(verify_transaction_signature(&account, b"message", &signature).is_ok());
    assert!(verify_transaction_signature(&account, b"message", &larger).is_err());
}

/// Two keys from the did:key method's own test vectors for Ed25519.
#[test]
fn dids_are_those_of_the_did_key_method() {
    for (did, public) in [
        (
            "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        ),
        (
            "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        ),
    ] {
        let account: AccountId = did.parse().expect("a DID");
        assert_eq!(hex::encode(account.0), public);
        assert_eq!(account.to_string(), did);
    }
}

#[test]
fn other_texts_are_not_dids() {
    let good = key(1).account().to_string();
    let of_bytes = |bytes: &[u8]| format!("did:key:z{}", bs58::encode(bytes).into_string());
    let public = key(1).public();
    let with = |prefix: &[u8], key: &[u8]| of_bytes(&[prefix, key].concat());
    let not_a_did = [
        String::new(),
        "did:key:".to_owned(),
        "did:key:z".to_owned(),
        good[8..].to_owned(),
        good.to_uppercase(),
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{good}#{}", &good[8..]),
        good.replacen("did:key:z", "did:key:f", 1),
        good.replacen("did:key:z", "did:web:z", 1),
        good.replacen("did:key:z6", "did:key:z16", 1),
        good.replacen("z6Mk", "z6M0", 1),
        good.replacen("z6Mk", "z6Ml", 1),
        good[..good.len() - 1].to_owned(),
        format!("{good}1"),
        with(&[0xed, 0x01], &public.as_bytes()[..31]),
        with(&[0xed, 0x01, 0], public.as_bytes()),
        with(&[0xec, 0x01], public.as_bytes()),
        with(&[0xe7, 0x01], public.as_bytes()),
        with(&[0xed], public.as_bytes()),
        hex::encode(public.as_bytes()),
        "z".repeat(100_000),
        format!("did:key:z{}", "6".repeat(100_000)),
    ];
    for text in not_a_did {
        let error = text.parse::<AccountId>().expect_err("not a DID");
        assert!(
            matches!(error, KeyError::NotADid { .. }),
            "{text:.80}: {error}"
        );
        assert!(error.to_string().len() < 400);
    }
    let weak = AccountId([0; 32]).to_string();
    assert_eq!(weak.parse::<AccountId>(), Err(KeyError::SmallOrder));
}

#[test]
fn secrets_do_not_show() {
    let shown = format!("{:?}", key(7));
    assert!(!shown.contains(&hex::encode([7; 32])));
    assert!(shown.contains("did:key:z6Mk"));
}

proptest! {
    #[test]
    fn every_key_survives_its_did(seed in any::<[u8; 32]>()) {
        let secret = chancery_ledger::SecretKey::from_seed(&seed);
        let account = secret.account();
        let did = account.to_string();
        prop_assert!(did.starts_with("did:key:z6Mk"));
        prop_assert_eq!(did.parse(), Ok(account));
        prop_assert_eq!(account.to_public_key(), Ok(secret.public()));
        let json = serde_json::to_string(&account).expect("a text");
        prop_assert_eq!(serde_json::from_str::<AccountId>(&json).ok(), Some(account));
    }

    #[test]
    fn no_text_makes_the_did_parser_panic(text in "(did:key:z)?\\PC{0,60}") {
        let _ = text.parse::<AccountId>();
    }
}
