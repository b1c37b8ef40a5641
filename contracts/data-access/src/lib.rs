//! Who may do what with one record, or with parts of it, until when; and who may pass that on. The
//! owner is who deployed the contract; the record itself stays where it is, the ledger holds only
//! its hash.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::borrow::ToOwned as _;
use alloc::string::String;

use chancery_contract::access::{
    self, AccessEntry, AccessIndex, Decision, EVERYTHING, Grant, NotPassedOn, PASSES_MAX,
};
use chancery_contract::{AccountId, Env, Hash, Item, Millis};
use chancery_contract::{contract, contract_error, event};

/// One record.
#[derive(Debug)]
pub struct DataAccess;

const OWNER: Item<AccountId> = Item::new("owner");
const DATA_HASH: Item<Hash> = Item::new("data_hash");
/// What [`DataAccess::grant_access`] grants, for [`EVERYTHING`] in the record.
const READ: &str = "read";

/// The recipient may do that with the resource until then (exclusive).
#[event]
pub struct Granted {
    pub recipient: AccountId,
    pub expires_at: Millis,
    pub action: String,
    pub resource: String,
    /// In the index.
    pub number: u64,
    /// The grant that it was passed on from.
    pub under: Option<u64>,
}

/// The recipient may not do that any more, nor may those it was passed on to: it was revoked, or
/// another grant takes its place, whose event is the next one.
#[event]
pub struct Revoked {
    pub recipient: AccountId,
    pub action: String,
    pub resource: String,
    /// In the index.
    pub number: u64,
}

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the owner of the record grants; only the owner and who passed it on revoke a grant.
    NotOwner = 1,
    /// The expiry must lie after the block's time.
    ExpiryInThePast = 2,
    /// Nothing was granted to the recipient, or it is over already.
    NotGranted = 3,
    /// An action is one word of 1 to 192 bytes; a resource is `*` or up to 8 such with slashes between.
    NotAName = 4,
    /// A grant can be passed on at most 7 times.
    PassedOnTooOften = 5,
    /// The caller has no grant that goes as far, lasts as long and may be passed on as often.
    BeyondOwnGrant = 6,
    /// Somebody else granted this to the recipient, and it is not over.
    GrantedByAnother = 7,
    /// Nobody passes on to itself.
    ToOneself = 8,
}

impl From<NotPassedOn> for Error {
    fn from(why: NotPassedOn) -> Self {
        match why {
            NotPassedOn::ToOneself => Self::ToOneself,
            NotPassedOn::BeyondOwnGrant => Self::BeyondOwnGrant,
            NotPassedOn::GrantedByAnother => Self::GrantedByAnother,
        }
    }
}

