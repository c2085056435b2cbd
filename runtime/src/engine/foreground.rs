//! A program in the foreground: its terminal, its signals, its end.

use super::notify::{Notify, NotifyError};
use mydocker_sys::poll::{Events, Interest, poll};
use mydocker_sys::process::{self, Exit};
use mydocker_sys::signal::{self, Signal, SignalQueue};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, fs, tty};

/// Why the program could not be attended.
#[derive(Debug, thiserror::Error)]
pub enum ForegroundError {
    /// The kernel refused.
    #[error("the container's program could not be attended")]
    Call(#[from] mydocker_sys::Error),
    /// Its readiness could not be passed on.
    #[error(transparent)]
    Notify(#[from] NotifyError),
}

/// The caller's signals and terminal, taken over before the program begins and given back when this is dropped.
#[derive(Debug)]
pub struct Foreground {
    signals: SignalQueue,
    /// Those of standard input before, where it is a terminal.
    modes: Option<tty::Modes>,
    program: Option<process::Pid>,
    /// Where the container says that it is ready, until it has.
    notify: Option<Notify>,
}

impl Foreground {
    /// Begins to collect signals instead of dying of them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn begin() -> Result<Self, ForegroundError> {
        let mut all = signal::all();
        // These tell of mistakes of this process itself and must end it.
        for own in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGABRT,
            Signal::SIGTRAP,
        ] {
            all.remove(own);
        }
        signal::block(&all)?;
        Ok(Self { signals: SignalQueue::new(&all)?, modes: None, program: None, notify: None })
    }

    /// Also passes on that the container is ready.
    pub fn announce(&mut self, notify: Option<Notify>) {
        self.notify = notify;
    }

    /// The manager watches the runtime, which lives as long as the program.
    fn pass_readiness(&mut self) -> Result<(), NotifyError> {
        let Some(notify) = &self.notify else { return Ok(()) };
        if notify.hears_ready()? {
            notify.tell(process::getpid().as_raw())?;
            self.notify = None;
        }
        Ok(())
    }

    /// Passes everything between the caller and the program until it ends, and says how it did.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attend(
        &mut self,
        pid: i32,
        pidfd: &OwnedFd,
        terminal: Option<OwnedFd>,
    ) -> Result<Exit, ForegroundError> {
        self.program = Some(process::Pid::from_raw(pid));
        let mut relay = terminal.map(|terminal| self.take_terminal(terminal)).transpose()?;
        loop {
            let (ready, terminal_events, input_events) = self.wait(pidfd, relay.as_ref())?;
            self.pass_readiness()?;
            // The end of the program answers every signal.
            if ready.signals && !ready.ended {
                self.forward_signals(pidfd, relay.as_ref())?;
            }
            if let Some(relay) = &mut relay {
                relay.pass(terminal_events, input_events)?;
            }
            if ready.ended {
                if let Some(relay) = &mut relay {
                    relay.drain()?;
                }
                return Ok(process::wait(pidfd)?);
            }
        }
    }

    fn take_terminal(&mut self, terminal: OwnedFd) -> mydocker_sys::Result<Relay> {
        // A terminal that nothing is read from keeps its keys: the signals that they make come here and are passed on.
        if tty::is_terminal(fs::STDIN) {
            self.modes = Some(tty::set_raw_input(fs::STDIN)?);
        }
        // The program need not read: a write that waited for it would keep everything else from being attended.
        fs::set_nonblocking(&terminal, true)?;
        Ok(Relay::new(terminal))
    }

    fn wait(&self, pidfd: &OwnedFd, relay: Option<&Relay>) -> mydocker_sys::Result<(Ready, Events, Events)> {
        let mut interests = vec![Interest::read(pidfd.as_fd()), Interest::read(self.signals.as_fd())];
        let terminal = relay.and_then(Relay::terminal_interest);
        let input = relay.and_then(Relay::input_interest);
        interests.extend(terminal);
        interests.extend(input);
        interests.extend(self.notify.as_ref().map(|notify| Interest::read(notify.as_fd())));
        let events = poll(&interests, None, "the container's program to end")?;
        let mut rest = events[2..].iter().copied();
        let terminal_events = terminal.and_then(|_| rest.next()).unwrap_or_default();
        let input_events = input.and_then(|_| rest.next()).unwrap_or_default();
        Ok((Ready { ended: events[0].readable, signals: events[1].readable }, terminal_events, input_events))
    }

    /// Every signal goes to the program, but those that are about this process: a child's end, a new window size,
    /// and a read of nothing.
    fn forward_signals(&self, pidfd: &OwnedFd, relay: Option<&Relay>) -> mydocker_sys::Result<()> {
        while let Some(signal) = self.signals.next()? {
            match signal.number {
                libc::SIGCHLD => self.reap_orphans()?,
                libc::SIGWINCH => {
                    if let (Some(relay), Some(caller)) = (relay, callers_terminal()) {
                        tty::set_size(&relay.terminal, tty::size(caller)?)?;
                    }
                }
                libc::SIGPIPE | libc::SIGURG => {}
                number => match process::pidfd_kill(pidfd, number) {
                    Err(error) if error.errno() == Errno::ESRCH => {}
                    other => other?,
                },
            }
        }
        Ok(())
    }
}

