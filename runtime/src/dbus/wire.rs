//! Values as bytes (D-Bus Specification, Marshaling).

use super::value::{Value, split_type};

/// Why bytes are no message, or a value cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A text has a NUL byte.
    #[error("the text {0:?} contains a NUL byte")]
    Nul(String),
    /// It is longer than the specification allows.
    #[error("{0} bytes are more than a message can carry")]
    Long(usize),
    /// The bytes end in the middle.
    #[error("it ends in the middle of a value")]
    Short,
    /// A text is no UTF-8.
    #[error("a text is not valid UTF-8")]
    Text,
    /// A type is none.
    #[error("{0:?} is no signature")]
    Signature(String),
    /// Something else than the specification prescribes.
    #[error("{0}")]
    Malformed(&'static str),
}

/// The longest array (D-Bus Specification, Marshaling): 64 MiB.
const MAX_ARRAY: usize = 64 << 20;

/// Writes values, little-endian; receivers take both orders.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    pub(super) bytes: Vec<u8>,
}

impl Encoder {
    pub(super) fn align(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.align(4);
        self.bytes.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) -> Result<(), WireError> {
        self.u32(length(text.len())?);
        self.terminated(text)
    }

    fn signature(&mut self, signature: &str) -> Result<(), WireError> {
        let length = u8::try_from(signature.len()).map_err(|_| WireError::Long(signature.len()))?;
        self.bytes.push(length);
        self.terminated(signature)
    }

    fn terminated(&mut self, text: &str) -> Result<(), WireError> {
        if text.contains('\0') {
            return Err(WireError::Nul(text.into()));
        }
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    pub(super) fn value(&mut self, value: &Value) -> Result<(), WireError> {
        match value {
            Value::Byte(number) => self.bytes.push(*number),
            Value::Boolean(yes) => self.u32(u32::from(*yes)),
            Value::Int16(number) => self.number(number.to_le_bytes()),
            Value::Uint16(number) => self.number(number.to_le_bytes()),
            Value::Int32(number) => self.number(number.to_le_bytes()),
            Value::Uint32(number) => self.u32(*number),
            Value::Int64(number) => self.number(number.to_le_bytes()),
            Value::Uint64(number) => self.number(number.to_le_bytes()),
            Value::Double(number) => self.number(number.to_le_bytes()),
            Value::Text(text) | Value::ObjectPath(text) => self.text(text)?,
            Value::Signature(signature) => self.signature(signature)?,
            Value::Array(element, items) => self.array(element, items)?,
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().try_for_each(|field| self.value(field))?;
            }
            Value::Entry(key, value) => {
                self.align(8);
                self.value(key)?;
                self.value(value)?;
            }
            Value::Variant(inner) => {
                self.signature(&inner.signature())?;
                self.value(inner)?;
            }
        }
        Ok(())
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.bytes.extend(bytes);
    }

    /// The length counts from the first element, whose padding comes before it.
    fn array(&mut self, element: &str, items: &[Value]) -> Result<(), WireError> {
        self.u32(0);
        let place = self.bytes.len() - 4;
        self.align(alignment(element));
        let start = self.bytes.len();
        items.iter().try_for_each(|item| self.value(item))?;
        let length = length(self.bytes.len() - start)?;
        self.bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

fn length(bytes: usize) -> Result<u32, WireError> {
    u32::try_from(bytes).ok().filter(|_| bytes <= MAX_ARRAY).ok_or(WireError::Long(bytes))
}

fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a' | b'h') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// Reads values; offsets count from the beginning of the bytes.
#[derive(Debug)]
pub(super) struct Decoder<'bytes> {
    bytes: &'bytes [u8],
    at: usize,
    big_endian: bool,
    depth: usize,
}

/// Arrays in structures in variants: more than the specification allows is an attack on the stack.
const MAX_DEPTH: usize = 64;

impl<'bytes> Decoder<'bytes> {
    pub(super) fn new(bytes: &'bytes [u8], big_endian: bool) -> Self {
        Self { bytes, at: 0, big_endian, depth: 0 }
    }

    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = at;
    }

