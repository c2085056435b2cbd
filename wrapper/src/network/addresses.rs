//! Who has which address of a network: a link for each address, which leads to the container's id. The kernel makes a
//! link once only, so that no two containers have the same address, whoever dies in between.

use super::error::failed;
use super::files;
use super::record::{Network, Pool};
use super::{NetworkError, subnet};
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The addresses of one network.
#[derive(Debug)]
pub(super) struct Addresses {
    directory: PathBuf,
    containers: PathBuf,
}

impl Addresses {
    /// Those in `directory`, of containers in the directory `containers`.
    pub(super) fn new(directory: PathBuf, containers: PathBuf) -> Self {
        Self { directory, containers }
    }

    /// All that are taken, with the ids of containers that are there.
    pub(super) fn taken(&self) -> Result<Vec<(IpAddr, String)>, NetworkError> {
        let mut taken = Vec::new();
        for name in files::names_in(&self.directory)? {
            let Ok(address) = name.parse() else { continue };
            if let Some(id) = self.holder(address)? {
                taken.push((address, id));
            }
        }
        Ok(taken)
    }

    /// Takes one address of each of the network's subnets: the wanted ones, and others that are free.
    pub(super) fn take(
        &self,
        network: &Network,
        wanted: &[IpAddr],
        id: &str,
    ) -> Result<Vec<IpAddr>, NetworkError> {
        files::make_directory(&self.directory)?;
        check_wanted(network, wanted)?;
        let mut taken = Vec::new();
        for pool in network.pools() {
            let own = wanted.iter().copied().find(|address| pool.subnet.contains(*address));
            taken.push(match own {
                Some(address) => self.take_wanted(network, address, id)?,
                None => self.take_free(network, pool, id)?,
            });
        }
        Ok(taken)
    }

    /// Gives back what a container has.
    pub(super) fn release(&self, id: &str) -> Result<(), NetworkError> {
        for name in files::names_in(&self.directory)? {
            let path = self.directory.join(&name);
            if name.parse::<IpAddr>().is_ok() && read_link(&path)?.as_deref() == Some(id) {
                files::remove(&path)?;
            }
        }
        Ok(())
    }

    fn take_wanted(&self, network: &Network, address: IpAddr, id: &str) -> Result<IpAddr, NetworkError> {
        if self.claim(address, id)? {
            return Ok(address);
        }
        let holder = self.holder(address)?.unwrap_or_default();
        let holder = holder.get(..12).unwrap_or(&holder).to_owned();
        Err(NetworkError::AddressTaken { address, network: network.name.clone(), holder })
    }

    /// The next free address after the one that was last given: one that was just given back may still be in the
    /// neighbours' tables.
    fn take_free(&self, network: &Network, pool: &Pool, id: &str) -> Result<IpAddr, NetworkError> {
        let range = pool.range.unwrap_or(pool.subnet);
        let mark = self.directory.join(if range.is_ipv4() { "last" } else { "last6" });
        let text = files::read(&mark)?.unwrap_or_default();
        let last: Option<IpAddr> = String::from_utf8_lossy(&text).parse().ok();
        let start = last.filter(|last| range.contains(*last)).and_then(subnet::after);
        let start = start.filter(|start| range.contains(*start)).unwrap_or_else(|| range.base());
        let mut address = start;
        loop {
            let may_be_given = pool.subnet.is_for_hosts(address) && pool.gateway != Some(address);
            if may_be_given && self.claim(address, id)? {
                files::write(&mark, address.to_string().as_bytes())?;
                return Ok(address);
            }
            address = match subnet::after(address) {
                Some(next) if range.contains(next) => next,
                _ => range.base(),
            };
            if address == start {
                return Err(NetworkError::Full(network.name.clone()));
            }
        }
    }

    /// Takes an address; `false` if a container has it. What a container that has gone left is taken over.
    fn claim(&self, address: IpAddr, id: &str) -> Result<bool, NetworkError> {
        let path = self.directory.join(address.to_string());
        loop {
            match symlink(id, &path) {
                Ok(()) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make the link", &path)(error)),
            }
            match self.holder(address)? {
                Some(holder) => return Ok(holder == id),
                None => files::remove(&path)?,
            }
        }
    }

    fn holder(&self, address: IpAddr) -> Result<Option<String>, NetworkError> {
        let id = read_link(&self.directory.join(address.to_string()))?;
        Ok(id.filter(|id| self.containers.join(id).is_dir()))
    }
}

