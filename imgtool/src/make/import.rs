//! A tar of a whole root file system to an image of one layer.

use super::{AddLayerError, CommitError, CommitOptions, add_tar, image_of_layer};
use crate::digest::Algorithm;
use crate::layer::Inflate;
use crate::layer::tar::{Reader, TarError, Writer};
use crate::store::{Image, Store};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// How much of a file is read and written at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Why a tar does not become an image.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// It is damaged, or can be read in more than one way.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// It has a name that says something else in a layer.
    #[error("{0:?} cannot be in a layer: its name begins with '.wh.', by which layers tell what is removed")]
    Whiteout(PathBuf),
    /// The layer.
    #[error(transparent)]
    Layer(#[from] AddLayerError),
    /// The compression.
    #[error("cannot compress the layer")]
    Compress(#[from] io::Error),
    /// The image.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Makes a tar, compressed or not, an image of one layer. It is written anew: what can be read in two ways does not get on,
/// and whatever made it, the same tree has the same kind of entries.
///
/// # Errors
/// [`ImportError`]; then the names of the store are what they were.
pub fn import(store: &Store, archive: impl Read, options: &CommitOptions) -> Result<Image, ImportError> {
    let _hold = store.hold()?;
    let archive = Inflate::new(archive, Algorithm::Sha256, store.budget()).map_err(ImportError::Read)?;
    let reader = Reader::new(archive).within(store.budget().entries);
    let layer = add_tar(store, options.compression, |sink| rewrite(reader, Writer::new(sink)))?;
    Ok(image_of_layer(store, None, layer, options)?)
}

impl From<crate::store::StoreError> for ImportError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Commit(error.into())
    }
}

fn rewrite(mut reader: Reader<impl Read>, mut writer: Writer<impl Write>) -> Result<(), ImportError> {
    let mut buffer = vec![0; BUFFER];
    while let Some(entry) = reader.next_entry()? {
        let path = entry.path.strip_suffix(b"/").unwrap_or(&entry.path);
        if path.rsplit(|byte| *byte == b'/').next().is_some_and(|name| name.starts_with(b".wh.")) {
            return Err(ImportError::Whiteout(PathBuf::from(String::from_utf8_lossy(path).into_owned())));
        }
        writer.entry(&entry)?;
        loop {
            match reader.read_data(&mut buffer)? {
                0 => break,
                count => writer.data(&buffer[..count])?,
            }
        }
    }
    // What follows the archive's end says nothing, but its reader must come to its own end.
    io::copy(&mut reader.into_source(), &mut io::sink()).map_err(ImportError::Read)?;
    writer.finish()?;
    Ok(())
}
