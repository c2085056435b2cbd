//! Network devices of one network namespace, by rtnetlink(7).

use super::{NetworkError, Subnet};
use mydocker_sys::netlink::{HEADER, NetlinkSocket, Request, attributes};
use mydocker_sys::{AsRawFd as _, BorrowedFd, Errno, Error};
use std::net::{IpAddr, Ipv4Addr};

/// The address of a device on the wire.
pub(super) type Mac = [u8; 6];

/// `<linux/netlink.h>`
const NLM_F_ACK: i32 = 0x4;
const NLM_F_EXCL: i32 = 0x200;
const NLM_F_DUMP: i32 = 0x300;
const NLM_F_CREATE: i32 = 0x400;
/// What is made must not be there yet.
const NEW: i32 = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
/// `<linux/rtnetlink.h>`
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTA_GATEWAY: u16 = 5;
const RTA_PRIORITY: u16 = 6;
const RT_TABLE_MAIN: u8 = 254;
const RTPROT_STATIC: u8 = 4;
const RTN_UNICAST: u8 = 1;
/// `<linux/if_link.h>`, `<linux/veth.h>`
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_NET_NS_FD: u16 = 28;
const VETH_INFO_PEER: u16 = 1;
/// `<linux/if_addr.h>`
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
/// `<linux/if.h>`
const IFF_UP: u32 = 1;
const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;

const LINK_PART: usize = 16;
const ADDRESS_PART: usize = 8;

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub index: i32,
    pub mac: String,
    /// Whether it sends and receives.
    pub up: bool,
    /// The bridge that it is a port of.
    pub bridge: Option<i32>,
}

/// The end of a pair that a container has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner<'a> {
    pub name: &'a str,
    pub mac: Option<Mac>,
    pub namespace: BorrowedFd<'a>,
}

/// The devices of a namespace.
#[derive(Debug)]
pub(super) struct Devices(NetlinkSocket);

impl Devices {
    /// Those of the caller's namespace.
    pub(super) fn open() -> Result<Self, NetworkError> {
        Ok(Self(NetlinkSocket::route()?))
    }

    /// The device of this name.
    pub(super) fn find(&self, name: &str) -> Result<Option<Link>, NetworkError> {
        let mut request = link("RTM_GETLINK", RTM_GETLINK, 0, 0, Flags::Keep);
        request.text(IFLA_IFNAME, name);
        match self.0.talk(&request) {
            Err(error) if error.errno() == Errno::ENODEV => Ok(None),
            answers => {
                Ok(answers.map_err(failed("find", name))?.iter().find_map(|answer| parse_link(answer)))
            }
        }
    }

    /// Makes a bridge, and sets it up. Its address on the wire is said, for it would take one of its ports' otherwise, and
    /// change with them.
    pub(super) fn make_bridge(&self, name: &str, mac: Mac) -> Result<(), NetworkError> {
        let mut request = link("RTM_NEWLINK", RTM_NEWLINK, NEW, 0, Flags::Up);
        request.text(IFLA_IFNAME, name);
        request.attribute(IFLA_ADDRESS, &mac);
        request.nest(IFLA_LINKINFO, |info| info.attribute(IFLA_INFO_KIND, b"bridge"));
        self.ask(&request, "make", name)
    }

