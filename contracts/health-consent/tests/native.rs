//! The rules of the contract, one by one, as plain Rust.

use chancery_contract::access::Decision;
use chancery_contract::{AccountId, Hash, Millis, TestEnv};
use health_consent::{
    ClinicianListed, EMERGENCY_MS, Enrolled, Error, GlassBroken, HealthConsent, Permitted,
    Withdrawn,
};

const PATIENT: Hash = Hash([0xa1; 32]);
const OTHER: Hash = Hash([0xb2; 32]);
const START: u64 = 1_000_000;
const END: Millis = Millis(START + 48 * 3_600_000);

fn who(name: &str) -> AccountId {
    TestEnv::account(name)
}

/// A hospital with two patients and one clinician on its list.
fn hospital() -> TestEnv {
    let mut test = TestEnv::new();
    test.as_account(who("hospital"));
    test.call(HealthConsent::init);
    for (patient, grantor) in [(PATIENT, "patient"), (OTHER, "other patient")] {
        let enrolled = test.call(|env| HealthConsent::enrol(env, patient, who(grantor)));
        assert_eq!(enrolled, Ok(()));
    }
    let listed = test.call(|env| HealthConsent::add_clinician(env, who("clinician")));
    assert_eq!(listed, Ok(()));
    // A specialist elsewhere is admitted to the ledger, and that is all.
    test.set_roles(who("specialist"), &[]);
    test
}

fn permit(
    test: &mut TestEnv,
    by: &str,
    actor: &str,
    what: &str,
    end: Millis,
) -> Result<u64, Error> {
    permit_from(test, by, actor, what, None, end, false)
}

/// `what` is a purpose and a resource type.
fn permit_from(
    test: &mut TestEnv,
    by: &str,
    actor: &str,
    what: &str,
    start: Option<Millis>,
    end: Millis,
    assignable: bool,
) -> Result<u64, Error> {
    let (purpose, kind) = what.split_once(' ').expect("two words");
    let (actor, purpose, kind) = (who(actor), purpose.to_owned(), kind.to_owned());
    test.as_account(who(by));
    test.call(|env| {
        HealthConsent::permit(env, PATIENT, actor, purpose, kind, start, end, assignable)
    })
}

fn assign(
    test: &mut TestEnv,
    by: &str,
    actor: &str,
    what: &str,
    end: Millis,
) -> Result<u64, Error> {
    let (purpose, kind) = what.split_once(' ').expect("two words");
    let (actor, purpose, kind) = (who(actor), purpose.to_owned(), kind.to_owned());
    test.as_account(who(by));
    test.call(|env| HealthConsent::assign(env, PATIENT, actor, purpose, kind, end))
}

fn withdraw(test: &mut TestEnv, by: &str, actor: &str, what: &str) -> Result<(), Error> {
    let (purpose, kind) = what.split_once(' ').expect("two words");
    let (actor, purpose, kind) = (who(actor), purpose.to_owned(), kind.to_owned());
    test.as_account(who(by));
    test.call(|env| HealthConsent::withdraw(env, PATIENT, actor, purpose, kind))
}

fn break_glass(test: &mut TestEnv, by: &str, patient: Hash) -> Result<u64, Error> {
    test.as_account(who(by));
    test.call(|env| HealthConsent::break_glass(env, patient, None))
}

/// `what` is a purpose and what follows the patient in the resource, if anything.
fn decide(test: &TestEnv, subject: &str, patient: Hash, what: &str) -> Decision {
    let (purpose, rest) = what.split_once(' ').expect("two words");
    let digits: String = patient.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let (action, resource) = (format!("access:{purpose}"), format!("{digits}{rest}"));
    test.view(|env| HealthConsent::decide(env, who(subject), action, resource, env.block_time()))
}

fn permits(test: &TestEnv, subject: &str, what: &str) -> bool {
    decide(test, subject, PATIENT, what).permits()
}

#[test]
fn nothing_is_permitted_at_first() {
    let test = hospital();
    for subject in ["patient", "hospital", "clinician", "specialist"] {
        for what in ["TREAT /Observation", "TREAT ", "BTG ", "BTG /Observation"] {
            assert!(!permits(&test, subject, what), "{subject} {what}");
        }
    }
    assert_eq!(test.view(HealthConsent::count), 0);
}

