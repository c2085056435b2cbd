//! Ports of the host that lead to a container.
//!
//! The packet filter sends what comes for them to the container, whoever listens on the host. So that nobody does, and no
//! two containers publish the same one, a socket is bound to each for as long as the container runs.

use super::NetworkError;
use super::netavark::PortMapping;
use super::record::{HOST_ADDRESS, Network};
use crate::container::{Container, PortBinding, PublishedPort};
use mydocker_sys::Errno;
use mydocker_sys::port::{Transport, hold, number};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// How often a port is chosen that is free on all of the addresses.
const TRIES: usize = 16;

/// Ports and the sockets that keep them.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub ports: Vec<PublishedPort>,
    pub sockets: Vec<OwnedFd>,
}

/// What a container wants published: what was said, and with `-P` what else its image exposes.
pub(super) fn wanted(container: &Container) -> Result<Vec<PortBinding>, NetworkError> {
    let mut bindings = container.host_config.port_bindings.clone();
    let exposed =
        container.config.image.exposed_ports.keys().filter(|_| container.host_config.publish_all_ports);
    for text in exposed {
        let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let refuse = |reason: &str| NetworkError::Publish { port: text.clone(), reason: reason.to_owned() };
        let container_port = port.parse().map_err(|_| refuse("the image does not say a number"))?;
        let is_said =
            |binding: &PortBinding| binding.container_port == container_port && binding.protocol == protocol;
        if !bindings.iter().any(is_said) {
            let protocol = protocol.to_owned();
            bindings.push(PortBinding {
                container_port,
                protocol,
                host_ip: None,
                host_port: None,
                last_host_port: None,
            });
        }
    }
    Ok(bindings)
}

/// Takes the ports of the host that lead to a container on `network`; `is_taken` says what containers have whose monitor,
/// and with it the socket, has gone.
pub(super) fn take(
    bindings: &[PortBinding],
    network: &Network,
    is_taken: impl Fn(&PublishedPort) -> bool,
) -> Result<Held, NetworkError> {
    let mut held = Held::default();
    for (at, binding) in bindings.iter().enumerate() {
        if !bindings[..at].contains(binding) {
            take_one(binding, network, &is_taken, &mut held)?;
        }
    }
    Ok(held)
}

