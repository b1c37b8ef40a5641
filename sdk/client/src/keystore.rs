//! Named secret keys in a directory, one file each: `NAME.key`, PKCS #8 in PEM (RFC 8410), which
//! `openssl pkey` reads and `openssl genpkey -algorithm ed25519` writes.
//!
//! A key file is made with mode 0600 and never replaced; one that others can read, or that is a
//! symbolic link, is refused.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chancery_ledger::validators::{NAME_BYTES_MAX, is_name};
use chancery_ledger::{AccountId, SecretKey};
use zeroize::Zeroizing;

const FILE_BYTES_MAX: u64 = 1024;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// RFC 8410: a PrivateKeyInfo of version 0 whose algorithm is id-Ed25519; the seed follows.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// Not a name of a key.
    #[error(
        "{name:?} cannot name a key: 1 to {NAME_BYTES_MAX} characters out of a-z, 0-9, '.', '-', '_' are allowed, the first not '.' or '-'"
    )]
    Name {
        /// What was given, shortened.
        name: String,
    },
    /// The name is taken.
    #[error("a key named {name:?} exists already: {}", .path.display())]
    Exists {
        /// The name.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// No such key.
    #[error("there is no key named {name:?} in {}", .directory.display())]
    Missing {
        /// The name.
        name: String,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Others can read it.
    #[error("{} can be read by others (mode {mode:04o}): `chmod 600` it if that was an accident, else make a new key", .path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A link, a directory or a device.
    #[error("{} is not a regular file", .path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Not a key.
    #[error("{} does not hold an Ed25519 secret key in PKCS #8 PEM", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system has no random numbers.
    #[error("no random numbers: {reason}")]
    NoRandomness {
        /// Why.
        reason: String,
    },
}

/// One key of a store, without its secret.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its account, or why it cannot be used.
    pub account: Result<AccountId, KeyStoreError>,
}

/// A directory of named keys. Nothing is touched until it is asked for a key.
#[derive(Debug, Clone)]
pub struct KeyStore {
    directory: PathBuf,
}

impl KeyStore {
    /// The store in `directory`, which is made when the first key is.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Where the keys are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file of a key.
    ///
    /// # Errors
    /// [`KeyStoreError::Name`].
    pub fn path(&self, name: &str) -> Result<PathBuf, KeyStoreError> {
        if !is_name(name) {
            return Err(KeyStoreError::Name {
                name: name.chars().take(80).collect(),
            });
        }
        Ok(self.directory.join(format!("{name}.key")))
    }

    /// Draws a key and keeps it under a name that is free, durably.
    ///
    /// # Errors
    /// The first rule broken, or the system's failure; no file is left behind then.
    pub fn create(&self, name: &str) -> Result<SecretKey, KeyStoreError> {
        let path = self.path(name)?;
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| KeyStoreError::NoRandomness {
            reason: error.to_string(),
        })?;
        let key = SecretKey::from_seed(&seed);
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyStoreError::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(io(&self.directory))?;
        let mut file = match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyStoreError::Exists {
                    name: name.to_owned(),
                    path,
                });
            }
            Err(error) => return Err(io(&path)(error)),
        };
        let written = file
            .write_all(encode(&key).as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| File::open(&self.directory)?.sync_all());
        if let Err(error) = written {
            // The failure to write is what matters; an empty file that stays would say the rest.
            let _ = fs::remove_file(&path);
            return Err(io(&path)(error));
        }
        Ok(key)
    }

    /// Takes a key out of the store for good.
    ///
    /// # Errors
    /// If it is not there or the system fails.
    pub fn remove(&self, name: &str) -> Result<(), KeyStoreError> {
        let path = self.path(name)?;
        fs::remove_file(&path).map_err(|source| self.io_error(name, path, source))
    }

    /// The key of that name.
    ///
    /// # Errors
    /// The first rule that its file breaks, or the system's failure.
    pub fn load(&self, name: &str) -> Result<SecretKey, KeyStoreError> {
        let path = self.path(name)?;
        let io = |source| self.io_error(name, path.clone(), source);
        let seen = fs::symlink_metadata(&path).map_err(io)?;
        if !seen.is_file() {
            return Err(KeyStoreError::NotAFile { path });
        }
        let file = File::open(&path).map_err(io)?;
        let opened = file.metadata().map_err(io)?;
        if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
            return Err(KeyStoreError::NotAFile { path });
        }
        let mode = opened.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyStoreError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .map_err(io)?;
        decode(&text).ok_or(KeyStoreError::Malformed { path })
    }

    /// Every key, sorted by name. A store that does not exist has none.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeyStoreError> {
        let io = |source| KeyStoreError::Io {
            path: self.directory.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut keys = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            let name = path
                .file_name()
                .and_then(|file| file.to_str()?.strip_suffix(".key"))
                .filter(|name| is_name(name));
            if let Some(name) = name.map(str::to_owned) {
                let account = self.load(&name).map(|key| key.account());
                keys.push(KeyEntry {
                    name,
                    path,
                    account,
                });
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(keys)
    }

    fn io_error(&self, name: &str, path: PathBuf, source: io::Error) -> KeyStoreError {
        if source.kind() == io::ErrorKind::NotFound {
            KeyStoreError::Missing {
                name: name.to_owned(),
                directory: self.directory.clone(),
            }
        } else {
            KeyStoreError::Io { path, source }
        }
    }
}

