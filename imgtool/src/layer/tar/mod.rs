//! Tar as layers have it: POSIX pax, ustar, GNU with long names and sparse files, and the old format (image-spec, layer.md;
//! POSIX.1-2024, pax; the GNU tar manual, "Tar Internals").
//!
//! The reader takes a stream and holds one entry. What other readers would understand differently is refused, because
//! then what was scanned is not what is unpacked; every length that the archive gives has a bound of its own.

mod header;
mod pax;
mod sparse;
mod writer;

pub use header::HeaderError;
pub use pax::PaxError;
pub use sparse::{Region, SparseError};
pub use writer::Writer;

use crate::store::{Budget, ENTRIES_VARIABLE};
use header::{BLOCK, Header, Type};
use pax::Records;
use sparse::Map;
use std::ffi::CString;
use std::io::{self, Read};

/// The longest name of an entry or of a link's target, in bytes: one less than the kernel's `PATH_MAX`.
pub const PATH_LIMIT: u64 = 4095;

/// What a pax header may have, in bytes. An attribute has 64 KiB at the most, and a file rarely more than three.
pub const PAX_LIMIT: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file; the regions are those that are no holes, if it is sparse.
    File(Option<Vec<Region>>),
    /// One more name of an earlier entry, which is given.
    HardLink(Vec<u8>),
    /// A symbolic link to this.
    Symlink(Vec<u8>),
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A time: seconds since 1970, and nanoseconds behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// Nanoseconds, always forward.
    pub nanoseconds: u32,
}

/// An entry without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as it is written; it may be anything.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permissions with setuid, setgid and sticky: twelve bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The length of the file with its holes, in bytes; 0 for what is no file.
    pub size: u64,
    /// When its content was changed.
    pub modified: Time,
    /// Extended attributes.
    pub attributes: Vec<(CString, Vec<u8>)>,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// Its source failed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// It ends in the middle.
    #[error("the archive ends within an entry")]
    Truncated,
    /// A header is none.
    #[error("entry {number} has no valid header")]
    Header {
        /// Which entry, counted from 1.
        number: u64,
        /// Why.
        source: HeaderError,
    },
    /// A pax header is none.
    #[error("entry {number} has no valid pax header")]
    Pax {
        /// Which entry, counted from 1.
        number: u64,
        /// Why.
        source: PaxError,
    },
    /// The map of a sparse file is none.
    #[error("entry {number} has no valid map of a sparse file")]
    Sparse {
        /// Which entry, counted from 1.
        number: u64,
        /// Why.
        source: SparseError,
    },
    /// A header that only describes the next is longer than it may be.
    #[error("entry {number} describes the next one in {size} bytes; {limit} are the most")]
    TooLong {
        /// Which entry, counted from 1.
        number: u64,
        /// What it has.
        size: u64,
        /// What it may have.
        limit: u64,
    },
    /// Something is said twice about one entry, and readers differ in which they believe.
    #[error("entry {number} gives {what} twice, which programs read in different ways")]
    Twice {
        /// Which entry, counted from 1.
        number: u64,
        /// What.
        what: &'static str,
    },
    /// A directory by its name, and a file by its data: some readers skip the data, and others take it for the next header.
    #[error("entry {0} is called a directory and has data, which programs read in different ways")]
    DirectoryData(u64),
    /// There are too many entries.
    #[error("the archive has more than {0} entries; {ENTRIES_VARIABLE} can allow more")]
    TooMany(u64),
}

/// Reads an archive entry by entry.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    /// Data of the present entry that has not been read.
    left: u64,
    /// What follows the data up to the end of its block.
    padding: u64,
    number: u64,
    /// How many entries there may be.
    limit: u64,
}

/// What was said about an entry before its own header came.
#[derive(Default)]
struct Ahead {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    records: Option<Records>,
}

impl<R: Read> Reader<R> {
    /// A reader of an archive from its first byte.
    pub fn new(source: R) -> Self {
        Self { source, left: 0, padding: 0, number: 0, limit: Budget::default().entries }
    }

