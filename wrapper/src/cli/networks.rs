//! `network ...` and `port`: the commands and their dispatch.

use super::args_network::{
    NetworkConnectArgs, NetworkCreateArgs, NetworkDisconnectArgs, NetworkInspectArgs, NetworkLsArgs,
    NetworkPruneArgs, NetworkRmArgs, PortArgs,
};
use super::refused::{OF_NETWORK_CONNECT, OF_NETWORK_CREATE, OF_NETWORK_INSPECT};
use super::{Command, Outcome};
use crate::commands::networks;
use crate::home::Home;
use mydocker_cmdline::{Entry, Program, entry, group};

/// A command about networks.
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkCommand {
    /// `network connect`
    Connect(NetworkConnectArgs),
    /// `network create`
    Create(NetworkCreateArgs),
    /// `network disconnect`
    Disconnect(NetworkDisconnectArgs),
    /// `network inspect`
    Inspect(NetworkInspectArgs),
    /// `network ls`
    Ls(NetworkLsArgs),
    /// `network prune`
    Prune(NetworkPruneArgs),
    /// `network rm`
    Rm(NetworkRmArgs),
    /// `port`
    Port(PortArgs),
}

/// The group.
pub(super) const NETWORKS: &[Entry<Command>] =
    &[group!("network", "Connect containers with each other", GROUP)];

/// What is about networks beside the group.
pub(super) const PORT: &[Entry<Command>] =
    &[entry!("port", "Show which ports of the host lead to a container", PortArgs, |args| Command::Network(
        NetworkCommand::Port(args)
    ))
    .with_example("mydocker port web 80")];

const GROUP: Program<Command> =
    Program { name: "mydocker network", about: "Connects containers with each other", commands: &[IN_GROUP] };

const IN_GROUP: &[Entry<Command>] = &[
    entry!("connect", "Put a container on a network", NetworkConnectArgs, |args| Command::Network(
        NetworkCommand::Connect(args)
    ))
    .with_example("mydocker network connect --alias db back web")
    .with_refused(OF_NETWORK_CONNECT),
    entry!("create", "Make a network", NetworkCreateArgs, |args| Command::Network(NetworkCommand::Create(
        args
    )))
    .with_example("mydocker network create --subnet 10.9.0.0/24 back")
    .with_refused(OF_NETWORK_CREATE),
    entry!("disconnect", "Take a container off a network", NetworkDisconnectArgs, |args| Command::Network(
        NetworkCommand::Disconnect(args)
    ))
    .with_example("mydocker network disconnect back web"),
    entry!("inspect", "Tell all about networks", NetworkInspectArgs, |args| Command::Network(
        NetworkCommand::Inspect(args)
    ))
    .with_example("mydocker network inspect back")
    .with_refused(OF_NETWORK_INSPECT),
    entry!("ls", "List networks", NetworkLsArgs, |args| Command::Network(NetworkCommand::Ls(args)))
        .with_example("mydocker network ls"),
    entry!(
        "prune",
        "Remove networks that no container has, and take an idle default bridge down",
        NetworkPruneArgs,
        |args| Command::Network(NetworkCommand::Prune(args))
    )
    .with_example("mydocker network prune"),
    entry!("rm", "Remove networks", NetworkRmArgs, |args| Command::Network(NetworkCommand::Rm(args)))
        .with_example("mydocker network rm back"),
];

pub(super) fn dispatch(command: NetworkCommand, home: &Home) -> Outcome {
    match command {
        NetworkCommand::Connect(args) => networks::connect(&args, home),
        NetworkCommand::Create(args) => networks::create(&args, home),
        NetworkCommand::Disconnect(args) => networks::disconnect(&args, home),
        NetworkCommand::Inspect(args) => networks::inspect(&args, home),
        NetworkCommand::Ls(args) => networks::ls(&args, home),
        NetworkCommand::Prune(args) => networks::prune(&args, home),
        NetworkCommand::Rm(args) => networks::rm(&args, home),
        NetworkCommand::Port(args) => networks::port(&args, home),
    }
}
