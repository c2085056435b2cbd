//! What the container's first process and the runtime say to each other, over one SEQPACKET socket.
//!
//! The child speaks, the parent answers; a message is one byte of kind and, where there is more, a number or text.
//! The last two messages are sent with `write` and read with `read`: a system call filter may already be loaded,
//! and these two calls are the least that it must allow.
//!
//! The end of one is the end of the connection. A child that neither ends nor speaks, because it was stopped or hangs in a file
//! system, is given up after a [`Patience`]. The child waits for as long as the parent lives: whoever attends to a parent
//! that was stopped or hangs ends the child with it.

use super::failure::Failure;
use crate::plan::Phase;
use crate::spec::Hook;
use mydocker_sys::signal::SignalBits;
use mydocker_sys::socket::Message;
use mydocker_sys::{AsFd, Errno, Error, OwnedFd, Result, fs, socket};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// The longest text of a failure, which is cut to three times 1,000 characters when it is longer (six bytes each at the
/// most in JSON).
const MAX_FAILURE: usize = 20 * 1024;

/// The longest message but that text, which comes in a message of its own after its length: nobody needs the room for it
/// otherwise.
const MAX_MESSAGE: usize = 64;

/// From the child.
#[derive(Debug)]
pub enum Report {
    /// It waits to be put into the container's unit.
    NeedsUnit,
    /// It waits for its id maps.
    NeedsIdMaps,
    /// An intermediate process has made the first process, with this pid.
    Spawned(i32),
    /// It needs the mount source with this number.
    NeedsSource(u32),
    /// It waits for network devices in this network namespace.
    NeedsNetDevices(OwnedFd),
    /// It waits for the prestart and createRuntime hooks.
    NeedsHooks,
    /// The multiplexer of its terminal.
    Terminal(OwnedFd),
    /// The container stands; what needs the parent's privileges may be set.
    Ready,
    /// The filter is loaded; the number is the listener's descriptor in the child.
    Listener(i32),
    /// How many microseconds the child has spent in each phase, where that was asked for.
    Timings([u32; Phase::ALL.len()]),
    /// Everything is done but waiting for `start`.
    Created,
    /// A step failed; the child ends.
    Failed(Box<Failure>),
    /// The other end is closed: the program was executed, or the child has ended.
    Closed,
}

/// From the parent.
#[derive(Debug)]
pub enum Answer<'a> {
    /// Go on.
    Go,
    /// Go on to the program, which must not ignore these signals.
    Ready(SignalBits),
    /// Go on, with the mount source that was asked for.
    Source(OwnedFd),
    /// The cgroups are made, and these lead into them: the one word that is not asked for, and the first.
    Cgroups(&'a [OwnedFd]),
}

/// How long the parent waits for the child's next message; `None` as long as the child lives.
pub type Patience = Option<Duration>;

/// What the slowest ordinary thing may take between two messages: copying up a directory, waiting for a slow file system.
const ORDINARY: Duration = Duration::from_secs(300);

/// How long to wait for a child that also runs these hooks: their own deadlines are added, and a hook without one may
/// take as long as it likes.
pub fn patience<'a>(hooks: impl IntoIterator<Item = &'a Hook>) -> Patience {
    let sum = hooks.into_iter().try_fold(ORDINARY, |sum, hook| {
        let seconds = u64::try_from(hook.timeout?).unwrap_or_default();
        Some(sum.saturating_add(Duration::from_secs(seconds)))
    });
    // Nobody sees the end of a century, and the kernel counts no further than some hundred million years.
    sum.filter(|limit| limit.as_secs() <= u32::MAX.into())
}

/// One end of the conversation.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    /// The parent's.
    patience: Patience,
}

const NEEDS_UNIT: u8 = b'u';
const NEEDS_ID_MAPS: u8 = b'i';
const SPAWNED: u8 = b'p';
const NEEDS_SOURCE: u8 = b's';
const NEEDS_NET_DEVICES: u8 = b'n';
const NEEDS_HOOKS: u8 = b'h';
const TERMINAL: u8 = b't';
const READY: u8 = b'r';
const LISTENER: u8 = b'l';
const CREATED: u8 = b'c';
const TIMINGS: u8 = b'm';
const FAILED: u8 = b'f';
const GO: u8 = b'g';
const CGROUPS: u8 = b'v';

