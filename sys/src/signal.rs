//! Signals as data: masks, dispositions and a descriptor to read them from.

use crate::error::{Context, Result};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigmaskHow};
pub use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals below 32, a bit for each, the lowest for number 1, as procfs has them.
pub type SignalBits = u32;

/// Those of a set that are signals with a name.
pub fn named(bits: SignalBits) -> impl Iterator<Item = Signal> {
    Signal::iterator().filter(move |signal| bits >> (*signal as i32 - 1) & 1 == 1)
}

/// Every signal there is, without those that the C library keeps to itself. musl keeps one more than glibc: 34, which is
/// the first that programs have for themselves (`SIGRTMIN`), and which a container's is to get like any other.
#[must_use]
pub fn all() -> SigSet {
    let mut bits = *SigSet::all().as_ref();
    // SAFETY: the first word of a sigset_t has a bit for each of the 64 signals (`sigset.h` of both C libraries); all its
    // values are sets.
    unsafe {
        *(&raw mut bits).cast::<u64>() |= 1 << (FIRST_REAL_TIME - 1);
        SigSet::from_sigset_t_unchecked(bits)
    }
}

/// `SIGRTMIN` as programs are compiled with it.
const FIRST_REAL_TIME: i32 = 34;

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
        let default = KernelAction::default();
        // SAFETY: the kernel reads the action, whose handler is SIG_DFL, and a mask of 8 bytes in it. The C library would refuse
        // the numbers that it keeps to itself.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, 0_usize, 8_usize) };
    }
}

/// Sends this process a signal that nothing keeps from it, and returns where the kernel does not let it end the process.
pub(crate) fn end_by_default(signal: libc::c_int) {
    let default = KernelAction::default();
    let bits: u64 = 1 << (signal - 1);
    // SAFETY: the kernel reads an action without code of ours, and a mask of 8 bytes; the numbers are the kernel's own.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal, &raw const default, 0_usize, 8_usize);
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_UNBLOCK, &raw const bits, 0_usize, 8_usize);
        libc::syscall(
            libc::SYS_tgkill,
            libc::syscall(libc::SYS_getpid),
            libc::syscall(libc::SYS_gettid),
            signal,
        );
    }
}

/// `struct kernel_sigaction`: a handler (0: the default), flags, a restorer and a mask.
#[repr(C)]
#[derive(Default)]
struct KernelAction([u64; 4]);

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

/// Lets a signal end the process, also where it is process 1 of its pid namespace, to which no signal comes that it does
/// not handle. As a shell has it the exit status is then 128 and the signal's number. execve gives the signal its default
/// disposition back.
///
/// # Errors
/// What the kernel says.
pub fn end_process_by(signal: Signal) -> Result<()> {
    // SAFETY: the handler may interrupt anything, and calls `_exit` alone, which is async-signal-safe.
    unsafe { nix::sys::signal::signal(signal, SigHandler::Handler(end_process)) }
        .context("signal", || format!("{signal}, a handler"))
        .map(drop)
}

extern "C" fn end_process(signal: libc::c_int) {
    crate::process::exit_now(128 + signal)
}

/// A signal as it was read from a [`SignalQueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub number: i32,
    /// The kernel sent it by itself, as it does for a terminal. The sender's pid would not tell: a process of an outer pid
    /// namespace has none here.
    pub by_kernel: bool,
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
        Ok(info.map(|info| Received {
            number: info.ssi_signo as i32,
            by_kernel: info.ssi_code == libc::SI_KERNEL,
        }))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The number of a signal that is given by its name, with or without `SIG` and in any case, or by its number (0 only
/// checks whether a process is there); `None` for what is no signal.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    real_time(&name).or_else(|| other_name(&name)).or_else(|| Some(name.parse::<Signal>().ok()? as i32))
}

/// Second names of signals (`signal(7)`).
fn other_name(name: &str) -> Option<i32> {
    match name {
        "SIGIOT" => Some(libc::SIGABRT),
        "SIGPOLL" => Some(libc::SIGIO),
        "SIGCLD" => Some(libc::SIGCHLD),
        _ => None,
    }
}

/// `SIGRTMIN+n` and `SIGRTMAX-n`, with the C library's limits.
fn real_time(name: &str) -> Option<i32> {
    const MIN: i32 = FIRST_REAL_TIME;
    const MAX: i32 = 64;
    let number = match name.strip_prefix("SIGRTM")? {
        "IN" => MIN,
        "AX" => MAX,
        rest => match (rest.strip_prefix("IN+"), rest.strip_prefix("AX-")) {
            (Some(up), _) => MIN.checked_add(up.parse().ok()?)?,
            (_, Some(down)) => MAX.checked_sub(down.parse().ok()?)?,
            _ => return None,
        },
    };
    (MIN..=MAX).contains(&number).then_some(number)
}
