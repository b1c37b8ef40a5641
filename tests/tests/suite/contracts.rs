//! The shipped contracts on a network of four, through the command line, as their READMEs tell it; and
//! one of them through the client's library alone.

use std::path::Path;
use std::time::Duration;

use chancery_client::api::{EventFilter, Start};
use chancery_client::{Client, Contract, KeyStore, Told, TransactionBuilder, clock};
use chancery_ledger::ContractId;
use chancery_tests::cluster::Cluster;
use chancery_tests::command::{Ran, chancery, contract, eventually};
use serde_json::{Value, json};

/// How `access check` ends where access is denied.
const DENIED: i32 = 8;

/// A contract that `owner` deployed.
struct Deployed<'a> {
    cluster: &'a Cluster,
    contract: String,
}

impl<'a> Deployed<'a> {
    fn new(cluster: &'a Cluster, name: &str, owner: &str) -> Self {
        let wasm = contract(name).display().to_string();
        let deployed = cluster.ok(&["contract", "deploy", &wasm, "--from", owner]);
        let contract = deployed.text("contract");
        Self { cluster, contract }
    }

    /// A call whose arguments are written as on a command line, with no spaces in values.
    fn call(&self, from: &str, line: &str) -> Ran {
        let words: Vec<&str> = line.split(' ').collect();
        let call = ["call", &self.contract, words[0], "--from", from];
        self.cluster.run(&[&call, &words[1..]].concat())
    }

    fn applied(&self, from: &str, line: &str) -> Ran {
        let ran = self.call(from, line);
        assert_eq!(ran.out["status"], json!("applied"), "{line}: {ran:?}");
        ran
    }

    fn refused(&self, from: &str, line: &str, error: &str) -> Ran {
        let ran = self.call(from, line);
        assert_eq!(
            (ran.code, &ran.out["error"]),
            (3, &json!(error)),
            "{line}: {ran:?}"
        );
        ran
    }

    /// What every validator answers, once all have the newest block.
    fn everywhere(&self, line: &str, expected: &Value) {
        let words: Vec<&str> = line.split(' ').collect();
        let query = [&["query", self.contract.as_str()], &words[..]].concat();
        for index in self.cluster.all() {
            // Names of keys are known to the devnet only.
            let api = self.cluster.api(index);
            let query = [&query[..], &["--api", &api]].concat();
            eventually("all validators agree", 5, || {
                self.cluster.run(&query).out["value"] == *expected
            });
        }
    }
}

fn with_keys(names: &[&str]) -> Cluster {
    let cluster = Cluster::start(4);
    for name in names {
        let _ = cluster.ok(&["keys", "new", name]);
    }
    cluster
}

fn file(cluster: &Cluster, name: &str) -> String {
    let path = cluster.path().join(name);
    std::fs::write(&path, name).expect("a file");
    format!("@{}", path.display())
}