impl Channel {
    /// Both ends: the parent's, with how long that waits, and the child's.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pair(patience: Patience) -> Result<(Self, Self)> {
        let (parent, child) = socket::seqpacket_pair()?;
        patience.map_or(Ok(()), |limit| socket::set_receive_timeout(&parent, limit))?;
        Ok((Self { socket: parent, patience }, Self { socket: child, patience: None }))
    }

    /// The end of the patience, told as what was waited for (parent).
    fn in_time<T>(&self, waited_for: &str, result: Result<T>) -> Result<T> {
        result.map_err(|error| match (error.errno(), self.patience) {
            (Errno::EAGAIN, Some(limit)) => {
                let seconds = limit.as_secs_f64();
                Error::new(error.call(), format!("{waited_for} within {seconds} s"), Errno::ETIMEDOUT)
            }
            _ => error,
        })
    }

    /// Sends a report (child).
    ///
    /// # Errors
    /// `EPIPE` when the parent is gone.
    pub fn report(&self, report: &Report) -> Result<()> {
        match report {
            Report::Terminal(fd) => socket::send(&self.socket, &[TERMINAL], &[fd.as_raw_fd()]),
            Report::NeedsNetDevices(fd) => {
                socket::send(&self.socket, &[NEEDS_NET_DEVICES], &[fd.as_raw_fd()])
            }
            Report::Failed(failure) => {
                let text = failure_text(failure);
                self.say(FAILED, Some(text.len() as i32))?;
                fs::write_once(&self.socket, &text)
            }
            Report::NeedsUnit => self.say(NEEDS_UNIT, None),
            Report::NeedsIdMaps => self.say(NEEDS_ID_MAPS, None),
            Report::Spawned(pid) => self.say(SPAWNED, Some(*pid)),
            Report::NeedsSource(index) => self.say(NEEDS_SOURCE, Some(*index as i32)),
            Report::NeedsHooks => self.say(NEEDS_HOOKS, None),
            Report::Ready => self.say(READY, None),
            Report::Listener(fd) => self.say(LISTENER, Some(*fd)),
            Report::Timings(spent) => {
                let numbers = spent.iter().flat_map(|spent| spent.to_ne_bytes());
                fs::write_once(&self.socket, &std::iter::once(TIMINGS).chain(numbers).collect::<Vec<u8>>())
            }
            Report::Created => self.say(CREATED, None),
            Report::Closed => Ok(()),
        }
    }

    fn say(&self, kind: u8, number: Option<i32>) -> Result<()> {
        let mut bytes = [kind, 0, 0, 0, 0];
        let length = match number {
            Some(number) => {
                bytes[1..].copy_from_slice(&number.to_ne_bytes());
                5
            }
            None => 1,
        };
        fs::write_once(&self.socket, &bytes[..length])
    }

    /// Waits for the parent's word to go on (child).
    ///
    /// # Errors
    /// `EPIPE` when the parent is gone.
    pub fn await_go(&self) -> Result<()> {
        let mut byte = [0u8; 1];
        match fs::read(&self.socket, &mut byte)? {
            1 if byte[0] == GO => Ok(()),
            _ => Err(gone("the runtime")),
        }
    }

    /// Says that it is ready, and waits for the parent's word to go on to the program; returns the signals that it ignores
    /// (child).
    ///
    /// # Errors
    /// `EPIPE` when the parent is gone.
    pub fn say_ready(&self) -> Result<SignalBits> {
        self.report(&Report::Ready)?;
        let mut bytes = [0u8; 5];
        match (fs::read(&self.socket, &mut bytes)?, bytes) {
            (5, [GO, ignored @ ..]) => Ok(SignalBits::from_ne_bytes(ignored)),
            _ => Err(gone("the runtime")),
        }
    }

    /// Asks for a mount source and waits for it (child).
    ///
    /// # Errors
    /// `EPIPE` when the parent is gone.
    pub fn request_source(&self, index: u32) -> Result<OwnedFd> {
        self.report(&Report::NeedsSource(index))?;
        let mut byte = [0u8; 1];
        let mut message = socket::receive(&self.socket, &mut byte)?;
        message.fds.pop().ok_or_else(|| gone("the runtime"))
    }

    /// Waits for what leads into the container's cgroups (child).
    ///
    /// # Errors
    /// `EPIPE` when the parent is gone.
    pub fn await_cgroups(&self) -> Result<Vec<OwnedFd>> {
        let mut byte = [0u8; 1];
        let message = socket::receive(&self.socket, &mut byte)?;
        match message.length {
            1 if byte[0] == CGROUPS => Ok(message.fds),
            _ => Err(gone("the runtime")),
        }
    }

    /// Sends an answer (parent).
    ///
    /// # Errors
    /// `EPIPE` when the child is gone.
    pub fn answer(&self, answer: &Answer<'_>) -> Result<()> {
        match answer {
            Answer::Go => self.say(GO, None),
            Answer::Ready(ignored) => self.say(GO, Some(*ignored as i32)),
            Answer::Source(fd) => socket::send(&self.socket, &[GO], &[fd.as_raw_fd()]),
            Answer::Cgroups(fds) => {
                let numbers: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
                socket::send(&self.socket, &[CGROUPS], &numbers)
            }
        }
    }

    /// The child's next report (parent).
    ///
    /// # Errors
    /// What the kernel says, `ETIMEDOUT` when the child says nothing, and `EPROTO` for a message that no child of ours
    /// sends.
    pub fn next(&self) -> Result<Report> {
        let mut buffer = [0u8; MAX_MESSAGE];
        let received = self.receive(&mut buffer);
        let mut message = self.in_time("the container's first process to say how far it is", received)?;
        let bytes = &buffer[..message.length];
        let number = || -> Option<i32> { Some(i32::from_ne_bytes(bytes.get(1..5)?.try_into().ok()?)) };
        let report = match bytes.first() {
            None => Some(Report::Closed),
            Some(&NEEDS_UNIT) => Some(Report::NeedsUnit),
            Some(&NEEDS_ID_MAPS) => Some(Report::NeedsIdMaps),
            Some(&SPAWNED) => number().map(Report::Spawned),
            Some(&NEEDS_SOURCE) => number().map(|index| Report::NeedsSource(index as u32)),
            Some(&NEEDS_NET_DEVICES) => message.fds.pop().map(Report::NeedsNetDevices),
            Some(&NEEDS_HOOKS) => Some(Report::NeedsHooks),
            Some(&TERMINAL) => message.fds.pop().map(Report::Terminal),
            Some(&READY) => Some(Report::Ready),
            Some(&LISTENER) => number().map(Report::Listener),
            Some(&TIMINGS) => timings(&bytes[1..]).map(Report::Timings),
            Some(&CREATED) => Some(Report::Created),
            Some(&FAILED) => match number() {
                Some(length) => self.failure(length)?,
                None => None,
            },
            Some(_) => None,
        };
        report.ok_or_else(|| Error::new("recvmsg", format!("{bytes:02x?}"), Errno::EPROTO))
    }

    /// One message. A child that ends with an answer unread resets the connection, and the kernel tells that before what the
    /// child had still said: once, and then the words and the end.
    fn receive(&self, buffer: &mut [u8]) -> Result<Message> {
        match socket::receive(&self.socket, buffer) {
            Err(error) if error.errno() == Errno::ECONNRESET => socket::receive(&self.socket, buffer),
            other => other,
        }
    }

    /// The text that follows the word of a failure; a child that was killed in between has ended.
    fn failure(&self, length: i32) -> Result<Option<Report>> {
        let length = usize::try_from(length).unwrap_or_default().min(MAX_FAILURE);
        let mut text = vec![0u8; length];
        loop {
            let received = self.receive(&mut text);
            let message = self.in_time("the container's first process to say why it failed", received)?;
            let text = &text[..message.length];
            match text.first() {
                None => return Ok(Some(Report::Closed)),
                Some(b'{') => {
                    let failure = serde_json::from_slice(text).ok();
                    return Ok(failure.map(|failure| Report::Failed(Box::new(failure))));
                }
                // The word of an intermediate process that it has made the one which has failed already.
                Some(_) => {}
            }
        }
    }
}

