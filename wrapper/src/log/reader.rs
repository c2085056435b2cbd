//! The lines of a log, in order over its rotated files, also while it is written.

use super::packed::Part;
use super::writer::numbered;
use super::{Entry, Format};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// How much is read at once.
const BLOCK: usize = 64 << 10;

/// The moments between which entries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since {
    /// Not before this.
    pub since: Option<Timestamp>,
    /// Not after this.
    pub until: Option<Timestamp>,
}

impl Since {
    /// Whether an entry of this time is wanted.
    #[must_use]
    pub fn wants(&self, entry: &Entry) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Ok(time) = entry.time.parse::<Timestamp>() else { return true };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time <= until)
    }
}

/// Reads a log.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    format: Format,
    file: Option<Part>,
    newer: VecDeque<Part>,
    buffer: Vec<u8>,
    begin: usize,
}

impl Reader {
    /// From the first line of the oldest part on, or of the last `tail` lines. A log that nothing was ever written to
    /// has no lines.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, format: Format, tail: Option<u64>) -> io::Result<Self> {
        let mut parts = parts(path)?;
        if let Some(tail) = tail {
            skip_to_tail(&mut parts, tail)?;
        }
        let file = parts.pop_front();
        Ok(Self { path: path.to_owned(), format, file, newer: parts, buffer: Vec::new(), begin: 0 })
    }

    /// The next entry; `None` if no more has been written yet.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            while let Some(line) = self.take_line() {
                // What a full disk or a kill has torn is no entry.
                if let Some(entry) = Entry::read(&self.format, &line) {
                    return Ok(Some(entry));
                }
            }
            if !self.fill()? && !self.turn()? {
                return Ok(None);
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.buffer[self.begin..];
        let end = memchr::memchr(b'\n', rest)?;
        let line = rest[..end].to_owned();
        self.begin += end + 1;
        Some(line)
    }

    /// Reads on in the file; `false` at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        self.buffer.drain(..self.begin);
        self.begin = 0;
        let held = self.buffer.len();
        self.buffer.resize(held + BLOCK, 0);
        let read = file.read(&mut self.buffer[held..]);
        self.buffer.truncate(held + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Goes on with the next newer file; `false` if this is the newest.
    fn turn(&mut self) -> io::Result<bool> {
        if self.newer.is_empty() && self.is_newest()? {
            return Ok(false);
        }
        // It may have been written to between its end and now, when nobody writes to it any more.
        if self.fill()? {
            return Ok(true);
        }
        let next = match self.newer.pop_front() {
            Some(next) => Some(next),
            None => self.successor()?,
        };
        self.buffer.clear();
        self.begin = 0;
        self.file = next;
        Ok(self.file.is_some())
    }

    fn is_newest(&self) -> io::Result<bool> {
        match (&self.file, found(fs::metadata(&self.path))?) {
            (None, now) => Ok(now.is_none()),
            (Some(file), Some(now)) => Ok(file.plain().is_some() && file.inode == now.ino()),
            // Between two steps of a rotation, or of the container's removal.
            (Some(_), None) => Ok(true),
        }
    }

    /// The file that was begun after the one that was read; the oldest there is if more than all of them were. Those after it
    /// are held open, so that their inodes stay theirs.
    fn successor(&mut self) -> io::Result<Option<Part>> {
        let mut parts = parts(&self.path)?;
        if let Some(file) = &self.file {
            // The newest, for a number that was given back is given again.
            let at = parts.iter().rposition(|part| part.is_that_of(file));
            parts.drain(..at.map_or(0, |at| at + 1));
        }
        let next = parts.pop_front();
        self.newer = parts;
        Ok(next)
    }
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The files of a log, the oldest first. They are opened from the newest on: a rotation meanwhile shows one of them twice,
/// and hides none.
fn parts(path: &Path) -> io::Result<VecDeque<Part>> {
    let mut parts: VecDeque<Part> = VecDeque::new();
    let (mut last, mut missing) = (None, 0);
    for number in 0.. {
        let Some(part) = found(Part::open(&numbered(path, number)))? else {
            // One number is nobody's for a moment during a rotation; two are beyond the oldest.
            missing += 1;
            if missing == 2 { break } else { continue }
        };
        missing = 0;
        if last.replace(part.inode) != Some(part.inode) {
            parts.push_front(part);
        }
    }
    Ok(parts)
}

/// Drops what is before the last `tail` lines.
fn skip_to_tail(parts: &mut VecDeque<Part>, tail: u64) -> io::Result<()> {
    let mut wanted = tail;
    for at in (0..parts.len()).rev() {
        let found = match parts[at].plain().map(|file| last_lines(file, wanted)).transpose()? {
            Some((offset, found)) => parts[at].seek(offset).map(|()| found)?,
            None => parts[at].skip_to_last(wanted)?,
        };
        wanted -= found;
        if wanted == 0 {
            parts.drain(..at);
            return Ok(());
        }
    }
    Ok(())
}

/// Where the last `wanted` lines of a file begin, and how many of them there are.
fn last_lines(file: &File, wanted: u64) -> io::Result<(u64, u64)> {
    let mut end = file.metadata()?.len();
    if wanted == 0 {
        return Ok((end, 0));
    }
    // The end of the line before the first wanted one; the very last line's own end is found first.
    let mut ends = 0;
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let block = &mut block[..usize::try_from(end - begin).unwrap_or(BLOCK)];
        file.read_exact_at(block, begin)?;
        for at in memchr::memrchr_iter(b'\n', block) {
            if ends == wanted {
                return Ok((begin + at as u64 + 1, wanted));
            }
            ends += 1;
        }
        end = begin;
    }
    Ok((0, ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::LogConfig;
    use crate::log::{LogSettings, Stream, Writer};

    fn writer(path: &Path) -> Writer {
        writer_with(path, "k8s-file", &[])
    }

    fn writer_with(path: &Path, driver: &str, more: &[(&str, &str)]) -> Writer {
        let options = [("max-size", "120"), ("max-file", "4")];
        let options = options.iter().chain(more);
        let config = options.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = LogSettings::check(&LogConfig { driver: driver.to_owned(), config });
        Writer::open(path, &settings.expect("they fit"), Format::K8s).expect("a scratch directory")
    }

    fn rest(reader: &mut Reader) -> Vec<String> {
        std::iter::from_fn(|| reader.entry().expect("a readable log"))
            .map(|entry| String::from_utf8_lossy(&entry.text).trim_end().to_owned())
            .collect()
    }

    fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| format!("number {number}")).collect()
    }

    #[test]
    fn a_reader_follows_over_rotations() {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        let mut reader = Reader::open(&path, Format::K8s, None).expect("no log is none");
        assert_eq!(rest(&mut reader), [""; 0]);
        let mut writer = writer(&path);
        let mut found = Vec::new();
        for number in 10..40 {
            writer.write(Stream::Out, format!("number {number}\n").as_bytes()).expect("room");
            // Sometimes several files behind, but never more than are kept.
            if number % 4 == 0 {
                found.extend(rest(&mut reader));
            }
        }
        found.extend(rest(&mut reader));
        assert_eq!(found, numbers(10..40));
    }

    #[test]
    fn a_reader_follows_over_parts_that_are_packed_meanwhile() {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        let mut reader = Reader::open(&path, Format::K8s, None).expect("no log is none");
        let mut writer = writer_with(&path, "json-file", &[("compress", "true")]);
        let mut found = Vec::new();
        for number in 10..60 {
            writer.write(Stream::Out, format!("number {number}\n").as_bytes()).expect("room");
            if number % 4 == 0 {
                found.extend(rest(&mut reader));
            }
        }
        drop(writer);
        found.extend(rest(&mut reader));
        assert_eq!(found, numbers(10..60));
        let mut names: Vec<_> = std::fs::read_dir(place.path()).expect("files").flatten().collect();
        names.sort_by_key(std::fs::DirEntry::file_name);
        let names: Vec<_> =
            names.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["log", "log.1.gz", "log.2.gz", "log.3.gz"]);
    }

    #[test]
    fn the_tail_goes_over_several_files() {
        tail_goes_over_files(&[]);
        tail_goes_over_files(&[("compress", "true")]);
    }

    fn tail_goes_over_files(more: &[(&str, &str)]) {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        let driver = if more.is_empty() { "k8s-file" } else { "json-file" };
        let mut writer = writer_with(&path, driver, more);
        let all: String = numbers(10..16).iter().map(|line| format!("{line}\n")).collect();
        writer.write(Stream::Out, all.as_bytes()).expect("room");
        for (tail, first) in [(0, 16), (1, 15), (3, 13), (5, 11), (6, 10), (100, 10)] {
            let mut reader = Reader::open(&path, Format::K8s, Some(tail)).expect("a log");
            assert_eq!(rest(&mut reader), numbers(first..16), "{tail}");
            writer.write(Stream::Out, b"").expect("room");
        }
    }
}
