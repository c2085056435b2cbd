//! From a blob to the tar in it: inflated, hashed and counted in one pass.

use crate::digest::{Algorithm, Digest, Hasher};
use crate::image::Compression;
use crate::store::{BYTES_VARIABLE, Budget, is_zero};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Read};

/// How much is taken from a blob at once, in bytes.
const BUFFER: usize = 128 << 10;

/// How large the window of a zstd frame may be, as a power of two in bytes: what the program zstd takes without being asked.
const ZSTD_WINDOW: u32 = 27;

/// A layer that is larger than it may be, inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OverBudget {
    /// Absolutely.
    #[error(
        "it has more than {0} bytes when it is inflated, which is the most that is unpacked; {BYTES_VARIABLE} can allow more"
    )]
    Bytes(u64),
    /// In comparison with its blob.
    #[error("it has more than {0} times as many bytes when it is inflated, as a bomb has")]
    Ratio(u64),
}

/// How many bytes tell how a blob is compressed.
const MAGIC: usize = 4;

/// Counts what is read through it, and knows the first bytes in advance.
#[derive(Debug)]
struct Counted<R> {
    inner: R,
    count: u64,
    ahead: Vec<u8>,
}

impl<R: Read> Counted<R> {
    fn look_ahead(&mut self) -> io::Result<()> {
        self.inner.by_ref().take(MAGIC as u64).read_to_end(&mut self.ahead).map(drop)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
            self.count += count as u64;
            return Ok(count);
        }
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

type Source<R> = BufReader<Counted<R>>;

enum Decoder<R: Read> {
    Plain(Source<R>),
    Gzip(Box<MultiGzDecoder<Source<R>>>),
    Zstd(Box<zstd::Decoder<'static, Source<R>>>),
}

/// The tar of a layer.
pub struct Inflate<R: Read> {
    decoder: Decoder<R>,
    hasher: Hasher,
    produced: u64,
    /// What of it are no zeros: those become holes, and take no room.
    solid: u64,
    budget: Budget,
}

impl<R: Read> Inflate<R> {
    /// Looks at the first bytes of `blob` to see how it is compressed: media types are often wrong about it. The digest
    /// of the tar is made with `algorithm`.
    ///
    /// # Errors
    /// What reading says.
    pub fn new(blob: R, algorithm: Algorithm, budget: Budget) -> io::Result<Self> {
        let mut blob = Counted { inner: blob, count: 0, ahead: Vec::with_capacity(MAGIC) };
        blob.look_ahead()?;
        let start = blob.ahead.clone();
        let source = BufReader::with_capacity(BUFFER, blob);
        let decoder = match Compression::of(&start) {
            Compression::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(source))),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(source)?;
                decoder.window_log_max(ZSTD_WINDOW)?;
                Decoder::Zstd(Box::new(decoder))
            }
            Compression::None => Decoder::Plain(source),
        };
        Ok(Self { decoder, hasher: Hasher::new(algorithm), produced: 0, solid: 0, budget })
    }

    /// Reads what follows the archive, which belongs to the layer as well, and gives the digest of all.
    ///
    /// # Errors
    /// What reading says.
    pub fn finish(mut self) -> io::Result<Digest> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(self.hasher.finish()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
        }
    }

    /// How many bytes of the blob were taken.
    fn consumed(&self) -> u64 {
        match &self.decoder {
            Decoder::Plain(source) => source.get_ref().count,
            Decoder::Gzip(decoder) => decoder.get_ref().get_ref().count,
            Decoder::Zstd(decoder) => decoder.get_ref().get_ref().count,
        }
    }

    fn check_budget(&self) -> Result<(), OverBudget> {
        let Budget { bytes, unchecked, ratio, .. } = self.budget;
        if self.produced > bytes {
            return Err(OverBudget::Bytes(bytes));
        }
        if self.solid > unchecked && self.solid / ratio > self.consumed() {
            return Err(OverBudget::Ratio(ratio));
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

impl<R: Read> Read for Inflate<R> {
    /// Fills the buffer unless the end comes: then zeros are counted in the same pieces as they become holes.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < buffer.len() {
            match self.decoder.read(&mut buffer[count..]) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let piece = &buffer[..count];
        self.hasher.update(piece);
        self.produced += count as u64;
        self.solid += if is_zero(piece) { 0 } else { count as u64 };
        self.check_budget().map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const BUDGET: Budget = Budget { bytes: 1 << 20, entries: 1, unchecked: 1 << 10, ratio: 100 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn inflate(blob: &[u8]) -> io::Result<(Vec<u8>, Digest)> {
        let mut inflate = Inflate::new(blob, Algorithm::Sha256, BUDGET)?;
        let mut bytes = vec![0; 3];
        let count = inflate.read(&mut bytes)?;
        bytes.truncate(count);
        inflate.read_to_end(&mut bytes)?;
        Ok((bytes, inflate.finish()?))
    }

    #[test]
    fn every_compression_gives_the_same_bytes_and_digest() {
        let text: Vec<u8> =
            (0..20_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let (one, two) = text.split_at(7);
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("memory");
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        for blob in [
            text.clone(),
            gzip(&text),
            [gzip(one), gzip(b""), gzip(two)].concat(),
            zstd(&text),
            [skipped.clone(), zstd(one), skipped, zstd(two)].concat(),
        ] {
            let (bytes, digest) = inflate(&blob).expect("a layer");
            assert!(bytes == text);
            assert_eq!(digest, Digest::sha256(&text));
        }
        assert_eq!(inflate(b"").expect("nothing").0, b"");
        assert_eq!(inflate(b"ab").expect("two bytes").0, b"ab");
    }

    #[test]
    fn what_is_cut_or_followed_by_other_bytes_is_refused() {
        let text = b"some text, some text";
        let (gzip, zstd) = (gzip(text), zstd::encode_all(&text[..], 1).expect("memory"));
        for blob in [&gzip, &zstd] {
            inflate(&blob[..blob.len() - 1]).expect_err("cut");
            inflate(&[&blob[..], b"garbage!!"].concat()).expect_err("something else");
        }
        let mut wrong = gzip.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        inflate(&wrong).expect_err("a wrong checksum");
    }

    #[test]
    fn bombs_are_refused() {
        let bomb = vec![1; 1 << 19];
        for blob in [gzip(&bomb), zstd::encode_all(&bomb[..], 1).expect("memory")] {
            let error = inflate(&blob).expect_err("too much for its blob");
            assert!(error.to_string().contains("100 times"), "{error}");
        }
        for blob in [vec![1; (1 << 20) + 1], gzip(&vec![0; (1 << 20) + 1])] {
            let error = inflate(&blob).expect_err("too much");
            assert!(error.to_string().contains("1048576 bytes"), "{error}");
        }
    }

    #[test]
    fn zeros_are_no_bomb() {
        let zeros = [&[1; 7][..], &vec![0; 1 << 19]].concat();
        for blob in [gzip(&zeros), zstd::encode_all(&zeros[..], 1).expect("memory")] {
            assert!(blob.len() < zeros.len() / 100);
            let mut inflate = Inflate::new(&blob[..], Algorithm::Sha256, BUDGET).expect("a blob");
            let mut first = [0; 7];
            inflate.read_exact(&mut first).expect("the first bytes");
            assert_eq!(inflate.finish().expect("zeros"), Digest::sha256(&zeros));
        }
    }
}
