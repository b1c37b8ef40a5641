//! Custody of serialised goods, from hand to hand: who made an item, who has it, and everything
//! that happened to it between. An item changes hands only if both sides say so.
//!
//! - `epc`: how goods are named, on their labels and on the ledger.
//! - `manufacturer`: who may bring goods into being, by GS1 company prefix.
//! - `item`: items and their histories.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod epc;
mod error;
mod events;
mod item;
mod manufacturer;

use alloc::string::String;
use alloc::vec::Vec;

use chancery_contract::{AccountId, Env, Hash, contract};

pub use epc::{ItemId, PREFIX_DIGITS_MAX, PREFIX_DIGITS_MIN, SALT_BYTES};
pub use error::Error;
pub use events::{
    Accepted, Commissioned, Decommissioned, ManufacturerRegistered, ManufacturerRevoked, Observed,
    Offered, Refused, Withdrawn,
};
pub use item::{Entry, Item, Offer, Step};

use item::Record;

/// Custody of serialised goods.
#[derive(Debug)]
pub struct Provenance;

const OWNER: chancery_contract::Item<AccountId> = chancery_contract::Item::new("owner");

/// Custody of serialised goods. An item is named by the GS1 company prefix of its manufacturer and
/// the SHA-256 of a salt and its EPC URI.
#[contract(events = [
    ManufacturerRegistered, ManufacturerRevoked, Commissioned, Offered, Withdrawn, Refused,
    Accepted, Observed, Decommissioned
])]
impl Provenance {
    /// Makes the caller the owner, who registers manufacturers and can do nothing else.
    #[init]
    pub fn init(env: &mut Env) {
        let owner = env.caller().account().expect("only accounts deploy");
        OWNER.set(env, &owner);
    }

