//! The `mydocker-runtime` program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    mydocker_runtime::cli::main_entry()
}
