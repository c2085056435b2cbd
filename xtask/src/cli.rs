//! The command line: the only module of this crate that prints.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::rootfs::{self, Kind};
use crate::tidy;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check the rules of the house over every file of the tree
    Tidy,
    /// Make a root file system, from a cached archive when there is one
    Rootfs {
        #[command(subcommand)]
        kind: Recipe,
    },
}

#[derive(Debug, Subcommand)]
enum Recipe {
    /// A minimal Debian 12, made by mmdebstrap
    Debian(Destination),
    /// A single static busybox and a link for each of its commands
    Busybox(Destination),
}

#[derive(Debug, clap::Args)]
struct Destination {
    /// Directory to make; it is left as it is when it already holds this root file system
    directory: PathBuf,
}

/// Does what the command line asks.
///
/// # Errors
///
/// Whatever the chore met; a tree that is not tidy is no error but a failing exit code.
pub fn run(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Tidy => check_tree(),
        Command::Rootfs { kind } => {
            let (kind, destination) = match kind {
                Recipe::Debian(destination) => (Kind::Debian, destination),
                Recipe::Busybox(destination) => (Kind::Busybox, destination),
            };
            rootfs::make(kind, &destination.directory)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Prints an error with its causes and gives the exit code for it.
#[must_use]
pub fn report(error: &anyhow::Error) -> ExitCode {
    match writeln!(io::stderr(), "xtask: {error:#}") {
        Ok(()) => ExitCode::FAILURE,
        Err(_closed) => ExitCode::from(2),
    }
}

fn check_tree() -> Result<ExitCode> {
    let tree = tidy::Tree::load(crate::workspace())?;
    let findings = tidy::check(&tree);
    let mut out = io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    if findings.is_empty() {
        writeln!(out, "tidy: {} files, nothing to mend", tree.len())?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "tidy: {} findings", findings.len())?;
    Ok(ExitCode::FAILURE)
}
