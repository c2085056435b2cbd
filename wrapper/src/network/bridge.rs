//! The default bridge itself. It stays when the last container leaves it, for the kernel takes long to remove one; it comes
//! again when somebody has removed it, or its rules, or when the host was switched off.
//!
//! ```text
//! RUN/networks/checked               the bridge and the state of the packet filter in which all was as it should be
//! /run/lock/mydocker/bridges/BRIDGE  whose it is: where that record has gone, the bridge goes too
//! ```

use super::claims::shared_directory;
use super::default::{lead_back, port_of, set};
use super::devices::{Devices, Mac};
use super::joined::{Joined, config};
use super::netavark::{Ask, Info, InfoSubnet};
use super::record::Network;
use super::rootless::is_rootless;
use super::rules::{Published, Rules, removal};
use super::{NetworkError, Networks, Subnet, files, filter, netns};
use crate::home::Home;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// How often rules are written that others take away meanwhile.
const TRIES: usize = 3;

/// The bridge of a network.
#[derive(Debug)]
pub(super) struct Bridge<'a> {
    home: &'a Home,
    /// The network's name.
    network: &'a str,
    name: &'a str,
    mac: Mac,
    subnet: Subnet,
    gateway: IpAddr,
}

impl<'a> Bridge<'a> {
    /// The one of a network of IPv4 with a gateway.
    pub(super) fn new(home: &'a Home, network: &'a str, info: &'a Info) -> Result<Self, NetworkError> {
        let none = || NetworkError::Plan(format!("the network {network} has no gateway"));
        let InfoSubnet { subnet, gateway } = info.subnets.first().ok_or_else(none)?;
        let (subnet, gateway) = (subnet.parse()?, gateway.ok_or_else(none)?);
        Ok(Self { home, network, name: &info.network_interface, mac: mac(&info.id), subnet, gateway })
    }

    /// Sees to it that the bridge is there with all that belongs to it, before the container `next` comes; returns its
    /// index. The caller has the network's lock.
    pub(super) fn hold(
        &self,
        networks: &Networks,
        network: &Network,
        next: &str,
    ) -> Result<i32, NetworkError> {
        let devices = Devices::open()?;
        set_if_other(Path::new("/proc/sys/net/ipv4/ip_forward"), "1")?;
        let generation = filter::generation();
        if let Some(link) = devices.find(self.name)?.filter(|link| link.up)
            && devices.has_address(link.index, self.gateway, self.name)?
            && self.is_checked(link.index, generation)?
        {
            return Ok(link.index);
        }
        let _host = lock_host(self.home)?;
        let index = self.make(&devices, networks, network)?;
        self.hold_rules(index, next)?;
        Ok(index)
    }

    fn make(&self, devices: &Devices, networks: &Networks, network: &Network) -> Result<i32, NetworkError> {
        let there = devices.find(self.name)?;
        let register = register(self.home);
        files::make_directory(&register)?;
        if there.is_none() {
            sweep(&register);
            networks.claim(network)?;
        }
        let owner = networks.record(self.network);
        files::write(&register.join(self.name), owner.as_os_str().as_encoded_bytes())?;
        if there.is_none() {
            devices.make_bridge(self.name, self.mac)?;
        }
        let gone = || NetworkError::Gone(self.name.to_owned());
        let link = devices.find(self.name)?.ok_or_else(gone)?;
        devices.add_address(link.index, self.gateway, &self.subnet, self.name)?;
        devices.raise(link.index, self.name)?;
        self.plug_in_again(devices, link.index)?;
        Ok(link.index)
    }

    /// Brings the containers back that lost the bridge when somebody removed it.
    fn plug_in_again(&self, devices: &Devices, index: i32) -> Result<(), NetworkError> {
        let asks = self.asks(None)?;
        for ask in &asks {
            let (Some(name), Some(link)) = (&ask.port, port_of(devices, ask)?) else { continue };
            if link.bridge != Some(index) {
                devices.plug_in(link.index, index, name)?;
                if ask.port_mappings.is_some() {
                    lead_back(devices, ask)?;
                }
            }
        }
        if asks.iter().any(|ask| ask.port_mappings.is_some()) { self.let_loopback_through() } else { Ok(()) }
    }

    /// Lets what comes for a port on 127.0.0.1 go to a container, and the answers back.
    pub(super) fn let_loopback_through(&self) -> Result<(), NetworkError> {
        set_if_other(&Path::new("/proc/sys/net/ipv4/conf").join(self.name).join("route_localnet"), "1")
    }

    /// The ports of the container `next` are written down already, and not yet published.
    fn hold_rules(&self, index: i32, next: &str) -> Result<(), NetworkError> {
        let rules = self.rules(Some(next))?;
        for _ in 0..TRIES {
            let generation = filter::generation();
            let saved = filter::saved()?;
            if rules.hold_in(&saved) {
                return self.note_checked(index, generation.filter(|_| filter::is_counted(&saved)));
            }
            filter::restore(&rules.mend(&saved))?;
        }
        let message =
            format!("the rules of the bridge {} do not stay; some other program removes them", self.name);
        Err(NetworkError::Program { program: "iptables", message })
    }

