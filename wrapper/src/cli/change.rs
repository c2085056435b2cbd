//! Changing containers, and carrying files and images out of them: the commands and their dispatch.

use super::args_change::{RenameArgs, UpdateArgs};
use super::{Command, Outcome};
use crate::commands;
use crate::home::Home;
use mydocker_cmdline::{Entry, entry};

/// A command that changes containers, or carries something out of them.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum ChangeCommand {
    /// `rename`
    Rename(RenameArgs),
    /// `update`
    Update(UpdateArgs),
}

/// The commands.
pub(super) const CHANGE: &[Entry<Command>] = &[
    entry!("rename", "Give a container another name", RenameArgs, |args| Command::Change(
        ChangeCommand::Rename(args)
    )),
    entry!("update", "Change the limits of containers", UpdateArgs, |args| Command::Change(
        ChangeCommand::Update(args)
    )),
];

pub(super) fn dispatch(command: ChangeCommand, home: &Home) -> Outcome {
    match command {
        ChangeCommand::Rename(args) => commands::rename(&args, home),
        ChangeCommand::Update(args) => commands::update(&args, home),
    }
}
