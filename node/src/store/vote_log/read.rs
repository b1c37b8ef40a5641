//! Reads the groups of a vote log's file, and tells a torn tail from damage.

use std::io;

use redb::StorageBackend;

use super::format::{self, DATA_START, FileHeader, GROUP_HEADER_BYTES, GROWTH_BYTES, SECTOR_LEN};
use super::{VoteLogError, group_end, io_error};

/// How much is read at a time in search of what stands behind a bad group; a multiple of a sector.
const SCAN_BYTES: u64 = 1024 * 1024;

/// What a file holds.
#[derive(Debug)]
pub(super) struct Found {
    /// Oldest first.
    pub(super) records: Vec<Vec<u8>>,
    /// Where the next group goes.
    pub(super) end: u64,
    /// Its sequence number.
    pub(super) sequence: u64,
    /// The last group with its offset.
    pub(super) last: Option<(u64, Vec<u8>)>,
    /// Behind the last sector that is not zero, `end` or more.
    pub(super) torn_end: u64,
}

/// A file with what its header says.
pub(super) struct Reader<'a> {
    pub(super) file: &'a dyn StorageBackend,
    pub(super) name: &'static str,
    pub(super) header: &'a FileHeader,
    /// Its length.
    pub(super) capacity: u64,
}

impl Reader<'_> {
    /// Reads everything.
    pub(super) fn read(&self) -> Result<Found, VoteLogError> {
        if !self.capacity.is_multiple_of(GROWTH_BYTES) || self.capacity < self.header.synced_bytes {
            return Err(self.damaged(self.capacity, "the file was cut short"));
        }
        let reading = io_error("reading the vote log");
        let mut records = Vec::new();
        let (mut end, mut sequence, mut last) = (DATA_START, 0, None);
        while let Some(group) = self.group_at(end, Some(sequence)).map_err(reading)? {
            let payload = &group[GROUP_HEADER_BYTES..];
            let more = format::records(payload)
                .ok_or_else(|| self.damaged(end, "the lengths of the records do not add up"))?;
            records.extend(more);
            let next = group_end(end, payload.len());
            last = Some((end, group));
            (end, sequence) = (next, sequence + 1);
        }
        if end < self.header.synced_bytes {
            return Err(self.damaged(end, "a group that was durable is not what was written"));
        }
        let torn_end = self.scan(end)?;
        Ok(Found {
            records,
            end,
            sequence,
            last,
            torn_end,
        })
    }

    /// The whole group at `offset`, if there is one (of this sequence number).
    fn group_at(&self, offset: u64, sequence: Option<u64>) -> io::Result<Option<Vec<u8>>> {
        let payload_start = offset + GROUP_HEADER_BYTES as u64;
        if payload_start > self.capacity {
            return Ok(None);
        }
        let mut group = vec![0; GROUP_HEADER_BYTES];
        self.file.read(offset, &mut group)?;
        let Some(header) = self.header.group_header(&group) else {
            return Ok(None);
        };
        let fits = payload_start + u64::from(header.payload_bytes) <= self.capacity;
        if !fits || sequence.is_some_and(|sequence| sequence != header.sequence) {
            return Ok(None);
        }
        group.resize(GROUP_HEADER_BYTES + header.payload_bytes as usize, 0);
        let payload = &mut group[GROUP_HEADER_BYTES..];
        self.file.read(payload_start, payload)?;
        let whole = self.header.accepts(&header, offset, payload);
        Ok(whole.then_some(group))
    }

    /// Looks at everything from `end` on: a group there means that the one at `end` is damaged.
    /// Returns where the last bytes that are not zero end.
    fn scan(&self, end: u64) -> Result<u64, VoteLogError> {
        let reading = io_error("reading the vote log");
        let zeroes = [0; SECTOR_LEN];
        let (mut start, mut torn_end) = (end, end);
        while start < self.capacity {
            let length = SCAN_BYTES.min(self.capacity - start);
            let mut chunk = vec![0; usize::try_from(length).expect("at most SCAN_BYTES")];
            self.file.read(start, &mut chunk).map_err(reading)?;
            for (bytes, offset) in chunk
                .chunks(zeroes.len())
                .zip((start..).step_by(zeroes.len()))
            {
                if *bytes == zeroes[..bytes.len()] {
                    continue;
                }
                torn_end = offset + bytes.len() as u64;
                let header = bytes.get(..GROUP_HEADER_BYTES);
                let may_be = header.is_some_and(|b| self.header.group_header(b).is_some());
                if may_be && self.group_at(offset, None).map_err(reading)?.is_some() {
                    return Err(self.damaged(end, "bad bytes, with whole groups behind them"));
                }
            }
            start += length;
        }
        Ok(torn_end)
    }

    fn damaged(&self, offset: u64, reason: &'static str) -> VoteLogError {
        VoteLogError::Damaged {
            file: self.name,
            offset,
            reason,
        }
    }
}
