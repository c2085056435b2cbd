//! The person's end of a container's streams.
//!
//! ```text
//! exec      a command in a container that runs already
//! keys      the keys that leave the container running
//! terminal  raw mode, taken back on every way out
//! ```

pub mod exec;
mod keys;
mod terminal;

pub use keys::{BadKeys, Keys};
pub use terminal::Raw;

use crate::attach::{AttachError, Connection, PAYLOAD, Reply, Request, Streams};
use crate::monitor::AttachOptions;
use keys::Typed;
use mydocker_sys::fs::{STDERR, STDIN, STDOUT, read, set_nonblocking, write};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::signal::{SigSet, Signal, SignalQueue, block};
use mydocker_sys::tty::{Size, is_terminal, size};
use mydocker_sys::{AsFd as _, BorrowedFd, Errno};

/// Signals that are passed on to a container's program. Those that stop and continue this one are not, nor is the one
/// about its window.
const PASSED_ON: &[Signal] = &[
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// What goes wrong between a person and a container.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `-it` with something else than a terminal.
    #[error(
        "the input device is not a TTY: leave -t out to send it what comes from a file or another program"
    )]
    NotATerminal,
    /// `--detach-keys`
    #[error(transparent)]
    Keys(#[from] BadKeys),
    /// The connection.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// Somebody killed the monitor.
    #[error("the container's monitor was killed; 'mydocker ps -a' shows what has become of the container")]
    MonitorGone,
    /// The container was not started.
    #[error("{0}")]
    Failed(String),
}

/// A person, by the standard streams of this process.
#[derive(Debug)]
pub struct Person {
    streams: Streams,
    keys: Option<Keys>,
    has_terminal: bool,
    is_raw: bool,
    sig_proxy: bool,
    signals: SignalQueue,
}

impl Person {
    /// A person at a container that has a terminal, or has none. Signals wait from here on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(options: &AttachOptions, tty: bool) -> Result<Self, ClientError> {
        let AttachOptions { stdin, stdout, stderr, sig_proxy, ref detach_keys } = *options;
        let types = is_terminal(STDIN);
        if tty && stdin && !types {
            return Err(ClientError::NotATerminal);
        }
        let keys = Keys::parse(detach_keys.as_deref().unwrap_or_default())?;
        let mut set = SigSet::empty();
        PASSED_ON.iter().for_each(|signal| set.add(*signal));
        set.add(Signal::SIGWINCH);
        block(&set)?;
        Ok(Self {
            streams: Streams { stdin, stdout, stderr },
            keys: (tty && stdin).then_some(keys),
            has_terminal: tty,
            is_raw: tty && stdin,
            sig_proxy,
            signals: SignalQueue::new(&set)?,
        })
    }

    /// The streams that are wanted.
    #[must_use]
    pub fn streams(&self) -> Streams {
        self.streams
    }

    /// The size of the person's terminal, for a container that has one.
    #[must_use]
    pub fn size(&self) -> Option<Request<'static>> {
        let found = self.has_terminal.then(|| size(STDOUT).or_else(|_| size(STDIN)).ok()).flatten();
        found.map(|Size { rows, columns }| Request::Resize { rows, columns })
    }
}

/// What a round of waiting leads to.
enum Next {
    GoOn,
    End(u8),
}

/// Passes on what is typed and what is printed, until the container ends or the person leaves; returns the exit status.
///
/// # Errors
/// [`ClientError`].
pub fn serve(person: &mut Person, connection: &mut Connection) -> Result<u8, ClientError> {
    let _raw = if person.is_raw { Some(Raw::set(STDIN)?) } else { None };
    set_nonblocking(&*connection, true)?;
    let mut session = Session { reads: person.streams.stdin, waiting: Vec::new(), person, connection };
    loop {
        if let Next::End(status) = session.round()? {
            return Ok(status);
        }
    }
}

struct Session<'a> {
    person: &'a mut Person,
    connection: &'a mut Connection,
    reads: bool,
    waiting: Vec<Vec<u8>>,
}

