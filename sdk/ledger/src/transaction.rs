//! What an account asks the ledger to do, signed.
//!
//! Replay: an id is admitted once, and only while block time < `valid_until`, which may lie at most
//! `valid_for_ms_max` ahead; the ledger's index of ids is the replay set. There are no sequence
//! numbers: one account may submit in parallel through several nodes.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the derived encoders of enums cast the variant's number"
)]

use core::fmt;
use core::str::FromStr;

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};

use crate::hash::sha256_concat;
use crate::text::shortened;
use crate::upgrade::UpgradersError;
use crate::{
    AccountId, ChainId, ChainLimits, CodecError, ContractId, Fuel, Millis, SecretKey, Signature,
    TransactionId, UpgradeApproval, Upgraders, decode_canonical, keys,
};

const DOMAIN: &[u8] = b"chancery/v1/transaction\0";

/// What an account may do beyond calling contracts.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Encode,
    Decode,
    DecodeWithMemTracking,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May admit accounts.
    #[codec(index = 0)]
    Registrar,
    /// May deploy contracts.
    #[codec(index = 1)]
    Deployer,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registrar => "registrar",
            Self::Deployer => "deployer",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "registrar" => Ok(Self::Registrar),
            "deployer" => Ok(Self::Deployer),
            _ => Err(format!(
                "{:?} is not a role: registrar or deployer",
                shortened(text)
            )),
        }
    }
}

/// What a transaction does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub enum Call {
    /// Creates a contract from Wasm bytes and runs its `init`. Needs [`Role::Deployer`].
    #[codec(index = 0)]
    Deploy {
        /// The module.
        code: Vec<u8>,
        /// Who may upgrade it; all of them admitted accounts.
        upgraders: Upgraders,
        /// SCALE of `init`'s arguments, in schema order.
        args: Vec<u8>,
    },
    /// Runs a `call` method of a contract.
    #[codec(index = 1)]
    Invoke {
        /// Whose method.
        contract: ContractId,
        /// The method's name, without the `call.` of its export.
        method: String,
        /// SCALE of its arguments, in schema order.
        args: Vec<u8>,
    },
    /// Admits an account, or replaces the roles of one. Needs [`Role::Registrar`].
    #[codec(index = 2)]
    Admit {
        /// The account; its key must be canonical, not of small order, torsion-free.
        account: AccountId,
        /// Its roles, sorted, none twice.
        roles: Vec<Role>,
    },
    /// Puts new code in the place of a contract's, and runs its `migrate`. For those who may
    /// upgrade the contract ([`crate::upgrade`]).
    #[codec(index = 3)]
    Upgrade {
        /// Which contract.
        contract: ContractId,
        /// The version that is replaced.
        version: u32,
        /// The new module.
        code: Vec<u8>,
        /// SCALE of `migrate`'s arguments, in schema order.
        args: Vec<u8>,
    },
    /// Agrees to an upgrade that somebody else will ask for. For those who may upgrade the contract.
    #[codec(index = 4)]
    ApproveUpgrade {
        /// Of which contract.
        contract: ContractId,
        /// Which upgrade, in the place of what the sender approved before; `None` withdraws that.
        approval: Option<UpgradeApproval>,
    },
}

impl Call {
    /// The module that it brings: one that is compiled where it is executed.
    #[must_use]
    pub fn code(&self) -> Option<&[u8]> {
        match self {
            Self::Deploy { code, .. } | Self::Upgrade { code, .. } => Some(code),
            Self::Invoke { .. } | Self::Admit { .. } | Self::ApproveUpgrade { .. } => None,
        }
    }
}

/// A request before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct Transaction {
    /// The ledger it is meant for.
    pub chain: ChainId,
    /// Who asks, and signs.
    pub sender: AccountId,
    /// Tells apart equal requests of one sender; drawn at random.
    pub salt: u64,
    /// Not admitted once block time reaches this.
    pub valid_until: Millis,
    /// The most fuel it may burn.
    pub fuel_max: Fuel,
    /// What it does.
    pub call: Call,
}

impl Transaction {
    /// The bytes that are signed, and whose SHA-256 is the id.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        self.encode_to(&mut bytes);
        bytes
    }

    /// The id: it does not cover the signature, so a second signature is not a second transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(sha256_concat(&[&self.signed_bytes()]).0)
    }

    /// Signs with the sender's key.
    ///
    /// # Panics
    /// If `key` is not the sender's: a mistake of the caller that no input can cause.
    #[must_use]
    pub fn sign(self, key: &SecretKey) -> SignedTransaction {
        assert_eq!(
            key.account(),
            self.sender,
            "a transaction is signed by its sender"
        );
        let signature = key.sign(&self.signed_bytes());
        SignedTransaction {
            transaction: self,
            signature,
        }
    }
}

