//! Moments: RFC 3339 in UTC with nanoseconds, as docker writes them, and as people type them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What docker shows where something has not happened yet.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// This moment, such as `2024-02-29T12:00:00.123456789Z`.
#[must_use]
pub fn now() -> String {
    format!("{:.9}", Timestamp::now())
}

/// Reads a moment as people type it: RFC 3339, the same without a zone (the one of this host) or without a time, seconds
/// since 1970 (`1714564800.5`), or a span before `now` (`10m`, `1h30m`). `None` for anything else.
#[must_use]
pub fn parse_typed(text: &str, now: Timestamp) -> Option<Timestamp> {
    let local = |moment: DateTime| moment.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp());
    if let Some(span) = parse_span(text) {
        return now.checked_sub(span).ok();
    }
    if let Some(moment) = parse_seconds(text) {
        return Some(moment);
    }
    let moment = text.parse::<Timestamp>().ok();
    let moment = moment.or_else(|| local(text.parse::<DateTime>().ok()?));
    moment.or_else(|| local(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())))
}

fn parse_span(text: &str) -> Option<SignedDuration> {
    crate::request::nanoseconds("since", text).ok().filter(|_| text != "0").map(SignedDuration::from_nanos)
}

/// A negative moment is in the future of nobody who types one; docker's clients write `0` for the beginning.
fn parse_seconds(text: &str) -> Option<Timestamp> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 9 {
        return None;
    }
    let nanoseconds = format!("{part:0<9}").parse().ok()?;
    Timestamp::new(whole.parse().ok()?, nanoseconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        let now: Timestamp = "2024-05-01T12:00:00Z".parse().expect("a moment");
        for (text, moment) in [
            ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00Z"),
            ("2024-02-29T12:00:00.5+02:00", "2024-02-29T10:00:00.5Z"),
            ("10m", "2024-05-01T11:50:00Z"),
            ("1h30m", "2024-05-01T10:30:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("1714564800.25", "2024-05-01T12:00:00.25Z"),
        ] {
            assert_eq!(parse_typed(text, now), moment.parse().ok(), "{text}");
        }
        let date = parse_typed("2024-02-29", now).expect("a date");
        assert_eq!(parse_typed("2024-02-29T00:00:00", now), Some(date));
        for text in ["", "yesterday", "1.5.2", "2024-13-01"] {
            assert_eq!(parse_typed(text, now), None, "{text}");
        }
    }
}
