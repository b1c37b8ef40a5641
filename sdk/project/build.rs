//! Finds what a contract's project needs to be compiled without a network: the SDK's own sources,
//! and every package that they depend on, as published (`.crate`), in cargo's own cache. Cargo has
//! checked each against Cargo.lock when it fetched it; what is not there was never built either.
//!
//! Writes `sources.rs` with two lists, of packages and of files, which `src/sources.rs` includes.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The packages that a contract imports, directly or through the other.
const SDK: [&str; 2] = ["chancery-contract", "chancery-contract-macros"];
/// Where they are, and what of each is needed.
const SDK_FOLDERS: [&str; 2] = ["sdk/contract", "sdk/contract/macros"];
/// Stands in Cargo.lock because other crates of the workspace ask for features of parity-scale-codec
/// that mention it; the SDK asks for none of them, and nothing ever builds it.
const NOT_NEEDED: [&str; 1] = ["bitvec"];

#[derive(Debug, Default, Clone)]
struct Package {
    name: String,
    version: String,
    checksum: Option<String>,
    /// `name`, or `name version` where the name alone would not do.
    dependencies: Vec<String>,
}

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here.join("../..").canonicalize().expect("is there");
    let lock = read(&root.join("Cargo.lock"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_HOME");

    let mut code = String::from("pub(crate) static CRATES: &[Crate] = &[\n");
    let caches = caches();
    for package in closure(&packages(&lock), &root) {
        let (name, version) = (&package.name, &package.version);
        let checksum = package.checksum.unwrap_or_default();
        let file = find(&caches, &format!("{name}-{version}.crate"));
        let _ = writeln!(
            code,
            "Crate {{ name: {name:?}, version: {version:?}, sha256: {checksum:?}, \
             archive: include_bytes!({file:?}) }},",
        );
    }
    code.push_str("];\npub(crate) static SDK: &[(&str, &str)] = &[\n");
    for file in sdk_files(&root) {
        let path = root.join(&file);
        println!("cargo::rerun-if-changed={}", path.display());
        let _ = writeln!(code, "({file:?}, include_str!({path:?})),");
    }
    code.push_str("];\n");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("sources.rs"), code).expect("cargo's own directory can be written");
}

fn read(path: &Path) -> String {
    println!("cargo::rerun-if-changed={}", path.display());
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The value of a line `key = "value"`.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let value = line.strip_prefix(key)?.strip_prefix(" = ")?;
    Some(value.trim_matches('"'))
}

/// What cargo writes into its lock file, a line each.
fn packages(lock: &str) -> Vec<Package> {
    let mut packages = Vec::new();
    for entry in lock.split("[[package]]\n").skip(1) {
        let mut package = Package::default();
        for line in entry.lines() {
            if let Some(name) = value(line, "name") {
                name.clone_into(&mut package.name);
            } else if let Some(version) = value(line, "version") {
                version.clone_into(&mut package.version);
            } else if let Some(checksum) = value(line, "checksum") {
                package.checksum = Some(checksum.to_owned());
            } else if let Some(dependency) = line.strip_prefix(" \"") {
                let dependency = dependency.trim_end_matches("\",");
                package.dependencies.push(dependency.to_owned());
            }
        }
        packages.push(package);
    }
    packages
}

/// The names under `[dependencies]` and `[target.'…'.dependencies]`: the lock file does not tell
/// them from those of tests.
fn imports(manifest: &str) -> BTreeSet<String> {
    let mut listed = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            listed = section == "dependencies]" || section.ends_with(".dependencies]");
        } else if listed && let Some(end) = line.find(['.', ' ', '=']) {
            names.extend(line.get(..end).map(str::to_owned));
        }
    }
    names
}

/// Every package that the SDK needs, without the SDK, by name and version.
fn closure(packages: &[Package], root: &Path) -> Vec<Package> {
    let named = |name: &str| {
        let mut words = name.split(' ');
        let (name, version) = (words.next(), words.next());
        let found = packages.iter().find(|package| {
            Some(package.name.as_str()) == name
                && version.is_none_or(|version| package.version == version)
        });
        found.unwrap_or_else(|| panic!("Cargo.lock lacks {name:?}"))
    };
    let mut open = Vec::new();
    for (name, folder) in SDK.iter().zip(SDK_FOLDERS) {
        let imports = imports(&read(&root.join(folder).join("Cargo.toml")));
        let dependencies = &named(name).dependencies;
        let name_of = |dependency: &&String| dependency.split(' ').next().map(str::to_owned);
        let imported = dependencies
            .iter()
            .filter(|dependency| name_of(dependency).is_some_and(|name| imports.contains(&name)));
        open.extend(imported.cloned());
    }
    let mut found = BTreeMap::new();
    while let Some(name) = open.pop() {
        let package = named(&name);
        if SDK.contains(&package.name.as_str()) || NOT_NEEDED.contains(&package.name.as_str()) {
            continue;
        }
        let id = (package.name.clone(), package.version.clone());
        if found.insert(id, package.clone()).is_none() {
            open.extend(package.dependencies.iter().cloned());
        }
    }
    found.into_values().collect()
}

/// Where cargo keeps the packages it has fetched, one directory for each registry.
fn caches() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let cache = home.expect("cargo has a home").join("registry/cache");
    let Ok(entries) = fs::read_dir(&cache) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn find(caches: &[PathBuf], file: &str) -> PathBuf {
    let places = caches.iter().map(|cache| cache.join(file));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{file} is not in cargo's cache ($CARGO_HOME/registry/cache), from where it goes into \
             the binary: `cargo fetch --locked` brings it"
        )
    })
}

/// The SDK's manifests and sources, with paths from the root; its tests stay behind.
fn sdk_files(root: &Path) -> Vec<String> {
    let mut files = vec!["Cargo.toml".to_owned()];
    for folder in SDK_FOLDERS {
        files.push(format!("{folder}/Cargo.toml"));
        let sources = format!("{folder}/src");
        println!("cargo::rerun-if-changed={}", root.join(&sources).display());
        add_files(root, &sources, &mut files);
    }
    files.sort();
    files
}

fn add_files(root: &Path, folder: &str, files: &mut Vec<String>) {
    let entries = fs::read_dir(root.join(folder)).expect("a folder of the repository");
    for entry in entries {
        let entry = entry.expect("a file of the repository");
        let name = entry
            .file_name()
            .into_string()
            .expect("our names are plain");
        let path = format!("{folder}/{name}");
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_files(root, &path, files);
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
}
