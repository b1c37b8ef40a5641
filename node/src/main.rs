//! The `chancery` binary.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    chancery_node::cli::main()
}
