//! Text with words of strangers on its way to standard output.

use mydocker_cmdline::print;
use std::io;

/// Prints text as it is, but to a terminal without control characters that could move its cursor.
///
/// # Errors
/// What the kernel says of standard output.
pub fn print_value(text: &str) -> io::Result<()> {
    if mydocker_sys::tty::is_terminal(io::stdout()) { print(&tamed(text)) } else { print(text) }
}

fn tamed(text: &str) -> String {
    let mut tamed = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            tamed.extend(c.escape_default());
        } else {
            tamed.push(c);
        }
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_escape_sequences_do_not() {
        assert_eq!(tamed("a\n\tb\x1b[2J\u{9b}"), "a\n\tb\\u{1b}[2J\\u{9b}");
    }
}
