//! Compiled contracts in the home, so that a start compiles nothing anew: `compiled/SETTINGS/CODE`, a
//! file for each, where both are hashes.
//!
//! Files stay: whoever may deploy could otherwise have contracts compiled again and again by calling
//! more of them than are kept. What they take of the disk was paid for with the deployments. What was
//! compiled under other settings, by another version of this program, is removed.
//!
//! What is in the files is the runtime's affair, which checks all of it. Here it is only seen to
//! that nobody else can write there: a directory or a file that others can write to is not used. The
//! disk failing is no failure of the ledger: the module is compiled again.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use chancery_ledger::{CodeHash, Hash};
use chancery_runtime::CompiledStore;
use rustix::fs::OFlags;
use tracing::warn;

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
    /// The one in it for the settings that hold.
    current: OnceLock<PathBuf>,
    /// Held while [`UNFINISHED`] is written.
    writing: Mutex<()>,
}

/// Whether nobody but this process's user can write to it.
fn is_own(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & WRITABLE_BY_OTHERS == 0
}

impl CompiledFiles {
    /// Opens the directory, or makes it.
    ///
    /// # Errors
    /// If others could write there, or the system fails.
    pub fn open(directory: &Path) -> Result<Self, CompiledFilesError> {
        make(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            current: OnceLock::new(),
            writing: Mutex::default(),
        })
    }

    /// Makes the directory of these settings and removes those of others.
    fn settle(&self, settings: &Hash) -> Result<(), CompiledFilesError> {
        let current = self.directory.join(settings.to_string());
        make(&current)?;
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let is_ours = name.is_some_and(|name| name.parse::<Hash>().is_ok());
            if is_ours
                && path != current
                && let Err(error) = fs::remove_dir_all(&path)
            {
                warn!(
                    "{} is of no use and cannot be removed: {error}",
                    path.display()
                );
            }
        }
        // One store is begun once.
        let _ = self.current.set(current);
        Ok(())
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        let current = self.current.get();
        let current = current.ok_or_else(|| io::Error::other("there is no directory for it"))?;
        Ok(current.join(name))
    }

    fn read(&self, code: &CodeHash) -> io::Result<Vec<u8>> {
        // Neither follows a link nor waits for a writer.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = File::options()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.path(&code.to_string())?)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_own(&metadata) || metadata.len() > FILE_BYTES_MAX {
            return Err(io::Error::other("it is no file that this program wrote"));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, code: &CodeHash, bytes: &[u8]) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let unfinished = self.path(UNFINISHED)?;
        // What an earlier process left unfinished is not written on.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        // Not synced: what a crash of the machine leaves of it is noticed by its reader.
        fs::rename(&unfinished, self.path(&code.to_string())?)
    }
}

fn make(directory: &Path) -> Result<(), CompiledFilesError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let metadata = fs::symlink_metadata(directory)?;
    if !metadata.is_dir() || !is_own(&metadata) {
        return Err(CompiledFilesError::Exposed(directory.to_owned()));
    }
    Ok(())
}

impl CompiledStore for CompiledFiles {
    fn begin(&self, settings: &Hash) {
        if let Err(error) = self.settle(settings) {
            warn!("compiled contracts are not kept: {error}");
        }
    }

    fn load(&self, code: &CodeHash) -> Option<Vec<u8>> {
        match self.read(code) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!("a compiled contract cannot be read, it is compiled again: {error}");
                None
            }
        }
    }

    fn keep(&self, code: &CodeHash, bytes: &[u8]) {
        if let Err(error) = self.write(code, bytes) {
            warn!("a compiled contract cannot be kept, the next start compiles it again: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn code(number: u8) -> CodeHash {
        CodeHash([number; 32])
    }

    fn opened(directory: &Path, settings: u8) -> CompiledFiles {
        let files = CompiledFiles::open(directory).expect("opens");
        files.begin(&Hash([settings; 32]));
        files
    }

    fn path(files: &CompiledFiles, number: u8) -> PathBuf {
        files.path(&code(number).to_string()).expect("begun")
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
        let files = opened(&directory, 7);
        assert_eq!(files.load(&code(1)), None);
        files.keep(&code(1), b"one");
        files.keep(&code(1), b"one more");
        let mode = |path: &Path| fs::metadata(path).expect("there").mode() & 0o777;
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&path(&files, 1)), 0o600);
        let files = opened(&directory, 7);
        assert_eq!(files.load(&code(1)), Some(b"one more".to_vec()));
        assert_eq!(files_in(&directory), [Hash([7; 32]).to_string()]);
    }

    #[test]
    fn what_was_compiled_under_other_settings_is_removed() {
        let home = tempfile::tempdir().expect("a directory");
        opened(home.path(), 7).keep(&code(1), b"one");
        fs::write(home.path().join("README"), "not one of ours").expect("writable");
        let files = opened(home.path(), 8);
        assert_eq!(files.load(&code(1)), None);
        assert_eq!(
            files_in(home.path()),
            [Hash([8; 32]).to_string(), "README".to_owned()]
        );
    }

    #[test]
    fn what_vanishes_or_can_be_written_by_others_is_not_read() {
        let home = tempfile::tempdir().expect("a directory");
        let files = opened(home.path(), 7);
        for number in 1..=4 {
            files.keep(&code(number), &[number]);
        }
        fs::remove_file(path(&files, 1)).expect("it was there");
        let everybody = fs::Permissions::from_mode(0o666);
        fs::set_permissions(path(&files, 2), everybody.clone()).expect("ours");
        fs::rename(path(&files, 3), home.path().join("elsewhere")).expect("it was there");
        symlink("../elsewhere", path(&files, 3)).expect("a link");
        let loaded = [1, 2, 3, 4].map(|number| files.load(&code(number)));
        assert_eq!(loaded, [None, None, None, Some(vec![4])]);
        // What is compiled again takes the place of what was not to be trusted, whatever lies there
        // unfinished.
        let unfinished = files.path(UNFINISHED).expect("begun");
        fs::write(&unfinished, "half").expect("writable");
        fs::set_permissions(&unfinished, everybody).expect("ours");
        files.keep(&code(2), b"two");
        assert_eq!(files.load(&code(2)), Some(b"two".to_vec()));
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

    #[test]
    fn nothing_is_kept_where_it_could_not_begin() {
        let home = tempfile::tempdir().expect("a directory");
        let settings = Hash([7; 32]);
        fs::write(home.path().join(settings.to_string()), "a file").expect("writable");
        let files = opened(home.path(), 7);
        files.keep(&code(1), b"one");
        assert_eq!(files.load(&code(1)), None);
    }
}