    /// The same for an archive that may have this many entries.
    #[must_use]
    pub fn within(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// The next entry; what was not read of the one before is skipped. `None` at the end of the archive.
    ///
    /// # Errors
    /// [`TarError`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut ahead = Ahead::default();
        loop {
            self.skip_data()?;
            let Some(block) = self.header_block()? else { return Ok(None) };
            self.number += 1;
            if self.number > self.limit {
                return Err(TarError::TooMany(self.limit));
            }
            let header =
                Header::parse(&block).map_err(|source| TarError::Header { number: self.number, source })?;
            match header.kind {
                Type::Pax => self.pax(&header, &mut ahead)?,
                Type::GlobalPax => self.global_pax(&header)?,
                Type::LongName => {
                    let name = self.long(&header)?;
                    self.once(ahead.name.replace(name), "a long name")?;
                }
                Type::LongLink => {
                    let link = self.long(&header)?;
                    self.once(ahead.link.replace(link), "a long link")?;
                }
                _ => return self.entry(header, ahead).map(Some),
            }
        }
    }

    /// Reads data of the present entry; 0 at its end. A sparse file has its regions one behind the other.
    ///
    /// # Errors
    /// [`TarError::Read`], [`TarError::Truncated`].
    pub fn read_data(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let count = read(&mut self.source, &mut buffer[..most])?;
        if count == 0 {
            return Err(TarError::Truncated);
        }
        self.left -= count as u64;
        Ok(count)
    }

    /// The source, behind the archive's end.
    pub fn into_source(self) -> R {
        self.source
    }

    fn once<T>(&self, before: Option<T>, what: &'static str) -> Result<(), TarError> {
        match before {
            None => Ok(()),
            Some(_) => Err(TarError::Twice { number: self.number, what }),
        }
    }

    fn pax(&mut self, header: &Header, ahead: &mut Ahead) -> Result<(), TarError> {
        let bytes = self.described(header, PAX_LIMIT)?;
        let number = self.number;
        let records = Records::parse(&bytes).map_err(|source| TarError::Pax { number, source })?;
        self.once(ahead.records.replace(records), "a pax header")
    }

    fn global_pax(&mut self, header: &Header) -> Result<(), TarError> {
        let bytes = self.described(header, PAX_LIMIT)?;
        pax::check_global(&bytes).map_err(|source| TarError::Pax { number: self.number, source })
    }

    /// A GNU long name: it ends at its first NUL.
    fn long(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        let mut bytes = self.described(header, PATH_LIMIT + 1)?;
        bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
        Ok(bytes)
    }

    /// The data of a header that describes the next one.
    fn described(&mut self, header: &Header, limit: u64) -> Result<Vec<u8>, TarError> {
        if header.size > limit {
            return Err(TarError::TooLong { number: self.number, size: header.size, limit });
        }
        self.begin_data(header.size);
        let mut bytes = vec![0; header.size as usize];
        let mut done = 0;
        while done < bytes.len() {
            done += self.read_data(&mut bytes[done..])?;
        }
        Ok(bytes)
    }

    fn entry(&mut self, header: Header, ahead: Ahead) -> Result<Entry, TarError> {
        let records = ahead.records.unwrap_or_default();
        if ahead.name.is_some() && records.path.is_some() {
            return Err(TarError::Twice { number: self.number, what: "its name" });
        }
        if ahead.link.is_some() && records.link.is_some() {
            return Err(TarError::Twice { number: self.number, what: "its target" });
        }
        let has_data = matches!(header.kind, Type::File | Type::Sparse);
        self.begin_data(if has_data { records.size.unwrap_or(header.size) } else { 0 });
        let path = records.path.or(ahead.name).unwrap_or(header.path);
        let link = records.link.or(ahead.link).unwrap_or(header.link);
        let map = self.sparse_map(&header.kind, header.sparse, records.sparse)?;
        let size = map.as_ref().map_or(self.left, |map| map.size);
        let path = map.as_ref().and_then(|map| map.name.clone()).unwrap_or(path);
        let is_directory = header.kind == Type::Directory || has_data && path.ends_with(b"/");
        if is_directory && (self.left > 0 || map.is_some()) {
            return Err(TarError::DirectoryData(self.number));
        }
        let kind = match header.kind {
            _ if is_directory => Kind::Directory,
            Type::HardLink => Kind::HardLink(link),
            Type::Symlink => Kind::Symlink(link),
            Type::Character => Kind::Character(header.major, header.minor),
            Type::Block => Kind::Block(header.major, header.minor),
            Type::Fifo => Kind::Fifo,
            _ => Kind::File(map.map(|map| map.regions)),
        };
        Ok(Entry {
            path,
            size: if matches!(kind, Kind::File(_)) { size } else { 0 },
            kind,
            mode: header.mode,
            uid: records.uid.unwrap_or(header.uid),
            gid: records.gid.unwrap_or(header.gid),
            modified: records.modified.unwrap_or(Time { seconds: header.modified, nanoseconds: 0 }),
            attributes: records.attributes,
        })
    }

