//! Who may read one record until when. The owner is who deployed the contract; the record itself
//! stays where it is, the ledger holds only its hash.
#![cfg_attr(target_arch = "wasm32", no_std)]

use chancery_contract::{AccountId, Env, Hash, Item, Map, Millis};
use chancery_contract::{contract, contract_error, event};

/// One record.
#[derive(Debug)]
pub struct DataAccess;

const OWNER: Item<AccountId> = Item::new("owner");
const DATA_HASH: Item<Hash> = Item::new("data_hash");
/// Recipient to expiry, exclusive. A grant that is over stays until it is replaced or revoked.
const GRANTS: Map<AccountId, Millis> = Map::new("grant/");

/// The recipient may read until then (exclusive).
#[event]
pub struct Granted {
    pub recipient: AccountId,
    pub expires_at: Millis,
}

/// The recipient may not read any more.
#[event]
pub struct Revoked {
    pub recipient: AccountId,
}

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the owner of the record grants and revokes.
    NotOwner = 1,
    /// The expiry must lie after the block's time.
    ExpiryInThePast = 2,
    /// Nothing was granted to the recipient.
    NotGranted = 3,
}

/// Who may read one record until when.
#[contract(events = [Granted, Revoked])]
impl DataAccess {
    /// Makes the caller the owner of the record with that hash.
    #[init]
    pub fn init(env: &mut Env, data_hash: Hash) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
        DATA_HASH.set(env, &data_hash);
    }

    /// Lets the recipient read until then (exclusive); replaces what was granted before.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::ExpiryInThePast`].
    #[call]
    pub fn grant_access(
        env: &mut Env,
        recipient: AccountId,
        expires_at: Millis,
    ) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        if expires_at <= env.block_time() {
            return Err(Error::ExpiryInThePast);
        }
        GRANTS.set(env, &recipient, &expires_at);
        env.emit(&Granted {
            recipient,
            expires_at,
        });
        Ok(())
    }

    /// Ends what the recipient was granted.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::NotGranted`].
    #[call]
    pub fn revoke_access(env: &mut Env, recipient: AccountId) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        if GRANTS.get(env, &recipient).is_none() {
            return Err(Error::NotGranted);
        }
        GRANTS.remove(env, &recipient);
        env.emit(&Revoked { recipient });
        Ok(())
    }

    /// Whether the account has a grant that is not over. The owner needs and gets none.
    #[view]
    #[must_use]
    pub fn can_read(env: &Env, who: AccountId) -> bool {
        GRANTS
            .get(env, &who)
            .is_some_and(|expires_at| env.block_time() < expires_at)
    }

    /// Until when the recipient may read (exclusive), if a grant stands, over or not.
    #[view]
    #[must_use]
    pub fn expires_at(env: &Env, recipient: AccountId) -> Option<Millis> {
        GRANTS.get(env, &recipient)
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
