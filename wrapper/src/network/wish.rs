//! What is wanted of a new network. Pure, but for the subnet that is chosen for one that names none.

use super::record::{BRIDGE_NAME, HOST_ADDRESS, MTU, Network, Pool};
use super::{NetworkError, Subnet};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What is wanted of a new network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Its name.
    pub name: String,
    /// `--driver`; empty is `bridge`.
    pub driver: String,
    /// `--subnet`
    pub subnets: Vec<Subnet>,
    /// `--ip-range`
    pub ranges: Vec<Subnet>,
    /// `--gateway`
    pub gateways: Vec<IpAddr>,
    /// `--ipv6`
    pub ipv6: bool,
    /// `--internal`
    pub internal: bool,
    /// `--disable-dns`
    pub without_names: bool,
    /// `--opt`
    pub options: BTreeMap<String, String>,
    /// `--label`
    pub labels: BTreeMap<String, String>,
}

impl Wish {
    /// The network, without an id; `free` chooses a subnet of IPv4.
    pub(super) fn network(
        &self,
        free: impl FnOnce() -> Result<Subnet, NetworkError>,
    ) -> Result<Network, NetworkError> {
        if !matches!(self.driver.as_str(), "" | "bridge") {
            return Err(NetworkError::Driver(self.driver.clone()));
        }
        check_options(&self.options)?;
        let mut network = Network::bridge(self.pools(free)?);
        network.name.clone_from(&self.name);
        network.internal = self.internal;
        network.names = !self.without_names;
        network.options.clone_from(&self.options);
        network.labels.clone_from(&self.labels);
        network.interface = self.options.get(BRIDGE_NAME).cloned().unwrap_or_default();
        Ok(network)
    }

    fn pools(&self, free: impl FnOnce() -> Result<Subnet, NetworkError>) -> Result<Vec<Pool>, NetworkError> {
        let mut subnets = self.subnets.clone();
        if !subnets.iter().any(Subnet::is_ipv4) && (subnets.is_empty() || self.ipv6) {
            subnets.insert(0, free()?);
        }
        if self.ipv6 && subnets.iter().all(Subnet::is_ipv4) {
            return Err(NetworkError::Plan(
                "an IPv6 network needs a subnet of IPv6; give one with --subnet, such as fd00:1::/64"
                    .to_owned(),
            ));
        }
        // The first subnet is the one that the default route goes by.
        subnets.sort_by_key(|subnet| !subnet.is_ipv4());
        let families = [true, false].map(|v4| subnets.iter().filter(|subnet| subnet.is_ipv4() == v4).count());
        if families.iter().any(|count| *count > 1) {
            return Err(NetworkError::Plan(
                "a network can have one subnet of IPv4 and one of IPv6, not several of one kind".to_owned(),
            ));
        }
        let pools: Result<Vec<Pool>, _> = subnets.iter().map(|subnet| self.pool(*subnet)).collect();
        let pools = pools?;
        self.check_homes(&subnets)?;
        Ok(pools)
    }

    fn pool(&self, subnet: Subnet) -> Result<Pool, NetworkError> {
        let range = self.ranges.iter().copied().find(|range| subnet.contains(range.base()));
        let wanted = self.gateways.iter().copied().find(|gateway| subnet.contains(*gateway));
        let gateway = wanted.or_else(|| subnet.first_host());
        let Some(gateway) = gateway.filter(|gateway| subnet.is_for_hosts(*gateway)) else {
            return Err(NetworkError::Plan(match wanted {
                Some(gateway) => {
                    format!("the gateway {gateway} is the name or the broadcast address of {subnet}")
                }
                None => format!("the subnet {subnet} is too small for a host and containers"),
            }));
        };
        Ok(Pool { subnet, range, gateway: Some(gateway) })
    }

    /// Every range and gateway belongs to a subnet.
    fn check_homes(&self, subnets: &[Subnet]) -> Result<(), NetworkError> {
        for range in &self.ranges {
            let fits = |subnet: &&Subnet| subnet.contains(range.base()) && subnet.contains(range.last());
            if !subnets.iter().any(|subnet| fits(&subnet)) {
                return Err(NetworkError::Plan(format!(
                    "no matching subnet for range {range}; give it with --subnet"
                )));
            }
        }
        match self.gateways.iter().find(|gateway| !subnets.iter().any(|subnet| subnet.contains(**gateway))) {
            Some(gateway) => Err(NetworkError::Plan(format!(
                "no matching subnet for gateway {gateway}; give it with --subnet"
            ))),
            None => Ok(()),
        }
    }
}

