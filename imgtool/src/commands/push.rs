//! `push`: blobs, then manifests, then the tag.

use crate::cli::{Context, Display, PushArgs};
use crate::digest::Digest;
use crate::fetch::Progress as _;
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, DocumentError, Kind, Manifest};
use crate::reference::Reference;
use crate::registry::{Cancel, Client, HostsError, Operation, Pushed, RegistryError};
use crate::store::{Store, StoreError};
use mydocker_cmdline::print;
use std::collections::{HashSet, VecDeque};
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
    /// The registry.
    #[error("cannot push {0}")]
    Registry(Reference, #[source] RegistryError),
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
    let target = store.lookup(&source)?.ok_or_else(|| PushError::NoImage(source.clone()))?;
    let display = Display::new(args.quiet);
    display.say(&format!("The push refers to repository [{}]", destination.name()));
    let hold = store.hold()?;
    let documents = Documents::gather(&store, &target)?;
    let client = connection.client(&destination, Operation::Push)?;
    let same_registry =
        source.host() == destination.host() && source.repository() != destination.repository();
    let push = Push {
        store: &store,
        client: &client,
        display: &display,
        cancel: &connection.cancel,
        from: same_registry.then(|| source.repository()),
    };
    let failed = |error: Failed| match error {
        Failed::Store(error) => PushError::Store(error),
        Failed::Registry(error) => PushError::Registry(destination.clone(), error),
    };
    display.during(|| push.blobs(documents.blobs)).map_err(failed)?;
    for (descriptor, bytes) in &documents.manifests {
        let is_target = descriptor.digest == target.digest;
        let version = if is_target { destination.version() } else { descriptor.digest.as_str() };
        client
            .push_manifest(version, &descriptor.media_type, &descriptor.digest, bytes)
            .map_err(|error| PushError::Registry(destination.clone(), error))?;
    }
    drop(hold);
    if args.quiet {
        return Ok(print(&format!("{}\n", target.digest))?);
    }
    display.say(&format!("{}: digest: {} size: {}", destination.version(), target.digest, target.size));
    Ok(())
}

/// What belongs to an image.
#[derive(Default)]
struct Documents {
    /// Manifests, and the index after them if there is one.
    manifests: Vec<(Descriptor, Vec<u8>)>,
    /// Configurations and layers, each once.
    blobs: Vec<Descriptor>,
}

impl Documents {
    fn gather(store: &Store, target: &Descriptor) -> Result<Self, PushError> {
        let mut documents = Self::default();
        documents.add(store, target)?;
        let mut seen = HashSet::new();
        documents.blobs.retain(|blob| seen.insert(blob.digest.clone()));
        Ok(documents)
    }

    fn add(&mut self, store: &Store, descriptor: &Descriptor) -> Result<(), PushError> {
        let bytes = store.read_blob(&descriptor.digest, DOCUMENT_LIMIT)?;
        let document = Document::parse(&bytes, Some(&descriptor.media_type))
            .map_err(|error| PushError::Document(descriptor.digest.clone(), error))?;
        match document {
            Document::Manifest(manifest) => self.add_blobs(*manifest),
            Document::Index(index) => {
                for entry in &index.manifests {
                    self.add(store, entry)?;
                }
            }
        }
        self.manifests.push((descriptor.clone(), bytes));
        Ok(())
    }

    fn add_blobs(&mut self, manifest: Manifest) {
        // A layer that may not be distributed stays where its URLs say.
        let mine = |layer: &Descriptor| !matches!(layer.media_type.kind(), Kind::ForeignLayer(_));
        self.blobs.extend(manifest.layers.into_iter().filter(mine));
        self.blobs.push(manifest.config);
    }
}

struct Push<'a> {
    store: &'a Store,
    client: &'a Client,
    display: &'a Display,
    cancel: &'a Cancel,
    /// A repository of the same registry that has the image already.
    from: Option<&'a str>,
}

enum Failed {
    Store(StoreError),
    Registry(RegistryError),
}

impl Push<'_> {
    fn blobs(&self, blobs: Vec<Descriptor>) -> Result<(), Failed> {
        let workers = blobs.len().min(PARALLEL);
        let queue = Mutex::new(VecDeque::from(blobs));
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| self.work(&queue, &failure));
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn work(&self, queue: &Mutex<VecDeque<Descriptor>>, failure: &Mutex<Option<Failed>>) {
        while !self.cancel.is_cancelled() {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(blob) = next else { return };
            if let Err(error) = self.blob(&blob) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                self.cancel.cancel();
            }
        }
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<(), Failed> {
        let digest = &descriptor.digest;
        let blob = self.store.blob(digest).map_err(Failed::Store)?;
        let blob = blob.ok_or_else(|| Failed::Store(StoreError::Missing(digest.clone())))?;
        self.display.sending(digest, blob.size());
        let told = |sent| self.display.advance(digest, sent);
        let pushed = self.client.push_blob(&blob, self.from, &told).map_err(Failed::Registry)?;
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
}
