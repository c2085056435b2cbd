//! What can be typed, as data. Nothing here looks at the environment or at the disk.

use clap::Args;
use std::path::PathBuf;

/// Flags before the command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct GlobalArgs {
    /// Directory of images, containers and volumes
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Directory of what is gone after a reboot: sockets, namespaces, the OCI runtime's state
    #[arg(long, value_name = "DIR")]
    pub runroot: Option<PathBuf>,
    /// OCI runtime of new containers: a name or a path
    #[arg(long, value_name = "PROGRAM")]
    pub runtime: Option<String>,
    /// Who makes the cgroups of new containers; systemd where it is process 1 and all controllers are v2's
    #[arg(long, value_name = "MANAGER", value_parser = ["cgroupfs", "systemd"])]
    pub cgroup_manager: Option<String>,
    /// Print the version
    #[arg(long, short)]
    pub version: bool,
}

/// A command with its arguments, by the part of the program that carries it out.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum Command {
    /// Those about the whole.
    System(super::SystemCommand),
    /// Those that make containers.
    Run(super::RunCommand),
    /// Those about the life of containers.
    Life(super::LifeCommand),
    /// Those that look at containers.
    Look(super::LookCommand),
    /// Those that change containers, or carry something out of them.
    Change(super::ChangeCommand),
    /// Those of the image tool.
    Image(super::ImageArgs),
    /// `network ...` and `port`
    Network(super::NetworkCommand),
    /// `volume ...`
    Volume(super::VolumeCommand),
}
