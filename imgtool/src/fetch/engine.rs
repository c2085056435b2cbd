//! Carrying out the fetch and unpack steps of a plan: a few blobs at a time, each with a thread that brings it in and one
//! that unpacks it.

use super::stream::{Aborted, BlobReader, Stream};
use super::{LayerJob, LayerSink};
use crate::digest::Digest;
use crate::image::Descriptor;
use crate::plan::{PullPlan, Step};
use crate::registry::client::is_worth_another_try;
use crate::registry::retry::ATTEMPTS;
use crate::registry::{Cancel, Client, RegistryError};
use crate::store::{Ingest, IngestError, Ingestion, Store, StoreError, VerifiedBlob};
use std::collections::VecDeque;
use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many blobs come at the same time.
const PARALLEL: usize = 3;

/// How much is read from a connection at once, in bytes.
const CHUNK: usize = 256 << 10;

/// How long to wait before looking again whether another process has brought in a blob, or unpacked a layer. The kernel knows
/// no wait for a lock and for something else at once.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One who is told how a pull goes. Calls come from several threads.
pub trait Progress: Sync {
    /// A blob begins to come; `here` of its `size` bytes are here from an earlier attempt.
    fn begin(&self, digest: &Digest, here: u64, size: u64);
    /// More bytes of it are here.
    fn advance(&self, digest: &Digest, here: u64);
    /// Another process brings it in; this one waits.
    fn wait(&self, digest: &Digest);
    /// It did not come, and is asked for again.
    fn retry(&self, digest: &Digest, error: &RegistryError);
    /// All of it is here and verified; `unpacks` tells that its layer is not yet.
    fn arrived(&self, digest: &Digest, unpacks: bool);
    /// Its layer is unpacked.
    fn unpacked(&self, digest: &Digest);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn begin(&self, _: &Digest, _: u64, _: u64) {}
    fn advance(&self, _: &Digest, _: u64) {}
    fn wait(&self, _: &Digest) {}
    fn retry(&self, _: &Digest, _: &RegistryError) {}
    fn arrived(&self, _: &Digest, _: bool) {}
    fn unpacked(&self, _: &Digest) {}
}

/// Why a blob did not come, or its layer was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The registry did not give it.
    #[error("cannot fetch {0}")]
    Registry(Digest, #[source] RegistryError),
    /// The registry does not have it, since it is not to be given to others.
    #[error(
        "layer {0} is not in the registry; it lies at {1}, and what lies outside registries is not fetched"
    )]
    Elsewhere(Digest, String),
    /// It did not come into the store.
    #[error("cannot keep {0}")]
    Ingest(Digest, #[source] IngestError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layer cannot be unpacked.
    #[error("cannot unpack layer {digest}")]
    Unpack {
        /// The digest of its blob.
        digest: Digest,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Another blob failed before.
    #[error("it was given up because something else failed")]
    Cancelled,
}

/// One blob of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// What it is.
    pub blob: Descriptor,
    /// What it is unpacked to, if it is.
    pub job: Option<LayerJob>,
}

/// What is needed to carry out a plan.
pub struct Fetcher<'a> {
    /// Where blobs come from.
    pub client: &'a Client,
    /// Where they go.
    pub store: &'a Store,
    /// Who unpacks them; without it no plan may have a step that unpacks.
    pub sink: Option<&'a dyn LayerSink>,
    /// Who is told.
    pub progress: &'a dyn Progress,
    /// What ends everything when one thing fails.
    pub cancel: &'a Cancel,
}

impl PullPlan {
    /// The blobs that have to be fetched or unpacked, in their order.
    #[must_use]
    pub fn fetches(&self) -> Vec<Fetch> {
        let job_of = |digest: &Digest| {
            self.steps.iter().find_map(|step| match step {
                Step::Unpack(job) if job.digest == *digest => Some(job.clone()),
                _ => None,
            })
        };
        let fetch = |step: &Step| match step {
            Step::Fetch(blob) => Some(Fetch { blob: blob.clone(), job: job_of(&blob.digest) }),
            Step::Have(blob) => job_of(&blob.digest).map(|job| Fetch { blob: blob.clone(), job: Some(job) }),
            _ => None,
        };
        self.steps.iter().filter_map(fetch).collect()
    }
}

