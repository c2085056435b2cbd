//! A command in a container that runs already, and the person's streams.

use super::keys::Typed;
use super::{BadKeys, Keys, PASSED_ON, Raw};
use crate::attach::{AttachError, Connection, short_path};
use crate::oci::last_error;
use mydocker_sys::fs::{
    AT_FDCWD, STDERR, STDIN, STDOUT, read, set_nonblocking, unlink_if_present, write_fully,
};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{Pid, pidfd_kill, pidfd_open, set_subreaper, wait};
use mydocker_sys::signal::{SigSet, Signal, SignalQueue, block};
use mydocker_sys::socket::{accept, listen_stream, receive};
use mydocker_sys::tty::{set_size, size};
use mydocker_sys::{AsFd as _, BorrowedFd, Errno, OwnedFd};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// The status of a command that is not run, through no fault of its name.
pub const CANNOT: u8 = 126;

/// Why a command cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The runtime.
    #[error("cannot run the OCI runtime")]
    Run(#[source] io::Error),
    /// A file of what is gone after a reboot.
    #[error("cannot read {0:?}")]
    Read(PathBuf, #[source] io::Error),
    /// The runtime has not sent the terminal.
    #[error("the OCI runtime has sent no terminal")]
    NoTerminal,
    /// The container is without a monitor.
    #[error("the container's monitor was killed: nobody can look after the command's terminal")]
    NoMonitor,
    /// `--detach-keys`
    #[error(transparent)]
    Keys(#[from] BadKeys),
    /// The monitor.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
}

/// A command that is to be run: the runtime's own with its flags, and what follows them.
#[derive(Debug)]
pub struct Session {
    /// `RUNTIME exec FLAGS`, the process included.
    pub command: Command,
    /// The container.
    pub id: String,
    /// Where the runtime writes its errors.
    pub log: PathBuf,
    /// What of the container is gone after a reboot.
    pub directory: PathBuf,
}

/// Runs a command with this process's standard streams, and returns its status.
///
/// # Errors
/// [`SessionError`].
pub fn run_plainly(mut session: Session, interactive: bool) -> Result<u8, SessionError> {
    session.command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    session.run()
}

impl Session {
    /// Starts a command, and leaves it to itself.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn run_detached(mut self) -> Result<u8, SessionError> {
        // The runtime's complaint is for the person, and the program's is not: it has no streams here.
        self.command.arg("--detach").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let log = self.log.clone();
        let status = self.run_keeping_log()?;
        let error = last_error(&log);
        remove(&log)?;
        match error {
            Some(error) if status != 0 => {
                write_fully(STDERR, format!("{}\n", error.text).as_bytes())?;
                Ok(status_for(error.status))
            }
            _ => Ok(status),
        }
    }

    fn run(self) -> Result<u8, SessionError> {
        let log = self.log.clone();
        let status = self.run_keeping_log()?;
        // The runtime has said why on standard error; its log says whose fault it is.
        let error = if status == 0 { None } else { last_error(&log) };
        remove(&log)?;
        Ok(error.map_or(status, |error| status_for(error.status)))
    }

    /// Runs the runtime's command to its end; signals go on to it.
    fn run_keeping_log(mut self) -> Result<u8, SessionError> {
        let signals = passed_on(false)?;
        let mut child = self.command.arg(&self.id).spawn().map_err(SessionError::Run)?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
        let pidfd = pidfd_open(pid)?;
        loop {
            let events =
                poll(&[Interest::read(pidfd.as_fd()), Interest::read(signals.as_fd())], None, "the command")?;
            while let Some(signal) = signals.next()? {
                // A terminal has given it to the runtime as well.
                if !signal.by_kernel {
                    pidfd_kill(&pidfd, signal.number).or_else(ignore_gone)?;
                }
            }
            if events[0].readable {
                return child.wait().map(status_of).map_err(SessionError::Run);
            }
        }
    }

    /// Runs a command on a terminal of its own, which is shown on this process's, until it ends or the person leaves.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn run_on_terminal(
        mut self,
        interactive: bool,
        detach: bool,
        keys: &str,
        monitor: impl Fn() -> Result<Option<Connection>, AttachError>,
    ) -> Result<u8, SessionError> {
        let keys = Keys::parse(keys)?;
        let leave = |terminal: &OwnedFd| -> Result<(), SessionError> {
            Ok(monitor()?.ok_or(SessionError::NoMonitor)?.keep(terminal)?)
        };
        let signals = passed_on(true)?;
        // The command becomes this process's child when the runtime has ended.
        set_subreaper(true)?;
        let socket = format!("exec-{}.sock", std::process::id());
        let pid_file = self.directory.join(format!("exec-{}.pid", std::process::id()));
        let (path, _held) = short_path(&self.directory, &socket)?;
        let listener = listen_stream(&path)?;
        self.command.arg("--detach").arg("--console-socket").arg(&path).arg("--pid-file").arg(&pid_file);
        self.command.arg(&self.id).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = self.command.status().map_err(SessionError::Run);
        remove(&path)?;
        let error = last_error(&self.log);
        remove(&self.log)?;
        let status = status_of(status?);
        if status != 0 {
            let text = error.as_ref().map_or("the OCI runtime does not say why", |error| &error.text);
            write_fully(STDERR, format!("{text}\n").as_bytes())?;
            return Ok(error.map_or(CANNOT, |error| status_for(error.status)));
        }
        let terminal = received(&listener)?;
        let pid = pid_in(&pid_file)?;
        remove(&pid_file)?;
        if detach {
            leave(&terminal)?;
            return Ok(0);
        }
        let pidfd = pidfd_open(pid)?;
        set_nonblocking(&terminal, true)?;
        let raw = if interactive { Some(Raw::set(STDIN)?) } else { None };
        let mut shown = Shown { terminal, pidfd, signals, keys, reads: interactive, typed: VecDeque::new() };
        shown.fit();
        let status = shown.show()?;
        drop(raw);
        match status {
            Some(status) => Ok(status),
            None => leave(&shown.terminal).map(|()| 0),
        }
    }
}

