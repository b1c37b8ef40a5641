//! A project's `.chancery/`: the SDK, and a cargo vendor directory of all that it depends on.
//!
//! ```text
//! .chancery/id                     what is in it
//! .chancery/sdk/contract/          the SDK and its macros, each a package by itself
//! .chancery/vendor/NAME-VERSION/   the published packages, unchanged
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use toml::{Table, Value};

use crate::sources::{CRATES, Crate, SDK, id, sdk_file};

/// The folder, in a project.
const FOLDER: &str = ".chancery";
/// The SDK, in the folder.
const CONTRACT: &str = "sdk/contract";
/// Says what is in the folder.
const ID: &str = "id";

/// What was found of the SDK in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SdkState {
    /// It was there.
    Kept,
    /// It was missing, and is there now.
    Provided,
    /// It is there, as another version of this program brought it.
    OtherVersion,
    /// The project takes its packages from elsewhere.
    NotUsed,
}

/// The SDK could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// Something else stands where the SDK is to be; it is left alone.
    #[error("{path} is in the way: it is not the SDK of a project")]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> SdkError {
    let path = path.to_owned();
    move |error| SdkError::Io { path, error }
}

/// Sees to it that a project has the SDK that its manifest names. What is there is never replaced:
/// another version of the SDK makes another module.
///
/// # Errors
/// If the directory cannot be written.
pub fn provide_sdk(project: &Path) -> Result<SdkState, SdkError> {
    let manifest = fs::read_to_string(project.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains(&format!("{FOLDER}/sdk")) {
        return Ok(SdkState::NotUsed);
    }
    let folder = project.join(FOLDER);
    match fs::read_to_string(folder.join(ID)) {
        Ok(there) if there == id() => Ok(SdkState::Kept),
        Ok(_) => Ok(SdkState::OtherVersion),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_sdk(project).map(|()| SdkState::Provided)
        }
        Err(error) => Err(at(&folder)(error)),
    }
}

/// Writes the folder, whole or not at all. What is there is replaced only if it is a part of an SDK.
pub(crate) fn write_sdk(project: &Path) -> Result<(), SdkError> {
    let folder = project.join(FOLDER);
    // A home has a folder of that name as well, with keys in it.
    if folder.exists() && !folder.join(CONTRACT).join("Cargo.toml").is_file() {
        return Err(SdkError::NotOurs { path: folder });
    }
    let new = project.join(format!("{FOLDER}.new-{}", std::process::id()));
    let made = write_files(&new).and_then(|()| {
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(at(&folder))?;
        }
        fs::rename(&new, &folder).map_err(at(&folder))
    });
    if made.is_err() {
        // What failed is what matters.
        let _ = fs::remove_dir_all(&new);
    }
    made
}

fn write_files(new: &Path) -> Result<(), SdkError> {
    for (path, text) in SDK {
        let Some(path) = path.strip_prefix("sdk/") else {
            continue;
        };
        let path = new.join("sdk").join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        let text = match path.ends_with("Cargo.toml") {
            true => standing_alone(text),
            false => (*text).to_owned(),
        };
        fs::write(&path, text).map_err(at(&path))?;
    }
    for package in CRATES {
        unpack(package, &new.join("vendor"))?;
    }
    fs::write(new.join(ID), id()).map_err(at(new))
}

fn unpack(package: &Crate, vendor: &Path) -> Result<(), SdkError> {
    let folder = vendor.join(format!("{}-{}", package.name, package.version));
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let mut archive = tar::Archive::new(GzDecoder::new(package.archive));
    archive.set_preserve_mtime(false);
    archive.unpack(vendor).map_err(at(&folder))?;
    let checksum = format!("{{\"files\":{{}},\"package\":\"{}\"}}", package.sha256);
    let file = folder.join(".cargo-checksum.json");
    fs::write(&file, checksum).map_err(at(&file))
}

/// A manifest of the SDK without its workspace: what it inherits is written out, and what only its
/// own tests and lints need is left out.
fn standing_alone(manifest: &str) -> String {
    let parsed = |text: &str| -> Table { toml::from_str(text).expect("cargo has read it as well") };
    let root = parsed(sdk_file("Cargo.toml").expect("is carried"));
    let workspace = root.get("workspace").and_then(Value::as_table);
    let workspace = workspace.expect("the repository is a workspace");
    let mut manifest = parsed(manifest);
    manifest.remove("lints");
    manifest.remove("dev-dependencies");
    inherit(&mut manifest, "package", workspace.get("package"));
    inherit(&mut manifest, "dependencies", workspace.get("dependencies"));
    if let Some(Value::Table(targets)) = manifest.get_mut("target") {
        for (_, target) in targets.iter_mut() {
            if let Value::Table(target) = target {
                inherit(target, "dependencies", workspace.get("dependencies"));
            }
        }
    }
    toml::to_string(&manifest).expect("a table is TOML")
}

/// Puts what the workspace says in the place of each `workspace = true` of a section.
fn inherit(manifest: &mut Table, section: &str, from: Option<&Value>) {
    let Some(Value::Table(section)) = manifest.get_mut(section) else {
        return;
    };
    for (name, value) in section.iter_mut() {
        let Value::Table(own) = value else { continue };
        if own.remove("workspace").is_none() {
            continue;
        }
        let inherited = from.and_then(|from| from.get(name)).cloned();
        *value = match inherited.expect("cargo has resolved it as well") {
            Value::Table(mut table) => {
                // The two packages of the SDK stay one below the other.
                if let Some(Value::String(path)) = table.get_mut("path") {
                    *path = path.replace("sdk/contract/", "");
                }
                table.extend(std::mem::take(own));
                Value::Table(table)
            }
            plain if own.is_empty() => plain,
            version => {
                let mut table = std::mem::take(own);
                table.insert("version".to_owned(), version);
                Value::Table(table)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_an_sdk_is_left_alone() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let manifest =
            "[dependencies]\nchancery-contract = { path = \".chancery/sdk/contract\" }\n";
        fs::write(home.path().join("Cargo.toml"), manifest).expect("writes");
        let key = home.path().join(".chancery/keys/me.key");
        fs::create_dir_all(key.parent().expect("has one")).expect("can be made");
        fs::write(&key, "secret").expect("writes");
        let error = provide_sdk(home.path()).expect_err("is in the way");
        assert!(matches!(error, SdkError::NotOurs { .. }), "{error}");
        assert_eq!(fs::read_to_string(&key).expect("is there"), "secret");
        assert_eq!(fs::read_dir(home.path()).expect("reads").count(), 2);
    }

    #[test]
    fn manifests_stand_alone() {
        for (path, text) in SDK {
            if !path.ends_with("Cargo.toml") || *path == "Cargo.toml" {
                continue;
            }
            let alone = standing_alone(text);
            assert!(!alone.contains("workspace"), "{path}: {alone}");
            assert!(!alone.contains("dev-dependencies"), "{path}: {alone}");
            assert!(alone.contains("version = \"0.1.0\""), "{path}: {alone}");
        }
        let contract = standing_alone(sdk_file("sdk/contract/Cargo.toml").expect("is carried"));
        assert!(contract.contains("path = \"macros\""), "{contract}");
    }
}
