//! One round of a monitor's life: wait for something to happen, and deal with it.

use super::clients::{Clients, Heard};
use super::flood::Flood;
use super::health::Health;
use super::memory::MemoryKills;
use super::streams::Streams;
use crate::attach::{AttachError, Request};
use crate::log::{Stream, Writer};
use mydocker_sys::poll::{Events, Interest, poll};
use mydocker_sys::process::{Exit, Pid, Reaped, pidfd_kill, pidfd_open, reap_ended};
use mydocker_sys::signal::{SigSet, Signal, SignalQueue, block};
use mydocker_sys::tty::Size;
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::time::Instant;

/// How much is read from a container at once.
const BUFFER: usize = 64 << 10;

/// A container that runs.
#[derive(Debug)]
pub struct Running {
    /// Its first process.
    pub pid: Pid,
    /// Its standard streams.
    pub streams: Streams,
    /// Its health checks.
    pub health: Option<Health>,
    /// What counts kills for want of memory.
    pub memory: Option<MemoryKills>,
    /// How it has ended.
    pub exit: Option<Exit>,
}

/// What a monitor waits for, whether its container runs or not.
#[derive(Debug)]
pub struct Rounds {
    /// Who is attached, or waits.
    pub clients: Clients,
    /// The log; `None` for none.
    pub log: Option<Writer>,
    /// Why something is missing in the log.
    pub log_error: Option<std::io::Error>,
    /// Somebody wants that the container is not started again.
    pub resting: bool,
    /// Nor that it is removed at its end.
    pub stays: bool,
    /// The host goes down, or somebody ends monitors.
    pub terminating: bool,
    stdin_once: bool,
    size: Option<Size>,
    signals: SignalQueue,
    kept: Vec<OwnedFd>,
    flood: Flood,
    buffer: Vec<u8>,
}

