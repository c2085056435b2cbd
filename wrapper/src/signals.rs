//! Signals by name or number.

use crate::container::Container;
use mydocker_sys::signal::Signal;

/// The first real-time signal that programs have: the C library keeps two for itself.
const REALTIME_FIRST: i32 = 34;
/// The last one.
const REALTIME_LAST: i32 = 64;

/// A signal that is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Invalid signal: {0}")]
pub struct BadSignal(pub String);

/// Reads `TERM`, `SIGTERM`, `15`, `RTMIN+3` or `SIGRTMAX-1`.
///
/// # Errors
/// [`BadSignal`].
pub fn parse(text: &str) -> Result<i32, BadSignal> {
    let refuse = || BadSignal(text.to_owned());
    if let Ok(number) = text.parse::<i32>() {
        return if (1..=REALTIME_LAST).contains(&number) { Ok(number) } else { Err(refuse()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |base: i32, rest: &str| match rest {
        "" => Some(base),
        rest => rest.parse::<i32>().ok().map(|offset| base + offset),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => realtime(REALTIME_FIRST, rest),
        (_, Some(rest)) => realtime(REALTIME_LAST, rest),
        _ => format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32),
    };
    number.filter(|number| (1..=REALTIME_LAST).contains(number)).ok_or_else(refuse)
}

/// The signal that asks a container to end. What an image says wrongly is as if it said nothing.
#[must_use]
pub fn stop_signal(container: &Container) -> i32 {
    let named = container.config.image.stop_signal.as_deref().and_then(|name| parse(name).ok());
    named.unwrap_or(Signal::SIGTERM as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read() {
        for (text, number) in [
            ("TERM", Some(15)),
            ("sigkill", Some(9)),
            ("9", Some(9)),
            ("RTMIN", Some(34)),
            ("SIGRTMIN+3", Some(37)),
            ("RTMAX-1", Some(63)),
            ("0", None),
            ("65", None),
            ("RTMAX+1", None),
            ("NOSUCH", None),
            ("", None),
        ] {
            assert_eq!(parse(text).ok(), number, "{text}");
        }
    }
}
