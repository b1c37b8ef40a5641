//! Whom patients permit which kinds of FHIR resources, for what purpose, until when; and what a
//! clinician may do in an emergency. The words are those of FHIR's Consent: a patient's grantor
//! permits an actor, for a purpose, a resource type, within a period; nothing else is permitted.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod names;

use alloc::string::String;

use chancery_contract::access::{
    AccessEntry, AccessIndex, Decision, Grant, Granted, NotPassedOn, containing,
};
use chancery_contract::{AccountId, Env, Hash, Item, Map, Millis};
use chancery_contract::{contract, contract_error, event};
use names::{action, is_purpose, resource};

/// The patients of one custodian.
#[derive(Debug)]
pub struct HealthConsent;

/// How long an emergency lasts: 4 hours.
pub const EMERGENCY_MS: u64 = 4 * 3_600_000;
/// The purpose of use that only an emergency has: break the glass.
pub const EMERGENCY: &str = "BTG";

const CUSTODIAN: Item<AccountId> = Item::new("custodian");
/// Patient to grantor.
const GRANTORS: Map<Hash, AccountId> = Map::new("grantor/");
/// Those who may break the glass, with the first permission's number since they are on the list: an
/// emergency of before they were taken off it does not come back.
const CLINICIANS: Map<AccountId, u64> = Map::new("clinician/");

/// That account speaks for the patient from now on.
#[event]
pub struct Enrolled {
    pub patient: Hash,
    pub grantor: AccountId,
}

/// The clinician may break the glass from now on, or may not any more.
#[event]
pub struct ClinicianListed {
    pub clinician: AccountId,
    pub listed: bool,
}

/// The actor may access that, from then (inclusive) until then (exclusive).
#[event]
pub struct Permitted {
    pub patient: Hash,
    pub actor: AccountId,
    pub purpose: String,
    pub resource_type: String,
    pub start: Millis,
    pub end: Millis,
    /// In the index.
    pub number: u64,
    /// The permission that it was assigned from.
    pub under: Option<u64>,
}

/// The actor may not access that any more, nor may those it was assigned to: it was withdrawn, or
/// another permission takes its place, whose event is the next one.
#[event]
pub struct Withdrawn {
    pub patient: Hash,
    pub actor: AccountId,
    pub purpose: String,
    pub resource_type: String,
    /// In the index.
    pub number: u64,
}

/// The clinician took access to all that there is of the patient, until then (exclusive). An
/// emergency of hers that still ran goes on in this one.
#[event]
pub struct GlassBroken {
    pub patient: Hash,
    pub clinician: AccountId,
    pub until: Millis,
    /// Salted hash of the reason, which the custodian keeps, where one was written down already.
    pub justification: Option<Hash>,
    /// In the index.
    pub number: u64,
}

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the custodian enrols patients and lists clinicians.
    NotCustodian = 1,
    /// The patient is not enrolled, or the caller does not speak for the patient.
    NotGrantor = 2,
    /// A purpose is a code like TREAT or HRESCH; BTG cannot be permitted, only taken.
    NotAPurpose = 3,
    /// A resource type is FHIR's, as `Observation`, one resource of it, as `Observation/` and 64
    /// hexadecimal digits, or `*`.
    NotAResourceType = 4,
    /// A period ends after it begins and after the block's time.
    PeriodOver = 5,
    /// Nothing that the caller may withdraw stands there, or it is over already.
    NotPermitted = 6,
    /// The caller has no permission to assign that goes as far and lasts as long.
    BeyondOwnPermission = 7,
    /// Somebody else permitted this, and it is not over.
    PermittedByAnother = 8,
    /// The caller is not on the custodian's list of clinicians.
    NotAClinician = 9,
}

impl From<NotPassedOn> for Error {
    fn from(why: NotPassedOn) -> Self {
        match why {
            NotPassedOn::ToOneself | NotPassedOn::BeyondOwnGrant => Self::BeyondOwnPermission,
            NotPassedOn::GrantedByAnother => Self::PermittedByAnother,
        }
    }
}

/// Who may access what of a patient's history, for what purpose, until when.
#[contract(access, events = [Enrolled, ClinicianListed, Permitted, Withdrawn, GlassBroken])]
impl HealthConsent {
    /// Makes the caller the custodian: the institution that keeps the records.
    #[init]
    pub fn init(env: &mut Env) {
        let custodian = env.caller().account().expect("only accounts deploy");
        CUSTODIAN.set(env, &custodian);
    }

    /// Says which account speaks for a patient, the patient's own or a guardian's; replaces the one
    /// before. A patient is the salted hash of an identifier.
    ///
    /// # Errors
    /// [`Error::NotCustodian`].
    #[call]
    pub fn enrol(env: &mut Env, patient: Hash, grantor: AccountId) -> Result<(), Error> {
        Self::only_the_custodian(env)?;
        GRANTORS.set(env, &patient, &grantor);
        env.emit(&Enrolled { patient, grantor });
        Ok(())
    }

