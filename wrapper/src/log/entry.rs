//! A line as it is read from a log.

use super::{Format, Stream};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A line, or a piece of one, as it was read from a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// RFC 3339.
    pub time: String,
    /// The stream.
    pub stream: Stream,
    /// What was printed, with the end of the line if that is its end.
    pub text: Vec<u8>,
    /// Labels and variables.
    pub attributes: BTreeMap<String, String>,
}

/// A line of json-file.
#[derive(Deserialize)]
struct JsonLine {
    #[serde(default)]
    log: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    time: String,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
}

impl Entry {
    /// Reads a line of a log in this form, without its end; `None` for what is no such line.
    #[must_use]
    pub fn read(format: &Format, line: &[u8]) -> Option<Self> {
        match format {
            Format::Json { .. } => read_json(line),
            Format::K8s => read_k8s(line),
        }
    }
}

fn read_json(line: &[u8]) -> Option<Entry> {
    let line: JsonLine = serde_json::from_slice(line).ok()?;
    let stream = stream(&line.stream)?;
    Some(Entry { time: line.time, stream, text: line.log.into_bytes(), attributes: line.attrs })
}

fn read_k8s(line: &[u8]) -> Option<Entry> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut word = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (time, stream, tag) = (word()?.to_owned(), stream(word()?)?, word()?);
    let ends = tag == "F";
    let mut text = parts.next()?.to_owned();
    if ends {
        text.push(b'\n');
    }
    Some(Entry { time, stream, text, attributes: BTreeMap::new() })
}

fn stream(name: &str) -> Option<Stream> {
    [Stream::Out, Stream::Err].into_iter().find(|stream| stream.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mydocker_lines::Encoder;

    const TIME: &str = "2024-05-01T12:00:00.5Z";

    fn written(format: &Format, text: &[u8], stream: Stream) -> Vec<u8> {
        let (mut encoder, mut log) = (Encoder::new(format.clone()), Vec::new());
        assert_eq!(encoder.take(stream, TIME, text, &mut log), text.len());
        encoder.finish(stream, TIME, &mut log);
        assert_eq!(log.pop(), Some(b'\n'));
        log
    }

    #[test]
    fn what_was_written_is_read() {
        for format in [Format::Json { attributes: Vec::new() }, Format::K8s] {
            for text in [&b"a \"b\" \\ \x1b[0m\n"[..], b"\n", b" x "] {
                let line = written(&format, text, Stream::Err);
                let entry = Entry::read(&format, &line).expect("a line");
                assert_eq!((&*entry.time, entry.stream, &*entry.text), (TIME, Stream::Err, text));
            }
            assert_eq!(Entry::read(&format, b"{torn"), None);
        }
    }

    #[test]
    fn attributes_are_read() {
        let format = Format::Json { attributes: br#""attrs":{"a":"b"},"#.to_vec() };
        let line = written(&format, b"x\n", Stream::Out);
        assert_eq!(Entry::read(&format, &line).expect("a line").attributes["a"], "b");
    }

    #[test]
    fn k8s_file_keeps_every_byte() {
        let line = written(&Format::K8s, b"\xff\x00\xfe\n", Stream::Out);
        assert_eq!(line, b"2024-05-01T12:00:00.5Z stdout F \xff\x00\xfe");
        assert_eq!(Entry::read(&Format::K8s, &line).expect("a line").text, b"\xff\x00\xfe\n");
    }
}
