//! `container ...`: the commands about containers once more, sorted under one word.

use super::args_look::{InspectArgs, PsArgs, StatsArgs, TopArgs};
use super::look::LookCommand;
use super::{Command, change, life, networks, run, system};
use mydocker_cmdline::{Entry, FlagsEnd, Program, entry, group};

/// The group.
pub(super) const CONTAINERS: &[Entry<Command>] =
    &[group!("container", "The commands about containers, sorted under one word", GROUP)];

const GROUP: Program<Command> = Program {
    name: "mydocker container",
    about: "Makes, runs, looks at and removes containers",
    commands: &[run::RUN, life::LIFE, LOOK, change::CHANGE, networks::PORT, system::CONTAINER_PRUNE],
};

const LOOK: &[Entry<Command>] = &[
    entry!("ls", "List containers", PsArgs, |args| Command::Look(LookCommand::Ps(args)))
        .with_example("mydocker container ls -a"),
    entry!("ps", "List containers", PsArgs, |args| Command::Look(LookCommand::Ps(args)))
        .with_example("mydocker container ps"),
    entry!("inspect", "Tell all about containers", InspectArgs, |args| Command::Look(LookCommand::Inspect(
        InspectArgs { kind: Some("container".to_owned()), ..args }
    )))
    .with_example("mydocker container inspect web"),
    entry!(
        "top",
        "List the processes of a container",
        TopArgs,
        |args| Command::Look(LookCommand::Top(args)),
        FlagsEnd::FirstArgument
    )
    .with_example("mydocker container top web"),
    entry!("stats", "Show what containers use", StatsArgs, |args| Command::Look(LookCommand::Stats(args)))
        .with_example("mydocker container stats"),
];
