//! The few messages of rtnetlink(7) that moving a network device takes, over one socket in one network namespace.
//!
//! A message is a header of 16 bytes, a fixed part and attributes, each aligned to four bytes; numbers are the machine's.

use mydocker_sys::netlink::{LARGEST_ANSWER, RouteSocket};
use mydocker_sys::{AsRawFd, BorrowedFd, Errno, Error, Result};

const HEADER: usize = 16;
const LINK_PART: usize = 16;
const ADDRESS_PART: usize = 8;

/// `<linux/netlink.h>`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

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
pub(super) struct Route(RouteSocket);

impl Route {
    /// With the namespace of the caller, wherever it goes afterwards.
    pub(super) fn open() -> Result<Self> {
        RouteSocket::open().map(Self)
    }

    /// The device of that name.
    pub(super) fn link(&self, name: &str) -> Result<Option<Link>> {
        let mut request = Request::link(libc::RTM_GETLINK, 0, 0, 0);
        request.text(IFLA_IFNAME, name);
        match self.talk(&request) {
            Err(error) if error.errno() == Errno::ENODEV => Ok(None),
            answers => Ok(answers?.iter().find_map(|answer| parse_link(answer))),
        }
    }

    /// All devices.
    pub(super) fn links(&self) -> Result<Vec<Link>> {
        let answers = self.talk(&Request::link(libc::RTM_GETLINK, libc::NLM_F_DUMP, 0, 0))?;
        Ok(answers.iter().filter_map(|answer| parse_link(answer)).collect())
    }

    /// The addresses of one device, of every family.
    pub(super) fn addresses(&self, link: &Link) -> Result<Vec<Address>> {
        let mut request = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP);
        request.bytes.extend([0; 4]);
        request.bytes.extend(link.index.to_ne_bytes());
        let answers = self.talk(&request)?;
        Ok(answers.iter().filter_map(|answer| parse_address(answer, link.index)).collect())
    }

    /// Moves a device to the network namespace behind a descriptor, under a name that may end in `%d`.
    pub(super) fn give_away(&self, link: &Link, name: &str, to: BorrowedFd<'_>) -> Result<()> {
        let mut request = Request::link(libc::RTM_NEWLINK, libc::NLM_F_ACK, link.index, 0);
        request.text(IFLA_IFNAME, name);
        request.attribute(IFLA_NET_NS_FD, &to.as_raw_fd().to_ne_bytes());
        self.talk(&request).map(drop)
    }

    /// Gives a device an address.
    pub(super) fn add_address(&self, link: &Link, address: &Address) -> Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut request = Request::new(libc::RTM_NEWADDR, flags);
        let wanted = address.flags & WANTED_FLAGS;
        request.bytes.extend([address.family, address.prefix, wanted as u8, address.scope]);
        request.bytes.extend(link.index.to_ne_bytes());
        let set_by_header = |kind: u16| matches!(kind, IFA_FLAGS | IFA_CACHEINFO);
        for (kind, value) in address.attributes.iter().filter(|(kind, _)| !set_by_header(*kind)) {
            request.attribute(*kind, value);
        }
        request.attribute(IFA_FLAGS, &wanted.to_ne_bytes());
        self.talk(&request).map(drop)
    }

    /// Lets a device send and receive.
    pub(super) fn raise(&self, link: &Link) -> Result<()> {
        let up = libc::IFF_UP as u32;
        self.talk(&Request::link(libc::RTM_NEWLINK, libc::NLM_F_ACK, link.index, up)).map(drop)
    }

    /// Sends a request and collects what is answered until the kernel says that this is all.
    fn talk(&self, request: &Request) -> Result<Vec<Vec<u8>>> {
        self.0.send(&request.finished())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; LARGEST_ANSWER];
        loop {
            let length = self.0.receive(&mut buffer)?;
            let mut rest = &buffer[..length];
            while let Some((kind, message)) = next_message(&mut rest) {
                match kind {
                    NLMSG_DONE => return Ok(answers),
                    NLMSG_ERROR => return acknowledged(message, request).map(|()| answers),
                    _ => answers.push(message.to_vec()),
                }
            }
            if !request.has_end() {
                return Ok(answers);
            }
        }
    }
}

/// The answer to a request without data of its own: an error number, 0 for none.
fn acknowledged(message: &[u8], request: &Request) -> Result<()> {
    let number = message.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        number => {
            let errno = number.map_or(Errno::EPROTO, |number| Errno::from_raw(-number));
            Err(Error::new("rtnetlink", request.name(), errno))
        }
    }
}

/// The next message of a datagram, with its header, and its kind.
fn next_message<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let length = u32::from_ne_bytes(rest.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(rest.get(4..6)?.try_into().ok()?);
    let message = rest.get(..length).filter(|message| message.len() >= HEADER)?;
    *rest = rest.get(aligned(length)..).unwrap_or_default();
    Some((kind, message))
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

/// The attributes in the rest of a message: kind and value.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        let value = rest.get(4..length)?;
        rest = rest.get(aligned(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// A request that is being written.
#[derive(Debug)]
struct Request {
    kind: u16,
    flags: u16,
    bytes: Vec<u8>,
}

impl Request {
    fn new(kind: u16, flags: i32) -> Self {
        Self { kind, flags: (libc::NLM_F_REQUEST | flags) as u16, bytes: vec![0; HEADER] }
    }

    /// A request about a device, to raise the flags `up` where there are any.
    fn link(kind: u16, flags: i32, index: i32, up: u32) -> Self {
        let mut request = Self::new(kind, flags);
        request.bytes.extend([0; 4]);
        request.bytes.extend(index.to_ne_bytes());
        request.bytes.extend(up.to_ne_bytes());
        request.bytes.extend(up.to_ne_bytes());
        request
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self.bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
    }

    fn text(&mut self, kind: u16, text: &str) {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        self.attribute(kind, &bytes);
    }

    fn finished(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(aligned(bytes.len()), 0);
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&self.flags.to_ne_bytes());
        bytes
    }

    /// Whether the kernel ends its answer with a message that says so; else the answer is one message.
    fn has_end(&self) -> bool {
        i32::from(self.flags) & (libc::NLM_F_ACK | libc::NLM_F_DUMP) != 0
    }

    fn name(&self) -> &'static str {
        match self.kind {
            libc::RTM_GETLINK => "RTM_GETLINK",
            libc::RTM_NEWLINK => "RTM_NEWLINK",
            libc::RTM_GETADDR => "RTM_GETADDR",
            libc::RTM_NEWADDR => "RTM_NEWADDR",
            _ => "another request",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer as the kernel would write it.
    fn answer(kind: u16, part: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut request = Request::new(kind, 0);
        request.bytes.extend(part);
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
    fn a_datagram_is_taken_apart_into_its_messages() {
        let mut datagram = answer(libc::RTM_NEWLINK, &[1; 5], &[]);
        datagram.extend(answer(NLMSG_DONE, &[0; 4], &[]));
        let mut rest = datagram.as_slice();
        assert_eq!(next_message(&mut rest).map(|(kind, _)| kind), Some(libc::RTM_NEWLINK));
        assert_eq!(next_message(&mut rest).map(|(kind, _)| kind), Some(NLMSG_DONE));
        assert!(next_message(&mut rest).is_none());
        let mut lying: &[u8] = &[200, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(next_message(&mut lying).is_none());
        let mut short: &[u8] = &[4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(next_message(&mut short).is_none());
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