#[test]
fn a_specialist_sees_what_was_permitted_and_not_the_rest_of_the_history() {
    let mut test = hospital();
    let number = permit(&mut test, "patient", "specialist", "TREAT Observation", END);
    assert_eq!(number, Ok(0));
    let permit = Decision::Permit { until: END };
    let of = |test: &TestEnv, what| decide(test, "specialist", PATIENT, what);
    assert_eq!(of(&test, "TREAT /Observation"), permit);
    assert_eq!(of(&test, "TREAT /Observation/17"), permit);
    for what in [
        "TREAT ",
        "TREAT /Condition",
        "TREAT /ObservationDefinition",
        "HRESCH /Observation",
        "BTG /Observation",
    ] {
        assert!(!permits(&test, "specialist", what), "{what}");
    }
    assert!(!decide(&test, "specialist", OTHER, "TREAT /Observation").permits());
    assert!(!permits(&test, "clinician", "TREAT /Observation"));
    let event = Permitted {
        patient: PATIENT,
        actor: who("specialist"),
        purpose: "TREAT".to_owned(),
        resource_type: "Observation".to_owned(),
        start: Millis(START),
        end: END,
        number: 0,
        under: None,
    };
    assert_eq!(test.events_of::<Permitted>(), [event]);
    test.set_time(END);
    assert!(!permits(&test, "specialist", "TREAT /Observation"));
}

/// Whoever reads the resource as a path, or as a request to a FHIR server, must not come to another.
#[test]
fn a_question_that_leads_out_of_what_was_permitted_is_denied() {
    let mut test = hospital();
    for what in ["TREAT Observation", "TREAT Patient"] {
        permit(&mut test, "patient", "specialist", what, END).expect("permitted");
    }
    let id = "x".repeat(64);
    for what in [
        "TREAT /Observation/../Condition/17",
        "TREAT /Observation/..",
        "TREAT /Observation/.",
        "TREAT /Patient/17/$everything",
        "TREAT /Patient/$everything",
        "TREAT /Observation/17/_history",
        "TREAT /Observation/ 17",
        "TREAT /Observation/",
        "TREAT /Observation/*",
        &format!("TREAT /Observation/{id}x"),
    ] {
        let denied = decide(&test, "specialist", PATIENT, what);
        assert_eq!(denied, Decision::deny("not a name"), "{what}");
    }
    let permit = Decision::Permit { until: END };
    for what in ["TREAT /Observation/a-1.B", &format!("TREAT /Patient/{id}")] {
        assert_eq!(decide(&test, "specialist", PATIENT, what), permit, "{what}");
    }
}

#[test]
fn one_resource_can_be_permitted_by_its_hash() {
    let mut test = hospital();
    let (one, other) = ("0a".repeat(32), "0b".repeat(32));
    let what = format!("TREAT ImagingStudy/{one}");
    assert_eq!(
        permit(&mut test, "patient", "specialist", &what, END),
        Ok(0)
    );
    for (rest, may) in [(&one, true), (&other, false)] {
        let what = format!("TREAT /ImagingStudy/{rest}");
        assert_eq!(permits(&test, "specialist", &what), may);
    }
    assert!(!permits(&test, "specialist", "TREAT /ImagingStudy"));
}

#[test]
fn everything_of_a_patient_is_of_that_patient() {
    let mut test = hospital();
    assert_eq!(
        permit(&mut test, "patient", "specialist", "TREAT *", END),
        Ok(0)
    );
    assert!(
        permits(&test, "specialist", "TREAT ") && permits(&test, "specialist", "TREAT /Condition")
    );
    assert!(!decide(&test, "specialist", OTHER, "TREAT /Condition").permits());
    let all = test.view(|env| {
        let (action, all) = ("access:TREAT".to_owned(), "*".to_owned());
        HealthConsent::decide(env, who("specialist"), action, all, env.block_time())
    });
    assert!(!all.permits());
}

