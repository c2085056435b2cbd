//! Text on its way to a person.

use std::io::{self, Write};

/// Makes control characters, which could break the line or move a terminal's cursor, into escapes.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

/// Writes to standard output. A reader that has gone (`list | head -1`) wants no more, which is no error.
///
/// # Errors
/// What the kernel says, such as a full disk behind the standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    unless_reader_gone(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

fn unless_reader_gone(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_escapes() {
        assert_eq!(one_line("a\n\x1b[2Jé"), "a\\n\\u{1b}[2Jé");
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        assert!(unless_reader_gone(Err(io::ErrorKind::BrokenPipe.into())).is_ok());
        assert!(unless_reader_gone(Err(io::ErrorKind::StorageFull.into())).is_err());
    }
}
