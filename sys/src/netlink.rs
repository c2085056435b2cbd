//! Netlink sockets (netlink(7)), and the form of what goes over them: a message is a header of 16 bytes, a fixed part and
//! attributes, each aligned to four bytes; numbers are the machine's. What messages mean is not here.

use crate::error::{Context, Error, Result, check, describe};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The largest datagram that the kernel answers a dump with (`NLMSG_GOODSIZE` and the 32 KiB of Linux 4.9 on).
pub const LARGEST_ANSWER: usize = 32 * 1024;
/// The length of a message's header.
pub const HEADER: usize = 16;

/// `<linux/netlink.h>`.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLA_F_NESTED: u16 = 1 << 15;

/// A socket that talks to the network namespace in which it was made, wherever its owner goes.
#[derive(Debug)]
pub struct NetlinkSocket(OwnedFd);

impl NetlinkSocket {
    /// A socket of the family `NETLINK_ROUTE` (rtnetlink(7)) to the network namespace of the caller. Dumps may be narrowed
    /// by the fields of the request (`NETLINK_GET_STRICT_CHK`, Linux 4.20); an older kernel tells more than was asked for.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn route() -> Result<Self> {
        let socket = open(SockProtocol::NetlinkRoute, "NETLINK_ROUTE")?;
        let on: libc::c_int = 1;
        // SAFETY: the pointer and the length describe one live integer.
        let ret = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_GET_STRICT_CHK,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        match check(ret.into(), "setsockopt", || "NETLINK_GET_STRICT_CHK".into()) {
            Err(error) if error.errno() != crate::Errno::ENOPROTOOPT => Err(error),
            _ => Ok(Self(socket)),
        }
    }

    /// A socket of the family `NETLINK_NETFILTER` to the network namespace of the caller.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel has no such family, and what else it says.
    pub fn netfilter() -> Result<Self> {
        open(SockProtocol::NetlinkNetFilter, "NETLINK_NETFILTER").map(Self)
    }

    /// Sends a request and collects what is answered until the kernel says that this is all.
    ///
    /// # Errors
    /// The error number that the kernel answers, under the name of the request; `EPROTO` for an answer that is none.
    pub fn talk(&self, request: &Request) -> Result<Vec<Vec<u8>>> {
        self.send(&request.finished())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; LARGEST_ANSWER];
        loop {
            let length = self.receive(&mut buffer)?;
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

    fn send(&self, bytes: &[u8]) -> Result<()> {
        nix::sys::socket::send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
            .context("send", || format!("{}, {} bytes", describe(self.0.as_fd()), bytes.len()))
            .map(drop)
    }

    /// The next datagram; one that does not fit is an error (`EMSGSIZE`).
    fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            // MSG_TRUNC makes the kernel tell the whole length of a datagram that it had to cut.
            match nix::sys::socket::recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC) {
                Err(nix::errno::Errno::EINTR) => {}
                Ok(length) if length > buffer.len() => {
                    return Err(Error::new("recv", describe(self.0.as_fd()), crate::Errno::EMSGSIZE));
                }
                other => return other.context("recv", || describe(self.0.as_fd())),
            }
        }
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn open(protocol: SockProtocol, name: &'static str) -> Result<OwnedFd> {
    nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
        .context("socket", || format!("AF_NETLINK, SOCK_RAW, {name}"))
}

/// A request that is being written.
#[derive(Debug, Clone)]
pub struct Request {
    name: &'static str,
    kind: u16,
    flags: u16,
    bytes: Vec<u8>,
}

impl Request {
    /// One without anything behind its header yet; `name` is for errors.
    #[must_use]
    pub fn new(name: &'static str, kind: u16, flags: i32) -> Self {
        Self { name, kind, flags: (libc::NLM_F_REQUEST | flags) as u16, bytes: vec![0; HEADER] }
    }

    /// Adds to the fixed part.
    pub fn part(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Adds an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.align();
        self.bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
    }

    /// Adds an attribute that is a text.
    pub fn text(&mut self, kind: u16, text: &str) {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        self.attribute(kind, &bytes);
    }

    /// Adds an attribute that consists of others.
    pub fn nest(&mut self, kind: u16, write: impl FnOnce(&mut Self)) {
        self.align();
        let start = self.bytes.len();
        self.attribute(kind | NLA_F_NESTED, &[]);
        write(self);
        self.align();
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn align(&mut self) {
        self.bytes.resize(aligned(self.bytes.len()), 0);
    }

    /// The whole message.
    #[must_use]
    pub fn finished(&self) -> Vec<u8> {
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
}

/// The answer to a request without data of its own: an error number, 0 for none.
fn acknowledged(message: &[u8], request: &Request) -> Result<()> {
    let number = message.get(HEADER..HEADER + 4).and_then(|bytes| bytes.try_into().ok());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        number => {
            let errno = number.map_or(crate::Errno::EPROTO, |number| crate::Errno::from_raw(-number));
            Err(Error::new("netlink", request.name, errno))
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

/// The attributes in the rest of a message: kind and value.
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_taken_apart_into_its_messages() {
        let mut first = Request::new("a link", libc::RTM_NEWLINK, 0);
        first.part(&[1; 5]);
        let mut datagram = first.finished();
        datagram.extend(Request::new("the end", NLMSG_DONE, 0).finished());
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
    fn attributes_are_read_as_they_are_written() {
        let mut request = Request::new("a link", libc::RTM_NEWLINK, 0);
        request.text(3, "ab");
        request.nest(18, |inner| {
            inner.attribute(1, b"x");
            inner.nest(2, |_| ());
        });
        request.attribute(4, &7u32.to_ne_bytes());
        let bytes = request.finished();
        assert_eq!(u32::from_ne_bytes(bytes[..4].try_into().expect("four")) as usize, bytes.len());
        let all: Vec<_> = attributes(&bytes[HEADER..]).collect();
        assert_eq!(all[0], (3, b"ab\0".as_slice()));
        assert_eq!((all[1].0, all[2]), (18 | NLA_F_NESTED, (4, 7u32.to_ne_bytes().as_slice())));
        let inner: Vec<_> = attributes(all[1].1).collect();
        assert_eq!(inner, [(1, b"x".as_slice()), (2 | NLA_F_NESTED, b"".as_slice())]);
    }

    #[test]
    fn the_kernel_answers_and_says_what_is_wrong() {
        let socket = NetlinkSocket::route().expect("everybody may");
        let ask = |name: &str| {
            let mut request = Request::new("RTM_GETLINK", libc::RTM_GETLINK, 0);
            request.part(&[0; 16]);
            request.text(3, name);
            socket.talk(&request)
        };
        assert_eq!(ask("lo").expect("it is there").len(), 1);
        let error = ask("none-such").expect_err("it is not there");
        assert_eq!(error.errno(), crate::Errno::ENODEV);
    }
}
