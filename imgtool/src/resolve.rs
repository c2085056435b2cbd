//! A name to the documents behind it: index, manifest, configuration.

use crate::digest::Digest;
use crate::fetch::LayerJob;
use crate::image::{
    DOCUMENT_LIMIT, Descriptor, Document, DocumentError, INDEX_ANNOTATION, ImageConfig, Index, Kind, Manifest,
};
use crate::plan::{PlanError, layer_jobs};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::registry::{Client, RegistryError};
use crate::store::{Store, StoreError};

/// An image for one platform, with all that is to be known before its layers are fetched.
#[derive(Debug, Clone)]
pub struct Image {
    /// What points to the manifest.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration.
    pub config: ImageConfig,
    /// The layers, the lowest first.
    pub layers: Vec<LayerJob>,
}

/// A document that was read, with its bytes.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What points to it.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a name leads to.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What the name will stand for in the store: the manifest, or the index if all of its platforms are wanted.
    pub target: Descriptor,
    /// The digest that the registry has for the name: that of the index if there is one.
    pub digest: Digest,
    /// The images, one for each platform that is wanted.
    pub images: Vec<Image>,
    /// The documents, which have been read already.
    pub documents: Vec<Kept>,
}

/// Which platforms are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The best for this one.
    One(Platform),
    /// All that there are.
    All,
}

/// Why a name leads to no image.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layers.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no image for the platform.
    #[error("there is no image for {wanted}; there is one for {available}")]
    Platform {
        /// What was wanted.
        wanted: Platform,
        /// What there is.
        available: String,
    },
    /// The index has no image at all.
    #[error("the index has no image, only attestations or other indexes")]
    NoImage,
    /// A document in the store is none.
    #[error("{0} in the store is not accepted")]
    Document(Digest, #[source] DocumentError),
    /// An index points to another index.
    #[error("{0} is an index within an index, where a manifest is expected")]
    Nested(Digest),
    /// What is pointed to is longer or shorter than the pointer says.
    #[error("{digest} has {found} bytes, and what points to it says {expected}")]
    Size {
        /// Which.
        digest: Digest,
        /// What it has, in bytes.
        found: u64,
        /// What it should have, in bytes.
        expected: u64,
    },
    /// A pointer to more than there may be.
    #[error("{digest} is said to have {size} bytes; a document may have {DOCUMENT_LIMIT}")]
    TooLong {
        /// Which.
        digest: Digest,
        /// What it is said to have, in bytes.
        size: u64,
    },
    /// It is something else.
    #[error("it is no image: its configuration is of type {0}")]
    Artifact(String),
    /// The configuration is none.
    #[error("the configuration {digest} cannot be understood")]
    Config {
        /// Which.
        digest: Digest,
        /// Where and why.
        source: serde_json::Error,
    },
}

/// Finds out what a name leads to. What the store has is not fetched again; a tag is always asked for, which is one
/// round trip if it has not moved.
///
/// # Errors
/// [`ResolveError`].
pub fn resolve(
    client: &Client,
    store: &Store,
    reference: &Reference,
    wanted: &Wanted,
) -> Result<Resolved, ResolveError> {
    let resolver = Resolver { client, store };
    if let Some(resolved) = resolver.unchanged(reference, wanted)? {
        return Ok(resolved);
    }
    let top = resolver.document(reference.version(), None)?;
    match &top.1 {
        Document::Manifest(_) => resolver.single(top, wanted),
        Document::Index(index) => resolver.multiple(&top.0, index, wanted),
    }
}

struct Resolver<'a> {
    client: &'a Client,
    store: &'a Store,
}