/// A transaction with its signature, as it travels; not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, DecodeWithMemTracking)]
pub struct SignedTransaction {
    /// What is asked.
    pub transaction: Transaction,
    /// By `transaction.sender`, over [`Transaction::signed_bytes`], valid by ZIP-215.
    pub signature: Signature,
}

/// Why a transaction is refused whatever the state of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The bytes are not a transaction within the limits.
    #[error("malformed transaction: {0}")]
    Codec(#[from] CodecError),
    /// Made for another ledger.
    #[error("the transaction is for chain {given}, this is chain {ours}")]
    WrongChain {
        /// The chain it names.
        given: ChainId,
        /// The chain here.
        ours: ChainId,
    },
    /// The signature is not the sender's.
    #[error("the signature is not one of {sender}")]
    WrongSignature {
        /// The sender it names.
        sender: AccountId,
    },
    /// Declares more fuel than any transaction may.
    #[error("fuel_max = {given}, at most {most} is allowed")]
    TooMuchFuel {
        /// What it declares.
        given: Fuel,
        /// The chain's limit.
        most: u64,
    },
    /// One part is over its limit.
    #[error("{part} has {len} bytes, at most {len_max} are allowed")]
    PartTooLong {
        /// Which part.
        part: &'static str,
        /// Its length.
        len: usize,
        /// The chain's limit.
        len_max: usize,
    },
    /// The roles of an admission are not sorted, or one stands there twice.
    #[error("the roles of an admission must be sorted, each at most once")]
    RolesNotSorted,
    /// Those who should upgrade the contract are no possible list.
    #[error(transparent)]
    Upgraders(#[from] UpgradersError),
}

/// Something whose stateless rules were all checked; made only by consuming what was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    pub(crate) fn new_unchecked(value: T) -> Self {
        Self(value)
    }

    /// The value, with the mark lost.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> core::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl SignedTransaction {
    /// Decodes and verifies bytes from outside.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn decode_and_verify(
        bytes: &[u8],
        chain: ChainId,
        limits: &ChainLimits,
    ) -> Result<Verified<Self>, TransactionError> {
        let signed: Self = decode_canonical(bytes, limits.transaction_bytes_max as usize)?;
        signed.verify(chain, limits)
    }

    /// The id of the transaction.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        self.transaction.id()
    }

    /// Checks everything that does not depend on the state of the ledger.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(
        self,
        chain: ChainId,
        limits: &ChainLimits,
    ) -> Result<Verified<Self>, TransactionError> {
        self.check(chain, limits)?;
        Ok(Verified::new_unchecked(self))
    }

    /// [`SignedTransaction::verify`] for one that stays in its batch.
    pub(crate) fn check(
        &self,
        chain: ChainId,
        limits: &ChainLimits,
    ) -> Result<(), TransactionError> {
        self.check_form(chain, limits)?;
        let sender = self.transaction.sender;
        let signed_bytes = self.transaction.signed_bytes();
        keys::verify_transaction_signature(&sender, &signed_bytes, &self.signature)
            .map_err(|_| TransactionError::WrongSignature { sender })
    }

    fn check_form(&self, chain: ChainId, limits: &ChainLimits) -> Result<(), TransactionError> {
        let transaction = &self.transaction;
        let len_max = limits.transaction_bytes_max as usize;
        let len = self.encoded_size();
        if len > len_max {
            return Err(CodecError::TooLong { len, len_max }.into());
        }
        if transaction.chain != chain {
            return Err(TransactionError::WrongChain {
                given: transaction.chain,
                ours: chain,
            });
        }
        if transaction.fuel_max.0 > limits.transaction_fuel_max {
            return Err(TransactionError::TooMuchFuel {
                given: transaction.fuel_max,
                most: limits.transaction_fuel_max,
            });
        }
        let within = |part, len: usize, len_max: u32| {
            let len_max = len_max as usize;
            if len > len_max {
                return Err(TransactionError::PartTooLong { part, len, len_max });
            }
            Ok(())
        };
        match &transaction.call {
            Call::Deploy {
                code,
                upgraders,
                args,
            } => {
                within("code", code.len(), limits.code_bytes_max)?;
                upgraders.check(limits)?;
                within("args", args.len(), limits.args_bytes_max)
            }
            Call::Upgrade { code, args, .. } => {
                within("code", code.len(), limits.code_bytes_max)?;
                within("args", args.len(), limits.args_bytes_max)
            }
            Call::ApproveUpgrade { .. } => Ok(()),
            Call::Invoke { method, args, .. } => {
                within("method", method.len(), limits.method_bytes_max)?;
                within("args", args.len(), limits.args_bytes_max)
            }
            Call::Admit { roles, .. } => {
                if roles.is_sorted_by(|a, b| a < b) {
                    Ok(())
                } else {
                    Err(TransactionError::RolesNotSorted)
                }
            }
        }
    }
}