/// A failure as text, which is cut where it would be too long.
fn failure_text(failure: &Failure) -> Vec<u8> {
    // Strings and numbers always become JSON.
    let encode = |failure: &Failure| serde_json::to_vec(failure).unwrap_or_default();
    let whole = encode(failure);
    if whole.len() <= MAX_FAILURE { whole } else { encode(&failure.shortened()) }
}

fn gone(who: &str) -> Error {
    Error::new("read", format!("{who} has ended"), Errno::EPIPE)
}

fn timings(bytes: &[u8]) -> Option<[u32; Phase::ALL.len()]> {
    let (numbers, rest) = bytes.as_chunks();
    let spent: Vec<u32> = numbers.iter().map(|number| u32::from_ne_bytes(*number)).collect();
    spent.try_into().ok().filter(|_| rest.is_empty())
}

/// A failure in the bytes of one message; its texts are cut where they would not fit.
pub(super) fn failure_message(failure: &Failure) -> Vec<u8> {
    let encode = |failure: &Failure| {
        let mut bytes = vec![FAILED];
        bytes.extend(serde_json::to_vec(failure).unwrap_or_default());
        bytes
    };
    let whole = encode(failure);
    if whole.len() <= MAX_MESSAGE { whole } else { encode(&failure.shortened()) }
}

