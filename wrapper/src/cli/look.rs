//! Looking at containers: the commands and their dispatch.

use super::args_look::{InspectArgs, PsArgs};
use super::{Command, Outcome};
use crate::commands::look;
use crate::home::Home;
use mydocker_cmdline::{Entry, entry};

/// A command that looks at containers.
#[derive(Debug, Clone, PartialEq)]
pub enum LookCommand {
    /// `inspect`
    Inspect(InspectArgs),
    /// `ps`
    Ps(PsArgs),
}

/// The commands.
pub(super) const LOOK: &[Entry<Command>] = &[
    entry!("ps", "List containers", PsArgs, |args| Command::Look(LookCommand::Ps(args))),
    entry!("inspect", "Tell all about containers, images, volumes and networks", InspectArgs, |args| {
        Command::Look(LookCommand::Inspect(args))
    }),
];

pub(super) fn dispatch(command: LookCommand, home: &Home) -> Outcome {
    match command {
        LookCommand::Inspect(args) => look::inspect(&args, home),
        LookCommand::Ps(args) => look::ps(&args, home),
    }
}
