//! The bytes of a stream, cut into lines.

/// A line is cut into pieces of this length, as docker does it: what a program prints must not fill the memory of
/// whoever reads it.
pub const LINE_LIMIT: usize = 16 << 10;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub struct Lines {
    held: Vec<u8>,
}

impl Lines {
    /// Takes bytes, and gives each piece to `each`, with whether its line ends there. The end itself is left out.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = LINE_LIMIT - self.held.len();
            let window = &bytes[..room.min(bytes.len())];
            let end = memchr::memchr(b'\n', window);
            if end.is_none() && window.len() < room {
                self.held.extend_from_slice(window);
                return;
            }
            let length = end.unwrap_or(window.len());
            self.give(&window[..length], end.is_some(), &mut each);
            bytes = &bytes[length + usize::from(end.is_some())..];
        }
    }

    /// Gives what is held to `each`: no more comes.
    pub fn finish(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if !self.held.is_empty() {
            self.give(&[], false, &mut each);
        }
    }

    fn give(&mut self, rest: &[u8], ends: bool, each: &mut impl FnMut(&[u8], bool)) {
        if self.held.is_empty() {
            return each(rest, ends);
        }
        self.held.extend_from_slice(rest);
        each(&self.held, ends);
        self.held.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(parts: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        let mut each = |line: &[u8], ends| found.push((String::from_utf8_lossy(line).into_owned(), ends));
        parts.iter().for_each(|part| lines.feed(part, &mut each));
        lines.finish(&mut each);
        found
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
    }
}
