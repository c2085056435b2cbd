//! Moments as documents write them (RFC 3339), and as people read them.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// Reads when an image was made. What Go writes for a moment that nobody set, the first of the year 1, is none.
    #[must_use]
    pub fn of_image(text: &str) -> Option<Self> {
        Self::parse(text).filter(|moment| moment.fields()[0] > 1)
    }

    /// Reads `2024-02-29T12:00:00.5Z` or with an offset such as `+02:00`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = (text.get(..10)?, text.get(11..)?);
        if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') || !text.is_ascii() {
            return None;
        }
        let number = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten()
        };
        let [year, month, day] = fields(date, '-')?.map(number);
        let [hour, minute, second] = fields(time.get(..8)?, ':')?.map(number);
        let (year, month, day, hour, minute, second) = (year?, month?, day?, hour?, minute?, second?);
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let zone = time[8..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
        let offset = match zone.split_at_checked(1)? {
            ("Z" | "z", "") => 0,
            (sign @ ("+" | "-"), rest) => {
                let (hours, minutes) = rest.split_once(':')?;
                let seconds = number(hours)? * 3600 + number(minutes)? * 60;
                if sign == "-" { -seconds } else { seconds }
            }
            _ => return None,
        };
        Some(Self(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset))
    }

    /// Reads what people type: what documents write, also without a zone (UTC is meant) or without a time, seconds since 1970,
    /// or a span such as `1h30m`, which is counted back from `now`.
    #[must_use]
    pub fn parse_any(text: &str, now: Self) -> Option<Self> {
        let date = || Self::parse(&format!("{text}T00:00:00Z"));
        let local = || Self::parse(&format!("{text}Z"));
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let seconds = || text.split('.').next()?.parse().ok().map(Self).filter(|_| is_number);
        let span = || span(text).map(|span| Self(now.0.saturating_sub(span)));
        Self::parse(text).or_else(date).or_else(local).or_else(seconds).or_else(span)
    }

    /// As docker prints it: `2024-02-29 12:00:00 +0000 UTC`.
    #[must_use]
    pub fn at(self) -> String {
        let [year, month, day, hour, minute, second] = self.fields();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} +0000 UTC")
    }

    /// As documents write it: `2024-02-29T12:00:00Z`.
    #[must_use]
    pub fn in_documents(self) -> String {
        let [year, month, day, hour, minute, second] = self.fields();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Year, month, day, hour, minute and second.
    fn fields(self) -> [i64; 6] {
        let (day, second) = (self.0.div_euclid(86_400), self.0.rem_euclid(86_400));
        let (year, month, day) = date(day);
        [year, month, day, second / 3600, second / 60 % 60, second % 60]
    }

    /// How long ago, in docker's words: `2 weeks ago`.
    #[must_use]
    pub fn since(self, now: Self) -> String {
        let seconds = now.0.saturating_sub(self.0);
        let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
        let span = match () {
            () if seconds < 1 => "Less than a second".to_owned(),
            () if seconds == 1 => "1 second".to_owned(),
            () if seconds < 60 => format!("{seconds} seconds"),
            () if minutes == 1 => "About a minute".to_owned(),
            () if minutes < 60 => format!("{minutes} minutes"),
            () if hours == 1 => "About an hour".to_owned(),
            () if hours < 48 => format!("{hours} hours"),
            () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
            () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
            () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
            () => format!("{} years", hours / 24 / 365),
        };
        format!("{span} ago")
    }
}

/// Nanoseconds of a span in Go's form: `1h30m`, `1.5h`, `300ms`.
pub(crate) fn span_in_nanoseconds(text: &str) -> Option<i64> {
    seconds(text).map(|seconds| (seconds * 1e9).round() as i64)
}

/// The same in whole seconds.
fn span(text: &str) -> Option<i64> {
    seconds(text).map(|seconds| seconds as i64)
}

fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit =
            rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len() - digits);
        let number: f64 = rest[..digits].parse().ok()?;
        seconds += number
            * match &rest[digits..digits + unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[digits + unit..];
    }
    (!text.is_empty()).then_some(seconds)
}

fn fields(text: &str, separator: char) -> Option<[&str; 3]> {
    let parts: Vec<_> = text.split(separator).collect();
    parts.try_into().ok()
}

/// Days from 1970 to a date of the Gregorian calendar; a year that begins in March has its leap day at its end.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, in_era) = (year.div_euclid(400), year.rem_euclid(400));
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719_468
}

fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let (day, month) = (in_year - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_written() {
        for (text, seconds, at) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01 00:00:00 +0000 UTC"),
            ("2024-02-29T12:00:00.123456789+02:00", 1_709_200_800, "2024-02-29 10:00:00 +0000 UTC"),
            ("1969-12-31T23:59:59-00:30", 1799, "1970-01-01 00:29:59 +0000 UTC"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, "0001-01-01 00:00:00 +0000 UTC"),
        ] {
            assert_eq!(Moment::parse(text), Some(Moment(seconds)), "{text}");
            assert_eq!(Moment(seconds).at(), at);
            assert_eq!(Moment::parse(&Moment(seconds).in_documents()), Some(Moment(seconds)));
        }
        for text in
            ["", "2024-02-29", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00+0200"]
        {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_moment_that_nobody_set_is_none() {
        assert_eq!(Moment::of_image("0001-01-01T00:00:00Z"), None);
        assert_eq!(Moment::of_image("1970-01-01T00:00:00Z"), Some(Moment(0)));
    }

    #[test]
    fn people_type_times_and_spans() {
        let now = Moment(1_000_000);
        for (text, seconds) in [
            ("1970-01-02", 86_400),
            ("1970-01-01T00:00:01", 1),
            ("1970-01-01T00:00:01+01:00", -3599),
            ("1700000000.5", 1_700_000_000),
            ("1h30m", 1_000_000 - 5400),
            ("1.5h", 1_000_000 - 5400),
            ("300ms", 1_000_000),
        ] {
            assert_eq!(Moment::parse_any(text, now), Some(Moment(seconds)), "{text}");
        }
        for text in ["", "h", "1d", "yesterday", "1h2"] {
            assert_eq!(Moment::parse_any(text, now), None, "{text}");
        }
    }

    #[test]
    fn spans_are_docker_s() {
        const HOUR: i64 = 3600;
        for (seconds, text) in [
            (0, "Less than a second ago"),
            (59, "59 seconds ago"),
            (60, "About a minute ago"),
            (HOUR, "About an hour ago"),
            (47 * HOUR, "47 hours ago"),
            (48 * HOUR, "2 days ago"),
            (24 * 14 * HOUR, "2 weeks ago"),
            (24 * 60 * HOUR, "2 months ago"),
            (24 * 365 * 3 * HOUR, "3 years ago"),
        ] {
            assert_eq!(Moment(1000).since(Moment(1000 + seconds)), text);
        }
    }
}
