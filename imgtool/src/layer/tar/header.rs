//! One header of 512 bytes.

use super::sparse::{OldMap, SparseError};

/// The length of a header, and what all data is padded to.
pub(super) const BLOCK: usize = 512;

/// The type of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File,
    HardLink,
    Symlink,
    Character,
    Block,
    Directory,
    Fifo,
    Sparse,
    Pax,
    GlobalPax,
    LongName,
    LongLink,
}

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes do not add up.
    #[error("its checksum is wrong: this is no tar archive, or a damaged one")]
    Checksum,
    /// A field is no number, or one that does not fit.
    #[error("its field {0} is no number that can be")]
    Number(&'static str),
    /// The type is not known.
    #[error("its type is {0:?}, which is not supported")]
    Type(char),
    /// Something follows a block of zeros.
    #[error("it follows a single block of zeros, where some programs stop and some go on")]
    AfterTheEnd,
    /// The map of a sparse file in it is none.
    #[error("it is the header of a sparse file")]
    Sparse(#[source] SparseError),
}

/// A header's fields.
#[derive(Debug)]
pub(super) struct Header {
    pub kind: Type,
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub modified: i64,
    pub major: u32,
    pub minor: u32,
    pub sparse: Option<OldMap>,
}

impl Header {
    pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Self, HeaderError> {
        check_sum(block)?;
        let kind = kind_of(block[156])?;
        let small = |range: std::ops::Range<usize>, name| {
            unsigned(&block[range])
                .and_then(|number| u32::try_from(number).ok())
                .ok_or(HeaderError::Number(name))
        };
        let is_device = matches!(kind, Type::Character | Type::Block);
        let device = |range, name| if is_device { small(range, name) } else { Ok(0) };
        let sparse = (kind == Type::Sparse).then(|| OldMap::of_header(block)).transpose();
        Ok(Self {
            kind,
            path: path_of(block),
            link: text(&block[157..257]).to_owned(),
            // Only the permissions: some programs put the file's type into the higher bits.
            mode: (number(&block[100..108]).ok_or(HeaderError::Number("mode"))? & 0o7777) as u32,
            uid: small(108..116, "uid")?,
            gid: small(116..124, "gid")?,
            size: unsigned(&block[124..136]).ok_or(HeaderError::Number("size"))?,
            modified: number(&block[136..148]).ok_or(HeaderError::Number("mtime"))?,
            major: device(329..337, "devmajor")?,
            minor: device(337..345, "devminor")?,
            sparse: sparse.map_err(HeaderError::Sparse)?,
        })
    }
}

/// The sum of all bytes, with blanks for the sum itself. Some old programs added them as signed numbers.
fn check_sum(block: &[u8; BLOCK]) -> Result<(), HeaderError> {
    let bytes =
        || block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { b' ' } else { *byte });
    let sum: i64 = bytes().map(i64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte as i8)).sum();
    match number(&block[148..156]) {
        Some(found) if found == sum || found == signed => Ok(()),
        _ => Err(HeaderError::Checksum),
    }
}

fn kind_of(flag: u8) -> Result<Type, HeaderError> {
    Ok(match flag {
        0 | b'0' | b'7' => Type::File,
        b'1' => Type::HardLink,
        b'2' => Type::Symlink,
        b'3' => Type::Character,
        b'4' => Type::Block,
        b'5' => Type::Directory,
        b'6' => Type::Fifo,
        b'S' => Type::Sparse,
        b'x' => Type::Pax,
        b'g' => Type::GlobalPax,
        b'L' => Type::LongName,
        b'K' => Type::LongLink,
        other => return Err(HeaderError::Type(char::from(other))),
    })
}

/// The name: POSIX has room for its beginning at another place, where GNU and the old format have something else.
fn path_of(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&block[..100]);
    let is_posix = &block[257..263] == b"ustar\0";
    // star keeps times in the last bytes of the field.
    let end = if &block[508..512] == b"tar\0" { 476 } else { 500 };
    let prefix = if is_posix { text(&block[345..end]) } else { &[] };
    if prefix.is_empty() { name.to_owned() } else { [prefix, b"/", name].concat() }
}

fn text(field: &[u8]) -> &[u8] {
    &field[..field.iter().position(|byte| *byte == 0).unwrap_or(field.len())]
}

/// A number that is not negative.
pub(super) fn unsigned(field: &[u8]) -> Option<u64> {
    number(field).and_then(|number| u64::try_from(number).ok())
}

/// A number: octal digits among blanks and NULs, or, with the highest bit set, two's complement with the highest byte
/// first. No digits at all are 0.
fn number(field: &[u8]) -> Option<i64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        return binary(field);
    }
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_filler(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_filler).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if !rest.iter().all(is_filler) {
        return None;
    }
    digits.iter().try_fold(0_i64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

fn binary(field: &[u8]) -> Option<i64> {
    let is_negative = field[0] & 0x40 != 0;
    // The flag is no part of the number: the bit below it is its sign.
    let first = if is_negative { field[0] } else { field[0] & 0x7f };
    let bytes = std::iter::once(first).chain(field[1..].iter().copied());
    let filler = if is_negative { 0xff } else { 0 };
    let mut number = if is_negative { -1_i64 } else { 0 };
    for (at, byte) in bytes.enumerate() {
        if at + 8 < field.len() {
            if byte != filler {
                return None;
            }
            continue;
        }
        number = number << 8 | i64::from(byte);
    }
    ((number < 0) == is_negative).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"0000684\0"), None);
        assert_eq!(number(b"06 44\0\0\0"), None);
        assert_eq!(number(b"-0000001"), None);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]), Some(1 << 33));
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(unsigned(&[0xff; 12]), None);
    }
}
