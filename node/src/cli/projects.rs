//! `contract new`, `contract build`: projects of contracts.

use std::path::{Path, PathBuf};

use chancery_project::{
    CompileError, NewError, ProjectName, SdkState, compile, create, provide_sdk,
};
use serde_json::json;

use super::args::{BuildArgs, NewArgs};
use super::checks::{Limits, MODULE_BYTES_MAX, percent, report_json};
use super::context::Context;
use super::output::grouped;
use super::{CliError, Report, Rows, files};

/// `chancery contract new`.
pub(super) fn new(args: &NewArgs) -> Result<Report, CliError> {
    let name: ProjectName = args.name.parse().map_err(|error| {
        CliError::usage(format!("no project was made: {error}"))
            .code("project_name")
            .hint("a name is like land-registry: it becomes a package and a file")
    })?;
    let directory = args.dir.clone();
    let directory = directory.unwrap_or_else(|| PathBuf::from(name.to_string()));
    create(&directory, &name).map_err(|error| not_made(&error, &directory))?;
    let mut rows = Rows::default();
    let shown = directory.display();
    rows.add("project", format!("{name}, in {shown}"))
        .add("contract", "src/lib.rs, yours to change")
        .add("tests", "tests/rules.rs")
        .add("next", format!("cd {shown}"))
        .add("", "cargo test")
        .add("", "chancery contract build");
    Ok(Report::new(
        rows.to_text(),
        json!({ "name": name.to_string(), "directory": directory, "library": name.library() }),
    ))
}

fn not_made(error: &NewError, directory: &Path) -> CliError {
    let message = format!("no project was made: {error}");
    match error {
        NewError::Exists { .. } => CliError::usage(message)
            .code("file_exists")
            .hint("nothing is overwritten: choose another name or --dir, or remove it first"),
        NewError::Io { path, error } if path == directory => CliError::usage(format!(
            "no project was made: the directory {} cannot be made: {error}",
            path.display()
        ))
        .code("io"),
        NewError::Io { .. } | NewError::Sdk(_) => CliError::failed("io", message),
    }
}

/// `chancery contract build`.
pub(super) fn build(context: &Context, args: &BuildArgs) -> Result<Report, CliError> {
    let limits = Limits::of(context, args.genesis.as_deref())?;
    let sdk = provide_sdk(&args.dir).map_err(|error| CliError::failed("io", error.to_string()))?;
    if sdk == SdkState::Provided {
        let words = "the SDK was missing, and is in .chancery/ again";
        context.output().progress(words);
    }
    let compiled = compile(&args.dir).map_err(|error| not_compiled(&error))?;
    let wasm = files::read(&compiled.path, MODULE_BYTES_MAX)?;
    let path = from_here(&compiled.path);
    let report = limits
        .judge(&wasm)
        .map_err(|error| error.detail("module", path.display().to_string()))?;
    let mut rows = Rows::default();
    rows.add("module", path.display());
    let bytes = report
        .limits
        .iter()
        .find(|limit| limit.name == "code_bytes_max");
    if let Some(bytes) = bytes {
        let (used, used_max) = (grouped(bytes.used), grouped(bytes.used_max));
        let part = percent(bytes);
        rows.add(
            "size",
            format!("{used} bytes, {part}% of the {used_max} allowed"),
        );
    }
    rows.add("code", report.code);
    rows.add("compiler", &compiled.compiler);
    if sdk == SdkState::OtherVersion {
        let words = "in .chancery/, of another version of chancery; remove it to get this one's";
        rows.add("sdk", words);
    }
    rows.add(
        "check",
        format!("may be deployed; limits: {}", limits.whose),
    );
    rows.add(
        "next",
        format!("chancery contract deploy {} --from NAME", path.display()),
    );
    let mut json = report_json(&report, &limits);
    json["module"] = json!(path);
    json["compiler"] = json!(compiled.compiler);
    Ok(Report::new(rows.to_text(), json))
}

fn not_compiled(error: &CompileError) -> CliError {
    let message = error.to_string();
    match error {
        CompileError::NoProject { .. } => CliError::usage(message)
            .code("no_project")
            .hint("`chancery contract new NAME` makes a project; --dir DIR names one elsewhere"),
        CompileError::NoRust { .. } => CliError::failed("no_rust", message)
            .hint("install Rust from https://rustup.rs, or with your system's packages"),
        CompileError::NoTarget { rustup: true, .. } => CliError::failed("no_wasm_target", message)
            .hint("install it: rustup target add wasm32v1-none"),
        CompileError::NoTarget { rustup: false, .. } => {
            CliError::failed("no_wasm_target", message).hint(
                "this Rust is not rustup's; on Debian: apt-get install rustc-web cargo-web rust-web-src; elsewhere take Rust from https://rustup.rs, then: rustup target add wasm32v1-none",
            )
        }
        CompileError::Failed => CliError::usage(message)
            .code("not_compiled")
            .hint("cargo's words above say where. Where `cargo test` compiles: a contract has `core` and `alloc`, but no `std`, so no clock, file or thread"),
        CompileError::NoModule => CliError::usage(message)
            .code("no_module")
            .hint("Cargo.toml wants, under [lib]: crate-type = [\"cdylib\", \"rlib\"]"),
        CompileError::Io { .. } => CliError::failed("io", message),
    }
}

/// The path as seen from this directory, if it is below.
fn from_here(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let below = here
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_cannot_compile_is_told_what_to_install() {
        for (rustup, expected) in [(true, "rustup target add"), (false, "apt-get install")] {
            let compiler = "rustc 1.95.0".to_owned();
            let error = not_compiled(&CompileError::NoTarget { compiler, rustup });
            assert_eq!(error.code, "no_wasm_target");
            assert!(error.hint.is_some_and(|hint| hint.contains(expected)));
        }
    }

    #[test]
    fn what_exists_is_refused_and_stays() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let args = NewArgs {
            name: "x".to_owned(),
            dir: Some(directory.path().to_owned()),
        };
        let error = new(&args).expect_err("exists");
        assert_eq!(
            (error.code.as_str(), directory.path().is_dir()),
            ("file_exists", true)
        );
    }
}
