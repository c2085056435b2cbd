//! `bench`: measures container runtimes side by side, interleaved, on one machine.

#![forbid(unsafe_code)]

mod arena;
mod bundle;
mod cli;
mod counter;
mod engines;
mod executor;
mod group;
mod images;
mod measure;
mod meter;
mod plot;
mod report;
mod runtime;
mod targets;
mod workload;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main(&cli::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::complain(&error),
    }
}
