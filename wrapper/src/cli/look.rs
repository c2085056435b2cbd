//! Looking at containers: the commands and their dispatch.

use super::args_look::PsArgs;
use super::{Command, Outcome};
use crate::commands::look;
use crate::home::Home;
use mydocker_cmdline::{Entry, entry};

/// A command that looks at containers.
#[derive(Debug, Clone, PartialEq)]
pub enum LookCommand {
    /// `ps`
    Ps(PsArgs),
}

/// The commands.
pub(super) const LOOK: &[Entry<Command>] =
    &[entry!("ps", "List containers", PsArgs, |args| Command::Look(LookCommand::Ps(args)))];

pub(super) fn dispatch(command: LookCommand, home: &Home) -> Outcome {
    match command {
        LookCommand::Ps(args) => look::ps(&args, home),
    }
}