impl Rounds {
    /// Blocks the signals that are waited for from here on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(clients: Clients, stdin_once: bool) -> Result<Self, AttachError> {
        let mut set = SigSet::empty();
        [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
            .into_iter()
            .for_each(|signal| set.add(signal));
        block(&set)?;
        Ok(Self {
            clients,
            log: None,
            log_error: None,
            resting: false,
            stays: false,
            terminating: false,
            stdin_once,
            size: None,
            signals: SignalQueue::new(&set)?,
            kept: Vec::new(),
            flood: Flood::new(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Hears what the launcher has said already: which streams it wants, how large its terminal is. It said so before this
    /// process began.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn greet(&mut self) -> Result<(), AttachError> {
        const PACKETS: usize = 2;
        (0..PACKETS).try_for_each(|_| self.turn(None, Some(Instant::now())))
    }

    /// Waits until something happens, but not beyond the deadline, and deals with it.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn turn(
        &mut self,
        mut running: Option<&mut Running>,
        deadline: Option<Instant>,
    ) -> Result<(), AttachError> {
        let gathers = self.flood.gathers_until();
        let deadline = deadline.into_iter().chain(gathers).min();
        let may_print = gathers.is_none() && !self.clients.is_full();
        let Some((events, counts)) = self.wait(running.as_deref(), may_print, deadline)? else {
            return Ok(());
        };
        let mut rest = &events[..];
        let mut take = |count: usize| -> &[Events] {
            let (taken, left) = rest.split_at(count);
            rest = left;
            taken
        };
        let (signals, clients, kept) = (take(1), take(counts.clients), take(counts.kept));
        self.drop_kept(kept);
        self.hear(clients, running.as_deref_mut());
        if let Some(running) = running.as_deref_mut() {
            self.print(running, take(counts.streams), may_print)?;
            if let Some(health) = &mut running.health {
                health.read(take(counts.health));
            }
            if let Some(memory) = &mut running.memory {
                memory.read(take(counts.memory));
            }
        }
        if signals.iter().any(|event| event.readable) {
            self.take_signals(running)?;
        }
        Ok(())
    }

    /// `None` at the deadline.
    fn wait(
        &self,
        running: Option<&Running>,
        may_print: bool,
        deadline: Option<Instant>,
    ) -> Result<Option<(Vec<Events>, Counts)>, AttachError> {
        let room = running.is_none_or(|running| running.streams.has_room());
        let mut interests = vec![Interest::read(self.signals.as_fd())];
        let mut counts = Counts::default();
        interests.extend(self.clients.interests(room));
        counts.clients = interests.len() - 1;
        interests.extend(self.kept.iter().map(|fd| Interest::read(fd.as_fd())));
        counts.kept = self.kept.len();
        if let Some(running) = running {
            let before = interests.len();
            interests.extend(running.streams.interests(may_print));
            counts.streams = interests.len() - before;
            let before = interests.len();
            interests.extend(running.health.iter().flat_map(Health::interests));
            counts.health = interests.len() - before;
            let before = interests.len();
            interests.extend(running.memory.iter().flat_map(MemoryKills::interests));
            counts.memory = interests.len() - before;
        }
        match poll(&interests, deadline, "anything to happen to the container") {
            Ok(events) => Ok(Some((events, counts))),
            Err(error) if error.errno() == Errno::ETIMEDOUT => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// How many descriptors of each kind are waited for.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    clients: usize,
    kept: usize,
    streams: usize,
    health: usize,
    memory: usize,
}

impl Rounds {
    fn hear(&mut self, events: &[Events], mut running: Option<&mut Running>) {
        let mut all = Vec::new();
        self.clients.handle(events, |heard| all.push(heard));
        for heard in all {
            self.obey(heard, running.as_deref_mut());
        }
    }

    fn obey(&mut self, heard: Heard, running: Option<&mut Running>) {
        // The clients have read it once already.
        let Ok(request) = Request::read(&heard.packet) else { return };
        match (request, running) {
            (Request::Rest { stays }, _) => {
                self.resting = true;
                self.stays |= stays;
            }
            (Request::Keep, _) => self.kept.extend(heard.fds),
            (Request::Resize { rows, columns }, running) => {
                let size = Size { rows, columns };
                self.size = Some(size);
                if let Some(running) = running {
                    running.streams.resize(size);
                }
            }
            (Request::Input(bytes), Some(running)) if heard.stdin => running.streams.take_input(bytes),
            (Request::InputEnd, Some(running)) if heard.stdin && self.stdin_once => {
                running.streams.end_input();
            }
            (Request::Signal(number), Some(running)) => running.signal(number),
            _ => {}
        }
    }

    /// The size of the terminal that a client has told.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        self.size
    }

    fn print(
        &mut self,
        running: &mut Running,
        events: &[Events],
        may_print: bool,
    ) -> Result<(), AttachError> {
        let Self { log, log_error, clients, buffer, flood, .. } = self;
        let (room, mut total) = (buffer.len(), 0);
        let give = |stream, bytes: &[u8]| {
            total += bytes.len();
            give(log, log_error, clients, stream, bytes);
        };
        running.streams.handle(events, may_print, buffer, give)?;
        if total > 0 && running.streams.is_roomy() {
            flood.note(total, room, Instant::now());
        }
        Ok(())
    }

    /// Takes what a container that has ended still had to say.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn drain(&mut self, running: &mut Running) -> Result<(), AttachError> {
        let Self { log, log_error, clients, buffer, .. } = self;
        let give = |stream, bytes: &[u8]| give(log, log_error, clients, stream, bytes);
        running.streams.drain(buffer, give)?;
        if let Some(Err(error)) = log.as_mut().map(Writer::finish) {
            *log_error = Some(error);
        }
        Ok(())
    }

    fn take_signals(&mut self, mut running: Option<&mut Running>) -> Result<(), AttachError> {
        while let Some(signal) = self.signals.next()? {
            match Signal::try_from(signal.number) {
                Ok(Signal::SIGTERM | Signal::SIGINT) => {
                    self.terminating = true;
                    self.resting = true;
                }
                Ok(Signal::SIGCHLD) => {
                    while let Some(reaped) = reap_ended()? {
                        if let Some(running) = running.as_deref_mut() {
                            running.note_end(reaped);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads terminals that somebody has left: the programs on them must neither stop nor be hung up.
    fn drop_kept(&mut self, events: &[Events]) {
        let Self { kept, buffer, .. } = self;
        let mut events = events.iter();
        kept.retain(|fd| match events.next() {
            Some(event) if event.readable => match mydocker_sys::fs::read(fd, buffer) {
                Ok(length) => length > 0,
                Err(error) => error.errno() == Errno::EAGAIN,
            },
            Some(event) => !event.hangup,
            None => true,
        });
    }
}

/// What a container has printed goes into the log, and to who listens.
fn give(
    log: &mut Option<Writer>,
    log_error: &mut Option<std::io::Error>,
    clients: &mut Clients,
    stream: Stream,
    bytes: &[u8],
) {
    if let Some(Err(error)) = log.as_mut().map(|log| log.write(stream, bytes)) {
        *log_error = Some(error);
    }
    clients.print(stream, bytes);
}

impl Running {
    /// Sends the container's first process a signal. It is a child that has not been reaped: its id is its own.
    pub fn signal(&self, number: i32) {
        if self.exit.is_none() {
            // A process that has ended meanwhile needs no signal.
            pidfd_open(self.pid).and_then(|pidfd| pidfd_kill(pidfd, number)).unwrap_or_default();
        }
    }

    fn note_end(&mut self, reaped: Reaped) {
        if reaped.pid == self.pid {
            self.exit = Some(reaped.exit);
        } else if let Some(health) = &mut self.health {
            health.note_end(reaped);
        }
    }
}
