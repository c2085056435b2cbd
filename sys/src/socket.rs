//! Unix sockets, with descriptors passed over them.

use crate::error::{Context, Error, Result, describe};
use nix::cmsg_space;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg,
    sendmsg,
};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// The most descriptors that [`receive`] takes in one message.
pub const MAX_FDS: usize = 32;

/// A connected pair of sockets that keep message boundaries.
///
/// # Errors
/// What the kernel says.
pub fn seqpacket_pair() -> Result<(OwnedFd, OwnedFd)> {
    nix::sys::socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .context("socketpair", || "AF_UNIX, SOCK_SEQPACKET".into())
}

/// A socket that keeps message boundaries and listens at `path`; accepting from it never waits.
///
/// # Errors
/// What the kernel says, with the path; `ENAMETOOLONG` for one over 107 bytes.
pub fn listen_seqpacket(path: &Path) -> Result<OwnedFd> {
    listen(path, SockType::SeqPacket, "AF_UNIX, SOCK_SEQPACKET")
}

/// A stream socket that listens at `path`; accepting from it never waits.
///
/// # Errors
/// What the kernel says, with the path; `ENAMETOOLONG` for one over 107 bytes.
pub fn listen_stream(path: &Path) -> Result<OwnedFd> {
    listen(path, SockType::Stream, "AF_UNIX, SOCK_STREAM")
}

fn listen(path: &Path, kind: SockType, args: &'static str) -> Result<OwnedFd> {
    use nix::sys::socket::{Backlog, bind, listen, socket};
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Unix, kind, flags, None).context("socket", || args.into())?;
    let address = UnixAddr::new(path).context("bind", || format!("{path:?}"))?;
    bind(fd.as_raw_fd(), &address).context("bind", || format!("{path:?}"))?;
    listen(&fd, Backlog::MAXALLOWABLE).context("listen", || format!("{path:?}"))?;
    Ok(fd)
}

/// Takes a connection that waits on a listening socket, if there is one. It does not wait on reading or writing either.
///
/// # Errors
/// What the kernel says.
pub fn accept(listener: impl AsFd) -> Result<Option<OwnedFd>> {
    let fd = listener.as_fd();
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    match nix::sys::socket::accept4(fd.as_raw_fd(), flags) {
        // SAFETY: the call succeeded, so raw is a new descriptor that nobody else owns.
        Ok(raw) => Ok(Some(unsafe { OwnedFd::from_raw_fd(raw) })),
        // The one that connected has gone again, or nobody has come.
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ECONNABORTED | nix::errno::Errno::EINTR) => {
            Ok(None)
        }
        Err(errno) => Err(errno).context("accept4", || describe(fd)),
    }
}

/// The longest path that an address takes (`unix(7)`), without the NUL byte at its end.
const MAX_PATH: usize = 107;

/// Connects to the socket at `path` that keeps message boundaries.
///
/// # Errors
/// What the kernel says, with the path; `ECONNREFUSED` when nobody listens any more, `ENAMETOOLONG` for a path over 107
/// bytes.
pub fn connect_seqpacket(path: &Path) -> Result<OwnedFd> {
    let fd = nix::sys::socket::socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)
        .context("socket", || "AF_UNIX, SOCK_SEQPACKET".into())?;
    let address = UnixAddr::new(path).context("connect", || format!("{path:?}"))?;
    nix::sys::socket::connect(fd.as_raw_fd(), &address).context("connect", || format!("{path:?}"))?;
    Ok(fd)
}

/// Makes every wait for a message end after `limit` with `EAGAIN` (`SO_RCVTIMEO`): one call for all waits to come, where
/// a poll before each would be one more each time.
///
/// # Errors
/// What the kernel says.
pub fn set_receive_timeout(socket: impl AsFd, limit: std::time::Duration) -> Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
    use nix::sys::time::TimeVal;
    let limit = TimeVal::new(limit.as_secs() as libc::time_t, limit.subsec_micros().into());
    setsockopt(&socket, ReceiveTimeout, &limit).context("setsockopt", || format!("SO_RCVTIMEO, {limit:?}"))
}

/// Connects to the stream socket at `path`. One over 107 bytes, which no address takes, is opened before and named by its
/// descriptor, so that procfs has to be mounted.
///
/// # Errors
/// What the kernel says, with the path.
pub fn connect_stream(path: &Path) -> Result<OwnedFd> {
    if path.as_os_str().len() > MAX_PATH {
        let socket = crate::fs::open(path, crate::fs::OFlag::O_PATH)?;
        return connect_through(Path::new(&format!("/proc/self/fd/{}", socket.as_raw_fd())), path);
    }
    connect_through(path, path)
}