fn take_one(
    binding: &PortBinding,
    network: &Network,
    is_taken: &impl Fn(&PublishedPort) -> bool,
    held: &mut Held,
) -> Result<(), NetworkError> {
    let transport = transport(binding)?;
    let addresses = host_addresses(binding, network)?;
    let mut choices = choices(binding).peekable();
    while let Some(choice) = choices.next() {
        match take_on_all(binding, transport, choice, &addresses, is_taken) {
            // Another one may be free, also where this one was on one address and not on the other.
            Err(NetworkError::PortTaken(_)) if choices.peek().is_some() => {}
            other => {
                let (ports, sockets) = other?;
                held.ports.extend(ports);
                held.sockets.extend(sockets);
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The ports of the host that may be taken, one after the other; 0 is any that is free.
fn choices(binding: &PortBinding) -> impl Iterator<Item = u16> {
    let (ports, times) = match (binding.host_port, binding.last_host_port) {
        (None, _) => (0..=0, TRIES),
        (Some(first), last) => (first..=last.unwrap_or(first), 1),
    };
    iter::repeat_n(ports, times).flatten()
}

/// One port on each of the addresses.
fn take_on_all(
    binding: &PortBinding,
    transport: Transport,
    mut host_port: u16,
    addresses: &[IpAddr],
    is_taken: &impl Fn(&PublishedPort) -> bool,
) -> Result<(Vec<PublishedPort>, Vec<OwnedFd>), NetworkError> {
    let (mut ports, mut sockets) = (Vec::new(), Vec::new());
    for host_ip in addresses.iter().copied() {
        let address = SocketAddr::new(host_ip, host_port);
        let socket = hold(transport, address).map_err(|error| not_held(binding, address, error))?;
        host_port = number(&socket)?;
        let (container_port, protocol) = (binding.container_port, binding.protocol.clone());
        let port = PublishedPort { host_ip, host_port, container_port, protocol };
        if is_taken(&port) {
            return Err(NetworkError::PortTaken(SocketAddr::new(host_ip, host_port).to_string()));
        }
        ports.push(port);
        sockets.push(socket);
    }
    Ok((ports, sockets))
}

fn transport(binding: &PortBinding) -> Result<Transport, NetworkError> {
    match binding.protocol.as_str() {
        "tcp" => Ok(Transport::Tcp),
        "udp" => Ok(Transport::Udp),
        "sctp" => Ok(Transport::Sctp),
        _ => Err(refused(binding, "the protocol is tcp, udp or sctp")),
    }
}

fn refused(binding: &PortBinding, reason: impl Into<String>) -> NetworkError {
    let port = format!("{}/{}", binding.container_port, binding.protocol);
    NetworkError::Publish { port, reason: reason.into() }
}

fn not_held(binding: &PortBinding, address: SocketAddr, error: mydocker_sys::Error) -> NetworkError {
    match error.errno() {
        Errno::EADDRINUSE => NetworkError::PortTaken(address.to_string()),
        Errno::EADDRNOTAVAIL => refused(binding, format!("the host has no address {}", address.ip())),
        Errno::EACCES => {
            refused(binding, format!("an ordinary user cannot have port {} of the host", address.port()))
        }
        Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT | Errno::EAFNOSUPPORT => {
            refused(binding, format!("the kernel does not know {}", binding.protocol))
        }
        _ => error.into(),
    }
}

/// The addresses of the host on which a port is published. The packet filter's rules are for one kind of address or for
/// both; "all of IPv4 and none of IPv6" can be said only where there is no IPv6.
fn host_addresses(binding: &PortBinding, network: &Network) -> Result<Vec<IpAddr>, NetworkError> {
    let has = |v4: bool| network.pools().iter().any(|pool| pool.subnet.is_ipv4() == v4);
    let by_network = network.options.get(HOST_ADDRESS).and_then(|text| text.parse().ok());
    match binding.host_ip.or(by_network) {
        None => {
            let v4 = has(true).then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
            Ok(v4.into_iter().chain(has(false).then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))).collect())
        }
        Some(address) if !has(address.is_ipv4()) => {
            let kind = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            Err(refused(binding, format!("the network {} has no {kind} for {address}", network.name)))
        }
        Some(address) if address.is_unspecified() && has(!address.is_ipv4()) => Err(refused(
            binding,
            format!(
                "the network {} has IPv4 and IPv6: leave {address} out, or name one address",
                network.name
            ),
        )),
        Some(address) => Ok(vec![address]),
    }
}

/// The same for netavark. Ports in a row become one range: each mapping costs some ten runs of iptables.
pub(super) fn mappings(ports: &[PublishedPort]) -> Vec<PortMapping> {
    let mapping = |port: &PublishedPort| PortMapping {
        protocol: port.protocol.clone(),
        host_ip: if port.host_ip.is_unspecified() { String::new() } else { port.host_ip.to_string() },
        host_port: port.host_port,
        container_port: port.container_port,
        range: 1,
    };
    let mut all: Vec<PortMapping> = ports.iter().map(mapping).collect();
    all.sort();
    // One without an address is for both kinds.
    all.dedup();
    let mut merged: Vec<PortMapping> = Vec::new();
    for next in all {
        match merged.last_mut() {
            Some(last) if follows(last, &next) => last.range += 1,
            _ => merged.push(next),
        }
    }
    merged
}

fn follows(last: &PortMapping, next: &PortMapping) -> bool {
    let kind = |mapping: &PortMapping| (mapping.protocol.clone(), mapping.host_ip.clone());
    kind(last) == kind(next)
        && last.host_port.checked_add(last.range) == Some(next.host_port)
        && last.container_port.checked_add(last.range) == Some(next.container_port)
}

/// Whether two mappings have a port of the host in common.
pub(super) fn clashes(mapping: &PortMapping, port: &PublishedPort) -> bool {
    let same_address = mapping.host_ip.is_empty()
        || port.host_ip.is_unspecified()
        || mapping.host_ip == port.host_ip.to_string();
    let end = u32::from(mapping.host_port) + u32::from(mapping.range);
    let inside = (u32::from(mapping.host_port)..end).contains(&u32::from(port.host_port));
    same_address && inside && mapping.protocol == port.protocol
}

#[cfg(test)]
mod tests {
    use super::super::record::Pool;
    use super::*;

    fn network(subnets: &[&str]) -> Network {
        let pools = subnets.iter().map(|text| {
            let subnet: super::super::Subnet = text.parse().expect("a subnet");
            Pool { subnet, range: None, gateway: subnet.first_host() }
        });
        Network { name: "net".to_owned(), ..Network::bridge(pools.collect()) }
    }

    fn binding(host_ip: Option<&str>, host_port: Option<u16>) -> PortBinding {
        let host_ip = host_ip.map(|text| text.parse().expect("an address"));
        let protocol = "tcp".to_owned();
        PortBinding { container_port: 80, protocol, host_ip, host_port, last_host_port: None }
    }

    #[test]
    fn a_port_is_taken_once() {
        let net = network(&["10.1.0.0/24"]);
        let held = take(&[binding(None, None)], &net, |_| false).expect("a free port");
        let port = held.ports[0].host_port;
        assert_ne!(port, 0);
        for address in [None, Some("127.0.0.1"), Some("0.0.0.0")] {
            let error =
                take(&[binding(address, Some(port))], &net, |_| false).expect_err("taken").to_string();
            assert!(
                error.contains("port is already allocated") && error.contains(&port.to_string()),
                "{error}"
            );
        }
        drop(held);
        let error = take(&[binding(None, Some(port))], &net, |_| true).expect_err("an orphan has it");
        assert!(matches!(error, NetworkError::PortTaken(_)), "{error}");
        take(&[binding(None, Some(port)), binding(None, Some(port))], &net, |_| false).expect("free again");
    }

    #[test]
    fn of_several_ports_one_that_is_free_is_taken() {
        let net = network(&["10.1.0.0/24"]);
        let first = take(&[binding(None, None)], &net, |_| false).expect("a free port");
        let taken = first.ports[0].host_port;
        let choice = |last| PortBinding { last_host_port: Some(last), ..binding(None, Some(taken)) };
        assert!(take(&[choice(taken)], &net, |_| false).is_err());
        let last = taken.saturating_add(20);
        let second = take(&[choice(last)], &net, |_| false).expect("one of them is free");
        assert!((taken + 1..=last).contains(&second.ports[0].host_port));
    }

    #[test]
    fn both_kinds_of_addresses_get_the_same_port() {
        let held = take(&[binding(None, None)], &network(&["10.1.0.0/24", "fd00:1::/64"]), |_| false);
        let held = held.expect("a free port");
        assert_eq!(held.ports.len(), 2);
        assert_eq!(held.ports[0].host_port, held.ports[1].host_port);
        assert_eq!(mappings(&held.ports).len(), 1);
    }

    #[test]
    fn addresses_that_lead_nowhere_are_refused() {
        for (subnets, address, complaint) in [
            (&["10.1.0.0/24"][..], "::1", "no IPv6 for ::1"),
            (&["fd00:1::/64"], "127.0.0.1", "no IPv4 for 127.0.0.1"),
            (&["10.1.0.0/24", "fd00:1::/64"], "0.0.0.0", "leave 0.0.0.0 out"),
            (&["10.1.0.0/24"], "203.0.113.9", "no address 203.0.113.9"),
        ] {
            let error = take(&[binding(Some(address), None)], &network(subnets), |_| false);
            let error = error.expect_err(complaint).to_string();
            assert!(error.contains(complaint) && error.contains("80/tcp"), "{error}");
        }
    }

    #[test]
    fn ports_in_a_row_are_one_range() {
        let port = |host_port, container_port, protocol: &str| PublishedPort {
            host_port,
            container_port,
            protocol: protocol.to_owned(),
            ..PublishedPort::default()
        };
        let ports =
            [port(8001, 91, "tcp"), port(8000, 90, "tcp"), port(8002, 99, "tcp"), port(8001, 91, "udp")];
        let ranges: Vec<(u16, u16)> = mappings(&ports).iter().map(|one| (one.host_port, one.range)).collect();
        assert_eq!(ranges, [(8000, 2), (8002, 1), (8001, 1)]);
        assert!(clashes(&mappings(&ports)[0], &port(8001, 1, "tcp")));
        assert!(!clashes(&mappings(&ports)[0], &port(8002, 1, "tcp")));
    }
}
