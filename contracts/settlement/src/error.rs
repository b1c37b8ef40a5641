//! Why the contract refuses. The numbers stand in receipts and never change.

use chancery_contract::contract_error;

/// Why the contract refuses.
#[contract_error]
pub enum Error {
    /// Only the owner of the contract registers currencies.
    NotOwner = 1,
    /// Balances and obligations are those of accounts; a contract has none.
    NotAnAccount = 2,
    /// A currency is three capital letters, as in ISO 4217.
    BadCurrencyCode = 3,
    /// ISO 4217 knows no currency with more than four decimals.
    BadMinorUnit = 4,
    /// The currency is registered already, and stays with its issuer.
    CurrencyExists = 5,
    /// Nobody registered the currency.
    UnknownCurrency = 6,
    /// Only the issuer of the currency issues it.
    NotIssuer = 7,
    /// The account is not admitted to the ledger.
    NotAdmitted = 8,
    /// An amount is 1 to 999,999,999,999,999,999 minor units, what an ISO 20022 message can say.
    AmountOutOfRange = 9,
    /// An end-to-end id is 1 to 35 letters, digits and `/-?:().,'+` or single places between, no `/`
    /// at an end or doubled, and not `NOTPROVIDED`.
    BadEndToEndId = 10,
    /// The caller has used the end-to-end id before: what it names was done already.
    EndToEndIdUsed = 11,
    /// Payer and payee are one.
    SameParty = 12,
    /// Both legs are in one currency.
    SameCurrency = 13,
    /// The deadline is not ahead, or more than 31 days ahead.
    BadDeadline = 14,
    /// There is no obligation of that number.
    UnknownObligation = 15,
    /// The obligation is between others.
    NotAParty = 16,
    /// Who proposed cannot agree or refuse in the other's place.
    NotTheCounterparty = 17,
    /// Only who proposed takes a proposal back.
    NotTheProposer = 18,
    /// It is no proposal of this kind, or not any more.
    NotProposed = 19,
    /// The obligation is not agreed, or not any more.
    NotAgreed = 20,
    /// Block time has reached the deadline.
    DeadlinePassed = 21,
    /// Block time has not reached the deadline.
    DeadlineAhead = 22,
    /// The payer has less than that available.
    InsufficientFunds = 23,
    /// The caller has nothing to pay, or has set it aside already.
    NothingToFund = 24,
    /// Nothing is set aside.
    NothingSetAside = 25,
    /// Obligations to net are 2 to 32, in ascending order.
    BadNetting = 26,
    /// The obligations are not all between these two.
    OtherParties = 27,
    /// The obligations are not all in the same two currencies.
    OtherCurrencies = 28,
    /// Something was set aside for one of the obligations already.
    AlreadyFunded = 29,
    /// A sum would be larger than the book can hold.
    SumTooLarge = 30,
}
