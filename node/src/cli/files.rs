//! Files that people name: read whole only up to a limit, never replaced.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use chancery_ledger::Hash;
use sha2::{Digest as _, Sha256};

use super::CliError;

fn io_error(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("{}: {error}", path.display())).code("file")
}

/// Opens what can be read to its end: files and pipes.
fn open(path: &Path) -> Result<File, CliError> {
    let file = File::open(path).map_err(|error| io_error(path, &error))?;
    let kind = file
        .metadata()
        .map_err(|error| io_error(path, &error))?
        .file_type();
    if kind.is_file() || kind.is_fifo() {
        Ok(file)
    } else {
        Err(CliError::usage(format!("{} is not a file", path.display())).code("file"))
    }
}

/// The contents of a file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| io_error(path, &error))?;
    if bytes.len() > bytes_max {
        let message = format!(
            "{} has more than {bytes_max} bytes, the most that is read here",
            path.display()
        );
        return Err(CliError::usage(message).code("file_too_long"));
    }
    Ok(bytes)
}

/// The same as text.
pub(crate) fn read_text(path: &Path, bytes_max: usize) -> Result<String, CliError> {
    String::from_utf8(read(path, bytes_max)?)
        .map_err(|_| CliError::usage(format!("{} is not UTF-8 text", path.display())).code("file"))
}

/// SHA-256 of a file of any length.
pub(crate) fn sha256(path: &Path) -> Result<Hash, CliError> {
    let mut file = open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 65_536];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Hash(hasher.finalize().into())),
            Ok(count) => hasher.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error(path, &error)),
        }
    }
}

/// Refuses to go on where `path` is taken already.
pub(crate) fn must_be_free(path: &Path) -> Result<(), CliError> {
    if path.symlink_metadata().is_ok() {
        return Err(
            CliError::usage(format!("{} exists already", path.display()))
                .code("file_exists")
                .hint("nothing is overwritten: choose another name, or remove it first"),
        );
    }
    Ok(())
}

/// Makes a new file, durably; on failure nothing stays behind.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    must_be_free(path)?;
    let mut file = File::create_new(path).map_err(|error| io_error(path, &error))?;
    if let Err(error) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // The failure to write is what matters.
        let _ = std::fs::remove_file(path);
        return Err(io_error(path, &error));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_within_limits_and_made_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("file");
        create(&path, b"abc").expect("is free");
        assert_eq!(read(&path, 3).expect("three bytes"), b"abc");
        assert_eq!(read(&path, 2).expect_err("too long").code, "file_too_long");
        assert_eq!(create(&path, b"x").expect_err("taken").code, "file_exists");
        assert_eq!(
            sha256(&path).expect("a file").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        std::fs::write(&path, [0xff]).expect("writes");
        assert!(read_text(&path, 10).is_err());
        for bad in [
            directory.path(),
            Path::new("/dev/zero"),
            Path::new("/nowhere/x"),
        ] {
            assert!(
                read(bad, 10).is_err() && sha256(bad).is_err(),
                "{}",
                bad.display()
            );
        }
    }
}
