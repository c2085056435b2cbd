//! One container on one network: the default bridge, or one that netavark makes.

use super::aardvark::{self, Server};
use super::claims::shared_directory;
use super::devices::Devices;
use super::files;
use super::joined::{Joined, config, spare};
use super::netavark::{Ask, Info, Netavark, Options};
use super::networks::interface_exists;
use super::record::Network;
use super::{NetworkError, Networks, default, isolation, netns, ports};
use crate::container::{Attachment, Container, Endpoint, PublishedPort};
use crate::events::{Event, Kind, record};
use crate::home::Home;
use std::collections::BTreeMap;
use std::iter;
use std::net::IpAddr;
use std::path::Path;

/// A place on a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub network: &'a Network,
    pub wish: &'a Attachment,
    /// The number of the interface: the default route goes by the least one.
    pub number: usize,
    /// The ports that are published by this network.
    pub ports: &'a [PublishedPort],
}

/// Puts a container on a network.
pub(super) fn join(
    home: &Home,
    networks: &Networks,
    container: &Container,
    place: Place<'_>,
) -> Result<Endpoint, NetworkError> {
    match default::is_default(place.network) {
        true => default::join(home, networks, container, place),
        false => Host::open(home)?.join(networks, container, place),
    }
}

/// Takes a container off a network, of which nothing is left then. Whoever has put it there: an earlier version of this
/// program left the default bridge to netavark. `is_whole` says that the container's namespace goes as well.
pub(super) fn part(home: &Home, id: &str, network: &str, is_whole: bool) -> Result<(), NetworkError> {
    match Joined::new(home).ask(id, network)? {
        None => Ok(()),
        Some(ask) if ask.port.is_some() => default::part(home, id, network, &ask, is_whole),
        Some(_) => Host::open(home)?.part(id, network),
    }
}

/// Tells a network that a container on it has another name.
pub(super) fn rename(home: &Home, container: &Container, place: Place<'_>) -> Result<(), NetworkError> {
    match Joined::new(home).ask(&container.id, &place.network.name)? {
        // The default bridge knows no names.
        Some(ask) if ask.port.is_none() => Host::open(home)?.rename(container, place, ask),
        _ => Ok(()),
    }
}

/// The right to change the host's networks, which one process has at a time: netavark looks whether a rule or a bridge is
/// there before it makes or removes it, and all networks of the host share some rules.
#[derive(Debug)]
struct Host {
    home: Home,
    joined: Joined,
    netavark: Netavark,
    server: Server,
}

impl Host {
    /// Waits for the right.
    fn open(home: &Home) -> Result<Self, NetworkError> {
        let config = config(home);
        let directory = shared_directory(home.run());
        files::make_directory(&directory)?;
        let lock = files::lock(&directory.join("networks.lock"))?;
        let netavark = Netavark::find(&config, lock)?;
        let (joined, server) = (Joined::new(home), Server::new(&config));
        Ok(Self { home: home.clone(), joined, netavark, server })
    }

    /// Puts a container on a network.
    fn join(
        &self,
        networks: &Networks,
        container: &Container,
        place: Place<'_>,
    ) -> Result<Endpoint, NetworkError> {
        let network = place.network;
        let is_new = !interface_exists(&network.interface);
        if is_new {
            networks.claim(network)?;
        }
        let addresses = networks.take_addresses(network, &place.wish.addresses, &container.id)?;
        let ask = ask(container, place, &addresses)?;
        let path = self.joined.note(&container.id, &network.name, &ask)?;
        if network.names {
            aardvark::program()?;
            drop(self.server.process()?);
        }
        let namespace = self.home.netns(&container.id);
        let mac = self.netavark.set_up(&namespace, &path)?;
        let info = Info::of(network, 0);
        if !network.internal && (is_new || ask.port_mappings.is_some()) {
            isolation::after_joining(&info, ask.port_mappings.is_some())?;
            if ask.port_mappings.is_some() {
                let_back(&info)?;
            }
        }
        if network.names {
            self.server.wait_for(&namespace, &info, container.short_id())?;
        }
        tell(&self.home, "connect", &info, &network.name, &container.id);
        Ok(endpoint(container, place, mac, &addresses))
    }

    /// Tells the name server another name of a container, and notes it for whoever undoes what was made.
    fn rename(&self, container: &Container, place: Place<'_>, mut ask: Ask) -> Result<(), NetworkError> {
        let network = place.network;
        let aliases = names(container, place)?;
        ask.container_name.clone_from(&container.name);
        if let Some(options) = ask.networks.get_mut(&network.host_name()) {
            options.aliases.clone_from(&aliases);
        }
        self.joined.note(&container.id, &network.name, &ask)?;
        if !network.names {
            return Ok(());
        }
        let all: Vec<String> = iter::once(container.name.clone()).chain(aliases).collect();
        if !self.server.rename(&container.id, &network.host_name(), &all)? {
            return Ok(());
        }
        let name = container.name.to_ascii_lowercase();
        // One with a dot is no name of this network for who asks.
        let known = if name.contains('.') { container.short_id() } else { &name };
        self.server.wait_for(&self.home.netns(&container.id), &Info::of(network, 0), known)
    }

