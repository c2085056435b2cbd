//! Images of the store to an archive or a layout.

use super::{CONTAINERD_NAME, DockerImage, INDEX, LAYOUT, LAYOUT_TEXT, MANIFEST, REF_NAME};
use crate::digest::Digest;
use crate::image::{Compression, Descriptor, Document, Index};
use crate::layer::Inflate;
use crate::layer::tar::{Entry, Kind, Time, Writer};
use crate::plan::{PlanError, layer_jobs};
use crate::reference::Reference;
use crate::store::{Image, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// How much is copied at once, in bytes.
const BUFFER: usize = 256 << 10;

/// What archives can be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A tar of an OCI layout.
    OciArchive,
    /// A tar of configurations and layers with a `manifest.json`, as `docker save` has made it up to version 24.
    DockerArchive,
}

/// An image that is to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedImage {
    /// What is recorded for it.
    pub target: Descriptor,
    /// The names that it is to have.
    pub names: Vec<Reference>,
}

/// Why images are not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Documents that do not fit each other.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The archive.
    #[error("cannot write the archive")]
    Write(#[from] io::Error),
    /// A blob cannot be read.
    #[error("cannot read blob {0}")]
    Read(Digest, #[source] io::Error),
    /// The directory.
    #[error("cannot {action} {path:?}")]
    Directory {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Writes an archive of images of a store, which has to be held; the same images give the same bytes.
///
/// # Errors
/// [`SaveError`].
pub fn save<W: Write>(store: &Store, images: &[SavedImage], format: Format, out: W) -> Result<W, SaveError> {
    let mut archive = Archive { writer: Writer::new(out), store };
    match format {
        Format::OciArchive => archive.oci(images)?,
        Format::DockerArchive => archive.docker(images)?,
    }
    Ok(archive.writer.finish()?)
}

/// Makes an OCI layout of images of a store, which has to be held, in a directory that is new or empty.
///
/// # Errors
/// [`SaveError`]; then nothing is left in the directory.
pub fn save_directory(store: &Store, images: &[SavedImage], directory: &Path) -> Result<(), SaveError> {
    let layout = Layout::of(store, images)?;
    let is_new = !directory.exists();
    fs::create_dir_all(directory).map_err(failed("make the directory", directory))?;
    let mut there = fs::read_dir(directory).map_err(failed("read the directory", directory))?;
    if there.next().is_some() {
        return Err(failed("make a layout in", directory)(io::ErrorKind::DirectoryNotEmpty.into()));
    }
    let written = write_layout(store, &layout, directory);
    if written.is_err() {
        // What was wrong first is what has to be mended; if this fails too, the next attempt says that something is there.
        take_back(directory, is_new).unwrap_or_default();
    }
    written
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SaveError {
    let path = path.to_owned();
    move |source| SaveError::Directory { action, path, source }
}

fn write_layout(store: &Store, layout: &Layout, directory: &Path) -> Result<(), SaveError> {
    for digest in &layout.blobs {
        let path = directory.join(blob_name(digest));
        let parent = path.parent().unwrap_or(directory);
        fs::create_dir_all(parent).map_err(failed("make the directory", parent))?;
        let mut blob = open(store, digest)?;
        let copied = File::create(&path).and_then(|mut file| io::copy(&mut blob, &mut file));
        copied.map_err(failed("write", &path))?;
    }
    for (name, bytes) in [(LAYOUT, LAYOUT_TEXT), (INDEX, &layout.index)] {
        let path = directory.join(name);
        fs::write(&path, bytes).map_err(failed("write", &path))?;
    }
    Ok(())
}

/// Removes what was put into a directory that was empty, and the directory as well if it is new: one that was there may be the
/// point of a mount, or have permissions that somebody gave it.
///
/// # Errors
/// What the kernel says.
pub(crate) fn take_back(directory: &Path, is_new: bool) -> io::Result<()> {
    if is_new {
        return fs::remove_dir_all(directory);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_directory = entry.file_type()?.is_dir();
        if is_directory { fs::remove_dir_all(entry.path())? } else { fs::remove_file(entry.path())? }
    }
    Ok(())
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn open(store: &Store, digest: &Digest) -> Result<File, SaveError> {
    let blob = store.blob(digest)?.ok_or_else(|| StoreError::Missing(digest.clone()))?;
    blob.file().try_clone().map_err(|error| SaveError::Read(digest.clone(), error))
}

/// An OCI layout of images.
struct Layout {
    index: Vec<u8>,
    blobs: BTreeSet<Digest>,
}

impl Layout {
    fn of(store: &Store, images: &[SavedImage]) -> Result<Self, SaveError> {
        let (mut index, mut blobs) = (Index::empty(), BTreeSet::new());
        for image in images {
            let target = whole(store, &image.target)?;
            reach(store, &target, &mut blobs)?;
            index.manifests.extend(named(&target, &image.names));
        }
        let index = serde_json::to_vec(&index).map_err(io::Error::from)?;
        Ok(Self { index, blobs })
    }
}

/// What can be saved of an image: all of it, or, of an index of which not all is here, what suits this host.
fn whole(store: &Store, target: &Descriptor) -> Result<Descriptor, SaveError> {
    match store.document(target)? {
        Document::Index(index) if !index.manifests.iter().all(|entry| store.has_blob(&entry.digest)) => {
            Ok(store.image(target)?.target)
        }
        _ => Ok(target.clone()),
    }
}

/// Collects a document and all that it leads to.
fn reach(store: &Store, target: &Descriptor, blobs: &mut BTreeSet<Digest>) -> Result<(), SaveError> {
    match store.document(target)? {
        Document::Index(index) => {
            index.manifests.iter().try_for_each(|entry| reach(store, entry, blobs))?;
        }
        Document::Manifest(manifest) => {
            let layers = manifest.layers.iter().filter(|layer| layer.urls.is_empty());
            blobs.extend(layers.map(|layer| layer.digest.clone()));
            blobs.insert(manifest.config.digest.clone());
        }
    }
    blobs.insert(target.digest.clone());
    Ok(())
}

/// The entries of an index for an image: one for each name.
fn named(target: &Descriptor, names: &[Reference]) -> Vec<Descriptor> {
    let plain = Descriptor { annotations: BTreeMap::new(), ..target.clone() };
    let with = |name: &Reference| {
        let mut entry = plain.clone();
        for key in [CONTAINERD_NAME, REF_NAME] {
            entry.annotations.insert(key.to_owned(), name.to_string());
        }
        entry
    };
    if names.is_empty() { vec![plain] } else { names.iter().map(with).collect() }
}

struct Archive<'a, W> {
    writer: Writer<W>,
    store: &'a Store,
}

impl<W: Write> Archive<'_, W> {
    fn oci(&mut self, images: &[SavedImage]) -> Result<(), SaveError> {
        let layout = Layout::of(self.store, images)?;
        self.file(LAYOUT, LAYOUT_TEXT)?;
        self.file(INDEX, &layout.index)?;
        self.directory("blobs/")?;
        let algorithms: BTreeSet<_> = layout.blobs.iter().map(|digest| digest.algorithm().name()).collect();
        algorithms.iter().try_for_each(|name| self.directory(&format!("blobs/{name}/")))?;
        layout.blobs.iter().try_for_each(|digest| self.blob(&blob_name(digest), digest))
    }

    fn docker(&mut self, images: &[SavedImage]) -> Result<(), SaveError> {
        let (mut documents, mut written) = (Vec::new(), BTreeSet::new());
        for saved in images {
            let image = self.store.image(&saved.target)?;
            documents.push(self.docker_image(&image, &saved.names, &mut written)?);
        }
        let manifest = serde_json::to_vec(&documents).map_err(io::Error::from)?;
        self.file(MANIFEST, &manifest)
    }

    fn docker_image(
        &mut self,
        image: &Image,
        names: &[Reference],
        written: &mut BTreeSet<String>,
    ) -> Result<DockerImage, SaveError> {
        let config = format!("{}.json", image.id().hex());
        if written.insert(config.clone()) {
            self.blob(&config, image.id())?;
        }
        let mut layers = Vec::new();
        for job in layer_jobs(&image.manifest, &image.config)? {
            let name = format!("{}.tar", job.diff_id.hex());
            if written.insert(name.clone()) {
                self.docker_layer(&name, &job.digest)?;
            }
            layers.push(name);
        }
        Ok(DockerImage { config, repo_tags: names.iter().map(Reference::familiar).collect(), layers })
    }

    /// A layer as it is, unless it is compressed with zstd, which the docker of many a host does not know yet.
    fn docker_layer(&mut self, name: &str, digest: &Digest) -> Result<(), SaveError> {
        let failed = |error| SaveError::Read(digest.clone(), error);
        if compression(&open(self.store, digest)?).map_err(failed)? != Compression::Zstd {
            return self.blob(name, digest);
        }
        let inflate = |file| Inflate::new(file, digest.algorithm(), self.store.budget()).map_err(failed);
        // An archive has the length before the content.
        let mut first = inflate(open(self.store, digest)?)?;
        let size = io::copy(&mut first, &mut io::sink()).map_err(failed)?;
        self.entry(name, Kind::File(None), size)?;
        self.copy(inflate(open(self.store, digest)?)?, digest)
    }

    fn blob(&mut self, name: &str, digest: &Digest) -> Result<(), SaveError> {
        let file = open(self.store, digest)?;
        let size = file.metadata().map_err(|error| SaveError::Read(digest.clone(), error))?.len();
        self.entry(name, Kind::File(None), size)?;
        self.copy(file, digest)
    }

    fn copy(&mut self, mut from: impl Read, digest: &Digest) -> Result<(), SaveError> {
        let mut buffer = vec![0; BUFFER];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.writer.data(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SaveError::Read(digest.clone(), error)),
            }
        }
    }

    fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.entry(name, Kind::File(None), bytes.len() as u64)?;
        Ok(self.writer.data(bytes)?)
    }

    fn directory(&mut self, name: &str) -> Result<(), SaveError> {
        self.entry(name, Kind::Directory, 0)
    }

    fn entry(&mut self, name: &str, kind: Kind, size: u64) -> Result<(), SaveError> {
        let mode = if kind == Kind::Directory { 0o755 } else { 0o644 };
        let path = name.as_bytes().to_owned();
        let modified = Time::default();
        let entry = Entry { path, kind, mode, uid: 0, gid: 0, size, modified, attributes: Vec::new() };
        Ok(self.writer.entry(&entry)?)
    }
}

/// How a blob is compressed, by its first bytes.
pub(super) fn compression(file: &File) -> io::Result<Compression> {
    let mut start = Vec::new();
    file.take(4).read_to_end(&mut start)?;
    Ok(Compression::of(&start))
}
