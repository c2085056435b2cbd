//! What a monitor and its clients say to each other: one message is one packet of a socket, a letter and what belongs to
//! it.

use crate::home::Home;
use mydocker_sys::fs::{OFlag, open};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::socket::{connect_seqpacket, receive, send};
use mydocker_sys::{AsFd, Errno, OwnedFd};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The name of the socket in what of a container is gone after a reboot. The number is that of this language, and grows with
/// each change that one end would not understand of the other: a monitor lives on while programs are replaced.
pub const SOCKET: &str = "attach-1.sock";

/// The most that a message carries beside its letter.
pub const PAYLOAD: usize = 32 << 10;

/// The most that the path of a socket may have.
const PATH_LIMIT: usize = 107;

/// What goes wrong between a monitor and its clients.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// The other end says what nobody understands.
    #[error(
        "the container's monitor and this program do not understand each other; are they of the same version?"
    )]
    Garbled,
    /// The monitor speaks another version of this language.
    #[error(
        "the container's monitor is of another version of mydocker, which this one does not understand; use that version, or 'restart' the container with this one"
    )]
    OtherVersion,
}

/// The streams that a client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streams {
    /// It sends input.
    pub stdin: bool,
    /// It wants what is printed on standard output.
    pub stdout: bool,
    /// It wants what is printed on standard error.
    pub stderr: bool,
}

/// What a client says.
#[derive(Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// It is first, once: these streams are wanted.
    Hello(Streams),
    /// Input.
    Input(&'a [u8]),
    /// No more input comes.
    InputEnd,
    /// The terminal has this size.
    Resize {
        /// Lines.
        rows: u16,
        /// Columns.
        columns: u16,
    },
    /// The container's program gets a signal.
    Signal(i32),
    /// The container is not started again by its restart policy: a wait for the next try ends.
    Rest {
        /// Nor is it removed at its end, whatever was wished for: it is to be started by hand.
        stays: bool,
    },
    /// The terminal that comes with it is read to its end and thrown away, for who held it goes.
    Keep,
}

/// What a monitor says.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The container's program runs.
    Started,
    /// It does not, with the status of the command that wanted it.
    Failed {
        /// 125, 126 or 127.
        status: u8,
        /// Why.
        text: &'a str,
    },
    /// It has printed this on standard output.
    Output(&'a [u8]),
    /// It has printed this on standard error.
    Error(&'a [u8]),
    /// It has ended, with this status.
    Exited(u8),
}

impl Request<'_> {
    /// As a packet.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        match self {
            Self::Hello(streams) => {
                vec![b'H', u8::from(streams.stdin), u8::from(streams.stdout), u8::from(streams.stderr)]
            }
            Self::Input(bytes) => packet(b'I', bytes),
            Self::InputEnd => vec![b'D'],
            Self::Resize { rows, columns } => {
                packet(b'W', &[rows.to_le_bytes(), columns.to_le_bytes()].concat())
            }
            Self::Signal(number) => packet(b'S', &number.to_le_bytes()),
            Self::Rest { stays } => vec![b'R', u8::from(*stays)],
            Self::Keep => vec![b'K'],
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`AttachError::Garbled`].
    pub fn read(packet: &'a [u8]) -> Result<Self, AttachError> {
        match packet {
            [b'H', stdin, stdout, stderr] => {
                Ok(Self::Hello(Streams { stdin: *stdin != 0, stdout: *stdout != 0, stderr: *stderr != 0 }))
            }
            [b'I', bytes @ ..] => Ok(Self::Input(bytes)),
            [b'D'] => Ok(Self::InputEnd),
            [b'W', a, b, c, d] => {
                Ok(Self::Resize { rows: u16::from_le_bytes([*a, *b]), columns: u16::from_le_bytes([*c, *d]) })
            }
            [b'S', a, b, c, d] => Ok(Self::Signal(i32::from_le_bytes([*a, *b, *c, *d]))),
            [b'R', stays] => Ok(Self::Rest { stays: *stays != 0 }),
            [b'K'] => Ok(Self::Keep),
            _ => Err(AttachError::Garbled),
        }
    }
}

impl Reply<'_> {
    /// As a packet.
    #[must_use]
    pub fn packet(&self) -> Vec<u8> {
        match self {
            Self::Started => vec![b's'],
            Self::Failed { status, text } => {
                let mut failed = vec![b'f', *status];
                let end = (0..PAYLOAD.min(text.len() + 1)).rev().find(|at| text.is_char_boundary(*at));
                failed.extend_from_slice(&text.as_bytes()[..end.unwrap_or(0)]);
                failed
            }
            Self::Output(bytes) => packet(b'o', bytes),
            Self::Error(bytes) => packet(b'e', bytes),
            Self::Exited(status) => vec![b'x', *status],
        }
    }
}

impl<'a> Reply<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// [`AttachError::Garbled`].
    pub fn read(packet: &'a [u8]) -> Result<Self, AttachError> {
        match packet {
            [b's'] => Ok(Self::Started),
            [b'f', status, text @ ..] => Ok(Self::Failed {
                status: *status,
                text: std::str::from_utf8(text).map_err(|_| AttachError::Garbled)?,
            }),
            [b'o', bytes @ ..] => Ok(Self::Output(bytes)),
            [b'e', bytes @ ..] => Ok(Self::Error(bytes)),
            [b'x', status] => Ok(Self::Exited(*status)),
            _ => Err(AttachError::Garbled),
        }
    }
}

fn packet(letter: u8, bytes: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(bytes.len() + 1);
    packet.push(letter);
    packet.extend_from_slice(bytes);
    packet
}