    /// Makes a pair of devices: a port of the bridge, which is up, and its end in a container's namespace.
    pub(super) fn make_pair(&self, port: &str, bridge: i32, inner: Inner<'_>) -> Result<(), NetworkError> {
        let mut request = link("RTM_NEWLINK", RTM_NEWLINK, NEW, 0, Flags::Up);
        request.text(IFLA_IFNAME, port);
        request.attribute(IFLA_MASTER, &bridge.to_ne_bytes());
        request.nest(IFLA_LINKINFO, |info| {
            info.attribute(IFLA_INFO_KIND, b"veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.part(&[0; LINK_PART]);
                    peer.text(IFLA_IFNAME, inner.name);
                    peer.attribute(IFLA_NET_NS_FD, &inner.namespace.as_raw_fd().to_ne_bytes());
                    if let Some(mac) = inner.mac {
                        peer.attribute(IFLA_ADDRESS, &mac);
                    }
                });
            });
        });
        self.ask(&request, "make", port)
    }

    /// Sets a device up.
    pub(super) fn raise(&self, index: i32, name: &str) -> Result<(), NetworkError> {
        self.ask(&link("RTM_NEWLINK", RTM_NEWLINK, NLM_F_ACK, index, Flags::Up), "set up", name)
    }

    /// Makes a device a port of a bridge, and sets it up.
    pub(super) fn plug_in(&self, index: i32, bridge: i32, name: &str) -> Result<(), NetworkError> {
        let mut request = link("RTM_NEWLINK", RTM_NEWLINK, NLM_F_ACK, index, Flags::Up);
        request.attribute(IFLA_MASTER, &bridge.to_ne_bytes());
        self.ask(&request, "plug in", name)
    }

    /// Lets a port of a bridge have back what came from it. Where the bridge hands its frames to the packet filter
    /// (br_netfilter), what a container sends to a published port of its own is led there, which a bridge does not do by
    /// itself.
    pub(super) fn lead_back(&self, index: i32, name: &str) -> Result<(), NetworkError> {
        let mut request = Request::new("RTM_SETLINK", RTM_SETLINK, NLM_F_ACK);
        request.part(&[AF_BRIDGE, 0, 0, 0]);
        request.part(&index.to_ne_bytes());
        request.part(&[0; 8]);
        request.nest(IFLA_PROTINFO, |port| port.attribute(IFLA_BRPORT_MODE, &[1]));
        self.ask(&request, "set the hairpin mode of", name)
    }

    /// Sets a device down, and makes it a port of no bridge. That takes no time, unlike its removal, for which the kernel
    /// waits until nobody can be looking at it. One that has gone meanwhile is as good.
    pub(super) fn pull_out(&self, index: i32, name: &str) -> Result<(), NetworkError> {
        let mut request = link("RTM_NEWLINK", RTM_NEWLINK, NLM_F_ACK, index, Flags::Down);
        request.attribute(IFLA_MASTER, &0i32.to_ne_bytes());
        absent_is_fine(self.0.talk(&request)).map_err(failed("pull out", name))
    }

    /// Removes a device, and the other end of a pair with it. One that has gone meanwhile is as good.
    pub(super) fn remove(&self, index: i32, name: &str) -> Result<(), NetworkError> {
        let request = link("RTM_DELLINK", RTM_DELLINK, NLM_F_ACK, index, Flags::Keep);
        absent_is_fine(self.0.talk(&request)).map_err(failed("remove", name))
    }

    /// Gives a device an address; one that it has is as good.
    pub(super) fn add_address(
        &self,
        index: i32,
        address: IpAddr,
        subnet: &Subnet,
        name: &str,
    ) -> Result<(), NetworkError> {
        let mut request = Request::new("RTM_NEWADDR", RTM_NEWADDR, NEW);
        request.part(&[AF_INET, subnet.length(), 0, 0]);
        request.part(&index.to_ne_bytes());
        request.attribute(IFA_LOCAL, &octets(address));
        request.attribute(IFA_ADDRESS, &octets(address));
        request.attribute(IFA_BROADCAST, &octets(subnet.last()));
        match self.0.talk(&request) {
            Err(error) if error.errno() == Errno::EEXIST => Ok(()),
            other => other.map(drop).map_err(failed("give an address to", name)),
        }
    }

    /// Whether a device has this address of IPv4.
    pub(super) fn has_address(&self, index: i32, address: IpAddr, name: &str) -> Result<bool, NetworkError> {
        let mut request = Request::new("RTM_GETADDR", RTM_GETADDR, NLM_F_DUMP);
        request.part(&[AF_INET, 0, 0, 0]);
        request.part(&index.to_ne_bytes());
        let answers = self.0.talk(&request).map_err(failed("look at the addresses of", name))?;
        Ok(answers.iter().any(|answer| parse_address(answer) == Some((index, address))))
    }

    /// Leads everything that has no other way to a gateway; of several such ways the one of the least metric counts.
    pub(super) fn add_default_route(
        &self,
        gateway: IpAddr,
        metric: u32,
        name: &str,
    ) -> Result<(), NetworkError> {
        let mut request = Request::new("RTM_NEWROUTE", RTM_NEWROUTE, NEW);
        request.part(&[AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, RTN_UNICAST]);
        request.part(&[0; 4]);
        request.attribute(RTA_GATEWAY, &octets(gateway));
        request.attribute(RTA_PRIORITY, &metric.to_ne_bytes());
        self.ask(&request, "add a route by", name)
    }

    fn ask(&self, request: &Request, action: &'static str, name: &str) -> Result<(), NetworkError> {
        self.0.talk(request).map(drop).map_err(failed(action, name))
    }
}

