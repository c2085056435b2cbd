//! What goes wrong with networks.

use super::SubnetError;
use crate::container::ContainersError;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What goes wrong with networks.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A file or directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// Containers.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// A record is none.
    #[error("{path:?} is damaged")]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// There is no such network.
    #[error("network {0} not found")]
    NotFound(String),
    /// The beginning of an id fits several.
    #[error("{0:?} is the beginning of the ids of several networks; give more of it")]
    Ambiguous(String),
    /// The name is another's.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// The name has characters that names do not have.
    #[error(
        "invalid network name {0:?}: it begins with a letter or a digit, and at most 127 letters, digits, '_', '.' and '-' follow"
    )]
    BadName(String),
    /// It was always there.
    #[error("{0} is a pre-defined network and cannot be {1}")]
    Predefined(String, &'static str),
    /// Containers are on it.
    #[error("network {name} has active endpoints: {users}; disconnect or stop these containers first")]
    InUse {
        /// The network.
        name: String,
        /// Who is on it.
        users: String,
    },
    /// There is no such driver.
    #[error("network driver {0:?} is not supported; there is 'bridge'")]
    Driver(String),
    /// There is no such option, or its value does not fit.
    #[error("network option {0:?} is not supported: {1}")]
    Option(String, &'static str),
    /// A subnet is none.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// Subnets, ranges and gateways do not fit together.
    #[error("{0}")]
    Plan(String),
    /// The host or another network has it.
    #[error("the subnet {subnet} overlaps with {other}; choose another one with --subnet")]
    Overlap {
        /// The one that was wanted.
        subnet: String,
        /// What has addresses of it.
        other: String,
    },
    /// All are taken.
    #[error("no subnet is free; give one with --subnet, or remove networks")]
    NoSubnet,
    /// All addresses of a network are taken.
    #[error("the network {0} has no address left; remove containers, or make a network with a larger subnet")]
    Full(String),
    /// Somebody has the address.
    #[error("Address already in use: {address} of network {network} belongs to container {holder}")]
    AddressTaken {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// Who has it.
        holder: String,
    },
    /// It is not one of the network's.
    #[error("the address {address} cannot be given to a container on network {network}, which has {subnets}")]
    AddressOutside {
        /// The address.
        address: IpAddr,
        /// The network.
        network: String,
        /// What it could be of.
        subnets: String,
    },
    /// Somebody has the port.
    #[error(
        "Bind for {0} failed: port is already allocated; publish another one, or see with 'ss' who has it"
    )]
    PortTaken(String),
    /// It cannot be published.
    #[error("cannot publish port {port}: {reason}")]
    Publish {
        /// The container's port.
        port: String,
        /// Why not.
        reason: String,
    },
    /// A line of `--add-host` is none.
    #[error("bad format for add-host: {0:?}; it is NAME:ADDRESS or NAME:host-gateway")]
    ExtraHost(String),
    /// A name that name servers could not hold.
    #[error("invalid network alias {0:?}: letters, digits, '_', '.' and '-' make a name")]
    Alias(String),
    /// A program that is needed is not there.
    #[error(
        "{program} is missing, which containers' networks need; install the package {package}, or use --network host or none"
    )]
    Missing {
        /// The program.
        program: &'static str,
        /// Where it comes from.
        package: &'static str,
    },
    /// A program failed.
    #[error("{program}: {message}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it says.
        message: String,
    },
    /// A program could not be run.
    #[error("cannot run {0:?}")]
    Run(PathBuf, #[source] io::Error),
    /// A network device.
    #[error("cannot {action} the network device {name}")]
    Device {
        /// What was to be done.
        action: &'static str,
        /// With which one.
        name: String,
        /// What the kernel says.
        source: mydocker_sys::Error,
    },
    /// Somebody has removed a network device that was just made.
    #[error("the network device {0} has gone; some other program may manage it")]
    Gone(String),
    /// The name server of a network says nothing.
    #[error(
        "the name server of network {network} does not answer at {address}; another program may have port 53 of all addresses ('ss -lunp'), or make the network with --disable-dns"
    )]
    NoNames {
        /// The network.
        network: String,
        /// Where it should be.
        address: IpAddr,
    },
    /// It takes root.
    #[error(
        "{0} takes root; an ordinary user's containers have --network bridge, host, none or container:NAME"
    )]
    Rootless(String),
    /// What a container shares with the host or another one cannot be changed.
    #[error("{0}")]
    Mode(String),
    /// It is not on this network.
    #[error("container {container} is not connected to network {network}")]
    NotConnected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// It is on this network.
    #[error("endpoint with name {container} already exists in network {network}")]
    Connected {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
}

/// Puts an error of the kernel into its context.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NetworkError {
    let path = path.to_owned();
    move |source| NetworkError::Io { action, path, source }
}
