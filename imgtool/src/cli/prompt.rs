//! Asking a person.

use mydocker_sys::tty;
use std::io::{self, BufRead as _, Read as _, Write as _};

/// The most that an answer may have, in bytes.
const LIMIT: u64 = 64 << 10;

/// Asks for a line.
///
/// # Errors
/// What the kernel says of standard input.
pub fn ask(question: &str) -> io::Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}")?;
    stderr.flush()?;
    let mut line = String::new();
    io::stdin().lock().take(LIMIT).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Asks for a line that is not shown while it is typed.
///
/// # Errors
/// What the kernel says of standard input, or of the terminal.
pub fn ask_secret(question: &str) -> io::Result<String> {
    let hidden = tty::is_terminal(io::stdin()).then(|| tty::hide_typing(io::stdin())).transpose();
    let modes = hidden.map_err(|error| io::Error::from(error.errno()))?;
    let answer = ask(question);
    if let Some(modes) = modes {
        tty::set_modes(io::stdin(), &modes).map_err(|error| io::Error::from(error.errno()))?;
        writeln!(io::stderr())?;
    }
    answer
}
