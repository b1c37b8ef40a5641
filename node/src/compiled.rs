//! Compiled contracts in the home, so that a start compiles nothing anew: `compiled/NAME`, a file
//! for each.
//!
//! Files stay as long as they are used: whoever may deploy could otherwise have contracts compiled
//! again and again by calling more of them than are kept. What they take of the disk was paid for with
//! the deployments. What a newer program does not know any more is removed at a start, once nobody
//! has read it for [`UNUSED_MAX`].
//!
//! What is in the files is the runtime's affair, which checks all of it. Here it is only seen to
//! that nobody else can write there: a directory or a file that others can write to is not used. The
//! disk failing is no failure of the ledger: the module is compiled again.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use chancery_ledger::Hash;
use chancery_runtime::CompiledStore;
use rustix::fs::OFlags;
use tracing::warn;

/// A file that nobody has read for so long is removed at the next start.
pub const UNUSED_MAX: Duration = Duration::from_secs(30 * 86_400);
/// Bytes of a file; the largest module that a chain may allow makes less.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// What a file is called until it is whole.
const UNFINISHED: &str = "unfinished";
/// Write permission of the group and of everybody.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why there is no such directory to be used.
#[derive(Debug, thiserror::Error)]
pub enum CompiledFilesError {
    /// Others could put programs there.
    #[error("{} can be written by others, or belongs to another user", .0.display())]
    Exposed(PathBuf),
    /// The system failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// See the module's page.
#[derive(Debug)]
pub struct CompiledFiles {
    directory: PathBuf,
    /// Held while [`UNFINISHED`] is written.
    writing: Mutex<()>,
}

/// Whether nobody but this process's user can write to it.
fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

impl CompiledFiles {
    /// Opens the directory, or makes it, and removes what has long been of no use.
    ///
    /// # Errors
    /// If others could write there, or the system fails.
    pub fn open(directory: &Path) -> Result<Self, CompiledFilesError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let metadata = fs::symlink_metadata(directory)?;
        if !metadata.is_dir() || !is_own(&metadata) {
            return Err(CompiledFilesError::Exposed(directory.to_owned()));
        }
        let oldest = SystemTime::now().checked_sub(UNUSED_MAX);
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_ours = name
                .to_str()
                .is_some_and(|name| name.parse::<Hash>().is_ok());
            if is_ours && Some(entry.metadata()?.modified()?) < oldest {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            directory: directory.to_owned(),
            writing: Mutex::default(),
        })
    }

    fn path(&self, name: &Hash) -> PathBuf {
        self.directory.join(name.to_string())
    }

    fn read(&self, name: &Hash) -> io::Result<Vec<u8>> {
        let file = File::options()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(self.path(name))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_own(&metadata) || metadata.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("it is no file that this program wrote"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        (&file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        // A start goes by this time; that it cannot be set is no reason not to read.
        let _ = file.set_modified(SystemTime::now());
        Ok(bytes)
    }

    fn write(&self, name: &Hash, bytes: &[u8]) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = self.directory.join(UNFINISHED);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        // Not synced: what a crash of the machine leaves of it is noticed by its reader.
        fs::rename(&unfinished, self.path(name))
    }
}

impl CompiledStore for CompiledFiles {
    fn load(&self, name: &Hash) -> Option<Vec<u8>> {
        match self.read(name) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!("a compiled contract cannot be read, it is compiled again: {error}");
                None
            }
        }
    }

    fn keep(&self, name: &Hash, bytes: &[u8]) {
        if let Err(error) = self.write(name, bytes) {
            warn!("a compiled contract cannot be kept, the next start compiles it again: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn name(number: u8) -> Hash {
        Hash([number; 32])
    }

    fn files_in(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).expect("readable");
        let names = entries.map(|entry| entry.expect("readable").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.into_string().expect("text"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("compiled");
        let files = CompiledFiles::open(&directory).expect("it is made");
        assert_eq!(files.load(&name(1)), None);
        files.keep(&name(1), b"one");
        files.keep(&name(1), b"one more");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&files.path(&name(1))), 0o600);
        drop(files);
        let files = CompiledFiles::open(&directory).expect("it is there");
        assert_eq!(files.load(&name(1)), Some(b"one more".to_vec()));
        assert_eq!(files_in(&directory), [name(1).to_string()]);
    }

    #[test]
    fn what_nobody_reads_any_more_is_removed_at_a_start() {
        let home = tempfile::tempdir().expect("a directory");
        let files = CompiledFiles::open(home.path()).expect("opens");
        let long_ago = SystemTime::now() - UNUSED_MAX - Duration::from_secs(60);
        for number in 1..=3 {
            files.keep(&name(number), &[number]);
        }
        fs::write(home.path().join("README"), "not one of ours").expect("writable");
        for path in [
            files.path(&name(1)),
            files.path(&name(2)),
            home.path().join("README"),
        ] {
            let file = File::options().append(true).open(path).expect("there");
            file.set_modified(long_ago).expect("it is set");
        }
        // Reading is using.
        assert!(files.load(&name(1)).is_some());
        let files = CompiledFiles::open(home.path()).expect("opens");
        let left = [
            name(1).to_string(),
            name(3).to_string(),
            "README".to_owned(),
        ];
        assert_eq!(files_in(home.path()), left);
        assert_eq!(files.load(&name(2)), None);
    }

    #[test]
    fn what_vanishes_or_can_be_written_by_others_is_not_read() {
        let home = tempfile::tempdir().expect("a directory");
        let files = CompiledFiles::open(home.path()).expect("opens");
        for number in 1..=4 {
            files.keep(&name(number), &[number]);
        }
        fs::remove_file(files.path(&name(1))).expect("it was there");
        let everybody = fs::Permissions::from_mode(0o666);
        fs::set_permissions(files.path(&name(2)), everybody).expect("ours");
        fs::rename(files.path(&name(3)), home.path().join("elsewhere")).expect("it was there");
        symlink("elsewhere", files.path(&name(3))).expect("a link");
        let loaded = [1, 2, 3, 4].map(|number| files.load(&name(number)));
        assert_eq!(loaded, [None, None, None, Some(vec![4])]);
        // What is compiled again takes the place of what was not to be trusted.
        files.keep(&name(2), b"two");
        assert_eq!(files.load(&name(2)), Some(b"two".to_vec()));
    }

    #[test]
    fn a_directory_that_others_can_write_to_is_not_used() {
        let home = tempfile::tempdir().expect("a directory");
        for mode in [0o770, 0o707, 0o722] {
            fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).expect("ours");
            let opened = CompiledFiles::open(home.path());
            assert!(
                matches!(opened, Err(CompiledFilesError::Exposed(_))),
                "{mode:o}"
            );
        }
    }
}
