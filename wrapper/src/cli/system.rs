//! About the whole: the commands and their dispatch.

use super::args_look::EventsArgs;
use super::args_system::{
    ContainerPruneArgs, InfoArgs, SystemCheckArgs, SystemDfArgs, SystemPruneArgs, VersionArgs,
};
use super::look::LookCommand;
use super::{Command, Outcome};
use crate::commands::system;
use crate::home::Home;
use mydocker_cmdline::{Entry, Program, entry, group};

/// A command about the whole.
#[derive(Debug, Clone, PartialEq)]
pub enum SystemCommand {
    /// `system check`
    Check(SystemCheckArgs),
    /// `system df`
    Df(SystemDfArgs),
    /// `info`
    Info(InfoArgs),
    /// `system prune`
    Prune(SystemPruneArgs),
    /// `container prune`
    ContainerPrune(ContainerPruneArgs),
    /// `version`
    Version(VersionArgs),
}

const INFO: Entry<Command> =
    entry!("info", "Tell what there is", InfoArgs, |args| Command::System(SystemCommand::Info(args)));

/// The commands.
pub(super) const SYSTEM: &[Entry<Command>] = &[
    group!("system", "Tell what everything takes, remove what nobody needs, check and mend", GROUP),
    INFO,
    entry!("version", "Say which versions work together here", VersionArgs, |args| Command::System(
        SystemCommand::Version(args)
    )),
];

const GROUP: Program<Command> =
    Program { name: "mydocker system", about: "Looks after the whole", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    entry!(
        "check",
        "Find what killed commands and reboots have left, and mend it",
        SystemCheckArgs,
        |args| Command::System(SystemCommand::Check(args))
    ),
    entry!("df", "Tell what images, containers and volumes take", SystemDfArgs, |args| Command::System(
        SystemCommand::Df(args)
    )),
    entry!("events", "Tell what happens", EventsArgs, |args| Command::Look(LookCommand::Events(args))),
    INFO,
    entry!("prune", "Remove what nobody needs", SystemPruneArgs, |args| Command::System(
        SystemCommand::Prune(args)
    )),
];

/// The one of the group of containers that is nowhere else.
pub(super) const CONTAINER_PRUNE: &[Entry<Command>] =
    &[entry!("prune", "Remove all stopped containers", ContainerPruneArgs, |args| Command::System(
        SystemCommand::ContainerPrune(args)
    ))];

pub(super) fn dispatch(command: SystemCommand, home: &Home) -> Outcome {
    match command {
        SystemCommand::Check(args) => system::check(&args, home),
        SystemCommand::ContainerPrune(args) => system::container_prune(&args, home),
        SystemCommand::Df(args) => system::df(&args, home),
        SystemCommand::Info(args) => system::info(&args, home),
        SystemCommand::Prune(args) => system::prune(&args, home),
        SystemCommand::Version(args) => system::version(&args, home),
    }
}
