//! The command line: the only module of this crate that prints.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{self, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::rootfs::{self, Kind};
use crate::tidy;
use crate::vm::{End, Image, Machine, Payload, machine, payload, suite};

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
    /// A virtual machine with cgroup v2 alone, systemd as process 1, all capabilities, and no network
    Vm {
        #[command(subcommand)]
        what: Vm,
    },
}

#[derive(Debug, Subcommand)]
enum Vm {
    /// Make the machine's image, or see that the cached one is up to date
    Build,
    /// Start the machine, run a command in it, and exit with its status
    Run {
        #[command(flatten)]
        files: Files,
        /// How many seconds the machine may take in all; it is killed then
        #[arg(long, value_name = "SECONDS", default_value_t = 600)]
        timeout: u64,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Build the black-box tests and the conformance suite, and run in it what the profiles for the machine choose
    Test {
        /// How many seconds the machine may take in all; it is killed then
        #[arg(long, value_name = "SECONDS", default_value_t = 3000)]
        timeout: u64,
        /// Rounds of scripts/vm-suite.sh, and words for nextest after them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Start the machine with its console on this terminal (Ctrl-A X ends it at once)
    Shell(Files),
}

#[derive(Debug, clap::Args)]
struct Files {
    /// Copy a file or directory into the machine, where it has the same path
    #[arg(long = "with", value_name = "PATH")]
    with: Vec<PathBuf>,
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
        Command::Vm { what } => vm(what),
    }
}

fn vm(what: Vm) -> Result<ExitCode> {
    match what {
        Vm::Build => drop(Image::cached()?),
        Vm::Run { files, timeout, command } => {
            let mut payload = handed_in(&files)?;
            payload.command(&format!("#!/bin/sh\nexec {}\n", payload::quoted(&command)))?;
            return start(&payload, Duration::from_secs(timeout));
        }
        Vm::Test { timeout, arguments } => {
            return start(&suite::payload(&arguments)?, Duration::from_secs(timeout));
        }
        Vm::Shell(files) => Machine::new(Image::cached()?, &handed_in(&files)?)?.at_the_terminal()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn handed_in(files: &Files) -> Result<Payload> {
    let mut payload = Payload::new()?;
    for path in &files.with {
        payload.add(&path::absolute(path)?)?;
    }
    Ok(payload)
}

/// Runs the payload's command in the machine, and says on standard error why there is no status of it, if so.
fn start(payload: &Payload, limit: Duration) -> Result<ExitCode> {
    let image = Image::cached()?;
    let console = image.root().with_file_name("console.log");
    let (end, log) = Machine::new(image, payload)?.run(limit)?;
    machine::keep(&log, &console)?;
    let what = match end {
        End::Exited(status) => return Ok(ExitCode::from(status)),
        End::Vanished => "went down without telling how its command ended".to_owned(),
        End::TimedOut => format!("did not end within {} s, and was killed", limit.as_secs()),
    };
    let (tail, console) = (log.tail(50), console.display());
    writeln!(io::stderr(), "{tail}\nxtask: the machine {what}; its console's log is in {console}")?;
    Ok(ExitCode::FAILURE)
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