impl Session<'_> {
    fn round(&mut self) -> Result<Next, ClientError> {
        let socket = Interest { write: !self.waiting.is_empty(), ..Interest::read(self.connection.as_fd()) };
        let mut interests = vec![Interest::read(self.person.signals.as_fd()), socket];
        // What is typed is not read before what was typed has gone: both sides could wait for each other.
        if self.reads && self.waiting.is_empty() {
            interests.push(Interest::read(STDIN));
        }
        let events = poll(&interests, None, "the container or the person")?;
        drop(interests);
        if events[1].writable {
            self.flush()?;
        }
        if (events[1].readable || events[1].hangup)
            && let Next::End(status) = self.hear()?
        {
            return Ok(Next::End(status));
        }
        if events[0].readable
            && let Next::End(status) = self.take_signals()?
        {
            return Ok(Next::End(status));
        }
        match events.get(2) {
            Some(event) if event.readable || event.hangup => self.read_typed(),
            _ => Ok(Next::GoOn),
        }
    }

    fn hear(&mut self) -> Result<Next, ClientError> {
        match self.connection.hear() {
            Ok(Some(Reply::Output(bytes))) => print(STDOUT, bytes),
            Ok(Some(Reply::Error(bytes))) => print(STDERR, bytes),
            Ok(Some(Reply::Exited(status))) => Ok(Next::End(status)),
            Ok(Some(Reply::Failed { text, .. })) => Err(ClientError::Failed(text.to_owned())),
            Ok(Some(Reply::Started)) => Ok(Next::GoOn),
            Ok(None) => Err(ClientError::MonitorGone),
            Err(AttachError::System(error)) if error.errno() == Errno::EAGAIN => Ok(Next::GoOn),
            Err(error) => Err(error.into()),
        }
    }

    fn take_signals(&mut self) -> Result<Next, ClientError> {
        while let Some(signal) = self.person.signals.next()? {
            if signal.number == Signal::SIGWINCH as i32 {
                if let Some(resize) = self.person.size() {
                    self.say(&resize)?;
                }
            } else if self.person.sig_proxy {
                self.say(&Request::Signal(signal.number))?;
            } else {
                return Ok(Next::End(u8::try_from(128 + signal.number).unwrap_or(u8::MAX)));
            }
        }
        Ok(Next::GoOn)
    }

    fn read_typed(&mut self) -> Result<Next, ClientError> {
        let mut buffer = [0; PAYLOAD / 2];
        let length = match read(STDIN, &mut buffer) {
            Err(error) if error.errno() == Errno::EAGAIN => return Ok(Next::GoOn),
            // The terminal has gone.
            Err(error) if error.errno() == Errno::EIO => 0,
            other => other?,
        };
        if length == 0 {
            self.reads = false;
            self.say(&Request::InputEnd)?;
            return Ok(Next::GoOn);
        }
        let typed = match &mut self.person.keys {
            Some(keys) => keys.take(&buffer[..length]),
            None => Typed { text: buffer[..length].to_owned(), leaves: false },
        };
        if !typed.text.is_empty() {
            self.say(&Request::Input(&typed.text))?;
        }
        if typed.leaves {
            print(STDERR, b"read escape sequence\r\n")?;
            return Ok(Next::End(0));
        }
        Ok(Next::GoOn)
    }

    /// Says something now, or as soon as there is room for it.
    fn say(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        self.waiting.push(request.packet());
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ClientError> {
        while let Some(packet) = self.waiting.first() {
            match self.connection.send(packet) {
                Ok(()) => drop(self.waiting.remove(0)),
                Err(error) if error.errno() == Errno::EAGAIN => return Ok(()),
                // Why nobody listens is heard.
                Err(error) if matches!(error.errno(), Errno::EPIPE | Errno::ECONNRESET) => {
                    self.waiting.clear();
                    self.reads = false;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Prints for the person. Who has closed the stream (`run ... | head -1`) wants no more of it: the program goes on
/// without this one.
fn print(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<Next, ClientError> {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.errno() == Errno::EAGAIN => {
                let room = Interest { fd, read: false, write: true, priority: false };
                poll(&[room], None, "room to print")?;
            }
            Err(error) if error.errno() == Errno::EPIPE => {
                return Ok(Next::End(u8::try_from(128 + Signal::SIGPIPE as i32).unwrap_or(u8::MAX)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Next::GoOn)
}
