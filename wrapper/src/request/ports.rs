//! Ports: `[[IP:]HOST-PORT:]PORT[/PROTOCOL]`, each port a number or a range. One port of the container and a range of the
//! host's ask for one of these that is free.

use super::{RequestError, bad};
use crate::container::PortBinding;
use std::net::IpAddr;

/// Reads what `-p` takes.
///
/// # Errors
/// [`RequestError::Value`].
pub fn published(text: &str) -> Result<Vec<PortBinding>, RequestError> {
    let wrong = |problem: &str| bad("publish", text, problem);
    let (front, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol_of("publish", text, protocol)?;
    let (address, rest) =
        address_of(front).ok_or_else(|| wrong("before the ports there is no address of the host"))?;
    let (host, container) = match rest.rsplit_once(':') {
        Some((host, container)) => (Some(host).filter(|host| !host.is_empty()), container),
        None => (None, rest),
    };
    let range = |text: &str| {
        range(text).ok_or_else(|| wrong("ports are numbers from 1 to 65535, or ranges such as 8000-8010"))
    };
    let container = range(container)?;
    let host = host.map(range).transpose()?;
    let length = container.1 - container.0;
    let last_host_port = match host {
        Some((first, last)) if last - first != length => Some(last),
        _ => None,
    };
    if last_host_port.is_some() && length > 0 {
        return Err(wrong(
            "the ranges of the host's and of the container's ports are not of the same length",
        ));
    }
    let binding = |offset: u16| PortBinding {
        container_port: container.0 + offset,
        protocol: protocol.clone(),
        host_ip: address,
        host_port: host.map(|(first, _)| first + offset),
        last_host_port,
    };
    Ok((0..=length).map(binding).collect())
}

/// Reads what `--expose` takes, and the keys of an image's `ExposedPorts`: `PORT[/PROTOCOL]`, each port with its protocol.
///
/// # Errors
/// [`RequestError::Value`].
pub fn exposed(text: &str) -> Result<Vec<(u16, String)>, RequestError> {
    let (front, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol_of("expose", text, protocol)?;
    let (first, last) = range(front).ok_or_else(|| {
        bad("expose", text, "ports are numbers from 1 to 65535, or ranges such as 8000-8010")
    })?;
    Ok((first..=last).map(|port| (port, protocol.clone())).collect())
}

fn protocol_of(flag: &'static str, text: &str, protocol: &str) -> Result<String, RequestError> {
    let protocol = protocol.to_ascii_lowercase();
    if matches!(&*protocol, "tcp" | "udp" | "sctp") {
        return Ok(protocol);
    }
    Err(bad(flag, text, format!("the protocol {protocol:?} is none of tcp, udp and sctp")))
}

/// Cuts off an address, of which one of IPv6 stands in brackets; `None` for what is none.
fn address_of(text: &str) -> Option<(Option<IpAddr>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once("]:")?;
        return Some((Some(address.parse().ok()?), rest));
    }
    match text.split_once(':') {
        Some((address, rest)) if rest.contains(':') => {
            let address = if address.is_empty() { None } else { Some(address.parse().ok()?) };
            Some((address, rest))
        }
        _ => Some((None, text)),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Option<IpAddr>, Option<u16>, u16, String)> {
        let ports = published(text).expect(text).into_iter();
        ports.map(|port| (port.host_ip, port.host_port, port.container_port, port.protocol)).collect()
    }

    #[test]
    fn ports_are_those_of_docker() {
        let address = |text: &str| text.parse().ok();
        let tcp = || "tcp".to_owned();
        assert_eq!(read("80"), [(None, None, 80, tcp())]);
        assert_eq!(read("8080:80"), [(None, Some(8080), 80, tcp())]);
        assert_eq!(read("53:53/UDP"), [(None, Some(53), 53, "udp".to_owned())]);
        assert_eq!(read("127.0.0.1:8080:80"), [(address("127.0.0.1"), Some(8080), 80, tcp())]);
        assert_eq!(read("127.0.0.1::80"), [(address("127.0.0.1"), None, 80, tcp())]);
        assert_eq!(read("[::1]:8080:80"), [(address("::1"), Some(8080), 80, tcp())]);
        assert_eq!(read("8000-8001:80-81"), [(None, Some(8000), 80, tcp()), (None, Some(8001), 81, tcp())]);
        let choice = &published("8000-8010:80").expect("a choice")[0];
        assert_eq!((choice.host_port, choice.last_host_port), (Some(8000), Some(8010)));
        for text in ["", "0", "65536", "80:", "x:80", "1-2:1-3", "2-1:2-1", "80/ipx", "host:80:80", "1:2:3:4"]
        {
            assert!(published(text).is_err(), "{text}");
        }
    }
}
