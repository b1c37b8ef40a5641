//! What was compiled before anybody has paid for it. It is not mapped, not on the disk, and takes
//! nothing away from what was deployed.

use std::collections::VecDeque;

use chancery_ledger::CodeHash;

use super::Uncompilable;
use super::precompiled::Program;

/// Bytes of programs that are kept at once; what is too much is compiled where it is executed.
const BYTES_MAX: usize = 64 << 20;
/// What an entry counts beside its program; there may be none.
const ENTRY_BYTES: usize = 4_096;

type Outcome = Result<Program, Uncompilable>;

/// What compiling ahead has come to, the oldest leaving first. What cannot be compiled is not tried
/// again for those who execute it.
#[derive(Default)]
pub(super) struct Prepared {
    outcomes: VecDeque<(CodeHash, Outcome)>,
    bytes: usize,
}

fn bytes_of(outcome: &Outcome) -> usize {
    ENTRY_BYTES + outcome.as_ref().map_or(0, Program::len)
}

impl Prepared {
    pub(super) fn contains(&self, code: &CodeHash) -> bool {
        self.outcomes.iter().any(|(of, _)| of == code)
    }

    pub(super) fn insert(&mut self, code: CodeHash, outcome: Outcome) {
        self.bytes += bytes_of(&outcome);
        self.outcomes.push_back((code, outcome));
        while self.bytes > BYTES_MAX {
            let oldest = self.outcomes.pop_front();
            let (_, oldest) = oldest.expect("what takes bytes is not empty");
            self.bytes -= bytes_of(&oldest);
        }
    }

    pub(super) fn take(&mut self, code: &CodeHash) -> Option<Outcome> {
        let place = self.outcomes.iter().position(|(of, _)| of == code)?;
        let (_, outcome) = self.outcomes.remove(place)?;
        self.bytes -= bytes_of(&outcome);
        Some(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(number: u8) -> CodeHash {
        CodeHash::of(&[number])
    }

    fn program(bytes: usize) -> Outcome {
        Ok(Program::of_bytes(vec![1; bytes]))
    }

    #[test]
    fn programs_are_taken_once_and_the_oldest_make_room() {
        let mut prepared = Prepared::default();
        let third = BYTES_MAX / 3 - ENTRY_BYTES;
        for number in 0..3 {
            prepared.insert(code(number), program(third));
        }
        assert!(prepared.contains(&code(0)));
        let taken = prepared.take(&code(1)).and_then(Result::ok);
        assert_eq!(taken.map(|program| program.len()), Some(third));
        assert!(prepared.take(&code(1)).is_none());
        prepared.insert(code(3), program(third));
        assert!(prepared.contains(&code(0)), "there was room");
        prepared.insert(code(4), program(third));
        assert!(!prepared.contains(&code(0)));
        prepared.insert(code(5), program(BYTES_MAX));
        assert_eq!((prepared.outcomes.len(), prepared.bytes), (0, 0));
    }

    #[test]
    fn failures_take_room_as_well() {
        let mut prepared = Prepared::default();
        for number in 0..=BYTES_MAX / ENTRY_BYTES {
            prepared.insert(CodeHash::of(&number.to_le_bytes()), Err(Uncompilable));
        }
        assert_eq!(prepared.outcomes.len(), BYTES_MAX / ENTRY_BYTES);
        let last = CodeHash::of(&(BYTES_MAX / ENTRY_BYTES).to_le_bytes());
        assert!(matches!(prepared.take(&last), Some(Err(Uncompilable))));
    }
}