impl Resolver<'_> {
    /// The image that the store has under the name, if it is for the platform, and the registry still has the same.
    fn unchanged(&self, reference: &Reference, wanted: &Wanted) -> Result<Option<Resolved>, ResolveError> {
        let Some(entry) = self.store.lookup(reference)? else { return Ok(None) };
        let known = match entry.annotations.get(INDEX_ANNOTATION) {
            Some(index) => Digest::parse(index).ok(),
            None => Some(entry.digest.clone()),
        };
        let Some(known) = known else { return Ok(None) };
        let Wanted::One(platform) = wanted else { return Ok(None) };
        if entry.media_type.kind() != Kind::Manifest {
            return Ok(None);
        }
        // What lies in the store may be damaged or half; then it is fetched anew.
        let Ok(found) = self.stored(&entry) else { return Ok(None) };
        let fits = platform.accepts(&found.images[0].config.platform()) == Some(0);
        let is_there = found.images[0].layers.iter().all(|layer| self.store.has_blob(&layer.digest));
        if !fits || !is_there {
            return Ok(None);
        }
        let same = match reference.digest() {
            Some(digest) => *digest == known,
            None => self.client.digest_of(reference.version())?.as_ref() == Some(&known),
        };
        Ok(same.then(|| Resolved { digest: known, target: entry.clone(), ..found }))
    }

    fn stored(&self, entry: &Descriptor) -> Result<Resolved, ResolveError> {
        let bytes = self.store.read_blob(&entry.digest, DOCUMENT_LIMIT)?;
        let document = Document::parse(&bytes, Some(&entry.media_type))
            .map_err(|error| ResolveError::Document(entry.digest.clone(), error))?;
        match document {
            Document::Index(_) => Err(ResolveError::Nested(entry.digest.clone())),
            Document::Manifest(manifest) => {
                let config = self.store.read_blob(&manifest.config.digest, DOCUMENT_LIMIT)?;
                let image = image(entry.clone(), *manifest, &config)?;
                Ok(Resolved {
                    target: entry.clone(),
                    digest: entry.digest.clone(),
                    images: vec![image],
                    documents: Vec::new(),
                })
            }
        }
    }

    /// A manifest or index by tag or digest: from the store if it is there, else from the registry. `expected` is what
    /// points to it.
    fn document(
        &self,
        version: &str,
        expected: Option<&Descriptor>,
    ) -> Result<(Kept, Document), ResolveError> {
        if let Some(expected) = expected.filter(|expected| expected.size > DOCUMENT_LIMIT) {
            return Err(ResolveError::TooLong { digest: expected.digest.clone(), size: expected.size });
        }
        let (kept, document) = match Digest::parse(version) {
            Ok(digest) if self.store.has_blob(&digest) => self.document_here(&digest, expected)?,
            _ => {
                let fetched = self.client.manifest(version)?;
                let mut descriptor = Descriptor::new("", fetched.digest, fetched.bytes.len() as u64);
                descriptor.media_type = fetched.media_type;
                (Kept { descriptor, bytes: fetched.bytes }, fetched.document)
            }
        };
        if let Some(expected) = expected {
            check_size(expected, kept.bytes.len())?;
            if expected.media_type != kept.descriptor.media_type {
                let (announced, found) = (expected.media_type.clone(), kept.descriptor.media_type);
                let mismatch = DocumentError::Mismatch { announced, found };
                return Err(ResolveError::Document(expected.digest.clone(), mismatch));
            }
        }
        Ok((kept, document))
    }

    fn document_here(
        &self,
        digest: &Digest,
        expected: Option<&Descriptor>,
    ) -> Result<(Kept, Document), ResolveError> {
        let bytes = self.store.read_blob(digest, DOCUMENT_LIMIT)?;
        let announced = expected.map(|expected| &expected.media_type);
        let document = Document::parse(&bytes, announced)
            .map_err(|error| ResolveError::Document(digest.clone(), error))?;
        let mut descriptor = Descriptor::new("", digest.clone(), bytes.len() as u64);
        descriptor.media_type = document.media_type(announced.cloned());
        Ok((Kept { descriptor, bytes }, document))
    }

    /// An image that is for one platform alone. The tag was asked for, not the platform: if it fits badly, it is still
    /// what was named.
    fn single(&self, top: (Kept, Document), wanted: &Wanted) -> Result<Resolved, ResolveError> {
        let (kept, document) = top;
        let Document::Manifest(manifest) = document else {
            return Err(ResolveError::Nested(kept.descriptor.digest));
        };
        let digest = kept.descriptor.digest.clone();
        let mut documents = vec![kept];
        let image = self.image(documents[0].descriptor.clone(), *manifest, &mut documents)?;
        if let Wanted::One(platform) = wanted
            && platform.accepts(&image.config.platform()).is_none()
            && *platform != Platform::host()
        {
            let available = image.config.platform().to_string();
            return Err(ResolveError::Platform { wanted: platform.clone(), available });
        }
        let target = image.descriptor.clone();
        Ok(Resolved { target, digest, images: vec![image], documents })
    }

    fn multiple(&self, top: &Kept, index: &Index, wanted: &Wanted) -> Result<Resolved, ResolveError> {
        let digest = top.descriptor.digest.clone();
        let mut documents = Vec::new();
        let chosen = match wanted {
            Wanted::One(platform) => vec![choose(index, platform)?],
            Wanted::All => images_of(index).collect(),
        };
        let mut images = Vec::new();
        for descriptor in chosen {
            let (kept, document) = self.document(descriptor.digest.as_str(), Some(descriptor))?;
            let Document::Manifest(manifest) = document else {
                return Err(ResolveError::Nested(descriptor.digest.clone()));
            };
            documents.push(kept);
            images.push(self.image(descriptor.clone(), *manifest, &mut documents)?);
        }
        let target = match (wanted, images.first()) {
            (_, None) => return Err(ResolveError::NoImage),
            (Wanted::One(_), Some(image)) => {
                let mut target = image.descriptor.clone();
                target.annotations.insert(INDEX_ANNOTATION.to_owned(), digest.to_string());
                target
            }
            (Wanted::All, Some(_)) => {
                documents.push(top.clone());
                top.descriptor.clone()
            }
        };
        Ok(Resolved { target, digest, images, documents })
    }

    fn image(
        &self,
        descriptor: Descriptor,
        manifest: Manifest,
        documents: &mut Vec<Kept>,
    ) -> Result<Image, ResolveError> {
        let config = manifest.config.clone();
        if config.media_type.kind() != Kind::Config {
            return Err(ResolveError::Artifact(config.media_type.as_str().to_owned()));
        }
        if config.size > DOCUMENT_LIMIT {
            return Err(ResolveError::TooLong { digest: config.digest, size: config.size });
        }
        let bytes = if self.store.has_blob(&config.digest) {
            self.store.read_blob(&config.digest, DOCUMENT_LIMIT)?
        } else {
            self.client.small_blob(&config.digest, DOCUMENT_LIMIT)?
        };
        check_size(&config, bytes.len())?;
        let image = image(descriptor, manifest, &bytes)?;
        documents.push(Kept { descriptor: config, bytes });
        Ok(image)
    }
}

