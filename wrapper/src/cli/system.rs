//! About the whole: the commands and their dispatch.

use super::args_look::EventsArgs;
use super::args_system::{
    CompletionArgs, ContainerPruneArgs, InfoArgs, ManArgs, SystemCheckArgs, SystemDfArgs, SystemPruneArgs,
    VersionArgs,
};
use super::look::LookCommand;
use super::{Command, Outcome, describe};
use crate::commands::system;
use crate::home::Home;
use mydocker_cmdline::{Entry, Program, entry, group};

/// A command about the whole.
#[derive(Debug, Clone, PartialEq)]
pub enum SystemCommand {
    /// `system check`
    Check(SystemCheckArgs),
    /// `completion`
    Completion(CompletionArgs),
    /// `system df`
    Df(SystemDfArgs),
    /// `info`
    Info(InfoArgs),
    /// `man`
    Man(ManArgs),
    /// `system prune`
    Prune(SystemPruneArgs),
    /// `container prune`
    ContainerPrune(ContainerPruneArgs),
    /// `version`
    Version(VersionArgs),
}

const INFO: Entry<Command> =
    entry!("info", "Tell what there is", InfoArgs, |args| Command::System(SystemCommand::Info(args)))
        .with_example("mydocker info");

/// The commands.
pub(super) const SYSTEM: &[Entry<Command>] = &[
    group!("system", "Tell what everything takes, remove what nobody needs, check and mend", GROUP),
    INFO,
    entry!("version", "Say which versions work together here", VersionArgs, |args| Command::System(
        SystemCommand::Version(args)
    ))
    .with_example("mydocker version --format json"),
    entry!("completion", "Print what makes a shell complete command lines", CompletionArgs, |args| {
        Command::System(SystemCommand::Completion(args))
    })
    .with_example("mydocker completion bash > /etc/bash_completion.d/mydocker"),
    entry!("man", "Write the manual pages", ManArgs, |args| Command::System(SystemCommand::Man(args)))
        .with_example("mydocker man /usr/local/share/man/man1"),
];

const GROUP: Program<Command> =
    Program { name: "mydocker system", about: "Looks after the whole", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    entry!(
        "check",
        "Find what killed commands and reboots have left and what is wrong with images, and mend it",
        SystemCheckArgs,
        |args| Command::System(SystemCommand::Check(args))
    )
    .with_example("mydocker system check --repair"),
    entry!("df", "Tell what images, containers and volumes take", SystemDfArgs, |args| Command::System(
        SystemCommand::Df(args)
    ))
    .with_example("mydocker system df -v"),
    entry!("events", "Tell what happens", EventsArgs, |args| Command::Look(LookCommand::Events(args)))
        .with_example("mydocker system events --since 10m"),
    INFO,
    entry!("prune", "Remove what nobody needs", SystemPruneArgs, |args| Command::System(
        SystemCommand::Prune(args)
    ))
    .with_example("mydocker system prune --volumes"),
];

/// The one of the group of containers that is nowhere else.
pub(super) const CONTAINER_PRUNE: &[Entry<Command>] =
    &[entry!("prune", "Remove all stopped containers", ContainerPruneArgs, |args| Command::System(
        SystemCommand::ContainerPrune(args)
    ))
    .with_example("mydocker container prune --filter until=24h")];

pub(super) fn dispatch(command: SystemCommand, home: &Home) -> Outcome {
    match command {
        SystemCommand::Check(args) => system::check(&args, home),
        SystemCommand::ContainerPrune(args) => system::container_prune(&args, home),
        SystemCommand::Completion(args) => describe::completion(&args),
        SystemCommand::Df(args) => system::df(&args, home),
        SystemCommand::Info(args) => system::info(&args, home),
        SystemCommand::Man(args) => describe::man(&args),
        SystemCommand::Prune(args) => system::prune(&args, home),
        SystemCommand::Version(args) => system::version(&args, home),
    }
}
