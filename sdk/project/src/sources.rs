//! What the binary carries; `build.rs` puts it together.

use sha2::{Digest as _, Sha256};

/// A published package.
pub(crate) struct Crate {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// In hexadecimal, of the archive, as in Cargo.lock.
    pub(crate) sha256: &'static str,
    /// A compressed tar archive, as published.
    pub(crate) archive: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/sources.rs"));

/// The text of a file of the SDK.
pub(crate) fn sdk_file(path: &str) -> Option<&'static str> {
    SDK.iter()
        .find(|(name, _)| *name == path)
        .map(|(_, text)| *text)
}

/// Differs where anything that is carried differs.
pub(crate) fn id() -> String {
    let mut hash = Sha256::new();
    for (name, text) in SDK {
        for part in [name, text] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    for package in CRATES {
        hash.update(package.sha256);
    }
    format!(
        "{} {}\n",
        env!("CARGO_PKG_VERSION"),
        hex::encode(hash.finalize())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for package in CRATES {
            let hash = hex::encode(Sha256::digest(package.archive));
            assert_eq!(hash, package.sha256, "{}", package.name);
            assert!(lock.contains(&hash), "{}", package.name);
        }
    }

    #[test]
    fn only_what_contracts_need_is_carried() {
        let names: Vec<_> = CRATES.iter().map(|package| package.name).collect();
        let has = |name: &str| names.contains(&name);
        assert!(
            has("parity-scale-codec") && has("syn") && has("sha2"),
            "{names:?}"
        );
        for other in ["trybuild", "wasmtime", "tokio", "ed25519-dalek", "bitvec"] {
            assert!(!has(other), "{other} is not needed by a contract");
        }
        let bytes: usize = CRATES.iter().map(|package| package.archive.len()).sum();
        assert!(bytes < 5_000_000, "{bytes} bytes in every binary");
        assert!(sdk_file("sdk/contract/src/lib.rs").is_some());
        assert!(SDK.iter().all(|(path, _)| !path.contains("/tests/")));
    }
}
