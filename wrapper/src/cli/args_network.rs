//! What can be typed about networks.

use clap::Args;
use std::net::IpAddr;

/// `network create`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkCreateArgs {
    /// The driver: bridge
    #[arg(long, short, value_name = "DRIVER", default_value = "bridge")]
    pub driver: String,
    /// Addresses of the network, such as 10.1.0.0/24; chosen if not given. Twice for IPv4 and IPv6
    #[arg(long, value_name = "SUBNET")]
    pub subnet: Vec<String>,
    /// The part of a subnet that containers get addresses of
    #[arg(long, value_name = "SUBNET")]
    pub ip_range: Vec<String>,
    /// The host's address on the network; the first of the subnet if not given
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Vec<IpAddr>,
    /// Have IPv6 too; needs a subnet of it
    #[arg(long)]
    pub ipv6: bool,
    /// Lead nowhere but to the network's own containers
    #[arg(long)]
    pub internal: bool,
    /// Have no name server: containers do not find each other by name
    #[arg(long)]
    pub disable_dns: bool,
    /// An option of the driver: mtu=BYTES, com.docker.network.bridge.name=NAME ...
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub opt: Vec<String>,
    /// A label
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// The network's name
    #[arg(value_name = "NETWORK")]
    pub name: String,
}

/// `network ls`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkLsArgs {
    /// Show only these: dangling=true or false, driver=DRIVER, id=ID, label=NAME[=VALUE], name=PATTERN, scope=local,
    /// type=builtin or custom
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// 'table', 'json', or a template such as '{{.Name}}: {{.Driver}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print the ids alone
    #[arg(long, short)]
    pub quiet: bool,
}

/// `network inspect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkInspectArgs {
    /// 'json', or a template such as '{{.Driver}}'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The networks
    #[arg(value_name = "NETWORK", required = true)]
    pub names: Vec<String>,
}

/// `network rm`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkRmArgs {
    /// Say nothing of networks that do not exist
    #[arg(long, short)]
    pub force: bool,
    /// The networks
    #[arg(value_name = "NETWORK", required = true)]
    pub names: Vec<String>,
}

/// `network prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkPruneArgs {
    /// Remove only these: label=NAME[=VALUE], label!=NAME[=VALUE], until=TIME
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub force: bool,
}

/// `network connect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkConnectArgs {
    /// Further name of the container on the network
    #[arg(long, value_name = "NAME")]
    pub alias: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<IpAddr>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<IpAddr>,
    /// Hardware address
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// The network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `network disconnect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NetworkDisconnectArgs {
    /// Say nothing of a container that is not on the network
    #[arg(long, short)]
    pub force: bool,
    /// The network
    #[arg(value_name = "NETWORK")]
    pub network: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
}

/// `port`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PortArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// The container's port; all of them if not given
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}
