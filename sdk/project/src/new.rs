//! A new project, from `template/`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::name::ProjectName;
use crate::sdk::{SdkError, write_sdk};

/// Path in the project, and text. The template is called `contract-name`.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    (
        ".cargo/config.toml",
        include_str!("../template/cargo-config.toml.txt"),
    ),
    (".gitignore", include_str!("../template/gitignore.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    ("src/lib.rs", include_str!("../template/src/lib.rs")),
    ("tests/rules.rs", include_str!("../template/tests/rules.rs")),
];

/// Why no project was made.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// There is something already, and nothing is overwritten.
    #[error("{path} exists already")]
    Exists {
        /// The project's directory.
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
    /// The SDK could not be written.
    #[error(transparent)]
    Sdk(#[from] SdkError),
}

/// Makes the project in the directory `path`, which must not exist; its parent must.
///
/// # Errors
/// If there is something, or the system refuses. What had been made by then is removed.
pub fn create(path: &Path, name: &ProjectName) -> Result<(), NewError> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(NewError::Exists {
                path: path.to_owned(),
            });
        }
        Err(error) => {
            return Err(NewError::Io {
                path: path.to_owned(),
                error,
            });
        }
    }
    let made = write_files(path, name).and_then(|()| Ok(write_sdk(path)?));
    if made.is_err() {
        // The failure to write is what matters.
        let _ = fs::remove_dir_all(path);
    }
    made
}

fn write_files(project: &Path, name: &ProjectName) -> Result<(), NewError> {
    for (file, text) in FILES {
        let path = project.join(file);
        let folder = path.parent().unwrap_or(project);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, named(text, name)))
            .map_err(|error| NewError::Io {
                path: path.clone(),
                error,
            })?;
    }
    Ok(())
}

/// The text with the name in the template's place. In one pass: the name itself may contain that of
/// the template.
fn named(text: &str, name: &ProjectName) -> String {
    let names = [
        ("contract-name", name.to_string()),
        ("contract_name", name.library()),
        ("ContractName", name.type_name()),
    ];
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let found = names.iter().find_map(|(template, name)| {
            let behind = rest.strip_prefix(template)?;
            Some((name, behind))
        });
        rest = match found {
            Some((name, behind)) => {
                made.push_str(name);
                behind
            }
            None => {
                made.push(first);
                rest.get(first.len_utf8()..).unwrap_or_default()
            }
        };
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_where_the_template_s_was() {
        let name: ProjectName = "land-registry".parse().expect("is a name");
        for (file, text) in FILES {
            let text = named(text, &name);
            assert!(!text.to_lowercase().contains("contract_name"), "{file}");
            assert!(
                !text.contains("contract-name") && !text.contains("ContractName"),
                "{file}"
            );
        }
        assert!(named(FILES[4].1, &name).contains("impl LandRegistry {"));
    }

    #[test]
    fn a_name_that_contains_the_template_s_is_put_in_once() {
        let named = |name: &str| {
            let name: ProjectName = name.parse().expect("is a name");
            named("contract-name contract_name ContractName é", &name)
        };
        assert_eq!(
            named("my_contract_name"),
            "my_contract_name my_contract_name MyContractName é"
        );
        assert_eq!(
            named("a-contract-name"),
            "a-contract-name a_contract_name AContractName é"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let name: ProjectName = "x".parse().expect("is a name");
        let path = parent.path().join("x");
        fs::write(&path, "mine").expect("writes");
        assert!(matches!(create(&path, &name), Err(NewError::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).expect("is there"), "mine");
        let nowhere = parent.path().join("no/x");
        assert!(matches!(create(&nowhere, &name), Err(NewError::Io { .. })));
    }
}
