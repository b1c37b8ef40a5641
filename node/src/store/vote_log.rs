//! The vote log: what a validator has promised, durable before it is said.
//!
//! Records (opaque bytes) are appended in groups: [`VoteLog::append_all`] returns once all of its
//! records are durable, with one sync; a group is there as a whole or not at all. The log lives in
//! one of two files. [`VoteLog::compact`] writes the records that are still needed into the other
//! one, syncs, writes its header with the next generation, syncs, and only then retires the first:
//! at every moment there is one whole log.
//!
//! What opening finds (after a process was killed, or the machine lost power):
//! 1. The valid header of the higher generation decides which file is the log.
//! 2. A group that is not whole at the end is the torn tail of an append that never returned; it
//!    is cut off. Nothing that was said depended on it. Damage to the very last group cannot be
//!    told from that; damage anywhere before it is an error.
//! 3. A bad group with a good one behind it, or before the end that compaction made durable, is
//!    damage, not a torn tail: [`VoteLogError::Damaged`] names the offset.
//! 4. What is returned is durable. A killed process may leave groups that only the system's cache
//!    holds, or (after a failed sync) that the cache wrongly takes for written; so the header and
//!    the last group are written and synced once more before anybody may rely on them.
//!
//! Opening never creates a log: a validator without its promises must not vote as if it had made
//! none. Whoever puts a new one in the place of a lost one ([`VoteLog::replace_lost`]) writes into
//! it, from its first moment on, that it is one.
//!
//! A log of its own rather than a second redb: its files are filled with zeroes ahead, so that an
//! append changes data only. Durable appends of 300 bytes, 2,000 of each kind in turn, on a disk
//! that syncs fast (median and 99th percentile in microseconds, by the ignored test
//! `measure_appends`): this log 45 and 96, a file that grows with each append 64 and 159, redb with
//! one phase 120 and 296, with two phases 161 and 356. The one append in some thousands that makes
//! the file longer takes milliseconds.

use std::io;
use std::path::Path;

use chancery_ledger::PublicKey;
use redb::StorageBackend;

use super::disk::{LockError, LockedFile, sync_directory};
use format::{DATA_START, FILE_HEADER_BYTES, FileHeader, GROUP_BYTES_MAX, GROUP_HEADER_BYTES};
use format::{GROWTH_BYTES, RECORD_BYTES_MAX, SECTOR, VERSION, group_end};
use read::{Found, Reader};

pub use error::VoteLogError;

mod error;
mod format;
mod read;
#[cfg(test)]
mod tests;

/// The two files of a log in its directory.
const FILE_NAMES: [&str; 2] = ["votes.a", "votes.b"];

/// How long a log is at least before it is rewritten, unless it was told otherwise.
const COMPACTED_FROM_BYTES: u64 = 64 * 1024 * 1024;

/// An open vote log.
#[derive(Debug)]
pub struct VoteLog {
    files: [Box<dyn StorageBackend>; 2],
    /// Which of the two is the log.
    live: usize,
    header: FileHeader,
    /// Where the next group goes; everything behind it is zero.
    end: u64,
    /// The length of the live file.
    capacity: u64,
    /// Of the next group.
    sequence: u64,
    /// No shorter log is worth rewriting.
    compacted_from: u64,
    /// Whether a write or sync failed.
    failed: bool,
}

impl VoteLog {
    /// Makes the two files of an empty log in `directory`, for the validator whose consensus key is
    /// `owner`; only `chancery node init` does. A crash in between leaves no log.
    ///
    /// A log is not of a ledger: it is made before there is a genesis, and every vote names its
    /// chain in what is signed.
    ///
    /// # Errors
    /// If there is a log already, or the system refuses.
    pub fn create(directory: &Path, owner: PublicKey) -> Result<(), VoteLogError> {
        for path in FILE_NAMES.map(|name| directory.join(name)) {
            if path.exists() {
                return Err(VoteLogError::AlreadyExists { path });
            }
        }
        Self::make(directory, owner, &[])
    }

