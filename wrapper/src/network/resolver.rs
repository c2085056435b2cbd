//! What containers are told about names: the lines of resolv.conf and hosts. Parsers are pure.

use super::NetworkError;
use super::error::failed;
use crate::container::Container;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

/// A resolv.conf.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolver {
    /// Whom to ask.
    pub nameservers: Vec<IpAddr>,
    /// Domains to look up short names in.
    pub search: Vec<String>,
    /// Such as `ndots:0`.
    pub options: Vec<String>,
}

impl Resolver {
    /// Parses one. The last of several `search` or `domain` lines counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut resolver = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let key = words.next();
            let rest = || words.clone().take_while(|word| !word.starts_with(['#', ';'])).map(str::to_owned);
            match key {
                // An address with a zone (`fe80::1%eth0`) is of an interface that a container does not have.
                Some("nameserver") => {
                    resolver.nameservers.extend(rest().next().and_then(|word| word.parse::<IpAddr>().ok()));
                }
                Some("search" | "domain") => resolver.search = rest().collect(),
                Some("options") => resolver.options.extend(rest()),
                _ => {}
            }
        }
        resolver
    }

    /// The host's. For a container with a network of its own, without servers on the host's loopback: where systemd's
    /// resolver sits there, the file with the servers behind it is read.
    pub(super) fn of_host(shares_network: bool) -> Result<Self, NetworkError> {
        let mut resolver = Self::parse(&text_of(Path::new("/etc/resolv.conf"))?);
        if shares_network {
            return Ok(resolver);
        }
        resolver.nameservers.retain(|address| !address.is_loopback());
        if resolver.nameservers.is_empty() {
            let behind = Self::parse(&text_of(Path::new("/run/systemd/resolve/resolv.conf"))?);
            resolver.nameservers = behind.nameservers;
            resolver.nameservers.retain(|address| !address.is_loopback());
        }
        Ok(resolver)
    }

    /// The same with what the command line says instead.
    #[must_use]
    pub fn with_wishes(mut self, container: &Container) -> Self {
        let wishes = &container.host_config;
        if !wishes.dns.is_empty() {
            self.nameservers.clone_from(&wishes.dns);
        }
        if !wishes.dns_search.is_empty() {
            // A lone dot stands for no domain at all.
            self.search = wishes.dns_search.iter().filter(|domain| *domain != ".").cloned().collect();
        }
        if !wishes.dns_options.is_empty() {
            self.options.clone_from(&wishes.dns_options);
        }
        self
    }

    /// The same, asked of the name servers of networks. Names of containers have no dot, and are to be tried as they are
    /// before the domains of the host are.
    #[must_use]
    pub fn by_networks(mut self, servers: Vec<IpAddr>, container: &Container) -> Self {
        let is_said = container.host_config.dns_options.iter().any(|option| option.starts_with("ndots:"));
        if !is_said {
            self.options.retain(|option| !option.starts_with("ndots:"));
            self.options.push("ndots:0".to_owned());
        }
        self.nameservers = servers;
        self
    }
}

fn text_of(path: &Path) -> Result<String, NetworkError> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// The lines that `--add-host` asks for; `gateway` is the host's address as the container sees it.
pub(super) fn extra_hosts(
    container: &Container,
    gateway: Option<IpAddr>,
) -> Result<Vec<(IpAddr, String)>, NetworkError> {
    let line = |text: &String| {
        let bad = || NetworkError::ExtraHost(text.clone());
        let (name, address) = text.split_once([':', '=']).ok_or_else(bad)?;
        let address = match address {
            "host-gateway" => gateway.ok_or_else(|| {
                NetworkError::Mode(format!(
                    "{name}:host-gateway: the container is on no network with a gateway"
                ))
            })?,
            other => other.trim_matches(['[', ']']).parse().map_err(|_| bad())?,
        };
        let is_word =
            !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
        if is_word { Ok((address, name.to_owned())) } else { Err(bad()) }
    };
    container.host_config.extra_hosts.iter().map(line).collect()
}

/// The names that a container has for itself.
pub(super) fn own_names(container: &Container) -> String {
    let host = match container.config.hostname.as_str() {
        "" => container.short_id(),
        name => name,
    };
    names(host, &container.config.domainname)
}

/// A host's name with its domain, which may be a part of it already, and without.
fn names(host: &str, domain: &str) -> String {
    let whole = if domain.is_empty() { host.to_owned() } else { format!("{host}.{domain}") };
    match whole.split_once('.') {
        Some((first, _)) if !first.is_empty() => format!("{whole} {first}"),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read() {
        let text = "# x\nnameserver 192.0.2.1\nnameserver ::1 ; y\nnameserver fe80::1%eth0\nnameserver\n\
                    domain old\nsearch a.example b.example # c\noptions ndots:2 edns0\noptions rotate\n";
        let resolver = Resolver::parse(text);
        assert_eq!(resolver.nameservers.len(), 2);
        assert_eq!(resolver.search, ["a.example", "b.example"]);
        assert_eq!(resolver.options, ["ndots:2", "edns0", "rotate"]);
        assert_eq!(Resolver::parse(""), Resolver::default());
    }

    #[test]
    fn a_container_has_its_name_with_and_without_its_domain() {
        assert_eq!(names("box", ""), "box");
        assert_eq!(names("box", "lan"), "box.lan box");
        assert_eq!(names("box.lan", ""), "box.lan box");
    }
}
