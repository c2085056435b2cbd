//! What a network is.

use super::Subnet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network. The names of the fields are docker's where docker has the field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Network {
    /// Its name.
    pub name: String,
    /// 64 hexadecimal digits.
    pub id: String,
    /// When it was made: RFC 3339.
    pub created: String,
    /// `bridge`, `host` or `null`.
    pub driver: String,
    /// Whether it has an IPv6 subnet.
    #[serde(rename = "EnableIPv6", default)]
    pub ipv6: bool,
    /// Its addresses.
    #[serde(rename = "IPAM")]
    pub ipam: Ipam,
    /// Whether it leads nowhere but to its own containers.
    #[serde(default)]
    pub internal: bool,
    /// `--opt`
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// `--label`
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The bridge's name on the host while containers are on it.
    #[serde(default)]
    pub interface: String,
    /// Whether its containers find each other by name.
    #[serde(default)]
    pub names: bool,
}

/// The addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ipam {
    /// Who gives them out.
    pub driver: String,
    /// What there is to say about that.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// At most one subnet of IPv4 and one of IPv6.
    #[serde(default)]
    pub config: Vec<Pool>,
}

/// A subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pool {
    /// All of it.
    pub subnet: Subnet,
    /// The part of it that containers are given addresses of.
    #[serde(rename = "IPRange", default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Subnet>,
    /// The host's address on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
}

/// The option for the size of packets.
pub(super) const MTU: &str = "com.docker.network.driver.mtu";
/// The option for the bridge's name.
pub(super) const BRIDGE_NAME: &str = "com.docker.network.bridge.name";
/// The option for the host's address of published ports.
pub(super) const HOST_ADDRESS: &str = "com.docker.network.bridge.host_binding_ipv4";

/// The default bridge of the host's home.
pub(super) const OF_THE_HOST: &str = "mydocker0";
/// What the names of all other bridges begin with, but for those that somebody has named.
pub(super) const PREFIX: &str = "md-";

impl Network {
    /// A bridge of these subnets, without a name yet.
    #[must_use]
    pub fn bridge(pools: Vec<Pool>) -> Self {
        let ipv6 = pools.iter().any(|pool| !pool.subnet.is_ipv4());
        let ipam = Ipam { driver: "default".to_owned(), config: pools, ..Ipam::default() };
        Self {
            name: String::new(),
            id: String::new(),
            created: String::new(),
            driver: "bridge".to_owned(),
            ipv6,
            ipam,
            internal: false,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
            interface: String::new(),
            names: false,
        }
    }

    /// One that stands for the host's own network, or for none.
    #[must_use]
    pub(super) fn without_bridge(name: &str, driver: &str) -> Self {
        Self { name: name.to_owned(), driver: driver.to_owned(), ipv6: false, ..Self::bridge(Vec::new()) }
    }

    /// Whether it is one of the three that are always there.
    #[must_use]
    pub fn is_predefined(&self) -> bool {
        is_predefined(&self.name)
    }

    /// Whether containers can be put on it.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.driver == "bridge"
    }

    /// Its subnets.
    #[must_use]
    pub fn pools(&self) -> &[Pool] {
        &self.ipam.config
    }

    /// The first twelve digits of the id.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// Its name for the programs that are the same for all homes of the host, such as the packet filter.
    #[must_use]
    pub(super) fn host_name(&self) -> String {
        format!("{}-{}", self.name, self.short_id())
    }
}

/// Whether a name is of a network that is always there.
#[must_use]
pub fn is_predefined(name: &str) -> bool {
    matches!(name, "bridge" | "host" | "none" | "default")
}
