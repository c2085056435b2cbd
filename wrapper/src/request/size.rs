//! Sizes and times as people write them.

use super::{RequestError, bad};

/// Reads `512`, `512b`, `100k`, `100m`, `1.5g`, `1gb`, `1gib` (units of 1,024), in any case: bytes.
///
/// # Errors
/// [`RequestError::Value`].
pub fn bytes(flag: &'static str, text: &str) -> Result<u64, RequestError> {
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    let factor: u64 = match unit.trim() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => {
            return Err(bad(
                flag,
                text,
                "it is no size; write a number with b, k, m or g after it, such as 100m",
            ));
        }
    };
    scaled(number, factor).ok_or_else(|| {
        bad(flag, text, "it is no size; write a number with b, k, m or g after it, such as 100m")
    })
}

/// A decimal number times `factor`, without the errors of floating point.
pub fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.len() > 9 {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let digits: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part = u64::try_from(u128::from(digits) * u128::from(factor) / scale).ok()?;
    whole.checked_mul(factor)?.checked_add(part)
}

/// Reads Go's durations: `300ms`, `30s`, `1m30s`, `1.5h`: nanoseconds.
///
/// # Errors
/// [`RequestError::Value`].
pub fn nanoseconds(flag: &'static str, text: &str) -> Result<i64, RequestError> {
    let wrong =
        || bad(flag, text, "it is no time; write a number with ms, s, m or h after it, such as 30s or 1m30s");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut sum: u64 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(end);
        let unit = &after[..after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len())];
        let factor = match unit {
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(wrong()),
        };
        sum = scaled(number, factor).and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
        rest = &after[unit.len()..];
    }
    i64::try_from(sum).ok().filter(|_| !text.is_empty()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        for (text, size) in [
            ("0", 0),
            ("512", 512),
            ("1b", 1),
            ("100m", 100 << 20),
            ("1.5G", 3 << 29),
            ("2kb", 2048),
            (".5m", 1 << 19),
        ] {
            assert_eq!(bytes("memory", text).expect(text), size, "{text}");
        }
        for text in ["", "m", "-1", "1x", "1.2.3m", "99999999999g", "1e3"] {
            assert!(bytes("memory", text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_those_of_go() {
        for (text, time) in [
            ("0", 0),
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("5ms", 5_000_000),
        ] {
            assert_eq!(nanoseconds("health-interval", text).expect(text), time, "{text}");
        }
        for text in ["", "30", "s", "1y", "-1s", "1m30"] {
            assert!(nanoseconds("health-interval", text).is_err(), "{text}");
        }
    }
}
