//! From the tar of a layer to its blob, in one pass: hashed as it is, compressed on all processors, and handed on in order.
//!
//! The tar is cut into blocks of one size, so that the blob does not depend on how many threads there are. A block of gzip ends
//! at a byte and knows the 32 KiB before it, and all blocks are one member, which every reader takes; a block of zstd is a
//! frame.

use crate::digest::{Algorithm, Digest, Hasher};
use crate::image::Compression;
use flate2::{Compress, Compression as Level, Crc, FlushCompress, Status};
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The length of a block, in bytes.
const BLOCK: usize = 512 << 10;

/// What a block of gzip may refer to, in bytes.
const WINDOW: usize = 32 << 10;

/// Whoever commits waits for it: six tenths of the time of level 3, for a quarter more of length.
const GZIP_LEVEL: u32 = 1;

const ZSTD_LEVEL: i32 = 3;

/// How many blocks there may be for each thread that have come and are not yet handed on.
const AHEAD: usize = 3;

/// More threads than these would wait for who reads and hashes.
const MOST_THREADS: usize = 8;

/// What became of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The digest of the tar.
    pub diff_id: Digest,
    /// Its length in bytes.
    pub size: u64,
}

type Block = Arc<Vec<u8>>;

/// A block on its way to be compressed.
struct Job {
    block: Block,
    /// The block before, of which the end is known to who inflates.
    before: Option<Block>,
    reply: SyncSender<io::Result<Done>>,
}

/// A block that was compressed.
struct Done {
    bytes: Vec<u8>,
    crc: Crc,
}

/// Lets `make` write a tar, and gives `out` its compressed form piece by piece, in order, from another thread. Who holds
/// `tap`'s other end gets the tar itself.
///
/// # Errors
/// That of `make`, which may be no more than a consequence of that of `out`; then the latter.
pub fn encode<E: From<io::Error> + Send>(
    compression: Compression,
    tap: Option<SyncSender<Block>>,
    out: &mut (dyn FnMut(&[u8]) -> Result<(), E> + Send),
    make: impl FnOnce(&mut TarSink) -> Result<(), E>,
) -> Result<Encoded, E> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let (jobs, todo) = sync_channel(threads);
    let (promises, done) = sync_channel(threads * AHEAD);
    let todo = Mutex::new(todo);
    let (made, handed_on) = thread::scope(|scope| {
        for _ in 0..threads {
            thread::Builder::new().spawn_scoped(scope, || work(compression, &todo))?;
        }
        let handing_on =
            thread::Builder::new().spawn_scoped(scope, move || hand_on(compression, &done, out))?;
        let mut sink = TarSink::new(jobs, promises, tap);
        let made = make(&mut sink).and_then(|()| Ok(sink.flush_block()?));
        // Without senders the threads come to their ends.
        let encoded = sink.finish();
        Ok::<_, io::Error>((made.map(|()| encoded), handing_on.join()))
    })?;
    match handed_on {
        Ok(handed_on) => handed_on?,
        Err(_) => return Err(io::Error::other("a bug ended the compression").into()),
    }
    made
}

/// Takes a tar, and cuts it into blocks.
pub struct TarSink {
    block: Vec<u8>,
    before: Option<Block>,
    hasher: Hasher,
    size: u64,
    jobs: SyncSender<Job>,
    promises: SyncSender<Receiver<io::Result<Done>>>,
    tap: Option<SyncSender<Block>>,
}

impl TarSink {
    fn new(
        jobs: SyncSender<Job>,
        promises: SyncSender<Receiver<io::Result<Done>>>,
        tap: Option<SyncSender<Block>>,
    ) -> Self {
        let hasher = Hasher::new(Algorithm::Sha256);
        Self { block: Vec::with_capacity(BLOCK), before: None, hasher, size: 0, jobs, promises, tap }
    }

    fn finish(self) -> Encoded {
        Encoded { diff_id: self.hasher.finish(), size: self.size }
    }

    fn flush_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = Arc::new(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK)));
        self.hasher.update(&block);
        self.size += block.len() as u64;
        let (reply, promise) = sync_channel(1);
        let before = self.before.replace(Arc::clone(&block));
        let job = Job { block: Arc::clone(&block), before, reply };
        // Whoever does not take it any more has failed, and tells why.
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.promises.send(promise).map_err(|_| gone(()))?;
        self.jobs.send(job).map_err(|_| gone(()))?;
        match &self.tap {
            Some(tap) => tap.send(block).map_err(|_| gone(())),
            None => Ok(()),
        }
    }
}

impl Write for TarSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == BLOCK {
            self.flush_block()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn work(compression: Compression, todo: &Mutex<Receiver<Job>>) {
    let mut deflate = Compress::new(Level::new(GZIP_LEVEL), false);
    loop {
        let next = todo.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { block, before, reply }) = next else { return };
        let bytes = match compression {
            Compression::None => Ok(block.to_vec()),
            Compression::Gzip => {
                deflate_block(&mut deflate, &block, before.as_ref().map(|before| &before[..]))
            }
            Compression::Zstd => zstd::bulk::compress(&block, ZSTD_LEVEL),
        };
        let mut crc = Crc::new();
        if compression == Compression::Gzip {
            crc.update(&block);
        }
        // Nobody waits for it when the output has failed.
        reply.send(bytes.map(|bytes| Done { bytes, crc })).unwrap_or_default();
    }
}

