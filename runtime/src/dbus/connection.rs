//! A connection to a bus, or to one peer without a bus in between.

use super::address::{Address, AddressError};
use super::message::{Call, Incoming, Kind};
use super::value::Value;
use super::wire::WireError;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::socket::{SocketName, connect_stream_nonblocking};
use mydocker_sys::{self as sys, AsFd, Errno, OwnedFd, fs};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A bus, which wants to be greeted and routes messages by name.
    Bus,
    /// The service itself.
    Service,
}

/// Why a conversation failed. `call` is the method that was under way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("the D-Bus address {0:?} cannot be used")]
    Address(String, #[source] AddressError),
    /// Nobody listens there, or the kernel refuses something else.
    #[error("cannot talk over D-Bus at {address} ({call})")]
    Socket {
        /// The address.
        address: String,
        /// The call.
        call: String,
        /// What the kernel said.
        source: sys::Error,
    },
    /// The deadline has passed.
    #[error("no answer to {call} over D-Bus at {address} within {} s", .after.as_secs())]
    Timeout {
        /// The address.
        address: String,
        /// The call.
        call: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The other end has closed the connection.
    #[error("the D-Bus connection to {address} was closed during {call}")]
    Closed {
        /// The address.
        address: String,
        /// The call.
        call: String,
    },
    /// The other end does not accept who we are.
    #[error("the bus at {address} refuses this user: {reply}")]
    Rejected {
        /// The address.
        address: String,
        /// Its words.
        reply: String,
    },
    /// The other end does not keep to the protocol.
    #[error("what came in over D-Bus at {address} is no message")]
    Wire {
        /// The address.
        address: String,
        /// What is wrong.
        source: WireError,
    },
    /// An argument cannot be sent.
    #[error("the arguments of {call} cannot be sent")]
    Arguments {
        /// The call.
        call: String,
        /// What is wrong.
        source: WireError,
    },
    /// The call was answered by an error.
    #[error("{call}: {message} ({name})")]
    Reply {
        /// The call.
        call: String,
        /// The error's name.
        name: String,
        /// Its text, for people.
        message: String,
    },
}

/// EXTERNAL without an identity: the other end takes that of the socket, which is right also where this process sees
/// another user id, in a user namespace (D-Bus Specification, Authentication Protocol). All is said at once; the
/// answers of a bus come when they are needed.
const AUTHENTICATION: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// The longest answer to that.
const MAX_LINES: usize = 16 << 10;

/// The queue of a listener that is full is asked again after this time; nothing tells when there is room.
const ASK_AGAIN: Duration = Duration::from_millis(5);

const BUS: &str = "org.freedesktop.DBus";

/// A connection. Everything on it has to be done until one deadline.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    address: String,
    authenticated: bool,
    serial: u32,
    /// Calls whose answers nobody waits for, but without which nothing else can work.
    required: Vec<u32>,
    unsent: Vec<u8>,
    received: Vec<u8>,
    signals: VecDeque<Incoming>,
    patience: Duration,
    deadline: Instant,
}

impl Connection {
    /// Connects to the first address of a list that answers. What must be said first waits to be sent with the
    /// first call.
    ///
    /// # Errors
    /// [`Error::Address`], [`Error::Socket`], [`Error::Timeout`]
    pub fn open(addresses: &str, peer: Peer, patience: Duration) -> Result<Self, Error> {
        let deadline = Instant::now() + patience;
        let list = Address::parse_list(addresses).map_err(|error| Error::Address(addresses.into(), error))?;
        let mut failure = None;
        for address in &list {
            match connect(address, deadline) {
                Ok(socket) => return Self::greet(socket, addresses, peer, patience, deadline),
                Err(error) => failure = Some(error),
            }
        }
        let (address, call) = (addresses.to_owned(), "connect".to_owned());
        match failure {
            Some(error) if error.errno() == Errno::ETIMEDOUT => {
                Err(Error::Timeout { address, call, after: patience })
            }
            Some(source) => Err(Error::Socket { address, call, source }),
            None => Err(Error::Address(address, AddressError::Empty)),
        }
    }

    fn greet(
        socket: OwnedFd,
        address: &str,
        peer: Peer,
        patience: Duration,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let mut connection = Self {
            socket,
            address: address.to_owned(),
            authenticated: false,
            serial: 0,
            required: Vec::new(),
            unsent: AUTHENTICATION.to_vec(),
            received: Vec::new(),
            signals: VecDeque::new(),
            patience,
            deadline,
        };
        match peer {
            Peer::Bus => connection.queue_required(&Call { member: "Hello", ..bus_call(&[]) })?,
            // systemd itself would not look at a message that comes in with the authentication until the next one does
            // (`bus_socket_read_auth` of sd-bus): it reads all there is, and then waits for the socket.
            Peer::Service => connection.authenticate("authentication")?,
        }
        Ok(connection)
    }

    /// Puts a call behind those that wait to be sent, and gives its number. An answer that nobody waits for is
    /// passed over.
    ///
    /// # Errors
    /// [`Error::Arguments`]
    pub fn queue(&mut self, call: &Call<'_>) -> Result<u32, Error> {
        self.serial += 1;
        let bytes = call
            .encode(self.serial)
            .map_err(|source| Error::Arguments { call: call.member.to_owned(), source })?;
        self.unsent.extend(bytes);
        Ok(self.serial)
    }

    /// Asks a bus for the signals of a rule.
    ///
    /// # Errors
    /// [`Error::Arguments`]
    pub fn queue_match(&mut self, rule: &str) -> Result<(), Error> {
        self.queue_required(&Call { member: "AddMatch", ..bus_call(&[Value::text(rule)]) })
    }