    fn take(&mut self, count: usize) -> Result<&'bytes [u8], WireError> {
        let end = self.at.checked_add(count).ok_or(WireError::Short)?;
        let bytes = self.bytes.get(self.at..end).ok_or(WireError::Short)?;
        self.at = end;
        Ok(bytes)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.at = self.at.next_multiple_of(N);
        let mut bytes: [u8; N] = self.take(N)?.try_into().map_err(|_| WireError::Short)?;
        if self.big_endian {
            bytes.reverse();
        }
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.number().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, WireError> {
        let length = self.u32()? as usize;
        self.terminated(length)
    }

    fn signature(&mut self) -> Result<String, WireError> {
        let length = usize::from(self.take(1)?[0]);
        self.terminated(length)
    }

    fn terminated(&mut self, length: usize) -> Result<String, WireError> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| WireError::Text)?.to_owned();
        match self.take(1)? {
            [0] if text.contains('\0') => Err(WireError::Nul(text)),
            [0] => Ok(text),
            _ => Err(WireError::Malformed("a text does not end in a NUL byte")),
        }
    }

    /// The values of a signature, one after the other.
    pub(super) fn values(&mut self, signature: &str) -> Result<Vec<Value>, WireError> {
        let mut values = Vec::new();
        let mut rest = signature;
        while !rest.is_empty() {
            let (first, others) = split(rest)?;
            values.push(self.value(first)?);
            rest = others;
        }
        Ok(values)
    }

    /// One value of a complete type.
    pub(super) fn value(&mut self, signature: &str) -> Result<Value, WireError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WireError::Malformed("values are nested too deep"));
        }
        let value = self.nested(signature);
        self.depth -= 1;
        value
    }

    fn nested(&mut self, signature: &str) -> Result<Value, WireError> {
        Ok(match signature.as_bytes().first() {
            Some(b'y') => Value::Byte(self.take(1)?[0]),
            Some(b'b') => Value::Boolean(self.u32()? != 0),
            Some(b'n') => Value::Int16(i16::from_le_bytes(self.number()?)),
            Some(b'q') => Value::Uint16(u16::from_le_bytes(self.number()?)),
            Some(b'i') => Value::Int32(i32::from_le_bytes(self.number()?)),
            // A descriptor is the number of its place in a list.
            Some(b'u' | b'h') => Value::Uint32(self.u32()?),
            Some(b'x') => Value::Int64(i64::from_le_bytes(self.number()?)),
            Some(b't') => Value::Uint64(u64::from_le_bytes(self.number()?)),
            Some(b'd') => Value::Double(f64::from_le_bytes(self.number()?)),
            Some(b's') => Value::Text(self.text()?),
            Some(b'o') => Value::ObjectPath(self.text()?),
            Some(b'g') => Value::Signature(self.signature()?),
            Some(b'a') => self.array(&signature[1..])?,
            Some(b'(') => {
                self.at = self.at.next_multiple_of(8);
                Value::Struct(self.values(&signature[1..signature.len() - 1])?)
            }
            Some(b'v') => {
                let inner = self.signature()?;
                let (inner, rest) = split(&inner)?;
                if !rest.is_empty() {
                    return Err(WireError::Malformed("a variant holds more than one value"));
                }
                Value::Variant(self.value(inner)?.into())
            }
            _ => return Err(WireError::Signature(signature.into())),
        })
    }

    fn array(&mut self, element: &str) -> Result<Value, WireError> {
        let length = self.u32()? as usize;
        self.at = self.at.next_multiple_of(alignment(element));
        let end = self.at.checked_add(length).ok_or(WireError::Short)?;
        if length > MAX_ARRAY || end > self.bytes.len() {
            return Err(WireError::Short);
        }
        let mut items = Vec::new();
        while self.at < end {
            items.push(match element.strip_prefix('{') {
                Some(pair) => self.entry(pair)?,
                None => self.value(element)?,
            });
        }
        Ok(Value::Array(element.to_owned(), items))
    }

    /// `pair` is what stands behind the opening brace; its last brace may be that of a dictionary which is the value.
    fn entry(&mut self, pair: &str) -> Result<Value, WireError> {
        self.at = self.at.next_multiple_of(8);
        let (key, rest) = split(pair)?;
        let (value, _brace) = split(rest)?;
        let key = self.value(key)?;
        Ok(Value::Entry(key.into(), self.value(value)?.into()))
    }
}