    /// Takes a container off a network, of which nothing is left then.
    fn part(&self, id: &str, network: &str) -> Result<(), NetworkError> {
        let path = self.joined.path(id, network);
        let Some(ask) = self.joined.ask(id, network)? else { return Ok(()) };
        let server = self.server.process()?;
        let namespace = self.home.netns(id);
        if !netns::exists(&namespace) || self.netavark.tear_down(&namespace, &path).is_err() {
            self.drop_stale_ports(id, network, &ask)?;
            self.undo(&spare(&namespace), &path)?;
        }
        self.server.settle(server)?;
        for info in ask.network_info.values() {
            if !info.internal {
                isolation::after_parting(info)?;
            }
            tell(&self.home, "disconnect", info, network, id);
        }
        self.joined.forget(id, network)
    }

    /// A namespace that has gone takes its devices along a moment later. Until then netavark would take them for somebody
    /// else's, and leave the bridge and its rules there for good.
    fn drop_stale_ports(&self, id: &str, network: &str, ask: &Ask) -> Result<(), NetworkError> {
        for other in self.joined.containers()?.iter().filter(|other| *other != id) {
            if self.joined.ask(other, network)?.is_some() {
                return Ok(());
            }
        }
        let devices = Devices::open()?;
        for info in ask.network_info.values() {
            let ports = Path::new("/sys/class/net").join(&info.network_interface).join("brif");
            for name in files::names_in(&ports)? {
                if let Some(link) = devices.find(&name)? {
                    devices.remove(link.index, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Undoes what was half made, or half undone, or whose namespace has gone: netavark stops early when something is not
    /// there. So everything is made, in an empty namespace, and undone then.
    fn undo(&self, spare: &Path, path: &Path) -> Result<(), NetworkError> {
        netns::make(spare)?;
        drop(self.server.process()?);
        let made = self.netavark.set_up(spare, path);
        // That has started a name server where the last one was killed.
        let server = self.server.process()?;
        let undone = self.netavark.tear_down(spare, path);
        self.server.settle(server)?;
        netns::remove(spare)?;
        match made {
            // Its own complaint is the better one.
            Err(error) if undone.is_err() => Err(error),
            _ => undone,
        }
    }
}

/// Tells who waits for events that a container has joined or left a network.
pub(super) fn tell(home: &Home, action: &str, info: &Info, network: &str, container: &str) {
    let event = Event::new(Kind::Network, action, &info.id).with("name", network);
    record(home, &event.with("type", &info.driver).with("container", container));
}

/// What is to be made for a container.
pub(super) fn ask(
    container: &Container,
    place: Place<'_>,
    addresses: &[IpAddr],
) -> Result<Ask, NetworkError> {
    let network = place.network;
    let options = Options {
        interface_name: interface(place.number),
        static_ips: addresses.to_vec(),
        static_mac: place.wish.mac.clone(),
        aliases: names(container, place)?,
    };
    let mappings = ports::mappings(place.ports);
    let servers = &container.host_config.dns;
    let metric = 100 + u32::try_from(place.number).unwrap_or(0);
    Ok(Ask {
        container_id: container.id.clone(),
        container_name: container.name.clone(),
        port_mappings: (!mappings.is_empty()).then_some(mappings),
        networks: BTreeMap::from([(network.host_name(), options)]),
        network_info: BTreeMap::from([(network.host_name(), Info::of(network, metric))]),
        dns_servers: (!servers.is_empty()).then(|| servers.clone()),
        port: None,
    })
}

pub(super) fn interface(number: usize) -> String {
    format!("eth{number}")
}

/// The names by which others on the network find a container, beside its own. The server looks for them in lower case.
fn names(container: &Container, place: Place<'_>) -> Result<Vec<String>, NetworkError> {
    let wished = &place.wish.aliases;
    if !place.network.names && !wished.is_empty() {
        return Err(NetworkError::Mode(format!(
            "network-scoped alias is supported only for containers in user defined networks, not on {}",
            place.network.name
        )));
    }
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        !name.is_empty() && name.len() < 64 && name.bytes().all(fits)
    };
    if let Some(bad) = wished.iter().find(|name| !is_name(name)) {
        return Err(NetworkError::Alias(bad.clone()));
    }
    let mut names: Vec<String> = wished.iter().map(|name| name.to_ascii_lowercase()).collect();
    names.push(container.short_id().to_owned());
    if container.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        names.push(container.name.to_ascii_lowercase());
    }
    names.sort();
    names.dedup();
    names.retain(|name| *name != container.name);
    Ok(names)
}

/// What a container has got on a network.
pub(super) fn endpoint(
    container: &Container,
    place: Place<'_>,
    mac: String,
    addresses: &[IpAddr],
) -> Endpoint {
    let pools = place.network.pools();
    let mut aliases = place.wish.aliases.clone();
    if place.network.names {
        aliases.push(container.short_id().to_owned());
    }
    Endpoint {
        interface: interface(place.number),
        mac,
        addresses: addresses
            .iter()
            .zip(pools)
            .map(|(address, pool)| (*address, pool.subnet.length()))
            .collect(),
        gateways: pools.iter().filter_map(|pool| pool.gateway).collect(),
        aliases,
    }
}

/// Lets a container reach its own published ports: where the bridge hands its frames to the packet filter (br_netfilter),
/// they are led back to the very port that they came from, which a bridge does not do by itself.
fn let_back(info: &Info) -> Result<(), NetworkError> {
    let ports = Path::new("/sys/class/net").join(&info.network_interface).join("brif");
    for name in files::names_in(&ports)? {
        let path = ports.join(name).join("hairpin_mode");
        // Another container's port may go at this moment.
        files::absent_is_fine(std::fs::write(&path, "1")).map_err(super::error::failed("write", &path))?;
    }
    Ok(())
}
