//! Writing archives: what fits goes into a header of POSIX.1-1988 (ustar), the rest into pax records before it, so that every
//! reader of layers understands it. The same entries always give the same bytes.

use super::header::BLOCK;
use super::{Entry, Kind, Region, Time};
use std::io::{self, Write};

/// The largest number in a field of 8 bytes: seven octal digits.
const SEVEN_DIGITS: u64 = 0o777_7777;

/// The largest number in a field of 12 bytes: eleven octal digits.
const ELEVEN_DIGITS: u64 = 0o777_7777_7777;

/// The longest name or target that a header has room for, in bytes.
const NAME_LIMIT: usize = 100;

/// Writes an archive entry by entry.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Data that the present entry still has to get.
    left: u64,
    /// What follows the data up to the end of its block.
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// A writer of an archive that has no entry yet.
    pub fn new(out: W) -> Self {
        Self { out, left: 0, padding: 0 }
    }

    /// Begins an entry. A file's bytes follow with [`data`](Self::data): all of them, or those of its regions alone if
    /// it is sparse.
    ///
    /// # Errors
    /// What the output says; [`io::ErrorKind::InvalidInput`] if the entry before lacks data, or if a number or a name is none
    /// that an archive can have.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        self.end_entry()?;
        let map = match &entry.kind {
            Kind::File(Some(regions)) => Some(Map::new(regions, entry.size)),
            _ => None,
        };
        let size = map.as_ref().map_or(entry.size, Map::size);
        let size = if matches!(entry.kind, Kind::File(_)) { size } else { 0 };
        let records = records(entry, size, map.is_some());
        if !records.is_empty() {
            let header = Fields { mode: 0o644, size: records.len() as u64, ..Fields::new(b'x') };
            self.out.write_all(&header.named(&aside(b"PaxHeaders.0/", &entry.path)).block()?)?;
            self.out.write_all(&records)?;
            self.pad(padding_of(records.len() as u64))?;
        }
        self.out.write_all(&header(entry, size, map.is_some()).block()?)?;
        self.padding = padding_of(size);
        self.left = size;
        map.map_or(Ok(()), |map| self.data(&map.text))
    }

    /// Data of the present entry.
    ///
    /// # Errors
    /// What the output says; [`io::ErrorKind::InvalidInput`] if it is more than the entry has.
    pub fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
            return Err(wrong("an entry gets more data than it has"));
        };
        self.left = left;
        self.out.write_all(bytes)
    }

    /// Ends the archive and returns its output.
    ///
    /// # Errors
    /// As [`entry`](Self::entry).
    pub fn finish(mut self) -> io::Result<W> {
        self.end_entry()?;
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn end_entry(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(wrong("an entry lacks data"));
        }
        let padding = std::mem::take(&mut self.padding);
        self.pad(padding)
    }

    fn pad(&mut self, count: usize) -> io::Result<()> {
        self.out.write_all(&[0; BLOCK][..count])
    }
}

fn wrong(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem)
}

fn padding_of(size: u64) -> usize {
    // Below 512, so it fits.
    ((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64) as usize
}

/// A name for a header that only describes another entry; who does not know such headers makes a file of it.
fn aside(directory: &[u8], path: &[u8]) -> Vec<u8> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    let room = NAME_LIMIT - directory.len();
    [directory, &name[..name.len().min(room)]].concat()
}

/// What a header does not have room for.
fn records(entry: &Entry, size: u64, is_sparse: bool) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| records.extend(record(key, value));
    if is_sparse {
        add(b"GNU.sparse.major", b"1");
        add(b"GNU.sparse.minor", b"0");
        add(b"GNU.sparse.name", &entry.path);
        add(b"GNU.sparse.realsize", entry.size.to_string().as_bytes());
    } else if entry.path.len() > NAME_LIMIT {
        add(b"path", &entry.path);
    }
    if let Kind::HardLink(target) | Kind::Symlink(target) = &entry.kind
        && target.len() > NAME_LIMIT
    {
        add(b"linkpath", target);
    }
    if size > ELEVEN_DIGITS {
        add(b"size", size.to_string().as_bytes());
    }
    for (key, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if u64::from(id) > SEVEN_DIGITS {
            add(key, id.to_string().as_bytes());
        }
    }
    if !fits(entry.modified) {
        add(b"mtime", decimal(entry.modified).as_bytes());
    }
    for (name, value) in &entry.attributes {
        add(&[b"SCHILY.xattr.", name.as_bytes()].concat(), value);
    }
    records
}

