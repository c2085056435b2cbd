//! `push`: blobs, then manifests, then the tag.

mod documents;

use crate::cli::{Context, Display, PushArgs};
use crate::digest::Digest;
use crate::fetch::Progress as _;
use crate::image::{Descriptor, DocumentError};
use crate::make::AddLayerError;
use crate::reference::Reference;
use crate::registry::{Cancel, Client, HostsError, Operation, Pushed, RegistryError};
use crate::store::{Store, StoreError, VerifiedBlob};
use documents::{Blob, Gathering, Source};
use mydocker_cmdline::print;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// How many blobs are sent at the same time.
const PARALLEL: usize = 3;

/// Why an image was not pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// It is not known whom to ask, or a name is none.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such image.
    #[error("An image does not exist locally with the tag: {0}; 'images' lists those that there are")]
    NoImage(Reference),
    /// A document in the store is none.
    #[error("{0} is not accepted as what it should be")]
    Document(Digest, #[source] DocumentError),
    /// A layer that was to be compressed.
    #[error("cannot compress layer {0}")]
    Compress(Digest, #[source] AddLayerError),
    /// The registry.
    #[error("cannot push {0}")]
    Registry(Reference, #[source] RegistryError),
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Pushes an image.
///
/// # Errors
/// [`PushError`]; the tag in the registry is then what it was.
pub fn push(args: &PushArgs, context: &Context) -> Result<(), PushError> {
    let connection = context.connection(&args.registry)?;
    let source = connection.hosts.expand(&args.image)?.or_latest();
    let destination = match &args.destination {
        Some(name) => connection.hosts.expand(name)?.or_latest(),
        None => source.clone(),
    };
    let store = context.store()?;
    let hold = store.hold()?;
    let target = store.lookup(&source)?.ok_or_else(|| PushError::NoImage(source.clone()))?;
    let display = Display::new(args.quiet);
    display.say(&format!("The push refers to repository [{}]", destination.name()));
    let client = connection.client(&destination, Operation::Push)?;
    let gathering = Gathering {
        store: &store,
        client: &client,
        destination: &destination,
        display: &display,
        compressing: args.compression.into(),
    };
    let documents = gathering.gather(&target)?;
    let same_registry =
        source.host() == destination.host() && source.repository() != destination.repository();
    let push = Push {
        store: &store,
        client: &client,
        display: &display,
        cancel: &connection.cancel,
        destination: &destination,
        from: same_registry.then(|| source.repository()),
    };
    display.during(|| push.blobs(documents.blobs))?;
    push.manifests(&documents.manifests)?;
    drop(hold);
    let image = documents.manifests.last().map_or(&target, |(descriptor, _)| descriptor);
    if args.quiet {
        return Ok(print(&format!("{}\n", image.digest))?);
    }
    display.say(&format!("{}: digest: {} size: {}", destination.version(), image.digest, image.size));
    Ok(())
}

struct Push<'a> {
    store: &'a Store,
    client: &'a Client,
    display: &'a Display,
    cancel: &'a Cancel,
    destination: &'a Reference,
    /// A repository of the same registry that has the image already.
    from: Option<&'a str>,
}

impl Push<'_> {
    fn blobs(&self, blobs: Vec<Blob>) -> Result<(), PushError> {
        let workers = blobs.len().min(PARALLEL);
        let queue = Mutex::new(VecDeque::from(blobs));
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..workers {
                let spawned = thread::Builder::new().spawn_scoped(scope, || self.work(&queue, &failure));
                if let Err(error) = spawned {
                    self.give_up(&failure, PushError::Thread(error));
                }
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Brings the manifests in; the last is the image, and gets the name.
    fn manifests(&self, manifests: &[(Descriptor, Vec<u8>)]) -> Result<(), PushError> {
        for (place, (descriptor, bytes)) in manifests.iter().enumerate() {
            let is_image = place + 1 == manifests.len();
            let version = if is_image { self.destination.version() } else { descriptor.digest.as_str() };
            self.client
                .push_manifest(version, &descriptor.media_type, &descriptor.digest, bytes)
                .map_err(|error| PushError::Registry(self.destination.clone(), error))?;
        }
        Ok(())
    }

    fn work(&self, queue: &Mutex<VecDeque<Blob>>, failure: &Mutex<Option<PushError>>) {
        while !self.cancel.is_cancelled() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(blob) = next else { return };
            if let Err(error) = self.blob(&blob) {
                self.give_up(failure, error);
            }
        }
    }

    /// Keeps the first failure, of which the others are consequences.
    fn give_up(&self, failure: &Mutex<Option<PushError>>, error: PushError) {
        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.cancel.cancel();
    }

    fn blob(&self, blob: &Blob) -> Result<(), PushError> {
        let digest = &blob.descriptor.digest;
        let Some(blob) = self.open(blob)? else {
            self.display.sent(digest, "Layer already exists");
            return Ok(());
        };
        self.display.sending(digest, blob.size());
        let told = |sent| self.display.advance(digest, sent);
        let failed = |error| PushError::Registry(self.destination.clone(), error);
        let pushed = self.client.push_blob(&blob, self.from, &told).map_err(failed)?;
        self.display.sent(
            digest,
            match pushed {
                Pushed::Present => "Layer already exists",
                Pushed::Mounted => "Mounted",
                Pushed::Sent => "Pushed",
            },
        );
        Ok(())
    }

    /// What is to be sent; `None` if it is known to be there.
    fn open(&self, blob: &Blob) -> Result<Option<VerifiedBlob>, StoreError> {
        let digest = &blob.descriptor.digest;
        match &blob.source {
            Source::Registry => Ok(None),
            Source::Made(made) => made.verified().map(Some),
            Source::Store => {
                self.store.blob(digest)?.ok_or_else(|| StoreError::Missing(digest.clone())).map(Some)
            }
        }
    }
}
