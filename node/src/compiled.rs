//! Compiled contracts in the home, so that a start compiles nothing anew: `compiled/NAME`, a file
//! for each, up to [`COMPILED_BYTES_MAX`] in all, the least recently used leaving first.
//!
//! What is in the files is the runtime's affair, which checks all of it. Here it is only seen to
//! that nobody else can write there; a directory that others can write to is not used. The disk
//! failing is no failure of the ledger: the module is compiled again.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use chancery_ledger::Hash;
use chancery_runtime::CompiledStore;
use tracing::warn;

/// Bytes that all files together may have.
pub const COMPILED_BYTES_MAX: u64 = 256 << 20;
/// Files at once.
pub const COMPILED_FILES_MAX: usize = 1_024;

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
    bytes_max: u64,
    files_max: usize,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_name: BTreeMap<Hash, Kept>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug)]
struct Kept {
    bytes: u64,
    /// Grows with every use.
    used: u64,
}

impl CompiledFiles {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// If others could write there, or the system fails.
    pub fn open(directory: &Path) -> Result<Self, CompiledFilesError> {
        Self::open_bounded(directory, COMPILED_BYTES_MAX, COMPILED_FILES_MAX)
    }

    fn open_bounded(
        directory: &Path,
        bytes_max: u64,
        files_max: usize,
    ) -> Result<Self, CompiledFilesError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let metadata = fs::symlink_metadata(directory)?;
        let own = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !own || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(CompiledFilesError::Exposed(directory.to_owned()));
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().and_then(|name| name.parse::<Hash>().ok()) else {
                continue;
            };
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                found.push((metadata.modified()?, name, metadata.len()));
            }
        }
        found.sort();
        let this = Self {
            directory: directory.to_owned(),
            bytes_max,
            files_max,
            files: Mutex::default(),
        };
        let mut files = this.files();
        for (_, name, bytes) in found {
            files.add(name, bytes);
        }
        this.shrink(&mut files);
        drop(files);
        Ok(this)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        // What is remembered of the files is checked against them at each use.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &Hash) -> PathBuf {
        self.directory.join(name.to_string())
    }

    fn read(&self, name: &Hash, len: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(name))?;
        let mut bytes = Vec::new();
        (&file)
            .take(len.saturating_add(1))
            .read_to_end(&mut bytes)?;
        // The next start goes by this time; that it cannot be set is no reason not to read.
        let _ = file.set_modified(SystemTime::now());
        Ok(bytes)
    }

    fn write(&self, name: &Hash, bytes: &[u8]) -> io::Result<()> {
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

    fn shrink(&self, files: &mut Files) {
        while files.bytes > self.bytes_max || files.by_name.len() > self.files_max {
            let Some(oldest) = files.oldest() else { return };
            files.forget(&oldest);
            if let Err(error) = fs::remove_file(self.path(&oldest)) {
                warn!("a compiled contract cannot be removed: {error}");
            }
        }
    }
}

impl Files {
    fn add(&mut self, name: Hash, bytes: u64) {
        self.forget(&name);
        self.uses += 1;
        self.bytes += bytes;
        let used = self.uses;
        self.by_name.insert(name, Kept { bytes, used });
    }

    fn forget(&mut self, name: &Hash) {
        if let Some(kept) = self.by_name.remove(name) {
            self.bytes -= kept.bytes;
        }
    }

    fn oldest(&self) -> Option<Hash> {
        let oldest = self.by_name.iter().min_by_key(|(_, kept)| kept.used);
        oldest.map(|(name, _)| *name)
    }
}

impl CompiledStore for CompiledFiles {
    fn load(&self, name: &Hash) -> Option<Vec<u8>> {
        let mut files = self.files();
        let len = files.by_name.get(name)?.bytes;
        match self.read(name, len) {
            Ok(bytes) => {
                files.add(*name, len);
                Some(bytes)
            }
            Err(error) => {
                warn!("a compiled contract cannot be read, it is compiled again: {error}");
                files.forget(name);
                None
            }
        }
    }

    fn keep(&self, name: &Hash, bytes: &[u8]) {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if len > self.bytes_max {
            return;
        }
        let mut files = self.files();
        if let Err(error) = self.write(name, bytes) {
            warn!("a compiled contract cannot be kept, the next start compiles it again: {error}");
            return;
        }
        files.add(*name, len);
        self.shrink(&mut files);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

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

    fn text(numbers: &[u8]) -> Vec<String> {
        numbers.iter().map(|n| name(*n).to_string()).collect()
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
        assert_eq!(files_in(&directory), text(&[1]));
    }

    #[test]
    fn the_least_recently_used_leaves_first() {
        let home = tempfile::tempdir().expect("a directory");
        let files = CompiledFiles::open_bounded(home.path(), 10, 3).expect("opens");
        for number in 1..=3 {
            files.keep(&name(number), &[number; 3]);
        }
        assert!(files.load(&name(1)).is_some());
        files.keep(&name(4), &[4; 3]);
        assert_eq!(files_in(home.path()), text(&[1, 3, 4]));
        files.keep(&name(5), &[5; 6]);
        assert_eq!(files_in(home.path()), text(&[4, 5]));
        // What is larger than all that may be kept is not.
        files.keep(&name(6), &[6; 11]);
        assert_eq!(files_in(home.path()), text(&[4, 5]));
        // A restart goes by the times of the files.
        let earlier = SystemTime::now() - Duration::from_secs(60);
        let file = File::options().append(true).open(files.path(&name(5)));
        file.expect("there")
            .set_modified(earlier)
            .expect("it is set");
        let files = CompiledFiles::open_bounded(home.path(), 10, 1).expect("opens");
        assert_eq!(files_in(home.path()), text(&[4]));
        assert_eq!(files.load(&name(5)), None);
    }

    #[test]
    fn what_vanishes_or_grows_does_no_harm() {
        let home = tempfile::tempdir().expect("a directory");
        let files = CompiledFiles::open(home.path()).expect("opens");
        files.keep(&name(1), b"one");
        files.keep(&name(2), b"two");
        fs::remove_file(files.path(&name(1))).expect("it was there");
        assert_eq!(files.load(&name(1)), None);
        fs::write(files.path(&name(2)), vec![0; 1_000_000]).expect("writable");
        // Not what was kept, which its reader notices, and not more than one byte beyond.
        assert_eq!(files.load(&name(2)), Some(vec![0; 4]));
        fs::write(home.path().join("README"), "not one of ours").expect("writable");
        let files = CompiledFiles::open_bounded(home.path(), 0, 0).expect("opens");
        assert_eq!(files_in(home.path()), ["README"]);
        files.keep(&name(3), b"three");
        assert_eq!(files_in(home.path()), ["README"]);
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
