//! Blobs from a registry into the store, several at a time, and on to whoever unpacks them while they come.

mod engine;
mod stream;

pub(crate) use engine::LOOK_AGAIN;
pub use engine::{Fetch, FetchError, Fetcher, NoProgress, Progress};
pub use stream::{Aborted, BlobReader, Stream};

use crate::digest::Digest;
use crate::image::{Compression, RootFs};
use std::error::Error;

/// A layer that is to be unpacked: what comes, and what it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerJob {
    /// The digest of the blob.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How its media type says that it is compressed; the first bytes are what counts.
    pub compression: Compression,
    /// The digest of the layer when it is not compressed.
    pub diff_id: Digest,
    /// What the unpacked layer is called where it has taken something over from the layers below it, and so is right above
    /// them only; else it is called by its `diff_id`.
    pub stacked: Digest,
}

impl LayerJob {
    /// Whether there is no layer below it.
    #[must_use]
    pub fn is_lowest(&self) -> bool {
        let alone = RootFs { diff_ids: vec![self.diff_id.clone()], ..RootFs::default() };
        alone.stacked().first() == Some(&self.stacked)
    }
}

/// Who takes layers while they are fetched.
pub trait LayerSink: Sync {
    /// Unpacks one layer, on a thread of its own, while its blob is still coming. The layer may be shown to others only
    /// after `blob` has given its end and the tar's digest is [`LayerJob::diff_id`]; when `blob` fails with [`Aborted`],
    /// what was made is taken back, and the reason is told by who fetches.
    ///
    /// # Errors
    /// Why the layer cannot be unpacked.
    fn take(&self, job: &LayerJob, blob: BlobReader) -> Result<(), Box<dyn Error + Send + Sync>>;
}