fn split(signature: &str) -> Result<(&str, &str), WireError> {
    split_type(signature).ok_or_else(|| WireError::Signature(signature.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(value: &Value) -> Vec<u8> {
        let mut encoder = Encoder::default();
        encoder.value(value).unwrap();
        encoder.bytes
    }

    fn round_trip(value: &Value) {
        let bytes = encoded(value);
        let decoded = Decoder::new(&bytes, false).value(&value.signature()).unwrap();
        assert_eq!(&decoded, value);
        for cut in 0..bytes.len() {
            // No cut is taken for the whole, and none is a panic.
            assert!(Decoder::new(&bytes[..cut], false).value(&value.signature()).is_err(), "{cut}");
        }
    }

    #[test]
    fn numbers_and_texts_are_aligned_to_their_size() {
        let value =
            Value::Struct(vec![Value::Byte(1), Value::Uint32(2), Value::text("ab"), Value::Uint64(3)]);
        assert_eq!(
            encoded(&value),
            [
                1, 0, 0, 0, 2, 0, 0, 0, //
                2, 0, 0, 0, b'a', b'b', 0, 0, //
                3, 0, 0, 0, 0, 0, 0, 0
            ]
        );
    }

    #[test]
    fn the_length_of_an_array_leaves_out_the_padding_before_its_first_element() {
        assert_eq!(encoded(&Value::Array("t".into(), Vec::new())), [0; 8]);
        let one = Value::Array("t".into(), vec![Value::Uint64(1)]);
        assert_eq!(encoded(&one), [8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_variant_brings_its_signature() {
        assert_eq!(encoded(&Value::Variant(Value::Uint32(7).into())), [1, b'u', 0, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let entry =
            Value::Entry(Value::text("k").into(), Value::Variant(Value::bytes(&[1, 2]).into()).into());
        round_trip(&Value::Struct(vec![
            Value::Boolean(true),
            Value::Int16(-2),
            Value::Uint16(3),
            Value::Int32(-4),
            Value::Int64(-5),
            Value::Double(1.5),
            Value::ObjectPath("/a".into()),
            Value::Signature("a{sv}".into()),
            Value::Array("{sv}".into(), vec![entry]),
            Value::texts(["x", "yz"]),
        ]));
    }

    #[test]
    fn a_dictionary_in_a_dictionary_keeps_its_type() {
        let pair = |key: &str, value| Value::Entry(Value::text(key).into(), Box::new(value));
        let inner = Value::Array("{sy}".into(), vec![pair("k", Value::Byte(1))]);
        round_trip(&Value::Array("{sa{sy}}".into(), vec![pair("outer", inner)]));
    }

    #[test]
    fn the_other_byte_order_is_read_too() {
        assert_eq!(Decoder::new(&[0, 0, 1, 2], true).u32(), Ok(258));
    }

    #[test]
    fn what_cannot_be_carried_is_refused() {
        let mut encoder = Encoder::default();
        assert_eq!(encoder.value(&Value::text("a\0b")), Err(WireError::Nul("a\0b".into())));
        let deep = (0..100).fold(Value::Byte(1), |inner, _| Value::Variant(inner.into()));
        let bytes = encoded(&deep);
        assert!(matches!(Decoder::new(&bytes, false).value("v"), Err(WireError::Malformed(_))));
        assert_eq!(Decoder::new(&[255; 4], false).value("ay"), Err(WireError::Short));
        let inside = Decoder::new(&[3, 0, 0, 0, b'a', 0, b'b', 0], false).value("s");
        assert_eq!(inside, Err(WireError::Nul("a\0b".into())));
    }
}
