//! Changing containers, and carrying files and images out of them: the commands and their dispatch.

use super::args_change::{CommitArgs, CpArgs, DiffArgs, ExportArgs, RenameArgs, UpdateArgs};
use super::refused::OF_UPDATE;
use super::{Command, Outcome};
use crate::commands::{self, carry};
use crate::home::Home;
use mydocker_cmdline::{Entry, entry};

/// A command that changes containers, or carries something out of them.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum ChangeCommand {
    /// `commit`
    Commit(CommitArgs),
    /// `cp`
    Cp(CpArgs),
    /// `diff`
    Diff(DiffArgs),
    /// `export`
    Export(ExportArgs),
    /// `rename`
    Rename(RenameArgs),
    /// `update`
    Update(UpdateArgs),
}

/// The commands.
pub(super) const CHANGE: &[Entry<Command>] = &[
    entry!("cp", "Copy files between a container and the host", CpArgs, |args| Command::Change(
        ChangeCommand::Cp(args)
    ))
    .with_example("mydocker cp web:/var/log/app.log ."),
    entry!("diff", "List the files that a container has changed", DiffArgs, |args| Command::Change(
        ChangeCommand::Diff(args)
    ))
    .with_example("mydocker diff web"),
    entry!("commit", "Make an image of what a container has changed", CommitArgs, |args| Command::Change(
        ChangeCommand::Commit(args)
    ))
    .with_example("mydocker commit -m 'with my settings' web my-web:1"),
    entry!("export", "Write all files of a container to a tar", ExportArgs, |args| Command::Change(
        ChangeCommand::Export(args)
    ))
    .with_example("mydocker export -o web.tar web"),
    entry!("rename", "Give a container another name", RenameArgs, |args| Command::Change(
        ChangeCommand::Rename(args)
    ))
    .with_example("mydocker rename web old-web"),
    entry!("update", "Change the limits of containers", UpdateArgs, |args| Command::Change(
        ChangeCommand::Update(args)
    ))
    .with_example("mydocker update --memory 200m --cpus 1.5 web")
    .with_refused(OF_UPDATE),
];

pub(super) fn dispatch(command: ChangeCommand, home: &Home) -> Outcome {
    match command {
        ChangeCommand::Commit(args) => carry::commit(&args, home),
        ChangeCommand::Cp(args) => carry::cp(&args, home),
        ChangeCommand::Diff(args) => carry::diff(&args, home),
        ChangeCommand::Export(args) => carry::export(&args, home),
        ChangeCommand::Rename(args) => commands::rename(&args, home),
        ChangeCommand::Update(args) => commands::update(&args, home),
    }
}
