//! Signals as data: masks, dispositions and a descriptor to read them from.

use crate::error::{Context, Result};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigmaskHow};
pub use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Blocks the signals of `set` and returns the mask of before.
///
/// # Errors
/// What the kernel says.
pub fn block(set: &SigSet) -> Result<SigSet> {
    set.thread_swap_mask(SigmaskHow::SIG_BLOCK).context("rt_sigprocmask", || "SIG_BLOCK".into())
}

/// Makes `set` the mask.
///
/// # Errors
/// What the kernel says.
pub fn set_mask(set: &SigSet) -> Result<()> {
    set.thread_set_mask().context("rt_sigprocmask", || "SIG_SETMASK".into())
}

/// Gives every signal its default disposition back: an ignored signal (Rust ignores SIGPIPE, a shell may have
/// ignored others) stays ignored across execve otherwise.
pub fn reset_dispositions() {
    for number in 1..=64 {
        if number == libc::SIGKILL || number == libc::SIGSTOP {
            continue;
        }
        // SAFETY: SIG_DFL is a valid disposition for every signal; the C library refuses its own two numbers.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Gives one signal its default disposition back.
///
/// # Errors
/// What the kernel says.
pub fn reset_disposition(signal: Signal) -> Result<()> {
    // SAFETY: SIG_DFL runs no code of ours.
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }
        .context("signal", || format!("{signal}, SIG_DFL"))
        .map(drop)
}

/// A signal as it was read from a [`SignalQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub number: i32,
    /// The sender's pid as this process sees it; 0 when the kernel sent it.
    pub sender: u32,
}

/// Blocked signals, read from a descriptor (`signalfd(2)`).
#[derive(Debug)]
pub struct SignalQueue(SignalFd);

impl SignalQueue {
    /// Makes the queue; the signals must be blocked.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(set: &SigSet) -> Result<Self> {
        SignalFd::with_flags(set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .context("signalfd4", String::new)
    }

    /// The next signal that waits, if any.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn next(&self) -> Result<Option<Received>> {
        let info = self.0.read_signal().context("read", || "signalfd".into())?;
        Ok(info.map(|info| Received { number: info.ssi_signo as i32, sender: info.ssi_pid }))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
