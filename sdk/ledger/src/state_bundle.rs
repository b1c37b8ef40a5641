//! The state bundle: one JSON file that proves entries of the state, present or absent, all right
//! after one block, to somebody who has a policy and nothing else.
//!
//! Fields: those of every proof file ([`crate::proof_file`]), with `format`
//! `"chancery-state-proof/v1"` and `claim` as in [`crate::state_claim`], and `entries`, a list of
//! `{key, value, proof}`: base64 of the key ([`crate::state_key`]) and of the value, which is absent
//! where absence is proved, and the way to the header's `state_root` ([`crate::state_proof`]).
//!
//! It proves its claim if F1 to F4 of [`crate::proof_file`] hold and
//! 1. there are 1 to [`ENTRIES_MAX`] entries, no key twice;
//! 2. each key is one that a state can have;
//! 3. each entry's proof shows below the header's `state_root` that its value stands under its key, or
//!    that nothing does where it has no value;
//! 4. the claim is equal to what [`crate::state_claim`] derives from the header and the entries (F5).
//!
//! Each entry is proved by itself: a file with fewer entries proves less, and is none the worse. Whether
//! entries are *all* there are is for who reads them to say, as with an index whose count is proved
//! beside them.

use std::collections::BTreeSet;

use crate::block::PROTOCOL_VERSION;
use crate::policy::Policy;
use crate::proof_file::{
    ProofError, ProvenHeader, VerifiedHeader, check_format, decode, from_json, to_json, unbase64,
};
use crate::state_claim::{ClaimedEntry, StateClaim};
use crate::state_key::StateKey;
use crate::state_proof::StateProof;
use crate::text::to_base64;
use crate::{Hash, Header, Height};

/// What `format` says.
pub const FORMAT: &str = "chancery-state-proof/v1";

/// The most entries of one file.
pub const ENTRIES_MAX: usize = 1_024;

/// The file, not verified.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateBundle {
    /// [`FORMAT`].
    pub format: String,
    /// What it proves.
    pub claim: StateClaim,
    /// The header's place in the log, and the checkpoint.
    pub tlog_proof: String,
    /// The block's header.
    pub header: String,
    /// The entries with their proofs, in the order of the claim.
    pub entries: Vec<EntryPart>,
}

/// An entry of the state, or the absence of one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryPart {
    /// Base64 of the key.
    pub key: String,
    /// Base64 of the value; absent to prove absence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
    /// The way to the header's `state_root`.
    pub proof: StateProof,
}

/// What a node has about an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    /// The key.
    pub key: Vec<u8>,
    /// Its value, if there is one.
    pub value: Option<Vec<u8>>,
    /// From the tree right after the block.
    pub proof: StateProof,
}

impl StateBundle {
    /// The file that proves these entries of the state right after the header's block.
    ///
    /// # Errors
    /// If the entries break rule 1 or 2, or the value of one is not of its key's kind. The proofs are
    /// taken as they are.
    pub fn of_entries(
        proven: ProvenHeader<'_>,
        entries: &[ProvenEntry],
    ) -> Result<Self, ProofError> {
        let keys_and_values = entries
            .iter()
            .map(|entry| (&entry.key[..], entry.value.as_deref()));
        let claimed = claimed(keys_and_values)?;
        // No header is in an empty log.
        let checkpoint_height = proven.checkpoint_height().unwrap_or(Height(0));
        let cosigners = proven.cosigners();
        let parts = entries.iter().map(|entry| EntryPart {
            key: to_base64(&entry.key),
            value: entry.value.as_deref().map(to_base64),
            proof: entry.proof.clone(),
        });
        Ok(Self {
            format: FORMAT.to_owned(),
            claim: StateClaim::of(proven.header, checkpoint_height, cosigners, claimed),
            tlog_proof: proven.tlog_proof(),
            header: proven.header(),
            entries: parts.collect(),
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofError::TooLong`], [`ProofError::Json`], [`ProofError::OtherForm`] or
    /// [`ProofError::Format`].
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let bundle: Self = from_json(text)?;
        check_format(&bundle.format, FORMAT)?;
        Ok(bundle)
    }

    /// The file.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Checks all rules of the module's page, and returns what is proved.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, policy: &Policy) -> Result<StateClaim, ProofError> {
        check_format(&self.format, FORMAT)?;
        let cosigners = &self.claim.cosigners;
        let VerifiedHeader {
            header,
            checkpoint_height,
            trusted,
        } = VerifiedHeader::verify(&self.tlog_proof, &self.header, cosigners, policy)?;
        Ok(StateClaim {
            cosigners: trusted,
            ..self.shown_below(&header, checkpoint_height)?
        })
    }

    /// What the file says, if its entries and its claim fit its own header: what [`Self::verify`]
    /// checks and no policy is needed for. It **proves nothing**: whoever made the file may have made
    /// the header up. The checkpoint is not looked at.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<StateClaim, ProofError> {
        check_format(&self.format, FORMAT)?;
        let (_, header) = decode::<Header>("header", &self.header)?;
        if header.version != PROTOCOL_VERSION {
            return Err(ProofError::Version {
                version: header.version,
            });
        }
        self.shown_below(&header, self.claim.checkpoint_height)
    }

    /// Rules 1 to 4, below that header; returns the claim, with the cosigners that the file names.
    fn shown_below(
        &self,
        header: &Header,
        checkpoint_height: Height,
    ) -> Result<StateClaim, ProofError> {
        check_count(self.entries.len())?;
        let mut entries = Vec::new();
        for (entry, part) in self.entries.iter().enumerate() {
            entries.push(part.verify(entry, &header.state_root)?);
        }
        let keys_and_values = entries
            .iter()
            .map(|(key, value)| (&key[..], value.as_deref()));
        let claimed = claimed(keys_and_values)?;
        // 4.
        let cosigners = self.claim.cosigners.clone();
        let shown = StateClaim::of(header, checkpoint_height, cosigners, claimed);
        match self.claim.first_difference(&shown) {
            Some(field) => Err(ProofError::OtherClaim { field }),
            None => Ok(shown),
        }
    }
}

impl EntryPart {
    /// Rule 3; returns the key and, if it is present, its value.
    fn verify(&self, entry: usize, root: &Hash) -> Result<(Vec<u8>, Option<Vec<u8>>), ProofError> {
        let key = unbase64("entries.key", &self.key)?;
        let value = match &self.value {
            None => None,
            Some(value) => Some(unbase64("entries.value", value)?),
        };
        let proved = match &value {
            None => self.proof.verify_absence(root, &key),
            Some(value) => self.proof.verify_presence(root, &key, value),
        };
        proved.map_err(|error| ProofError::State { entry, error })?;
        Ok((key, value))
    }
}

/// Rules 1 and 2; returns the entries of the claim.
fn claimed<'a>(
    entries: impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<Vec<ClaimedEntry>, ProofError> {
    check_count(entries.len())?;
    let mut keys = BTreeSet::new();
    let mut claimed = Vec::new();
    for (entry, (key, value)) in entries.enumerate() {
        if !keys.insert(key) {
            return Err(ProofError::KeyTwice { entry });
        }
        let key = StateKey::from_bytes(key).ok_or(ProofError::Key { entry })?;
        claimed.push(ClaimedEntry::of(key, value)?);
    }
    Ok(claimed)
}

fn check_count(count: usize) -> Result<(), ProofError> {
    if (1..=ENTRIES_MAX).contains(&count) {
        return Ok(());
    }
    Err(ProofError::EntriesCount { count })
}
