//! A member card: the public keys and the address of one validator, signed by its consensus key,
//! so that nobody can put other keys under a member's name unnoticed.

use chancery_ledger::keys::KeyError;
use chancery_ledger::validators::{NAME_BYTES_MAX, is_name};
use chancery_ledger::{AccountId, PublicKey, SecretKey, Signature, Validator};
use parity_scale_codec::{Encode, Output};
use serde::{Deserialize, Serialize};

use crate::address::{AddressError, PeerAddress};
use crate::toml_error::TomlError;

const DOMAIN: &[u8] = b"chancery/v1/member-card\0";

/// The longest card that is read, in bytes of TOML.
pub const CARD_BYTES_MAX: usize = 16_384;

/// Why a text is not a member card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Longer than any card.
    #[error("{len} bytes, a member card has at most {CARD_BYTES_MAX}")]
    TooLong {
        /// Length given.
        len: usize,
    },
    /// Not TOML with exactly a card's keys.
    #[error(transparent)]
    Toml(#[from] TomlError),
    /// A name that cannot stand in a note.
    #[error(
        "name {name:?}: 1 to {NAME_BYTES_MAX} characters out of a-z, 0-9, '.', '-', '_' are allowed, the first neither '.' nor '-'"
    )]
    Name {
        /// The name, shortened.
        name: String,
    },
    /// A key that may not be admitted.
    #[error("member {name:?}, {field}: {error}")]
    Key {
        /// Whose.
        name: String,
        /// Which of the three keys.
        field: &'static str,
        /// What it breaks.
        error: KeyError,
    },
    /// One key in two places.
    #[error(
        "member {name:?} uses one key twice: consensus_key, network_key and log_key must differ"
    )]
    KeyTwice {
        /// Whose.
        name: String,
    },
    /// No address that peers can connect to.
    #[error("member {name:?}: {error}")]
    Address {
        /// Whose.
        name: String,
        /// What it breaks.
        error: AddressError,
    },
    /// Not 128 hexadecimal digits.
    #[error("member {name:?}: signature {text:?} is not 128 hexadecimal digits")]
    SignatureText {
        /// Whose.
        name: String,
        /// What was given, shortened.
        text: String,
    },
    /// The card was changed after it was signed, or signed by another key.
    #[error(
        "member {name:?}: the signature over the card is not one of its consensus_key {consensus_key}"
    )]
    WrongSignature {
        /// Whose.
        name: String,
        /// The key that should have signed.
        consensus_key: AccountId,
    },
}

/// A member's public card; only cards whose signature verifies exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberCard {
    name: String,
    consensus_key: PublicKey,
    network_key: PublicKey,
    log_key: PublicKey,
    address: PeerAddress,
    signature: Signature,
}

/// A card as TOML writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardText {
    name: String,
    consensus_key: String,
    network_key: String,
    log_key: String,
    address: String,
    signature: String,
}

impl MemberCard {
    /// A card signed by the member itself.
    ///
    /// # Errors
    /// [`CardError::Name`], [`CardError::KeyTwice`].
    pub fn sign(
        name: &str,
        consensus_key: &SecretKey,
        network_key: PublicKey,
        log_key: PublicKey,
        address: PeerAddress,
    ) -> Result<Self, CardError> {
        let mut card = Self {
            name: name.to_owned(),
            consensus_key: consensus_key.public(),
            network_key,
            log_key,
            address,
            signature: Signature([0; 64]),
        };
        card.check()?;
        card.signature = consensus_key.sign(&card.signed_bytes());
        Ok(card)
    }

    /// Reads and verifies a card.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(toml: &str) -> Result<Self, CardError> {
        if toml.len() > CARD_BYTES_MAX {
            return Err(CardError::TooLong { len: toml.len() });
        }
        let text: CardText = toml::from_str(toml).map_err(|error| TomlError::new(toml, &error))?;
        Self::from_text(text)
    }

    pub(crate) fn from_text(text: CardText) -> Result<Self, CardError> {
        let CardText {
            name,
            consensus_key,
            network_key,
            log_key,
            address,
            signature,
        } = text;
        if !is_name(&name) {
            return Err(CardError::Name {
                name: shortened(&name),
            });
        }
        let key = |field, text: &str| {
            text.parse::<AccountId>()
                .and_then(AccountId::to_public_key)
                .map_err(|error| CardError::Key {
                    name: name.clone(),
                    field,
                    error,
                })
        };
        let consensus_key = key("consensus_key", &consensus_key)?;
        let network_key = key("network_key", &network_key)?;
        let log_key = key("log_key", &log_key)?;
        let address = address.parse().map_err(|error| CardError::Address {
            name: name.clone(),
            error,
        })?;
        let mut bytes = [0; 64];
        hex::decode_to_slice(&signature, &mut bytes).map_err(|_| CardError::SignatureText {
            name: name.clone(),
            text: shortened(&signature),
        })?;
        let card = Self {
            name,
            consensus_key,
            network_key,
            log_key,
            address,
            signature: Signature(bytes),
        };
        card.check()?;
        card.consensus_key
            .verify_strict(&card.signed_bytes(), &card.signature)
            .map_err(|_| CardError::WrongSignature {
                name: card.name.clone(),
                consensus_key: card.consensus_key.account(),
            })?;
        Ok(card)
    }

    /// The card as TOML; [`MemberCard::parse`] reads it back.
    ///
    /// # Panics
    /// Never: six strings can always be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let fields = toml::to_string(&self.to_text()).expect("six strings are TOML");
        format!(
            "# A member card: public. Whoever assembles the genesis document of a network needs it.\n{fields}"
        )
    }

    pub(crate) fn to_text(&self) -> CardText {
        CardText {
            name: self.name.clone(),
            consensus_key: self.consensus_key.account().to_string(),
            network_key: self.network_key.account().to_string(),
            log_key: self.log_key.account().to_string(),
            address: self.address.to_string(),
            signature: hex::encode(self.signature.0),
        }
    }

    /// The member's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its validator is reached.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// Name and keys, as a validator set holds them.
    #[must_use]
    pub fn validator(&self) -> Validator {
        Validator {
            name: self.name.clone(),
            consensus_key: self.consensus_key,
            network_key: self.network_key,
            log_key: self.log_key,
        }
    }

    fn check(&self) -> Result<(), CardError> {
        if !is_name(&self.name) {
            return Err(CardError::Name {
                name: shortened(&self.name),
            });
        }
        if self.consensus_key == self.network_key
            || self.consensus_key == self.log_key
            || self.network_key == self.log_key
        {
            return Err(CardError::KeyTwice {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        self.encode_fields_to(&mut bytes);
        bytes
    }

    fn encode_fields_to<T: Output + ?Sized>(&self, dest: &mut T) {
        self.name.encode_to(dest);
        self.consensus_key.encode_to(dest);
        self.network_key.encode_to(dest);
        self.log_key.encode_to(dest);
        self.address.as_str().encode_to(dest);
    }
}

/// SCALE of all fields in the order of the TOML, the signature last: part of the chain id.
impl Encode for MemberCard {
    fn encode_to<T: Output + ?Sized>(&self, dest: &mut T) {
        self.encode_fields_to(dest);
        self.signature.encode_to(dest);
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
