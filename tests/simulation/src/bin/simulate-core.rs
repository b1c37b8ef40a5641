//! `simulate` with core nodes only: needs neither the node nor the Wasm engine to be built.

fn main() -> std::process::ExitCode {
    chancery_simulation::command::main(None)
}