    /// Where the data of a sparse file belongs: the map is in the header, in the pax header, or before the data.
    fn sparse_map(
        &mut self,
        kind: &Type,
        in_header: Option<sparse::OldMap>,
        records: sparse::Records,
    ) -> Result<Option<Map>, TarError> {
        let number = self.number;
        let wrong = |source| TarError::Sparse { number, source };
        let map = match (kind, in_header) {
            (Type::Sparse, Some(old)) => Some(self.old_map(old)?),
            (Type::File, _) if records.is_version_1() => Some(self.map_before_data(&records)?),
            (Type::File, _) => records.map().map_err(wrong)?,
            _ => None,
        };
        if let Some(map) = &map {
            map.check(self.left).map_err(wrong)?;
        }
        Ok(map)
    }

    /// The old GNU format: four regions in the header, and blocks with 21 more for as long as the last says so.
    fn old_map(&mut self, mut old: sparse::OldMap) -> Result<Map, TarError> {
        let number = self.number;
        while old.goes_on() {
            let block = self.block()?.ok_or(TarError::Truncated)?;
            old.extend(&block).map_err(|source| TarError::Sparse { number, source })?;
        }
        Ok(old.finish())
    }

    /// Version 1.0: decimal numbers, one a line, in blocks before the data.
    fn map_before_data(&mut self, records: &sparse::Records) -> Result<Map, TarError> {
        let number = self.number;
        let mut text = sparse::Text::default();
        loop {
            let mut block = [0; BLOCK];
            let mut done = 0;
            while done < BLOCK {
                match self.read_data(&mut block[done..])? {
                    0 => return Err(TarError::Truncated),
                    some => done += some,
                }
            }
            if text.take(&block).map_err(|source| TarError::Sparse { number, source })? {
                return records.map_of(text.regions).map_err(|source| TarError::Sparse { number, source });
            }
        }
    }

    fn begin_data(&mut self, size: u64) {
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK as u64).saturating_sub(size);
    }

    fn skip_data(&mut self) -> Result<(), TarError> {
        let mut buffer = [0; 8 << 10];
        while self.left > 0 {
            self.read_data(&mut buffer)?;
        }
        self.left = std::mem::take(&mut self.padding);
        while self.left > 0 {
            self.read_data(&mut buffer[..BLOCK])?;
        }
        Ok(())
    }

    /// The next header; `None` behind the last entry: at two blocks of zeros, or where the source ends.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let is_empty = |block: &[u8; BLOCK]| block.iter().all(|byte| *byte == 0);
        match self.block()? {
            Some(block) if is_empty(&block) => match self.block()? {
                Some(block) if !is_empty(&block) => {
                    Err(TarError::Header { number: self.number + 1, source: HeaderError::AfterTheEnd })
                }
                _ => Ok(None),
            },
            other => Ok(other),
        }
    }

    /// One block; `None` where the source ends before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut done = 0;
        while done < BLOCK {
            match read(&mut self.source, &mut block[done..])? {
                0 if done == 0 => return Ok(None),
                0 => return Err(TarError::Truncated),
                some => done += some,
            }
        }
        Ok(Some(block))
    }
}

fn read(source: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TarError> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(TarError::Read),
        }
    }
}

#[cfg(test)]
mod tests;
