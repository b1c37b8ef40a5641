//! C2SP `tlog-policy`: which log is trusted, and whose cosignatures suffice. It is all that an
//! auditor must have from a source of trust; a ledger's policy follows from its genesis.
//!
//! Lines, their words separated by spaces or tabs, `#` beginning a comment line:
//! `log VKEY [URL]`, `witness NAME VKEY [URL]`, `group NAME all|any|K NAME…`, `quorum NAME`. Names
//! are defined before they are used, each stands in at most one group, there is one quorum.
//! Narrower than the specification: the text is UTF-8, at least one log is named (else there is no
//! origin to check), and `quorum none` is refused (a log's own key gives no trust here).
//!
//! A ledger's policy names every validator's log key under the one origin, every validator as a
//! witness, and one group of them all whose threshold is the quorum.

use core::fmt;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::{self, CheckpointText, CheckpointTextError};
use crate::note::{KeyKind, Note, NoteSignature, VerifierKey, VerifierKeyError};
use crate::text::{from_decimal, shortened};
use crate::{ChainId, ValidatorSet};

/// The longest policy that is read.
pub const POLICY_BYTES_MAX: usize = 262_144;

/// The name of the group of all validators; no member's name has a capital letter.
const VALIDATORS_GROUP: &str = "Validators";

/// Logs, witnesses, and which of these must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    /// Witnesses and groups in the order of definition.
    members: Vec<Member>,
    /// Index into `members`.
    quorum: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    kind: MemberKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum MemberKind {
    Witness(VerifierKey),
    Group {
        threshold: usize,
        /// Indices of members before this one.
        of: Vec<usize>,
    },
}

/// Why a text is not a policy, with the line at fault, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Longer than [`POLICY_BYTES_MAX`].
    #[error("the policy has {len} bytes, at most {POLICY_BYTES_MAX} are read")]
    TooLong {
        /// How long it is.
        len: usize,
    },
    /// A control character other than tab and newline.
    #[error("line {line} of the policy has a control character in it")]
    ControlCharacter {
        /// Which line.
        line: usize,
    },
    /// A line that begins with none of the four words, or has too few or too many.
    #[error("line {line} of the policy is no log, witness, group or quorum line: {text:?}")]
    Line {
        /// Which line.
        line: usize,
        /// The line, shortened.
        text: String,
    },
    /// A vkey that is none, or not of the kind that the line calls for.
    #[error("line {line} of the policy: {error}")]
    Key {
        /// Which line.
        line: usize,
        /// What is wrong with it.
        error: VerifierKeyError,
    },
    /// One public key in two log lines or in two witness lines.
    #[error("line {line} of the policy has a key that stands in an earlier line of its kind")]
    KeyTwice {
        /// Which line.
        line: usize,
    },
    /// A name defined twice, or "none".
    #[error("line {line} of the policy defines {name:?}, which is taken")]
    NameTaken {
        /// Which line.
        line: usize,
        /// The name, shortened.
        name: String,
    },
    /// A name that no line before defines.
    #[error("line {line} of the policy uses {name:?}, which no line before defines")]
    UnknownName {
        /// Which line.
        line: usize,
        /// The name, shortened.
        name: String,
    },
    /// A name that already is a member of a group.
    #[error("line {line} of the policy makes {name:?} a group member for the second time")]
    MemberTwice {
        /// Which line.
        line: usize,
        /// The name, shortened.
        name: String,
    },
    /// A threshold that is no number between 1 and the count of members.
    #[error("line {line} of the policy has a threshold that is not all, any or 1 to {count}")]
    Threshold {
        /// Which line.
        line: usize,
        /// How many members the group has.
        count: usize,
    },
    /// No quorum line, or a second one.
    #[error("the policy must have one quorum line")]
    NotOneQuorum,
    /// `quorum none`.
    #[error("line {line} of the policy asks for no cosignatures, which would prove nothing")]
    NoQuorumAsked {
        /// Which line.
        line: usize,
    },
    /// No log line.
    #[error("the policy names no log")]
    NoLog,
}

/// Why a policy does not accept a note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedNote {
    /// Not a checkpoint.
    #[error("the note is not a checkpoint: {0}")]
    Text(#[from] CheckpointTextError),
    /// Of a log that the policy does not name.
    #[error("the checkpoint is of {origin:?}, a log that the policy does not name")]
    UnknownOrigin {
        /// The note's origin, shortened.
        origin: String,
    },
    /// No line by a key of the log.
    #[error("the checkpoint is not signed by the log")]
    NotSignedByLog,
    /// A line by a key that the policy knows does not verify.
    #[error("the signature of {name:?} does not verify")]
    WrongSignature {
        /// Whose, shortened.
        name: String,
    },
    /// The cosignatures do not suffice.
    #[error("cosigned by {cosigners}, which is not a quorum of the policy")]
    NoQuorum {
        /// How many witnesses of the policy cosigned.
        cosigners: usize,
    },
}

