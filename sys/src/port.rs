//! Ports of the host that are taken and not served: a socket that is bound and neither listens nor reads.

use crate::error::{Context, Result};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockProtocol, SockType, SockaddrStorage, sockopt};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// Takes a port, or with port 0 one that is free. `SO_REUSEADDR` stays off: with it, a server that sets it as well could
/// bind to the same port as long as nobody listens there. An IPv6 address is for IPv6 alone.
///
/// # Errors
/// `EADDRINUSE` for one that is taken, `EADDRNOTAVAIL` for an address that the host does not have, `EPROTONOSUPPORT` for
/// a transport that the kernel does not know.
pub fn hold(transport: Transport, address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let (kind, protocol) = match transport {
        Transport::Tcp => (SockType::Stream, SockProtocol::Tcp),
        Transport::Udp => (SockType::Datagram, SockProtocol::Udp),
        Transport::Sctp => (SockType::Stream, SockProtocol::Sctp),
    };
    let fd = socket::socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol)
        .context("socket", || format!("{family:?}, {kind:?}, {protocol:?}"))?;
    if address.is_ipv6() {
        socket::setsockopt(&fd, sockopt::Ipv6V6Only, &true).context("setsockopt", || "IPV6_V6ONLY".into())?;
    }
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).context("bind", || address.to_string())?;
    Ok(fd)
}

/// The port that a socket of [`hold`] has.
///
/// # Errors
/// What the kernel says.
pub fn number(fd: &OwnedFd) -> Result<u16> {
    let address: SockaddrStorage =
        socket::getsockname(fd.as_raw_fd()).context("getsockname", || "a held port".into())?;
    let v4 = address.as_sockaddr_in().map(socket::SockaddrIn::port);
    Ok(v4.or_else(|| address.as_sockaddr_in6().map(socket::SockaddrIn6::port)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_port_is_nobody_elses() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let held = hold(transport, "127.0.0.1:0".parse().expect("an address")).expect("a free port");
            let port = number(&held).expect("it has one");
            let again = SocketAddr::new("127.0.0.1".parse().expect("an address"), port);
            let error = hold(transport, again).expect_err("it is taken");
            assert_eq!(error.errno(), crate::Errno::EADDRINUSE);
            drop(held);
            hold(transport, again).expect("it is free again");
        }
    }
}
