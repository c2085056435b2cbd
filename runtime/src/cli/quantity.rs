//! Amounts as people type them and as runc reads them: bytes with units, and spans of time.

use std::time::Duration;

/// A number of bytes: `1048576`, `100m`, `1.5GiB`; units are powers of 1,024 in any case. -1 stands for no limit.
pub(super) fn bytes(text: &str) -> Result<i64, String> {
    if text == "-1" {
        return Ok(-1);
    }
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map_or(0, |last| last + 1);
    let (number, unit) = text.split_at(end);
    let refused = || format!("{text:?} is no amount of bytes such as 1048576, 100m or -1 for no limit");
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && !number.starts_with('.')
        && !number.ends_with('.');
    let number: f64 = number.parse().ok().filter(|_| plain).ok_or_else(refused)?;
    let bytes = number * scale(unit.trim_start_matches(' ')).ok_or_else(refused)?;
    // Beyond this a float no longer tells one byte from the next, and near the end it would become -1 or less.
    if bytes > 9e18 { Err(format!("{text:?} is more than a limit can be")) } else { Ok(bytes as i64) }
}

fn scale(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    let Some(prefix) = unit.chars().next().filter(|first| *first != 'b') else {
        return (unit.len() <= 1).then_some(1.0);
    };
    let power = "kmgtp".find(prefix)? + 1;
    matches!(&unit[1..], "" | "b" | "ib").then(|| 1024f64.powi(power as i32))
}

/// A span of time as Go writes it: `5s`, `1m30s`, `1.5h`, `300ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("{text:?} is no span of time such as 5s, 1m30s or 300ms");
    let positive = text.strip_prefix('+').unwrap_or(text);
    if positive.starts_with('-') {
        return Err("duration interval must be greater than 0".into());
    }
    if positive == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = positive;
    let mut seconds = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refused)?;
        let end = rest[digits..]
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .map_or(rest.len(), |at| digits + at);
        let number: f64 = rest[..digits].parse().map_err(|_| refused())?;
        seconds += number * seconds_of(&rest[digits..end]).ok_or_else(refused)?;
        rest = &rest[end..];
    }
    if positive.is_empty() {
        Err(refused())
    } else {
        Duration::try_from_secs_f64(seconds).map_err(|_| refused())
    }
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// A span of time that is not none, as `events` needs it; the words are runc's.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("duration interval must be greater than 0".into()),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_binary_units_in_any_case() {
        for (text, bytes_) in [
            ("-1", -1),
            ("0", 0),
            ("123", 123),
            ("123b", 123),
            ("1k", 1024),
            ("1K", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("100m", 104_857_600),
            ("1.5g", 1_610_612_736),
            ("2 GB", 2 << 30),
            ("1t", 1 << 40),
            ("1P", 1 << 50),
        ] {
            assert_eq!(bytes(text), Ok(bytes_), "{text}");
        }
        for text in [
            "",
            "m",
            "-2",
            "1x",
            "1kk",
            "1bb",
            "1kibi",
            ".5m",
            "5.m",
            "1e3",
            "NaN",
            "+1",
            " 1",
            "99999999999p",
        ] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn spans_of_time_are_gos() {
        for (text, milliseconds) in
            [("5s", 5000), ("1m30s", 90_000), ("300ms", 300), ("1.5h", 5_400_000), ("0", 0)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "5", "s", "5x", "5s5", "1..2s", "-5s", "+"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["0", "0s", "-1s"] {
            assert_eq!(interval(text), Err("duration interval must be greater than 0".into()), "{text}");
        }
    }
}