/// A command's terminal on this process's.
struct Shown {
    terminal: OwnedFd,
    pidfd: OwnedFd,
    signals: SignalQueue,
    keys: Keys,
    reads: bool,
    typed: VecDeque<u8>,
}

impl Shown {
    /// The command's status, or `None` when the person has left.
    fn show(&mut self) -> Result<Option<u8>, SessionError> {
        let mut buffer = vec![0; 32 << 10];
        let mut prints = true;
        loop {
            let terminal = Interest {
                fd: self.terminal.as_fd(),
                read: prints,
                write: !self.typed.is_empty(),
                priority: false,
            };
            let mut interests =
                vec![Interest::read(self.signals.as_fd()), Interest::read(self.pidfd.as_fd())];
            let (mut at_terminal, mut at_stdin) = (None, None);
            if prints || !self.typed.is_empty() {
                at_terminal = Some(interests.len());
                interests.push(terminal);
            }
            if self.reads && self.typed.is_empty() {
                at_stdin = Some(interests.len());
                interests.push(Interest::read(STDIN));
            }
            let events = poll(&interests, None, "the command or the person")?;
            let happened = |at: Option<usize>| at.map(|at| events[at]).unwrap_or_default();
            if happened(at_terminal).writable {
                self.type_on();
            }
            if prints && (happened(at_terminal).readable || happened(at_terminal).hangup) {
                prints = self.print(&mut buffer)?;
            }
            if events[0].readable {
                self.take_signals()?;
            }
            if events[1].readable {
                while prints && self.print_some(&mut buffer)? == Some(true) {}
                return Ok(Some(wait(&self.pidfd)?.status()));
            }
            if (happened(at_stdin).readable || happened(at_stdin).hangup) && self.read_typed(&mut buffer)? {
                return Ok(None);
            }
        }
    }

    /// `false` once nobody has the terminal any more.
    fn print(&self, buffer: &mut [u8]) -> Result<bool, SessionError> {
        Ok(self.print_some(buffer)? != Some(false))
    }

