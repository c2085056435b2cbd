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
    if !tty::is_terminal(io::stdin()) {
        return ask(question);
    }
    let ends = SigSet::from_iter(ENDS);
    // Before the terminal is changed: a signal from here on waits until the terminal is as it was.
    let before = block(&ends).map_err(of_kernel)?;
    let asked = ask_unseen(question, &ends);
    // Where a signal has come, this is where the process ends.
    set_mask(&before).map_err(of_kernel)?;
    asked?;
    answer()
}

/// Asks on a terminal that shows nothing, and waits until a line is typed or until one of these signals, which are blocked,
/// has come.
fn ask_unseen(question: &str, ends: &SigSet) -> io::Result<()> {
    let signals = SignalQueue::new(ends).map_err(of_kernel)?;
    // Before the question: whoever has seen it, which may be a script, can answer at once.
    let shown = tty::hide_typing(io::stdin()).map_err(of_kernel)?;
    let typed = put(question).and_then(|()| await_line(&signals));
    // Whatever happened: on a terminal that shows nothing one cannot see what one does next.
    tty::set_modes(io::stdin(), &shown).map_err(of_kernel)?;
    put("\n")?;
    typed
}

fn await_line(signals: &SignalQueue) -> io::Result<()> {
    let stdin = io::stdin();
    let interests = [Interest::read(stdin.as_fd()), Interest::read(signals.as_fd())];
    poll(&interests, None, "an answer").map_err(of_kernel).map(drop)
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
