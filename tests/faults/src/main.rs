//! `fault-sweep`: every fault at every point of a runtime's commands.

#![forbid(unsafe_code)]

use clap::Parser;
use mydocker_faults::command_line::{self, Args};
use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let all_good = command_line::sweep(&Args::parse(), &mut std::io::stdout().lock())?;
    Ok(if all_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
