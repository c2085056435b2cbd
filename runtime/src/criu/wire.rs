//! Protocol buffers as far as criu's messages need them: numbers, texts, and messages in messages
//! (<https://protobuf.dev/programming-guides/encoding>).

/// A message that is being written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

impl Message {
    /// Adds a number: an unsigned one, a bool or an enum.
    pub(super) fn number(&mut self, field: u32, value: u64) {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value);
    }

    /// Adds an `int32`: a negative one takes ten bytes.
    pub(super) fn int(&mut self, field: u32, value: i32) {
        self.number(field, i64::from(value) as u64);
    }

    /// Adds a `bool` that is true; the other value is what an absent field means.
    pub(super) fn flag(&mut self, field: u32, value: bool) {
        if value {
            self.number(field, 1);
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// Adds a message.
    pub(super) fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The value of a field that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order; `None` for bytes that are no message of these kinds.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let field = u32::try_from(key >> 3).ok()?;
        let value = match key & 7 {
            VARINT => Value::Number(take_varint(&mut bytes)?),
            LENGTH => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                Value::Bytes(bytes.split_off(..length)?)
            }
            _ => return None,
        };
        fields.push((field, value));
    }
    Some(fields)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_the_encoding_guide_has_them() {
        let mut inner = Message::default();
        inner.number(1, 150);
        assert_eq!(inner.clone().into_bytes(), [0x08, 0x96, 0x01]);
        let mut outer = Message::default();
        outer.message(3, &inner);
        outer.text(2, "testing");
        outer.flag(4, false);
        outer.flag(5, true);
        let mut expected = vec![0x1a, 0x03, 0x08, 0x96, 0x01, 0x12, 0x07];
        expected.extend_from_slice(b"testing");
        expected.extend_from_slice(&[0x28, 0x01]);
        assert_eq!(outer.into_bytes(), expected);
    }

    #[test]
    fn negative_numbers_take_ten_bytes_and_come_back() {
        let mut message = Message::default();
        message.int(1, -1);
        let bytes = message.into_bytes();
        assert_eq!(bytes.len(), 11);
        assert_eq!(fields(&bytes), Some(vec![(1, Value::Number(u64::MAX))]));
    }

    #[test]
    fn what_is_cut_or_of_another_kind_is_no_message() {
        assert_eq!(fields(&[]), Some(Vec::new()));
        for bytes in [&[0x08][..], &[0x08, 0x80], &[0x12, 0x05, b'a'], &[0x0d, 0, 0, 0, 0], &[0xff; 12]] {
            assert_eq!(fields(bytes), None, "{bytes:?}");
        }
    }
}
