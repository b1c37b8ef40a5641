//! The bytes of a vote log: a header, then groups of records. Numbers are little-endian.
//!
//! ```text
//! header, at 0    SCALE(FileHeader), SHA-256 of it; zeroes up to DATA_START
//! group           "chv-grp1" u32 payload length, u64 generation, u64 sequence, 16 bytes of
//!                 checksum, payload; zeroes up to the next multiple of SECTOR
//! payload         for each record: u32 length, bytes
//! ```
//! A group's checksum is the first half of SHA-256 over the file's random salt, its generation,
//! its sequence number, its offset and its payload. So bytes of an earlier life of the file, a
//! group at another place, and bytes that somebody chose (a batch is made of other people's bytes)
//! never pass for a group.

use chancery_ledger::Hash;
use chancery_ledger::hash::{sha256_concat, sha256_domain};
use parity_scale_codec::{Decode, DecodeAll as _, Encode};

/// What disks write whole or not at all. Groups begin at multiples of it, so that no write ever
/// touches a sector with records that are durable already.
pub(super) const SECTOR: u64 = SECTOR_LEN as u64;

/// [`SECTOR`], as lengths of slices are counted.
pub(super) const SECTOR_LEN: usize = 512;

/// Where groups begin.
pub(super) const DATA_START: u64 = 4096;

/// A file grows by this much at a time, filled with zeroes.
pub(super) const GROWTH_BYTES: u64 = 1024 * 1024;

/// The most a group's payload may have; a larger append is split, with a sync between.
pub(super) const GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The most a record may have: it makes a group of its own with its length.
pub(super) const RECORD_BYTES_MAX: usize = GROUP_BYTES_MAX - 4;

/// Bytes of a group before its payload.
pub(super) const GROUP_HEADER_BYTES: usize = 44;

/// Bytes of a header with its checksum: less than a sector, so that it is never torn.
pub(super) const FILE_HEADER_BYTES: usize = FileHeader::ENCODED_BYTES + 32;

const FILE_MAGIC: [u8; 16] = *b"chancery votes\r\n";
const GROUP_MAGIC: [u8; 8] = *b"chv-grp1";

/// The version of this format.
pub(super) const VERSION: u16 = 1;

/// What stands at the start of a file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct FileHeader {
    magic: [u8; 16],
    /// [`VERSION`].
    pub(super) version: u16,
    /// Counts the lives of the log: the file of the higher one is the log.
    pub(super) generation: u64,
    /// Whose votes: a validator's consensus key.
    pub(super) owner: [u8; 32],
    /// Drawn when the log was created.
    pub(super) salt: [u8; 16],
    /// Groups up to here were durable before the header was written.
    pub(super) synced_bytes: u64,
}

impl FileHeader {
    const ENCODED_BYTES: usize = 16 + 2 + 8 + 32 + 16 + 8;

    /// The header of the first life of a log.
    pub(super) fn first(owner: [u8; 32], salt: [u8; 16]) -> Self {
        Self {
            magic: FILE_MAGIC,
            version: VERSION,
            generation: 1,
            owner,
            salt,
            synced_bytes: DATA_START,
        }
    }

    /// The header of the next life.
    pub(super) fn next(&self, synced_bytes: u64) -> Self {
        Self {
            generation: self.next_generation(),
            synced_bytes,
            ..self.clone()
        }
    }

    /// The generation after this one.
    pub(super) fn next_generation(&self) -> u64 {
        let next = self.generation.checked_add(1);
        next.expect("a log is never rewritten 2^64 times")
    }

    /// What is written to the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.encode();
        let checksum = sha256_domain("vote-log-header", &bytes);
        bytes.extend(checksum.0);
        bytes
    }

    /// The header in the first [`FILE_HEADER_BYTES`] of a file, if there is a whole one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, checksum) = bytes.split_at_checked(Self::ENCODED_BYTES)?;
        if sha256_domain("vote-log-header", header).0 != checksum {
            return None;
        }
        let header = Self::decode_all(&mut &header[..]).ok()?;
        (header.magic == FILE_MAGIC).then_some(header)
    }

    /// A group of this file, ready to be written at `offset`.
    pub(super) fn group(&self, sequence: u64, offset: u64, records: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![0; GROUP_HEADER_BYTES];
        for record in records {
            bytes.extend(length32(record.len()).to_le_bytes());
            bytes.extend_from_slice(record);
        }
        let (header, payload) = bytes.split_at_mut(GROUP_HEADER_BYTES);
        let checksum = self.checksum(sequence, offset, payload);
        GroupHeader {
            magic: GROUP_MAGIC,
            payload_bytes: length32(payload.len()),
            generation: self.generation,
            sequence,
            checksum,
        }
        .encode_to(&mut &mut header[..]);
        bytes
    }

    /// What the first bytes of a group say, if it is one of this generation and its length is
    /// possible.
    pub(super) fn group_header(&self, bytes: &[u8]) -> Option<GroupHeader> {
        let header = GroupHeader::decode_all(&mut &bytes[..]).ok()?;
        let possible = header.magic == GROUP_MAGIC
            && header.generation == self.generation
            && header.payload_bytes as usize <= GROUP_BYTES_MAX;
        possible.then_some(header)
    }

    /// Whether `payload` is what was written behind `header` at `offset`.
    pub(super) fn accepts(&self, header: &GroupHeader, offset: u64, payload: &[u8]) -> bool {
        header.checksum == self.checksum(header.sequence, offset, payload)
    }

    fn checksum(&self, sequence: u64, offset: u64, payload: &[u8]) -> [u8; 16] {
        let Hash(hash) = sha256_concat(&[
            b"chancery/v1/vote-log-group\0",
            &self.salt,
            &self.generation.to_le_bytes(),
            &sequence.to_le_bytes(),
            &offset.to_le_bytes(),
            payload,
        ]);
        *hash.first_chunk().expect("half of 32 bytes")
    }
}

/// What stands before a group's payload.
#[derive(Debug, Encode, Decode)]
pub(super) struct GroupHeader {
    magic: [u8; 8],
    pub(super) payload_bytes: u32,
    generation: u64,
    pub(super) sequence: u64,
    checksum: [u8; 16],
}

/// The records of a payload; none if its lengths do not add up.
pub(super) fn records(mut payload: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut records = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (record, rest) = rest.split_at_checked(length)?;
        records.push(record.to_vec());
        payload = rest;
    }
    Some(records)
}

/// The end of a group that begins at `offset`: where the next one begins.
pub(super) fn group_end(offset: u64, payload_bytes: usize) -> u64 {
    let end = offset + (GROUP_HEADER_BYTES + payload_bytes) as u64;
    end.next_multiple_of(SECTOR)
}

fn length32(length: usize) -> u32 {
    u32::try_from(length).expect("groups and records have a limit")
}
