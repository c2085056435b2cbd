//! The few messages of rtnetlink(7) that moving a network device takes, over one socket in one network namespace.

use mydocker_sys::netlink::{HEADER, NetlinkSocket, Request, attributes};
use mydocker_sys::{AsRawFd, BorrowedFd, Errno, Result};

const LINK_PART: usize = 16;
const ADDRESS_PART: usize = 8;

/// `<linux/if_link.h>`.
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;

/// `<linux/if_addr.h>`.
const IFA_LABEL: u16 = 3;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_F_PERMANENT: u32 = 0x80;
/// Flags that say what somebody wanted; the others say what has become of it. In the order of the header: no duplicate
/// address detection, home address, no route for the prefix, no join of multicast groups.
const WANTED_FLAGS: u32 = 0x02 | 0x10 | 0x200 | 0x400;

/// A network device of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: i32,
    pub(super) name: String,
    /// Whether it sends and receives (`IFF_UP`).
    pub(super) up: bool,
}

/// An address of a device, with everything that was set with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    family: u8,
    prefix: u8,
    scope: u8,
    flags: u32,
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Address {
    /// Whether it has no end (`IFA_F_PERMANENT`) and is valid everywhere (`RT_SCOPE_UNIVERSE`).
    pub(super) fn is_lasting_and_global(&self) -> bool {
        self.flags & IFA_F_PERMANENT != 0 && self.scope == libc::RT_SCOPE_UNIVERSE
    }

    /// The same for a device whose name is no longer `old`: labels begin with the name of their device.
    pub(super) fn relabelled(mut self, old: &str, new: &str) -> Self {
        self.attributes.retain_mut(|(kind, value)| {
            if *kind != IFA_LABEL {
                return true;
            }
            let label = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
            let renamed = label.strip_prefix(old).map(|rest| format!("{new}{rest}"));
            // A label that would not fit, or follows no rule, is left to the kernel, which takes the device's name.
            let kept = renamed.filter(|label| label.len() < libc::IFNAMSIZ);
            *value = kept.iter().flat_map(|label| label.bytes().chain([0])).collect();
            kept.is_some()
        });
        self
    }
}

/// A conversation with one network namespace.
#[derive(Debug)]
pub(super) struct Route(NetlinkSocket);

impl Route {
    /// With the namespace of the caller, wherever it goes afterwards.
    pub(super) fn open() -> Result<Self> {
        NetlinkSocket::route().map(Self)
    }

    /// The device of that name.
    pub(super) fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut request = link_request("RTM_GETLINK", libc::RTM_GETLINK, 0, 0, 0);
        request.text(IFLA_IFNAME, name);
        match self.0.talk(&request) {
            Err(error) if error.errno() == Errno::ENODEV => Ok(None),
            answers => Ok(answers?.iter().find_map(|answer| parse_link(answer))),
        }
    }

    /// All devices.
    pub(super) fn links(&self) -> Result<Vec<Link>> {
        let answers = self.0.talk(&link_request("RTM_GETLINK", libc::RTM_GETLINK, libc::NLM_F_DUMP, 0, 0))?;
        Ok(answers.iter().filter_map(|answer| parse_link(answer)).collect())
    }

    /// The addresses of one device, of every family.
    pub(super) fn addresses(&self, link: &Link) -> Result<Vec<Address>> {
        let mut request = Request::new("RTM_GETADDR", libc::RTM_GETADDR, libc::NLM_F_DUMP);
        request.part(&[0; 4]);
        request.part(&link.index.to_ne_bytes());
        let answers = self.0.talk(&request)?;
        Ok(answers.iter().filter_map(|answer| parse_address(answer, link.index)).collect())
    }

    /// Moves a device to the network namespace behind a descriptor, under a name that may end in `%d`.
    pub(super) fn give_away(&self, link: &Link, name: &str, to: BorrowedFd<'_>) -> Result<()> {
        let mut request = link_request("RTM_NEWLINK", libc::RTM_NEWLINK, libc::NLM_F_ACK, link.index, 0);
        request.text(IFLA_IFNAME, name);
        request.attribute(IFLA_NET_NS_FD, &to.as_raw_fd().to_ne_bytes());
        self.0.talk(&request).map(drop)
    }

    /// Gives a device an address.
    pub(super) fn add_address(&self, link: &Link, address: &Address) -> Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Request::new("RTM_NEWADDR", libc::RTM_NEWADDR, flags);
        let wanted = address.flags & WANTED_FLAGS;
        request.part(&[address.family, address.prefix, wanted as u8, address.scope]);
        request.part(&link.index.to_ne_bytes());
        let set_by_header = |kind: u16| matches!(kind, IFA_FLAGS | IFA_CACHEINFO);
        for (kind, value) in address.attributes.iter().filter(|(kind, _)| !set_by_header(*kind)) {
            request.attribute(*kind, value);
        }
        request.attribute(IFA_FLAGS, &wanted.to_ne_bytes());
        self.0.talk(&request).map(drop)
    }

    /// Lets a device send and receive.
    pub(super) fn raise(&self, link: &Link) -> Result<()> {
        let up = libc::IFF_UP as u32;
        self.0
            .talk(&link_request("RTM_NEWLINK", libc::RTM_NEWLINK, libc::NLM_F_ACK, link.index, up))
            .map(drop)
    }
}

