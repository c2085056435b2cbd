//! What no name leads to any more, and what killed commands have left.

use super::{Hold, Lease, Store, StoreError, failed};
use crate::digest::{Algorithm, Digest};
use crate::image::{Descriptor, Document, INDEX_ANNOTATION, Kind};
use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collected {
    /// Blobs.
    pub blobs: Vec<Digest>,
    /// Unpacked layers, by their diffID.
    pub layers: Vec<Digest>,
    /// Leases whose owner is gone.
    pub leases: Vec<Lease>,
    /// Pieces of blobs, of layers and of leases that a killed command left, and what fsck has put aside.
    pub pieces: usize,
    /// What blobs, layers and pieces of blobs had, in bytes.
    pub bytes: u64,
}

/// What names lead to.
#[derive(Debug, Default)]
struct Reachable {
    blobs: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Store {
    /// Removes the blobs and layers that no name and no lease leads to, and, if `pieces`, what is unfinished: while the store is held
    /// alone nobody works on it.
    ///
    /// # Errors
    /// [`StoreError`]. Nothing is removed if a document cannot be read, since it is not known what it leads to.
    pub fn collect(&self, _alone: &Hold, pieces: bool) -> Result<Collected, StoreError> {
        let reachable = self.reachable()?;
        let mut collected = Collected::default();
        for lease in self.leases()?.into_iter().filter(Lease::is_stale) {
            self.release(&lease.name)?;
            collected.leases.push(lease);
        }
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            self.collect_blobs(algorithm, &reachable, &mut collected)?;
            self.collect_layers(algorithm, &reachable, &mut collected)?;
        }
        self.collect_notes()?;
        if pieces {
            self.collect_pieces(&mut collected)?;
        }
        Ok(collected)
    }

    /// What names lead to, and leases that are in force.
    fn reachable(&self) -> Result<Reachable, StoreError> {
        let leases = self.leases()?.into_iter().filter(|lease| !lease.is_stale());
        let mut reachable = Reachable::default();
        for target in self.targets()?.into_iter().chain(leases.map(|lease| lease.image)) {
            self.reach(&target, &mut reachable)?;
        }
        Ok(reachable)
    }

    fn reach(&self, target: &Descriptor, reachable: &mut Reachable) -> Result<(), StoreError> {
        // The index that a manifest was chosen from is what a name's digest is about.
        let index = target.annotations.get(INDEX_ANNOTATION).and_then(|text| Digest::parse(text).ok());
        reachable.blobs.extend(index);
        let is_document = matches!(target.media_type.kind(), Kind::Manifest | Kind::Index);
        // Of an index, the manifests of other platforms need not be here.
        if !reachable.blobs.insert(target.digest.clone()) || !is_document || !self.has_blob(&target.digest) {
            return Ok(());
        }
        match self.document(target)? {
            Document::Index(index) => {
                index.manifests.iter().try_for_each(|entry| self.reach(entry, reachable))
            }
            Document::Manifest(manifest) => {
                reachable.blobs.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
                reachable.blobs.insert(manifest.config.digest.clone());
                if manifest.config.media_type.kind() == Kind::Config && self.has_blob(&manifest.config.digest)
                {
                    let rootfs = self.config(&manifest)?.rootfs;
                    reachable.layers.extend(rootfs.stacked());
                    reachable.layers.extend(rootfs.diff_ids);
                }
                Ok(())
            }
        }
    }

    fn collect_blobs(
        &self,
        algorithm: Algorithm,
        reachable: &Reachable,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        for digest in digests_in(&self.layout().join("blobs").join(algorithm.name()), algorithm)? {
            if !reachable.blobs.contains(&digest) {
                let path = self.blob_path(&digest);
                collected.bytes += fs::metadata(&path).map_err(failed("look at", &path))?.len();
                fs::remove_file(&path).map_err(failed("remove", &path))?;
                collected.blobs.push(digest);
            }
        }
        Ok(())
    }

