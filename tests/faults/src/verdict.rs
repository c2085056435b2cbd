//! How a command took its fault.

use crate::point::Fault;
use mydocker_tests::Outcome;
use std::os::unix::process::ExitStatusExt;

/// How a command took its fault. The first three are how it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Manner {
    /// It failed, and its message has the cause.
    Told,
    /// It did all that it had to do: the call was not needed, or had another way.
    Absorbed,
    /// It was killed, or says that the process was whose status it passes on.
    Died,
    /// It failed with a message from which the cause cannot be seen.
    Vague,
    /// It failed and said nothing.
    Silent,
    /// It said that it succeeded and did not do all.
    Degraded,
    /// It ended by a signal that nobody sent, or panicked.
    Crashed,
    /// It did not end.
    Hung,
    /// It did not come to the point this time: the threads of a runtime may do a thing in one run or another.
    Missed,
}

impl Manner {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 9] = [
        Self::Told,
        Self::Absorbed,
        Self::Died,
        Self::Vague,
        Self::Silent,
        Self::Degraded,
        Self::Crashed,
        Self::Hung,
        Self::Missed,
    ];

    /// Whether a user is served well by it.
    #[must_use]
    pub fn is_good(self) -> bool {
        matches!(self, Self::Told | Self::Absorbed | Self::Died | Self::Missed)
    }

    /// The name of the table's column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Absorbed => "absorbed",
            Self::Died => "died",
            Self::Vague => "vague",
            Self::Silent => "silent",
            Self::Degraded => "degraded",
            Self::Crashed => "crashed",
            Self::Hung => "hung",
            Self::Missed => "missed",
        }
    }
}

/// How a command that ended took a fault, as far as its own words and status tell. The status 137 is right both where the
/// command itself was killed, and where the first process of the container was, on its way to become the program.
#[must_use]
pub fn judge(outcome: &Outcome, fault: Fault) -> Manner {
    let code = outcome.status.code().unwrap_or_else(|| 128 + outcome.status.signal().unwrap_or(0));
    let words = outcome.stderr.to_lowercase();
    if words.contains("panicked at") || words.contains("goroutine ") {
        return Manner::Crashed;
    }
    match fault {
        Fault::Killed if code == 137 => Manner::Died,
        _ if code == 0 => Manner::Absorbed,
        _ if matches!(code, 132 | 134 | 135 | 136 | 139) => Manner::Crashed,
        _ if words.trim().is_empty() => Manner::Silent,
        Fault::Fails if !tells_error(&words) => Manner::Vague,
        _ => Manner::Told,
    }
}

/// Whether a message has the injected error, in the words of any C library or language.
fn tells_error(words: &str) -> bool {
    ["input/output error", "i/o error", "eio", "os error 5"].iter().any(|name| words.contains(name))
}

#[cfg(test)]
mod tests {
    use super::tells_error;

    #[test]
    fn the_cause_is_known_by_the_names_of_the_error() {
        assert!(tells_error("mount(\"proc\"): eio (i/o error)"));
        assert!(!tells_error("container could not be made"));
    }
}
