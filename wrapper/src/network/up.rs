//! A container's network from before its start to after its end, and what changes in between.

use super::join::{Place, interface, join, part, rename as rename_on};
use super::joined::Joined;
use super::networks::is_up;
use super::record::Network;
use super::resolver::{extra_hosts, own_names};
use super::{NetworkError, Networks, Resolver, netns, ports, rootless};
use crate::container::{Attachment, Container, Containers, Endpoint, PublishedPort, State};
use crate::home::Home;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What a container has got.
#[derive(Debug, Default)]
pub struct Up {
    /// Its places on networks, by their names.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
    /// What keeps these ports, for as long as the container runs.
    pub held: Vec<OwnedFd>,
    /// For its resolv.conf: whom to ask.
    pub nameservers: Vec<IpAddr>,
    /// For its resolv.conf: domains to look up short names in.
    pub search: Vec<String>,
    /// For its resolv.conf: options.
    pub options: Vec<String>,
    /// For its hosts file, beside the lines of `localhost`: an address, and names with blanks between them.
    pub hosts: Vec<(IpAddr, String)>,
}

/// What a container's network is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// One of its own, on bridges.
    Own,
    /// The host's.
    Host,
    /// One of its own that leads nowhere.
    None,
    /// Another container's.
    Shared,
}

impl Mode {
    fn of(container: &Container) -> Self {
        match container.host_config.network_mode.as_str() {
            "host" => Self::Host,
            "none" => Self::None,
            mode if mode.starts_with("container:") => Self::Shared,
            _ => Self::Own,
        }
    }
}

/// The network namespace that [`up`] makes for a container, if it makes one.
#[must_use]
pub fn namespace(home: &Home, container: &Container) -> Option<PathBuf> {
    (Mode::of(container) == Mode::Own).then(|| home.netns(&container.id))
}

/// Makes the network of a container that is about to start: for one on bridges a namespace at `home.netns(id)`. What an
/// earlier start left is removed before; when something fails, nothing is left.
///
/// # Errors
/// [`NetworkError`].
pub fn up(containers: &Containers, container: &Container) -> Result<Up, NetworkError> {
    match Mode::of(container) {
        Mode::Own => own(containers, container),
        Mode::Shared => Ok(Up::default()),
        Mode::Host => {
            let mut up = named(Resolver::of_host(true)?.with_wishes(container));
            up.hosts = extra_hosts(container, Some(Ipv4Addr::LOCALHOST.into()))?;
            Ok(up)
        }
        Mode::None => {
            let mut up = named(Resolver::of_host(false)?.with_wishes(container));
            up.hosts = vec![(Ipv4Addr::LOCALHOST.into(), own_names(container))];
            up.hosts.extend(extra_hosts(container, None)?);
            Ok(up)
        }
    }
}

fn named(resolver: Resolver) -> Up {
    let Resolver { nameservers, search, options } = resolver;
    Up { nameservers, search, options, ..Up::default() }
}

fn own(containers: &Containers, container: &Container) -> Result<Up, NetworkError> {
    let home = containers.home();
    let leftovers = clear(home, &container.id, BTreeSet::new());
    if let Some(error) = leftovers.into_iter().next() {
        return Err(error);
    }
    // A monitor that starts a container again may not know of networks that it was connected to meanwhile.
    let container = &containers.load(&container.id)?;
    if rootless::is_rootless() {
        return own_rootless(home, container);
    }
    let networks = Networks::open(home)?;
    let places = places(&networks, container)?;
    let mut up = resolved(container, &places)?;
    let held = publish(containers, container, &places)?;
    (up.ports, up.held) = (held.ports, held.sockets);
    let made = join_all(home, &networks, container, &places, &up.ports);
    let endpoints = made.inspect_err(|_| drop(clear(home, &container.id, names(&places))))?;
    Ok(with_endpoints(up, container, endpoints))
}

fn own_rootless(home: &Home, container: &Container) -> Result<Up, NetworkError> {
    rootless::check(container)?;
    let mut up = resolved(container, &[])?;
    let forwards_names = up.nameservers.is_empty();
    if forwards_names {
        up.nameservers.push(rootless::FORWARDER);
    }
    if container.networks.is_empty() {
        netns::make(&home.netns(&container.id))?;
        return Ok(up);
    }
    up.ports = rootless::published(container)?;
    let made = rootless::connect(home, container, &up.ports, forwards_names);
    let endpoint = made.inspect_err(|_| drop(clear(home, &container.id, BTreeSet::new())))?;
    Ok(with_endpoints(up, container, BTreeMap::from([("bridge".to_owned(), endpoint)])))
}