fn read_link(path: &Path) -> Result<Option<String>, NetworkError> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target.to_string_lossy().into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read the link", path)(error)),
    }
}

fn check_wanted(network: &Network, wanted: &[IpAddr]) -> Result<(), NetworkError> {
    let fits = |address: &IpAddr| {
        let mut pools = network.pools().iter();
        pools.any(|pool| pool.subnet.is_for_hosts(*address) && pool.gateway != Some(*address))
    };
    match wanted.iter().find(|address| !fits(address)) {
        None => Ok(()),
        Some(address) => {
            let subnets: Vec<String> = network.pools().iter().map(|pool| pool.subnet.to_string()).collect();
            let (network, subnets) = (network.name.clone(), subnets.join(" and "));
            Err(NetworkError::AddressOutside { address: *address, network, subnets })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn place(ids: &[&str]) -> (TempDir, Addresses) {
        let base = TempDir::new().expect("room");
        for id in ids {
            fs::create_dir_all(base.path().join("containers").join(id)).expect("room");
        }
        let addresses = Addresses::new(base.path().join("addresses"), base.path().join("containers"));
        (base, addresses)
    }

    fn network(subnet: &str, range: Option<&str>) -> Network {
        let subnet: super::super::Subnet = subnet.parse().expect("a subnet");
        let range = range.map(|range| range.parse().expect("a range"));
        let pool = Pool { subnet, range, gateway: subnet.first_host() };
        Network { name: "net".to_owned(), ..Network::bridge(vec![pool]) }
    }

    fn take(addresses: &Addresses, network: &Network, wanted: &[&str], id: &str) -> Result<String, String> {
        let wanted: Vec<IpAddr> = wanted.iter().map(|text| text.parse().expect("an address")).collect();
        let taken = addresses.take(network, &wanted, id).map_err(|error| error.to_string())?;
        Ok(taken.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn addresses_are_given_in_turn_and_given_back() {
        let (_base, addresses) = place(&["a", "b", "c"]);
        let net = network("10.1.2.0/29", None);
        assert_eq!(take(&addresses, &net, &[], "a").as_deref(), Ok("10.1.2.2"));
        assert_eq!(take(&addresses, &net, &[], "b").as_deref(), Ok("10.1.2.3"));
        addresses.release("a").expect("it has one");
        assert_eq!(take(&addresses, &net, &[], "c").as_deref(), Ok("10.1.2.4"));
        assert_eq!(addresses.taken().expect("readable").len(), 2);
    }

    #[test]
    fn a_wanted_address_is_given_once() {
        let (_base, addresses) = place(&["a", "b"]);
        let net = network("10.1.2.0/24", None);
        assert_eq!(take(&addresses, &net, &["10.1.2.77"], "a").as_deref(), Ok("10.1.2.77"));
        let error = take(&addresses, &net, &["10.1.2.77"], "b").expect_err("taken");
        assert!(error.contains("Address already in use: 10.1.2.77") && error.contains(" a"), "{error}");
        for outside in ["10.1.3.1", "10.1.2.1", "10.1.2.0", "10.1.2.255", "fd00::1"] {
            let error = take(&addresses, &net, &[outside], "b").expect_err(outside);
            assert!(error.contains(outside) && error.contains("10.1.2.0/24"), "{error}");
        }
    }

    #[test]
    fn a_full_network_says_so_and_what_the_dead_had_is_given_again() {
        let (base, addresses) = place(&["a", "b"]);
        let net = network("10.1.2.0/30", None);
        assert_eq!(take(&addresses, &net, &[], "a").as_deref(), Ok("10.1.2.2"));
        let error = take(&addresses, &net, &[], "b").expect_err("full");
        assert!(error.contains("no address left"), "{error}");
        fs::remove_dir(base.path().join("containers/a")).expect("it is empty");
        assert_eq!(take(&addresses, &net, &[], "b").as_deref(), Ok("10.1.2.2"));
    }

    #[test]
    fn a_range_narrows_what_is_given() {
        let (_base, addresses) = place(&["a", "b", "c"]);
        let net = network("10.1.2.0/24", Some("10.1.2.128/31"));
        assert_eq!(take(&addresses, &net, &[], "a").as_deref(), Ok("10.1.2.128"));
        assert_eq!(take(&addresses, &net, &[], "b").as_deref(), Ok("10.1.2.129"));
        assert!(take(&addresses, &net, &[], "c").is_err());
        assert_eq!(take(&addresses, &net, &["10.1.2.9"], "c").as_deref(), Ok("10.1.2.9"));
    }
}
