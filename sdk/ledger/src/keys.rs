//! Ed25519 keys and the two frozen signature rules.
//!
//! - Keys: an [`AccountId`] or [`PublicKey`] that enters the ledger by admission is canonical, not
//!   of small order and free of torsion ([`PublicKey::try_from`]).
//! - Transactions are verified by ZIP-215 ([`verify_transaction_signature`]), under which single
//!   and batch verification always agree.
//! - Votes and cosignatures, which stock tools check too, are verified by the strict rule
//!   ([`PublicKey::verify_strict`]).
//!
//! An account is written as a W3C DID: `did:key:z6Mk…` (did:key method, multicodec 0xed01,
//! base58btc).

use core::fmt;
use core::str::FromStr;

use ed25519_dalek::Signer as _;
use parity_scale_codec::{Decode, DecodeWithMemTracking, Encode, Error, Input, Output};
use zeroize::Zeroizing;

use crate::text::shortened;

const DID_PREFIX: &str = "did:key:z";
const ED25519_MULTICODEC: [u8; 2] = [0xed, 0x01];

/// Why 32 bytes or a text are not a key that may be admitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `did:key:z6Mk…` with 32 key bytes behind the multicodec prefix.
    #[error("{text:?} is not a did:key of an Ed25519 key (did:key:z6Mk…)")]
    NotADid {
        /// What was given, shortened.
        text: String,
    },
    /// Not the canonical encoding of a curve point.
    #[error("the key is not the canonical encoding of a point on the curve")]
    NotCanonical,
    /// A key under which one signature can be valid for many messages.
    #[error("the key is of small order")]
    SmallOrder,
    /// A key with a torsion component, on which verifiers disagree.
    #[error("the key has a torsion component")]
    Torsion,
}

/// An Ed25519 signature; whether it is valid depends on the rule it is checked by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode, DecodeWithMemTracking)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex::encode(self.0))
    }
}

/// A signature that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

/// Who acts: 32 bytes naming an Ed25519 key, not checked to be one until it is admitted.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, DecodeWithMemTracking,
)]
pub struct AccountId(pub [u8; 32]);

impl AccountId {
    /// The key behind the account, if it may be admitted.
    ///
    /// # Errors
    /// The rule that the 32 bytes break.
    pub fn to_public_key(self) -> Result<PublicKey, KeyError> {
        PublicKey::try_from(self.0)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 34];
        bytes[..2].copy_from_slice(&ED25519_MULTICODEC);
        bytes[2..].copy_from_slice(&self.0);
        write!(f, "{DID_PREFIX}{}", bs58::encode(bytes).into_string())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AccountId {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_did = || KeyError::NotADid {
            text: shortened(text),
        };
        // The longest DID of 34 bytes is 56 characters; base58 costs quadratic time.
        if text.len() > 64 {
            return Err(not_a_did());
        }
        let encoded = text.strip_prefix(DID_PREFIX).ok_or_else(not_a_did)?;
        let bytes = bs58::decode(encoded).into_vec().map_err(|_| not_a_did())?;
        let key: [u8; 32] = bytes
            .strip_prefix(&ED25519_MULTICODEC)
            .and_then(|key| key.try_into().ok())
            .ok_or_else(not_a_did)?;
        PublicKey::try_from(key).map(|key| key.account())
    }
}

impl serde::Serialize for AccountId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for AccountId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A key that passed every rule for admission: canonical, not of small order, torsion-free.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// The 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The account of this key.
    #[must_use]
    pub fn account(&self) -> AccountId {
        AccountId(self.0.to_bytes())
    }

    /// Verifies a vote or cosignature: RFC 8032 with canonical encodings and no small-order point.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_strict(
        &self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        self.0
            .verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| SignatureError)
    }
}

impl TryFrom<[u8; 32]> for PublicKey {
    type Error = KeyError;

    fn try_from(bytes: [u8; 32]) -> Result<Self, Self::Error> {
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotCanonical)?;
        let point = key.to_edwards();
        if point.compress().to_bytes() != bytes {
            return Err(KeyError::NotCanonical);
        }
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        Ok(Self(key))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.as_bytes()))
    }
}

impl Encode for PublicKey {
    fn size_hint(&self) -> usize {
        32
    }

    fn encode_to<T: Output + ?Sized>(&self, dest: &mut T) {
        dest.write(self.as_bytes());
    }
}

impl Decode for PublicKey {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        Self::try_from(<[u8; 32]>::decode(input)?).map_err(|_| "not an admissible key".into())
    }
}

impl DecodeWithMemTracking for PublicKey {}

/// A secret key. It is wiped when dropped, and no formatting shows it.
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// The key whose seed (RFC 8032's private key) is `seed`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The seed, for writing the key to a file.
    #[must_use]
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The account of this key.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.public().account()
    }

    /// Signs `message` (RFC 8032, deterministic).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.account())
    }
}

/// Verifies a transaction's signature by ZIP-215.
///
/// # Errors
/// [`SignatureError`].
pub fn verify_transaction_signature(
    sender: &AccountId,
    message: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    ed25519_zebra::VerificationKey::try_from(sender.0)
        .and_then(|key| key.verify(&ed25519_zebra::Signature::from(signature.0), message))
        .map_err(|_| SignatureError)
}
