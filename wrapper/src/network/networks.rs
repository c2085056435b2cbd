//! All networks of a home: a record for each, and a directory with its addresses.
//!
//! ```text
//! ROOT/networks/NAME.json           what it is
//! ROOT/networks/NAME/lock           held while addresses are taken, and while it is removed
//! ROOT/networks/NAME/addresses/     who has which address
//! ROOT/networks/.lock               held while networks are made
//! ```

use super::NetworkError;
use super::addresses::Addresses;
use super::claims::Claims;
use super::error::failed;
use super::files::{self, Locked};
use super::record::{BRIDGE_NAME, Network, OF_THE_HOST, PREFIX, Pool};
use super::rootless::refuse_if_rootless;
use super::wish::Wish;
use crate::clock;
use crate::container::Containers;
use crate::home::Home;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The networks of a home.
#[derive(Debug, Clone)]
pub struct Networks {
    home: Home,
}

impl Networks {
    /// Those of `home`; `bridge`, `host` and `none` are made if they are missing.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn open(home: &Home) -> Result<Self, NetworkError> {
        let networks = Self::of(home);
        if !networks.record("bridge").exists() {
            networks.predefine()?;
        }
        Ok(networks)
    }

    /// Those of `home`, whether they are there or not.
    pub(super) fn of(home: &Home) -> Self {
        Self { home: home.clone() }
    }

    fn predefine(&self) -> Result<(), NetworkError> {
        files::make_directory(&self.home.networks())?;
        let _lock = self.lock()?;
        // The bridge comes last: when it is there, all are.
        for network in [Network::without_bridge("host", "host"), Network::without_bridge("none", "null")] {
            if !self.record(&network.name).exists() {
                self.publish(network)?;
            }
        }
        if self.record("bridge").exists() {
            return Ok(());
        }
        let mut claims = Claims::open(self.home.run())?;
        let subnet = claims.free()?;
        let pool = Pool { subnet, range: None, gateway: subnet.first_host() };
        let mut network = Network { name: "bridge".to_owned(), ..Network::bridge(vec![pool]) };
        let is_the_hosts = self.home.root() == Path::new("/var/lib/mydocker");
        if is_the_hosts {
            network.interface = OF_THE_HOST.to_owned();
        }
        claims.add(subnet, &self.record("bridge"))?;
        self.publish(network).map(drop)
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn create(&self, wish: &Wish) -> Result<Network, NetworkError> {
        refuse_if_rootless("a network of containers")?;
        check_name(&wish.name)?;
        let _lock = self.lock()?;
        if self.find(&wish.name).is_ok_and(|network| network.name == wish.name) || wish.name == "default" {
            return Err(NetworkError::Exists(wish.name.clone()));
        }
        let record = self.record(&wish.name);
        let mut claims = Claims::open(self.home.run())?;
        let network = wish.network(|| claims.free())?;
        for pool in network.pools() {
            self.check_subnet(&claims, pool, &record, &network.interface)?;
        }
        self.check_interface(&network)?;
        let network = self.publish(network)?;
        for pool in network.pools() {
            claims.add(pool.subnet, &record)?;
        }
        Ok(network)
    }

    fn check_subnet(
        &self,
        claims: &Claims,
        pool: &Pool,
        record: &Path,
        interface: &str,
    ) -> Result<(), NetworkError> {
        match claims.conflict(&pool.subnet, record, interface)? {
            Some(other) => Err(NetworkError::Overlap { subnet: pool.subnet.to_string(), other }),
            None => Ok(()),
        }
    }

    /// A bridge that somebody named must be nobody else's.
    fn check_interface(&self, network: &Network) -> Result<(), NetworkError> {
        let taken = self.all()?.iter().any(|other| other.interface == network.interface);
        let exists = interface_exists(&network.interface);
        if !network.interface.is_empty() && (taken || exists) {
            return Err(NetworkError::Option(
                BRIDGE_NAME.to_owned(),
                "the host has an interface of this name",
            ));
        }
        Ok(())
    }

    /// Sees to it that the subnets of a network are still its own: after a reboot nobody knows of it, and the host may
    /// have got new routes. To be asked when its bridge is not there.
    pub(super) fn claim(&self, network: &Network) -> Result<(), NetworkError> {
        let record = self.record(&network.name);
        let mut claims = Claims::open(self.home.run())?;
        for pool in network.pools() {
            self.check_subnet(&claims, pool, &record, &network.interface)?;
            claims.add(pool.subnet, &record)?;
        }
        Ok(())
    }

    /// Gives a new network its id, its bridge and its place.
    fn publish(&self, mut network: Network) -> Result<Network, NetworkError> {
        network.id = Containers::new_id()?;
        network.created = clock::now();
        if network.is_bridge() && network.interface.is_empty() {
            // The name of an interface has at most 15 bytes.
            network.interface = format!("{PREFIX}{}", network.short_id());
        }
        files::make_directory(&self.directory(&network.name))?;
        files::write_json(&self.record(&network.name), &network)?;
        Ok(network)
    }

    /// The network of this name, id, or beginning of an id; `default` is the bridge.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] and others.
    pub fn find(&self, wanted: &str) -> Result<Network, NetworkError> {
        let not_found = || NetworkError::NotFound(wanted.to_owned());
        let name = if wanted == "default" { "bridge" } else { wanted };
        if check_name(name).is_err() {
            return Err(not_found());
        }
        if let Some(network) = files::read_json(&self.record(name))? {
            return Ok(network);
        }
        let mut fitting = self.all()?.into_iter().filter(|network| network.id.starts_with(name));
        match (fitting.next(), fitting.next()) {
            (Some(network), None) => Ok(network),
            (None, _) => Err(not_found()),
            _ => Err(NetworkError::Ambiguous(wanted.to_owned())),
        }
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`NetworkError`].
    pub fn all(&self) -> Result<Vec<Network>, NetworkError> {
        let names = files::names_in(&self.home.networks())?;
        let mut networks = Vec::new();
        for name in names.iter().filter_map(|name| name.strip_suffix(".json")) {
            // One that is removed at this moment is no error.
            networks.extend(files::read_json(&self.record(name))?);
        }
        networks.sort_by(|one: &Network, other: &Network| one.name.cmp(&other.name));
        Ok(networks)
    }

    /// Removes a network that nobody is on.
    ///
    /// # Errors
    /// [`NetworkError::InUse`] and others.
    pub fn remove(&self, containers: &Containers, network: &Network) -> Result<(), NetworkError> {
        if network.is_predefined() {
            return Err(NetworkError::Predefined(network.name.clone(), "removed"));
        }
        let _lock = self.lock_one(network)?;
        let users = self.users(containers, network)?;
        if !users.is_empty() {
            let users = users.join(", ");
            return Err(NetworkError::InUse { name: network.name.clone(), users });
        }
        let record = self.record(&network.name);
        Claims::open(self.home.run())?.remove(&record)?;
        files::remove(&record)?;
        let directory = self.directory(&network.name);
        files::absent_is_fine(fs::remove_dir_all(&directory)).map_err(failed("remove", &directory))
    }

    /// The names of the containers that have an address of it and are alive, or about to be.
    fn users(&self, containers: &Containers, network: &Network) -> Result<Vec<String>, NetworkError> {
        let mut users = Vec::new();
        for (_, id) in self.addresses(network).taken()? {
            let Ok(container) = containers.load(&id) else { continue };
            if is_up(containers, &id) {
                users.push(container.name);
            }
        }
        users.dedup();
        Ok(users)
    }

    /// The ids of the containers that have an address of it.
    ///
    /// # Errors
    /// [`NetworkError::Io`].
    pub fn holders(&self, network: &Network) -> Result<Vec<String>, NetworkError> {
        Ok(self.addresses(network).taken()?.into_iter().map(|(_, id)| id).collect())
    }

    /// Takes addresses for a container.
    pub(super) fn take_addresses(
        &self,
        network: &Network,
        wanted: &[IpAddr],
        id: &str,
    ) -> Result<Vec<IpAddr>, NetworkError> {
        let _lock = self.lock_one(network)?;
        self.addresses(network).take(network, wanted, id)
    }

    /// Gives back the addresses that a container has on the network of this name, if there is such a network.
    pub(super) fn release_addresses(&self, name: &str, id: &str) -> Result<(), NetworkError> {
        Addresses::new(self.directory(name).join("addresses"), self.home.containers()).release(id)
    }

    /// The addresses of a network.
    pub(super) fn addresses(&self, network: &Network) -> Addresses {
        Addresses::new(self.directory(&network.name).join("addresses"), self.home.containers())
    }

    /// Locks a network's addresses. It may have gone while somebody waited.
    pub(super) fn lock_one(&self, network: &Network) -> Result<Locked, NetworkError> {
        let gone = || NetworkError::NotFound(network.name.clone());
        let directory = self.directory(&network.name);
        if !directory.is_dir() {
            return Err(gone());
        }
        let lock = files::lock(&directory.join("lock"))?;
        let now: Option<Network> = files::read_json(&self.record(&network.name))?;
        now.filter(|now| now.id == network.id).map(|_| lock).ok_or_else(gone)
    }

    fn lock(&self) -> Result<Locked, NetworkError> {
        files::lock(&self.home.networks().join(".lock"))
    }

    /// The file of the network of this name.
    pub(super) fn record(&self, name: &str) -> PathBuf {
        self.home.networks().join(format!("{name}.json"))
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.home.networks().join(name)
    }
}

/// Whether a container runs, or a monitor is about to run it. One whose record cannot be read is taken for alive.
pub(super) fn is_up(containers: &Containers, id: &str) -> bool {
    let state = containers.recorded_state(id);
    state.map_or(true, |state| {
        let seen = crate::container::Seen::of(&state, containers.boot());
        seen.process || seen.monitor
    })
}

/// Whether the host has an interface of this name.
pub(super) fn interface_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

fn check_name(name: &str) -> Result<(), NetworkError> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if begins && goes_on && name.len() <= 128 {
        return Ok(());
    }
    Err(NetworkError::BadName(name.to_owned()))
}
