//! From a project to its module.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// How cargo is to compile; scripts/build-contracts hands the same file to it.
const CONFIG: &str = include_str!("../wasm.toml");
/// Where modules are put, from the project's directory.
const MODULES: &str = "target/contracts";
const WASM: &str = "wasm32v1-none";
const WASM_OF_DEBIAN: &str = "wasm32-unknown-unknown";

/// A module that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// Where it is.
    pub path: PathBuf,
    /// `rustc --version` of what made it.
    pub compiler: String,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The directory is not that of a package.
    #[error("{path} is not the directory of a project: it has no Cargo.toml")]
    NoProject {
        /// The directory.
        path: PathBuf,
    },
    /// There is no Rust on this machine.
    #[error("cargo or rustc cannot be started: {error}")]
    NoRust {
        /// The system's words.
        error: io::Error,
    },
    /// There is Rust, but it cannot compile to Wasm.
    #[error("{compiler} cannot compile to WebAssembly: the target {WASM} is not installed")]
    NoTarget {
        /// `rustc --version`.
        compiler: String,
        /// Whether rustup manages it.
        rustup: bool,
    },
    /// Cargo has said why, on stderr.
    #[error("the project does not compile")]
    Failed,
    /// It compiled, but to no module.
    #[error("the project is not a library of the type cdylib, so no module was made")]
    NoModule,
    /// The system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
}

/// What compiles.
struct Toolchain {
    cargo: PathBuf,
    target: &'static str,
    sysroot: PathBuf,
    compiler: String,
    debian: bool,
}

/// Compiles the project in `project`; cargo's own words go to stderr.
///
/// # Errors
/// If the machine cannot, or the project does not compile.
pub fn compile(project: &Path) -> Result<Compiled, CompileError> {
    let project = &fs::canonicalize(project).unwrap_or_else(|_| project.to_owned());
    if !project.join("Cargo.toml").is_file() {
        let path = project.clone();
        return Err(CompileError::NoProject { path });
    }
    let toolchain = find_toolchain(project)?;
    let modules = project.join(MODULES);
    let config = modules.join(".wasm.toml");
    fs::create_dir_all(&modules)
        .and_then(|()| fs::write(&config, CONFIG))
        .map_err(|error| CompileError::Io {
            path: config.clone(),
            error,
        })?;
    let made = run_cargo(project, &toolchain, &config)?;
    let path = modules.join(made.file_name().ok_or(CompileError::NoModule)?);
    if let Err(error) = put(&made, &path) {
        return Err(CompileError::Io { path, error });
    }
    Ok(Compiled {
        path,
        compiler: toolchain.compiler,
    })
}

/// Copies the module to its place. It is as new there as this call, whether cargo had anything to do
/// or not: tests judge by that whether its sources have changed since.
fn put(made: &Path, path: &Path) -> io::Result<()> {
    // Renamed into place, so that a reader never sees half a module.
    let new = path.with_extension("wasm.new");
    fs::copy(made, &new)?;
    fs::rename(&new, path)
}

/// As scripts/build-contracts does: rustup's target, else Debian's Rust with its library's sources.
fn find_toolchain(project: &Path) -> Result<Toolchain, CompileError> {
    let sysroot = PathBuf::from(said_by("rustc", &["--print", "sysroot"], project)?);
    let compiler = said_by("rustc", &["--version"], project)?;
    let only_debian = std::env::var_os("CHANCERY_WASM").is_some_and(|value| value == "debian");
    let library = sysroot.join("lib/rustlib").join(WASM).join("lib");
    if !only_debian && library.is_dir() {
        return Ok(Toolchain {
            cargo: PathBuf::from("cargo"),
            target: WASM,
            sysroot,
            compiler,
            debian: false,
        });
    }
    let there = |path: &str| Path::new(path).exists();
    let parts = [
        "/usr/lib/rustlib/src/rust/library",
        "/usr/bin/rustc",
        "/usr/bin/cargo",
    ];
    if parts.into_iter().all(there) {
        return Ok(Toolchain {
            cargo: PathBuf::from("/usr/bin/cargo"),
            target: WASM_OF_DEBIAN,
            sysroot,
            compiler: said_by("/usr/bin/rustc", &["--version"], project)?,
            debian: true,
        });
    }
    let rustup = said_by("rustup", &["--version"], project).is_ok();
    Err(CompileError::NoTarget { compiler, rustup })
}

