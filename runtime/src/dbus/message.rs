//! Messages: a header and the values after it (D-Bus Specification, Message Format).

use super::value::Value;
use super::wire::{Decoder, Encoder, WireError};

/// A method call to be made.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// The name of whoever is called; none on a connection without a bus.
    pub destination: Option<&'a str>,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
    /// The method.
    pub member: &'a str,
    /// The arguments.
    pub arguments: &'a [Value],
}

const LITTLE_ENDIAN: u8 = b'l';
const BIG_ENDIAN: u8 = b'B';
const VERSION: u8 = 1;
/// A reply is wanted, and whoever is called may be started for it: a user's bus that has just been started itself
/// learns in this way of the systemd that started it.
const NO_FLAGS: u8 = 0;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// What kind of message one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the specification's")]
pub enum Kind {
    MethodCall = 1,
    MethodReturn = 2,
    Error = 3,
    Signal = 4,
}

impl Call<'_> {
    /// The bytes of the message with the number `serial`, which is not 0.
    ///
    /// # Errors
    /// [`WireError`] for arguments that no message can carry.
    pub fn encode(&self, serial: u32) -> Result<Vec<u8>, WireError> {
        let mut body = Encoder::default();
        self.arguments.iter().try_for_each(|argument| body.value(argument))?;
        let signature: String = self.arguments.iter().map(Value::signature).collect();
        let mut fields = vec![
            field(PATH, Value::ObjectPath(self.path.into())),
            field(INTERFACE, Value::text(self.interface)),
            field(MEMBER, Value::text(self.member)),
        ];
        fields.extend(self.destination.map(|name| field(DESTINATION, Value::text(name))));
        if !signature.is_empty() {
            fields.push(field(SIGNATURE, Value::Signature(signature)));
        }
        let mut message = Encoder::default();
        message.bytes.extend([LITTLE_ENDIAN, Kind::MethodCall as u8, NO_FLAGS, VERSION]);
        message.u32(u32::try_from(body.bytes.len()).map_err(|_| WireError::Long(body.bytes.len()))?);
        message.u32(serial);
        message.value(&Value::Array("(yv)".into(), fields))?;
        message.align(8);
        message.bytes.extend(body.bytes);
        Ok(message.bytes)
    }
}

fn field(code: u8, value: Value) -> Value {
    Value::Struct(vec![Value::Byte(code), Value::Variant(value.into())])
}

/// A message that has come in.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Its kind.
    pub kind: Kind,
    /// The call that it answers; 0 for a signal.
    pub reply_to: u32,
    /// The member: of a signal its name.
    pub member: String,
    /// The interface of a signal or call.
    pub interface: String,
    /// The error's name.
    pub error_name: String,
    /// Its values.
    pub body: Vec<Value>,
}

/// The longest message that is taken; systemd's answers have some hundred bytes. Values in memory take up to eighty times
/// as much: an empty array has four bytes, and keeps the signature of its elements.
const MAX_MESSAGE: usize = 1 << 20;

/// The part of a header whose size is fixed: up to the length of the fields.
const FIXED: usize = 16;

