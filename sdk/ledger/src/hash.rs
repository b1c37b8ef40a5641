//! SHA-256 and the hash newtypes. Every hash of ours is taken under a domain of its own, so that
//! bytes made for one purpose never hash to a value that means another.

use core::fmt;
use core::str::FromStr;

use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode};
use sha2::{Digest, Sha256};

use crate::text::shortened;

/// SHA-256 of `bytes`, with no domain: for trees (which separate leaves and nodes by themselves)
/// and for digests of foreign data such as files.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// SHA-256 of the concatenation of `parts`.
#[must_use]
pub fn sha256_concat(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

/// SHA-256 of `"chancery/v1/" domain 0x00 bytes`.
#[must_use]
pub fn sha256_domain(domain: &str, bytes: &[u8]) -> Hash {
    sha256_concat(&[b"chancery/v1/", domain.as_bytes(), &[0], bytes])
}

/// Text that is not 64 lower-case hexadecimal digits: one hash has one text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a hash: expected 64 lower-case hexadecimal digits")]
pub struct ParseHashError {
    /// What was given, shortened.
    pub text: String,
}

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default,
            Encode, Decode, DecodeWithMemTracking,
        )]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The 32 bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 32];
                let decoded = hex::decode_to_slice(text, &mut bytes);
                if decoded.is_err() || text.bytes().any(|b| b.is_ascii_uppercase()) {
                    return Err(ParseHashError { text: shortened(text) });
                }
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_type!(
    /// A SHA-256 value with no more specific meaning.
    Hash
);
hash_type!(
    /// The hash of the genesis document: the name of a ledger.
    ChainId
);
hash_type!(
    /// The hash of a transaction without its signature.
    TransactionId
);
hash_type!(
    /// What PBFT orders: the hash of a [`crate::Batch`].
    BatchDigest
);
hash_type!(
    /// The address of a deployed contract.
    ContractId
);
hash_type!(
    /// SHA-256 of a contract's Wasm bytes as they were deployed.
    CodeHash
);

impl ContractId {
    /// The address of the contract that `deployment` creates.
    #[must_use]
    pub fn of_deployment(deployment: TransactionId) -> Self {
        Self(sha256_domain("contract", &deployment.0).0)
    }
}

impl CodeHash {
    /// The hash of a contract's Wasm bytes.
    #[must_use]
    pub fn of(code: &[u8]) -> Self {
        Self(sha256(code).0)
    }
}
