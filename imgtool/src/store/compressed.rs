//! What is known of layers that are not compressed: which are to be when they are pushed, and what they become then. Blobs that
//! were made for a registry do not stay, but their digests do, so that a second push need not make them again.

use super::index::write_atomically;
use super::{Store, StoreError, failed};
use crate::digest::Digest;
use crate::image::Compression;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

/// The ending of the note that a layer came from an archive of docker's.
const FROM_ARCHIVE: &str = "archive";

impl Store {
    pub(super) fn compressed_directory(&self) -> PathBuf {
        self.root().join("compressed")
    }

    fn note_path(&self, blob: &Digest, ending: &str) -> PathBuf {
        self.compressed_directory().join(format!("{}-{}.{ending}", blob.algorithm().name(), blob.hex()))
    }

    fn write_note(&self, blob: &Digest, ending: &str, text: &str) -> Result<(), StoreError> {
        let directory = self.compressed_directory();
        let made = DirBuilder::new().recursive(true).mode(0o755).create(&directory);
        made.map_err(failed("make the directory", &directory))?;
        write_atomically(&self.note_path(blob, ending), text.as_bytes())
    }

    fn read_note(&self, blob: &Digest, ending: &str) -> Result<Option<String>, StoreError> {
        let path = self.note_path(blob, ending);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(failed("read", &path)),
        }
    }

    /// Notes that a layer is not compressed because archives of docker's have it so, and not because somebody wants it so.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn note_from_archive(&self, blob: &Digest) -> Result<(), StoreError> {
        self.write_note(blob, FROM_ARCHIVE, "")
    }

    /// Whether a layer is not compressed because it came from an archive of docker's.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn is_from_archive(&self, blob: &Digest) -> Result<bool, StoreError> {
        Ok(self.read_note(blob, FROM_ARCHIVE)?.is_some())
    }

    /// Notes what a blob became when it was compressed.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn note_compressed(
        &self,
        blob: &Digest,
        compression: Compression,
        became: &Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        self.write_note(blob, ending(compression), &format!("{became} {size}"))
    }

    /// What a blob became when it was compressed before: digest and length. A note that cannot be understood is none.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn compressed(
        &self,
        blob: &Digest,
        compression: Compression,
    ) -> Result<Option<(Digest, u64)>, StoreError> {
        let Some(text) = self.read_note(blob, ending(compression))? else { return Ok(None) };
        let parts = text.split_once(' ');
        Ok(parts.and_then(|(digest, size)| Some((Digest::parse(digest).ok()?, size.parse().ok()?))))
    }

    /// Removes the notes about blobs that are not in the store any more.
    pub(super) fn collect_notes(&self) -> Result<(), StoreError> {
        let directory = self.compressed_directory();
        if !directory.exists() {
            return Ok(());
        }
        for name in super::collect::names_in(&directory)? {
            let blob =
                name.split('.').next().and_then(|name| Digest::parse(&name.replacen('-', ":", 1)).ok());
            if !blob.is_some_and(|blob| self.has_blob(&blob)) {
                let path = directory.join(name);
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn ending(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_lasts_as_long_as_its_blob() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let (blob, became) = (store.add(b"blob").expect("room"), Digest::sha256(b"became"));
        assert_eq!(store.compressed(&blob, Compression::Gzip).expect("readable"), None);
        store.note_compressed(&blob, Compression::Gzip, &became, 7).expect("room");
        store.note_from_archive(&blob).expect("room");
        store.collect_notes().expect("a store");
        assert_eq!(store.compressed(&blob, Compression::Gzip).expect("readable"), Some((became, 7)));
        assert_eq!(store.compressed(&blob, Compression::Zstd).expect("readable"), None);
        assert!(store.is_from_archive(&blob).expect("readable"));
        fs::remove_file(store.blob_path(&blob)).expect("it is there");
        store.collect_notes().expect("a store");
        assert_eq!(fs::read_dir(store.compressed_directory()).expect("a directory").count(), 0);
    }
}