/// What a container that runs is to be told about names, after it has joined or left a network; `None` for one whose names
/// do not depend on networks.
///
/// # Errors
/// [`NetworkError`].
pub fn told(
    containers: &Containers,
    container: &Container,
    state: &State,
) -> Result<Option<Up>, NetworkError> {
    if Mode::of(container) != Mode::Own {
        return Ok(None);
    }
    let places = places(&Networks::open(containers.home())?, container)?;
    Ok(Some(with_endpoints(resolved(container, &places)?, container, state.endpoints.clone())))
}

fn with_endpoints(mut up: Up, container: &Container, endpoints: BTreeMap<String, Endpoint>) -> Up {
    let addresses = endpoints.values().flat_map(|endpoint| &endpoint.addresses);
    up.hosts.splice(0..0, addresses.map(|(address, _)| (*address, own_names(container))));
    up.endpoints = endpoints;
    up
}

/// The networks that a container wants.
fn places<'a>(
    networks: &Networks,
    container: &'a Container,
) -> Result<Vec<(Network, &'a Attachment)>, NetworkError> {
    let find = |wish: &'a Attachment| {
        let network = networks.find(&wish.network)?;
        match network.is_bridge() {
            true => Ok((network, wish)),
            false => {
                Err(NetworkError::Mode(format!("network {} is not for several containers", network.name)))
            }
        }
    };
    container.networks.iter().map(find).collect()
}

fn names(places: &[(Network, &Attachment)]) -> BTreeSet<String> {
    places.iter().map(|(network, _)| network.name.clone()).collect()
}

/// What the container is told about names.
fn resolved(container: &Container, places: &[(Network, &Attachment)]) -> Result<Up, NetworkError> {
    let gateways =
        |network: &Network| network.pools().iter().filter_map(|pool| pool.gateway).collect::<Vec<_>>();
    let mut resolver = Resolver::of_host(false)?.with_wishes(container);
    let servers: Vec<IpAddr> = places
        .iter()
        .filter(|(network, _)| network.names)
        .flat_map(|(network, _)| gateways(network))
        .collect();
    if !servers.is_empty() {
        resolver = resolver.by_networks(servers, container);
    }
    let gateway = places.iter().flat_map(|(network, _)| gateways(network)).next();
    Ok(Up { hosts: extra_hosts(container, gateway)?, ..named(resolver) })
}

/// Takes the ports of the host, which lead to the first network that leads anywhere.
fn publish(
    containers: &Containers,
    container: &Container,
    places: &[(Network, &Attachment)],
) -> Result<ports::Held, NetworkError> {
    let bindings = ports::wanted(container)?;
    let Some(first) = bindings.first() else { return Ok(ports::Held::default()) };
    let Some((network, _)) = places.iter().find(|(network, _)| !network.internal) else {
        let port = format!("{}/{}", first.container_port, first.protocol);
        let reason = "the container is on no network that leads out".to_owned();
        return Err(NetworkError::Publish { port, reason });
    };
    let orphans = orphans(containers, &container.id)?;
    let is_taken = |port: &PublishedPort| orphans.iter().any(|mapping| ports::clashes(mapping, port));
    ports::take(&bindings, network, is_taken)
}

/// What is published for containers whose monitor was killed, and with it what kept their ports.
fn orphans(containers: &Containers, own: &str) -> Result<Vec<super::netavark::PortMapping>, NetworkError> {
    let joined = Joined::new(containers.home());
    let mut mappings = Vec::new();
    for id in joined.containers()?.iter().filter(|id| *id != own && is_up(containers, id)) {
        for network in joined.networks(id)? {
            let ask = joined.ask(id, &network)?;
            mappings.extend(ask.and_then(|ask| ask.port_mappings).unwrap_or_default());
        }
    }
    Ok(mappings)
}

fn join_all(
    home: &Home,
    networks: &Networks,
    container: &Container,
    places: &[(Network, &Attachment)],
    ports: &[PublishedPort],
) -> Result<BTreeMap<String, Endpoint>, NetworkError> {
    netns::make(&home.netns(&container.id))?;
    let publishing = places.iter().position(|(network, _)| !network.internal);
    let join_one = |(number, (network, wish)): (usize, &(Network, &Attachment))| {
        let ports = if publishing == Some(number) { ports } else { &[] };
        let endpoint = join(home, networks, container, Place { network, wish, number, ports })?;
        Ok((network.name.clone(), endpoint))
    };
    places.iter().enumerate().map(join_one).collect()
}

/// Undoes what [`up`] and [`connect`] have made, for a container that has ended or never began. Nothing happens the second
/// time. Returns what could not be undone, which the next call tries again.
#[must_use = "somebody has to be told"]
pub fn down(home: &Home, container: &Container, state: &State) -> Vec<NetworkError> {
    let recorded = container.networks.iter().map(|wish| wish.network.clone());
    clear(home, &container.id, recorded.chain(state.endpoints.keys().cloned()).collect())
}