impl Foreground {
    /// Reaps the container's orphans that came here; the program itself is left for whoever waits for it.
    fn reap_orphans(&self) -> mydocker_sys::Result<()> {
        while let Some(pid) = process::ended_child()? {
            if Some(pid) == self.program {
                break;
            }
            process::reap(pid)?;
        }
        Ok(())
    }

    /// Gives the terminal back.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn end(&mut self) -> Result<(), ForegroundError> {
        self.modes.take().map_or(Ok(()), |modes| Ok(tty::set_modes(fs::STDIN, &modes)?))
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        if let Some(modes) = &self.modes {
            // The terminal may be gone; then nobody misses its modes.
            drop(tty::set_modes(fs::STDIN, modes));
        }
    }
}

/// The caller's terminal: whatever of the standard streams is redirected, another may still be one.
pub(super) fn callers_terminal() -> Option<BorrowedFd<'static>> {
    [fs::STDIN, fs::STDOUT, fs::STDERR].into_iter().find(|stream| tty::is_terminal(stream))
}

/// Makes a terminal whose output a caller's terminal shows as large as that. The carriage returns before newlines are the
/// caller's terminal's to add, so that there are none in a file that the output goes to.
pub(super) fn match_terminal(terminal: &OwnedFd, caller: BorrowedFd<'_>) -> mydocker_sys::Result<()> {
    tty::set_size(terminal, tty::size(caller)?)?;
    tty::pass_newlines(terminal)
}

struct Ready {
    ended: bool,
    signals: bool,
}

/// Bytes between the caller's streams and the program's terminal.
#[derive(Debug)]
struct Relay {
    terminal: OwnedFd,
    /// What was read from the caller and the terminal has not taken yet.
    pending: Vec<u8>,
    input_open: bool,
    terminal_open: bool,
}

impl Relay {
    fn new(terminal: OwnedFd) -> Self {
        Self { terminal, pending: Vec::new(), input_open: true, terminal_open: true }
    }

    fn terminal_interest(&self) -> Option<Interest<'_>> {
        let interest = Interest {
            fd: self.terminal.as_fd(),
            read: true,
            write: !self.pending.is_empty(),
            priority: false,
        };
        self.terminal_open.then_some(interest)
    }

    fn input_interest(&self) -> Option<Interest<'_>> {
        // Reading on while the terminal takes nothing would only fill memory.
        (self.input_open && self.pending.is_empty()).then(|| Interest::read(fs::STDIN))
    }

    // What has a large buffer is kept out of the frame of the loop that waits, of which every page is touched.
    #[inline(never)]
    fn pass(&mut self, terminal: Events, input: Events) -> mydocker_sys::Result<()> {
        if terminal.readable || terminal.hangup {
            self.terminal_open = self.show()?;
        }
        if input.readable || input.hangup {
            let mut buffer = [0u8; 4096];
            let length = fs::read(fs::STDIN, &mut buffer).unwrap_or(0);
            self.input_open = length > 0;
            self.pending.extend_from_slice(&buffer[..length]);
        }
        if !self.pending.is_empty() && self.terminal_open && (terminal.writable || input.readable) {
            match fs::write(&self.terminal, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(error) if matches!(error.errno(), Errno::EAGAIN | Errno::EIO) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shows what the terminal has; `false` at its end, which it tells as EIO when nobody has it open any more.
    fn show(&self) -> mydocker_sys::Result<bool> {
        let mut buffer = [0u8; 16 * 1024];
        match fs::read(&self.terminal, &mut buffer) {
            Ok(0) => Ok(false),
            Ok(length) => show_all(&buffer[..length]).map(|()| true),
            Err(error) if error.errno() == Errno::EIO => Ok(false),
            Err(error) if error.errno() == Errno::EAGAIN => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Shows what is left after the program has ended.
    #[inline(never)]
    fn drain(&mut self) -> mydocker_sys::Result<()> {
        let mut buffer = [0u8; 16 * 1024];
        loop {
            match fs::read(&self.terminal, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => show_all(&buffer[..length])?,
                Err(error) if matches!(error.errno(), Errno::EIO | Errno::EAGAIN) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Writes to the caller's standard output, waiting where it takes nothing. One that nobody reads any more gets
/// nothing, and the program goes on.
fn show_all(mut bytes: &[u8]) -> mydocker_sys::Result<()> {
    while !bytes.is_empty() {
        match fs::write(fs::STDOUT, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(error) if error.errno() == Errno::EPIPE => return Ok(()),
            Err(error) if error.errno() == Errno::EAGAIN => {
                let room = Interest { fd: fs::STDOUT, read: false, write: true, priority: false };
                poll(&[room], None, "standard output to take more")?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