/// Reads a failure that was written by [`failure_message`].
pub fn parse_failure(bytes: &[u8]) -> Option<Failure> {
    match bytes.split_first() {
        Some((&FAILED, json)) => serde_json::from_slice(json).ok(),
        _ => None,
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> mydocker_sys::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Some(Duration::from_millis(20));

    fn hook(timeout: Option<i64>) -> Hook {
        Hook { path: "/bin/true".into(), timeout, ..Hook::default() }
    }

    #[test]
    fn a_child_that_says_nothing_is_given_up_and_named() {
        let (parent, _child) = Channel::pair(SHORT).unwrap();
        let error = parent.next().unwrap_err();
        assert_eq!(error.errno(), Errno::ETIMEDOUT);
        assert!(error.args().contains("first process to say how far it is within 0.02 s"), "{error}");
    }

    #[test]
    fn a_failure_is_understood_whatever_an_intermediate_process_says_in_between() {
        let (parent, child) = Channel::pair(SHORT).unwrap();
        let step = crate::plan::Step::Ready;
        let failure = Failure::of_step(&step, super::super::failure::Code::Setup, "x".repeat(5000));
        let text = failure_text(&failure);
        child.say(FAILED, Some(text.len() as i32)).unwrap();
        child.report(&Report::Spawned(7)).unwrap();
        fs::write_once(&child.socket, &text).unwrap();
        let Report::Failed(told) = parent.next().unwrap() else { panic!("no failure") };
        assert_eq!(failure_text(&told), text);
        child.report(&Report::Failed(Box::new(failure))).unwrap();
        assert!(matches!(parent.next().unwrap(), Report::Failed(_)));
    }

    #[test]
    fn a_failure_is_heard_from_a_child_that_has_not_read_what_it_was_told() {
        let (parent, child) = Channel::pair(SHORT).unwrap();
        parent.answer(&Answer::Cgroups(&[])).unwrap();
        let failure =
            Failure::of_step(&crate::plan::Step::Ready, super::super::failure::Code::Setup, "no".into());
        child.report(&Report::Failed(Box::new(failure))).unwrap();
        drop(child);
        assert!(matches!(parent.next().unwrap(), Report::Failed(_)));
        assert!(matches!(parent.next().unwrap(), Report::Closed));
        let (parent, child) = Channel::pair(SHORT).unwrap();
        parent.answer(&Answer::Cgroups(&[])).unwrap();
        drop(child);
        assert!(matches!(parent.next().unwrap(), Report::Closed));
    }

    #[test]
    fn the_end_of_a_partner_needs_no_patience() {
        let (parent, child) = Channel::pair(None).unwrap();
        drop(child);
        assert!(matches!(parent.next().unwrap(), Report::Closed));
        let (parent, child) = Channel::pair(None).unwrap();
        drop(parent);
        for error in [child.await_go().unwrap_err(), child.await_cgroups().unwrap_err()] {
            assert_eq!(error.errno(), Errno::EPIPE);
        }
    }

    #[test]
    fn patience_grows_with_the_deadlines_of_hooks_and_has_no_end_where_one_has_none() {
        let seconds = |hooks: &[Hook]| patience(hooks).map(|limit| limit.as_secs());
        assert_eq!(seconds(&[]), Some(300));
        assert_eq!(seconds(&[hook(Some(5)), hook(Some(7))]), Some(312));
        assert_eq!(seconds(&[hook(Some(5)), hook(None)]), None);
        assert_eq!(seconds(&[hook(Some(i64::MAX)), hook(Some(i64::MAX))]), None);
    }
}