#[test]
fn only_who_speaks_for_the_patient_permits() {
    let mut test = hospital();
    for by in ["specialist", "hospital", "clinician", "other patient"] {
        let refused = permit(&mut test, by, "specialist", "TREAT Observation", END);
        assert_eq!(refused, Err(Error::NotGrantor), "{by}");
    }
    test.as_account(who("hospital"));
    let enrolled = test.call(|env| HealthConsent::enrol(env, PATIENT, who("guardian")));
    assert_eq!(enrolled, Ok(()));
    let by_old = permit(&mut test, "patient", "specialist", "TREAT Observation", END);
    assert_eq!(by_old, Err(Error::NotGrantor));
    let by_new = permit(
        &mut test,
        "guardian",
        "specialist",
        "TREAT Observation",
        END,
    );
    assert_eq!(by_new, Ok(0));
    assert_eq!(test.events_of::<Enrolled>().len(), 3);
    let grantor = test.view(|env| HealthConsent::grantor(env, PATIENT));
    assert_eq!(grantor, Some(who("guardian")));
}

#[test]
fn only_the_custodian_enrols_and_lists() {
    let mut test = hospital();
    assert_eq!(test.view(HealthConsent::custodian), who("hospital"));
    for by in ["patient", "clinician", "specialist"] {
        test.as_account(who(by));
        let enrolled = test.call(|env| HealthConsent::enrol(env, PATIENT, who(by)));
        let added = test.call(|env| HealthConsent::add_clinician(env, who(by)));
        let removed = test.call(|env| HealthConsent::remove_clinician(env, who("clinician")));
        let refused = Err(Error::NotCustodian);
        assert_eq!((enrolled, added, removed), (refused, refused, refused));
    }
    assert_eq!(test.events_of::<ClinicianListed>().len(), 1);
}

#[test]
fn terms_are_judged() {
    let mut test = hospital();
    for what in ["treat *", " *", "BTG *", "TREAT-1 *", "ABCDEFGHIJKLMNOPQ *"] {
        let refused = permit(&mut test, "patient", "specialist", what, END);
        assert_eq!(refused, Err(Error::NotAPurpose), "{what}");
    }
    let upper = format!("TREAT Observation/{}", "0A".repeat(32));
    let long = format!("TREAT {}", "x".repeat(49));
    for what in [
        "TREAT ",
        "TREAT Observation/",
        "TREAT Observation/17",
        "TREAT /Observation",
        "TREAT Obs ervation",
        "TREAT */x",
        &format!("TREAT Observation/{}/", "0a".repeat(32)),
        &upper,
        &long,
    ] {
        let refused = permit(&mut test, "patient", "specialist", what, END);
        assert_eq!(refused, Err(Error::NotAResourceType), "{what}");
    }
    let over = permit(&mut test, "patient", "specialist", "TREAT *", Millis(START));
    assert_eq!(over, Err(Error::PeriodOver));
    let (start, what) = (Some(END), "TREAT *");
    let empty = permit_from(&mut test, "patient", "specialist", what, start, END, false);
    assert_eq!(empty, Err(Error::PeriodOver));
    assert_eq!(test.view(HealthConsent::count), 0);
}

#[test]
fn a_period_begins_when_it_says() {
    let mut test = hospital();
    let (start, what) = (Millis(START + 10), "TREAT Observation");
    let number = permit_from(
        &mut test,
        "patient",
        "specialist",
        what,
        Some(start),
        END,
        false,
    );
    assert_eq!(number, Ok(0));
    let not_begun = decide(&test, "specialist", PATIENT, "TREAT /Observation");
    assert_eq!(not_begun, Decision::deny("not begun"));
    test.set_time(start);
    assert!(permits(&test, "specialist", "TREAT /Observation"));
}

