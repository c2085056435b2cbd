//! Layers that are not compressed, compressed for a registry.

use super::AddLayerError;
use crate::digest::Digest;
use crate::image::{Compression, Descriptor, Kind};
use crate::layer::pack::encode;
use crate::store::{FreshBlob, SealedBlob, Store, StoreError};
use std::io::{self, Read as _};

/// How much of a blob is read at once, in bytes.
const BUFFER: usize = 256 << 10;

/// Whether something is a layer, in the store, and not compressed; its first bytes count and not its type.
///
/// # Errors
/// [`AddLayerError`]: it cannot be read.
pub fn is_plain_layer(store: &Store, layer: &Descriptor) -> Result<bool, AddLayerError> {
    if !matches!(layer.media_type.kind(), Kind::Layer(_)) {
        return Ok(false);
    }
    let Some(blob) = store.blob(&layer.digest)? else { return Ok(false) };
    let mut start = Vec::new();
    blob.file().take(4).read_to_end(&mut start)?;
    Ok(Compression::of(&start) == Compression::None)
}

/// Compresses a blob of a store, which has to be held, and notes what it became. The same blob always becomes the same.
///
/// # Errors
/// [`AddLayerError`]; then nothing is left of it.
pub fn compress(
    store: &Store,
    digest: &Digest,
    compression: Compression,
) -> Result<SealedBlob, AddLayerError> {
    let blob = store.blob(digest)?.ok_or_else(|| StoreError::Missing(digest.clone()))?;
    let mut fresh = FreshBlob::begin(store)?;
    let mut out = |bytes: &[u8]| Ok::<_, AddLayerError>(fresh.write(bytes)?);
    let encoded = encode(compression, None, &mut out, |sink| {
        io::copy(&mut io::BufReader::with_capacity(BUFFER, blob.file()), sink)?;
        Ok(())
    })?;
    if digest.algorithm() == encoded.diff_id.algorithm() && encoded.diff_id != *digest {
        return Err(StoreError::Damaged { digest: digest.clone() }.into());
    }
    let sealed = fresh.seal();
    store.note_compressed(digest, compression, sealed.digest(), sealed.size())?;
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Algorithm;
    use crate::image::MediaType;
    use crate::layer::Inflate;
    use crate::store::Budget;

    #[test]
    fn a_blob_becomes_the_same_each_time() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let content = b"some text, ".repeat(100_000);
        let digest = store.add(&content).expect("room");
        for kind in [Compression::Gzip, Compression::Zstd] {
            let (one, two) = (compress(&store, &digest, kind), compress(&store, &digest, kind));
            let (one, two) = (one.expect("compressed"), two.expect("compressed"));
            assert_eq!((one.digest(), one.size()), (two.digest(), two.size()));
            assert!(one.size() < 100_000);
            assert_eq!(
                store.compressed(&digest, kind).expect("a note"),
                Some((one.digest().clone(), one.size()))
            );
            let file = one.open().expect("it is there");
            let inflated = Inflate::new(file, Algorithm::Sha256, Budget::default()).and_then(Inflate::finish);
            assert_eq!(inflated.expect("a layer"), digest);
        }
        assert!(
            !store.has_blob(
                &compress(&store, &digest, Compression::Gzip).expect("compressed").digest().clone()
            )
        );
    }

    #[test]
    fn only_layers_without_compression_are_plain() {
        let place = tempfile::tempdir().expect("a directory");
        let store = Store::open(place.path()).expect("a store");
        let plain = |media_type: &str, bytes: &[u8]| {
            let digest = store.add(bytes).expect("room");
            is_plain_layer(&store, &Descriptor::new(media_type, digest, bytes.len() as u64))
                .expect("readable")
        };
        assert!(plain(MediaType::OCI_LAYER, b"tar"));
        assert!(plain(MediaType::OCI_LAYER_GZIP, b"tar under a wrong name"));
        assert!(!plain(MediaType::OCI_LAYER, &[0x1f, 0x8b, 8, 0]));
        assert!(!plain("application/vnd.in-toto+json", b"{}"));
        assert!(!plain(MediaType::OCI_FOREIGN, b"elsewhere"));
    }
}