    /// Has the ports of all containers lead to them, but for those of the container `except`. The caller has the lock.
    /// Where somebody has removed the bridge, the ports would go astray all the same.
    pub(super) fn publish(&self, except: Option<&str>) -> Result<(), NetworkError> {
        let index = Devices::open()?.find(self.name)?.map_or(0, |link| link.index);
        let before = filter::generation();
        let was_checked = self.is_checked(index, before)?;
        filter::restore(&self.rules(except)?.ports())?;
        // When this was the only change meanwhile, everything else is as it was.
        let after = before.map(|before| before.wrapping_add(1));
        if was_checked && filter::generation() == after { self.note_checked(index, after) } else { Ok(()) }
    }

    fn rules(&self, except: Option<&str>) -> Result<Rules, NetworkError> {
        let mut published = Vec::new();
        for ask in self.asks(except)? {
            let to = ask.networks.values().find_map(|options| options.static_ips.first()).copied();
            let mappings = ask.port_mappings.into_iter().flatten();
            published
                .extend(to.into_iter().cycle().zip(mappings).map(|(to, mapping)| Published { to, mapping }));
        }
        Ok(Rules { bridge: self.name.to_owned(), subnet: self.subnet.to_string(), published })
    }

    /// What is written down about the containers that are on it. What was before the host was switched off has no namespace.
    fn asks(&self, except: Option<&str>) -> Result<Vec<Ask>, NetworkError> {
        let joined = Joined::new(self.home);
        let mut asks = Vec::new();
        for id in joined.containers()?.iter().filter(|id| Some(id.as_str()) != except) {
            if netns::exists(&self.home.netns(id)) {
                asks.extend(joined.ask(id, self.network)?.filter(|ask| ask.port.is_some()));
            }
        }
        Ok(asks)
    }

    fn is_checked(&self, index: i32, generation: Option<u32>) -> Result<bool, NetworkError> {
        let Some(generation) = generation else { return Ok(false) };
        let noted = files::read(&checked(self.home))?;
        Ok(noted.is_some_and(|noted| noted == mark(index, generation)))
    }

    fn note_checked(&self, index: i32, generation: Option<u32>) -> Result<(), NetworkError> {
        match generation {
            Some(generation) => files::write(&checked(self.home), &mark(index, generation)),
            None => files::remove(&checked(self.home)),
        }
    }
}

fn mark(index: i32, generation: u32) -> Vec<u8> {
    format!("{index} {generation}\n").into_bytes()
}

fn checked(home: &Home) -> PathBuf {
    config(home).join("checked")
}

/// A MAC address that is always the same for a network, so that containers need not learn another one when the bridge was
/// made again. The first byte says that nobody has been given it.
fn mac(id: &str) -> Mac {
    let byte = |at: usize| id.get(2 * at..2 * at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|at| byte(at).unwrap_or(0));
    [2, a, b, c, d, e]
}

/// What only one process on the host may do at a time: netavark must not find chains half made.
fn lock_host(home: &Home) -> Result<files::Locked, NetworkError> {
    let directory = shared_directory(home.run());
    files::make_directory(&directory)?;
    files::lock(&directory.join("networks.lock"))
}

fn register(home: &Home) -> PathBuf {
    shared_directory(home.run()).join("bridges")
}

/// Takes down the bridges of homes that somebody has removed. The caller has the host's lock.
fn sweep(register: &Path) {
    for name in files::names_in(register).unwrap_or_default() {
        let path = register.join(&name);
        let owner = files::read(&path).ok().flatten().and_then(|text| String::from_utf8(text).ok());
        if owner.is_some_and(|owner| !Path::new(&owner).exists()) {
            // The next one that makes a bridge tries again.
            drop(take_down(&name, &path));
        }
    }
}

fn take_down(name: &str, entry: &Path) -> Result<(), NetworkError> {
    let devices = Devices::open()?;
    if let Some(link) = devices.find(name)? {
        devices.remove(link.index, name)?;
    }
    if let Some(text) = removal(name, &filter::saved()?) {
        filter::restore(&text)?;
    }
    files::remove(entry)
}

/// Takes the default bridge of a home down if no container is on it, with its rules; the next container brings it back.
///
/// # Errors
/// [`NetworkError`].
pub fn take_down_idle(home: &Home) -> Result<(), NetworkError> {
    if is_rootless() {
        return Ok(());
    }
    let networks = Networks::of(home);
    let network = match networks.find("bridge") {
        Err(NetworkError::NotFound(_)) => return Ok(()),
        other => other?,
    };
    let entry = register(home).join(&network.interface);
    let _lock = networks.lock_one(&network)?;
    if !entry.exists() || has_containers(home, &network.name)? {
        return Ok(());
    }
    let _host = lock_host(home)?;
    files::remove(&checked(home))?;
    take_down(&network.interface, &entry)
}

fn has_containers(home: &Home, network: &str) -> Result<bool, NetworkError> {
    let joined = Joined::new(home);
    for id in joined.containers()? {
        if joined.ask(&id, network)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn set_if_other(path: &Path, value: &str) -> Result<(), NetworkError> {
    let is_so = files::read(path)?.is_some_and(|text| text.trim_ascii() == value.as_bytes());
    if is_so { Ok(()) } else { set(path, value) }
}
