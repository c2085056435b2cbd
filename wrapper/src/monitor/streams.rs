//! A container's standard streams, at the monitor's end: pipes, or a terminal.

use crate::log::Stream;
use mydocker_sys::fs::{dup, pipe, read, set_nonblocking, set_pipe_size, write};
use mydocker_sys::poll::{Events, Interest};
use mydocker_sys::process::euid;
use mydocker_sys::tty::{Size, set_size};
use mydocker_sys::{AsFd as _, Errno, OwnedFd, Result};
use std::collections::VecDeque;

/// Room between a container and its monitor, for few wake-ups of either for much that is printed: pages are there only as long as
/// something is in them. All pipes of an ordinary user have to share some 64 MiB (`pipe(7)`, pipe-user-pages-soft).
const PIPE_SIZE: i32 = 1 << 20;
const USERS_PIPE_SIZE: i32 = 256 << 10;

/// So much input waits for a container that does not read.
const INPUT_LIMIT: usize = 64 << 10;

/// The container's ends of its pipes.
#[derive(Debug)]
pub struct Ends {
    /// `None` without input: it gets /dev/null.
    pub stdin: Option<OwnedFd>,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// The monitor's ends.
#[derive(Debug)]
pub struct Streams {
    outputs: Vec<(Stream, OwnedFd)>,
    input: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    input_ends: bool,
    is_terminal: bool,
    is_roomy: bool,
}

impl Streams {
    /// Pipes, and the container's ends of them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn pipes(with_input: bool) -> Result<(Self, Ends)> {
        let (out, stdout, room) = output_pipe()?;
        let (err, stderr, _) = output_pipe()?;
        let (stdin, input) =
            if with_input { pipe().map(|(read, write)| (Some(read), Some(write)))? } else { (None, None) };
        if let Some(input) = &input {
            set_nonblocking(input, true)?;
        }
        let outputs = vec![(Stream::Out, out), (Stream::Err, err)];
        let (waiting, is_roomy) = (VecDeque::new(), room >= PIPE_SIZE);
        let streams = Self { outputs, input, waiting, input_ends: false, is_terminal: false, is_roomy };
        Ok((streams, Ends { stdin, stdout, stderr }))
    }

    /// A terminal, whose multiplexer the runtime has sent.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn terminal(multiplexer: OwnedFd) -> Result<Self> {
        set_nonblocking(&multiplexer, true)?;
        let outputs = vec![(Stream::Out, dup(&multiplexer)?)];
        let input = Some(multiplexer);
        let waiting = VecDeque::new();
        Ok(Self { outputs, input, waiting, input_ends: false, is_terminal: true, is_roomy: false })
    }

    /// What is waited for: the outputs first, unless they are to wait for others, then the input.
    pub fn interests(&self, may_print: bool) -> impl Iterator<Item = Interest<'_>> {
        let outputs = self.outputs.iter().map(move |(_, fd)| Interest {
            fd: fd.as_fd(),
            read: may_print,
            write: false,
            priority: false,
        });
        let input = self.input.iter().filter(|_| !self.waiting.is_empty());
        let input = input.map(|fd| Interest { fd: fd.as_fd(), read: false, write: true, priority: false });
        outputs.filter(move |_| may_print).chain(input)
    }

    /// Reads what each output has for `give`, as the events say, and writes what waits to the input; a `buffer` is lent.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn handle(
        &mut self,
        events: &[Events],
        may_print: bool,
        buffer: &mut [u8],
        mut give: impl FnMut(Stream, &[u8]),
    ) -> Result<()> {
        let count = if may_print { self.outputs.len() } else { 0 };
        let (outputs, input) = events.split_at(count.min(events.len()));
        let mut at = 0;
        for event in outputs {
            if (event.readable || event.hangup) && read_some(&self.outputs[at], buffer, &mut give)? == 0 {
                self.outputs.remove(at);
            } else {
                at += 1;
            }
        }
        if input.iter().any(|event| event.writable || event.hangup) {
            self.flush();
        }
        Ok(())
    }

    /// Reads what is left without waiting for more, up to a limit: a process that shares the host's pids may print on.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn drain(&mut self, buffer: &mut [u8], mut give: impl FnMut(Stream, &[u8])) -> Result<()> {
        const LIMIT: usize = 4 << 20;
        for output in &self.outputs {
            let mut total = 0;
            while total < LIMIT {
                match read_some(output, buffer, &mut give)? {
                    0 | usize::MAX => break,
                    some => total += some,
                }
            }
        }
        Ok(())
    }

    /// Whether there is room for output to gather: terminals have little, and so have small pipes.
    #[must_use]
    pub fn is_roomy(&self) -> bool {
        self.is_roomy
    }

    /// Whether more input can be taken from clients.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.len() < INPUT_LIMIT
    }

    /// Takes input.
    pub fn take_input(&mut self, bytes: &[u8]) {
        if self.input.is_some() && !self.input_ends {
            self.waiting.extend(bytes);
            self.flush();
        }
    }

    /// No more input comes. A terminal has no such end.
    pub fn end_input(&mut self) {
        if !self.is_terminal {
            self.input_ends = true;
            self.flush();
        }
    }

    /// Sets the size of a terminal; pipes have none.
    pub fn resize(&self, size: Size) {
        if let (true, Some(terminal)) = (self.is_terminal, &self.input) {
            // It can only fail when the terminal is gone, and then its size is nobody's.
            set_size(terminal, size).unwrap_or_default();
        }
    }

    fn flush(&mut self) {
        let Some(input) = &self.input else { return };
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match write(input, front) {
                Ok(length) => drop(self.waiting.drain(..length)),
                Err(error) if error.errno() == Errno::EAGAIN => return,
                // Nobody will read it.
                Err(_) => {
                    self.waiting.clear();
                    self.input_ends |= !self.is_terminal;
                }
            }
        }
        if self.input_ends {
            self.input = None;
        }
    }
}

/// The monitor's end, the container's, and how many bytes it has room for.
fn output_pipe() -> Result<(OwnedFd, OwnedFd, i32)> {
    let (read, write) = pipe()?;
    set_nonblocking(&read, true)?;
    let wanted = if euid() == 0 { PIPE_SIZE } else { USERS_PIPE_SIZE };
    // The host may allow less, which costs time and nothing else.
    let room = set_pipe_size(&read, wanted).or_else(|_| set_pipe_size(&read, USERS_PIPE_SIZE));
    Ok((read, write, room.unwrap_or_default()))
}

/// Reads once: 0 at the end, `usize::MAX` if there is nothing yet.
fn read_some(
    (stream, fd): &(Stream, OwnedFd),
    buffer: &mut [u8],
    give: &mut impl FnMut(Stream, &[u8]),
) -> Result<usize> {
    match read(fd, buffer) {
        Ok(length) => {
            give(*stream, &buffer[..length]);
            Ok(length)
        }
        Err(error) if error.errno() == Errno::EAGAIN => Ok(usize::MAX),
        // Nobody holds the other side of the terminal any more.
        Err(error) if error.errno() == Errno::EIO => Ok(0),
        Err(error) => Err(error),
    }
}
