//! Parts of a log as gzip. The header of one has the inode of what it was made of (in a field of its own, RFC 1952 2.3.1.1),
//! by which a reader that follows the log finds its place again.

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The name of the field, and how long what follows is.
const FIELD: [u8; 4] = [b'm', b'd', 8, 0];

/// The name of a part as gzip.
pub fn packed_name(part: &Path) -> PathBuf {
    let mut name = part.as_os_str().to_owned();
    name.push(".gz");
    PathBuf::from(name)
}

/// Replaces a part by itself as gzip. It is there under one of its names all the time.
///
/// # Errors
/// What the kernel says, such as a full disk; the part is there as it was then.
pub fn pack(part: &Path) -> io::Result<()> {
    let name = packed_name(part);
    let mut new = name.clone().into_os_string();
    new.push(".new");
    let written = write(part, new.as_ref()).and_then(|()| fs::rename(&new, &name));
    if written.is_err() {
        // The reason is told. Who packs next writes it anew.
        fs::remove_file(&new).unwrap_or_default();
        return written;
    }
    fs::remove_file(part)
}

fn write(part: &Path, new: &Path) -> io::Result<()> {
    let mut file = File::open(part)?;
    let field = [&FIELD[..], &file.metadata()?.ino().to_le_bytes()].concat();
    let out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(new)?;
    let mut encoder = GzBuilder::new().extra(field).write(out, Compression::default());
    io::copy(&mut file, &mut encoder)?;
    encoder.finish().map(drop)
}

/// A part of a log that is open, packed or not.
#[derive(Debug)]
pub struct Part {
    /// The inode that it had when it was written.
    pub inode: u64,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Plain(File),
    Packed(Box<BufReader<GzDecoder<File>>>),
}

impl Part {
    /// Opens a part under the name that it has.
    ///
    /// # Errors
    /// It has neither, or what the kernel says.
    pub fn open(part: &Path) -> io::Result<Self> {
        match File::open(part) {
            // It is packed under the other name before this one goes.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::open_packed(part),
            file => {
                let file = file?;
                Ok(Self { inode: file.metadata()?.ino(), bytes: Bytes::Plain(file) })
            }
        }
    }

    fn open_packed(part: &Path) -> io::Result<Self> {
        let decoder = GzDecoder::new(File::open(packed_name(part))?);
        let field = decoder.header().and_then(|header| header.extra()?.strip_prefix(&FIELD));
        let inode = field.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        // What somebody else has packed is read all the same.
        let inode = inode.map_or_else(|| decoder.get_ref().metadata().map(|stat| stat.ino()), Ok)?;
        Ok(Self { inode, bytes: Bytes::Packed(Box::new(BufReader::new(decoder))) })
    }

    /// Whether it may be the part that `other`, which is held open, was read from. A packed part does not hold the number of
    /// its inode, which another file may get.
    pub fn is_that_of(&self, other: &Self) -> bool {
        self.inode == other.inode && (other.plain().is_some() || self.plain().is_none())
    }

    /// The file, if it is one as it was written.
    pub fn plain(&self) -> Option<&File> {
        match &self.bytes {
            Bytes::Plain(file) => Some(file),
            Bytes::Packed(_) => None,
        }
    }

    /// Goes on at this place of a file that is not packed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        match &mut self.bytes {
            Bytes::Plain(file) => file.seek(SeekFrom::Start(offset)).map(drop),
            Bytes::Packed(_) => Ok(()),
        }
    }

    /// Goes on at the last `wanted` lines of a packed part, and returns how many there are; it is unpacked for that.
    ///
    /// # Errors
    /// It is damaged, or what the kernel says.
    pub fn skip_to_last(&mut self, wanted: u64) -> io::Result<u64> {
        let Bytes::Packed(bytes) = &mut self.bytes else { return Ok(0) };
        let mut lines = 0;
        while bytes.skip_until(b'\n')? > 0 {
            lines += 1;
        }
        let mut file = bytes.get_ref().get_ref().try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        **bytes = BufReader::new(GzDecoder::new(file));
        let found = wanted.min(lines);
        (found..lines).try_for_each(|_| bytes.skip_until(b'\n').map(drop))?;
        Ok(found)
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(file) => file.read(buffer),
            Bytes::Packed(decoder) => decoder.read(buffer),
        }
    }
}