fn absent_is_fine<T>(done: Result<T, Error>) -> Result<(), Error> {
    match done {
        Err(error) if error.errno() != Errno::ENODEV => Err(error),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(Error) -> NetworkError {
    move |source| NetworkError::Device { action, name: name.to_owned(), source }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// What becomes of a device's flags.
#[derive(Debug, Clone, Copy)]
enum Flags {
    Keep,
    Up,
    Down,
}

/// A request about a device; 0 is the index of one that is named.
fn link(name: &'static str, kind: u16, flags: i32, index: i32, change: Flags) -> Request {
    let (value, mask) = match change {
        Flags::Keep => (0, 0),
        Flags::Up => (IFF_UP, IFF_UP),
        Flags::Down => (0, IFF_UP),
    };
    let mut request = Request::new(name, kind, flags);
    request.part(&[0; 4]);
    request.part(&index.to_ne_bytes());
    request.part(&value.to_ne_bytes());
    request.part(&mask.to_ne_bytes());
    request
}

fn parse_link(message: &[u8]) -> Option<Link> {
    let number = |at: usize| Some(i32::from_ne_bytes(message.get(at..at + 4)?.try_into().ok()?));
    let (index, flags) = (number(HEADER + 4)?, number(HEADER + 8)?);
    let rest = message.get(HEADER + LINK_PART..)?;
    let of_kind = |wanted: u16| attributes(rest).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let mac: Vec<String> = of_kind(IFLA_ADDRESS)?.iter().map(|byte| format!("{byte:02x}")).collect();
    let bridge = of_kind(IFLA_MASTER).and_then(|value| value.try_into().ok()).map(i32::from_ne_bytes);
    Some(Link { index, mac: mac.join(":"), up: flags.cast_unsigned() & IFF_UP != 0, bridge })
}

/// The device's index and its address of IPv4.
fn parse_address(message: &[u8]) -> Option<(i32, IpAddr)> {
    let part = message.get(HEADER..HEADER + ADDRESS_PART)?;
    let index = i32::from_ne_bytes(part[4..8].try_into().ok()?);
    let mut all = attributes(message.get(HEADER + ADDRESS_PART..)?);
    let (_, local) = all.find(|(kind, _)| *kind == IFA_LOCAL)?;
    let octets: [u8; 4] = local.try_into().ok()?;
    Some((index, Ipv4Addr::from(octets).into()))
}

/// The address on the wire that a text such as `02:42:0a:00:00:07` is.
pub(super) fn parse_mac(text: &str) -> Option<Mac> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_from_its_message_and_a_cut_one_is_none() {
        let mut request = link("RTM_NEWLINK", RTM_NEWLINK, 0, 7, Flags::Up);
        request.text(IFLA_IFNAME, "eth0");
        request.attribute(IFLA_MASTER, &9i32.to_ne_bytes());
        request.attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0x12, 0x34]);
        let message = request.finished();
        let wanted = Link { index: 7, mac: "02:00:00:00:12:34".to_owned(), up: true, bridge: Some(9) };
        assert_eq!(parse_link(&message), Some(wanted));
        for cut in 0..message.len() - 4 {
            assert_eq!(parse_link(&message[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn an_address_is_the_local_one() {
        let mut request = Request::new("RTM_NEWADDR", RTM_NEWADDR, 0);
        request.part(&[AF_INET, 22, 0, 0, 3, 0, 0, 0]);
        request.attribute(IFA_ADDRESS, &[10, 0, 0, 9]);
        request.attribute(IFA_LOCAL, &[10, 0, 0, 1]);
        let wanted: IpAddr = "10.0.0.1".parse().expect("an address");
        assert_eq!(parse_address(&request.finished()), Some((3, wanted)));
    }

    #[test]
    fn addresses_on_the_wire_have_six_bytes() {
        assert_eq!(parse_mac("02:00:00:00:12:3f"), Some([2, 0, 0, 0, 0x12, 0x3f]));
        for text in ["", "02:00:00:00:12", "02:00:00:00:12:34:56", "2:0:0:0:1:2", "02:00:00:00:12:zz"] {
            assert_eq!(parse_mac(text), None, "{text}");
        }
    }
}