/// One block that ends at a byte, so that the next can follow.
fn deflate_block(deflate: &mut Compress, block: &[u8], before: Option<&[u8]>) -> io::Result<Vec<u8>> {
    deflate.reset();
    if let Some(before) = before {
        deflate.set_dictionary(&before[before.len().saturating_sub(WINDOW)..])?;
    }
    let mut bytes = Vec::with_capacity(block.len() / 2 + 1024);
    loop {
        let taken = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX);
        let status = deflate.compress_vec(&block[taken..], &mut bytes, FlushCompress::Sync)?;
        let is_all = usize::try_from(deflate.total_in()).is_ok_and(|taken| taken == block.len());
        // With room left, nothing is held back.
        if is_all && bytes.len() < bytes.capacity() {
            return Ok(bytes);
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("the compression ended before its input"));
        }
        bytes.reserve(block.len() / 4 + 1024);
    }
}

/// The header of a gzip member without name and time (RFC 1952).
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// The last block of a deflate stream, with nothing in it (RFC 1951, 3.2.6).
const LAST_BLOCK: [u8; 2] = [3, 0];

fn hand_on<E: From<io::Error>>(
    compression: Compression,
    done: &Receiver<Receiver<io::Result<Done>>>,
    out: &mut (dyn FnMut(&[u8]) -> Result<(), E> + Send),
) -> Result<(), E> {
    let mut crc = Crc::new();
    let is_gzip = compression == Compression::Gzip;
    if is_gzip {
        out(&GZIP_HEADER)?;
    }
    while let Ok(promise) = done.recv() {
        let block = promise.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
        out(&block.bytes)?;
        crc.combine(&block.crc);
    }
    if is_gzip {
        out(&LAST_BLOCK)?;
        out(&crc.sum().to_le_bytes())?;
        out(&crc.amount().to_le_bytes())?;
    }
    Ok(())
}

/// Reads the blocks that a tap gives.
#[derive(Debug)]
pub struct Blocks {
    blocks: Receiver<Block>,
    block: Block,
    at: usize,
}

impl Blocks {
    /// Both ends of a tap.
    #[must_use]
    pub fn tap() -> (SyncSender<Block>, Self) {
        let (sender, blocks) = sync_channel(AHEAD);
        (sender, Self { blocks, block: Block::default(), at: 0 })
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            match self.blocks.recv() {
                Ok(block) => (self.block, self.at) = (block, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Inflate;
    use crate::store::Budget;

    fn encoded(compression: Compression, content: &[u8]) -> (Vec<u8>, Encoded) {
        let mut blob = Vec::new();
        let mut out = |bytes: &[u8]| -> io::Result<()> {
            blob.extend_from_slice(bytes);
            Ok(())
        };
        let encoded = encode(compression, None, &mut out, |sink| sink.write_all(content)).expect("memory");
        (blob, encoded)
    }

    fn text(length: usize) -> Vec<u8> {
        let words = (0_u32..)
            .flat_map(|number| format!("{} ", number.wrapping_mul(2_654_435_761) % 5000).into_bytes());
        words.take(length).collect()
    }

    #[test]
    fn a_blob_of_each_compression_is_inflated_to_its_tar() {
        for length in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 77] {
            let content = text(length);
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let (blob, encoded) = encoded(compression, &content);
                assert_eq!((encoded.size, &encoded.diff_id), (length as u64, &Digest::sha256(&content)));
                let mut inflate =
                    Inflate::new(&blob[..], Algorithm::Sha256, Budget::default()).expect("a blob");
                let mut again = Vec::new();
                inflate.read_to_end(&mut again).expect("a whole blob");
                assert!(again == content, "{compression:?} of {length} bytes");
            }
        }
    }

    #[test]
    fn gzip_is_one_member_that_knows_what_came_before() {
        let block = (0..BLOCK).map(|at| (at * at / 7) as u8).collect::<Vec<_>>();
        let (one, _) = encoded(Compression::Gzip, &block);
        let (blob, _) = encoded(Compression::Gzip, &text(4 * BLOCK));
        let mut member = flate2::bufread::GzDecoder::new(&blob[..]);
        let mut content = Vec::new();
        member.read_to_end(&mut content).expect("one member");
        assert!(content == text(4 * BLOCK) && member.into_inner().is_empty());
        assert!(!one.is_empty());
    }

    #[test]
    fn who_takes_the_blob_ends_it_with_an_error() {
        let mut out = |_: &[u8]| Err(io::Error::other("full"));
        let error = encode(Compression::Gzip, None, &mut out, |sink| sink.write_all(&text(20 * BLOCK)));
        assert_eq!(error.expect_err("a failure").to_string(), "full");
    }

    #[test]
    fn a_tap_gets_the_tar() {
        let content = text(5 * BLOCK + 3);
        let (tap, mut blocks) = Blocks::tap();
        let reading = thread::spawn(move || {
            let mut all = Vec::new();
            blocks.read_to_end(&mut all).map(|_| all)
        });
        let mut out = |_: &[u8]| -> io::Result<()> { Ok(()) };
        encode(Compression::Zstd, Some(tap), &mut out, |sink| sink.write_all(&content)).expect("memory");
        assert!(reading.join().expect("no panic").expect("blocks") == content);
    }
}