fn check_options(options: &BTreeMap<String, String>) -> Result<(), NetworkError> {
    for (name, value) in options {
        let complaint = match name.as_str() {
            MTU | "mtu" if value.parse::<u32>().is_ok_and(|mtu| (68..=65_535).contains(&mtu)) => None,
            MTU | "mtu" => Some("it is a number from 68 to 65535"),
            BRIDGE_NAME if is_interface_name(value) => None,
            BRIDGE_NAME => Some("the name of an interface has 1 to 15 letters, digits, '_', '.' and '-'"),
            HOST_ADDRESS if value.parse::<std::net::Ipv4Addr>().is_ok() => None,
            HOST_ADDRESS => Some("it is an IPv4 address"),
            _ => Some(
                "there are mtu, com.docker.network.driver.mtu, com.docker.network.bridge.name and \
                 com.docker.network.bridge.host_binding_ipv4",
            ),
        };
        if let Some(complaint) = complaint {
            return Err(NetworkError::Option(name.clone(), complaint));
        }
    }
    Ok(())
}

fn is_interface_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..16).contains(&name.len()) && name.bytes().all(fits) && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut Wish)) -> Result<Network, String> {
        let mut wish = Wish { name: "net".to_owned(), ..Wish::default() };
        change(&mut wish);
        wish.network(|| Ok("10.90.0.0/22".parse()?)).map_err(|error| error.to_string())
    }

    fn subnets(texts: &[&str]) -> Vec<Subnet> {
        texts.iter().map(|text| text.parse().expect(text)).collect()
    }

    #[test]
    fn a_network_is_given_what_it_does_not_ask_for() {
        let network = made(|_| ()).expect("a network");
        assert_eq!(network.pools()[0].subnet.to_string(), "10.90.0.0/22");
        assert_eq!(network.pools()[0].gateway, "10.90.0.1".parse().ok());
        assert!(network.names && !network.internal && !network.ipv6 && network.interface.is_empty());
    }

    #[test]
    fn both_families_can_be_asked_for() {
        let network =
            made(|wish| wish.subnets = subnets(&["fd00:1::/64", "10.5.0.0/16"])).expect("a network");
        assert!(network.ipv6 && network.pools()[0].subnet.is_ipv4());
        let network = made(|wish| {
            wish.ipv6 = true;
            wish.subnets = subnets(&["fd00:1::/64"]);
        });
        assert_eq!(network.expect("a network").pools().len(), 2);
        let network = made(|wish| wish.subnets = subnets(&["fd00:1::/64"])).expect("a network");
        assert_eq!(network.pools().len(), 1);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        type Change = fn(&mut Wish);
        let cases: [(Change, &str); 9] = [
            (|wish| wish.driver = "macvlan".to_owned(), "\"macvlan\""),
            (|wish| wish.ipv6 = true, "subnet of IPv6"),
            (|wish| wish.subnets = subnets(&["10.1.0.0/24", "10.2.0.0/24"]), "not several"),
            (|wish| wish.subnets = subnets(&["10.1.0.0/32"]), "10.1.0.0/32 is too small"),
            (|wish| wish.gateways = vec!["10.1.0.1".parse().expect("an address")], "gateway 10.1.0.1"),
            (|wish| wish.gateways = vec!["10.90.0.0".parse().expect("an address")], "gateway 10.90.0.0"),
            (|wish| wish.ranges = subnets(&["10.1.0.0/25"]), "range 10.1.0.0/25"),
            (|wish| drop(wish.options.insert("mtu".to_owned(), "9".to_owned())), "\"mtu\""),
            (|wish| drop(wish.options.insert("x".to_owned(), String::new())), "\"x\""),
        ];
        for (change, complaint) in cases {
            let error = made(change).expect_err(complaint);
            assert!(error.contains(complaint), "{error}");
        }
    }
}