    fn collect_layers(
        &self,
        algorithm: Algorithm,
        reachable: &Reachable,
        collected: &mut Collected,
    ) -> Result<(), StoreError> {
        for digest in digests_in(&self.root.join("layers").join(algorithm.name()), algorithm)? {
            if reachable.layers.contains(&digest) {
                continue;
            }
            // Renamed first: half a layer must never be taken for a whole one.
            let (path, aside) = (self.layer_path(&digest), self.unfinished_layers().join(digest.hex()));
            fs::rename(&path, &aside).map_err(failed("rename", &path))?;
            fs::remove_dir_all(&aside).map_err(failed("remove", &aside))?;
            collected.bytes += self.layer_size(&digest).unwrap_or(0);
            let size = self.layer_size_path(&digest);
            if size.exists() {
                fs::remove_file(&size).map_err(failed("remove", &size))?;
            }
            collected.layers.push(digest);
        }
        Ok(())
    }

    fn collect_pieces(&self, collected: &mut Collected) -> Result<(), StoreError> {
        let halves = names_in(&self.lease_directory())?.into_iter().filter(|name| name.ends_with(".tmp"));
        let leases = halves.map(|name| self.lease_directory().join(name));
        let blobs = names_in(&self.root.join("ingest"))?.into_iter();
        for path in blobs.map(|name| self.root.join("ingest").join(name)).chain(leases) {
            collected.bytes += fs::metadata(&path).map_err(failed("look at", &path))?.len();
            fs::remove_file(&path).map_err(failed("remove", &path))?;
            collected.pieces += 1;
        }
        for name in names_in(&self.unfinished_layers())? {
            let path = self.unfinished_layers().join(name);
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            collected.pieces += 1;
        }
        let damaged = self.damaged();
        if damaged.exists() {
            collected.pieces += names_in(&damaged)?.len();
            fs::remove_dir_all(&damaged).map_err(failed("remove", &damaged))?;
        }
        Ok(())
    }
}

/// Some of what is in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How many there are.
    pub count: usize,
    /// How many of them names or leases lead to.
    pub needed: usize,
    /// What all have, in bytes.
    pub bytes: u64,
    /// What those have that nothing leads to.
    pub reclaimable: u64,
}

/// All that is in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoreUsage {
    /// Blobs as they came.
    pub blobs: Usage,
    /// Unpacked layers; one that does not say how much it has counts as nothing.
    pub layers: Usage,
    /// What commands are working on, or have left when they were killed.
    pub unfinished: Usage,
}

impl Usage {
    fn add(&mut self, bytes: u64, needed: bool) {
        self.count += 1;
        self.needed += usize::from(needed);
        self.bytes += bytes;
        self.reclaimable += if needed { 0 } else { bytes };
    }
}

impl Store {
    /// Tells what the store has, and what of it [`collect`](Self::collect) would remove.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn usage(&self) -> Result<StoreUsage, StoreError> {
        let reachable = self.reachable()?;
        let mut usage = StoreUsage::default();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for digest in digests_in(&self.layout().join("blobs").join(algorithm.name()), algorithm)? {
                let path = self.blob_path(&digest);
                let bytes = fs::metadata(&path).map_err(failed("look at", &path))?.len();
                usage.blobs.add(bytes, reachable.blobs.contains(&digest));
            }
            for digest in digests_in(&self.root.join("layers").join(algorithm.name()), algorithm)? {
                let bytes = self.layer_size(&digest).unwrap_or(0);
                usage.layers.add(bytes, reachable.layers.contains(&digest));
            }
        }
        for name in names_in(&self.root.join("ingest"))? {
            // One that is finished in this moment is counted as a blob.
            usage
                .unfinished
                .add(fs::metadata(self.root.join("ingest").join(name)).map_or(0, |file| file.len()), false);
        }
        for _ in names_in(&self.unfinished_layers())? {
            usage.unfinished.add(0, false);
        }
        Ok(usage)
    }
}

pub(super) fn names_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let read = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = read.map_err(failed("read", directory))?;
    Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// The digests that are names in a directory; other names are not ours.
pub(super) fn digests_in(directory: &Path, algorithm: Algorithm) -> Result<Vec<Digest>, StoreError> {
    let names = names_in(directory)?.into_iter();
    Ok(names.filter_map(|name| Digest::parse(&format!("{}:{name}", algorithm.name())).ok()).collect())
}