    /// Makes a log that begins with `first` in the place of one that is gone. A crash in between
    /// leaves no log.
    ///
    /// # Errors
    /// If one of the two files is still there with anything in it, or the system refuses.
    pub fn replace_lost(
        directory: &Path,
        owner: PublicKey,
        first: &[&[u8]],
    ) -> Result<(), VoteLogError> {
        for path in FILE_NAMES.map(|name| directory.join(name)) {
            // An empty file is what a crash in here, or a compaction, leaves of the second one.
            if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) {
                return Err(VoteLogError::AlreadyExists { path });
            }
        }
        Self::make(directory, owner, first)
    }

    fn make(directory: &Path, owner: PublicKey, first: &[&[u8]]) -> Result<(), VoteLogError> {
        let paths = FILE_NAMES.map(|name| directory.join(name));
        let new = paths.clone().map(|path| path.with_added_extension("new"));
        let [a, b] = &new;
        let lock = |path: &Path| LockedFile::create(path).map_err(|e| cannot_open(path, e));
        let files: [Box<dyn StorageBackend>; 2] = [Box::new(lock(a)?), Box::new(lock(b)?)];
        Self::create_on(files, owner)?.append_all(first)?;
        // The live file appears last.
        for (new, path) in new.iter().zip(&paths).rev() {
            std::fs::rename(new, path).map_err(io_error("naming a new vote log"))?;
        }
        sync_directory(directory).map_err(io_error("syncing the vote log's directory"))
    }

    /// Opens the log in `directory` and returns it with its records, oldest first.
    ///
    /// # Errors
    /// If it is missing, in use, another's or damaged, or the system refuses.
    pub fn open(directory: &Path, owner: PublicKey) -> Result<(Self, Vec<Vec<u8>>), VoteLogError> {
        let [a, b] = FILE_NAMES.map(|name| {
            let path = directory.join(name);
            LockedFile::open(&path).map_err(|error| cannot_open(&path, error))
        });
        Self::open_on([Box::new(a?), Box::new(b?)], owner)
    }

    /// Makes an empty log on two empty disks.
    ///
    /// # Errors
    /// If one is not empty, or refuses.
    pub fn create_on(
        files: [Box<dyn StorageBackend>; 2],
        owner: PublicKey,
    ) -> Result<Self, VoteLogError> {
        for (file, name) in files.iter().zip(FILE_NAMES) {
            if file.len().map_err(io_error("measuring the vote log"))? != 0 {
                return Err(VoteLogError::AlreadyExists { path: name.into() });
            }
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .map_err(io::Error::other)
            .map_err(io_error("drawing the vote log's salt"))?;
        let header = FileHeader::first(*owner.as_bytes(), salt);
        create_first(&*files[0], &header).map_err(io_error("creating the vote log"))?;
        Ok(Self {
            files,
            live: 0,
            header,
            end: DATA_START,
            capacity: GROWTH_BYTES,
            sequence: 0,
            compacted_from: COMPACTED_FROM_BYTES,
            failed: false,
        })
    }

    /// Opens a log on two disks; see [`VoteLog::open`].
    ///
    /// # Errors
    /// If there is none, it is another's or damaged, or a disk refuses.
    pub fn open_on(
        files: [Box<dyn StorageBackend>; 2],
        owner: PublicKey,
    ) -> Result<(Self, Vec<Vec<u8>>), VoteLogError> {
        let reading = io_error("reading the vote log");
        let headers = [read_header(&*files[0]), read_header(&*files[1])];
        let [a, b] = headers.map(|header| header.map_err(reading));
        let (live, header) = newest(a?, b?)?;
        check_owner(&header, owner)?;
        let file = &*files[live];
        let capacity = file.len().map_err(reading)?;
        let found = Reader {
            file,
            name: FILE_NAMES[live],
            header: &header,
            capacity,
        }
        .read()?;
        let log = Self {
            live,
            end: found.end,
            capacity,
            sequence: found.sequence,
            compacted_from: COMPACTED_FROM_BYTES,
            failed: false,
            header,
            files,
        };
        log.settle(&found)
            .map_err(io_error("recovering the vote log"))?;
        Ok((log, found.records))
    }

    /// Appends records, in order. They are durable when it returns.
    ///
    /// # Errors
    /// Any error is final: the process must end, and nothing that the records promise may be said.
    pub fn append_all(&mut self, records: &[&[u8]]) -> Result<(), VoteLogError> {
        check_lengths(records)?;
        self.attempt("appending to the vote log", |log| {
            for group in groups(records) {
                log.append_group(group)?;
            }
            Ok(())
        })
    }

    /// How long the log is, dead records included.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        self.end
    }

    /// Whether the log is long and at least half of it dead, where `live` bytes of records are
    /// still needed.
    #[must_use]
    pub fn is_worth_compacting(&self, live: u64) -> bool {
        self.end >= self.compacted_from.max(2 * live)
    }

    /// From which length on it is worth that, in bytes; 64 MiB unless told otherwise.
    pub fn set_compacted_from(&mut self, bytes: u64) {
        self.compacted_from = bytes;
    }

    /// Rewrites the log so that it holds exactly `live`, in order.
    ///
    /// # Errors
    /// As [`VoteLog::append_all`].
    pub fn compact(&mut self, live: &[&[u8]]) -> Result<(), VoteLogError> {
        check_lengths(live)?;
        self.attempt("compacting the vote log", |log| log.rewrite(live))
    }

    /// Does what may fail once: afterwards nothing is believed any more.
    fn attempt(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<(), VoteLogError> {
        if self.failed {
            return Err(VoteLogError::FailedBefore);
        }
        self.failed = true;
        work(self).map_err(io_error(doing))?;
        self.failed = false;
        Ok(())
    }

    fn append_group(&mut self, records: &[&[u8]]) -> io::Result<()> {
        let file = &*self.files[self.live];
        let group = self.header.group(self.sequence, self.end, records);
        let end = group_end(self.end, group.len() - GROUP_HEADER_BYTES);
        self.capacity = grow(file, self.capacity, end)?;
        file.write(self.end, &group)?;
        file.sync_data()?;
        self.end = end;
        self.sequence += 1;
        Ok(())
    }

    fn rewrite(&mut self, records: &[&[u8]]) -> io::Result<()> {
        let target = 1 - self.live;
        let file = &*self.files[target];
        // Whatever it held is gone: the file is zero wherever nothing is written below.
        file.set_len(0)?;
        let mut header = self.header.next(DATA_START);
        let (mut end, mut sequence, mut capacity) = (DATA_START, 0, grow(file, 0, DATA_START)?);
        for records in groups(records) {
            let group = header.group(sequence, end, records);
            let next = group_end(end, group.len() - GROUP_HEADER_BYTES);
            capacity = grow(file, capacity, next)?;
            file.write(end, &group)?;
            (end, sequence) = (next, sequence + 1);
        }
        file.sync_data()?;
        header.synced_bytes = end;
        file.write(0, &header.to_bytes())?;
        file.sync_data()?;
        retire(&*self.files[self.live])?;
        (self.live, self.header) = (target, header);
        (self.end, self.sequence, self.capacity) = (end, sequence, capacity);
        Ok(())
    }

    /// Makes sure that what was found is durable, that nothing is left of a torn append, and that
    /// there is one log only.
    fn settle(&self, found: &Found) -> io::Result<()> {
        let file = &*self.files[self.live];
        if found.torn_end > self.end {
            tracing::warn!(
                file = FILE_NAMES[self.live],
                offset = self.end,
                bytes = found.torn_end - self.end,
                "cut off the torn tail of an append that never returned"
            );
            write_zeroes(file, self.end, found.torn_end)?;
        }
        if let Some((offset, group)) = &found.last {
            file.write(*offset, group)?;
        }
        file.write(0, &self.header.to_bytes())?;
        file.sync_data()?;
        let other = &*self.files[1 - self.live];
        if other.len()? > 0 {
            retire(other)?;
        }
        Ok(())
    }
}

