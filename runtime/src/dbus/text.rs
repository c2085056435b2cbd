//! Values as people write them: GVariant text (GLib, "GVariant Text Format"), of which this reads everything but
//! maybe types and format strings.

use super::value::{Value, split_type};

/// Why a text is no value, with the place in it as a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {at}: {reason}")]
pub struct TextError {
    at: usize,
    reason: String,
}

type Result<T> = std::result::Result<T, TextError>;

/// The words for types before a value.
const KEYWORDS: [(&str, &str); 11] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
];

/// Arrays in arrays; D-Bus allows 32.
const MAX_DEPTH: usize = 32;

/// Reads a value. A number without a type is an `int32`, or a `double` if it has a point or an exponent.
///
/// # Errors
/// [`TextError`]
pub fn parse(text: &str) -> Result<Value> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value(None)?;
    reader.blanks();
    if reader.at == text.len() { Ok(value) } else { reader.fail("nothing more was expected") }
}

struct Reader<'text> {
    text: &'text str,
    at: usize,
    depth: usize,
}

impl<'text> Reader<'text> {
    fn fail<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(TextError { at: self.at, reason: reason.into() })
    }

    fn rest(&self) -> &'text str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Takes `token` if it comes next.
    fn accept(&mut self, token: char) -> bool {
        self.blanks();
        let there = self.rest().starts_with(token);
        self.at += if there { token.len_utf8() } else { 0 };
        there
    }

    fn expect(&mut self, token: char) -> Result<()> {
        if self.accept(token) { Ok(()) } else { self.fail(format!("{token:?} was expected")) }
    }

    fn word(&mut self) -> &'text str {
        self.blanks();
        let rest = self.rest();
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && !"+-._".contains(letter));
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// A value; `wanted` is its type where that is known.
    fn value(&mut self, wanted: Option<&str>) -> Result<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("values are nested too deep");
        }
        self.blanks();
        let start = self.at;
        let value = match self.rest().chars().next() {
            None => return self.fail("a value was expected"),
            Some('@') => self.annotated()?,
            Some('[') => self.array(wanted)?,
            Some('{') => self.dictionary(wanted)?,
            Some('(') => self.tuple(wanted)?,
            Some('<') => self.variant()?,
            Some('\'' | '"') => self.quoted(wanted)?,
            Some('b') if self.rest()[1..].starts_with(['\'', '"']) => self.byte_string()?,
            Some(_) => self.scalar(wanted)?,
        };
        self.depth -= 1;
        match wanted {
            Some(wanted) if value.signature() != wanted => {
                self.at = start;
                self.fail(format!("the type is {} where {wanted} is wanted", value.signature()))
            }
            _ => Ok(value),
        }
    }

    /// `@as []`
    fn annotated(&mut self) -> Result<Value> {
        self.at += 1;
        match split_type(self.rest()) {
            Some((signature, _)) => {
                self.at += signature.len();
                self.value(Some(signature))
            }
            None => self.fail("a type was expected after \"@\""),
        }
    }

    fn array(&mut self, wanted: Option<&str>) -> Result<Value> {
        self.expect('[')?;
        let mut element = wanted.and_then(|wanted| wanted.strip_prefix('a')).map(str::to_owned);
        let mut items = Vec::new();
        while !self.accept(']') {
            if !items.is_empty() {
                self.expect(',')?;
            }
            let item = self.value(element.as_deref())?;
            element.get_or_insert_with(|| item.signature());
            items.push(item);
        }
        self.typed(element, items)
    }

    fn dictionary(&mut self, wanted: Option<&str>) -> Result<Value> {
        self.expect('{')?;
        let pair = wanted.and_then(|wanted| wanted.strip_prefix("a{")?.strip_suffix('}'));
        let mut types = pair.and_then(split_type).map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut items = Vec::new();
        while !self.accept('}') {
            if !items.is_empty() {
                self.expect(',')?;
            }
            let key = self.value(types.as_ref().map(|(key, _)| key.as_str()))?;
            self.expect(':')?;
            let value = self.value(types.as_ref().map(|(_, value)| value.as_str()))?;
            types.get_or_insert_with(|| (key.signature(), value.signature()));
            items.push(Value::Entry(key.into(), value.into()));
        }
        self.typed(types.map(|(key, value)| format!("{{{key}{value}}}")), items)
    }

    fn typed(&self, element: Option<String>, items: Vec<Value>) -> Result<Value> {
        match element {
            Some(element) => Ok(Value::Array(element, items)),
            None => self.fail("what is empty needs its type, such as \"@as []\""),
        }
    }

    fn tuple(&mut self, wanted: Option<&str>) -> Result<Value> {
        self.expect('(')?;
        let mut types = wanted.and_then(|wanted| wanted.strip_prefix('(')).unwrap_or_default();
        let mut fields = Vec::new();
        while !self.accept(')') {
            // A tuple of one ends in a comma.
            if !fields.is_empty() {
                self.expect(',')?;
                if self.accept(')') {
                    break;
                }
            }
            let (first, others) = split_type(types).unwrap_or_default();
            types = others;
            fields.push(self.value((!first.is_empty()).then_some(first))?);
        }
        if fields.is_empty() { self.fail("D-Bus has no empty structure") } else { Ok(Value::Struct(fields)) }
    }

    fn variant(&mut self) -> Result<Value> {
        self.expect('<')?;
        let inner = self.value(None)?;
        self.expect('>')?;
        Ok(Value::Variant(inner.into()))
    }

    fn quoted(&mut self, wanted: Option<&str>) -> Result<Value> {
        let bytes = self.string()?;
        let Ok(text) = String::from_utf8(bytes) else { return self.fail("the text is not valid UTF-8") };
        if text.contains('\0') {
            return self.fail("a text must not contain a NUL byte");
        }
        Ok(match wanted {
            Some("o") => Value::ObjectPath(text),
            Some("g") => Value::Signature(text),
            _ => Value::Text(text),
        })
    }

    /// `b'text'`: the bytes and a NUL byte.
    fn byte_string(&mut self) -> Result<Value> {
        self.at += 1;
        let mut bytes = self.string()?;
        bytes.push(0);
        Ok(Value::bytes(&bytes))
    }

    fn string(&mut self) -> Result<Vec<u8>> {
        let rest = self.rest();
        let quote = rest.chars().next();
        let mut bytes = Vec::new();
        let mut letters = rest.char_indices().skip(1);
        while let Some((place, letter)) = letters.next() {
            match letter {
                _ if Some(letter) == quote => {
                    self.at += place + 1;
                    return Ok(bytes);
                }
                '\\' => {
                    let Some((at, escape)) = letters.next() else { break };
                    let (byte, digits) = match unescape(escape, &rest[at + escape.len_utf8()..]) {
                        Some(found) => found,
                        None => return self.fail(format!("\\{escape} is no escape")),
                    };
                    bytes.extend(byte);
                    if let Some(last) = digits.checked_sub(1) {
                        letters.nth(last);
                    }
                }
                _ => bytes.extend(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.fail("the text has no end")
    }

    fn scalar(&mut self, wanted: Option<&str>) -> Result<Value> {
        let start = self.at;
        let word = self.word();
        let keyword = KEYWORDS.into_iter().chain([("signature", "g")]).find(|(name, _)| *name == word);
        match (word, keyword) {
            (_, Some((_, signature))) => self.value(Some(signature)),
            ("true", _) => Ok(Value::Boolean(true)),
            ("false", _) => Ok(Value::Boolean(false)),
            _ => number(word, wanted).or_else(|reason| {
                self.at = start;
                self.fail(reason)
            }),
        }
    }
}

/// The bytes of an escape, and how many letters after its first it takes.
fn unescape(letter: char, rest: &str) -> Option<(Vec<u8>, usize)> {
    let byte = |byte: u8| Some((vec![byte], 0));
    let unicode = |digits: usize| {
        let letter = char::from_u32(u32::from_str_radix(rest.get(..digits)?, 16).ok()?)?;
        Some((letter.to_string().into_bytes(), digits))
    };
    match letter {
        'a' => byte(7),
        'b' => byte(8),
        'f' => byte(12),
        'n' => byte(b'\n'),
        'r' => byte(b'\r'),
        't' => byte(b'\t'),
        'v' => byte(11),
        'u' => unicode(4),
        'U' => unicode(8),
        '\\' | '\'' | '"' => Some((letter.to_string().into_bytes(), 0)),
        _ => None,
    }
}

/// A number of a type; decimal, or hexadecimal with `0x`, or octal with `0`.
fn number(word: &str, wanted: Option<&str>) -> std::result::Result<Value, String> {
    let wrong = || format!("{word:?} is no value of the type {}", wanted.unwrap_or("int32 or double"));
    let fraction = word.contains('.') || word.contains(['e', 'E']) && !word.contains(['x', 'X']);
    let kind = wanted.unwrap_or(if fraction { "d" } else { "i" });
    if kind == "d" {
        return word.parse().map(Value::Double).map_err(|_| wrong());
    }
    let whole = integer(word).ok_or_else(wrong)?;
    match kind {
        "y" => u8::try_from(whole).ok().map(Value::Byte),
        "n" => i16::try_from(whole).ok().map(Value::Int16),
        "q" => u16::try_from(whole).ok().map(Value::Uint16),
        "i" => i32::try_from(whole).ok().map(Value::Int32),
        "u" => u32::try_from(whole).ok().map(Value::Uint32),
        "x" => i64::try_from(whole).ok().map(Value::Int64),
        "t" => u64::try_from(whole).ok().map(Value::Uint64),
        _ => None,
    }
    .ok_or_else(wrong)
}

fn integer(word: &str) -> Option<i128> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    let (digits, base) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    // A second sign would be accepted otherwise.
    let value = i128::from(
        digits
            .starts_with(|digit: char| digit.is_digit(base))
            .then_some(())
            .and_then(|()| u64::from_str_radix(digits, base).ok())?,
    );
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_have_the_type_that_is_written_or_the_usual_one() {
        for (text, value) in [
            ("5", Value::Int32(5)),
            ("-5", Value::Int32(-5)),
            ("0x10", Value::Int32(16)),
            ("010", Value::Int32(8)),
            ("0", Value::Int32(0)),
            ("1.5", Value::Double(1.5)),
            ("1e3", Value::Double(1000.0)),
            ("uint64 123456789", Value::Uint64(123_456_789)),
            ("byte 255", Value::Byte(255)),
            ("int16 -1", Value::Int16(-1)),
            ("uint16 1", Value::Uint16(1)),
            ("int64 -9223372036854775808", Value::Int64(i64::MIN)),
            ("double 2", Value::Double(2.0)),
            ("@t 7", Value::Uint64(7)),
            (" true ", Value::Boolean(true)),
            ("'inactive-or-failed'", Value::text("inactive-or-failed")),
            ("\"a\\u00e4\\n'\"", Value::text("aä\n'")),
            ("objectpath '/a'", Value::ObjectPath("/a".into())),
            ("signature 'as'", Value::Signature("as".into())),
        ] {
            assert_eq!(parse(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn containers_take_the_type_of_their_first_element() {
        assert_eq!(parse("['a', 'b']"), Ok(Value::texts(["a", "b"])));
        assert_eq!(parse("@as []"), Ok(Value::texts::<&str>([])));
        let longs = Value::Array("t".into(), vec![Value::Uint64(1), Value::Uint64(2)]);
        assert_eq!(parse("[uint64 1, 2]"), Ok(longs));
        assert_eq!(parse("b'ab'"), Ok(Value::bytes(b"ab\0")));
        assert_eq!(parse("<5>"), Ok(Value::Variant(Value::Int32(5).into())));
        let pair = Value::Struct(vec![Value::text("/dev/x"), Value::text("rw")]);
        assert_eq!(parse("[('/dev/x', 'rw')]"), Ok(Value::Array("(ss)".into(), vec![pair])));
        assert_eq!(parse("(1,)"), Ok(Value::Struct(vec![Value::Int32(1)])));
        let entry = Value::Entry(Value::text("k").into(), Value::Byte(1).into());
        assert_eq!(parse("@a{sy} {'k': 1}"), Ok(Value::Array("{sy}".into(), vec![entry])));
    }

    #[test]
    fn what_is_no_value_is_refused_with_its_place() {
        for text in [
            "",
            "abc",
            "5 6",
            "'open",
            "[]",
            "{}",
            "()",
            "[1, 'a']",
            "byte 256",
            "uint64 -1",
            "--5",
            "0x",
            "5000000000",
            "@",
            "@z 1",
            "'\\q'",
            "'\\u12'",
            "'a\\u0000'",
            "<5",
            "[1 2]",
            "int32 'a'",
            "uint32",
        ] {
            assert!(parse(text).is_err(), "{text:?} gives {:?}", parse(text));
        }
        assert_eq!(parse("[1, 'a']").unwrap_err().to_string(), "at byte 4: the type is s where i is wanted");
        assert!(parse(&"[".repeat(1000)).is_err());
    }
}
