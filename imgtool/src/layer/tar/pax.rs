//! pax headers: what does not fit into a header of 512 bytes, as records of text.

use super::{PATH_LIMIT, Time, sparse};
use std::ffi::CString;

/// Where Go, GNU tar and star keep extended attributes.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// What is wrong with a pax header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaxError {
    /// A record is not `LENGTH KEY=VALUE` and a newline.
    #[error("a record at byte {0} is not 'LENGTH KEY=VALUE' with a newline")]
    Record(usize),
    /// A value is not what its key needs.
    #[error("the value of {0} cannot be understood")]
    Value(String),
    /// A name is longer than any path can be.
    #[error("{0} has more than {PATH_LIMIT} bytes")]
    TooLong(&'static str),
    /// It is about all entries.
    #[error("it gives {0} for all entries at once, which programs read in different ways")]
    Global(String),
}

/// What records say about an entry.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub modified: Option<Time>,
    pub attributes: Vec<(CString, Vec<u8>)>,
    pub sparse: sparse::Records,
}

impl Records {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PaxError> {
        let mut records = Self::default();
        for record in records_of(bytes) {
            let (key, value) = record?;
            records.take(key, value)?;
        }
        Ok(records)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), PaxError> {
        match key {
            b"path" => self.path = name(value, "path")?,
            b"linkpath" => self.link = name(value, "linkpath")?,
            b"size" => self.size = optional(key, value, decimal)?,
            b"uid" => self.uid = optional(key, value, id)?,
            b"gid" => self.gid = optional(key, value, id)?,
            b"mtime" => self.modified = optional(key, value, time)?,
            _ => {
                if let Some(attribute) = key.strip_prefix(ATTRIBUTE) {
                    return self.attribute(key, attribute, value);
                }
                if let Some(field) = key.strip_prefix(b"GNU.sparse.") {
                    return self.sparse.take(field, value).ok_or_else(|| wrong(key));
                }
            }
        }
        Ok(())
    }

    /// The last record about an attribute is the one that counts.
    fn attribute(&mut self, key: &[u8], attribute: &[u8], value: &[u8]) -> Result<(), PaxError> {
        let name = CString::new(attribute).map_err(|_| wrong(key))?;
        if name.is_empty() || name.as_bytes().len() > 255 || value.len() > 64 << 10 {
            return Err(wrong(key));
        }
        self.attributes.retain(|(known, _)| *known != name);
        self.attributes.push((name, value.to_owned()));
        Ok(())
    }
}

/// Demands that a header about all entries says nothing that matters, as that of `git archive` does.
pub(super) fn check_global(bytes: &[u8]) -> Result<(), PaxError> {
    for record in records_of(bytes) {
        let (key, _) = record?;
        let matters = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime");
        if matters || key.starts_with(ATTRIBUTE) || key.starts_with(b"GNU.sparse.") {
            return Err(PaxError::Global(String::from_utf8_lossy(key).into_owned()));
        }
    }
    Ok(())
}

/// The records: each begins with its own length in decimal digits, and a blank.
fn records_of(bytes: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), PaxError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        // The rest of the block may be filled with NULs that the length covers.
        if at >= bytes.len() || bytes[at..].iter().all(|byte| *byte == 0) {
            return None;
        }
        let record = record(&bytes[at..]);
        let result = record.map(|(_, key, value)| (key, value)).ok_or(PaxError::Record(at));
        at = record.map_or(bytes.len(), |(length, _, _)| at + length);
        Some(result)
    })
}

fn record(bytes: &[u8]) -> Option<(usize, &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    let content = bytes.get(blank + 1..length)?.strip_suffix(b"\n")?;
    let equals = content.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    Some((length, &content[..equals], &content[equals + 1..]))
}

/// A name; an empty one says that the header's own counts.
fn name(value: &[u8], key: &'static str) -> Result<Option<Vec<u8>>, PaxError> {
    if value.len() as u64 > PATH_LIMIT {
        return Err(PaxError::TooLong(key));
    }
    if value.contains(&0) {
        return Err(wrong(key.as_bytes()));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

fn optional<T>(key: &[u8], value: &[u8], parse: fn(&[u8]) -> Option<T>) -> Result<Option<T>, PaxError> {
    if value.is_empty() {
        return Ok(None);
    }
    parse(value).map(Some).ok_or_else(|| wrong(key))
}

fn wrong(key: &[u8]) -> PaxError {
    PaxError::Value(String::from_utf8_lossy(key).into_owned())
}

/// Decimal digits and nothing else; lengths stay below what a file can have.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number <= i64::MAX as u64).then_some(number)
}

fn id(text: &[u8]) -> Option<u32> {
    decimal(text).and_then(|number| u32::try_from(number).ok())
}

/// Seconds with a fraction, of which nine digits count; before 1970 both are negative.
fn time(text: &[u8]) -> Option<Time> {
    let (is_negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let (seconds, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = decimal(seconds)? as i64;
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some(match (is_negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits_behind_the_point() {
        assert_eq!(time(b"1.5"), Some(Time { seconds: 1, nanoseconds: 500_000_000 }));
        assert_eq!(time(b"1.1234567899"), Some(Time { seconds: 1, nanoseconds: 123_456_789 }));
        assert_eq!(time(b"-1.25"), Some(Time { seconds: -2, nanoseconds: 750_000_000 }));
        assert_eq!(time(b"-7"), Some(Time { seconds: -7, nanoseconds: 0 }));
        assert_eq!(time(b"1.x"), None);
        assert_eq!(time(b""), None);
    }

    #[test]
    fn records_are_taken_by_their_length() {
        let records = Records::parse(b"12 path=a=b\n20 SCHILY.xattr.u=\n\n").expect("records");
        assert_eq!(records.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(records.attributes, [(c"u".to_owned(), b"\n".to_vec())]);
        for text in [&b"12 path=a=b"[..], b"0 \n", b"5 =b\n", b"99 a=b\n", b"+9 a=bcd\n", b"-9 a=bcd\n"] {
            assert!(Records::parse(text).is_err(), "{text:?}");
        }
        assert!(Records::parse(b"11 size=-1\n").is_err());
        assert!(Records::parse(b"18 uid=4294967296\n").is_err());
        assert!(Records::parse(b"12 path=a\0b\n").is_err());
    }
}
