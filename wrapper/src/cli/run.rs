//! The commands that make containers, and their dispatch.

use super::refused::OF_RUN;
use super::{Command, CreateArgs, Outcome, RunArgs};
use crate::commands;
use crate::home::Home;
use mydocker_cmdline::{Entry, FlagsEnd, entry};

/// A command that makes containers.
#[derive(Debug, Clone, PartialEq)]
pub enum RunCommand {
    /// `create`
    Create(CreateArgs),
    /// `run`
    Run(RunArgs),
}

/// Those that there are.
pub(super) const RUN: &[Entry<Command>] = &[
    entry!(
        "run",
        "Run a command in a new container",
        RunArgs,
        |args| Command::Run(RunCommand::Run(args)),
        FlagsEnd::FirstArgument
    )
    .with_example("mydocker run --rm -ti /bin/sh")
    .with_refused(OF_RUN),
    entry!(
        "create",
        "Make a container without starting it",
        CreateArgs,
        |args| Command::Run(RunCommand::Create(args)),
        FlagsEnd::FirstArgument
    )
    .with_example("mydocker create --name web -p 8080:80 nginx")
    .with_refused(OF_RUN),
];

pub(super) fn dispatch(command: RunCommand, home: &Home) -> Outcome {
    match command {
        RunCommand::Create(args) => commands::create(&args, home),
        RunCommand::Run(args) => commands::run(&args, home),
    }
}
