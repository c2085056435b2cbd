//! A line as docker's json-file and Kubernetes' CRI have it.

use super::escape::append_json;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which of its two streams a program printed on. A terminal has only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// The form of the lines of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// `{"log":"text\n","stream":"stdout","time":"..."}`
    Json {
        /// The member `"attrs":{...},`, or nothing.
        attributes: Vec<u8>,
    },
    /// `TIME stdout F text`, with `P` where the line goes on.
    K8s,
}

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

impl Format {
    /// Appends a piece of a line to `out`.
    pub fn append(&self, out: &mut Vec<u8>, piece: &[u8], ends: bool, stream: Stream, time: &str) {
        match self {
            Self::Json { attributes } => {
                out.extend_from_slice(b"{\"log\":\"");
                append_json(out, piece);
                out.extend_from_slice(if ends { b"\\n\",\"stream\":\"" } else { b"\",\"stream\":\"" });
                out.extend_from_slice(stream.name().as_bytes());
                out.extend_from_slice(b"\",");
                out.extend_from_slice(attributes);
                out.extend_from_slice(b"\"time\":\"");
                out.extend_from_slice(time.as_bytes());
                out.extend_from_slice(b"\"}\n");
            }
            Self::K8s => {
                out.extend_from_slice(time.as_bytes());
                out.push(b' ');
                out.extend_from_slice(stream.name().as_bytes());
                out.extend_from_slice(if ends { b" F " } else { b" P " });
                out.extend_from_slice(piece);
                out.push(b'\n');
            }
        }
    }

    /// Reads a line of a log, without its end; `None` for what is no such line.
    #[must_use]
    pub fn read(&self, line: &[u8]) -> Option<Entry> {
        match self {
            Self::Json { .. } => read_json(line),
            Self::K8s => read_k8s(line),
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

    const TIME: &str = "2024-05-01T12:00:00.5Z";

    fn written(format: &Format, piece: &[u8], ends: bool, stream: Stream) -> Vec<u8> {
        let mut out = Vec::new();
        format.append(&mut out, piece, ends, stream, TIME);
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn a_line_of_json_file_is_dockers_to_the_byte() {
        let plain = Format::Json { attributes: Vec::new() };
        let line = written(&plain, b"hello", true, Stream::Out);
        assert_eq!(
            String::from_utf8_lossy(&line),
            r#"{"log":"hello\n","stream":"stdout","time":"2024-05-01T12:00:00.5Z"}"#
        );
        let with = Format::Json { attributes: br#""attrs":{"a":"b"},"#.to_vec() };
        let line = written(&with, b"x", false, Stream::Err);
        assert_eq!(
            String::from_utf8_lossy(&line),
            r#"{"log":"x","stream":"stderr","attrs":{"a":"b"},"time":"2024-05-01T12:00:00.5Z"}"#
        );
        assert_eq!(with.read(&line).expect("a line").attributes["a"], "b");
    }

    #[test]
    fn what_was_written_is_read() {
        for format in [Format::Json { attributes: Vec::new() }, Format::K8s] {
            for (text, ends) in [(&b"a \"b\" \\ \x1b[0m"[..], true), (b"", true), (b" x ", false)] {
                let line = written(&format, text, ends, Stream::Err);
                let mut whole = text.to_owned();
                whole.extend_from_slice(if ends { b"\n" } else { b"" });
                let entry = format.read(&line).expect("a line");
                assert_eq!((entry.time.as_str(), entry.stream, entry.text), (TIME, Stream::Err, whole));
            }
            assert_eq!(format.read(b"{torn"), None);
        }
    }

    #[test]
    fn k8s_file_keeps_every_byte() {
        let line = written(&Format::K8s, b"\xff\x00\xfe", true, Stream::Out);
        assert_eq!(line, b"2024-05-01T12:00:00.5Z stdout F \xff\x00\xfe");
        assert_eq!(Format::K8s.read(&line).expect("a line").text, b"\xff\x00\xfe\n");
    }
}
