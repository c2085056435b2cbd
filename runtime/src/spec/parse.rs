//! From bytes to a [`Spec`], with errors that point at the place.

use super::strict::Strict;
use super::{Process, Resources, Spec};
use serde::de::DeserializeOwned;

/// The largest configuration that is read: a real one has some ten kilobytes; more than this is a mistake or an
/// attack on the memory of the runtime.
pub const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// It is not JSON.
    #[error("it is not valid JSON at line {line}, column {column}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It is JSON of another shape.
    #[error("{pointer}: {message}")]
    Shape {
        /// The place as a JSON pointer (RFC 6901).
        pointer: String,
        /// What the parser says.
        message: String,
    },
}

/// Parses a whole `config.json`.
///
/// # Errors
/// [`ParseError`] with the line or the JSON pointer.
pub fn parse(bytes: &[u8]) -> Result<Spec, ParseError> {
    parse_document(bytes)
}

/// Parses a `process` object by itself, as `exec --process` reads it.
///
/// # Errors
/// [`ParseError`] with the line or the JSON pointer.
pub fn parse_process(bytes: &[u8]) -> Result<Process, ParseError> {
    parse_document(bytes)
}

/// Parses a `resources` object by itself, as `update --resources` reads it.
///
/// # Errors
/// [`ParseError`] with the line or the JSON pointer.
pub fn parse_resources(bytes: &[u8]) -> Result<Resources, ParseError> {
    parse_document(bytes)
}

/// Parses a whole `config.json`, and tells the JSON pointers of what the specification does not have: such properties are
/// ignored (config.md, Extensibility).
///
/// # Errors
/// [`ParseError`] with the line or the JSON pointer.
pub fn parse_telling_unknown(bytes: &[u8]) -> Result<(Spec, Vec<String>), ParseError> {
    let spec = parse(bytes)?;
    let mut unknown = Vec::new();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut note = |path: serde_ignored::Path<'_>| unknown.push(pointer_of(&path));
    // What was parsed once is parsed again with the same result; only the unknown is of interest here.
    let again: Result<Spec, _> = serde_ignored::deserialize(Strict(&mut deserializer), &mut note);
    again.map_err(|error| syntax(&error))?;
    Ok((spec, unknown))
}

fn pointer_of(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", pointer_of(parent)),
        Path::Map { parent, key } => format!("{}/{}", pointer_of(parent), escape(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            pointer_of(parent)
        }
    }
}

fn parse_document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    // Keeping track of the path costs time and memory; only a failure is worth it.
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = T::deserialize(Strict(&mut deserializer));
    match parsed.and_then(|parsed| deserializer.end().map(|()| parsed)) {
        Ok(parsed) => Ok(parsed),
        Err(_) => parse_with_path(bytes),
    }
}

fn parse_with_path<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ParseError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut deserializer, &mut track);
    let parsed = T::deserialize(Strict(tracked)).map_err(|inner| {
        let pointer = pointer(&track.path());
        if inner.is_data() {
            ParseError::Shape { pointer, message: without_position(&inner) }
        } else {
            syntax(&inner)
        }
    })?;
    deserializer.end().map_err(|error| syntax(&error))?;
    Ok(parsed)
}

fn syntax(error: &serde_json::Error) -> ParseError {
    ParseError::Syntax { line: error.line(), column: error.column(), message: without_position(error) }
}

/// The parser's message without the position that it appends: the pointer says it better.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => text.push_str(&format!("/{}", escape(key))),
            Segment::Enum { variant } => text.push_str(&format!("/{}", escape(variant))),
            Segment::Unknown => text.push_str("/?"),
        }
    }
    if text.is_empty() { "/".to_owned() } else { text }
}

/// A key as a token of a JSON pointer (RFC 6901, section 3).
#[must_use]
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_is_named_by_its_pointer() {
        let text = r#"{"ociVersion":"1.0.2","process":{"cwd":"/","user":{"uid":"root"}}}"#;
        assert_eq!(error(text), "/process/user/uid: invalid type: string \"root\", expected u32");
    }

    #[test]
    fn a_user_id_beyond_32_bits_is_refused_and_never_wraps_to_root() {
        let text = r#"{"ociVersion":"1.0.2","process":{"cwd":"/","user":{"uid":4294967296}}}"#;
        assert!(
            error(text).starts_with("/process/user/uid: invalid value: integer `4294967296`"),
            "{}",
            error(text)
        );
    }

    #[test]
    fn an_unknown_seccomp_action_is_named_by_its_pointer() {
        let text = r#"{"ociVersion":"1.0.2","linux":{"seccomp":{"defaultAction":"SCMP_ACT_MAYBE"}}}"#;
        assert!(error(text).starts_with("/linux/seccomp/defaultAction: unknown variant `SCMP_ACT_MAYBE`"));
    }

    #[test]
    fn an_array_is_no_object_wherever_it_stands() {
        for (text, pointer) in [
            (r#"["1.0.2"]"#, "/: "),
            (r#"{"ociVersion":"1.0.2","root":["rootfs"]}"#, "/root: "),
            (r#"{"ociVersion":"1.0.2","hooks":[]}"#, "/hooks: "),
            (r#"{"ociVersion":"1.0.2","mounts":[["/tmp"]]}"#, "/mounts/0: "),
        ] {
            assert_eq!(error(text), format!("{pointer}invalid type: sequence, expected an object"));
        }
    }

    #[test]
    fn a_number_for_a_word_is_named_by_its_pointer() {
        let text = r#"{"ociVersion":"1.0.2","linux":{"namespaces":[{"type":7}]}}"#;
        assert_eq!(error(text), "/linux/namespaces/0/type: invalid type: integer `7`, expected a string");
    }

    #[test]
    fn a_truncated_document_is_told_by_line_and_column() {
        assert!(error("{\n \"ociVersion\": ").contains("line 2"), "{}", error("{\n \"ociVersion\": "));
        assert!(error("").contains("not valid JSON"));
        assert!(error("{\"ociVersion\":\"1.0.2\"} x").contains("not valid JSON"));
    }

    #[test]
    fn deep_nesting_ends_in_an_error_and_not_in_a_full_stack() {
        let text = format!("{{\"ociVersion\":\"1.0.2\",\"x\":{}", "[".repeat(1_000_000));
        assert!(error(&text).contains("not valid JSON"), "{}", error(&text));
    }

    #[test]
    fn what_the_specification_does_not_have_is_told_by_its_pointer() {
        let text = r#"{"ociVersion":"1.0.2","x":1,"process":{"cwd":"/","user":{"uid":0,"a/b":[]}},
            "mounts":[{"destination":"/a"},{"destination":"/b","Type":"tmpfs"}],"annotations":{"any":"thing"}}"#;
        let (spec, unknown) = parse_telling_unknown(text.as_bytes()).unwrap();
        assert_eq!(unknown, ["/x", "/process/user/a~1b", "/mounts/1/Type"]);
        assert_eq!(spec, parse(text.as_bytes()).unwrap());
        let whole =
            serde_json::to_vec(&crate::spec::default_spec(crate::spec::DefaultOptions::default())).unwrap();
        assert!(parse_telling_unknown(&whole).unwrap().1.is_empty());
    }

    #[test]
    fn null_stands_for_a_missing_value() {
        let text =
            r#"{"ociVersion":"1.0.2","mounts":null,"hooks":null,"linux":{"resources":null,"devices":null}}"#;
        let spec = parse(text.as_bytes()).unwrap();
        assert!(spec.mounts.is_empty() && spec.linux.unwrap().resources.is_none());
    }
}