/// `LENGTH KEY=VALUE` and a newline, where the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn fits(time: Time) -> bool {
    time.nanoseconds == 0 && u64::try_from(time.seconds).is_ok_and(|seconds| seconds <= ELEVEN_DIGITS)
}

/// Seconds with a fraction; before 1970 both are negative, while the nanoseconds of a [`Time`] always go forward.
fn decimal(time: Time) -> String {
    let (sign, seconds, nanoseconds) = match (time.seconds, time.nanoseconds) {
        (seconds, 0) => return seconds.to_string(),
        (seconds, nanoseconds) if seconds < 0 => ("-", -(seconds + 1), 1_000_000_000 - nanoseconds),
        (seconds, nanoseconds) => ("", seconds, nanoseconds),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').to_owned()
}

/// The map of a sparse file as GNU tar writes it in version 1.0: decimal numbers before the data, one a line, in whole blocks.
struct Map {
    text: Vec<u8>,
    data: u64,
}

impl Map {
    fn new(regions: &[Region], size: u64) -> Self {
        let data = regions.iter().map(|region| region.length).sum();
        let ends_with_hole = regions.last().is_none_or(|last| last.offset + last.length < size);
        // GNU tar makes a hole at the end only where an empty region stands there.
        let end = ends_with_hole.then_some(Region { offset: size, length: 0 });
        let all = regions.iter().chain(&end);
        let numbers: String = all.map(|region| format!("{}\n{}\n", region.offset, region.length)).collect();
        let count = regions.len() + usize::from(ends_with_hole);
        let mut text = format!("{count}\n{numbers}").into_bytes();
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        Self { text, data }
    }

    fn size(&self) -> u64 {
        self.text.len() as u64 + self.data
    }
}

/// The fields of a header.
struct Fields {
    name: Vec<u8>,
    link: Vec<u8>,
    kind: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    modified: u64,
    device: Option<(u32, u32)>,
}

fn header(entry: &Entry, size: u64, is_sparse: bool) -> Fields {
    let (kind, link, device) = match &entry.kind {
        Kind::File(_) => (b'0', &[][..], None),
        Kind::HardLink(target) => (b'1', &target[..], None),
        Kind::Symlink(target) => (b'2', &target[..], None),
        Kind::Character(major, minor) => (b'3', &[][..], Some((*major, *minor))),
        Kind::Block(major, minor) => (b'4', &[][..], Some((*major, *minor))),
        Kind::Directory => (b'5', &[][..], None),
        Kind::Fifo => (b'6', &[][..], None),
    };
    // What does not fit is in a record, which counts; the header keeps what it can.
    let id = |id: u32| if u64::from(id) > SEVEN_DIGITS { 0 } else { id };
    let name = if is_sparse { aside(b"GNUSparseFile.0/", &entry.path) } else { entry.path.clone() };
    Fields {
        link: link.to_owned(),
        mode: entry.mode & 0o7777,
        uid: id(entry.uid),
        gid: id(entry.gid),
        size: if size > ELEVEN_DIGITS { 0 } else { size },
        modified: u64::try_from(entry.modified.seconds).map_or(0, |seconds| seconds.min(ELEVEN_DIGITS)),
        device,
        ..Fields::new(kind).named(&name)
    }
}

impl Fields {
    fn new(kind: u8) -> Self {
        let (name, link) = (Vec::new(), Vec::new());
        Self { name, link, kind, mode: 0, uid: 0, gid: 0, size: 0, modified: 0, device: None }
    }

    fn named(mut self, name: &[u8]) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    fn block(&self) -> io::Result<[u8; BLOCK]> {
        if self.name.is_empty() || self.name.contains(&0) || self.link.contains(&0) {
            return Err(wrong("a name is empty or has a NUL byte"));
        }
        let mut block = [0; BLOCK];
        let cut = |text: &[u8]| text[..text.len().min(NAME_LIMIT)].to_owned();
        put(&mut block, 0, &cut(&self.name));
        octal(&mut block[100..108], self.mode.into())?;
        octal(&mut block[108..116], self.uid.into())?;
        octal(&mut block[116..124], self.gid.into())?;
        octal(&mut block[124..136], self.size)?;
        octal(&mut block[136..148], self.modified)?;
        block[156] = self.kind;
        put(&mut block, 157, &cut(&self.link));
        put(&mut block, 257, b"ustar\x0000");
        if let Some((major, minor)) = self.device {
            octal(&mut block[329..337], major.into())?;
            octal(&mut block[337..345], minor.into())?;
        }
        seal(&mut block);
        Ok(block)
    }
}

fn put(block: &mut [u8; BLOCK], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

fn octal(field: &mut [u8], number: u64) -> io::Result<()> {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    if text.len() > digits {
        return Err(wrong("a number does not fit into the header of an archive"));
    }
    field[..digits].copy_from_slice(text.as_bytes());
    Ok(())
}

/// The checksum: the sum of all bytes, with blanks in its place.
fn seal(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    // 512 times 255 has six octal digits.
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

    fn entry(path: &[u8], kind: Kind) -> Entry {
        Entry {
            path: path.to_owned(),
            kind,
            mode: 0o4755,
            uid: 7,
            gid: 8,
            size: 0,
            modified: Time { seconds: 1, nanoseconds: 0 },
            attributes: Vec::new(),
        }
    }

    fn written(entries: &[(Entry, &[u8])]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (entry, data) in entries {
            writer.entry(entry).expect("memory");
            writer.data(data).expect("memory");
        }
        writer.finish().expect("memory")
    }

    fn all_kinds() -> Vec<(Entry, &'static [u8])> {
        let long = |byte: u8, count| vec![byte; count];
        let huge = Entry {
            uid: u32::MAX - 1,
            gid: 0o1000_0000,
            modified: Time { seconds: -3, nanoseconds: 250_000_000 },
            attributes: vec![(c"user.a".to_owned(), b"x\0\n=y".to_vec())],
            ..entry(b"huge", Kind::Directory)
        };
        let region = |offset, length| Region { offset, length };
        let sparse = |regions, size| Entry { size, ..entry(&long(b's', 120), Kind::File(Some(regions))) };
        let end = region(10_000, 0);
        vec![
            (entry(b"./", Kind::Directory), b""),
            (Entry { size: 3, ..entry(b"file", Kind::File(None)) }, b"abc"),
            (Entry { size: 3, ..entry(&long(b'n', 101), Kind::File(None)) }, b"abc"),
            (entry(&long(b'n', 100), Kind::Symlink(long(b't', 101))), b""),
            (entry(b"hard", Kind::HardLink(long(b'n', 101))), b""),
            (entry(b"null", Kind::Character(1, 3)), b""),
            (entry(b"disk", Kind::Block(8, 0x3ffff)), b""),
            (entry(b"pipe", Kind::Fifo), b""),
            (huge, b""),
            (sparse(vec![region(4096, 2), region(8192, 3), end], 10_000), b"abcde"),
            (sparse(vec![region(9998, 2)], 10_000), b"ab"),
            (sparse(vec![end], 10_000), b""),
        ]
    }

    #[test]
    fn what_is_written_is_read_again() {
        let all = all_kinds();
        let archive = written(&all);
        let mut reader = Reader::new(archive.as_slice());
        for (entry, data) in &all {
            let found = reader.next_entry().expect("an archive").expect("an entry");
            assert_eq!(found, *entry);
            let mut content = vec![0; 100];
            let count = reader.read_data(&mut content).expect("data");
            assert_eq!(&content[..count], *data, "{:?}", entry.path);
        }
        assert_eq!(reader.next_entry().expect("the end"), None);
    }

    #[test]
    fn what_fits_has_no_pax_header_and_the_same_bytes_each_time() {
        let all = [(Entry { size: 3, ..entry(b"file", Kind::File(None)) }, &b"abc"[..])];
        assert_eq!(written(&all).len(), 512 + 512 + 1024);
        assert_eq!(written(&all), written(&all));
    }

    #[test]
    fn data_has_to_be_what_was_announced() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&Entry { size: 3, ..entry(b"file", Kind::File(None)) }).expect("memory");
        writer.data(b"abcd").expect_err("too much");
        writer.data(b"ab").expect("memory");
        writer.finish().expect_err("too little");
        Writer::new(Vec::new()).entry(&entry(b"", Kind::Fifo)).expect_err("no name");
    }

    #[test]
    fn times_before_1970_are_negative_as_a_whole() {
        for (seconds, nanoseconds, text) in [
            (-2, 500_000_000, "-1.5"),
            (-1, 999_999_999, "-0.000000001"),
            (5, 120_000_000, "5.12"),
            (-7, 0, "-7"),
        ] {
            assert_eq!(decimal(Time { seconds, nanoseconds }), text);
        }
    }
}