    /// Puts an account on the list of those who may break the glass.
    ///
    /// # Errors
    /// [`Error::NotCustodian`].
    #[call]
    pub fn add_clinician(env: &mut Env, clinician: AccountId) -> Result<(), Error> {
        Self::only_the_custodian(env)?;
        if CLINICIANS.get(env, &clinician).is_none() {
            CLINICIANS.set(env, &clinician, &AccessIndex::count(env));
        }
        let listed = true;
        env.emit(&ClinicianListed { clinician, listed });
        Ok(())
    }

    /// Takes an account off that list; what it took in an emergency ends at once.
    ///
    /// # Errors
    /// [`Error::NotCustodian`].
    #[call]
    pub fn remove_clinician(env: &mut Env, clinician: AccountId) -> Result<(), Error> {
        Self::only_the_custodian(env)?;
        CLINICIANS.remove(env, &clinician);
        let listed = false;
        env.emit(&ClinicianListed { clinician, listed });
        Ok(())
    }

    /// Permits an actor to access a resource type for a purpose, from `start` (inclusive; now if
    /// left out) to `end` (exclusive). An institution that is to let its clinicians have it may
    /// assign it. Replaces what stood for the same; returns its number.
    ///
    /// # Errors
    /// [`Error::NotGrantor`], [`Error::NotAPurpose`], [`Error::NotAResourceType`],
    /// [`Error::PeriodOver`].
    #[call]
    #[allow(
        clippy::too_many_arguments,
        reason = "each is an argument of its own on the command line"
    )]
    pub fn permit(
        env: &mut Env,
        patient: Hash,
        actor: AccountId,
        purpose: String,
        resource_type: String,
        start: Option<Millis>,
        end: Millis,
        assignable: bool,
    ) -> Result<u64, Error> {
        let grantor = Self::only_the_grantor(env, patient)?;
        let mut grant = provision(env, grantor, patient, actor, &purpose, &resource_type, end)?;
        grant.from = start.unwrap_or(grant.from);
        grant.passes_max = u8::from(assignable);
        if end <= grant.from {
            return Err(Error::PeriodOver);
        }
        let granted = AccessIndex::grant(env, grant);
        Ok(announce(env, granted, patient, purpose, resource_type))
    }

    /// Lets a clinician have what the caller was permitted and may assign, or less of it; returns
    /// its number. It ends with the caller's own permission at the latest.
    ///
    /// # Errors
    /// [`Error::NotAPurpose`], [`Error::NotAResourceType`], [`Error::PeriodOver`],
    /// [`Error::BeyondOwnPermission`], [`Error::PermittedByAnother`].
    #[call]
    pub fn assign(
        env: &mut Env,
        patient: Hash,
        actor: AccountId,
        purpose: String,
        resource_type: String,
        end: Millis,
    ) -> Result<u64, Error> {
        let caller = env.caller().account().ok_or(Error::BeyondOwnPermission)?;
        let grant = provision(env, caller, patient, actor, &purpose, &resource_type, end)?;
        let granted = AccessIndex::pass_on_within(env, grant)?;
        Ok(announce(env, granted, patient, purpose, resource_type))
    }

    /// Ends a permission, and what was assigned from it. The patient's grantor may end every one
    /// but an emergency's; who assigned one may end that.
    ///
    /// # Errors
    /// [`Error::NotAPurpose`], [`Error::NotAResourceType`], [`Error::NotPermitted`].
    #[call]
    pub fn withdraw(
        env: &mut Env,
        patient: Hash,
        actor: AccountId,
        purpose: String,
        resource_type: String,
    ) -> Result<(), Error> {
        let what = resource(patient, &resource_type).ok_or(Error::NotAResourceType)?;
        if !is_purpose(&purpose) {
            return Err(Error::NotAPurpose);
        }
        let how = action(&purpose);
        let standing = AccessIndex::standing(env, actor, &how, &what);
        let (number, entry) = standing.ok_or(Error::NotPermitted)?;
        let assigned_it = env.caller() == entry.granted_by && entry.under.is_some();
        if !assigned_it && Self::only_the_grantor(env, patient).is_err() {
            return Err(Error::NotPermitted);
        }
        AccessIndex::revoke(env, actor, &how, &what).ok_or(Error::NotPermitted)?;
        env.emit(&Withdrawn {
            patient,
            actor,
            purpose,
            resource_type,
            number,
        });
        Ok(())
    }

    /// Takes access to everything of a patient for 4 hours, for the purpose BTG, whatever the
    /// patient permitted or withdrew, enrolled or not; again for as long each time. Everybody in
    /// the consortium sees it, for good. Returns its number.
    ///
    /// # Errors
    /// [`Error::NotAClinician`], and no other.
    #[call]
    pub fn break_glass(
        env: &mut Env,
        patient: Hash,
        justification: Option<Hash>,
    ) -> Result<u64, Error> {
        let clinician = env.caller().account().ok_or(Error::NotAClinician)?;
        if !Self::is_clinician(env, clinician) {
            return Err(Error::NotAClinician);
        }
        let until = Millis(env.block_time().0.saturating_add(EMERGENCY_MS));
        let (how, what) = (action(EMERGENCY), names::everything_of(patient));
        let grant = Grant::new(clinician, clinician, &how, &what, until);
        let number = AccessIndex::grant(env, grant).number;
        env.emit(&GlassBroken {
            patient,
            clinician,
            until,
            justification,
            number,
        });
        Ok(number)
    }

    /// Whether the subject may access that: the action is `access:` and the purpose, the resource
    /// the patient's 64 hexadecimal digits, alone or with `/` and a resource type, alone or with `/`
    /// and the id of one resource. Nothing else has ever been permitted.
    #[view]
    #[must_use]
    pub fn decide(
        env: &Env,
        subject: AccountId,
        action: String,
        resource: String,
        at: Millis,
    ) -> Decision {
        if !names::is_asked_for(&resource) {
            return Decision::deny("not a name");
        }
        let is_emergency = action == names::action(EMERGENCY);
        if is_emergency && !Self::is_clinician(env, subject) {
            return Decision::deny("not a clinician");
        }
        let decision = AccessIndex::decide_within(env, subject, &action, &resource, at);
        if is_emergency && decision.permits() {
            let first = CLINICIANS.get(env, &subject);
            let mut taken = containing(&resource)
                .filter_map(|wider| AccessIndex::standing(env, subject, &action, wider));
            if taken.any(|(number, _)| first.is_none_or(|first| number < first)) {
                return Decision::deny("taken before the account was put on the list again");
            }
        }
        decision
    }

    /// How many permissions there ever were, emergencies included.
    #[view]
    #[must_use]
    pub fn count(env: &Env) -> u64 {
        AccessIndex::count(env)
    }

    /// The permission with that number, counted from 0.
    #[view]
    #[must_use]
    pub fn entry(env: &Env, number: u64) -> Option<AccessEntry> {
        AccessIndex::entry(env, number)
    }

    /// Who keeps the records.
    #[view]
    #[must_use]
    pub fn custodian(env: &Env) -> AccountId {
        CUSTODIAN.get(env).expect("init stores it")
    }

    /// Who speaks for the patient.
    #[view]
    #[must_use]
    pub fn grantor(env: &Env, patient: Hash) -> Option<AccountId> {
        GRANTORS.get(env, &patient)
    }

    /// Whether the account may break the glass: it is on the custodian's list, and admitted.
    #[view]
    #[must_use]
    pub fn is_clinician(env: &Env, who: AccountId) -> bool {
        CLINICIANS.get(env, &who).is_some() && env.is_admitted(who)
    }

    fn only_the_custodian(env: &Env) -> Result<(), Error> {
        if env.caller() == Self::custodian(env) {
            Ok(())
        } else {
            Err(Error::NotCustodian)
        }
    }

    fn only_the_grantor(env: &Env, patient: Hash) -> Result<AccountId, Error> {
        let grantor = GRANTORS.get(env, &patient);
        grantor
            .filter(|grantor| env.caller() == *grantor)
            .ok_or(Error::NotGrantor)
    }
}