fn said_by(program: &str, args: &[&str], project: &Path) -> Result<String, CompileError> {
    let mut command = Command::new(program);
    let output = command.args(args).current_dir(project).output();
    let output = output.map_err(|error| CompileError::NoRust { error })?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let error = io::Error::other(words);
        return Err(CompileError::NoRust { error });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn command(project: &Path, toolchain: &Toolchain, config: &Path) -> Command {
    let target = toolchain.target;
    let mut command = Command::new(&toolchain.cargo);
    command
        .args([
            "build",
            "--lib",
            "--profile",
            "contract",
            "--target",
            target,
        ])
        .args(["--message-format", "json-render-diagnostics", "--config"])
        .arg(config)
        .args(["--config", &remapped(project, target)])
        .current_dir(project)
        // They would take the place of the flags in the file.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    if toolchain.debian {
        let linkers = toolchain.sysroot.join("lib/rustlib");
        let hosts = fs::read_dir(linkers).into_iter().flatten().flatten();
        let mut linkers = hosts.map(|host| host.path().join("bin/rust-lld"));
        command
            .arg("-Zbuild-std=core,alloc")
            .env("RUSTC", "/usr/bin/rustc")
            .env("RUSTC_BOOTSTRAP", "1");
        if let Some(linker) = linkers.find(|linker| linker.is_file()) {
            command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }
    command
}

/// No paths of this machine are in a module: the same sources make the same one everywhere.
fn remapped(project: &Path, target: &str) -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let flag = |path: &Path, name: &str| format!("--remap-path-prefix={}={name}", path.display());
    let mut flags = vec![flag(project, "project")];
    flags.extend(home.map(|home| flag(&home, "cargo")));
    let flags = flags.into_iter().map(toml::Value::String).collect();
    format!("target.{target}.rustflags={}", toml::Value::Array(flags))
}

/// The module, where cargo made it.
fn run_cargo(
    project: &Path,
    toolchain: &Toolchain,
    config: &Path,
) -> Result<PathBuf, CompileError> {
    let mut cargo = command(project, toolchain, config)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| CompileError::NoRust { error })?;
    let stdout = cargo.stdout.take().expect("is piped");
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let made = lines.filter_map(|line| module_of(&line, project)).last();
    match cargo.wait() {
        Ok(status) if status.success() => made.ok_or(CompileError::NoModule),
        Ok(_) => Err(CompileError::Failed),
        Err(error) => Err(CompileError::NoRust { error }),
    }
}

/// The module, if cargo says in that line that it made the project's own.
fn module_of(line: &str, project: &Path) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let manifest = Path::new(message["manifest_path"].as_str()?);
    if manifest.parent() != Some(project) {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let mut paths = files
        .iter()
        .filter_map(|file| Some(PathBuf::from(file.as_str()?)));
    paths.find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_directory_without_a_package_is_no_project() {
        let empty = tempfile::tempdir().expect("a temporary directory");
        let error = compile(empty.path());
        assert!(
            matches!(error, Err(CompileError::NoProject { .. })),
            "{error:?}"
        );
    }

    #[test]
    fn a_module_is_new_even_where_cargo_made_it_before() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [made, source, path] =
            ["made.wasm", "lib.rs", "module.wasm"].map(|name| directory.path().join(name));
        let long_ago = SystemTime::now() - Duration::from_secs(1_000);
        fs::write(&made, "the same").expect("writes");
        fs::copy(&made, &path).expect("copies");
        for old in [&made, &path] {
            let file = File::options().write(true).open(old).expect("opens");
            file.set_modified(long_ago).expect("is set");
        }
        fs::write(&source, "// changed").expect("writes");
        put(&made, &path).expect("is put there");
        let changed = |file| fs::metadata(file).and_then(|file| file.modified());
        let [source, module] = [&source, &path].map(|file| changed(file).expect("is known"));
        assert!(module >= source, "{source:?} {module:?}");
    }

    #[test]
    fn paths_of_this_machine_are_renamed_whatever_is_in_them() {
        let flags = remapped(Path::new("/a \"b\""), WASM);
        let parsed: toml::Table = toml::from_str(&flags).expect("is TOML");
        let flags = &parsed["target"][WASM]["rustflags"];
        let first = flags.as_array().and_then(|flags| flags.first());
        let expected = "--remap-path-prefix=/a \"b\"=project";
        assert_eq!(first.and_then(toml::Value::as_str), Some(expected));
    }

    #[test]
    fn only_the_project_s_own_module_counts() {
        let project = Path::new("/p");
        let line = |manifest: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"{manifest}","filenames":["/t/a.rlib","/t/a.wasm"]}}"#
            )
        };
        let module = Some(PathBuf::from("/t/a.wasm"));
        assert_eq!(module_of(&line("/p/Cargo.toml"), project), module);
        assert_eq!(
            module_of(&line("/p/.chancery/sdk/contract/Cargo.toml"), project),
            None
        );
        assert_eq!(module_of("{\"reason\":\"build-finished\"}", project), None);
        assert_eq!(module_of("warning: not JSON", project), None);
    }
}
