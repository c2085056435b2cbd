//! Network devices of the runtime's namespace that are moved into the container's (config-linux.md, Network Devices).
//!
//! A move takes a device's addresses away, and an IPv6 address is gone as soon as the device is down. So they are read
//! before, and those that last and are valid everywhere are set again behind it.

use super::rtnetlink::{Address, Link, Route};
use crate::validate::NetDevice;
use mydocker_sys::namespace::{CloneFlags, setns};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs};
use std::path::Path;

/// Why a device is not in the container.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("{}: there is no network device {:?} in the runtime's network namespace", device.pointer(), device.name)]
    Missing {
        /// The device.
        device: NetDevice,
    },
    /// The container has one of the new name.
    #[error(
        "{}: the container's network namespace has a device {:?} already; give another name, or one that ends in %d",
        device.pointer(), device.new_name
    )]
    Taken {
        /// The device.
        device: NetDevice,
    },
    /// The kernel refused.
    #[error("{}: {what} the network device {:?}", device.pointer(), device.name)]
    Call {
        /// The device.
        device: NetDevice,
        /// What was being done.
        what: &'static str,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// The network namespaces cannot be talked with.
    #[error("the container's network namespace cannot be entered to set up its devices")]
    Namespace(#[source] mydocker_sys::Error),
    /// A device could not be given back after another one had failed.
    #[error("{failure}; and the network device {name:?} could not be moved back: {source}")]
    Stranded {
        /// What had failed.
        failure: Box<Error>,
        /// The device that stays in the container's namespace.
        name: String,
        /// Why.
        source: mydocker_sys::Error,
    },
}

/// Moves devices to the network namespace behind `container`, with their addresses, and sets them up there. Where one
/// cannot be moved, those before it come back.
///
/// # Errors
/// [`Error`], with the device's place in `config.json`.
pub(super) fn move_all(devices: &[NetDevice], container: BorrowedFd<'_>) -> Result<(), Error> {
    let own = fs::open(Path::new("/proc/self/ns/net"), fs::OFlag::O_RDONLY).map_err(Error::Namespace)?;
    let mover = Mover {
        here: Route::open().map_err(Error::Namespace)?,
        there: route_in(container, &own)?,
        container,
        own: &own,
    };
    let mut moved = Vec::new();
    for device in devices {
        match mover.move_device(device, &mut moved) {
            Ok(()) => {}
            Err(failure) => return Err(mover.give_back(&moved, failure)),
        }
    }
    Ok(())
}

/// A socket in another network namespace. The runtime has one thread, so nothing else is done there.
fn route_in(container: BorrowedFd<'_>, own: &OwnedFd) -> Result<Route, Error> {
    setns(container, CloneFlags::CLONE_NEWNET).map_err(Error::Namespace)?;
    let route = Route::open();
    setns(own, CloneFlags::CLONE_NEWNET).map_err(Error::Namespace)?;
    route.map_err(Error::Namespace)
}

/// A device that is in the container's namespace by now.
struct Moved {
    old: Link,
    link: Link,
    addresses: Vec<Address>,
}

struct Mover<'a> {
    here: Route,
    there: Route,
    container: BorrowedFd<'a>,
    own: &'a OwnedFd,
}

impl Mover<'_> {
    fn move_device(&self, device: &NetDevice, moved: &mut Vec<Moved>) -> Result<(), Error> {
        let call = |what: &'static str| move |source| Error::Call { device: device.clone(), what, source };
        let link = self.here.link(&device.name).map_err(call("look at"))?;
        let link = link.ok_or_else(|| Error::Missing { device: device.clone() })?;
        let addresses = self.here.addresses(&link).map_err(call("read the addresses of"))?;
        // The kernel would move the device first and find the name taken then.
        let before = self.there.links().map_err(call("make room for"))?;
        if before.iter().any(|other| other.name == device.new_name) {
            return Err(Error::Taken { device: device.clone() });
        }
        self.here.give_away(&link, &device.new_name, self.container).map_err(call("move"))?;
        let arrived = self.arrived(device, &before).map_err(call("find again"))?;
        let new_name = arrived.name.clone();
        moved.push(Moved { old: link, link: arrived.clone(), addresses: addresses.clone() });
        for address in addresses.into_iter().filter(Address::is_lasting_and_global) {
            let address = address.relabelled(&device.name, &new_name);
            self.there.add_address(&arrived, &address).map_err(call("give its addresses back to"))?;
        }
        self.there.raise(&arrived).map_err(call("set up"))
    }

    /// The device behind its move: its number may have changed, and a name with `%d` has.
    fn arrived(&self, device: &NetDevice, before: &[Link]) -> mydocker_sys::Result<Link> {
        let is_new = |link: &Link| before.iter().all(|other| other.index != link.index);
        let named = |link: &Link| link.name == device.new_name || device.new_name.contains("%d");
        let found = self.there.links()?.into_iter().find(|link| is_new(link) && named(link));
        found.ok_or_else(|| mydocker_sys::Error::new("rtnetlink", device.new_name.clone(), Errno::ENODEV))
    }

    /// Moves back what was moved, in reverse.
    fn give_back(&self, moved: &[Moved], mut failure: Error) -> Error {
        for Moved { old, link, addresses } in moved.iter().rev() {
            if let Err(source) = self.restore(old, link, addresses) {
                failure = Error::Stranded { failure: failure.into(), name: old.name.clone(), source };
            }
        }
        failure
    }

    fn restore(&self, old: &Link, link: &Link, addresses: &[Address]) -> mydocker_sys::Result<()> {
        self.there.give_away(link, &old.name, self.own.as_fd())?;
        let back = self.here.link(&old.name)?;
        let gone = || mydocker_sys::Error::new("rtnetlink", old.name.clone(), Errno::ENODEV);
        let back = back.ok_or_else(gone)?;
        for address in addresses.iter().filter(|address| address.is_lasting_and_global()) {
            self.here.add_address(&back, address)?;
        }
        if old.up { self.here.raise(&back) } else { Ok(()) }
    }
}
