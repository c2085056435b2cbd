//! `org.systemd.property.NAME` annotations: further properties of the unit, as GVariant text.

use super::Property;
use crate::dbus::Value;
use crate::dbus::text::{self, TextError};
use std::collections::BTreeMap;

/// How the names of the annotations begin.
pub const PREFIX: &str = "org.systemd.property.";

/// Why an annotation is no property.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AnnotationError {
    /// The name is none.
    #[error("/annotations/{0}: the name of a property has at least three letters and nothing else")]
    Name(String),
    /// The value is none.
    #[error("/annotations/{0}: the value {1:?} is no GVariant text, such as \"uint64 5\" or \"'text'\"")]
    Value(String, String, #[source] TextError),
    /// A time is no number.
    #[error("/annotations/{0}: the value {1:?} is no number of seconds between 0 and 2^64 microseconds")]
    Seconds(String, String),
}

/// The properties that annotations ask for, in the order of their names. systemd documents times in seconds, as
/// `TimeoutStopSec`, and takes them over D-Bus in microseconds, as `TimeoutStopUSec`; both are understood here.
///
/// # Errors
/// [`AnnotationError`]
pub fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>, AnnotationError> {
    let ours = annotations.iter().filter_map(|(key, text)| Some((key, key.strip_prefix(PREFIX)?, text)));
    ours.map(|(key, name, text)| property(key, name, text)).collect()
}

fn property(key: &str, name: &str, text: &str) -> Result<Property, AnnotationError> {
    if name.len() < 3 || !name.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return Err(AnnotationError::Name(key.into()));
    }
    let value = text::parse(text).map_err(|error| AnnotationError::Value(key.into(), text.into(), error))?;
    // `USec` also ends in "Sec".
    match name.strip_suffix("Sec").filter(|stem| stem.ends_with(|letter: char| letter.is_ascii_lowercase())) {
        None => Ok(Property::new(name.to_owned(), value)),
        Some(stem) => match microseconds(&value) {
            Some(time) => Ok(Property::new(format!("{stem}USec"), Value::Uint64(time))),
            None => Err(AnnotationError::Seconds(key.into(), text.into())),
        },
    }
}

fn microseconds(seconds: &Value) -> Option<u64> {
    let whole = match seconds {
        Value::Byte(number) => u64::from(*number),
        Value::Uint16(number) => u64::from(*number),
        Value::Uint32(number) => u64::from(*number),
        Value::Uint64(number) => *number,
        Value::Int16(number) => u64::try_from(*number).ok()?,
        Value::Int32(number) => u64::try_from(*number).ok()?,
        Value::Int64(number) => u64::try_from(*number).ok()?,
        Value::Double(number) => {
            let time = number * 1e6;
            // 2^64 itself is the first that does not fit.
            return (time >= 0.0 && time < u64::MAX as f64).then_some(time as u64);
        }
        _ => return None,
    };
    whole.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Result<Property, AnnotationError> {
        let annotations = BTreeMap::from([
            (format!("{PREFIX}{name}"), text.to_owned()),
            ("org.example.other".to_owned(), "not for systemd".to_owned()),
        ]);
        let mut found = properties(&annotations)?;
        assert_eq!(found.len(), 1);
        Ok(found.remove(0))
    }

    #[test]
    fn annotations_become_properties() {
        let stop = of("TimeoutStopUSec", "uint64 123456789").unwrap();
        assert_eq!((&*stop.name, stop.value), ("TimeoutStopUSec", Value::Uint64(123_456_789)));
        let mode = of("CollectMode", "'inactive-or-failed'").unwrap();
        assert_eq!(mode.value, Value::text("inactive-or-failed"));
    }

    #[test]
    fn seconds_become_microseconds() {
        for (text, time) in [
            ("456", 456_000_000),
            ("byte 234", 234_000_000),
            ("int64 5", 5_000_000),
            ("uint32 6", 6_000_000),
            ("1.5", 1_500_000),
        ] {
            let property = of("TimeoutStopSec", text).unwrap();
            assert_eq!((&*property.name, property.value), ("TimeoutStopUSec", Value::Uint64(time)), "{text}");
        }
    }

    #[test]
    fn what_is_no_property_is_refused_with_its_annotation() {
        assert!(matches!(of("Ab", "1"), Err(AnnotationError::Name(_))));
        assert!(matches!(of("A.B.C", "1"), Err(AnnotationError::Name(_))));
        assert!(matches!(of("Abc", "1 2"), Err(AnnotationError::Value(..))));
        for text in ["'5'", "-1", "uint64 18446744073709551615", "1e300", "true"] {
            assert!(matches!(of("TimeoutStopSec", text), Err(AnnotationError::Seconds(..))), "{text}");
        }
        assert!(
            of("Abc", "x").unwrap_err().to_string().starts_with("/annotations/org.systemd.property.Abc: ")
        );
    }
}
