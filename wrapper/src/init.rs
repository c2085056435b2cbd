//! The small init of `--init`: process 1 of a container, which starts the program, passes signals on to it, reaps what is
//! orphaned, and ends as the program does. It is the monitor's program under another name, mounted into the container.

use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{self, Exit, Forked, Pid};
use mydocker_sys::signal::{Received, SigSet, Signal, SignalQueue, block, reset_dispositions, set_mask};
use mydocker_sys::{AsFd as _, Errno, OwnedFd};
use std::ffi::{CString, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The name under which the monitor's program is an init: the last part of [`crate::plan::INIT`].
pub const NAME: &str = "docker-init";

/// Where programs are looked for without `PATH`.
const PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs the words after `--` as the program, and returns its exit status: 126 or 127 if it cannot be run.
#[must_use]
pub fn main_of_init(words: impl Iterator<Item = OsString>) -> u8 {
    let words: Vec<OsString> = words.skip_while(|word| word == "--").collect();
    let args: Vec<CString> = words.into_iter().map_while(|word| CString::new(word.into_vec()).ok()).collect();
    match run(&args) {
        Ok(status) => status,
        Err(error) => {
            // When standard error is closed there is nobody left to tell.
            writeln!(std::io::stderr(), "{NAME}: {error}").unwrap_or_default();
            if error.errno() == Errno::ENOENT { 127 } else { 126 }
        }
    }
}

fn run(args: &[CString]) -> mydocker_sys::Result<u8> {
    let all = SigSet::all();
    let before = block(&all)?;
    let signals = SignalQueue::new(&all)?;
    match process::fork()? {
        Forked::Child => Err(execute(args, &before)),
        Forked::Parent { pid, pidfd } => look_after(pid, &pidfd, &signals),
    }
}

/// Becomes the program; returns only with what the kernel says of the last place that it was looked for at.
fn execute(args: &[CString], mask: &SigSet) -> mydocker_sys::Error {
    // Rust's own start has SIGPIPE ignored, which a program would inherit.
    reset_dispositions();
    if let Err(error) = set_mask(mask) {
        return error;
    }
    let env: Vec<CString> = std::env::vars_os()
        .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect();
    let program = args.first().map_or(&b""[..], |program| program.as_bytes());
    let path = std::env::var_os("PATH");
    let path = path.as_ref().map_or(PATH, |path| path.as_bytes());
    let mut error = mydocker_sys::Error::new("execve", String::from_utf8_lossy(program), Errno::ENOENT);
    let places: Vec<Vec<u8>> = if program.contains(&b'/') {
        vec![program.to_owned()]
    } else {
        path.split(|byte| *byte == b':').map(|directory| [directory, b"/", program].concat()).collect()
    };
    for place in places.into_iter().filter_map(|place| CString::new(place).ok()) {
        let failed = process::exec(&place, args, &env);
        // As a shell: what is there and cannot be run is told rather than that it is not elsewhere.
        if failed.errno() != Errno::ENOENT && failed.errno() != Errno::ENOTDIR {
            error = failed;
        }
    }
    error
}

/// Reaps and passes signals on until the program has ended.
fn look_after(program: Pid, pidfd: &OwnedFd, signals: &SignalQueue) -> mydocker_sys::Result<u8> {
    loop {
        poll(&[Interest::read(signals.as_fd()), Interest::read(pidfd.as_fd())], None, "the program")?;
        while let Some(signal) = signals.next()? {
            if signal.number != Signal::SIGCHLD as i32 && !came_from_the_terminal(&signal) {
                pass_on(pidfd, signal.number)?;
            }
        }
        while let Some(ended) = process::ended_child()? {
            if ended == program {
                return process::wait(pidfd).map(Exit::status);
            }
            process::reap(ended)?;
        }
    }
}

/// The terminal sends its signals to all of its foreground processes, the program among them.
fn came_from_the_terminal(received: &Received) -> bool {
    received.by_kernel
        && [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGWINCH]
            .iter()
            .any(|signal| *signal as i32 == received.number)
}

fn pass_on(pidfd: &OwnedFd, number: i32) -> mydocker_sys::Result<()> {
    match process::pidfd_kill(pidfd, number) {
        // It has ended meanwhile.
        Err(error) if error.errno() == Errno::ESRCH => Ok(()),
        other => other,
    }
}