#[test]
fn an_institution_assigns_what_it_may_and_the_patient_takes_it_all_back() {
    let mut test = hospital();
    let (soon, what) = (Millis(START + 1_000), "TREAT Observation");
    let to_hospital = permit_from(&mut test, "patient", "hospital", what, None, END, true);
    assert_eq!(to_hospital, Ok(0));
    let wider = assign(&mut test, "hospital", "clinician", "TREAT *", soon);
    let other = assign(
        &mut test,
        "hospital",
        "clinician",
        "HRESCH Observation",
        soon,
    );
    let longer = assign(&mut test, "hospital", "clinician", what, Millis(END.0 + 1));
    let beyond = Err(Error::BeyondOwnPermission);
    assert_eq!((wider, other, longer), (beyond, beyond, beyond));
    assert_eq!(
        assign(&mut test, "hospital", "clinician", what, soon),
        Ok(1)
    );
    assert!(permits(&test, "clinician", "TREAT /Observation"));
    // It goes no further.
    let further = assign(&mut test, "clinician", "specialist", what, soon);
    assert_eq!(further, Err(Error::BeyondOwnPermission));

    assert_eq!(
        withdraw(&mut test, "specialist", "clinician", what),
        Err(Error::NotPermitted)
    );
    assert_eq!(withdraw(&mut test, "hospital", "clinician", what), Ok(()));
    assert!(!permits(&test, "clinician", "TREAT /Observation"));
    assert_eq!(
        assign(&mut test, "hospital", "clinician", what, soon),
        Ok(2)
    );
    assert_eq!(withdraw(&mut test, "patient", "hospital", what), Ok(()));
    for subject in ["hospital", "clinician"] {
        assert!(!permits(&test, subject, "TREAT /Observation"));
    }
    assert_eq!(
        withdraw(&mut test, "patient", "hospital", what),
        Err(Error::NotPermitted)
    );
    assert_eq!(test.events_of::<Withdrawn>().len(), 2);
}

#[test]
fn a_permission_that_is_replaced_is_withdrawn_with_what_was_assigned_from_it() {
    let mut test = hospital();
    let what = "TREAT Observation";
    permit_from(&mut test, "patient", "hospital", what, None, END, true).expect("permitted");
    assert_eq!(assign(&mut test, "hospital", "clinician", what, END), Ok(1));
    let longer = Millis(END.0 + 1);
    permit_from(&mut test, "patient", "hospital", what, None, longer, true).expect("permitted");
    assert!(!permits(&test, "clinician", "TREAT /Observation"));
    let told: Vec<_> = test.events_of::<Withdrawn>();
    let told: Vec<_> = told.iter().map(|it| (it.actor, it.number)).collect();
    assert_eq!(told, [(who("hospital"), 0)]);
    // What has ended by itself was not withdrawn.
    test.set_time(longer);
    let nothing = withdraw(&mut test, "patient", "hospital", what);
    assert_eq!(nothing, Err(Error::NotPermitted));
    let longer = Millis(longer.0 + 1);
    permit_from(&mut test, "patient", "hospital", what, None, longer, true).expect("permitted");
    assert_eq!(test.events_of::<Withdrawn>().len(), 1);
}

#[test]
fn what_a_patient_permitted_is_not_replaced_by_an_assignment() {
    let mut test = hospital();
    let what = "TREAT Observation";
    permit_from(&mut test, "patient", "hospital", what, None, END, true).expect("permitted");
    permit(&mut test, "patient", "clinician", what, END).expect("permitted");
    let replaced = assign(&mut test, "hospital", "clinician", what, Millis(START + 1));
    assert_eq!(replaced, Err(Error::PermittedByAnother));
    // The hospital did not permit that, so it does not withdraw it either.
    let withdrawn = withdraw(&mut test, "hospital", "clinician", what);
    assert_eq!(withdrawn, Err(Error::NotPermitted));
}

#[test]
fn an_emergency_opens_everything_for_four_hours_and_all_see_it() {
    let mut test = hospital();
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(0));
    let until = Millis(START + EMERGENCY_MS);
    for rest in ["", "/Observation", "/Condition/17"] {
        let what = format!("BTG {rest}");
        let decision = decide(&test, "clinician", PATIENT, &what);
        assert_eq!(decision, Decision::Permit { until });
        assert!(!permits(&test, "specialist", &what));
        assert!(!permits(&test, "clinician", &format!("TREAT {rest}")));
        assert!(!decide(&test, "clinician", OTHER, &what).permits());
    }
    let event = GlassBroken {
        patient: PATIENT,
        clinician: who("clinician"),
        until,
        justification: None,
        number: 0,
    };
    assert_eq!(test.events_of::<GlassBroken>(), [event]);
    test.set_time(Millis(until.0 - 1));
    assert!(permits(&test, "clinician", "BTG /Observation"));
    // A second emergency begins its own four hours.
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(1));
    test.set_time(until);
    assert!(permits(&test, "clinician", "BTG /Observation"));
    test.set_time(Millis(until.0 - 1 + EMERGENCY_MS));
    assert!(!permits(&test, "clinician", "BTG /Observation"));
    assert_eq!(test.events_of::<GlassBroken>().len(), 2);
}

