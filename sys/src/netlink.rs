//! Netlink sockets of the family `NETLINK_ROUTE` (rtnetlink(7)): bytes out, bytes in. What they mean is not here.

use crate::error::{Context, Error, Result, check, describe};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The largest datagram that the kernel answers a dump with (`NLMSG_GOODSIZE` and the 32 KiB of Linux 4.9 on).
pub const LARGEST_ANSWER: usize = 32 * 1024;

/// A socket that talks to the network namespace in which it was made, wherever its owner goes.
#[derive(Debug)]
pub struct RouteSocket(OwnedFd);

impl RouteSocket {
    /// A socket to the network namespace of the caller. Dumps may be narrowed by the fields of the request
    /// (`NETLINK_GET_STRICT_CHK`, Linux 4.20); an older kernel tells more than was asked for.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> Result<Self> {
        let socket = nix::sys::socket::socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )
        .context("socket", || "AF_NETLINK, SOCK_RAW, NETLINK_ROUTE".into())?;
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

    /// Sends one datagram to the kernel.
    ///
    /// # Errors
    /// What the kernel says of the datagram; its answer to the request comes by [`RouteSocket::receive`].
    pub fn send(&self, bytes: &[u8]) -> Result<()> {
        nix::sys::socket::send(self.0.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL)
            .context("send", || format!("{}, {} bytes", describe(self.0.as_fd()), bytes.len()))
            .map(drop)
    }

    /// The next datagram from the kernel, written to `buffer`; returns its length.
    ///
    /// # Errors
    /// `EMSGSIZE` for one that did not fit, and what the kernel says.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
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

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
