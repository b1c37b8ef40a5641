//! Who may read one record until when. The owner is who deployed the contract; the record itself
//! stays where it is, the ledger holds only its hash.
#![cfg_attr(target_arch = "wasm32", no_std)]

use chancery_contract::{AccountId, Env, Hash, Item, Map, Millis};

chancery_contract::contract! {
    /// Who may read one record until when.
    contract DataAccess;

    methods {
        /// Makes the caller the owner of the record with that hash.
        init fn init(data_hash: Hash);
        /// Lets the recipient read until then (exclusive); replaces what was granted before.
        call fn grant_access(recipient: AccountId, expires_at: Millis);
        /// Ends what the recipient was granted.
        call fn revoke_access(recipient: AccountId);
        /// Whether the account has a grant that is not over. The owner needs and gets none.
        view fn can_read(who: AccountId) -> bool;
        /// Until when the recipient may read (exclusive), if a grant stands, over or not.
        view fn expires_at(recipient: AccountId) -> Option<Millis>;
        /// Who grants and revokes.
        view fn owner() -> AccountId;
        /// SHA-256 of the record.
        view fn data_hash() -> Hash;
    }

    events {
        /// The recipient may read until then (exclusive).
        Granted { recipient: AccountId, expires_at: Millis },
        /// The recipient may not read any more.
        Revoked { recipient: AccountId },
    }

    errors {
        /// Only the owner of the record grants and revokes.
        NotOwner = 1,
        /// The expiry must lie after the block's time.
        ExpiryInThePast = 2,
        /// Nothing was granted to the recipient.
        NotGranted = 3,
    }
}

const OWNER: Item<AccountId> = Item::new("owner");
const DATA_HASH: Item<Hash> = Item::new("data_hash");
/// Recipient to expiry, exclusive. A grant that is over stays until it is replaced or revoked.
const GRANTS: Map<AccountId, Millis> = Map::new("grant/");

impl DataAccess {
    /// See the schema.
    pub fn init(env: &mut Env, data_hash: Hash) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
        DATA_HASH.set(env, &data_hash);
    }

    /// See the schema.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::ExpiryInThePast`].
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

    /// See the schema.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::NotGranted`].
    pub fn revoke_access(env: &mut Env, recipient: AccountId) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        if GRANTS.get(env, &recipient).is_none() {
            return Err(Error::NotGranted);
        }
        GRANTS.remove(env, &recipient);
        env.emit(&Revoked { recipient });
        Ok(())
    }

    /// See the schema.
    #[must_use]
    pub fn can_read(env: &Env, who: AccountId) -> bool {
        GRANTS
            .get(env, &who)
            .is_some_and(|expires_at| env.block_time() < expires_at)
    }

    /// See the schema.
    #[must_use]
    pub fn expires_at(env: &Env, recipient: AccountId) -> Option<Millis> {
        GRANTS.get(env, &recipient)
    }

    /// See the schema.
    #[must_use]
    pub fn owner(env: &Env) -> AccountId {
        OWNER.get(env).expect("init stores it")
    }

    /// See the schema.
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
