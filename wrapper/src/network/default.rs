//! One container on the default bridge, which mydocker makes by itself: netavark runs some fifty programs for a container,
//! and this takes one or two for a published port, and none without ([why](../../../docs/adr/0016-the-default-bridge.md)).

use super::bridge::Bridge;
use super::devices::{Devices, Inner, Link, Mac, parse_mac};
use super::join::{Place, ask, endpoint, tell};
use super::joined::Joined;
use super::netavark::{Ask, Info};
use super::record::Network;
use super::{NetworkError, Networks, files, netns};
use crate::container::{Container, Containers, Endpoint};
use crate::home::Home;
use mydocker_sys::AsFd as _;
use mydocker_sys::fs::{OFlag, open};
use std::net::IpAddr;
use std::path::Path;

/// Whether a network is the default bridge, which is always one of IPv4.
pub(super) fn is_default(network: &Network) -> bool {
    network.name == "bridge"
        && matches!(network.pools(), [pool] if pool.subnet.is_ipv4() && pool.gateway.is_some())
}

/// Puts a container on the bridge.
pub(super) fn join(
    home: &Home,
    networks: &Networks,
    container: &Container,
    place: Place<'_>,
) -> Result<Endpoint, NetworkError> {
    let network = place.network;
    let mac = wanted_mac(place)?;
    let addresses = networks.take_addresses(network, &place.wish.addresses, &container.id)?;
    let port = format!("mv{}", &Containers::new_id()?[..12]);
    let ask = Ask { port: Some(port), ..ask(container, place, &addresses)? };
    Joined::new(home).note(&container.id, &network.name, &ask)?;
    let _lock = networks.lock_one(network)?;
    let info = Info::of(network, 0);
    let bridge = Bridge::new(home, &network.name, &info)?;
    let index = bridge.hold(networks, network, &container.id)?;
    let inner = plug_in(home, &container.id, &ask, index, mac, place.number)?;
    if ask.port_mappings.is_some() {
        bridge.publish(None)?;
        bridge.let_loopback_through()?;
    }
    tell(home, "connect", &info, &network.name, &container.id);
    Ok(endpoint(container, place, inner.mac, &addresses))
}

/// Takes a container off the bridge. Where its namespace goes as well (`is_whole`), the kernel removes the devices with it,
/// and nobody has to wait for that: the container reaches nothing any more when this is done.
pub(super) fn part(
    home: &Home,
    id: &str,
    network: &str,
    ask: &Ask,
    is_whole: bool,
) -> Result<(), NetworkError> {
    let networks = Networks::of(home);
    let _lock = match networks.find(network).and_then(|network| networks.lock_one(&network)) {
        // Somebody has removed the record: then nobody joins it either.
        Err(NetworkError::NotFound(_)) => None,
        other => Some(other?),
    };
    let devices = Devices::open()?;
    if let (Some(name), Some(link)) = (&ask.port, port_of(&devices, ask)?) {
        match is_whole {
            true => devices.pull_out(link.index, name)?,
            false => devices.remove(link.index, name)?,
        }
    }
    for info in ask.network_info.values() {
        let bridge = Bridge::new(home, network, info)?;
        if ask.port_mappings.is_some() {
            bridge.publish(Some(id))?;
        }
        tell(home, "disconnect", info, network, id);
    }
    Joined::new(home).forget(id, network)
}

/// The host's end of a container's pair of devices.
pub(super) fn port_of(devices: &Devices, ask: &Ask) -> Result<Option<Link>, NetworkError> {
    ask.port.as_ref().map_or(Ok(None), |name| devices.find(name))
}

fn wanted_mac(place: Place<'_>) -> Result<Option<Mac>, NetworkError> {
    let parse = |text: &String| {
        parse_mac(text).ok_or_else(|| {
            NetworkError::Plan(format!("{text:?} is no MAC address; it is written like 02:42:0a:00:00:07"))
        })
    };
    place.wish.mac.as_ref().map(parse).transpose()
}

/// Makes the pair, and the container's end of it one that works.
fn plug_in(
    home: &Home,
    id: &str,
    ask: &Ask,
    bridge: i32,
    mac: Option<Mac>,
    number: usize,
) -> Result<Link, NetworkError> {
    let path = home.netns(id);
    let namespace = open(&path, OFlag::O_RDONLY)?;
    let name = super::join::interface(number);
    let inner = Inner { name: &name, mac, namespace: namespace.as_fd() };
    let devices = Devices::open()?;
    if let Some(port) = &ask.port {
        devices.make_pair(port, bridge, inner)?;
    }
    if ask.port_mappings.is_some() {
        lead_back(&devices, ask)?;
    }
    netns::inside(&path, || configure(&name, ask))?
}

/// Gives a container's device its addresses and routes, in the container's namespace.
fn configure(name: &str, ask: &Ask) -> Result<Link, NetworkError> {
    let devices = Devices::open()?;
    let link = devices.find(name)?.ok_or_else(|| NetworkError::Gone(name.to_owned()))?;
    // What somebody sends around gives the container no further address; and neighbours forget who had this one before.
    set(Path::new("/proc/sys/net/ipv6/conf").join(name).join("autoconf").as_path(), "0")?;
    set(Path::new("/proc/sys/net/ipv4/conf").join(name).join("arp_notify").as_path(), "1")?;
    for (info, options) in ask.network_info.values().zip(ask.networks.values()) {
        for (subnet, address) in info.subnets.iter().zip(&options.static_ips) {
            devices.add_address(link.index, *address, &subnet.subnet.parse()?, name)?;
        }
        devices.raise(link.index, name)?;
        let metric = info.options.get("metric").and_then(|metric| metric.parse().ok()).unwrap_or(100);
        let gateways: Vec<IpAddr> = info.subnets.iter().filter_map(|subnet| subnet.gateway).collect();
        for gateway in gateways {
            devices.add_default_route(gateway, metric, name)?;
        }
    }
    Ok(link)
}

/// Sets a parameter of the kernel, if the kernel has it: one without IPv6 has none of its.
pub(super) fn set(path: &Path, value: &str) -> Result<(), NetworkError> {
    files::absent_is_fine(std::fs::write(path, value)).map_err(super::error::failed("write", path))
}

/// Lets a container reach its own published ports.
pub(super) fn lead_back(devices: &Devices, ask: &Ask) -> Result<(), NetworkError> {
    match (&ask.port, port_of(devices, ask)?) {
        (Some(name), Some(link)) => devices.lead_back(link.index, name),
        _ => Ok(()),
    }
}