/// What FHIR calls a provision, judged: from now on, not to be assigned.
fn provision(
    env: &Env,
    by: AccountId,
    patient: Hash,
    actor: AccountId,
    purpose: &str,
    resource_type: &str,
    end: Millis,
) -> Result<Grant, Error> {
    if !is_purpose(purpose) {
        return Err(Error::NotAPurpose);
    }
    let what = resource(patient, resource_type).ok_or(Error::NotAResourceType)?;
    if end <= env.block_time() {
        return Err(Error::PeriodOver);
    }
    Ok(Grant::new(by, actor, &action(purpose), &what, end))
}

/// Announces a permission, and before it the end of the one that it has replaced; gives its number.
fn announce(
    env: &mut Env,
    granted: Granted,
    patient: Hash,
    purpose: String,
    resource_type: String,
) -> u64 {
    let Granted { number, replaced } = granted;
    let entry = AccessIndex::entry(env, number).expect("it was granted just now");
    if let Some(replaced) = replaced {
        env.emit(&Withdrawn {
            patient,
            actor: entry.subject,
            purpose: purpose.clone(),
            resource_type: resource_type.clone(),
            number: replaced,
        });
    }
    env.emit(&Permitted {
        patient,
        actor: entry.subject,
        purpose,
        resource_type,
        start: entry.from,
        end: entry.until,
        number,
        under: entry.under,
    });
    number
}