fn clear(home: &Home, id: &str, mut names: BTreeSet<String>) -> Vec<NetworkError> {
    let joined = Joined::new(home);
    let mut errors = Vec::new();
    let live = joined.networks(id).unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    names.extend(live.iter().cloned());
    for name in &live {
        // Whoever still has rules in the packet filter keeps its addresses.
        if let Err(error) = part(home, id, name, true) {
            names.remove(name);
            errors.push(error);
        }
    }
    errors.extend(forget(home, &joined, id, &names).err());
    errors
}

/// Gives back a container's namespace and addresses.
fn forget(home: &Home, joined: &Joined, id: &str, names: &BTreeSet<String>) -> Result<(), NetworkError> {
    rootless::disconnect(home, id)?;
    let namespace = home.netns(id);
    if namespace.exists() {
        netns::remove(&namespace)?;
    }
    let networks = Networks::of(home);
    for name in names {
        networks.release_addresses(name, id)?;
    }
    joined.sweep(id)
}

/// Puts a container on one more network: at once if it runs, and when it starts.
///
/// # Errors
/// [`NetworkError`].
pub fn connect(
    containers: &Containers,
    network: &Network,
    id: &str,
    wish: Attachment,
) -> Result<(), NetworkError> {
    rootless::refuse_if_rootless("joining a network")?;
    let _lock = containers.lock(id)?;
    let mut container = containers.load(id)?;
    check_mode(&container, network)?;
    if container.networks.iter().any(|other| same(other, network)) {
        return Err(NetworkError::Connected { container: container.name, network: network.name.clone() });
    }
    let home = containers.home();
    if is_up(containers, id) && netns::exists(&home.netns(id)) {
        let state = containers.recorded_state(id)?;
        let used =
            |number: &usize| state.endpoints.values().any(|other| other.interface == interface(*number));
        let number = (0..).find(|number| !used(number)).unwrap_or_default();
        let place = Place { network, wish: &wish, number, ports: &[] };
        let networks = Networks::open(home)?;
        let endpoint = join(home, &networks, &container, place).inspect_err(|_| {
            // The complaint about the joining is the one to be told.
            let parted = part(home, id, &network.name, false);
            drop(parted.and_then(|()| networks.release_addresses(&network.name, id)));
        })?;
        containers.change_state(id, |state| drop(state.endpoints.insert(network.name.clone(), endpoint)))?;
    }
    container.networks.push(Attachment { network: network.name.clone(), ..wish });
    Ok(containers.save(&container)?)
}

/// Tells the networks of a container that runs that it has another name.
///
/// # Errors
/// [`NetworkError`].
pub fn rename(containers: &Containers, container: &Container) -> Result<(), NetworkError> {
    let home = containers.home();
    let live = Joined::new(home).networks(&container.id)?;
    if live.is_empty() || !is_up(containers, &container.id) {
        return Ok(());
    }
    let places = places(&Networks::open(home)?, container)?;
    let mut live = places.iter().filter(|(network, _)| live.contains(&network.name));
    live.try_for_each(|(network, wish)| {
        rename_on(home, container, Place { network, wish, number: 0, ports: &[] })
    })
}

/// Takes a container off a network: at once if it runs, and for its next start.
///
/// # Errors
/// [`NetworkError`].
pub fn disconnect(containers: &Containers, network: &Network, id: &str) -> Result<(), NetworkError> {
    rootless::refuse_if_rootless("leaving a network")?;
    let _lock = containers.lock(id)?;
    let mut container = containers.load(id)?;
    check_mode(&container, network)?;
    let before = container.networks.len();
    container.networks.retain(|other| !same(other, network));
    if container.networks.len() == before {
        return Err(NetworkError::NotConnected { container: container.name, network: network.name.clone() });
    }
    let home = containers.home();
    let joined = Joined::new(home);
    if let Some(ask) = joined.ask(id, &network.name)? {
        part(home, id, &network.name, false)?;
        containers.change_state(id, |state| {
            state.endpoints.remove(&network.name);
            if ask.port_mappings.is_some() {
                state.ports.clear();
            }
        })?;
    }
    Networks::of(home).release_addresses(&network.name, id)?;
    Ok(containers.save(&container)?)
}

/// `default` is another name of the bridge.
fn same(wish: &Attachment, network: &Network) -> bool {
    wish.network == network.name || (wish.network == "default" && network.name == "bridge")
}

fn check_mode(container: &Container, network: &Network) -> Result<(), NetworkError> {
    let refuse = |text: &str| Err(NetworkError::Mode(text.to_owned()));
    if !network.is_bridge() {
        return refuse("container cannot be disconnected from or connected to the networks host and none");
    }
    match Mode::of(container) {
        Mode::Own => Ok(()),
        Mode::Host => {
            refuse("container cannot be disconnected from host network or connected to host network")
        }
        Mode::None => refuse(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ),
        Mode::Shared => refuse(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ),
    }
}