    /// Whether there was something; `None` if there is nothing now, and `false` if nothing comes any more.
    fn print_some(&self, buffer: &mut [u8]) -> Result<Option<bool>, SessionError> {
        match read(&self.terminal, buffer) {
            Ok(0) => Ok(Some(false)),
            Ok(length) => {
                write_all(STDOUT, &buffer[..length])?;
                Ok(Some(true))
            }
            Err(error) if error.errno() == Errno::EAGAIN => Ok(None),
            Err(error) if error.errno() == Errno::EIO => Ok(Some(false)),
            Err(error) => Err(error.into()),
        }
    }

    /// `true` when the person leaves.
    fn read_typed(&mut self, buffer: &mut [u8]) -> Result<bool, SessionError> {
        let length = match read(STDIN, buffer) {
            Err(error) if matches!(error.errno(), Errno::EIO) => 0,
            Err(error) if error.errno() == Errno::EAGAIN => return Ok(false),
            other => other?,
        };
        self.reads = length > 0;
        let Typed { text, leaves } = self.keys.take(&buffer[..length]);
        self.typed.extend(text);
        self.type_on();
        if leaves {
            write_fully(STDERR, b"read escape sequence\r\n")?;
        }
        Ok(leaves)
    }

    fn type_on(&mut self) {
        while !self.typed.is_empty() {
            match mydocker_sys::fs::write(&self.terminal, self.typed.as_slices().0) {
                Ok(length) => drop(self.typed.drain(..length)),
                Err(error) if error.errno() == Errno::EAGAIN => return,
                // Nobody reads it any more.
                Err(_) => self.typed.clear(),
            }
        }
    }

    fn take_signals(&self) -> Result<(), SessionError> {
        while let Some(signal) = self.signals.next()? {
            if signal.number == Signal::SIGWINCH as i32 {
                self.fit();
            } else {
                pidfd_kill(&self.pidfd, signal.number).or_else(ignore_gone)?;
            }
        }
        Ok(())
    }

    fn fit(&self) {
        if let Ok(size) = size(STDOUT).or_else(|_| size(STDIN)) {
            // It can only fail when the terminal is gone.
            set_size(&self.terminal, size).unwrap_or_default();
        }
    }
}

fn write_all(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), mydocker_sys::Error> {
    match write_fully(fd, bytes) {
        // Who has closed the stream wants no more of it; the command goes on.
        Err(error) if error.errno() == Errno::EPIPE => Ok(()),
        other => other,
    }
}

fn passed_on(window: bool) -> Result<SignalQueue, mydocker_sys::Error> {
    let mut set = SigSet::empty();
    PASSED_ON.iter().for_each(|signal| set.add(*signal));
    if window {
        set.add(Signal::SIGWINCH);
    }
    block(&set)?;
    SignalQueue::new(&set)
}

fn ignore_gone(error: mydocker_sys::Error) -> Result<(), mydocker_sys::Error> {
    if error.errno() == Errno::ESRCH { Ok(()) } else { Err(error) }
}

fn remove(path: &Path) -> Result<(), SessionError> {
    unlink_if_present(AT_FDCWD, path)?;
    Ok(())
}

fn received(listener: &OwnedFd) -> Result<OwnedFd, SessionError> {
    let connection = accept(listener)?.ok_or(SessionError::NoTerminal)?;
    let message = receive(&connection, &mut [0; 4096])?;
    message.fds.into_iter().next().ok_or(SessionError::NoTerminal)
}

fn pid_in(path: &Path) -> Result<Pid, SessionError> {
    let text = std::fs::read_to_string(path).map_err(|source| SessionError::Read(path.to_owned(), source))?;
    let pid =
        text.trim().parse().map_err(|error| SessionError::Read(path.to_owned(), io::Error::other(error)))?;
    Ok(Pid::from_raw(pid))
}

/// A runtime that could not enter the container is as bad as a program that cannot be run.
fn status_for(status: u8) -> u8 {
    if status == 125 { CANNOT } else { status }
}

fn status_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let number = status.code().or_else(|| status.signal().map(|number| 128 + number));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}
