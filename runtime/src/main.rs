//! The `mydocker-runtime` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mydocker_runtime::cli::main_entry()
}