/// A checkpoint that a policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedCheckpoint {
    /// What it says.
    pub text: CheckpointText,
    /// Each witness of the policy that cosigned it, once, in the policy's order.
    pub cosigners: Vec<Cosigner>,
}

/// A witness whose cosignature verified.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cosigner {
    /// Its name in the policy.
    pub name: String,
    /// The time it signed, in seconds since the Unix epoch.
    pub time_seconds: u64,
}

impl Policy {
    /// The policy of a ledger: a quorum of its validators must have cosigned.
    ///
    /// # Panics
    /// Never: the names of a [`ValidatorSet`] can name keys.
    #[must_use]
    pub fn of_validators(chain: ChainId, validators: &ValidatorSet) -> Self {
        let logs = validators
            .iter()
            .map(|(_, validator)| checkpoint::log_verifier(chain, validator.log_key))
            .collect();
        let mut members: Vec<Member> = validators
            .iter()
            .map(|(_, validator)| Member {
                name: validator.name.clone(),
                kind: MemberKind::Witness(checkpoint::cosigner(validator)),
            })
            .collect();
        members.push(Member {
            name: VALIDATORS_GROUP.to_owned(),
            kind: MemberKind::Group {
                threshold: validators.quorum(),
                of: (0..validators.count()).collect(),
            },
        });
        Self {
            logs,
            quorum: members.len() - 1,
            members,
        }
    }

    /// The keys by which a log may sign.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// Every witness with its name in the policy.
    pub fn witnesses(&self) -> impl Iterator<Item = (&str, &VerifierKey)> {
        self.members.iter().filter_map(|member| match &member.kind {
            MemberKind::Witness(key) => Some((member.name.as_str(), key)),
            MemberKind::Group { .. } => None,
        })
    }

    /// Checks a checkpoint: its origin is a log of the policy and signed by a key of that log,
    /// every line by a known key verifies, and those who cosigned make a quorum. A witness counts
    /// once however often it signed; lines by unknown keys are ignored.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn verify(&self, note: &Note) -> Result<TrustedCheckpoint, UntrustedNote> {
        let text: CheckpointText = note.text.parse()?;
        if self.logs.iter().all(|key| key.name() != text.origin) {
            return Err(UntrustedNote::UnknownOrigin {
                origin: shortened(&text.origin),
            });
        }
        let mut signed_by_log = false;
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for line in &note.signatures {
            let logs = self.logs.iter().map(|key| (None, key));
            let witnesses = self.witnesses().map(|(name, key)| (Some(name), key));
            let mut known = logs
                .chain(witnesses)
                .filter(|(_, key)| line.is_of(key))
                .peekable();
            if known.peek().is_none() {
                continue;
            }
            // Ids are short: two keys of one name may share one, and only one of them signed.
            let verified = known.find_map(|(witness, key)| {
                let time = key.verify(&note.text, &line.signature).ok()?;
                Some((witness, key, time))
            });
            match verified {
                Some((Some(witness), _, Some(time_seconds))) => {
                    times.entry(witness).or_insert(time_seconds);
                }
                Some((_, key, _)) => signed_by_log |= key.name() == text.origin,
                None => {
                    return Err(UntrustedNote::WrongSignature {
                        name: shortened(&line.name),
                    });
                }
            }
        }
        if !signed_by_log {
            return Err(UntrustedNote::NotSignedByLog);
        }
        if !self.is_quorum(|name| times.contains_key(name)) {
            return Err(UntrustedNote::NoQuorum {
                cosigners: times.len(),
            });
        }
        let cosigners = self
            .witnesses()
            .filter_map(|(name, _)| {
                Some(Cosigner {
                    name: name.to_owned(),
                    time_seconds: *times.get(name)?,
                })
            })
            .collect();
        Ok(TrustedCheckpoint { text, cosigners })
    }

    /// Whether a signature line has the name of a key of the policy, but not its id.
    #[must_use]
    pub fn is_foreign_key_under_known_name(&self, line: &NoteSignature) -> bool {
        let keys = || {
            let witnesses = self.witnesses().map(|(_, key)| key);
            self.logs.iter().chain(witnesses)
        };
        keys().any(|key| key.name() == line.name) && !keys().any(|key| line.is_of(key))
    }

    fn is_quorum(&self, has_cosigned: impl Fn(&str) -> bool) -> bool {
        let mut met: Vec<bool> = Vec::with_capacity(self.members.len());
        for member in &self.members {
            met.push(match &member.kind {
                MemberKind::Witness(_) => has_cosigned(&member.name),
                MemberKind::Group { threshold, of } => {
                    of.iter().filter(|index| met[**index]).count() >= *threshold
                }
            });
        }
        met[self.quorum]
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in &self.logs {
            writeln!(f, "log {key}")?;
        }
        for member in &self.members {
            match &member.kind {
                MemberKind::Witness(key) => writeln!(f, "witness {} {key}", member.name)?,
                MemberKind::Group { threshold, of } => {
                    write!(f, "group {} {threshold}", member.name)?;
                    for index in of {
                        write!(f, " {}", self.members[*index].name)?;
                    }
                    writeln!(f)?;
                }
            }
        }
        writeln!(f, "quorum {}", self.members[self.quorum].name)
    }
}

