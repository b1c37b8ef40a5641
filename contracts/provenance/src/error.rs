//! Why the contract refuses. The numbers stand in receipts and never change.

use chancery_contract::contract_error;

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the owner of the contract registers manufacturers.
    NotOwner = 1,
    /// Goods are in the custody of accounts; a contract has none.
    NotAnAccount = 2,
    /// A GS1 company prefix is 6 to 12 digits.
    BadCompanyPrefix = 3,
    /// The company prefix begins with one that is registered, or one that is registered begins
    /// with it: both could number the same goods.
    PrefixOverlaps = 4,
    /// The account is not admitted to the ledger.
    NotAdmitted = 5,
    /// Nobody may commission goods under the company prefix.
    NoManufacturer = 6,
    /// Somebody else may commission goods under the company prefix.
    NotManufacturer = 7,
    /// The item was commissioned before, and is so only once.
    AlreadyCommissioned = 8,
    /// No manufacturer commissioned such an item.
    NotCommissioned = 9,
    /// The item has left the supply chain.
    Decommissioned = 10,
    /// Only who has custody of the item can do that.
    NotCustodian = 11,
    /// The item is offered to somebody, who has not answered.
    OfferOpen = 12,
    /// The item is offered to nobody.
    NoOffer = 13,
    /// The item is offered to somebody else.
    NotTheRecipient = 14,
    /// The open offer is another one, made since.
    OtherOffer = 15,
    /// The custodian has the item already.
    SameParty = 16,
    /// The item's history has no entry of that number.
    UnknownEntry = 17,
    /// The text is no EPC URI of a serialised trade item
    /// (`urn:epc:id:sgtin:PREFIX.ITEM.SERIAL`).
    BadEpc = 18,
    /// A salt has 16 bytes.
    BadSalt = 19,
}
