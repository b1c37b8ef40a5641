//! Files as the store and the vote log use them: locked for one process, read and written at
//! offsets, and made known to their directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use redb::StorageBackend;

/// A process that was killed has its files open until the last of its threads has ended; whoever
/// restarts it need not wait for that.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_POLL: Duration = Duration::from_millis(20);

/// A file that this process alone has open for writing, as long as the value lives.
#[derive(Debug)]
pub(super) struct LockedFile(File);

/// Why a file could not be opened and locked.
#[derive(Debug)]
pub(super) enum LockError {
    /// Another process has it.
    Locked,
    /// The system's word.
    Io(io::Error),
}

impl LockedFile {
    /// Opens a file that exists.
    pub(super) fn open(path: &Path) -> Result<Self, LockError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        Self::lock(file.map_err(LockError::Io)?)
    }

    /// Opens a new, empty file; one of that name loses its content.
    pub(super) fn create(path: &Path) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        Self::lock(options.open(path).map_err(LockError::Io)?)
    }

    fn lock(file: File) -> Result<Self, LockError> {
        let patient_until = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if Instant::now() < patient_until => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Locked),
                Err(TryLockError::Error(error)) => return Err(LockError::Io(error)),
            }
        }
    }
}

impl StorageBackend for LockedFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn close(&self) -> io::Result<()> {
        self.0.unlock()
    }
}

/// Makes the names in a directory durable: without it a new or renamed file may be gone after a
/// power failure, however well its content was synced.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that a file is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_let_go_soon_is_waited_for() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("votes.a");
        let held = LockedFile::create(&path).expect("nobody has it");
        assert!(matches!(LockedFile::open(&path), Err(LockError::Locked)));
        let began = Instant::now();
        let ending = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        LockedFile::open(&path).expect("it is let go");
        assert!(began.elapsed() >= Duration::from_millis(100));
        ending.join().expect("no panic");
    }
}
