//! The log file of a container while its monitor writes it.

use super::packed::{pack, packed_name};
use super::{Format, LogSettings, Stream};
use jiff::Timestamp;
use mydocker_lines::Encoder;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// A monitor is small, and so is what it packs with.
const STACK: usize = 128 << 10;

/// Writes lines as they come, and begins a new file when one is full.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    length: u64,
    encoder: Encoder,
    max_size: Option<u64>,
    max_files: u32,
    packs: bool,
    packing: Option<JoinHandle<io::Result<()>>>,
    buffer: Vec<u8>,
    torn: bool,
}

impl Writer {
    /// Goes on with the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path, settings: &LogSettings, format: Format) -> io::Result<Self> {
        let file = open(path)?;
        let length = file.metadata()?.len();
        let LogSettings { max_size, max_files, packs, .. } = *settings;
        let (path, encoder) = (path.to_owned(), Encoder::new(format));
        let (buffer, torn) = (Vec::new(), false);
        let packing = None;
        let mut writer =
            Self { path, file, length, encoder, max_size, max_files, packs, packing, buffer, torn };
        writer.end_torn_line()?;
        // A monitor that was killed has not come to it.
        writer.pack();
        Ok(writer)
    }

    /// A monitor that was killed, or a disk that was full, leaves a last line without its end, which must not swallow
    /// the next.
    fn end_torn_line(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut last = [b'\n'];
        if self.length > 0 {
            File::open(&self.path)?.read_exact_at(&mut last, self.length - 1)?;
        }
        if last == *b"\n" {
            return Ok(());
        }
        self.file.write_all(b"\n")?;
        self.length += 1;
        Ok(())
    }

    /// Takes what a stream has given, and writes the lines of it that are whole.
    ///
    /// # Errors
    /// What the kernel says, such as a full disk; the lines are lost then.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8]) -> io::Result<()> {
        let time = Timestamp::now().to_string();
        let mut result = Ok(());
        while !bytes.is_empty() {
            let taken = self.encoder.take(stream, &time, bytes, &mut self.buffer);
            bytes = &bytes[taken..];
            result = result.and(self.flush());
        }
        result
    }

    /// Writes what the streams have given of lines that never ended.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn finish(&mut self) -> io::Result<()> {
        let time = Timestamp::now().to_string();
        self.encoder.finish(Stream::Out, &time, &mut self.buffer);
        self.encoder.finish(Stream::Err, &time, &mut self.buffer);
        self.flush()
    }

    /// Writes what is there. What was torn by a full disk is ended first, and what has no room is lost.
    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mended = if self.torn { self.mend() } else { Ok(()) };
        let result = mended.and_then(|()| self.put_all(&buffer));
        self.torn = result.is_err();
        buffer.clear();
        self.buffer = buffer;
        result
    }

    fn mend(&mut self) -> io::Result<()> {
        self.length = self.file.metadata()?.len();
        self.end_torn_line()
    }

    /// Writes whole lines alone: a file is full before the line that it has no room for.
    fn put_all(&mut self, mut lines: &[u8]) -> io::Result<()> {
        while !lines.is_empty() {
            let (now, later) = lines.split_at(self.fitting(lines));
            if now.is_empty() {
                self.rotate()?
            } else {
                self.put(now)?
            }
            lines = later;
        }
        Ok(())
    }

    /// How many bytes of whole lines fit into the file. An empty file takes one line, however long.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = match self.max_size {
            None => return lines.len(),
            Some(size) => usize::try_from(size.saturating_sub(self.length)).unwrap_or(usize::MAX),
        };
        if lines.len() <= room {
            return lines.len();
        }
        let whole = memchr::memrchr(b'\n', &lines[..room]).map_or(0, |at| at + 1);
        if whole == 0 && self.length == 0 {
            return memchr::memchr(b'\n', lines).map_or(lines.len(), |at| at + 1);
        }
        whole
    }

    fn put(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        self.length += lines.len() as u64;
        Ok(())
    }

    /// Gives each file the number after its own, drops the last, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        self.await_packing();
        for number in (1..self.max_files).rev() {
            let (from, to) = (numbered(&self.path, number - 1), numbered(&self.path, number));
            if self.packs {
                // What could not be packed has the other name.
                if_there(fs::remove_file(&to))?;
                if_there(fs::remove_file(packed_name(&to)))?;
                if_there(fs::rename(packed_name(&from), packed_name(&to)))?;
            }
            if_there(fs::rename(from, to))?;
        }
        if self.max_files == 1 {
            // Not emptied in place: a reader who follows has still to read its end.
            fs::remove_file(&self.path)?;
        }
        self.file = open(&self.path)?;
        self.length = 0;
        self.pack();
        Ok(())
    }

    /// Packs the newest of the older files. Meanwhile the container prints on.
    fn pack(&mut self) {
        let part = numbered(&self.path, 1);
        if self.packs && part.exists() {
            // Without a thread it stays as it is, which is as good for a reader.
            self.packing = thread::Builder::new().stack_size(STACK).spawn(move || pack(&part)).ok();
        }
    }

    fn await_packing(&mut self) {
        if let Some(packing) = self.packing.take() {
            // What cannot be packed, for want of room say, stays as it is.
            drop(packing.join());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.await_packing();
    }
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The name of an older part of a log; 0 is the one that is written.
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::LogConfig;
    use crate::log::Entry;

    fn writer(path: &Path, options: &[(&str, &str)]) -> Writer {
        let config = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let settings = LogSettings::check(&LogConfig { driver: "k8s-file".to_owned(), config });
        Writer::open(path, &settings.expect("they fit"), Format::K8s).expect("a scratch directory")
    }

    fn texts(path: &Path) -> Vec<String> {
        let bytes = fs::read(path).expect("a log");
        let lines = bytes.split(|byte| *byte == b'\n').filter_map(|line| Entry::read(&Format::K8s, line));
        lines.map(|entry| String::from_utf8_lossy(&entry.text).trim_end().to_owned()).collect()
    }

    #[test]
    fn a_full_file_is_followed_by_another_and_the_oldest_goes() {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        let mut writer = writer(&path, &[("max-size", "200"), ("max-file", "3")]);
        let all: String = (100..120).map(|number| format!("{number}\n")).collect();
        writer.write(Stream::Out, all.as_bytes()).expect("room");
        let mut found = Vec::new();
        for number in [2, 1, 0] {
            let part = numbered(&path, number);
            assert!(fs::metadata(&part).expect("a part").len() <= 200);
            found.extend(texts(&part));
        }
        let wanted: Vec<_> = (100..120).map(|number| number.to_string()).collect();
        assert!(wanted.ends_with(&found) && found.len() > 5, "{found:?}");
        assert!(!numbered(&path, 3).exists());
    }

    #[test]
    fn a_line_longer_than_a_file_has_one_to_itself() {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        let mut writer = writer(&path, &[("max-size", "10"), ("max-file", "2")]);
        writer.write(Stream::Out, b"one\ntwo\n").expect("room");
        assert_eq!(
            (texts(&numbered(&path, 1)), texts(&path)),
            (vec!["one".to_owned()], vec!["two".to_owned()])
        );
    }

    #[test]
    fn a_torn_line_is_ended_and_the_last_one_is_kept() {
        let place = tempfile::tempdir().expect("a scratch directory");
        let path = place.path().join("log");
        fs::write(&path, "2024 stdout F torn").expect("room");
        let mut writer = writer(&path, &[]);
        writer.write(Stream::Out, b"whole\nhalf").expect("room");
        writer.finish().expect("room");
        assert_eq!(texts(&path), ["torn", "whole", "half"]);
    }
}