/// Connects to `address`, which leads to `path`.
fn connect_through(address: &Path, path: &Path) -> Result<OwnedFd> {
    let fd = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .context("socket", || "AF_UNIX, SOCK_STREAM".into())?;
    let address = UnixAddr::new(address).context("connect", || format!("{path:?}"))?;
    nix::sys::socket::connect(fd.as_raw_fd(), &address).context("connect", || format!("{path:?}"))?;
    Ok(fd)
}

/// Where a Unix socket listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketName<'a> {
    /// In the file system.
    Path(&'a Path),
    /// In the abstract names of the network namespace, without the NUL byte at the beginning (`unix(7)`).
    Abstract(&'a [u8]),
}

/// Connects to a stream socket without ever waiting; the descriptor does not block either.
///
/// # Errors
/// `EAGAIN` while the listener's queue is full; otherwise as [`connect_stream`].
pub fn connect_stream_nonblocking(name: SocketName<'_>) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .context("socket", || "AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK".into())?;
    let address = match name {
        SocketName::Path(path) => UnixAddr::new(path),
        SocketName::Abstract(name) => UnixAddr::new_abstract(name),
    };
    let address = address.context("connect", || format!("{name:?}"))?;
    nix::sys::socket::connect(fd.as_raw_fd(), &address).context("connect", || format!("{name:?}"))?;
    Ok(fd)
}

/// A datagram socket that receives at `path`, which everybody may send to.
///
/// # Errors
/// What the kernel says, with the path; `ENAMETOOLONG` for one over 107 bytes.
pub fn bind_datagram(path: &Path) -> Result<OwnedFd> {
    let fd = datagram()?;
    let address = UnixAddr::new(path).context("bind", || format!("{path:?}"))?;
    nix::sys::socket::bind(fd.as_raw_fd(), &address).context("bind", || format!("{path:?}"))?;
    crate::fs::chmodat(crate::fs::AT_FDCWD, path, 0o777)?;
    Ok(fd)
}

/// A datagram socket that sends to `path`; one that begins with `@` is a name in the abstract namespace (`unix(7)`).
///
/// # Errors
/// What the kernel says, with the path; `ENAMETOOLONG` for one over 107 bytes.
pub fn connect_datagram(path: &Path) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt;
    let fd = datagram()?;
    let address = match path.as_os_str().as_bytes().strip_prefix(b"@") {
        Some(name) => UnixAddr::new_abstract(name),
        None => UnixAddr::new(path),
    };
    let address = address.context("connect", || format!("{path:?}"))?;
    nix::sys::socket::connect(fd.as_raw_fd(), &address).context("connect", || format!("{path:?}"))?;
    Ok(fd)
}

fn datagram() -> Result<OwnedFd> {
    nix::sys::socket::socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .context("socket", || "AF_UNIX, SOCK_DGRAM".into())
}

/// Sends one message, with descriptors.
///
/// # Errors
/// `EPIPE` when the other end is gone, `EMSGSIZE` for a message over the socket's buffer.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[RawFd]) -> Result<()> {
    let socket = socket.as_fd();
    let iov = [IoSlice::new(bytes)];
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(nix::errno::Errno::EINTR) => {}
            other => {
                return other
                    .context("sendmsg", || format!("{}, {} bytes", describe(socket), bytes.len()))
                    .map(drop);
            }
        }
    }
}

/// A message and the descriptors that came with it.
#[derive(Debug)]
pub struct Message {
    /// How many bytes of the buffer it filled; 0 at the end of the connection.
    pub length: usize,
    /// The descriptors, close-on-exec.
    pub fds: Vec<OwnedFd>,
}

/// Receives one message into `buffer`.
///
/// # Errors
/// `EMSGSIZE` for a message (or its descriptors) that did not fit, and what the kernel says.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Message> {
    let socket = socket.as_fd();
    let mut control = cmsg_space!([RawFd; MAX_FDS]);
    let (length, fds, cut) = loop {
        let mut iov = [IoSliceMut::new(buffer)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(Error::new("recvmsg", describe(socket), errno)),
            Ok(message) => {
                let mut fds = Vec::new();
                for control in message.cmsgs().context("recvmsg", || describe(socket))? {
                    if let ControlMessageOwned::ScmRights(raw) = control {
                        // SAFETY: the kernel has just made these descriptors for this process alone.
                        fds.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                    }
                }
                let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
                break (message.bytes, fds, cut);
            }
        }
    };
    if cut {
        Err(Error::new("recvmsg", describe(socket), crate::Errno::EMSGSIZE))
    } else {
        Ok(Message { length, fds })
    }
}
