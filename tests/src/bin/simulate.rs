//! `simulate`: whole nodes, or core ones with `--core`, through a faulty world.

fn main() -> std::process::ExitCode {
    chancery_simulation::command::main(Some(chancery_tests::whole::KIND))
}