    /// Lets the manufacturer, and nobody else, commission goods under the company prefix.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::NotAdmitted`], [`Error::BadCompanyPrefix`],
    /// [`Error::PrefixOverlaps`].
    #[call]
    pub fn register_manufacturer(
        env: &mut Env,
        company_prefix: String,
        manufacturer: AccountId,
    ) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        admitted(env, manufacturer)?;
        manufacturer::register(env, &company_prefix, manufacturer)?;
        env.emit(&ManufacturerRegistered {
            company_prefix,
            manufacturer,
        });
        Ok(())
    }

    /// Lets nobody commission goods under the company prefix any more. Those that there are stay as
    /// they are.
    ///
    /// # Errors
    /// [`Error::NotOwner`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`].
    #[call]
    pub fn revoke_manufacturer(env: &mut Env, company_prefix: String) -> Result<(), Error> {
        Self::only_the_owner(env)?;
        let manufacturer = manufacturer::revoke(env, &company_prefix)?;
        env.emit(&ManufacturerRevoked {
            company_prefix,
            manufacturer,
        });
        Ok(())
    }

    /// Brings an item into being, in the custody of its manufacturer, who calls.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotManufacturer`], [`Error::AlreadyCommissioned`].
    #[call]
    pub fn commission(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        event: Hash,
    ) -> Result<(), Error> {
        let caller = caller(env)?;
        if manufacturer::of(env, &company_prefix)? != caller {
            return Err(Error::NotManufacturer);
        }
        let record = Record::new(env, (company_prefix.clone(), item), caller)?;
        let number = record.next();
        record.save(env, Step::Commissioned, caller, Some(event));
        env.emit(&Commissioned {
            company_prefix,
            item,
            number,
            manufacturer: caller,
        });
        Ok(())
    }

    /// Offers to hand the item over; until the recipient accepts, custody stays. Returns the number
    /// of the offer.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NotCustodian`], [`Error::OfferOpen`],
    /// [`Error::SameParty`], [`Error::NotAdmitted`].
    #[call]
    pub fn offer(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        recipient: AccountId,
        event: Hash,
    ) -> Result<u64, Error> {
        let (custodian, mut record) = Self::of_custodian(env, &company_prefix, item)?;
        if record.item.offer.is_some() {
            return Err(Error::OfferOpen);
        }
        if recipient == custodian {
            return Err(Error::SameParty);
        }
        admitted(env, recipient)?;
        let number = record.next();
        record.item.offer = Some(Offer { number, recipient });
        record.save(env, Step::Offered { recipient }, custodian, Some(event));
        env.emit(&Offered {
            company_prefix,
            item,
            number,
            custodian,
            recipient,
        });
        Ok(number)
    }

    /// Takes the open offer back.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NotCustodian`], [`Error::NoOffer`].
    #[call]
    pub fn withdraw(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        event: Option<Hash>,
    ) -> Result<(), Error> {
        let (custodian, mut record) = Self::of_custodian(env, &company_prefix, item)?;
        let offer = record.item.offer.take().ok_or(Error::NoOffer)?;
        let number = record.next();
        record.save(env, Step::Withdrawn, custodian, event);
        env.emit(&Withdrawn {
            company_prefix,
            item,
            number,
            custodian,
            recipient: offer.recipient,
        });
        Ok(())
    }

    /// Says that the caller does not take the item that this offer is about.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NoOffer`], [`Error::NotTheRecipient`],
    /// [`Error::OtherOffer`].
    #[call]
    pub fn refuse(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        offer: u64,
        event: Option<Hash>,
    ) -> Result<(), Error> {
        let (recipient, mut record) = Self::of_recipient(env, &company_prefix, item, offer)?;
        record.item.offer = None;
        let (number, custodian) = (record.next(), record.item.custodian);
        record.save(env, Step::Refused, recipient, event);
        env.emit(&Refused {
            company_prefix,
            item,
            number,
            custodian,
            recipient,
        });
        Ok(())
    }

    /// Takes the item over, by the very offer of this number: from now on the caller has custody.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NoOffer`], [`Error::NotTheRecipient`],
    /// [`Error::OtherOffer`].
    #[call]
    pub fn accept(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        offer: u64,
        event: Hash,
    ) -> Result<(), Error> {
        let (recipient, mut record) = Self::of_recipient(env, &company_prefix, item, offer)?;
        let (number, from) = (record.next(), record.item.custodian);
        record.item.offer = None;
        record.item.custodian = recipient;
        record.save(env, Step::Accepted, recipient, Some(event));
        env.emit(&Accepted {
            company_prefix,
            item,
            number,
            from,
            recipient,
        });
        Ok(())
    }

    /// Records what happened to the item where it is: stored, inspected, packed.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NotCustodian`].
    #[call]
    pub fn observe(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        event: Hash,
    ) -> Result<(), Error> {
        let (custodian, record) = Self::of_custodian(env, &company_prefix, item)?;
        let number = record.next();
        record.save(env, Step::Observed, custodian, Some(event));
        env.emit(&Observed {
            company_prefix,
            item,
            number,
            custodian,
        });
        Ok(())
    }

    /// Takes the item out of the supply chain for ever: sold, used or destroyed.
    ///
    /// # Errors
    /// [`Error::NotAnAccount`], [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`],
    /// [`Error::NotCommissioned`],
    /// [`Error::Decommissioned`], [`Error::NotCustodian`], [`Error::OfferOpen`].
    #[call]
    pub fn decommission(
        env: &mut Env,
        company_prefix: String,
        item: Hash,
        event: Hash,
    ) -> Result<(), Error> {
        let (custodian, mut record) = Self::of_custodian(env, &company_prefix, item)?;
        if record.item.offer.is_some() {
            return Err(Error::OfferOpen);
        }
        let number = record.next();
        record.item.decommissioned_at = Some(env.block_time());
        record.save(env, Step::Decommissioned, custodian, Some(event));
        env.emit(&Decommissioned {
            company_prefix,
            item,
            number,
            custodian,
        });
        Ok(())
    }

    /// Who registers manufacturers.
    #[view]
    #[must_use]
    pub fn owner(env: &Env) -> AccountId {
        OWNER.get(env).expect("init stores it")
    }

    /// Who may commission goods under the company prefix.
    ///
    /// # Errors
    /// [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`].
    #[view]
    pub fn manufacturer(env: &Env, company_prefix: String) -> Result<AccountId, Error> {
        manufacturer::of(env, &company_prefix)
    }

    /// An item as it stands. That it refuses with `NotCommissioned` means: its manufacturer, who is
    /// registered, has made no such item up to this block. With `NoManufacturer` it says nothing of
    /// the item: nobody was ever registered under the prefix.
    ///
    /// # Errors
    /// [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`], [`Error::NotCommissioned`].
    #[view]
    pub fn item(env: &Env, company_prefix: String, item: Hash) -> Result<Item, Error> {
        Record::find(env, (company_prefix, item)).map(|record| record.item)
    }

    /// An entry of an item's history, by its number from 0 on.
    ///
    /// # Errors
    /// [`Error::BadCompanyPrefix`], [`Error::NoManufacturer`], [`Error::NotCommissioned`],
    /// [`Error::UnknownEntry`].
    #[view]
    pub fn entry(
        env: &Env,
        company_prefix: String,
        item: Hash,
        number: u64,
    ) -> Result<Entry, Error> {
        item::entry(env, (company_prefix, item), number)
    }

    /// What the ledger calls the item with this EPC URI and salt. Whoever answers learns both: ask
    /// a node of your own.
    ///
    /// # Errors
    /// [`Error::BadEpc`], [`Error::BadSalt`].
    #[view]
    pub fn item_id(env: &Env, epc: String, salt: Vec<u8>) -> Result<ItemId, Error> {
        epc::item_id(env, &epc, &salt)
    }

    fn only_the_owner(env: &Env) -> Result<(), Error> {
        if env.caller() == Self::owner(env) {
            Ok(())
        } else {
            Err(Error::NotOwner)
        }
    }

    /// The caller and an item in its custody.
    fn of_custodian(
        env: &Env,
        company_prefix: &str,
        item: Hash,
    ) -> Result<(AccountId, Record), Error> {
        let caller = caller(env)?;
        let record = Record::find_active(env, (company_prefix.into(), item))?;
        if record.item.custodian != caller {
            return Err(Error::NotCustodian);
        }
        Ok((caller, record))
    }

    /// The caller and an item that this open offer gives to it.
    fn of_recipient(
        env: &Env,
        company_prefix: &str,
        item: Hash,
        number: u64,
    ) -> Result<(AccountId, Record), Error> {
        let caller = caller(env)?;
        let record = Record::find_active(env, (company_prefix.into(), item))?;
        let offer = record.item.offer.ok_or(Error::NoOffer)?;
        if offer.recipient != caller {
            return Err(Error::NotTheRecipient);
        }
        if offer.number != number {
            return Err(Error::OtherOffer);
        }
        Ok((caller, record))
    }
}

fn caller(env: &Env) -> Result<AccountId, Error> {
    env.caller().account().ok_or(Error::NotAnAccount)
}

fn admitted(env: &Env, account: AccountId) -> Result<(), Error> {
    if env.is_admitted(account) {
        Ok(())
    } else {
        Err(Error::NotAdmitted)
    }
}
