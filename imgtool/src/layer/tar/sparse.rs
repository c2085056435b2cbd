//! Sparse files, as GNU tar writes them: in a header of its own, and in three versions of pax records.

use super::header::{BLOCK, unsigned};
use super::pax::decimal;

/// How many regions a file may have: their map stays below 2 MiB.
const REGION_LIMIT: usize = 1 << 17;

/// A part of a file that has data; around it are holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// What is wrong with the map of a sparse file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SparseError {
    /// A number is none.
    #[error("it has a field that is no number that can be")]
    Number,
    /// Regions overlap, come in a wrong order, or end behind the file.
    #[error("its regions overlap, or end behind the file's end")]
    Order,
    /// The regions and the data differ in length.
    #[error("its regions have {regions} bytes, and the data has {data}")]
    Length {
        /// All regions.
        regions: u64,
        /// The entry's data.
        data: u64,
    },
    /// There are too many regions.
    #[error("it has more than {REGION_LIMIT} regions")]
    TooMany,
    /// A part of the description is missing.
    #[error("it does not tell the file's size, or not all of its regions")]
    Incomplete,
}

/// The map of a file.
#[derive(Debug)]
pub(super) struct Map {
    pub regions: Vec<Region>,
    /// The length of the file with its holes.
    pub size: u64,
    /// Its name, if the header's name is made up.
    pub name: Option<Vec<u8>>,
}

impl Map {
    /// Demands that the regions are in order and have as many bytes as there are.
    pub(super) fn check(&self, data: u64) -> Result<(), SparseError> {
        let (mut end, mut regions) = (0, 0);
        for region in &self.regions {
            let next = region.offset.checked_add(region.length).ok_or(SparseError::Order)?;
            if region.offset < end || next > self.size {
                return Err(SparseError::Order);
            }
            (end, regions) = (next, regions + region.length);
        }
        if regions == data { Ok(()) } else { Err(SparseError::Length { regions, data }) }
    }
}

/// The map of the old GNU format, of which a part may still come.
#[derive(Debug)]
pub(super) struct OldMap {
    regions: Vec<Region>,
    size: u64,
    more: bool,
}

impl OldMap {
    pub(super) fn of_header(block: &[u8; BLOCK]) -> Result<Self, SparseError> {
        let size = unsigned(&block[483..495]).ok_or(SparseError::Number)?;
        let mut map = Self { regions: Vec::new(), size, more: block[482] != 0 };
        map.add(&block[386..482])?;
        Ok(map)
    }

    pub(super) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<(), SparseError> {
        self.more = block[504] != 0;
        self.add(&block[..504])
    }

    pub(super) fn goes_on(&self) -> bool {
        self.more
    }

    pub(super) fn finish(self) -> Map {
        Map { regions: self.regions, size: self.size, name: None }
    }

    fn add(&mut self, fields: &[u8]) -> Result<(), SparseError> {
        for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
            let offset = unsigned(&field[..12]).ok_or(SparseError::Number)?;
            let length = unsigned(&field[12..]).ok_or(SparseError::Number)?;
            push(&mut self.regions, Region { offset, length })?;
        }
        Ok(())
    }
}

fn push(regions: &mut Vec<Region>, region: Region) -> Result<(), SparseError> {
    if regions.len() == REGION_LIMIT {
        return Err(SparseError::TooMany);
    }
    regions.push(region);
    Ok(())
}

/// What pax records say about a sparse file.
#[derive(Debug, Default)]
pub(super) struct Records {
    major: Option<u64>,
    size: Option<u64>,
    name: Option<Vec<u8>>,
    /// The numbers of versions 0.0 and 0.1: offsets and lengths in turn.
    numbers: Vec<u64>,
    is_sparse: bool,
}

impl Records {
    /// Takes the record `GNU.sparse.FIELD`; `None` if its value is none. What is not known is left alone.
    pub(super) fn take(&mut self, field: &[u8], value: &[u8]) -> Option<()> {
        self.is_sparse = true;
        match field {
            b"major" => self.major = Some(decimal(value)?),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"name" if value.len() as u64 <= super::PATH_LIMIT && !value.contains(&0) => {
                self.name = Some(value.to_owned());
            }
            b"name" => return None,
            b"offset" | b"numbytes" => self.numbers.push(decimal(value)?),
            b"map" => self.numbers = value.split(|byte| *byte == b',').map(decimal).collect::<Option<_>>()?,
            _ => {}
        }
        (self.numbers.len() <= 2 * REGION_LIMIT).then_some(())
    }

    pub(super) fn is_version_1(&self) -> bool {
        self.major == Some(1)
    }

    /// The map of versions 0.0 and 0.1; `None` for a file that is not sparse.
    pub(super) fn map(self) -> Result<Option<Map>, SparseError> {
        if !self.is_sparse {
            return Ok(None);
        }
        let pairs = self.numbers.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return Err(SparseError::Incomplete);
        }
        let regions = pairs.map(|pair| Region { offset: pair[0], length: pair[1] }).collect();
        self.map_of(regions).map(Some)
    }

    pub(super) fn map_of(&self, regions: Vec<Region>) -> Result<Map, SparseError> {
        let size = self.size.ok_or(SparseError::Incomplete)?;
        Ok(Map { regions, size, name: self.name.clone() })
    }
}

/// The map of version 1.0 as it comes, block by block: how many regions, then offsets and lengths.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub regions: Vec<Region>,
    digits: Vec<u8>,
    expected: Option<u64>,
    offset: Option<u64>,
}

impl Text {
    /// Takes a block; `true` once the map is complete.
    pub(super) fn take(&mut self, block: &[u8; BLOCK]) -> Result<bool, SparseError> {
        for byte in block {
            if *byte != b'\n' {
                self.digits.push(*byte);
                if self.digits.len() > 20 {
                    return Err(SparseError::Number);
                }
                continue;
            }
            let number = decimal(&self.digits).ok_or(SparseError::Number)?;
            self.digits.clear();
            self.number(number)?;
            if self.expected == Some(self.regions.len() as u64) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn number(&mut self, number: u64) -> Result<(), SparseError> {
        if self.expected.is_none() {
            self.expected = Some(number);
            return if number > REGION_LIMIT as u64 { Err(SparseError::TooMany) } else { Ok(()) };
        }
        match self.offset.take() {
            None => self.offset = Some(number),
            Some(offset) => push(&mut self.regions, Region { offset, length: number })?,
        }
        Ok(())
    }
}
