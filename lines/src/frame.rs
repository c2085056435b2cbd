//! One line, with what belongs around it.

use super::escape::append_json_line;
use memchr::memchr;

/// Which of its two streams a program printed on. A terminal has only the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// Its name in a log.
    #[must_use]
    pub fn name(self) -> &'static str {
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

/// What is around the lines that a stream gave at one time: it is the same for all of them. Of JSON this is the part behind
/// the text, of Kubernetes' form the one before it.
#[derive(Debug, Default)]
pub struct Frame {
    is_json: bool,
    whole: Vec<u8>,
    partial: Vec<u8>,
}

impl Frame {
    /// Makes it the frame of this format, stream and time.
    pub fn set(&mut self, format: &Format, stream: Stream, time: &str) {
        let (stream, time) = (stream.name().as_bytes(), time.as_bytes());
        let fill = |text: &mut Vec<u8>, parts: &[&[u8]]| {
            text.clear();
            parts.iter().for_each(|part| text.extend_from_slice(part));
        };
        match format {
            Format::Json { attributes } => {
                let parts: [&[u8]; 6] =
                    [b"\",\"stream\":\"", stream, b"\",", attributes, b"\"time\":\"", time];
                fill(&mut self.whole, &[b"\\n", &parts.concat(), b"\"}\n"]);
                fill(&mut self.partial, &[&parts.concat(), b"\"}\n"]);
            }
            Format::K8s => {
                fill(&mut self.whole, &[time, b" ", stream, b" F "]);
                fill(&mut self.partial, &[time, b" ", stream, b" P "]);
            }
        }
        self.is_json = matches!(format, Format::Json { .. });
    }

    /// Appends the first line of `bytes`, or all of them if none ends there and they are to be `cut`. Returns how many
    /// bytes that were, with the end of the line; 0 if nothing is appended.
    #[inline]
    pub fn append(&self, log: &mut Vec<u8>, bytes: &[u8], cut: bool) -> usize {
        if self.is_json { self.append_json(log, bytes, cut) } else { self.append_k8s(log, bytes, cut) }
    }

    /// Looks at each byte once, for the end of a line is one of those that have to be escaped.
    #[inline]
    fn append_json(&self, log: &mut Vec<u8>, bytes: &[u8], cut: bool) -> usize {
        let begin = log.len();
        log.extend_from_slice(b"{\"log\":\"");
        let length = append_json_line(log, bytes);
        let ends = length < bytes.len();
        if !ends && !cut {
            log.truncate(begin);
            return 0;
        }
        log.extend_from_slice(if ends { &self.whole } else { &self.partial });
        length + usize::from(ends)
    }

    #[inline]
    fn append_k8s(&self, log: &mut Vec<u8>, bytes: &[u8], cut: bool) -> usize {
        let end = memchr(b'\n', bytes);
        if end.is_none() && !cut {
            return 0;
        }
        let length = end.unwrap_or(bytes.len());
        log.extend_from_slice(if end.is_some() { &self.whole } else { &self.partial });
        log.extend_from_slice(&bytes[..length]);
        log.push(b'\n');
        length + usize::from(end.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2024-05-01T12:00:00.5Z";

    fn written(format: &Format, bytes: &[u8], stream: Stream) -> String {
        let (mut frame, mut log) = (Frame::default(), Vec::new());
        frame.set(format, stream, TIME);
        assert_eq!(frame.append(&mut log, bytes, true), bytes.len());
        assert_eq!(log.pop(), Some(b'\n'));
        String::from_utf8(log).expect("UTF-8")
    }

    #[test]
    fn a_line_of_json_file_is_dockers_to_the_byte() {
        let plain = Format::Json { attributes: Vec::new() };
        let wanted = r#"{"log":"hello\n","stream":"stdout","time":"2024-05-01T12:00:00.5Z"}"#;
        assert_eq!(written(&plain, b"hello\n", Stream::Out), wanted);
        let with = Format::Json { attributes: br#""attrs":{"a":"b"},"#.to_vec() };
        let wanted = r#"{"log":"x","stream":"stderr","attrs":{"a":"b"},"time":"2024-05-01T12:00:00.5Z"}"#;
        assert_eq!(written(&with, b"x", Stream::Err), wanted);
    }

    #[test]
    fn a_line_of_k8s_file_says_whether_it_goes_on() {
        assert_eq!(written(&Format::K8s, b" a\n", Stream::Out), "2024-05-01T12:00:00.5Z stdout F  a");
        assert_eq!(written(&Format::K8s, b"a ", Stream::Err), "2024-05-01T12:00:00.5Z stderr P a ");
    }

    #[test]
    fn a_line_that_may_go_on_is_left() {
        for format in [Format::Json { attributes: Vec::new() }, Format::K8s] {
            let (mut frame, mut log) = (Frame::default(), b"before".to_vec());
            frame.set(&format, Stream::Out, TIME);
            assert_eq!(frame.append(&mut log, b"\"beginning", false), 0);
            assert_eq!(log, b"before");
        }
    }
}