/// Who may do what with one record until when.
#[contract(access, events = [Granted, Revoked])]
impl DataAccess {
    /// Makes the caller the owner of the record with that hash.
    #[init]
    pub fn init(env: &mut Env, data_hash: Hash) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
        DATA_HASH.set(env, &data_hash);
    }

    /// Lets the recipient read the whole record until then (exclusive), not to be passed on;
    /// replaces what was granted before.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::ExpiryInThePast`].
    #[call]
    pub fn grant_access(
        env: &mut Env,
        recipient: AccountId,
        expires_at: Millis,
    ) -> Result<(), Error> {
        let (action, resource) = (READ.to_owned(), EVERYTHING.to_owned());
        Self::grant(env, recipient, action, resource, expires_at, 0).map(|_| ())
    }

    /// Ends what `grant_access` granted, and what was passed on from it.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::NotGranted`].
    #[call]
    pub fn revoke_access(env: &mut Env, recipient: AccountId) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        end(env, recipient, READ, EVERYTHING)
    }

    /// Lets the recipient do that with the resource and all that it contains until then
    /// (exclusive), and pass it on that often, one after the other. Replaces what was granted for
    /// the same; returns its number.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::ExpiryInThePast`], [`Error::NotAName`],
    /// [`Error::PassedOnTooOften`].
    #[call]
    pub fn grant(
        env: &mut Env,
        recipient: AccountId,
        action: String,
        resource: String,
        expires_at: Millis,
        passes_max: u8,
    ) -> Result<u64, Error> {
        Self::only_the_owner(env)?;
        sound(env, &action, &resource, expires_at, passes_max)?;
        let owner = Self::owner(env);
        let grant = Grant::new(owner, recipient, &action, &resource, expires_at);
        let granted = AccessIndex::grant(
            env,
            Grant {
                passes_max,
                ..grant
            },
        );
        Ok(announce(env, granted))
    }

    /// Lets the recipient do what the caller was granted, or less of it; returns its number. It
    /// ends with the caller's own grant at the latest.
    ///
    /// # Errors
    /// [`Error::ExpiryInThePast`], [`Error::NotAName`], [`Error::PassedOnTooOften`],
    /// [`Error::ToOneself`], [`Error::BeyondOwnGrant`], [`Error::GrantedByAnother`].
    #[call]
    pub fn pass_on(
        env: &mut Env,
        recipient: AccountId,
        action: String,
        resource: String,
        expires_at: Millis,
        passes_max: u8,
    ) -> Result<u64, Error> {
        sound(env, &action, &resource, expires_at, passes_max)?;
        let caller = env.caller().account().ok_or(Error::BeyondOwnGrant)?;
        let grant = Grant::new(caller, recipient, &action, &resource, expires_at);
        let granted = AccessIndex::pass_on_within(
            env,
            Grant {
                passes_max,
                ..grant
            },
        )?;
        Ok(announce(env, granted))
    }

    /// Ends what was granted for exactly this, and what was passed on from it.
    ///
    /// # Errors
    /// [`Error::NotGranted`], [`Error::NotOwner`].
    #[call]
    pub fn revoke(
        env: &mut Env,
        recipient: AccountId,
        action: String,
        resource: String,
    ) -> Result<(), Error> {
        let standing = AccessIndex::standing(env, recipient, &action, &resource);
        let (_, entry) = standing.ok_or(Error::NotGranted)?;
        if env.caller() != entry.granted_by {
            Self::only_the_owner(env)?;
        }
        end(env, recipient, &action, &resource)
    }

    /// Whether the account may read the whole record now. The owner needs and gets no grant.
    #[view]
    #[must_use]
    pub fn can_read(env: &Env, who: AccountId) -> bool {
        AccessIndex::decide(env, who, READ, EVERYTHING, env.block_time()).permits()
    }

    /// Until when the recipient may read the whole record (exclusive), over or not; nothing where
    /// that was revoked, or what it was passed on from.
    #[view]
    #[must_use]
    pub fn expires_at(env: &Env, recipient: AccountId) -> Option<Millis> {
        let (_, entry) = AccessIndex::standing(env, recipient, READ, EVERYTHING)?;
        match AccessIndex::decide_entry(env, &entry, entry.from) {
            Decision::Permit { until } => Some(until),
            Decision::Deny { .. } => None,
        }
    }

    /// Whether the subject may do that with the resource, or with what contains it.
    #[view]
    #[must_use]
    pub fn decide(
        env: &Env,
        subject: AccountId,
        action: String,
        resource: String,
        at: Millis,
    ) -> Decision {
        AccessIndex::decide_within(env, subject, &action, &resource, at)
    }

    /// How many grants there ever were.
    #[view]
    #[must_use]
    pub fn count(env: &Env) -> u64 {
        AccessIndex::count(env)
    }

    /// The grant with that number, counted from 0.
    #[view]
    #[must_use]
    pub fn entry(env: &Env, number: u64) -> Option<AccessEntry> {
        AccessIndex::entry(env, number)
    }

    /// Who grants and revokes.
    #[view]
    #[must_use]
    pub fn owner(env: &Env) -> AccountId {
        OWNER.get(env).expect("init stores it")
    }

    /// SHA-256 of the record.
    #[view]
    #[must_use]
    pub fn data_hash(env: &Env) -> Hash {
        DATA_HASH.get(env).expect("init stores it")
    }

    fn only_the_owner(env: &Env) -> Result<(), Error> {
        if env.caller() == Self::owner(env) {
            Ok(())
        } else {
            Err(Error::NotOwner)
        }
    }
}

/// What holds for every grant, whoever makes it.
fn sound(
    env: &Env,
    action: &str,
    resource: &str,
    expires_at: Millis,
    passes_max: u8,
) -> Result<(), Error> {
    if expires_at <= env.block_time() {
        return Err(Error::ExpiryInThePast);
    }
    if !access::is_name(action) || !access::is_resource(resource) {
        return Err(Error::NotAName);
    }
    if passes_max > PASSES_MAX {
        return Err(Error::PassedOnTooOften);
    }
    Ok(())
}

/// Announces a grant, and before it the end of the one that it has replaced; gives its number.
fn announce(env: &mut Env, granted: access::Granted) -> u64 {
    let access::Granted { number, replaced } = granted;
    let entry = AccessIndex::entry(env, number).expect("it was granted just now");
    if let Some(replaced) = replaced {
        env.emit(&Revoked {
            recipient: entry.subject,
            action: entry.action.clone(),
            resource: entry.resource.clone(),
            number: replaced,
        });
    }
    env.emit(&Granted {
        recipient: entry.subject,
        expires_at: entry.until,
        action: entry.action,
        resource: entry.resource,
        number,
        under: entry.under,
    });
    number
}

fn end(env: &mut Env, recipient: AccountId, action: &str, resource: &str) -> Result<(), Error> {
    let number = AccessIndex::revoke(env, recipient, action, resource);
    let number = number.ok_or(Error::NotGranted)?;
    env.emit(&Revoked {
        recipient,
        action: action.to_owned(),
        resource: resource.to_owned(),
        number,
    });
    Ok(())
}