/// A path of `name` in `directory` that a socket can have, however deep the directory lies; it holds as long as the
/// descriptor does.
///
/// # Errors
/// What the kernel says of the directory.
pub fn short_path(directory: &Path, name: &str) -> Result<(PathBuf, Option<OwnedFd>), mydocker_sys::Error> {
    let path = directory.join(name);
    if path.as_os_str().len() <= PATH_LIMIT {
        return Ok((path, None));
    }
    let fd = open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let short = Path::new("/proc").join(std::process::id().to_string()).join("fd");
    Ok((short.join(fd.as_raw_fd().to_string()).join(name), Some(fd)))
}

/// `None` if nobody listens there.
fn connect(directory: &Path, name: &str) -> Result<Option<OwnedFd>, mydocker_sys::Error> {
    match short_path(directory, name).and_then(|(path, _directory)| connect_seqpacket(&path)) {
        Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ECONNREFUSED | Errno::ENOTDIR) => {
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Whether somebody listens at a socket of another version's name.
fn others_listen(directory: &Path) -> Result<bool, mydocker_sys::Error> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let is_other = |name: &String| name.starts_with("attach") && name.ends_with(".sock") && name != SOCKET;
    for name in names.filter(is_other) {
        if connect(directory, &name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A client's end of a connection to a monitor.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Connection {
    /// Over a socket that is connected already.
    #[must_use]
    pub fn over(socket: OwnedFd) -> Self {
        Self { socket, buffer: vec![0; PAYLOAD + 16] }
    }

    /// With the monitor of a container; `None` if it has none that listens.
    ///
    /// # Errors
    /// [`AttachError::OtherVersion`], and what the kernel says.
    pub fn open(home: &Home, id: &str, streams: Streams) -> Result<Option<Self>, AttachError> {
        let directory = home.run_of(id);
        let Some(socket) = connect(&directory, SOCKET)? else {
            return if others_listen(&directory)? { Err(AttachError::OtherVersion) } else { Ok(None) };
        };
        let mut connection = Self::over(socket);
        match connection.say(&Request::Hello(streams)) {
            // It has gone since.
            Ok(false) => Ok(None),
            other => other.map(|_| Some(connection)),
        }
    }

    /// The same, where a monitor that is not understood is as good as none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open_if_understood(home: &Home, id: &str, streams: Streams) -> Result<Option<Self>, AttachError> {
        match Self::open(home, id, streams) {
            Err(AttachError::OtherVersion) => Ok(None),
            other => other,
        }
    }

    /// Says something; `false` if nobody is there any more to hear it.
    ///
    /// # Errors
    /// What the kernel says beyond that.
    pub fn say(&mut self, request: &Request<'_>) -> Result<bool, AttachError> {
        match send(&self.socket, &request.packet(), &[]) {
            Err(error) if matches!(error.errno(), Errno::EPIPE | Errno::ECONNRESET) => Ok(false),
            other => Ok(other.map(|()| true)?),
        }
    }

    /// Sends a packet.
    ///
    /// # Errors
    /// What the kernel says; `EAGAIN` without room for it, if the socket does not wait.
    pub fn send(&self, packet: &[u8]) -> Result<(), mydocker_sys::Error> {
        send(&self.socket, packet, &[])
    }

    /// Waits for what the monitor says; `None` if it has gone.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn hear(&mut self) -> Result<Option<Reply<'_>>, AttachError> {
        let length = match receive(&self.socket, &mut self.buffer) {
            // A monitor that closes with something of ours unread has the kernel tell so first; what it has said comes next.
            Err(error) if error.errno() == Errno::ECONNRESET => {
                receive(&self.socket, &mut self.buffer)?.length
            }
            other => other?.length,
        };
        if length == 0 { Ok(None) } else { Reply::read(&self.buffer[..length]).map(Some) }
    }

    /// Hands over a terminal that nobody looks at any more.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn keep(&self, terminal: &OwnedFd) -> Result<(), mydocker_sys::Error> {
        send(&self.socket, &Request::Keep.packet(), &[terminal.as_raw_fd()])
    }

    /// Waits until the container has ended, or for the deadline; `false` then.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn ends_before(&mut self, deadline: Option<Instant>) -> Result<bool, AttachError> {
        loop {
            match poll(&[Interest::read(self.socket.as_fd())], deadline, "the container's end") {
                Err(error) if error.errno() == Errno::ETIMEDOUT => return Ok(false),
                other => drop(other?),
            }
            if matches!(self.hear()?, None | Some(Reply::Exited(_) | Reply::Failed { .. })) {
                return Ok(true);
            }
        }
    }

    /// Waits until the container has ended, and returns its status; `None` if its monitor was killed.
    ///
    /// # Errors
    /// [`AttachError`].
    pub fn wait_for_end(&mut self) -> Result<Option<u8>, AttachError> {
        loop {
            match self.hear()? {
                None => return Ok(None),
                Some(Reply::Exited(status) | Reply::Failed { status, .. }) => return Ok(Some(status)),
                Some(_) => {}
            }
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> mydocker_sys::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let streams = Streams { stdin: true, stdout: false, stderr: true };
        for request in [
            Request::Hello(streams),
            Request::Input(b"x\0y"),
            Request::InputEnd,
            Request::Resize { rows: 24, columns: 300 },
            Request::Signal(15),
            Request::Rest { stays: true },
            Request::Keep,
        ] {
            assert_eq!(Request::read(&request.packet()).expect("a request"), request);
        }
        for reply in [
            Reply::Started,
            Reply::Failed { status: 127, text: "no such file" },
            Reply::Output(b"\xff"),
            Reply::Error(b""),
            Reply::Exited(255),
        ] {
            assert_eq!(Reply::read(&reply.packet()).expect("a reply"), reply);
        }
        assert!(Request::read(b"").is_err() && Request::read(b"W1").is_err() && Reply::read(b"?").is_err());
    }
}
