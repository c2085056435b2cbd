//! One who writes a blob into a file, and one who reads it at the same time: the reader takes from the page cache what the
//! writer has just put there, so neither buffers anything, and a fetch that begins again changes nothing for the reader.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The writer's side.
#[derive(Debug, Clone, Default)]
pub struct Stream(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// How many bytes can be read.
    written: u64,
    end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All bytes are there, and they are the right ones.
    Verified,
    /// There will be no more.
    Aborted,
}

/// The error, inside an [`io::Error`], of a reader whose writer gave up. Why it did so, the writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the blob did not arrive")]
pub struct Aborted;

impl Aborted {
    /// Whether `error`, or what is behind it, is this.
    #[must_use]
    pub fn is_behind(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut link = Some(error);
        while let Some(error) = link {
            let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            if error.is::<Self>() || inner.is_some_and(|inner| inner.is::<Self>()) {
                return true;
            }
            link = error.source();
        }
        false
    }
}

impl Stream {
    /// A stream of which nothing is there yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how many bytes are in the file. They never become fewer: after a restart the same bytes come again.
    pub fn advance(&self, written: u64) {
        let mut state = self.lock();
        if written > state.written {
            state.written = written;
            self.0.changed.notify_all();
        }
    }

    /// Says that all bytes are there, and verified.
    pub fn finish(&self, size: u64) {
        self.advance(size);
        self.end(End::Verified);
    }

    /// Says that no more will come, unless the end was said before.
    pub fn abort(&self) {
        self.end(End::Aborted);
    }

    /// Whether no more is wanted: the reader gave up, or the writer did.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.lock().end == Some(End::Aborted)
    }

    /// The reader's side; `file` is a handle whose offset it does not use.
    #[must_use]
    pub fn reader(&self, file: File) -> BlobReader {
        BlobReader { stream: self.clone(), file, offset: 0 }
    }

    fn end(&self, end: End) {
        self.lock().end.get_or_insert(end);
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something at `offset`: how much, 0 at the verified end.
    fn available(&self, offset: u64) -> io::Result<u64> {
        let mut state = self.lock();
        loop {
            match state.end {
                Some(End::Aborted) => return Err(io::Error::other(Aborted)),
                _ if state.written > offset => return Ok(state.written - offset),
                Some(End::Verified) => return Ok(0),
                None => state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Reads a blob that may still be coming. It ends (`Ok(0)`) only when all bytes were verified, and fails with
/// [`Aborted`] when they were not.
#[derive(Debug)]
pub struct BlobReader {
    stream: Stream,
    file: File,
    offset: u64,
}

impl BlobReader {
    /// A reader of a blob that is there.
    ///
    /// # Errors
    /// What the kernel says of another handle of the file.
    pub fn of(blob: &crate::store::VerifiedBlob) -> io::Result<Self> {
        let stream = Stream::new();
        stream.finish(blob.size());
        Ok(stream.reader(blob.file().try_clone()?))
    }

    /// Whether the blob will not come.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.stream.is_aborted()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.stream.available(self.offset)?;
        let most = usize::try_from(available).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        if count == 0 && most > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the blob's file is shorter than the blob",
            ));
        }
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_reader_gets_what_is_written_and_the_end_when_it_is_verified() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let stream = Stream::new();
        let mut reader = stream.reader(file.reopen().expect("a handle"));
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        });
        for (written, piece) in [(2, "he"), (5, "llo")] {
            file.write_all(piece.as_bytes()).expect("room");
            stream.advance(written);
        }
        stream.finish(5);
        assert_eq!(reading.join().expect("no panic").expect("the end"), b"hello");
    }

    #[test]
    fn a_reader_of_what_did_not_arrive_gets_no_end() {
        let file = tempfile::tempfile().expect("a file");
        let stream = Stream::new();
        let mut reader = stream.reader(file);
        stream.abort();
        stream.finish(0);
        let error = reader.read(&mut [0]).expect_err("no end");
        assert!(Aborted::is_behind(&error), "{error:?}");
        assert!(!Aborted::is_behind(&io::Error::other("else")));
    }
}
