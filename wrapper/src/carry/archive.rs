//! Entries to an archive, and back.

use super::{BUFFER, CarryError, Data, Sink};
use mydocker_img::layer::tar::{Entry, Reader, Writer};
use std::io::{Read, Write};

/// Writes entries to an archive.
#[derive(Debug)]
pub struct ArchiveSink<W: Write> {
    writer: Writer<W>,
    buffer: Vec<u8>,
}

impl<W: Write> ArchiveSink<W> {
    /// An archive without any entry yet.
    pub fn new(out: W) -> Self {
        Self { writer: Writer::new(out), buffer: vec![0; BUFFER] }
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// [`CarryError::Write`].
    pub fn finish(self) -> Result<(), CarryError> {
        let mut out = self.writer.finish().map_err(CarryError::Write)?;
        out.flush().map_err(CarryError::Write)
    }
}

impl<W: Write> Sink for ArchiveSink<W> {
    fn entry(&mut self, entry: &Entry, data: &mut Data<'_>) -> Result<(), CarryError> {
        self.writer.entry(entry).map_err(CarryError::Write)?;
        loop {
            let count = data(&mut self.buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.writer.data(&self.buffer[..count]).map_err(CarryError::Write)?;
        }
    }
}

/// Gives the entries of an archive to a sink, and returns how many bytes their files have.
///
/// # Errors
/// [`CarryError`]; what was taken by then stays.
pub fn unpack(archive: impl Read, sink: &mut dyn Sink) -> Result<u64, CarryError> {
    let mut reader = Reader::new(archive);
    let mut size = 0;
    while let Some(entry) = reader.next_entry()? {
        let mut data = |buffer: &mut [u8]| {
            let count = reader.read_data(buffer)?;
            size += count as u64;
            Ok(count)
        };
        sink.entry(&entry, &mut data)?;
    }
    Ok(size)
}
