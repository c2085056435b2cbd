//! Counting and disturbing system calls with `strace`.

use std::fs;
use std::path::Path;

/// The options with which strace follows all children and writes one line per call to `log`.
#[must_use]
pub fn options(log: &Path) -> Vec<String> {
    ["-f", "-qq", "-o"].into_iter().map(str::to_owned).chain([log.display().to_string()]).collect()
}

/// The number of system calls in a log that [`options`] made: a call that another process interrupted is two lines
/// there, and counts once; signals and exits do not count.
///
/// # Panics
/// When the log cannot be read.
#[must_use]
pub fn count(log: &Path) -> usize {
    let text = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    String::from_utf8_lossy(&text).lines().filter(|line| is_call(line)).count()
}

fn is_call(line: &str) -> bool {
    let event = line.split_once(' ').map_or(line, |(_, event)| event).trim_start();
    event.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::is_call;

    #[test]
    fn resumed_calls_signals_and_exits_are_not_counted() {
        assert!(is_call("12 openat(AT_FDCWD, \"/\", O_RDONLY <unfinished ...>"));
        assert!(is_call("12    close(3) = 0"));
        assert!(!is_call("12 <... openat resumed>) = 3"));
        assert!(!is_call("12 --- SIGCHLD {si_signo=SIGCHLD} ---"));
        assert!(!is_call("12 +++ exited with 0 +++"));
    }
}