#[test]
fn a_contract_is_compiled_once_and_before_it_is_executed() {
    let cluster = with_keys(&["operator"]);
    let views = [
        ("settlement", "owner"),
        ("provenance", "owner"),
        ("health_consent", "count"),
    ];
    let contracts = views.map(|(name, _)| Deployed::new(&cluster, name, "operator"));
    let compiled = |index, when| {
        let name = format!("chancery_contracts_compiled_total{{when=\"{when}\"}}");
        cluster.metric(index, &name)
    };
    for index in cluster.all() {
        eventually("every validator has compiled all of them", 5, || {
            compiled(index, "ahead") == Some(views.len() as u64)
        });
        assert_eq!(compiled(index, "late"), Some(0), "validator {index}");
    }
    // What was compiled outlives the process.
    let victim = 1;
    cluster.level(&cluster.all());
    cluster.stop(victim);
    cluster.restart(victim);
    cluster.ready(&[victim]);
    for (contract, (_, view)) in contracts.iter().zip(views) {
        let ran = cluster.run_at(victim, &["query", &contract.contract, view]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(
        [compiled(victim, "ahead"), compiled(victim, "late")],
        [Some(0); 2],
        "nothing was compiled again"
    );
}

#[test]
fn a_contract_that_traps_instead_of_deciding_denies() {
    let cluster = with_keys(&["operator"]);
    let module = r#"(module (memory (export "memory") 1)
        (func (export "view.decide") unreachable))"#;
    let path = cluster.path().join("trap.wasm");
    std::fs::write(&path, wat::parse_str(module).expect("well-formed")).expect("a file");
    let path = path.display().to_string();
    let deploy = ["contract", "deploy", &path, "--from", "operator"];
    let contract = cluster.ok(&deploy).text("contract");
    let trap = Deployed {
        cluster: &cluster,
        contract,
    };
    let ran = checked(&trap, "operator", "read", "x");
    assert_eq!(ran.code, DENIED, "{ran:?}");
    assert!(ran.err.contains("\"because\":\"trapped\""), "{ran:?}");
}

#[test]
fn two_banks_exchange_two_currencies_or_keep_what_they_had() {
    let cluster = with_keys(&["operator", "ecb", "fed", "alpha", "beta"]);
    let pvp = Deployed::new(&cluster, "settlement", "operator");
    // It grants nothing to anybody, and its `count` is of something else.
    let check = checked(&pvp, "alpha", "read", "balance");
    assert_eq!(check.code, DENIED, "{check:?}");
    assert!(check.err.contains("not_decidable"), "{check:?}");
    let list = cluster.run(&["access", "list", &pvp.contract]);
    assert_eq!(list.code, 2, "{list:?}");
    assert!(list.err.contains("not_enumerable"), "{list:?}");
    for (currency, issuer, holder) in [("EUR", "ecb", "alpha"), ("USD", "fed", "beta")] {
        let line =
            format!("register_currency --currency {currency} --minor-unit 2 --issuer {issuer}");
        pvp.applied("operator", &line);
        let line = format!(
            "issue --currency {currency} --holder {holder} --amount 1000 --end-to-end-id RTGS-1"
        );
        pvp.applied(issuer, &line);
        pvp.refused(issuer, &line, "EndToEndIdUsed");
    }
    let (mine, yours) = (file(&cluster, "alpha.xml"), file(&cluster, "beta.xml"));
    let propose = |id: &str, deadline: &str| {
        let line = format!(
            "propose --counterparty beta --pays {{\"currency\":\"EUR\",\"amount\":400}} \
             --gets {{\"currency\":\"USD\",\"amount\":432}} --deadline {deadline} \
             --end-to-end-id {id} --pacs008 {mine}"
        );
        let number = pvp.applied("alpha", &line).out["value"].to_string();
        let line = format!("accept --number {number} --end-to-end-id {id} --pacs008 {yours}");
        pvp.applied("beta", &line);
        let funded = pvp.applied("alpha", &format!("fund --number {number}"));
        assert_eq!(funded.out["value"], json!(false));
    };
    // The second is never answered with money.
    propose("FX-1", "+2h");
    propose("FX-2", "+3s");
    let settled = pvp.applied("beta", "fund --number 0");
    assert_eq!(settled.out["value"], json!(true));
    pvp.refused(
        "alpha",
        "redeem --currency EUR --amount 201 --end-to-end-id R-1",
        "InsufficientFunds",
    );
    eventually("its deadline passes", 10, || {
        pvp.call("beta", "release --number 1").code == 0
    });
    pvp.refused("beta", "fund --number 1", "DeadlinePassed");

    for (line, available) in [
        ("balance --holder alpha --currency EUR", "600"),
        ("balance --holder alpha --currency USD", "432"),
        ("balance --holder beta --currency EUR", "400"),
        ("balance --holder beta --currency USD", "568"),
    ] {
        pvp.everywhere(line, &json!({"available": available, "reserved": "0"}));
    }
    let proof = cluster.path().join("settled.proof").display().to_string();
    let _ = cluster.ok(&["proof", "tx", &settled.text("id"), "--out", &proof]);
    let verified = chancery(&["verify", &proof, "--trust", &cluster.policy()]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let topics: Vec<_> = verified.out["claim"]["events"]
        .as_array()
        .expect("a list")
        .iter()
        .collect();
    let topics: Vec<&str> = topics
        .iter()
        .filter_map(|event| event["topic"].as_str())
        .collect();
    assert_eq!(topics, ["SetAside", "Paid", "Paid", "Settled"]);
}

#[test]
fn goods_change_hands_by_both_sides_and_a_counterfeit_is_proven_to_be_one() {
    let cluster = with_keys(&["association", "maker", "shipper", "customs"]);
    let goods = Deployed::new(&cluster, "provenance", "association");
    goods.applied(
        "association",
        "register_manufacturer --company-prefix 4012345 --manufacturer maker",
    );
    let event = file(&cluster, "commissioning.json");
    let (genuine, fake) = ("ab".repeat(32), "cd".repeat(32));
    let of = |method: &str, item: &str, more: &str| {
        format!("{method} --company-prefix 4012345 --item {item}{more}")
    };
    let told = format!(" --event {event}");
    goods.applied("maker", &of("commission", &genuine, &told));
    goods.refused(
        "shipper",
        &of("commission", &fake, &told),
        "NotManufacturer",
    );
    let offer = format!(" --recipient shipper{told}");
    goods.refused("shipper", &of("offer", &genuine, &offer), "NotCustodian");
    let offered = goods.applied("maker", &of("offer", &genuine, &offer));
    let take = format!(" --offer {}{told}", offered.out["value"]);
    goods.refused("customs", &of("accept", &genuine, &take), "NotTheRecipient");
    goods.applied("shipper", &of("accept", &genuine, &take));
    goods.refused("maker", &of("observe", &genuine, &told), "NotCustodian");
    let shipper = cluster.ok(&["keys", "show", "shipper"]).text("account");
    let maker = cluster.ok(&["keys", "show", "maker"]).text("account");
    let expected = json!({
        "manufacturer": maker, "custodian": shipper, "offer": null, "entries": 3,
        "decommissioned_at": null,
    });
    goods.everywhere(&of("item", &genuine, ""), &expected);

    // Asked in the agreed order, the answer that there is no such item is a receipt.
    let asked = goods.refused("customs", &of("item", &fake, ""), "NotCommissioned");
    let proof = cluster
        .path()
        .join("counterfeit.proof")
        .display()
        .to_string();
    let _ = cluster.ok(&["proof", "tx", &asked.text("id"), "--out", &proof]);
    let policy = cluster.policy();
    assert_eq!(
        chancery(&["devnet", "stop", "--dir", &cluster.dir()]).code,
        0
    );
    let verified = chancery(&["verify", &proof, "--trust", &policy]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let claim = &verified.out["claim"];
    assert_eq!(
        claim["outcome"],
        json!({"status": "reverted", "code": 9, "data": ""})
    );
    let args = claim["call"]["args"].as_str().expect("hexadecimal");
    assert!(args.ends_with(&fake), "the claim names the item: {args}");
}

fn did(cluster: &Cluster, name: &str) -> String {
    cluster.ok(&["keys", "show", name]).text("account")
}

/// How `chancery access check` ends, about now.
fn checked(contract: &Deployed<'_>, subject: &str, action: &str, resource: &str) -> Ran {
    let line = format!("--subject {subject} --action {action} --resource {resource}");
    let words: Vec<&str> = line.split(' ').collect();
    let check = ["access", "check", contract.contract.as_str()];
    contract.cluster.run(&[&check[..], &words[..]].concat())
}

/// What is decided about now: `permit` or `deny`.
fn decided(contract: &Deployed<'_>, subject: &str, action: &str, resource: &str) -> String {
    let ran = checked(contract, subject, action, resource);
    let decision = ran.text("decision");
    let code = if decision == "permit" { 0 } else { DENIED };
    assert_eq!(ran.code, code, "{ran:?}");
    decision
}

#[test]
fn what_a_specialist_passed_on_ends_with_the_specialist() {
    let cluster = with_keys(&["hospital", "specialist", "colleague"]);
    let record = file(&cluster, "record.json");
    let wasm = contract("data_access").display().to_string();
    let deployed = cluster.ok(&[
        "contract",
        "deploy",
        &wasm,
        "--from",
        "hospital",
        "--init-arg",
        &record,
    ]);
    let access = Deployed {
        cluster: &cluster,
        contract: deployed.text("contract"),
    };
    let granted = access.applied(
        "hospital",
        "grant --recipient specialist --action read --resource labs --expires-at +2h --passes-max 1",
    );
    assert_eq!(granted.out["value"], json!(0));
    let pass_on = |resource: &str, expires_at: &str| {
        format!(
            "pass_on --recipient colleague --action read --resource {resource} \
             --expires-at {expires_at} --passes-max 0"
        )
    };
    access.refused("specialist", &pass_on("images", "+1h"), "BeyondOwnGrant");
    access.refused("specialist", &pass_on("labs/2026", "+3h"), "BeyondOwnGrant");
    access.refused("colleague", &pass_on("labs", "+1h"), "ToOneself");
    access.applied("specialist", &pass_on("labs/2026", "+1h"));
    let may = |who: &str, resource: &str| decided(&access, who, "read", resource);
    assert_eq!(may("colleague", "labs/2026/11"), "permit");
    assert_eq!(may("colleague", "labs"), "deny");
    assert_eq!(may("hospital", "labs"), "deny");

    access.applied(
        "hospital",
        "revoke --recipient specialist --action read --resource labs",
    );
    assert_eq!(may("colleague", "labs/2026/11"), "deny");
    // Both are still there to be counted.
    access.everywhere("count", &json!(2));
    let listed = cluster.ok(&["access", "list", &access.contract]);
    assert_eq!(listed.out["entries"].as_array().map(Vec::len), Some(2));
    let entry = cluster.ok(&["query", &access.contract, "entry", "--number", "1"]);
    assert_eq!(entry.out["value"]["under"], json!(0));
    assert_eq!(
        entry.out["value"]["subject"],
        json!(did(&cluster, "colleague"))
    );
}

#[test]
fn a_program_grants_asks_and_hears_in_the_words_of_the_contract() {
    let cluster = with_keys(&["specialist"]);
    let id = cluster.deploy_data_access("hospital");
    let id: ContractId = id.parse().expect("a contract");
    let keys = KeyStore::new(Path::new(&cluster.dir()).join("keys"));
    let specialist = keys.load("specialist").expect("a key").account();
    let specialist = specialist.to_string();
    cluster.level(&cluster.all());
    let apis = cluster.all().into_iter().map(|index| cluster.api(index));
    let client = Client::new(apis).expect("addresses");
    let now = clock();
    let (at, until) = (now.0 + 60_000, now.0 + 3_600_000);
    cluster.block_on(async {
        let chain = client.chain().await.expect("somebody answers");
        let builder = TransactionBuilder::new(chain.chain_id, chain.limits);
        let access = Contract::open(&client, id).await.expect("has a schema");
        assert_eq!(access.version(), 1);
        let grant = json!({
            "recipient": specialist, "action": "read", "resource": "labs",
            "expires_at": until, "passes_max": 0,
        });
        let granted_by = async |name: &str| {
            let key = keys.load(name).expect("a key");
            let call = access.call("grant", &grant).expect("it has that method");
            let signed = builder.sign(&key, now, call).expect("random numbers");
            let patience = Duration::from_secs(20);
            let done = client.submit_and_wait(&signed, patience).await;
            done.expect("final")
        };

        let granted = granted_by("hospital").await;
        let value = json!(0);
        assert_eq!(access.told(&granted), Some(Told::Applied { value }));
        let fields = json!({
            "recipient": specialist, "expires_at": until, "action": "read", "resource": "labs",
            "number": 0, "under": null,
        });
        let events = granted.receipt.expect("it is final").events;
        assert_eq!((events.len(), events[0].topic.as_str()), (1, "Granted"));
        assert_eq!(access.event(&events[0]), Ok(fields.clone()));
        let filter = EventFilter {
            contract: Some(id),
            ..EventFilter::default()
        };
        let found = client.events(&filter, Start::Beginning, None).await;
        let found = found.expect("a page").events;
        assert_eq!(found.len(), 1);
        assert_eq!(access.event_entry(&found[0]), Ok(fields));

        let refused = granted_by("specialist").await;
        match access.told(&refused) {
            Some(Told::Reverted { error, .. }) => {
                assert_eq!((error.code, error.name.as_str()), (1, "NotOwner"));
            }
            other => panic!("{other:?}"),
        }

        let decided = async |args: Value| {
            let answer = access.query(&client, "decide", &args).await;
            match answer.expect("an answer").told {
                Told::Applied { value } => value,
                other => panic!("{other:?}"),
            }
        };
        let permitted = decided(json!([specialist, "read", "labs/2026", at])).await;
        assert_eq!(permitted, json!({"permit": {"until": until}}));
        let other = json!({
            "subject": specialist, "action": "write", "resource": "labs", "at": at,
        });
        let denied = decided(other).await;
        assert!(denied["deny"]["reason"].is_string(), "{denied}");
        let changing = access.query(&client, "grant", &grant).await;
        let changing = changing.expect_err("no view").to_string();
        assert!(changing.contains("may change state"), "{changing}");
    });
}

#[test]
fn a_patient_permits_a_part_and_a_clinician_breaks_the_glass() {
    let cluster = with_keys(&["hospital", "patient", "specialist", "clinician"]);
    let consent = Deployed::new(&cluster, "health_consent", "hospital");
    let patient = "a1".repeat(32);
    let enrol = format!("enrol --patient {patient} --grantor patient");
    consent.refused("clinician", &enrol, "NotCustodian");
    consent.applied("hospital", &enrol);
    let permit = format!(
        "permit --patient {patient} --actor specialist --purpose TREAT \
         --resource-type Observation --end +2h --assignable false"
    );
    consent.refused("specialist", &permit, "NotGrantor");
    consent.applied("patient", &permit);
    let may = |who: &str, purpose: &str, part: &str| {
        let (action, resource) = (format!("access:{purpose}"), format!("{patient}{part}"));
        decided(&consent, who, &action, &resource)
    };
    assert_eq!(may("specialist", "TREAT", "/Observation"), "permit");
    assert_eq!(may("specialist", "TREAT", "/Condition"), "deny");
    assert_eq!(may("specialist", "HRESCH", "/Observation"), "deny");

    let break_glass = format!("break_glass --patient {patient}");
    consent.refused("clinician", &break_glass, "NotAClinician");
    consent.applied("hospital", "add_clinician --clinician clinician");
    let broken = consent.applied("clinician", &break_glass);
    let event = broken.out["events"][0].to_string();
    assert!(
        event.contains("GlassBroken") && event.contains(&patient),
        "{event}"
    );
    assert_eq!(may("clinician", "BTG", "/Condition"), "permit");
    assert_eq!(may("clinician", "TREAT", "/Condition"), "deny");
    consent.everywhere("count", &json!(2));
}
