//! Output that comes faster than it is worth waking up for: it is let gather for a moment, so that few large reads and
//! writes carry it instead of many small ones. A program that prints now and then is heard at once.

use std::time::{Duration, Instant};

/// How long it may gather: what a pipe has room for (`streams`) is not full by then, or hardly.
const MOMENT: Duration = Duration::from_millis(1);

/// Less than this at a time is no flood.
const MUCH: usize = 4 << 10;

/// Whether a container floods its monitor.
#[derive(Debug)]
pub struct Flood {
    last: Option<Instant>,
    until: Option<Instant>,
}

impl Flood {
    /// Nothing has come yet.
    #[must_use]
    pub fn new() -> Self {
        Self { last: None, until: None }
    }

    /// Notes how much has come at once. What fills the `buffer` is followed by more, which is there already.
    pub fn note(&mut self, length: usize, buffer: usize, now: Instant) {
        let soon = self.last.is_some_and(|last| now.duration_since(last) < 2 * MOMENT);
        self.last = Some(now);
        self.until = (soon && (MUCH..buffer).contains(&length)).then(|| now + MOMENT);
    }

    /// Until when output gathers, if it does; told once for each time that it was noted.
    pub fn gathers_until(&mut self) -> Option<Instant> {
        self.until.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFER: usize = 64 << 10;

    #[test]
    fn what_comes_at_once_and_often_gathers_and_nothing_else() {
        let begin = Instant::now();
        let at = |micros| begin + Duration::from_micros(micros);
        let mut flood = Flood::new();
        let mut noted = |length, micros| {
            flood.note(length, BUFFER, at(micros));
            (flood.gathers_until(), flood.gathers_until())
        };
        assert_eq!(noted(10_000, 0), (None, None), "the first of it");
        assert_eq!(noted(10_000, 500), (Some(at(1500)), None), "told once");
        assert_eq!(noted(BUFFER, 1600), (None, None), "more is there");
        assert_eq!(noted(80, 1700), (None, None), "a line");
        assert_eq!(noted(10_000, 9000), (None, None), "long after");
    }
}
