//! A new project, as its author finds it: outside of the repository, without a network, and with
//! nothing that cargo has fetched before.

use std::fs;
use std::path::Path;
use std::process::Command;

use chancery_project::{ProjectName, SdkState, compile, create, provide_sdk};

/// Cargo, with an empty home and forbidden to reach for the network.
fn cargo(project: &Path, home: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(project)
        .env("CARGO_HOME", home)
        .env("CARGO_NET_OFFLINE", "true")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS");
    cargo
}

/// As contracts/README.md tells it.
const BOTH: &str = r#"
use chancery_contract::TestEnv;
use elsewhere::LandRegistry;
use gate::Gate;

#[allow(dead_code)]
#[path = "../../elsewhere/src/lib.rs"]
mod elsewhere;

#[test]
fn one_is_deployed_beside_the_other() {
    let mut test = TestEnv::new();
    test.call(Gate::init);
    let registry = test.deploy::<LandRegistry, _>(LandRegistry::init);
    assert_ne!(registry, test.address());
}
"#;

/// The tests of a project know another one's contract by its sources.
fn another_knows_it(other: &Path) {
    let parent = other.parent().expect("has a parent");
    let gate = parent.join("gate");
    create(&gate, &"gate".parse().expect("is a name")).expect("is made");
    fs::write(gate.join("tests/both.rs"), BOTH).expect("writes");
    let mut test = cargo(&gate, &parent.join("home"));
    let test = test.args(["test", "--test", "both"]).output();
    let test = test.expect("cargo starts");
    let (out, err) = (
        String::from_utf8_lossy(&test.stdout),
        String::from_utf8_lossy(&test.stderr),
    );
    assert!(test.status.success(), "{out}\n{err}");
    assert!(
        out.contains("1 passed") && !err.contains("warning"),
        "{out}\n{err}"
    );
}

#[test]
fn a_new_project_passes_its_tests_and_compiles_without_a_network() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let project = directory.path().join("land-registry");
    let name: ProjectName = "land-registry".parse().expect("is a name");
    create(&project, &name).expect("is made");

    let mut test = cargo(&project, &directory.path().join("home"));
    let test = test.arg("test").output().expect("cargo starts");
    let (out, err) = (
        String::from_utf8_lossy(&test.stdout),
        String::from_utf8_lossy(&test.stderr),
    );
    assert!(test.status.success(), "{out}\n{err}");
    assert!(out.contains("6 passed; 0 failed"), "{out}");
    assert!(!err.contains("warning"), "{err}");
    assert!(project.join("Cargo.lock").is_file());

    // A clone: what git does not keep is brought back, and what is there is left alone.
    let provided = || provide_sdk(&project).expect("can be written");
    assert_eq!(provided(), SdkState::Kept);
    fs::write(project.join(".chancery/id"), "0.0.9 other\n").expect("writes");
    assert_eq!(provided(), SdkState::OtherVersion);
    fs::remove_dir_all(project.join(".chancery")).expect("removes");
    assert_eq!(provided(), SdkState::Provided);

    let compiled = compile(&project).expect("compiles");
    assert!(
        compiled
            .path
            .ends_with("target/contracts/land_registry.wasm")
    );
    let module = fs::read(&compiled.path).expect("a module");
    assert!(module.starts_with(b"\0asm") && module.len() < 65_536);

    // The same sources make the same module, wherever they lie.
    let elsewhere = directory.path().join("elsewhere");
    fs::rename(&project, &elsewhere).expect("moves");
    fs::remove_dir_all(elsewhere.join("target")).expect("removes");
    let moved = compile(&elsewhere).expect("compiles");
    let same = fs::read(&moved.path).expect("a module") == module;
    assert!(same, "the modules differ");
    another_knows_it(&elsewhere);

    fs::write(elsewhere.join("src/lib.rs"), "not Rust").expect("writes");
    let error = compile(&elsewhere).expect_err("does not compile");
    assert_eq!(error.to_string(), "the project does not compile");
}