/// Makes the first file of a new log, filled with zeroes.
fn create_first(file: &dyn StorageBackend, header: &FileHeader) -> io::Result<()> {
    file.set_len(GROWTH_BYTES)?;
    write_zeroes(file, 0, GROWTH_BYTES)?;
    file.write(0, &header.to_bytes())?;
    file.sync_data()
}

/// Makes a file long enough for a group that ends at `end`, with zeroes behind it, so that the
/// appends to come change no metadata. Returns the file's length.
fn grow(file: &dyn StorageBackend, capacity: u64, end: u64) -> io::Result<u64> {
    if end <= capacity {
        return Ok(capacity);
    }
    let grown = end.next_multiple_of(GROWTH_BYTES);
    file.set_len(grown)?;
    write_zeroes(file, end, grown)?;
    Ok(grown)
}

fn write_zeroes(file: &dyn StorageBackend, start: u64, end: u64) -> io::Result<()> {
    static ZEROES: [u8; 64 * 1024] = [0; 64 * 1024];
    let mut offset = start;
    while offset < end {
        let chunk = (end - offset).min(ZEROES.len() as u64);
        let length = usize::try_from(chunk).expect("at most the length of ZEROES");
        file.write(offset, &ZEROES[..length])?;
        offset += chunk;
    }
    Ok(())
}