/// A request about a device, to raise the flags `up` where there are any.
fn link_request(name: &'static str, kind: u16, flags: i32, index: i32, up: u32) -> Request {
    let mut request = Request::new(name, kind, flags);
    request.part(&[0; 4]);
    request.part(&index.to_ne_bytes());
    request.part(&up.to_ne_bytes());
    request.part(&up.to_ne_bytes());
    request
}

fn parse_link(message: &[u8]) -> Option<Link> {
    let index = i32::from_ne_bytes(message.get(HEADER + 4..HEADER + 8)?.try_into().ok()?);
    let flags = i32::from_ne_bytes(message.get(HEADER + 8..HEADER + 12)?.try_into().ok()?);
    let mut all = attributes(message.get(HEADER + LINK_PART..)?);
    let (_, name) = all.find(|(kind, _)| *kind == IFLA_IFNAME)?;
    let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
    Some(Link { index, name, up: flags & libc::IFF_UP != 0 })
}

fn parse_address(message: &[u8], wanted: i32) -> Option<Address> {
    let part = message.get(HEADER..HEADER + ADDRESS_PART)?;
    let index = i32::from_ne_bytes(part[4..8].try_into().ok()?);
    // Kernels before 4.20 tell the addresses of all devices.
    if index != wanted {
        return None;
    }
    let attributes: Vec<_> = attributes(message.get(HEADER + ADDRESS_PART..)?)
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect();
    let long = attributes.iter().find(|(kind, _)| *kind == IFA_FLAGS);
    let flags = long.and_then(|(_, value)| Some(u32::from_ne_bytes(value.as_slice().try_into().ok()?)));
    Some(Address {
        family: part[0],
        prefix: part[1],
        scope: part[3],
        flags: flags.unwrap_or(u32::from(part[2])),
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as the kernel would write it.
    fn answer(kind: u16, part: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut request = Request::new("an answer", kind, 0);
        request.part(part);
        attributes.iter().for_each(|(kind, value)| request.attribute(*kind, value));
        request.finished()
    }

    #[test]
    fn a_device_is_read_from_its_message_and_a_cut_one_is_none() {
        let part = [0u8, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        let message = answer(libc::RTM_NEWLINK, &part, &[(99, b"x"), (IFLA_IFNAME, b"eth0\0")]);
        assert_eq!(parse_link(&message), Some(Link { index: 7, name: "eth0".into(), up: true }));
        for cut in 0..message.len() - 4 {
            assert_eq!(parse_link(&message[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn flags_of_an_address_are_the_long_ones_where_there_are_any() {
        let part = [2u8, 24, 0x80, 0, 3, 0, 0, 0];
        let short = parse_address(&answer(libc::RTM_NEWADDR, &part, &[]), 3).unwrap();
        assert!(short.is_lasting_and_global());
        let long = 0x100u32.to_ne_bytes();
        let changed = parse_address(&answer(libc::RTM_NEWADDR, &part, &[(IFA_FLAGS, &long)]), 3).unwrap();
        assert!(!changed.is_lasting_and_global());
        assert!(parse_address(&answer(libc::RTM_NEWADDR, &part, &[]), 4).is_none());
        let link_local = [10u8, 64, 0x80, 253, 3, 0, 0, 0];
        let local = parse_address(&answer(libc::RTM_NEWADDR, &link_local, &[]), 3).unwrap();
        assert!(!local.is_lasting_and_global());
    }

    #[test]
    fn a_label_follows_the_name_of_its_device() {
        let with = |label: &[u8]| Address {
            family: 2,
            prefix: 24,
            scope: 0,
            flags: 0,
            attributes: vec![(1, vec![10, 0, 0, 1]), (IFA_LABEL, label.to_vec())],
        };
        let label = |address: Address| address.attributes.get(1).map(|(_, value)| value.clone());
        assert_eq!(label(with(b"eth0\0").relabelled("eth0", "c0")), Some(b"c0\0".to_vec()));
        assert_eq!(label(with(b"eth0:web\0").relabelled("eth0", "c0")), Some(b"c0:web\0".to_vec()));
        assert_eq!(label(with(b"eth0:web\0").relabelled("eth0", "a-long-name-00")), None);
        assert_eq!(label(with(b"other\0").relabelled("eth0", "c0")), None);
    }
}