impl Incoming {
    /// The length of the message at the beginning of `bytes`; none while too little of it is there.
    ///
    /// # Errors
    /// [`WireError`] for what is no message.
    pub fn length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
        let Some(header) = bytes.get(..FIXED) else { return Ok(None) };
        let mut decoder = Decoder::new(header, big_endian(header)?);
        if header[3] != VERSION {
            return Err(WireError::Malformed("it has another version of the protocol"));
        }
        decoder.skip_to(4);
        let body = decoder.u32()? as usize;
        decoder.skip_to(12);
        let fields = decoder.u32()? as usize;
        if body > MAX_MESSAGE || fields > MAX_MESSAGE {
            return Err(WireError::Long(body.saturating_add(fields)));
        }
        Ok(Some((FIXED + fields).next_multiple_of(8) + body))
    }

    /// The whole message in `bytes`.
    ///
    /// # Errors
    /// [`WireError`] for what is no message.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut decoder = Decoder::new(bytes, big_endian(bytes)?);
        let kind = match bytes.get(1) {
            Some(1) => Kind::MethodCall,
            Some(2) => Kind::MethodReturn,
            Some(3) => Kind::Error,
            Some(4) => Kind::Signal,
            _ => return Err(WireError::Malformed("its kind is unknown")),
        };
        let mut message = Self {
            kind,
            reply_to: 0,
            member: String::new(),
            interface: String::new(),
            error_name: String::new(),
            body: Vec::new(),
        };
        decoder.skip_to(12);
        let length = decoder.u32()? as usize;
        decoder.skip_to(12);
        let mut signature = String::new();
        if let Value::Array(_, fields) = decoder.value("a(yv)")? {
            fields.into_iter().for_each(|field| message.note(field, &mut signature));
        }
        decoder.skip_to((FIXED + length).next_multiple_of(8));
        message.body = decoder.values(&signature)?;
        Ok(message)
    }

    fn note(&mut self, field: Value, signature: &mut String) {
        let Value::Struct(pair) = field else { return };
        let Ok([Value::Byte(code), Value::Variant(value)]) = <[Value; 2]>::try_from(pair) else { return };
        match (code, *value) {
            (INTERFACE, Value::Text(text)) => self.interface = text,
            (MEMBER, Value::Text(text)) => self.member = text,
            (ERROR_NAME, Value::Text(text)) => self.error_name = text,
            (REPLY_SERIAL, Value::Uint32(serial)) => self.reply_to = serial,
            (SIGNATURE, Value::Signature(text)) => *signature = text,
            // The path and the names of both ends do not matter here, and unknown fields must be passed over.
            (PATH | DESTINATION | SENDER, _) | (_, _) => {}
        }
    }
}

fn big_endian(bytes: &[u8]) -> Result<bool, WireError> {
    match bytes.first() {
        Some(&LITTLE_ENDIAN) => Ok(false),
        Some(&BIG_ENDIAN) => Ok(true),
        _ => Err(WireError::Malformed("its byte order is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first message of every client, byte for byte as sd-bus sends it but for the order of fields.
    #[test]
    fn hello_has_the_bytes_of_the_specification() {
        let hello = Call {
            destination: Some("org.freedesktop.DBus"),
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            arguments: &[],
        };
        let mut expected: Vec<u8> = Vec::new();
        expected.extend([b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 109, 0, 0, 0]);
        expected.extend([1, 1, b'o', 0, 21, 0, 0, 0]);
        expected.extend(b"/org/freedesktop/DBus\0\0\0");
        expected.extend([2, 1, b's', 0, 20, 0, 0, 0]);
        expected.extend(b"org.freedesktop.DBus\0\0\0\0");
        expected.extend([3, 1, b's', 0, 5, 0, 0, 0]);
        expected.extend(b"Hello\0\0\0");
        expected.extend([6, 1, b's', 0, 20, 0, 0, 0]);
        expected.extend(b"org.freedesktop.DBus\0\0\0\0");
        let bytes = hello.encode(1).unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(Incoming::length(&bytes), Ok(Some(bytes.len())));
    }

    #[test]
    fn a_call_with_arguments_is_read_again() {
        let arguments = [Value::text("x.scope"), Value::texts(["a", "b"]), Value::Boolean(true)];
        let call =
            Call { destination: None, path: "/a", interface: "i.f", member: "M", arguments: &arguments };
        let bytes = call.encode(7).unwrap();
        for cut in 0..FIXED {
            assert_eq!(Incoming::length(&bytes[..cut]), Ok(None));
        }
        let message = Incoming::decode(&bytes).unwrap();
        assert_eq!(message.kind, Kind::MethodCall);
        assert_eq!((message.interface.as_str(), message.member.as_str()), ("i.f", "M"));
        assert_eq!(message.body, arguments);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(Incoming::length(&[b'x'; 16]).is_err());
        let mut long = [0u8; 16];
        long[..8].copy_from_slice(&[b'l', 2, 0, 1, 1, 0, 16, 0]);
        assert!(matches!(Incoming::length(&long), Err(WireError::Long(_))));
        assert!(Incoming::decode(b"l\x09").is_err());
    }
}
