//! Terminals: a pseudoterminal of the test's own, and the socket that receives a container's.

use crate::wait;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};
use serde_json::Value;
use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A pseudoterminal, held by its master side.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    seen: String,
}

impl Terminal {
    /// A new pseudoterminal of the host.
    ///
    /// # Panics
    /// When the host has none to give.
    #[must_use]
    pub fn open() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("the host has pseudoterminals");
        grantpt(&master).expect("a new pseudoterminal can be granted");
        unlockpt(&master).expect("a new pseudoterminal can be unlocked");
        Self::from_master(master)
    }

    /// The terminal whose master side was received from elsewhere.
    #[must_use]
    pub fn from_master(master: OwnedFd) -> Self {
        Self { master: File::from(master), seen: String::new() }
    }

    /// A new descriptor of the other side, close-on-exec, not anyone's controlling terminal yet.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn peer(&self) -> File {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        File::from(ioctl_tiocgptpeer(&self.master, flags).expect("a master side has a peer"))
    }

    /// Types `text`.
    ///
    /// # Panics
    /// When nobody can read it any more.
    pub fn type_text(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("the terminal takes input");
    }

    /// Reads what appears until it contains `text`; returns all that has been read up to and with it, and forgets it.
    ///
    /// # Panics
    /// When the other side ends or the deadline passes first.
    pub fn read_until(&mut self, text: &str) -> String {
        let deadline = wait::deadline(wait::DEADLINE);
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            assert!(self.read_some(deadline), "the terminal never showed {text:?}, but {:?}", self.seen);
        }
    }

    /// Reads all that appears until every holder of the other side is gone.
    ///
    /// # Panics
    /// When the deadline passes first.
    pub fn read_to_end(&mut self) -> String {
        let deadline = wait::deadline(wait::DEADLINE);
        while self.read_some(deadline) {}
        assert!(Instant::now() < deadline, "the terminal stayed open and showed {:?}", self.seen);
        std::mem::take(&mut self.seen)
    }

    /// Reads once; false at the end and at the deadline.
    fn read_some(&mut self, deadline: Instant) -> bool {
        if !wait::readable(&self.master, deadline) {
            return false;
        }
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.master, &mut buffer) {
            // The master side answers EIO once the last holder of the other side is gone.
            Ok(0) | Err(Errno::IO) => false,
            Ok(length) => {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
                true
            }
            Err(errno) => panic!("read from the terminal: {errno}"),
        }
    }

    /// Sets its size; the kernel sends SIGWINCH to the foreground process group of the other side.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a terminal can be resized");
    }

    /// Its size, as rows and columns.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        let size = tcgetwinsize(&self.master).expect("a terminal has a size");
        (size.ws_row, size.ws_col)
    }

    /// Its modes, which both sides share.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn modes(&self) -> Termios {
        tcgetattr(&self.master).expect("a terminal has modes")
    }
}

/// A listening Unix socket on which a runtime delivers descriptors: a console, or a seccomp listener.
#[derive(Debug)]
pub struct FdSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl FdSocket {
    /// Listens at `path`, which must be short (107 bytes).
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn bind(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref().to_owned();
        let listener =
            UnixListener::bind(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { listener, path }
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes one connection and returns all bytes sent over it until its end, and all descriptors.
    ///
    /// # Panics
    /// When nobody connects, or the connection is not closed in time.
    #[must_use]
    pub fn receive(&self) -> (Vec<u8>, Vec<OwnedFd>) {
        self.receive_until(|_| false)
    }

    /// Takes one connection and returns the JSON document sent over it, with all descriptors, without waiting for its end.
    ///
    /// # Panics
    /// When nobody connects, or no whole document comes in time.
    #[must_use]
    pub fn receive_json(&self) -> (Value, Vec<OwnedFd>) {
        let (bytes, fds) = self.receive_until(|bytes| serde_json::from_slice::<Value>(bytes).is_ok());
        (serde_json::from_slice(&bytes).expect("one JSON document"), fds)
    }

    fn receive_until(&self, whole: impl Fn(&[u8]) -> bool) -> (Vec<u8>, Vec<OwnedFd>) {
        let deadline = wait::deadline(wait::DEADLINE);
        assert!(wait::readable(&self.listener, deadline), "nobody connected to {}", self.path.display());
        let (stream, _) = self.listener.accept().expect("a waiting connection can be accepted");
        let (mut bytes, mut fds) = (Vec::new(), Vec::new());
        while !whole(&bytes) {
            let more = wait::readable(&stream, deadline);
            assert!(
                more,
                "{} was not closed after {:?}",
                self.path.display(),
                String::from_utf8_lossy(&bytes)
            );
            if !receive_some(&stream, &mut bytes, &mut fds) {
                break;
            }
        }
        (bytes, fds)
    }

    /// Takes one connection that carries the master side of a terminal.
    ///
    /// # Panics
    /// When it carries anything but one descriptor.
    #[must_use]
    pub fn receive_terminal(&self) -> Terminal {
        let (bytes, mut fds) = self.receive();
        assert_eq!(fds.len(), 1, "one descriptor is expected with {bytes:?}");
        Terminal::from_master(fds.remove(0))
    }

    /// Whether a connection waits to be taken.
    #[must_use]
    pub fn has_connection(&self) -> bool {
        let fd = self.listener.as_fd();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

/// Receives one message; false at the end of the connection.
fn receive_some(stream: &UnixStream, bytes: &mut Vec<u8>, fds: &mut Vec<OwnedFd>) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffer = [0; 8192];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg(stream, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).expect("recvmsg works");
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    bytes.extend_from_slice(&buffer[..message.bytes]);
    message.bytes > 0
}
