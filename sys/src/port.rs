//! Ports of the host that are taken and not served: a socket that is bound and neither listens nor reads.

use crate::error::{Context, Result};
use nix::sys::socket::{
    self, AddressFamily, Backlog, Shutdown, SockFlag, SockProtocol, SockType, SockaddrStorage, sockopt,
};
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

/// Takes a port, or with port 0 one that is free. An IPv6 address is for IPv6 alone.
///
/// # Errors
/// `EADDRINUSE` for one that is taken, `EADDRNOTAVAIL` for an address that the host does not have, `EPROTONOSUPPORT` for
/// a transport that the kernel does not know.
pub fn hold(transport: Transport, address: SocketAddr) -> Result<OwnedFd> {
    let fd = new(transport, address)?;
    match bind(&fd, address) {
        // The last server's connections may linger there, which keeps nobody from it who says so.
        Err(error) if error.errno() == crate::Errno::EADDRINUSE && transport == Transport::Tcp => {
            hold_lingering(address).map_err(|_| error)
        }
        bound => bound.map(|()| fd),
    }
}

/// `SO_REUSEADDR` must not stay: with it, a server that sets it as well could bind to the same port as long as nobody
/// listens there. The kernel notes at the port whether all have it, and forgets that when somebody listens; whoever stops
/// to listen keeps the port.
fn hold_lingering(address: SocketAddr) -> Result<OwnedFd> {
    let fd = new(Transport::Tcp, address)?;
    let reuse = |on: bool| {
        socket::setsockopt(&fd, sockopt::ReuseAddr, &on).context("setsockopt", || "SO_REUSEADDR".into())
    };
    reuse(true)?;
    bind(&fd, address)?;
    let backlog = Backlog::new(0).context("listen", || address.to_string())?;
    socket::listen(&fd, backlog).context("listen", || address.to_string())?;
    socket::shutdown(fd.as_raw_fd(), Shutdown::Read).context("shutdown", || address.to_string())?;
    reuse(false)?;
    Ok(fd)
}

fn new(transport: Transport, address: SocketAddr) -> Result<OwnedFd> {
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
    Ok(fd)
}

fn bind(fd: &OwnedFd, address: SocketAddr) -> Result<()> {
    socket::bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).context("bind", || address.to_string())
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

    #[test]
    fn connections_that_linger_do_not_keep_a_port() {
        use std::net::{TcpListener, TcpStream};
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let client = TcpStream::connect(address).expect("it listens");
        // Who closes first waits for stray segments.
        drop(listener.accept().expect("a client"));
        drop((listener, client));
        let held = hold(Transport::Tcp, address).expect("nobody listens there");
        for _ in 0..2 {
            assert!(hold(Transport::Tcp, address).is_err());
            assert!(TcpListener::bind(address).is_err());
            assert!(TcpStream::connect(address).is_err());
        }
        drop(held);
        TcpListener::bind(address).expect("it is free");
    }
}
