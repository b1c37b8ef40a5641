//! Evidence against a validator as a file that anybody can check who trusts a policy: no node is
//! asked and nothing else of the ledger is needed.
//!
//! A JSON object with `format` (`chancery-evidence/v1`), `chain_id`, `validator` (the accused
//! one's name), `words` (what it did) and `evidence` (base64 of the SCALE encoding of an
//! [`Evidence`], that is of two signed messages). It holds iff
//! 1. the ledger is one of the policy's logs and the validator one of its witnesses;
//! 2. both messages are signed by that witness's key, for that ledger;
//! 3. they are about one place (a vote of one kind for one slot in one view, a checkpoint of one
//!    height, a VIEW-CHANGE or NEW-VIEW of one view), and say different things there;
//! 4. `words` is what follows from them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chancery_consensus::{Evidence, EvidenceError, Place, VoteKind, message_bytes_max};
use chancery_ledger::checkpoint::origin;
use chancery_ledger::policy::Policy;
use chancery_ledger::validators::VALIDATORS_MAX;
use chancery_ledger::{ChainId, CodecError, decode_canonical};
use parity_scale_codec::Encode as _;

/// What the `format` field says.
pub const FORMAT: &str = "chancery-evidence/v1";

/// The largest window that a genesis may name.
const WINDOW_SLOTS_MAX: u32 = 128;

/// See the module's page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// [`FORMAT`].
    pub format: String,
    /// The ledger.
    pub chain_id: ChainId,
    /// Who contradicted itself.
    pub validator: String,
    /// How.
    pub words: String,
    /// Base64 of the encoded [`Evidence`].
    pub evidence: String,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFileError {
    /// Not such an object.
    #[error("it is not an evidence file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another format.
    #[error("its format is {0:?}, not {FORMAT:?}")]
    Format(String),
    /// Not base64.
    #[error("the evidence is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// Not two messages.
    #[error("the evidence does not decode: {0}")]
    Codec(#[from] CodecError),
    /// A ledger that the policy does not name.
    #[error("the policy does not trust ledger {0}")]
    UnknownLedger(ChainId),
    /// A validator that the policy does not name.
    #[error("the policy has no witness {0:?}")]
    UnknownValidator(String),
    /// The messages prove nothing.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The words are not what is proved.
    #[error("the words of the file are not what it proves")]
    Words,
}

impl EvidenceFile {
    /// The file for evidence that was verified, against the validator of this name.
    #[must_use]
    pub fn new(evidence: &Evidence, place: Place, chain: ChainId, validator: &str) -> Self {
        Self {
            format: FORMAT.to_owned(),
            chain_id: chain,
            validator: validator.to_owned(),
            words: words(validator, place, chain),
            evidence: STANDARD.encode(evidence.encode()),
        }
    }

    /// Reads a file; nothing in it is checked yet.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_json(text: &str) -> Result<Self, EvidenceFileError> {
        let file: Self = serde_json::from_str(text)?;
        if file.format != FORMAT {
            return Err(EvidenceFileError::Format(file.format));
        }
        Ok(file)
    }

    /// The longest file that is read.
    #[must_use]
    pub fn bytes_max() -> usize {
        evidence_bytes_max().div_ceil(3) * 4 + 4_096
    }

    /// Checks the rules of the module's page.
    ///
    /// # Errors
    /// The first one that is broken.
    pub fn verify(&self, policy: &Policy) -> Result<Place, EvidenceFileError> {
        let chain = self.chain_id;
        if policy.logs().iter().all(|log| log.name() != origin(chain)) {
            return Err(EvidenceFileError::UnknownLedger(chain));
        }
        let accused = policy
            .witnesses()
            .find(|(_, key)| key.name() == self.validator)
            .ok_or_else(|| EvidenceFileError::UnknownValidator(self.validator.clone()))?;
        let bytes = STANDARD.decode(&self.evidence)?;
        let evidence: Evidence = decode_canonical(&bytes, evidence_bytes_max())?;
        let place = evidence.verify_by_key(chain, accused.1.key())?;
        if self.words != words(&self.validator, place, chain) {
            return Err(EvidenceFileError::Words);
        }
        Ok(place)
    }
}

