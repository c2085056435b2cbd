//! `conformance-probe`: the program in a container under test; it tells what it sees.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mydocker_conformance::probe::main(std::env::args().collect())
}
