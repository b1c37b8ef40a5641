//! How a test talks to `chancery contract test-host`, which runs a compiled module for it: frames
//! on stdin and stdout, each 4 bytes of length (little endian) and SCALE. The host begins with
//! [`Answer::Ready`] or [`Answer::Failed`], and then answers each request with one frame. It ends
//! when stdin does.
#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived codec casts the indices of variants, which are written out below"
)]

use std::io::{self, Read, Write};

use parity_scale_codec::{Decode, DecodeAll as _, Encode};

use crate::{AccountId, ContractId, Millis};

/// The longest frame: a module's storage may be in one.
pub const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;

/// The block that a test is in. Validators have blocks of their own and ignore it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Moment {
    /// The block's time.
    pub time: Millis,
    /// Its height.
    pub height: u64,
}

/// What a test asks of its host.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Admits an account, or replaces its roles.
    #[codec(index = 0)]
    Admit {
        /// Whom.
        account: AccountId,
        /// As bits of [`abi::ROLES`](crate::abi::ROLES).
        roles: i32,
    },
    /// One transaction: `init` deploys the module under test; all else is called.
    #[codec(index = 1)]
    Transact {
        /// Whom it calls, if not the module under test.
        contract: Option<ContractId>,
        /// Who sends it.
        sender: AccountId,
        /// The method.
        method: String,
        /// SCALE of its arguments.
        args: Vec<u8>,
        /// The block it is in.
        moment: Moment,
    },
    /// A view, outside of any transaction.
    #[codec(index = 2)]
    Query {
        /// Whom it asks, if not the module under test.
        contract: Option<ContractId>,
        /// The view.
        method: String,
        /// SCALE of its arguments.
        args: Vec<u8>,
        /// The block that it sees.
        moment: Moment,
    },
    /// All accounts that the test has named so far, before any other request may mention them.
    #[codec(index = 3)]
    Accounts {
        /// In no order that means anything.
        accounts: Vec<AccountId>,
    },
    /// One transaction that deploys another module.
    #[codec(index = 4)]
    Deploy {
        /// Who sends it.
        sender: AccountId,
        /// The module.
        code: Vec<u8>,
        /// SCALE of the arguments of its `init`.
        args: Vec<u8>,
        /// The block it is in.
        moment: Moment,
    },
    /// Says who may upgrade what is deployed from now on; each of them alone.
    #[codec(index = 5)]
    Upgraders {
        /// Nobody, until they are named.
        accounts: Vec<AccountId>,
    },
    /// One transaction that puts other code in the place of a contract's.
    #[codec(index = 6)]
    Upgrade {
        /// Whose, if not that of the module under test.
        contract: Option<ContractId>,
        /// Who sends it.
        sender: AccountId,
        /// The module.
        code: Vec<u8>,
        /// SCALE of the arguments of its `migrate`.
        args: Vec<u8>,
        /// The block it is in.
        moment: Moment,
    },
    /// The newest block, answered by [`Answer::Ready`].
    #[codec(index = 7)]
    Moment,
}

/// How a transaction or a query ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Ending {
    /// With a value.
    #[codec(index = 0)]
    Returned(Vec<u8>),
    /// The contract refused, with its own code.
    #[codec(index = 1)]
    Reverted(u32),
    /// It was ended from outside; the ledger's name for it.
    #[codec(index = 2)]
    Trapped(String),
}

/// An event that a contract emitted.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Which one.
    pub contract: ContractId,
    /// The event's name.
    pub topic: String,
    /// SCALE of its fields.
    pub data: Vec<u8>,
}

/// All that a contract stores.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Storage {
    /// Which one.
    pub contract: ContractId,
    /// By its own keys.
    pub entries: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What there is to see of a transaction or a query.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Seen {
    /// How it ended.
    pub ending: Ending,
    /// The contract that a transaction called, or made.
    pub contract: Option<ContractId>,
    /// The version of that contract, after an upgrade, whether it was applied or not.
    pub version: Option<u32>,
    /// What it burnt.
    pub fuel_used: u64,
    /// Its events, in order; none if it did not return.
    pub events: Vec<Event>,
    /// What it logged, where that can be seen.
    pub logs: Vec<String>,
    /// All that the contracts store now, where that can be seen.
    pub storage: Option<Vec<Storage>>,
    /// The newest block now.
    pub moment: Moment,
}

/// What a host answers.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// It can begin, or go on.
    #[codec(index = 0)]
    Ready {
        /// The newest block, where validators make them; elsewhere a test begins in block 1, and
        /// makes them itself.
        moment: Option<Moment>,
    },
    /// Done.
    #[codec(index = 1)]
    Done,
    /// What came of a transaction or a query.
    #[codec(index = 2)]
    Seen(Seen),
    /// It could not be done; in words for whoever wrote the test.
    #[codec(index = 3)]
    Failed(String),
}

/// Writes one frame.
///
/// # Errors
/// If the other side is gone, or the frame too long.
pub fn write_frame(to: &mut impl Write, frame: &impl Encode) -> io::Result<()> {
    let bytes = frame.encode();
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::other("the frame is too long"));
    }
    to.write_all(&len.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one frame; `None` at the end.
///
/// # Errors
/// If the other side breaks off, or writes something else.
pub fn read_frame<T: Decode>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    match from.read_exact(&mut len) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let len = u32::from_le_bytes(len);
    if len > FRAME_BYTES_MAX {
        return Err(io::Error::other("the frame is too long"));
    }
    let mut bytes = Vec::new();
    let read = from.take(len.into()).read_to_end(&mut bytes)?;
    if u32::try_from(read) != Ok(len) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    T::decode_all(&mut &bytes[..])
        .map(Some)
        .map_err(|_| io::Error::other("the frame is of another version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_and_nothing_else_does() {
        let request = Request::Admit {
            account: AccountId([1; 32]),
            roles: 2,
        };
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &request).expect("writes");
        let mut from = &bytes[..];
        assert_eq!(read_frame(&mut from).expect("a frame"), Some(request));
        assert_eq!(read_frame::<Request>(&mut from).expect("the end"), None);
        let end = bytes.len() - 1;
        for bad in [&bytes[..end], &[255; 9], &[1, 0, 0, 0, 9]] {
            assert!(read_frame::<Request>(&mut &*bad).is_err(), "{bad:?}");
        }
    }
}