fn evidence_bytes_max() -> usize {
    2 * message_bytes_max(VALIDATORS_MAX, WINDOW_SLOTS_MAX)
}

/// What a validator did, in words.
#[must_use]
pub fn words(validator: &str, place: Place, chain: ChainId) -> String {
    let what = match place {
        Place::Vote { kind, view, slot } => {
            let kind = match kind {
                VoteKind::PrePrepare => "PRE-PREPAREs",
                VoteKind::Prepare => "PREPAREs",
                VoteKind::Commit => "COMMITs",
            };
            format!("two {kind} for different batches in slot {slot} of view {view}")
        }
        Place::Checkpoint { height } => format!("two different CHECKPOINTs of height {height}"),
        Place::ViewChange { view } => format!("two different VIEW-CHANGEs to view {view}"),
        Place::NewView { view } => format!("two different NEW-VIEWs of view {view}"),
    };
    format!("{validator} signed {what} of ledger {chain}.")
}

#[cfg(test)]
mod tests {
    use chancery_consensus::{Ballot, Body, SignedMessage};
    use chancery_ledger::{
        BatchDigest, Epoch, SecretKey, Slot, Validator, ValidatorIndex, ValidatorSet, View,
    };

    use super::*;

    const CHAIN: ChainId = ChainId([7; 32]);

    fn key(index: u8) -> SecretKey {
        SecretKey::from_seed(&[index + 1; 32])
    }

    fn policy() -> Policy {
        let validators = (0..4).map(|index| Validator {
            name: format!("v{index}"),
            consensus_key: key(index).public(),
            network_key: key(index + 10).public(),
            log_key: key(index + 20).public(),
        });
        let set = ValidatorSet::new(Epoch(0), validators.collect()).expect("all differ");
        Policy::of_validators(CHAIN, &set)
    }

    fn prepare(by: u8, digest: u8) -> SignedMessage {
        let body = Body::Prepare(Ballot {
            view: View(0),
            slot: Slot(5),
            digest: BatchDigest([digest; 32]),
        });
        let signature = key(by).sign(&body.signed_bytes(CHAIN, Epoch(0)));
        SignedMessage {
            chain: CHAIN,
            epoch: Epoch(0),
            from: ValidatorIndex(u16::from(by)),
            body,
            signature,
        }
    }

    fn file(first: SignedMessage, second: SignedMessage, name: &str) -> EvidenceFile {
        let place = Place::of(&first.body).expect("a vote");
        EvidenceFile::new(&Evidence { first, second }, place, CHAIN, name)
    }

    #[test]
    fn two_votes_of_one_key_convince_who_trusts_the_policy() {
        let file = file(prepare(2, 1), prepare(2, 2), "v2");
        let text = serde_json::to_string(&file).expect("strings");
        let read = EvidenceFile::from_json(&text).expect("the same");
        assert!(read.verify(&policy()).is_ok());
        assert!(
            read.words.contains("v2 signed two PREPAREs"),
            "{}",
            read.words
        );
    }

    #[test]
    fn nothing_else_does() {
        let check = |file: EvidenceFile, expected: &str| {
            let error = file.verify(&policy()).expect_err("it proves nothing");
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(
            file(prepare(2, 1), prepare(2, 1), "v2"),
            "do not contradict",
        );
        check(file(prepare(2, 1), prepare(1, 2), "v2"), "signature");
        check(file(prepare(2, 1), prepare(2, 2), "v1"), "signature");
        check(file(prepare(2, 1), prepare(2, 2), "v9"), "no witness");
        let mut other = file(prepare(2, 1), prepare(2, 2), "v2");
        other.words = "v2 is a thief.".to_owned();
        check(other, "words");
        let mut other = file(prepare(2, 1), prepare(2, 2), "v2");
        other.chain_id = ChainId([8; 32]);
        check(other, "does not trust ledger");
    }
}
