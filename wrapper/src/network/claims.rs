//! Which subnets are taken on this host: by its routes, and by the networks of all homes.
//!
//! A bridge exists only while containers are on it, so that routes do not tell of all networks; two homes (`--root`) know
//! nothing of each other. One file for the host says which record of a network has which subnet.

use super::error::failed;
use super::files::{self, Locked};
use super::rootless::is_rootless;
use super::{NetworkError, Subnet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// Where the host's file of subnets and the locks of its networks are, for root.
const HOST: &str = "/run/lock/mydocker";

/// The directory of what all homes of the host share; an ordinary user's networks are in namespaces of their own.
#[must_use]
pub(super) fn shared_directory(run: &Path) -> PathBuf {
    if is_rootless() { run.to_owned() } else { PathBuf::from(HOST) }
}

/// The subnets of the host, locked.
#[derive(Debug)]
pub(super) struct Claims {
    path: PathBuf,
    claims: Vec<(Subnet, PathBuf)>,
    _lock: Locked,
}

impl Claims {
    /// Reads them; those of networks that have gone are left out.
    pub(super) fn open(run: &Path) -> Result<Self, NetworkError> {
        let directory = shared_directory(run);
        files::make_directory(&directory)?;
        let lock = files::lock(&directory.join("subnets.lock"))?;
        let path = directory.join("subnets");
        let text = files::read(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let claims = text.lines().filter_map(claim).filter(|(_, owner)| owner.exists()).collect();
        Ok(Self { path, claims, _lock: lock })
    }

    /// What has addresses of a subnet, other than the network of the record `owner` with its bridge.
    pub(super) fn conflict(
        &self,
        subnet: &Subnet,
        owner: &Path,
        bridge: &str,
    ) -> Result<Option<String>, NetworkError> {
        let claimed = self.claims.iter().find(|(other, path)| other.overlaps(subnet) && path != owner);
        if let Some((other, path)) = claimed {
            return Ok(Some(format!("{other} of the network {}", named(path, owner))));
        }
        let route = routes()?.into_iter().find(|(other, name)| other.overlaps(subnet) && name != bridge);
        Ok(route.map(|(other, name)| format!("the host's route to {other} by {name}")))
    }

    /// Notes that a network has a subnet.
    pub(super) fn add(&mut self, subnet: Subnet, owner: &Path) -> Result<(), NetworkError> {
        self.claims.retain(|(other, path)| !(*other == subnet && path == owner));
        self.claims.push((subnet, owner.to_owned()));
        self.write()
    }

    /// Forgets the subnets of a network.
    pub(super) fn remove(&mut self, owner: &Path) -> Result<(), NetworkError> {
        self.claims.retain(|(_, path)| path != owner);
        self.write()
    }

    fn write(&self) -> Result<(), NetworkError> {
        let line = |(subnet, path): &(Subnet, PathBuf)| format!("{subnet} {}\n", path.display());
        files::write(&self.path, self.claims.iter().map(line).collect::<String>().as_bytes())
    }

    /// A subnet that nobody has. There is room on it for as many containers as a bridge has ports, which are 1,023.
    pub(super) fn free(&self) -> Result<Subnet, NetworkError> {
        let routes = routes()?;
        let is_free = |subnet: &Subnet| {
            let claimed = self.claims.iter().any(|(other, _)| other.overlaps(subnet));
            !claimed && !routes.iter().any(|(other, _)| other.overlaps(subnet))
        };
        pool().find(is_free).ok_or(NetworkError::NoSubnet)
    }
}

/// A network of one's own has a name; that of another set of containers has a file.
fn named(path: &Path, own: &Path) -> String {
    match path.file_stem().filter(|_| path.parent() == own.parent()) {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    }
}

/// `SUBNET PATH`
fn claim(line: &str) -> Option<(Subnet, PathBuf)> {
    let (subnet, path) = line.split_once(' ')?;
    Some((subnet.parse().ok()?, PathBuf::from(path)))
}

/// The subnets that networks are given: of 10.90.0.0 to 10.127.255.255, which neither docker nor podman take by default.
fn pool() -> impl Iterator<Item = Subnet> {
    (90..128).flat_map(|second| {
        (0..256).step_by(4).filter_map(move |third| {
            let third = u8::try_from(third).ok()?;
            Some(Subnet::around(IpAddr::V4(Ipv4Addr::new(10, second, third, 0)), 22))
        })
    })
}

/// The host's routes but for the default one, with their interfaces.
fn routes() -> Result<Vec<(Subnet, String)>, NetworkError> {
    let mut routes: Vec<(Subnet, String)> = Vec::new();
    for (path, parse) in
        [("/proc/net/route", route as fn(&str) -> _), ("/proc/net/ipv6_route", route6 as fn(&str) -> _)]
    {
        let path = Path::new(path);
        // A kernel without IPv6 has no such file.
        let text = if path.exists() {
            fs::read_to_string(path).map_err(failed("read", path))?
        } else {
            String::new()
        };
        routes.extend(text.lines().filter_map(parse));
    }
    routes.retain(|(subnet, name)| subnet.length() != 0 && name != "lo");
    Ok(routes)
}

/// A line of `/proc/net/route`: numbers as the machine has them in memory, in hexadecimal.
fn route(line: &str) -> Option<(Subnet, String)> {
    let mut fields = line.split_ascii_whitespace();
    let name = fields.next()?.to_owned();
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let base = number(fields.next()?)?;
    let mask = number(fields.nth(5)?)?;
    let length = u8::try_from(mask.count_ones()).ok()?;
    Some((Subnet::around(IpAddr::V4(Ipv4Addr::from(base)), length), name))
}

/// A line of `/proc/net/ipv6_route`.
fn route6(line: &str) -> Option<(Subnet, String)> {
    let mut fields = line.split_ascii_whitespace();
    let base = u128::from_str_radix(fields.next()?, 16).ok()?;
    let length = u8::from_str_radix(fields.next()?, 16).ok()?;
    let name = fields.last()?.to_owned();
    let base = Ipv6Addr::from(base);
    let is_local = base.is_unicast_link_local() || base.is_multicast();
    (!is_local).then(|| (Subnet::around(IpAddr::V6(base), length), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let line = "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        let (subnet, name) = route(line).expect("a route");
        assert_eq!((subnet.to_string().as_str(), name.as_str()), ("192.0.2.0/24", "eth0"));
        assert!(route("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask").is_none());
        let line = "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 \
                    00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0";
        let (subnet, name) = route6(line).expect("a route");
        assert_eq!((subnet.to_string().as_str(), name.as_str()), ("fd00::/64", "eth0"));
    }

    #[test]
    fn the_pool_has_subnets_that_do_not_overlap() {
        let all: Vec<Subnet> = pool().collect();
        assert_eq!(all.first().map(Subnet::to_string).as_deref(), Some("10.90.0.0/22"));
        assert_eq!(all.last().map(Subnet::to_string).as_deref(), Some("10.127.252.0/22"));
        assert!(all.windows(2).all(|pair| !pair[0].overlaps(&pair[1])));
    }
}