/// Makes a file hold no log any more: durably without a header, then without content.
fn retire(file: &dyn StorageBackend) -> io::Result<()> {
    write_zeroes(file, 0, file.len()?.min(SECTOR))?;
    file.sync_data()?;
    file.set_len(0)
}

fn read_header(file: &dyn StorageBackend) -> io::Result<Option<FileHeader>> {
    let mut bytes = [0; FILE_HEADER_BYTES];
    if file.len()? < bytes.len() as u64 {
        return Ok(None);
    }
    file.read(0, &mut bytes)?;
    Ok(FileHeader::from_bytes(&bytes))
}

/// Which of the two files is the log.
fn newest(
    a: Option<FileHeader>,
    b: Option<FileHeader>,
) -> Result<(usize, FileHeader), VoteLogError> {
    match (a, b) {
        (None, None) => Err(VoteLogError::NoHeader),
        (Some(a), None) => Ok((0, a)),
        (None, Some(b)) => Ok((1, b)),
        (Some(a), Some(b)) if a.generation > b.generation => Ok((0, a)),
        (Some(a), Some(b)) if a.generation < b.generation => Ok((1, b)),
        (Some(_), Some(_)) => Err(VoteLogError::Damaged {
            file: FILE_NAMES[1],
            offset: 0,
            reason: "both files have the same generation: one is a copy",
        }),
    }
}

fn check_owner(header: &FileHeader, owner: PublicKey) -> Result<(), VoteLogError> {
    if header.version != VERSION {
        return Err(VoteLogError::Version {
            found: header.version,
            supported: VERSION,
        });
    }
    if header.owner != *owner.as_bytes() {
        return Err(VoteLogError::OtherOwner {
            found: header.owner,
            expected: *owner.as_bytes(),
        });
    }
    Ok(())
}

fn check_lengths(records: &[&[u8]]) -> Result<(), VoteLogError> {
    let longest = records.iter().map(|record| record.len()).max();
    match longest {
        Some(len) if len > RECORD_BYTES_MAX => Err(VoteLogError::RecordTooLong {
            len,
            len_max: RECORD_BYTES_MAX,
        }),
        _ => Ok(()),
    }
}

/// Cuts records, none of them over the limit, into runs that fit a group each.
fn groups<'a, 'b>(mut records: &'a [&'b [u8]]) -> impl Iterator<Item = &'a [&'b [u8]]> {
    std::iter::from_fn(move || {
        let mut payload = 0;
        let fits = |record: &&&[u8]| {
            payload += 4 + record.len();
            payload <= GROUP_BYTES_MAX
        };
        let count = records.iter().take_while(fits).count();
        let (group, rest) = records.split_at(count);
        records = rest;
        (!group.is_empty()).then_some(group)
    })
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> VoteLogError + Copy {
    move |source| VoteLogError::Io { doing, source }
}

fn cannot_open(path: &Path, error: LockError) -> VoteLogError {
    let path = path.to_path_buf();
    match error {
        LockError::Locked => VoteLogError::Locked { path },
        LockError::Io(error) if error.kind() == io::ErrorKind::NotFound => {
            VoteLogError::Missing { path }
        }
        LockError::Io(source) => VoteLogError::Io {
            doing: "opening the vote log",
            source,
        },
    }
}
