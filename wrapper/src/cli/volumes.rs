//! `volume ...`: the commands and their dispatch.

use super::args_volume::{VolumeCreateArgs, VolumeInspectArgs, VolumeLsArgs, VolumePruneArgs, VolumeRmArgs};
use super::{Command, Outcome};
use crate::commands::volumes;
use crate::home::Home;
use mydocker_cmdline::{Entry, Program, entry, group};

/// A command about volumes.
#[derive(Debug, Clone, PartialEq)]
pub enum VolumeCommand {
    /// `volume create`
    Create(VolumeCreateArgs),
    /// `volume inspect`
    Inspect(VolumeInspectArgs),
    /// `volume ls`
    Ls(VolumeLsArgs),
    /// `volume prune`
    Prune(VolumePruneArgs),
    /// `volume rm`
    Rm(VolumeRmArgs),
}

/// The group.
pub(super) const VOLUMES: &[Entry<Command>] = &[group!("volume", "Keep data apart from containers", GROUP)];

const GROUP: Program<Command> =
    Program { name: "mydocker volume", about: "Keeps data apart from containers", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    entry!("create", "Make a volume", VolumeCreateArgs, |args| Command::Volume(VolumeCommand::Create(args)))
        .with_example("mydocker volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch"),
    entry!("inspect", "Tell all about volumes", VolumeInspectArgs, |args| Command::Volume(
        VolumeCommand::Inspect(args)
    ))
    .with_example("mydocker volume inspect -f '{{.Mountpoint}}' data"),
    entry!("ls", "List volumes", VolumeLsArgs, |args| Command::Volume(VolumeCommand::Ls(args)))
        .with_example("mydocker volume ls --filter dangling=true"),
    entry!("prune", "Remove volumes that no container has", VolumePruneArgs, |args| Command::Volume(
        VolumeCommand::Prune(args)
    ))
    .with_example("mydocker volume prune --all"),
    entry!("rm", "Remove volumes", VolumeRmArgs, |args| Command::Volume(VolumeCommand::Rm(args)))
        .with_example("mydocker volume rm data"),
];

pub(super) fn dispatch(command: VolumeCommand, home: &Home) -> Outcome {
    match command {
        VolumeCommand::Create(args) => volumes::create(&args, home),
        VolumeCommand::Inspect(args) => volumes::inspect(&args, home),
        VolumeCommand::Ls(args) => volumes::ls(&args, home),
        VolumeCommand::Prune(args) => volumes::prune(&args, home),
        VolumeCommand::Rm(args) => volumes::rm(&args, home),
    }
}
