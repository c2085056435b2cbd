//! Moments: RFC 3339 in UTC with nanoseconds, as docker writes them.

use jiff::Timestamp;
use mydocker_img::cli::Moment;

/// What docker shows where something has not happened yet.
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// This moment, such as `2024-02-29T12:00:00.123456789Z`.
#[must_use]
pub fn now() -> String {
    format!("{:.9}", Timestamp::now())
}

/// Reads what people type: what documents write, also without a zone or a time, seconds since 1970 with a fraction, or a
/// span such as `1h30m`, which is counted back from now; `None` for anything else.
#[must_use]
pub fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let seconds = |text: &str| text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    match text.split_once('.') {
        Some((whole, part)) if part.len() <= 9 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            let nanos: i64 = format!("{part:0<9}").parse().ok()?;
            seconds(whole)?.checked_add(jiff::SignedDuration::from_nanos(nanos)).ok()
        }
        _ => Moment::parse_any(text, Moment::now()).and_then(|moment| Timestamp::from_second(moment.0).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_type_them() {
        let read = |text: &str| moment(text).map(|moment| moment.to_string());
        for (text, wanted) in [
            ("2024-05-01T12:00:00.123456789Z", "2024-05-01T12:00:00.123456789Z"),
            ("2024-05-01T14:00:00+02:00", "2024-05-01T12:00:00Z"),
            ("2024-05-01T12:00:00", "2024-05-01T12:00:00Z"),
            ("2024-05-01", "2024-05-01T00:00:00Z"),
            ("1714564800", "2024-05-01T12:00:00Z"),
            ("1714564800.5", "2024-05-01T12:00:00.5Z"),
        ] {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
        let hour = moment("1h").expect("a span");
        assert!((Timestamp::now() - hour).get_seconds().abs() - 3600 < 60);
        assert_eq!((moment("yesterday"), moment("1.x")), (None, None));
    }
}
