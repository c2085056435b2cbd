//! Looking at containers: the commands and their dispatch.

use super::args_look::{EventsArgs, InspectArgs, PsArgs, StatsArgs, TopArgs};
use super::{Command, Outcome};
use crate::commands::look;
use crate::home::Home;
use mydocker_cmdline::{Entry, FlagsEnd, entry};

/// A command that looks at containers.
#[derive(Debug, Clone, PartialEq)]
pub enum LookCommand {
    /// `events`
    Events(EventsArgs),
    /// `inspect`
    Inspect(InspectArgs),
    /// `ps`
    Ps(PsArgs),
    /// `stats`
    Stats(StatsArgs),
    /// `top`
    Top(TopArgs),
}

/// The commands.
pub(super) const LOOK: &[Entry<Command>] = &[
    entry!("ps", "List containers", PsArgs, |args| Command::Look(LookCommand::Ps(args)))
        .with_example("mydocker ps -a --filter status=exited"),
    entry!("inspect", "Tell all about containers, images, volumes and networks", InspectArgs, |args| {
        Command::Look(LookCommand::Inspect(args))
    })
    .with_example("mydocker inspect -f '{{.State.Status}}' web"),
    entry!(
        "top",
        "List the processes of a container",
        TopArgs,
        |args| Command::Look(LookCommand::Top(args)),
        FlagsEnd::FirstArgument
    )
    .with_example("mydocker top web -o pid,cmd"),
    entry!("stats", "Show what containers use", StatsArgs, |args| Command::Look(LookCommand::Stats(args)))
        .with_example("mydocker stats --no-stream"),
    entry!("events", "Tell what happens", EventsArgs, |args| Command::Look(LookCommand::Events(args)))
        .with_example("mydocker events --since 10m --filter container=web"),
];

pub(super) fn dispatch(command: LookCommand, home: &Home) -> Outcome {
    match command {
        LookCommand::Events(args) => look::events(&args, home),
        LookCommand::Inspect(args) => look::inspect(&args, home),
        LookCommand::Ps(args) => look::ps(&args, home),
        LookCommand::Stats(args) => look::stats(&args, home),
        LookCommand::Top(args) => look::top(&args, home),
    }
}
