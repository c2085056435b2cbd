//! What messages carry.

use std::fmt;

/// A value of one of D-Bus's types (D-Bus Specification, Type System).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum Value {
    Byte(u8),
    Boolean(bool),
    Int16(i16),
    Uint16(u16),
    Int32(i32),
    Uint32(u32),
    Int64(i64),
    Uint64(u64),
    Double(f64),
    Text(String),
    ObjectPath(String),
    Signature(String),
    /// The signature of the elements, and the elements.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
    /// Key and value; an element of an array only.
    Entry(Box<Value>, Box<Value>),
    Variant(Box<Value>),
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An array of texts.
    #[must_use]
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Array("s".into(), texts.into_iter().map(Self::text).collect())
    }

    /// An array of bytes.
    #[must_use]
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Array("y".into(), bytes.iter().copied().map(Self::Byte).collect())
    }

    /// The text of a text, an object path or a signature.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::ObjectPath(text) | Self::Signature(text) => Some(text),
            _ => None,
        }
    }

    /// The type, as the specification's codes.
    #[must_use]
    pub fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".into(),
            Self::Boolean(_) => "b".into(),
            Self::Int16(_) => "n".into(),
            Self::Uint16(_) => "q".into(),
            Self::Int32(_) => "i".into(),
            Self::Uint32(_) => "u".into(),
            Self::Int64(_) => "x".into(),
            Self::Uint64(_) => "t".into(),
            Self::Double(_) => "d".into(),
            Self::Text(_) => "s".into(),
            Self::ObjectPath(_) => "o".into(),
            Self::Signature(_) => "g".into(),
            Self::Array(element, _) => format!("a{element}"),
            Self::Struct(fields) => format!("({})", fields.iter().map(Self::signature).collect::<String>()),
            Self::Entry(key, value) => format!("{{{}{}}}", key.signature(), value.signature()),
            Self::Variant(_) => "v".into(),
        }
    }
}

/// The value for a person, in GVariant text without types.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(number) => write!(f, "{number}"),
            Self::Boolean(yes) => write!(f, "{yes}"),
            Self::Int16(number) => write!(f, "{number}"),
            Self::Uint16(number) => write!(f, "{number}"),
            Self::Int32(number) => write!(f, "{number}"),
            Self::Uint32(number) => write!(f, "{number}"),
            Self::Int64(number) => write!(f, "{number}"),
            Self::Uint64(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number:?}"),
            Self::Text(text) | Self::ObjectPath(text) | Self::Signature(text) => write!(f, "{text:?}"),
            Self::Array(_, items) => list(f, "[", items, "]"),
            Self::Struct(fields) => list(f, "(", fields, ")"),
            Self::Entry(key, value) => write!(f, "{{{key}: {value}}}"),
            Self::Variant(inner) => write!(f, "<{inner}>"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, begin: &str, items: &[Value], end: &str) -> fmt::Result {
    f.write_str(begin)?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(end)
}

/// Splits the first complete type off a signature: `a{sv}u` gives `a{sv}` and `u`. None for what is no type.
pub(super) fn split_type(signature: &str) -> Option<(&str, &str)> {
    let length = type_length(signature.as_bytes(), 0)?;
    Some(signature.split_at(length))
}

/// The specification allows 32 levels of arrays and 32 of structures.
const MAX_DEPTH: usize = 64;

fn type_length(signature: &[u8], depth: usize) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |from: usize| signature.get(from..).and_then(|rest| type_length(rest, depth + 1));
    match signature.first()? {
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' | b'h' => {
            Some(1)
        }
        b'a' if signature.get(1) == Some(&b'{') => {
            let key = 2 + inner(2)?;
            let end = key + inner(key)?;
            (signature.get(end) == Some(&b'}')).then_some(end + 1)
        }
        b'a' => Some(1 + inner(1)?),
        b'(' => {
            let mut end = 1 + inner(1)?;
            while *signature.get(end)? != b')' {
                end += inner(end)?;
            }
            Some(end + 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_split_into_complete_types() {
        assert_eq!(split_type("a{sv}u"), Some(("a{sv}", "u")));
        assert_eq!(split_type("a(sa(sv))a(sa(sv))"), Some(("a(sa(sv))", "a(sa(sv))")));
        for wrong in ["", "a", "(", "()", "(s", "a{s}", "{sv}", "z", &"a".repeat(100)] {
            assert_eq!(split_type(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn values_know_their_types() {
        let property = Value::Struct(vec![Value::text("PIDs"), Value::Variant(Value::Uint32(1).into())]);
        assert_eq!(Value::Array(property.signature(), vec![property]).signature(), "a(sv)");
        assert_eq!(Value::Entry(Value::text("k").into(), Value::Byte(1).into()).signature(), "{sy}");
    }
}
