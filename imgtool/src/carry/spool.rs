//! An archive from a stream into the store, as blobs of which it is not yet known what they are: the document that says it
//! may come last.

use crate::digest::{Algorithm, Digest};
use crate::layer::pack::{PackError, Source, pack};
use crate::layer::tar::{Kind, Reader, TarError};
use crate::layer::view::Directory;
use crate::store::{FreshBlob, SealedBlob, Store, StoreError};
use std::collections::HashMap;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

/// How much is read and written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// How many files an archive of images may have: docker's had three for each layer.
const FILE_LIMIT: usize = 10_000;

/// How many links may lead to a file.
const LINK_LIMIT: usize = 8;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It is damaged, or can be read in more than one way.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It has something that no archive of images has.
    #[error("entry {path:?} is refused: {problem}")]
    Refused {
        /// Its name.
        path: String,
        /// Why.
        problem: &'static str,
    },
    /// A directory cannot be read.
    #[error("cannot read the directory")]
    Directory(#[from] PackError),
    /// A pipe, or a thread that writes to it, cannot be made.
    #[error("cannot make a pipe and a thread that writes to it")]
    Pipe(#[source] io::Error),
}

/// Who is told of each file of an archive: its name, how much of it is here, and how much it has.
pub type Told<'a> = &'a dyn Fn(&str, u64, u64);

/// What an archive has at a name.
enum Spooled {
    File(SealedBlob),
    /// The name that it leads to, from the top.
    Link(String),
}

/// The files of an archive. What is not taken out of it is removed with it.
#[derive(Default)]
pub(super) struct Spool(HashMap<String, Spooled>);

impl Spool {
    /// Reads an archive of images to its end, and keeps its files below the store, which has to be held.
    ///
    /// # Errors
    /// [`SpoolError`]; then nothing is left of it.
    pub(super) fn read(store: &Store, archive: impl Read, told: Told<'_>) -> Result<Self, SpoolError> {
        let mut spool = Self::default();
        let mut reader = Reader::new(archive);
        let mut buffer = vec![0; BUFFER];
        while let Some(entry) = reader.next_entry()? {
            let name = name_of(&entry.path)?;
            let refuse = |problem| Err(SpoolError::Refused { path: name.clone(), problem });
            let spooled = match entry.kind {
                Kind::Directory => continue,
                _ if !is_of_images(&name) => {
                    return refuse("no archive of images has it; 'import' takes root file systems");
                }
                Kind::File(None) => {
                    let told = |here| told(&name, here, entry.size);
                    Spooled::File(file(store, &name, &mut reader, &mut buffer, &told)?)
                }
                Kind::Symlink(target) => Spooled::Link(link(&name, &target)?),
                Kind::HardLink(target) => Spooled::Link(name_of(&target)?),
                _ => return refuse("it is neither a file nor a link to one"),
            };
            if spool.0.len() == FILE_LIMIT {
                return refuse("there are more than 10000 files, and no archive of images has so many");
            }
            if spool.0.insert(name.clone(), spooled).is_some() {
                return refuse("it occurs twice, which programs read in different ways");
            }
        }
        Ok(spool)
    }

    /// The file at a name, links followed.
    pub(super) fn get(&self, name: &str) -> Option<&SealedBlob> {
        match self.0.get(&self.followed(name))? {
            Spooled::File(blob) => Some(blob),
            Spooled::Link(_) => None,
        }
    }

    /// Takes a blob out.
    pub(super) fn take(&mut self, name: &str) -> Option<SealedBlob> {
        match self.0.remove(&self.followed(name))? {
            Spooled::File(blob) => Some(blob),
            Spooled::Link(_) => None,
        }
    }

    /// Where the links at a name lead to.
    pub(super) fn followed(&self, name: &str) -> String {
        let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let mut name = parts.join("/");
        for _ in 0..LINK_LIMIT {
            let Some(Spooled::Link(target)) = self.0.get(&name) else { break };
            name.clone_from(target);
        }
        name
    }
}

/// Reads a directory as if it were an archive; it has to be an OCI layout, or an archive of docker's that was unpacked.
///
/// # Errors
/// [`SpoolError`], or that of `read`.
pub fn spool_directory<T, E: From<SpoolError>>(
    directory: OwnedFd,
    read: impl FnOnce(io::PipeReader) -> Result<T, E>,
) -> Result<T, E> {
    let (reader, writer) = io::pipe().map_err(SpoolError::Pipe)?;
    thread::scope(|scope| {
        let packing = thread::Builder::new().spawn_scoped(scope, move || {
            let source = Source::Tree { tree: Directory::plain(directory), is_layer: false };
            pack(&source, io::BufWriter::with_capacity(BUFFER, writer)).map(drop)
        });
        let packing = packing.map_err(SpoolError::Pipe)?;
        let result = read(reader);
        match packing.join() {
            // Who stops reading has a reason of its own.
            Ok(Err(PackError::Write(_))) | Ok(Ok(())) => result,
            Ok(Err(error)) => Err(SpoolError::from(error).into()),
            Err(_) => {
                Err(SpoolError::Pipe(io::Error::other("a bug ended the reading of the directory")).into())
            }
        }
    })
}

fn file<R: Read>(
    store: &Store,
    name: &str,
    reader: &mut Reader<R>,
    buffer: &mut [u8],
    told: &dyn Fn(u64),
) -> Result<SealedBlob, SpoolError> {
    let algorithm = if name.starts_with("blobs/sha512/") { Algorithm::Sha512 } else { Algorithm::Sha256 };
    let mut blob = FreshBlob::begin_with(store, algorithm)?;
    loop {
        match reader.read_data(buffer)? {
            0 => return Ok(blob.seal()),
            count => blob.write(&buffer[..count])?,
        }
        told(blob.size());
    }
}

/// A name without `./`, which may only be text and must not lead upwards.
fn name_of(path: &[u8]) -> Result<String, SpoolError> {
    let shown = || String::from_utf8_lossy(path).into_owned();
    let refuse = |problem| SpoolError::Refused { path: shown(), problem };
    let text = std::str::from_utf8(path).map_err(|_| refuse("its name is no UTF-8"))?;
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(refuse("its name has '..', which leads out of where it is"));
    }
    Ok(parts.join("/"))
}

/// What a link leads to, which docker makes for layers that occur twice: `../ID/layer.tar`.
fn link(name: &str, target: &[u8]) -> Result<String, SpoolError> {
    let refuse = |problem| SpoolError::Refused { path: name.to_owned(), problem };
    let target = std::str::from_utf8(target).map_err(|_| refuse("it leads to what is no UTF-8"))?;
    if target.starts_with('/') {
        return Err(refuse("it leads out of the archive"));
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(|| refuse("it leads out of the archive"))?;
            }
            _ => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Whether archives of images have such names: files at the top, blobs, and docker's directories of layers.
fn is_of_images(name: &str) -> bool {
    let parts: Vec<_> = name.split('/').collect();
    match parts.as_slice() {
        [_] => true,
        ["blobs", algorithm, hex] => Digest::parse(&format!("{algorithm}:{hex}")).is_ok(),
        [_, file] => matches!(*file, "VERSION" | "json" | "layer.tar"),
        _ => false,
    }
}

/// The directory of a path in a message.
pub(super) fn shown(name: &str) -> PathBuf {
    PathBuf::from(name)
}