fn check_size(expected: &Descriptor, found: usize) -> Result<(), ResolveError> {
    let found = found as u64;
    if found == expected.size {
        return Ok(());
    }
    Err(ResolveError::Size { digest: expected.digest.clone(), found, expected: expected.size })
}

fn image(descriptor: Descriptor, manifest: Manifest, config: &[u8]) -> Result<Image, ResolveError> {
    let config = ImageConfig::parse(config)
        .map_err(|source| ResolveError::Config { digest: manifest.config.digest.clone(), source })?;
    let layers = layer_jobs(&manifest, &config)?;
    Ok(Image { descriptor, manifest, config, layers })
}

/// The entries of an index that are images: attestations and the like are not.
fn images_of(index: &Index) -> impl Iterator<Item = &Descriptor> {
    index.manifests.iter().filter(|entry| {
        let unknown = entry
            .platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown");
        let attestation = entry.annotations.contains_key("vnd.docker.reference.type");
        !unknown && !attestation && entry.media_type.kind() == Kind::Manifest
    })
}

/// The entry that suits a platform best, of several the first; one that names no platform is taken if no other fits.
fn choose<'i>(index: &'i Index, wanted: &Platform) -> Result<&'i Descriptor, ResolveError> {
    let fit = |entry: &&Descriptor| entry.platform.as_ref().and_then(|platform| wanted.accepts(platform));
    let fitting = images_of(index).filter(|entry| fit(entry).is_some());
    let best = fitting.min_by_key(|entry| fit(entry).unwrap_or(u32::MAX));
    best.or_else(|| images_of(index).find(|entry| entry.platform.is_none()))
        .ok_or_else(|| no_platform(index, wanted))
}

fn no_platform(index: &Index, wanted: &Platform) -> ResolveError {
    let platforms = images_of(index).filter_map(|entry| entry.platform.as_ref());
    let mut available: Vec<_> = platforms.map(ToString::to_string).collect();
    available.sort();
    available.dedup();
    if available.is_empty() {
        return ResolveError::NoImage;
    }
    ResolveError::Platform { wanted: wanted.clone(), available: available.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::MediaType;

    fn index(platforms: &[&str]) -> Index {
        let mut index = Index::empty();
        for (number, platform) in platforms.iter().enumerate() {
            let digest = Digest::sha256(&[u8::try_from(number).expect("few")]);
            let mut entry = Descriptor::new(MediaType::OCI_MANIFEST, digest, 1);
            entry.platform = match *platform {
                "" => None,
                "unknown/unknown" => Some(Platform::new("unknown", "unknown", None)),
                text => Some(Platform::parse(text).expect(text)),
            };
            index.manifests.push(entry);
        }
        index
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Result<usize, String> {
        let index = index(platforms);
        let wanted = Platform::parse(wanted).expect(wanted);
        let entry = choose(&index, &wanted).map_err(|error| error.to_string())?;
        Ok(index.manifests.iter().position(|other| other == entry).expect("of the index"))
    }

    #[test]
    fn the_best_fit_counts_and_then_the_position() {
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7"), Ok(1));
        assert_eq!(chosen(&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7"), Ok(1));
        assert_eq!(chosen(&["linux/amd64", "linux/amd64"], "linux/amd64"), Ok(0));
    }

    #[test]
    fn what_names_no_platform_comes_last_and_attestations_never() {
        assert_eq!(chosen(&["", "linux/amd64"], "linux/amd64"), Ok(1));
        assert_eq!(chosen(&["linux/arm64", ""], "linux/amd64"), Ok(1));
        assert_eq!(
            chosen(&["unknown/unknown"], "linux/amd64"),
            Err("the index has no image, only attestations or other indexes".to_owned())
        );
    }

    #[test]
    fn an_unknown_platform_lists_what_exists() {
        let error =
            chosen(&["linux/arm64", "linux/arm/v7", "unknown/unknown"], "linux/s390x").expect_err("none");
        assert_eq!(error, "there is no image for linux/s390x; there is one for linux/arm/v7, linux/arm64");
    }
}