    fn queue_required(&mut self, call: &Call<'_>) -> Result<(), Error> {
        let serial = self.queue(call)?;
        self.required.push(serial);
        Ok(())
    }

    /// Sends what waits, and waits for the answer to the call with the number `serial`; `what` names it.
    ///
    /// # Errors
    /// [`Error::Reply`] for an answer that is an error, and everything that can befall a connection.
    pub fn reply(&mut self, serial: u32, what: &str) -> Result<Vec<Value>, Error> {
        self.flush(what)?;
        loop {
            let message = self.next(what)?;
            match message.kind {
                Kind::MethodReturn if message.reply_to == serial => return Ok(message.body),
                Kind::Error if message.reply_to == serial => return Err(refused(message, what)),
                Kind::Signal => self.signals.push_back(message),
                Kind::Error if self.required.contains(&message.reply_to) => {
                    return Err(refused(message, what));
                }
                // The answer to a call that nobody waits for; peers may also call us.
                _ => {}
            }
        }
    }

    /// Waits for a signal for which `wanted` gives something; those before it are passed over.
    ///
    /// # Errors
    /// Everything that can befall a connection.
    pub fn signal<T>(&mut self, what: &str, wanted: impl Fn(&Incoming) -> Option<T>) -> Result<T, Error> {
        self.flush(what)?;
        loop {
            let message = match self.signals.pop_front() {
                Some(message) => message,
                None => self.next(what)?,
            };
            match wanted(&message) {
                Some(found) if message.kind == Kind::Signal => return Ok(found),
                _ => {}
            }
        }
    }

    fn flush(&mut self, what: &str) -> Result<(), Error> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            match fs::write(&self.socket, &self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.errno() == Errno::EAGAIN => self.wait(true, what)?,
                Err(error) => return Err(self.failed(error, what)),
            }
        }
        self.unsent.clear();
        Ok(())
    }

    /// Waits until the other end has accepted who we are.
    fn authenticate(&mut self, what: &str) -> Result<(), Error> {
        self.flush(what)?;
        while !self.accepted()? {
            self.receive(what)?;
        }
        Ok(())
    }

    fn next(&mut self, what: &str) -> Result<Incoming, Error> {
        self.authenticate(what)?;
        loop {
            let wire = |source| Error::Wire { address: self.address.clone(), source };
            if let Some(length) = Incoming::length(&self.received).map_err(wire)?
                && let Some(bytes) = self.received.get(..length)
            {
                let message = Incoming::decode(bytes).map_err(wire)?;
                self.received.drain(..length);
                return Ok(message);
            }
            self.receive(what)?;
        }
    }

    /// Takes the lines of the authentication off what has come in; whether it is done.
    fn accepted(&mut self) -> Result<bool, Error> {
        if self.authenticated {
            return Ok(true);
        }
        while let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
            let line = String::from_utf8_lossy(&line).into_owned();
            match line.split(' ').next() {
                Some("OK") => {
                    self.authenticated = true;
                    return Ok(true);
                }
                Some("DATA") => {}
                _ => return Err(Error::Rejected { address: self.address.clone(), reply: line }),
            }
        }
        match self.received.len() > MAX_LINES {
            true => Err(Error::Wire {
                address: self.address.clone(),
                source: WireError::Malformed("the answer to the authentication has no end"),
            }),
            false => Ok(false),
        }
    }

    fn receive(&mut self, what: &str) -> Result<(), Error> {
        let mut buffer = [0u8; 4096];
        loop {
            match fs::read(&self.socket, &mut buffer) {
                Ok(0) => return Err(Error::Closed { address: self.address.clone(), call: what.into() }),
                Ok(count) => {
                    self.received.extend(&buffer[..count]);
                    return Ok(());
                }
                Err(error) if error.errno() == Errno::EAGAIN => self.wait(false, what)?,
                Err(error) => return Err(self.failed(error, what)),
            }
        }
    }

    fn wait(&self, for_room: bool, what: &str) -> Result<(), Error> {
        let socket = self.socket.as_fd();
        let interest = if for_room { Interest::write(socket) } else { Interest::read(socket) };
        poll(&[interest], Some(self.deadline), what).map(drop).map_err(|error| self.failed(error, what))
    }

    fn failed(&self, source: sys::Error, what: &str) -> Error {
        let (address, call) = (self.address.clone(), what.to_owned());
        match source.errno() {
            Errno::ETIMEDOUT => Error::Timeout { address, call, after: self.patience },
            Errno::EPIPE | Errno::ECONNRESET => Error::Closed { address, call },
            _ => Error::Socket { address, call, source },
        }
    }
}

fn bus_call(arguments: &[Value]) -> Call<'_> {
    Call { destination: Some(BUS), path: "/org/freedesktop/DBus", interface: BUS, member: "", arguments }
}

fn refused(message: Incoming, what: &str) -> Error {
    let text = message.body.first().and_then(Value::as_text).unwrap_or("no reason is given");
    Error::Reply { call: what.into(), message: text.into(), name: message.error_name }
}

fn connect(address: &Address, deadline: Instant) -> sys::Result<OwnedFd> {
    let name = match address {
        Address::Path(path) => SocketName::Path(path),
        Address::Abstract(name) => SocketName::Abstract(name),
    };
    loop {
        match connect_stream_nonblocking(name) {
            Err(error) if error.errno() == Errno::EAGAIN => {}
            other => return other,
        }
        let now = Instant::now();
        if now >= deadline {
            return Err(sys::Error::new("connect", format!("{name:?}"), Errno::ETIMEDOUT));
        }
        match poll(&[], Some(deadline.min(now + ASK_AGAIN)), "room in the queue of the bus") {
            Err(error) if error.errno() != Errno::ETIMEDOUT => return Err(error),
            _ => {}
        }
    }
}