impl Fetcher<'_> {
    /// Brings in and unpacks; the first failure ends the rest.
    ///
    /// # Errors
    /// [`FetchError`]: the first that is more than a consequence of another.
    pub fn run(&self, fetches: Vec<Fetch>) -> Result<(), FetchError> {
        let workers = fetches.len().min(PARALLEL);
        let queue = Mutex::new(VecDeque::from(fetches));
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..workers {
                let spawned = thread::Builder::new().spawn_scoped(scope, || self.work(&queue, &failure));
                if let Err(error) = spawned {
                    note(&failure, FetchError::Thread(error));
                    self.cancel.cancel();
                }
            }
        });
        match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn work(&self, queue: &Mutex<VecDeque<Fetch>>, failure: &Mutex<Option<FetchError>>) {
        while !self.cancel.is_cancelled() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(fetch) = next else { return };
            if let Err(error) = self.carry_out(&fetch) {
                note(failure, error);
                self.cancel.cancel();
            }
        }
    }

    fn carry_out(&self, fetch: &Fetch) -> Result<(), FetchError> {
        let (digest, size) = (&fetch.blob.digest, fetch.blob.size);
        let mut again = true;
        loop {
            let ingest = match self.store.ingest(digest, Some(size))? {
                Ingestion::Present(blob) => return self.present(fetch, &blob),
                Ingestion::Mine(ingest) => ingest,
                Ingestion::Busy => {
                    self.progress.wait(digest);
                    if !self.cancel.wait(LOOK_AGAIN) {
                        return Err(FetchError::Cancelled);
                    }
                    continue;
                }
            };
            let resumed = ingest.written() > 0;
            self.progress.begin(digest, ingest.written(), size);
            match self.bring_in(fetch, *ingest) {
                // What an earlier attempt left may be the wrong part of it; from the beginning it is tried once.
                Err(FetchError::Ingest(_, IngestError::WrongDigest { .. })) if resumed && again => {
                    again = false
                }
                result => return result,
            }
        }
    }

    fn present(&self, fetch: &Fetch, blob: &VerifiedBlob) -> Result<(), FetchError> {
        let digest = &fetch.blob.digest;
        if blob.size() != fetch.blob.size {
            let (digest, found, expected) = (digest.clone(), blob.size(), fetch.blob.size);
            let error = IngestError::TooShort { digest: digest.clone(), found, expected };
            return Err(FetchError::Ingest(digest, error));
        }
        self.progress.arrived(digest, fetch.job.is_some());
        let (Some(job), Some(sink)) = (&fetch.job, self.sink) else { return Ok(()) };
        let unpack = |source| FetchError::Unpack { digest: digest.clone(), source };
        let reader = BlobReader::of(blob).map_err(|error| unpack(error.into()))?;
        sink.take(job, reader).map_err(unpack)?;
        self.progress.unpacked(digest);
        Ok(())
    }

    /// Fetches a blob with a second thread that unpacks what has come. The blob is brought to its end also where it cannot be
    /// unpacked: whether it is what was asked for is the better answer, and is known only then.
    fn bring_in(&self, fetch: &Fetch, ingest: Ingest) -> Result<(), FetchError> {
        let (Some(job), Some(sink)) = (&fetch.job, self.sink) else {
            return self.download(fetch, ingest, &Stream::new());
        };
        let stream = Stream::new();
        let reader = stream.reader(ingest.reader()?);
        stream.advance(ingest.written());
        thread::scope(|scope| {
            let unpacking = thread::Builder::new()
                .spawn_scoped(scope, || sink.take(job, reader))
                .map_err(FetchError::Thread)?;
            let fetched = self.download(fetch, ingest, &stream);
            stream.abort();
            let taken = unpacking.join().unwrap_or_else(|_| Err("a bug ended the unpacking".into()));
            match (fetched, taken) {
                (Err(error @ FetchError::Ingest(..)), _) => return Err(error),
                (_, Err(source)) if !Aborted::is_behind(&*source) => {
                    return Err(FetchError::Unpack { digest: fetch.blob.digest.clone(), source });
                }
                (fetched, _) => fetched?,
            }
            self.progress.unpacked(&fetch.blob.digest);
            Ok(())
        })
    }

    /// Fetches what is missing of a blob, in as many attempts as it takes while they get on.
    fn download(&self, fetch: &Fetch, mut ingest: Ingest, stream: &Stream) -> Result<(), FetchError> {
        let digest = &fetch.blob.digest;
        let mut attempt = 1;
        while ingest.written() < fetch.blob.size {
            let before = ingest.written();
            match self.attempt(fetch, &mut ingest, stream) {
                Ok(()) => {}
                Err(FetchError::Registry(_, error)) if is_worth_another_try(&error) => {
                    if ingest.written() > before {
                        attempt = 1;
                    } else if attempt == ATTEMPTS {
                        return Err(FetchError::Registry(digest.clone(), error));
                    }
                    self.progress.retry(digest, &error);
                    let paused = self.client.session().pause(attempt, None);
                    paused.map_err(|_| FetchError::Cancelled)?;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
        let size = ingest.written();
        ingest.commit().map_err(|error| FetchError::Ingest(digest.clone(), error))?;
        self.progress.arrived(digest, fetch.job.is_some());
        stream.finish(size);
        Ok(())
    }

    /// Fetches until the connection ends, which is no failure at the right place only.
    fn attempt(&self, fetch: &Fetch, ingest: &mut Ingest, stream: &Stream) -> Result<(), FetchError> {
        let digest = &fetch.blob.digest;
        let registry = |error| match (error, fetch.blob.urls.first()) {
            (RegistryError::NotFound { .. }, Some(url)) => FetchError::Elsewhere(digest.clone(), url.clone()),
            (error, _) => FetchError::Registry(digest.clone(), error),
        };
        let mut body = self.client.blob(digest, ingest.written(), Some(fetch.blob.size)).map_err(registry)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            if self.cancel.is_cancelled() || stream.is_aborted() {
                return Err(FetchError::Cancelled);
            }
            let count = body.read(&mut buffer).map_err(registry)?;
            if count == 0 {
                break;
            }
            ingest.write(&buffer[..count]).map_err(|error| FetchError::Ingest(digest.clone(), error))?;
            stream.advance(ingest.written());
            self.progress.advance(digest, ingest.written());
        }
        if ingest.written() < fetch.blob.size {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(registry(RegistryError::Broken { origin: body.origin().clone(), source }));
        }
        Ok(())
    }
}

/// Keeps the first failure that is no consequence of another.
fn note(failure: &Mutex<Option<FetchError>>, error: FetchError) {
    let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
    let cancelled = |error: &FetchError| {
        matches!(error, FetchError::Cancelled | FetchError::Registry(_, RegistryError::Cancelled))
    };
    if failure.as_ref().is_none_or(cancelled) {
        *failure = Some(error);
    }
}
