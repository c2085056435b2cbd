//! Asking a person.

use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::signal::{SigSet, Signal, SignalQueue, block, set_mask};
use mydocker_sys::tty;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

/// The most that an answer may have, in bytes.
const LIMIT: u64 = 64 << 10;

/// What ends a question before it is answered.
const ENDS: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Asks for a line.
///
/// # Errors
/// What the kernel says of standard input.
pub fn ask(question: &str) -> io::Result<String> {
    put(question)?;
    answer()
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// What the kernel says of standard input, or of the terminal.
pub fn ask_secret(question: &str) -> io::Result<String> {
    put(question)?;
    if !tty::is_terminal(io::stdin()) {
        return answer();
    }
    let shown = tty::hide_typing(io::stdin()).map_err(of_kernel)?;
    let typed = await_line();
    // Whatever happened: on a terminal that shows nothing one cannot see what one does next.
    tty::set_modes(io::stdin(), &shown).map_err(of_kernel)?;
    put("\n")?;
    // Where a signal has come, this is where the process ends.
    set_mask(&typed?).map_err(of_kernel)?;
    answer()
}

/// Waits until a line is typed, or until a signal has come that ends the process when the mask that is returned is set.
fn await_line() -> io::Result<SigSet> {
    let ends = SigSet::from_iter(ENDS);
    let before = block(&ends).map_err(of_kernel)?;
    let signals = SignalQueue::new(&ends).map_err(of_kernel)?;
    let stdin = io::stdin();
    let interests = [Interest::read(stdin.as_fd()), Interest::read(signals.as_fd())];
    poll(&interests, None, "an answer").map_err(of_kernel)?;
    Ok(before)
}

fn put(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr();
    write!(stderr, "{text}")?;
    stderr.flush()
}

fn answer() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LIMIT).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn of_kernel(error: mydocker_sys::Error) -> io::Error {
    error.errno().into()
}
