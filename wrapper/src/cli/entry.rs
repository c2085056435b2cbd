//! From the process's arguments to its exit status.

use super::{
    Command, GlobalArgs, change, containers, images, life, look, networks, refused, run as making, system,
    volumes,
};
use crate::home::{Home, Wishes};
use crate::rootless;
use mydocker_cmdline::{Program, Request, UsageError, one_line, print};
use mydocker_img::cli::chain;
use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

const PROGRAM: Program<Command> = Program {
    name: "mydocker",
    about: "Runs programs in containers",
    commands: &[
        making::RUN,
        life::LIFE,
        look::LOOK,
        change::CHANGE,
        images::IMAGES,
        networks::NETWORKS,
        networks::PORT,
        volumes::VOLUMES,
        containers::CONTAINERS,
        system::SYSTEM,
        refused::REFUSED,
    ],
};

/// What a command leads to: the exit status.
pub type Outcome = Result<u8, Failure>;

/// Why a command failed, and the status that says so: 125 is this program's own, 126 and 127 are about the container's
/// program, 1 is for commands that only look or change.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub error: Box<dyn Error>,
    /// The exit status.
    pub status: u8,
}

impl Failure {
    /// This program's own, as far as a container is to be run.
    #[must_use]
    pub fn own(error: impl Into<Box<dyn Error>>) -> Self {
        Self { error: error.into(), status: 125 }
    }

    /// Of what was typed: as docker has it, a flag that is wrong is 125, and everything else 1.
    fn of_words(error: UsageError) -> Self {
        match error {
            UsageError::Arguments { .. } => Self::own(error),
            UsageError::Count { .. } | UsageError::UnknownCommand { .. } => error.into(),
        }
    }
}

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), status: 1 }
    }
}

/// Runs the program with the arguments and the environment of this process.
#[must_use]
pub fn main_entry() -> ExitCode {
    match run(std::env::args_os().skip(1)) {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            complain(&*failure.error);
            ExitCode::from(failure.status)
        }
    }
}

fn run(words: impl IntoIterator<Item = OsString>) -> Outcome {
    let (global, rest) = PROGRAM.parse_global::<GlobalArgs>(words).map_err(Failure::of_words)?;
    if global.version {
        print(&format!("{} version {}\n", PROGRAM.name, env!("CARGO_PKG_VERSION")))?;
        return Ok(0);
    }
    match PROGRAM.parse_command::<GlobalArgs>(rest).map_err(Failure::of_words)? {
        Request::Print(text) => Ok(print(&text).map(|()| 0)?),
        Request::Command(command) => {
            let GlobalArgs { root, runroot, runtime, cgroup_manager, .. } = global;
            let wishes = Wishes { root, run_root: runroot, runtime, cgroup_manager };
            let home = Home::find(wishes).map_err(Failure::own)?;
            rootless::enter(&home).map_err(Failure::own)?;
            dispatch(command, &home)
        }
    }
}

/// All that can be typed.
pub(super) fn described() -> clap::Command {
    PROGRAM.described::<GlobalArgs>()
}

fn dispatch(command: Command, home: &Home) -> Outcome {
    match command {
        Command::System(command) => system::dispatch(command, home),
        Command::Run(command) => making::dispatch(command, home),
        Command::Change(command) => change::dispatch(command, home),
        Command::Image(args) => images::dispatch(&args, home),
        Command::Life(command) => life::dispatch(command, home),
        Command::Look(command) => look::dispatch(command, home),
        Command::Network(command) => networks::dispatch(command, home),
        Command::Volume(command) => volumes::dispatch(command, home),
    }
}

/// Prints the chain of errors in one line; what strangers put into it cannot reach the terminal as it is.
pub(super) fn complain(error: &(dyn Error + 'static)) {
    let mut text = chain(error);
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        text.push_str("; ");
        text.push_str(usage.hint());
    }
    // When standard error is closed there is nobody left to tell.
    writeln!(std::io::stderr(), "{}: {}", PROGRAM.name, one_line(&text)).unwrap_or_default();
}
