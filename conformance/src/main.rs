//! `conformance`: judges an OCI runtime by the runtime specification.
#![forbid(unsafe_code)]

use clap::Parser;
use mydocker_conformance::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run(cli::Args::parse()) {
        Ok(code) => code,
        Err(error) => cli::report_error(&error),
    }
}
