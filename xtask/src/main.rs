//! `cargo xtask COMMAND`: the project's own chores.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match xtask::cli::run(xtask::cli::Args::parse()) {
        Ok(code) => code,
        Err(error) => xtask::cli::report(&error),
    }
}
