//! What was compiled before anybody has paid for it. It is not mapped, not on the disk, and takes
//! nothing away from what was deployed.

use std::collections::VecDeque;

use chancery_ledger::CodeHash;

use super::precompiled::Program;

/// Bytes of programs that are kept at once; what is too much is compiled where it is executed.
const BYTES_MAX: usize = 64 << 20;

/// Programs, the oldest leaving first.
#[derive(Default)]
pub(super) struct Prepared {
    programs: VecDeque<(CodeHash, Program)>,
    bytes: usize,
}

impl Prepared {
    pub(super) fn contains(&self, code: &CodeHash) -> bool {
        self.programs.iter().any(|(of, _)| of == code)
    }

    pub(super) fn insert(&mut self, code: CodeHash, program: Program) {
        self.bytes += program.len();
        self.programs.push_back((code, program));
        while self.bytes > BYTES_MAX {
            let oldest = self.programs.pop_front();
            let (_, oldest) = oldest.expect("what takes bytes is not empty");
            self.bytes -= oldest.len();
        }
    }

    pub(super) fn take(&mut self, code: &CodeHash) -> Option<Program> {
        let place = self.programs.iter().position(|(of, _)| of == code)?;
        let (_, program) = self.programs.remove(place)?;
        self.bytes -= program.len();
        Some(program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(number: u8) -> CodeHash {
        CodeHash::of(&[number])
    }

    #[test]
    fn programs_are_taken_once_and_the_oldest_make_room() {
        let mut prepared = Prepared::default();
        let third = BYTES_MAX / 3;
        for number in 0..3 {
            prepared.insert(code(number), Program::of_bytes(vec![number; third]));
        }
        assert!(prepared.contains(&code(0)));
        assert_eq!(
            prepared.take(&code(1)).map(|program| program.len()),
            Some(third)
        );
        assert!(prepared.take(&code(1)).is_none());
        prepared.insert(code(3), Program::of_bytes(vec![3; third]));
        assert!(prepared.contains(&code(0)), "there was room");
        prepared.insert(code(4), Program::of_bytes(vec![4; third]));
        assert!(!prepared.contains(&code(0)));
        prepared.insert(code(5), Program::of_bytes(vec![5; BYTES_MAX + 1]));
        assert_eq!((prepared.programs.len(), prepared.bytes), (0, 0));
    }
}
