//! Ports in docker's words.

use super::Listed;
use super::status::is_up;
use crate::container::PublishedPort;
use std::net::IpAddr;

/// Such as `0.0.0.0:8080-8081->80-81/tcp, 443/tcp`: those that the host has, and those that only the image names. Empty
/// for a container that is not up.
#[must_use]
pub fn describe(listed: &Listed) -> String {
    if !is_up(listed.state.status) {
        return String::new();
    }
    let mut ports = listed.state.ports.clone();
    ports.sort_by(|one, other| key(one).cmp(&key(other)));
    let mut texts: Vec<String> = ranges(&ports).iter().map(Range::text).collect();
    texts.extend(exposed_only(listed));
    texts.join(", ")
}

fn key(port: &PublishedPort) -> (&str, IpAddr, u16, u16) {
    (&port.protocol, port.host_ip, port.container_port, port.host_port)
}

/// Ports that follow each other on both sides.
struct Range<'a> {
    first: &'a PublishedPort,
    more: u16,
}

fn ranges(ports: &[PublishedPort]) -> Vec<Range<'_>> {
    let mut ranges: Vec<Range<'_>> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some(range) if range.takes(port) => range.more += 1,
            _ => ranges.push(Range { first: port, more: 0 }),
        }
    }
    ranges
}

impl Range<'_> {
    fn takes(&self, port: &PublishedPort) -> bool {
        let next = |first: u16| first.checked_add(self.more).and_then(|last| last.checked_add(1));
        let first = self.first;
        (&first.protocol, first.host_ip) == (&port.protocol, port.host_ip)
            && next(first.host_port) == Some(port.host_port)
            && next(first.container_port) == Some(port.container_port)
    }

    fn text(&self) -> String {
        let span = |from: u16| match self.more {
            0 => from.to_string(),
            more => format!("{from}-{}", from.saturating_add(more)),
        };
        let PublishedPort { host_ip, host_port, container_port, protocol } = self.first;
        let host = match host_ip {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        format!("{host}:{}->{}/{protocol}", span(*host_port), span(*container_port))
    }
}

fn exposed_only(listed: &Listed) -> Vec<String> {
    let is_published = |port: &str| {
        listed
            .state
            .ports
            .iter()
            .any(|published| port == format!("{}/{}", published.container_port, published.protocol))
    };
    let exposed = listed.container.config.image.exposed_ports.keys();
    exposed.map(|port| with_protocol(port)).filter(|port| !is_published(port)).collect()
}

/// `80` is `80/tcp`.
#[must_use]
pub fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

/// Reads `80`, `80/udp` or `8000-8010/tcp`: the first and the last port, and the protocol.
#[must_use]
pub fn parse_range(text: &str) -> Option<(u16, u16, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| (first, last, protocol.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Status;
    use crate::look::listed::tests::listed;

    #[test]
    fn neighbours_become_a_range() {
        let port = |host_port, container_port, ip: &str| PublishedPort {
            host_ip: ip.parse().expect("an address"),
            host_port,
            container_port,
            protocol: "tcp".to_owned(),
        };
        let mut one = listed("web");
        one.state.status = Status::Running;
        one.state.ports = vec![
            port(8081, 81, "0.0.0.0"),
            port(8080, 80, "0.0.0.0"),
            port(8080, 80, "::"),
            port(99, 82, "0.0.0.0"),
        ];
        for exposed in ["443", "80/tcp", "53/udp"] {
            one.container.config.image.exposed_ports.insert(exposed.to_owned(), serde_json::json!({}));
        }
        let all = "0.0.0.0:8080-8081->80-81/tcp, 0.0.0.0:99->82/tcp, [::]:8080->80/tcp, 443/tcp, 53/udp";
        assert_eq!(describe(&one), all);
        one.state.status = Status::Exited;
        assert_eq!(describe(&one), "");
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(parse_range("80"), Some((80, 80, "tcp".to_owned())));
        assert_eq!(parse_range("8000-8010/udp"), Some((8000, 8010, "udp".to_owned())));
        assert_eq!(parse_range("9-8"), None);
        assert_eq!(parse_range("x"), None);
    }
}
