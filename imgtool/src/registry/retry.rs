//! When to ask again: back-off with jitter, and what the registry itself says.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often one thing is tried, the first time included.
pub const ATTEMPTS: u32 = 6;

/// The longest wait between two attempts, whatever a registry says, but for the random part.
pub const LONGEST: Duration = Duration::from_secs(30);

const FIRST: Duration = Duration::from_millis(250);

/// How long to wait after the failed attempt number `attempt`, counted from 1. `asked` is what the registry said.
///
/// Without an answer the wait doubles each time, and a random half of it is left out, so that those who failed together
/// do not come back together; for the same reason a random part is added to what the registry said.
#[must_use]
pub fn delay(attempt: u32, asked: Option<Duration>, random: u64) -> Duration {
    if let Some(asked) = asked.map(|asked| asked.min(LONGEST)) {
        return asked + part(asked / 4, random);
    }
    let full = FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(10)).min(LONGEST);
    full / 2 + part(full / 2, random)
}

/// A random part of a span.
fn part(span: Duration, random: u64) -> Duration {
    Duration::from_nanos(random % u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1))
}

/// A number that two processes are unlikely to share.
#[must_use]
pub fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// Reads `Retry-After`: seconds, or a date of HTTP (RFC 9110, section 10.2.3).
#[must_use]
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let then = UNIX_EPOCH + Duration::from_secs(http_date(text)?);
    Some(then.duration_since(now).unwrap_or_default())
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    let (_, text) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let mut parts = time.split(':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 61));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let in_range = (1970..10_000).contains(&year) && (1..=31).contains(&day) && parts.next().is_none();
    let days = days_before(year, month) + day - 1;
    in_range.then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Days from the first of 1970 to the first of a month, months counted from 0.
fn days_before(year: u64, month: u64) -> u64 {
    const BEFORE: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = (1970..year).filter(|year| leap(*year)).count() as u64;
    let this = u64::from(leap(year) && month > 1);
    year.saturating_sub(1970) * 365 + leaps + BEFORE[usize::try_from(month).unwrap_or_default() % 12] + this
}

/// Tells all threads of a pull that one of them has failed, and lets them wait without sleeping through it.
#[derive(Debug, Default)]
pub struct Cancel {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    /// Ends all waits, now and later.
    pub fn cancel(&self) {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Whether that was done.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as is said; `false` if it was cancelled before.
    #[must_use]
    pub fn wait(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        let mut cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *cancelled || left.is_zero() {
                return !*cancelled;
            }
            let waited = self.changed.wait_timeout(cancelled, left);
            cancelled = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_cap_and_has_jitter() {
        assert_eq!(delay(1, None, 0), Duration::from_millis(125));
        assert!(delay(1, None, u64::MAX) < Duration::from_millis(250));
        assert_eq!(delay(3, None, 0), Duration::from_millis(500));
        assert_eq!(delay(40, None, 0), LONGEST / 2);
    }

    #[test]
    fn what_the_registry_says_counts_up_to_the_cap() {
        assert_eq!(delay(1, Some(Duration::from_secs(7)), 0), Duration::from_secs(7));
        assert_eq!(delay(1, Some(Duration::from_secs(86_400)), 0), LONGEST);
        let (least, most) = (Duration::from_secs(8), Duration::from_secs(10));
        assert!((least..most).contains(&delay(1, Some(least), u64::MAX / 3)));
        assert_eq!(delay(1, Some(Duration::ZERO), u64::MAX), Duration::ZERO);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
        let date = parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now);
        assert_eq!(date, Some(Duration::from_secs(10)));
        assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_retry_after(text, now), None, "{text}");
        }
    }

    #[test]
    fn dates_after_leap_days_are_right() {
        assert_eq!(http_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(http_date("Sun, 22 Nov 2026 05:00:00 GMT"), Some(1_795_323_600));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
    }

    #[test]
    fn a_wait_ends_when_it_is_cancelled() {
        let cancel = Cancel::default();
        assert!(cancel.wait(Duration::from_millis(1)));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| cancel.wait(Duration::from_secs(600)));
            cancel.cancel();
            assert!(!waiter.join().expect("no panic"));
        });
        assert!(cancel.is_cancelled());
    }
}