fn encode(key: &SecretKey) -> Zeroizing<String> {
    let mut der = Zeroizing::new(PKCS8_PREFIX.to_vec());
    der.extend_from_slice(key.seed().as_ref());
    let body = Zeroizing::new(BASE64.encode(&*der));
    Zeroizing::new(format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", *body))
}

fn decode(text: &[u8]) -> Option<SecretKey> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    let body = text.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?;
    let der = Zeroizing::new(BASE64.decode(body.trim()).ok()?);
    let seed: &[u8; 32] = der.strip_prefix(&PKCS8_PREFIX)?.try_into().ok()?;
    Some(SecretKey::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn store() -> (tempfile::TempDir, KeyStore) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = KeyStore::new(directory.path().join("keys"));
        (directory, store)
    }

    #[test]
    fn a_key_comes_back_and_only_its_owner_can_read_it() {
        let (_directory, store) = store();
        let made = store.create("hospital").expect("creates");
        let mode = |path: &Path| fs::metadata(path).expect("is there").mode() & 0o777;
        let path = store.path("hospital").expect("a name");
        assert_eq!((mode(&path), mode(store.directory())), (0o600, 0o700));
        let loaded = store.load("hospital").expect("loads");
        assert_eq!(loaded.account(), made.account());
    }

    #[test]
    fn a_name_is_used_once() {
        let (_directory, store) = store();
        let made = store.create("hospital").expect("creates");
        let error = store.create("hospital").expect_err("taken");
        assert!(matches!(error, KeyStoreError::Exists { .. }), "{error}");
        let loaded = store.load("hospital").expect("loads");
        assert_eq!(loaded.account(), made.account());
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_directory, store) = store();
        for name in [
            "",
            "../x",
            "a/b",
            ".hidden",
            "Ärzte",
            "a b",
            "-x",
            &"x".repeat(65),
        ] {
            let error = store.create(name).expect_err("not a name");
            assert!(
                matches!(error, KeyStoreError::Name { .. }),
                "{name}: {error}"
            );
        }
        assert!(!store.directory().exists(), "nothing was made");
    }

    #[test]
    fn keys_that_others_can_read_are_refused() {
        let (_directory, store) = store();
        store.create("hospital").expect("creates");
        let path = store.path("hospital").expect("a name");
        for mode in [0o640, 0o604, 0o660, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            let error = store.load("hospital").expect_err("exposed");
            assert!(matches!(error, KeyStoreError::Exposed { .. }), "{error}");
        }
    }

    #[test]
    fn links_directories_and_nonsense_are_refused() {
        let (_directory, store) = store();
        store.create("hospital").expect("creates");
        let target = store.path("hospital").expect("a name");
        symlink(&target, store.path("link").expect("a name")).expect("links");
        fs::create_dir(store.path("directory").expect("a name")).expect("makes");
        for name in ["link", "directory"] {
            let error = store.load(name).expect_err("not a file");
            assert!(matches!(error, KeyStoreError::NotAFile { .. }), "{error}");
        }
        let good = fs::read_to_string(&target).expect("reads");
        let path = store.path("nonsense").expect("a name");
        for bad in [
            String::new(),
            "x".repeat(5000),
            good.replace("MC4C", "MC4D"),
            good.replace("PRIVATE", "PUBLIC"),
            good.lines().take(2).collect(),
        ] {
            let _ = fs::remove_file(&path);
            fs::write(&path, bad).expect("writes");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
            let error = store.load("nonsense").expect_err("not a key");
            assert!(matches!(error, KeyStoreError::Malformed { .. }), "{error}");
        }
        let listed = store.list().expect("lists");
        let names: Vec<(&str, bool)> = listed
            .iter()
            .map(|key| (key.name.as_str(), key.account.is_ok()))
            .collect();
        assert_eq!(
            names,
            [
                ("directory", false),
                ("hospital", true),
                ("link", false),
                ("nonsense", false)
            ]
        );
    }

    #[test]
    fn a_store_that_does_not_exist_is_empty() {
        let (_directory, store) = store();
        assert!(store.list().expect("lists").is_empty());
        let error = store.load("hospital").expect_err("missing");
        assert!(matches!(error, KeyStoreError::Missing { .. }), "{error}");
        let error = store.remove("hospital").expect_err("missing");
        assert!(matches!(error, KeyStoreError::Missing { .. }), "{error}");
    }

    #[test]
    fn the_file_is_what_openssl_writes() {
        // openssl genpkey -algorithm ed25519, with the seed of RFC 8032's test 1.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let key = decode(pem.as_bytes()).expect("a key");
        assert_eq!(
            hex::encode(key.account().0),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        assert_eq!(*encode(&key), pem);
    }
}