#[test]
fn only_a_listed_clinician_breaks_the_glass() {
    let mut test = hospital();
    for by in ["specialist", "hospital", "patient"] {
        assert_eq!(
            break_glass(&mut test, by, PATIENT),
            Err(Error::NotAClinician)
        );
    }
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(0));
    test.as_account(who("hospital"));
    let removed = test.call(|env| HealthConsent::remove_clinician(env, who("clinician")));
    assert_eq!(removed, Ok(()));
    let over = decide(&test, "clinician", PATIENT, "BTG /Observation");
    assert_eq!(over, Decision::deny("not a clinician"));
    assert_eq!(
        break_glass(&mut test, "clinician", PATIENT),
        Err(Error::NotAClinician)
    );
}

#[test]
fn a_patient_cannot_end_an_emergency() {
    let mut test = hospital();
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(0));
    let withdrawn = withdraw(&mut test, "patient", "clinician", "BTG *");
    assert_eq!(withdrawn, Err(Error::NotAPurpose));
    let passed_on = assign(
        &mut test,
        "clinician",
        "specialist",
        "BTG *",
        Millis(START + 5),
    );
    assert_eq!(passed_on, Err(Error::NotAPurpose));
    assert!(permits(&test, "clinician", "BTG /Observation"));
}

#[test]
fn an_assignment_does_not_replace_a_permission_that_has_not_begun() {
    let mut test = hospital();
    let later = Some(Millis(START + 10 * 3_600_000));
    let all = permit_from(&mut test, "patient", "hospital", "TREAT *", None, END, true);
    assert_eq!(all, Ok(0));
    let what = "TREAT Observation";
    let own = permit_from(&mut test, "patient", "clinician", what, later, END, false);
    assert_eq!(own, Ok(1));
    let soon = Millis(START + 8 * 3_600_000);
    let assigned = assign(&mut test, "hospital", "clinician", what, soon);
    assert_eq!(assigned, Err(Error::PermittedByAnother));
    test.advance(Millis(20 * 3_600_000));
    assert!(permits(&test, "clinician", "TREAT /Observation"));
}

#[test]
fn who_spoke_for_the_patient_once_cuts_nothing_short() {
    let mut test = hospital();
    let enrol = |test: &mut TestEnv, grantor: &str| {
        test.as_account(who("hospital"));
        let enrolled = test.call(|env| HealthConsent::enrol(env, PATIENT, who(grantor)));
        assert_eq!(enrolled, Ok(()));
    };
    enrol(&mut test, "guardian");
    let what = "TREAT Observation";
    assert_eq!(
        permit(&mut test, "guardian", "specialist", what, END),
        Ok(0)
    );
    let all = permit_from(
        &mut test, "guardian", "guardian", "TREAT *", None, END, true,
    );
    assert_eq!(all, Ok(1));
    enrol(&mut test, "patient");
    let cut = assign(&mut test, "guardian", "specialist", what, Millis(START + 1));
    assert_eq!(cut, Err(Error::PermittedByAnother));
    test.advance(Millis(1));
    assert!(permits(&test, "specialist", "TREAT /Observation"));
}

#[test]
fn an_emergency_does_not_come_back_with_its_clinician() {
    let mut test = hospital();
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(0));
    let list = |test: &mut TestEnv, listed| {
        test.as_account(who("hospital"));
        let done = test.call(|env| match listed {
            true => HealthConsent::add_clinician(env, who("clinician")),
            false => HealthConsent::remove_clinician(env, who("clinician")),
        });
        assert_eq!(done, Ok(()));
    };
    // Being listed again while one is changes nothing.
    list(&mut test, true);
    assert!(permits(&test, "clinician", "BTG /Observation"));
    list(&mut test, false);
    assert!(!permits(&test, "clinician", "BTG /Observation"));
    list(&mut test, true);
    assert!(!permits(&test, "clinician", "BTG /Observation"));
    assert_eq!(break_glass(&mut test, "clinician", PATIENT), Ok(1));
    assert!(permits(&test, "clinician", "BTG /Observation"));
}