impl FromStr for Policy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLong { len: text.len() });
        }
        let mut parser = Parser::default();
        for (line, text) in (1..).zip(text.split('\n')) {
            parser.line(line, text)?;
        }
        if parser.logs.is_empty() {
            return Err(PolicyError::NoLog);
        }
        Ok(Self {
            logs: parser.logs,
            members: parser.members,
            quorum: parser.quorum.ok_or(PolicyError::NotOneQuorum)?,
        })
    }
}

#[derive(Default)]
struct Parser {
    logs: Vec<VerifierKey>,
    members: Vec<Member>,
    positions: BTreeMap<String, usize>,
    keys: BTreeSet<(KeyKind, [u8; 32])>,
    in_a_group: BTreeSet<usize>,
    quorum: Option<usize>,
}

impl Parser {
    fn line(&mut self, line: usize, text: &str) -> Result<(), PolicyError> {
        if text.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
            return Err(PolicyError::ControlCharacter { line });
        }
        let words: Vec<&str> = text
            .split([' ', '\t'])
            .filter(|word| !word.is_empty())
            .collect();
        match words[..] {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", key] | ["log", key, _] => {
                let key = self.key(line, key, KeyKind::Note)?;
                self.logs.push(key);
                Ok(())
            }
            ["witness", name, key] | ["witness", name, key, _] => {
                let key = self.key(line, key, KeyKind::Cosignature)?;
                self.define(line, name, MemberKind::Witness(key))
            }
            ["group", name, threshold, ref of @ ..] if !of.is_empty() => {
                let group = self.group(line, threshold, of)?;
                self.define(line, name, group)
            }
            ["quorum", "none"] => Err(PolicyError::NoQuorumAsked { line }),
            ["quorum", name] => match self.quorum.replace(self.position(line, name)?) {
                None => Ok(()),
                Some(_) => Err(PolicyError::NotOneQuorum),
            },
            _ => Err(PolicyError::Line {
                line,
                text: shortened(text),
            }),
        }
    }

    fn key(&mut self, line: usize, text: &str, kind: KeyKind) -> Result<VerifierKey, PolicyError> {
        let key: VerifierKey = text
            .parse()
            .map_err(|error| PolicyError::Key { line, error })?;
        if key.kind() != kind {
            let error = VerifierKeyError::Kind {
                name: shortened(key.name()),
            };
            return Err(PolicyError::Key { line, error });
        }
        if !self.keys.insert((kind, *key.key().as_bytes())) {
            return Err(PolicyError::KeyTwice { line });
        }
        Ok(key)
    }

    fn define(&mut self, line: usize, name: &str, kind: MemberKind) -> Result<(), PolicyError> {
        let position = self.members.len();
        if name == "none" || self.positions.contains_key(name) {
            return Err(PolicyError::NameTaken {
                line,
                name: shortened(name),
            });
        }
        self.positions.insert(name.to_owned(), position);
        self.members.push(Member {
            name: name.to_owned(),
            kind,
        });
        Ok(())
    }

    fn position(&self, line: usize, name: &str) -> Result<usize, PolicyError> {
        self.positions
            .get(name)
            .copied()
            .ok_or_else(|| PolicyError::UnknownName {
                line,
                name: shortened(name),
            })
    }

    fn group(
        &mut self,
        line: usize,
        threshold: &str,
        names: &[&str],
    ) -> Result<MemberKind, PolicyError> {
        let count = names.len();
        let mut of = Vec::with_capacity(count);
        for name in names {
            let position = self.position(line, name)?;
            if !self.in_a_group.insert(position) {
                return Err(PolicyError::MemberTwice {
                    line,
                    name: shortened(name),
                });
            }
            of.push(position);
        }
        let threshold = match threshold {
            "all" => Some(count),
            "any" => Some(1),
            number => from_decimal(number).and_then(|number| usize::try_from(number).ok()),
        };
        let threshold = threshold
            .filter(|threshold| (1..=count).contains(threshold))
            .ok_or(PolicyError::Threshold { line, count })?;
        Ok(MemberKind::Group { threshold, of })
    }
}
