//! The two streams of a container, cut into lines.

use super::frame::{Format, Frame, Stream};
use memchr::memchr;

/// A line is cut into pieces of this length, as docker does it: what a program prints must not fill the memory of
/// whoever reads it.
pub const LINE_LIMIT: usize = 16 << 10;

/// With so much to write nothing more is taken: a log is written in large pieces, and the process stays small.
const FULL: usize = 64 << 10;

/// Makes lines of what the two streams give. Of each it holds the beginning of a line whose end has not come yet.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    frame: Frame,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Encoder {
    /// For a log in this form.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, frame: Frame::default(), out: Vec::new(), err: Vec::new() }
    }

    /// Takes what a stream has given at a time from its beginning on, until all is taken or `log` is full, and appends the
    /// lines of it that are whole. Returns how many bytes were taken: some, if `log` was not full before.
    // Not a part of its caller, which may be one that is built for size.
    #[inline(never)]
    pub fn take(&mut self, stream: Stream, time: &str, bytes: &[u8], log: &mut Vec<u8>) -> usize {
        let (frame, held) = self.begin(stream, time);
        // At once, and not by doubling, which leaves holes. What is never written to takes no memory.
        log.reserve((FULL + LINE_LIMIT).saturating_sub(log.len()));
        let mut taken = 0;
        while taken < bytes.len() && log.len() < FULL {
            let rest = &bytes[taken..];
            let window = &rest[..rest.len().min(LINE_LIMIT - held.len())];
            taken += if held.is_empty() {
                begin_line(frame, held, window, log)
            } else {
                go_on(frame, held, window, log)
            };
        }
        taken
    }

    /// Appends what a stream has given of a line that never ended.
    pub fn finish(&mut self, stream: Stream, time: &str, log: &mut Vec<u8>) {
        let (frame, held) = self.begin(stream, time);
        if !held.is_empty() {
            frame.append(log, held, true);
            held.clear();
        }
    }

    fn begin(&mut self, stream: Stream, time: &str) -> (&Frame, &mut Vec<u8>) {
        self.frame.set(&self.format, stream, time);
        let held = match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        };
        (&self.frame, held)
    }
}

/// Appends the first line of `window`, or holds what may still go on. Returns how much that was.
#[inline]
fn begin_line(frame: &Frame, held: &mut Vec<u8>, window: &[u8], log: &mut Vec<u8>) -> usize {
    let appended = frame.append(log, window, window.len() == LINE_LIMIT);
    if appended == 0 {
        held.extend_from_slice(window);
        return window.len();
    }
    appended
}

/// Puts together the line that is held. It is made one piece first, for a character may lie on both sides of the cut.
fn go_on(frame: &Frame, held: &mut Vec<u8>, window: &[u8], log: &mut Vec<u8>) -> usize {
    let length = memchr(b'\n', window).map_or(window.len(), |end| end + 1);
    held.extend_from_slice(&window[..length]);
    if held.ends_with(b"\n") || held.len() == LINE_LIMIT {
        frame.append(log, held, true);
        held.clear();
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces that come of these, as Kubernetes' form has them, and whether their lines end there.
    fn cut(parts: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut encoder, mut log) = (Encoder::new(Format::K8s), Vec::new());
        parts.iter().for_each(|part| feed(&mut encoder, part, &mut log));
        encoder.finish(Stream::Out, "T", &mut log);
        let text = String::from_utf8(log).expect("UTF-8");
        let piece = |line: &str| {
            let (before, text) = line.split_at("T stdout F ".len());
            (text.to_owned(), before == "T stdout F ")
        };
        text.lines().map(piece).collect()
    }

    fn feed(encoder: &mut Encoder, mut bytes: &[u8], all: &mut Vec<u8>) {
        let mut log = Vec::new();
        while !bytes.is_empty() {
            let taken = encoder.take(Stream::Out, "T", bytes, &mut log);
            assert!(taken > 0);
            all.append(&mut log);
            bytes = &bytes[taken..];
        }
    }

    #[test]
    fn lines_are_put_together_from_what_comes() {
        let line = |text: &str, ends| (text.to_owned(), ends);
        assert_eq!(
            cut(&[b"a\nb", b"c", b"\n\nrest"]),
            [line("a", true), line("bc", true), line("", true), line("rest", false)]
        );
        assert!(cut(&[b""]).is_empty());
    }

    #[test]
    fn long_lines_are_cut_where_docker_cuts_them() {
        let long = vec![b'x'; 2 * LINE_LIMIT];
        let lengths = |parts: &[&[u8]]| -> Vec<_> {
            cut(parts).into_iter().map(|(line, ends)| (line.len(), ends)).collect()
        };
        let wanted = [(LINE_LIMIT, false), (LINE_LIMIT, false), (3, true)];
        assert_eq!(lengths(&[&long, b"end\n"]), wanted);
        assert_eq!(lengths(&[&long[..100], &long[100..], b"e", b"nd\n"]), wanted);
        assert_eq!(lengths(&[&long[..LINE_LIMIT], b"\n"]), [(LINE_LIMIT, false), (0, true)]);
        assert_eq!(lengths(&[&long[..9], &long[9..LINE_LIMIT], b"\n"]), [(LINE_LIMIT, false), (0, true)]);
    }

    #[test]
    fn a_character_may_come_in_two_parts() {
        let (mut encoder, mut log) = (Encoder::new(Format::Json { attributes: Vec::new() }), Vec::new());
        "a\u{20ac}\n".as_bytes().chunks(2).for_each(|part| feed(&mut encoder, part, &mut log));
        assert_eq!(log, "{\"log\":\"a\u{20ac}\\n\",\"stream\":\"stdout\",\"time\":\"T\"}\n".as_bytes());
    }

    #[test]
    fn what_is_full_is_to_be_written_first() {
        let (mut encoder, mut log) = (Encoder::new(Format::K8s), Vec::new());
        let bytes = b"line\n".repeat(20_000);
        let taken = encoder.take(Stream::Out, "T", &bytes, &mut log);
        assert!(taken < bytes.len() && taken % 5 == 0);
        assert!((FULL..FULL + 100).contains(&log.len()) && log.ends_with(b" line\n"));
        assert_eq!(encoder.take(Stream::Out, "T", &bytes[taken..], &mut log), 0);
    }
}
