//! Whether everything in the store is what it should be, and what of it can be mended here.

use super::collect::{digests_in, names_in};
use super::{Hold, Store, StoreError, failed};
use crate::digest::{Algorithm, Digest};
use crate::image::{Descriptor, Document, Kind};
use mydocker_sys::copy::next_data;
use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub problem: String,
    /// What was done about it; without it, it is still wrong.
    pub mended: Option<String>,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// How many blobs were read.
    pub blobs: usize,
    /// How many layers were looked at.
    pub layers: usize,
    /// How many names were followed.
    pub names: usize,
    /// How many unpacked layers were compared with their blobs, if that was wanted.
    pub compared: Option<usize>,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What killed commands have left, which does no harm.
    pub unfinished: usize,
}

impl Check {
    /// How much is still wrong.
    #[must_use]
    pub fn wrong(&self) -> usize {
        self.findings.iter().filter(|finding| finding.mended.is_none()).count()
    }

    /// Notes something that is wrong.
    pub fn wrong_is(&mut self, problem: String) {
        self.findings.push(Finding { problem, mended: None });
    }

    /// Notes something that was wrong, and how it was mended.
    pub fn mended(&mut self, problem: String, how: String) {
        self.findings.push(Finding { problem, mended: Some(how) });
    }
}

/// Whether what is found is mended too.
#[derive(Debug, Clone, Copy)]
pub enum Mending<'a> {
    /// Nothing is changed; the store is held, so that nothing goes away meanwhile.
    No(&'a Hold),
    /// What can be is mended; the store is held alone.
    Yes(&'a Hold),
}

impl Mending<'_> {
    pub(super) fn is_wanted(self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

impl Store {
    /// Checks everything but the content of unpacked layers: no digest is known of it, and to compare it with the blobs takes
    /// longer than all else.
    ///
    /// # Errors
    /// [`StoreError`]: the store cannot be read or, where it is mended, written.
    pub fn check(&self, mending: Mending<'_>) -> Result<Check, StoreError> {
        let mut check = Check::default();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            self.check_blobs(algorithm, mending, &mut check)?;
            self.check_layers(algorithm, mending, &mut check)?;
        }
        self.check_unfinished(mending, &mut check)?;
        if self.check_index(mending, &mut check)? {
            self.check_targets(&mut check)?;
        }
        Ok(check)
    }

    fn check_blobs(
        &self,
        algorithm: Algorithm,
        mending: Mending<'_>,
        check: &mut Check,
    ) -> Result<(), StoreError> {
        let directory = self.layout().join("blobs").join(algorithm.name());
        // The names are read once: of a blob that comes meanwhile it would be known in one list alone.
        for name in names_in(&directory)? {
            match Digest::parse(&format!("{}:{name}", algorithm.name())) {
                Ok(digest) => self.check_content(&digest, mending, check)?,
                Err(_) => check.wrong_is(format!("{:?} is no blob; remove it", directory.join(name))),
            }
        }
        Ok(())
    }

    fn check_content(
        &self,
        digest: &Digest,
        mending: Mending<'_>,
        check: &mut Check,
    ) -> Result<(), StoreError> {
        check.blobs += 1;
        let (path, algorithm) = (self.blob_path(digest), digest.algorithm());
        let problem = match File::open(&path).and_then(|file| Digest::read(algorithm, file)) {
            Ok(found) if found == *digest => return Ok(()),
            Ok(found) => format!("blob {digest} is damaged: its content has the digest {found}"),
            Err(error) => format!("blob {digest} cannot be read: {error}"),
        };
        if mending.is_wanted() {
            let aside = self.move_aside(&path, &format!("{}-{}", algorithm.name(), digest.hex()))?;
            check.mended(problem, format!("moved to {aside:?}"));
        } else {
            check.wrong_is(problem);
        }
        Ok(())
    }

    /// Moves what is damaged to where nobody takes it for what it is called; `gc` removes it.
    pub(super) fn move_aside(&self, path: &Path, name: &str) -> Result<PathBuf, StoreError> {
        let directory = self.damaged();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(failed("make the directory", &directory))?;
        let aside = directory.join(name);
        fs::rename(path, &aside).map_err(failed("rename", path))?;
        Ok(aside)
    }

    fn check_layers(
        &self,
        algorithm: Algorithm,
        mending: Mending<'_>,
        check: &mut Check,
    ) -> Result<(), StoreError> {
        for digest in digests_in(&self.root().join("layers").join(algorithm.name()), algorithm)? {
            check.layers += 1;
            let path = self.layer_path(&digest);
            if !fs::symlink_metadata(&path).map_err(failed("look at", &path))?.is_dir() {
                let problem = format!("{path:?} is no directory, and so no layer");
                match mending.is_wanted() {
                    true => {
                        let aside = self.move_aside(&path, &format!("layer-{}", digest.hex()))?;
                        check.mended(problem, format!("moved to {aside:?}"));
                    }
                    false => check.wrong_is(problem),
                }
            } else if self.layer_size(&digest).is_none() {
                self.mend_size(&digest, mending, check)?;
            }
        }
        Ok(())
    }

    fn mend_size(&self, diff_id: &Digest, mending: Mending<'_>, check: &mut Check) -> Result<(), StoreError> {
        let problem = format!("the size of layer {diff_id} is not written down");
        if !mending.is_wanted() {
            check.wrong_is(problem);
            return Ok(());
        }
        let path = self.layer_path(diff_id);
        let size = size_of_tree(&path, &mut HashSet::new()).map_err(failed("look into", &path))?;
        let file = self.layer_size_path(diff_id);
        fs::write(&file, size.to_string()).map_err(failed("write", &file))?;
        check.mended(problem, format!("it is {size} bytes"));
        Ok(())
    }

    fn check_unfinished(&self, mending: Mending<'_>, check: &mut Check) -> Result<(), StoreError> {
        let layers = names_in(&self.unfinished_layers())?;
        check.unfinished = names_in(&self.root().join("ingest"))?.len();
        if !mending.is_wanted() {
            // Somebody may be working on them.
            check.unfinished += layers.len();
            return Ok(());
        }
        for name in layers {
            let path = self.unfinished_layers().join(&name);
            fs::remove_dir_all(&path).map_err(failed("remove", &path))?;
            check.mended(format!("layer {name} is half unpacked"), "removed".to_owned());
        }
        Ok(())
    }

    /// Follows every name and every lease.
    fn check_targets(&self, check: &mut Check) -> Result<(), StoreError> {
        for (name, target) in self.entries()? {
            check.names += 1;
            let name = name.map_or_else(|| target.digest.to_string(), |name| name.familiar());
            self.check_target(&format!("image {name}"), &target, true, check);
        }
        match self.leases() {
            Ok(leases) => {
                for lease in leases.iter().filter(|lease| !lease.is_stale()) {
                    let who = format!("the image of {} {}", lease.kind, lease.owner.display());
                    self.check_target(&who, &lease.image, true, check);
                }
            }
            Err(error) => {
                let error = crate::cli::chain(&error);
                check.wrong_is(format!("{error}; remove the file if nothing needs the image any more"));
            }
        }
        Ok(())
    }

    /// Of an index, the manifests of other platforms need not be here.
    fn check_target(&self, who: &str, target: &Descriptor, must_be: bool, check: &mut Check) {
        if !self.check_blob(who, target, must_be, check) {
            return;
        }
        match self.document(target) {
            Err(error) => check.wrong_is(format!("{who}: {}", crate::cli::chain(&error))),
            Ok(Document::Index(index)) => {
                for entry in &index.manifests {
                    self.check_target(who, entry, false, check);
                }
                if !index.manifests.iter().any(|entry| self.has_blob(&entry.digest)) {
                    check.wrong_is(format!("{who} has no manifest for any platform; pull it again"));
                }
            }
            Ok(Document::Manifest(manifest)) => {
                for layer in &manifest.layers {
                    // What may not be distributed need not be here either.
                    let must_be = !matches!(layer.media_type.kind(), Kind::ForeignLayer(_));
                    self.check_blob(who, layer, must_be, check);
                }
                let is_there = self.check_blob(who, &manifest.config, true, check);
                let is_config = manifest.config.media_type.kind() == Kind::Config;
                if is_there
                    && is_config
                    && let Err(error) = self.config(&manifest)
                {
                    check.wrong_is(format!("{who}: {}", crate::cli::chain(&error)));
                }
            }
        }
    }

    /// Whether a blob is there, as long as it should be; its content has been looked at before.
    fn check_blob(&self, who: &str, blob: &Descriptor, must_be: bool, check: &mut Check) -> bool {
        let digest = &blob.digest;
        match fs::metadata(self.blob_path(digest)) {
            Ok(file) if file.len() == blob.size => return true,
            Ok(file) => {
                let (found, expected) = (file.len(), blob.size);
                check.wrong_is(format!(
                    "{who}: {digest} has {found} bytes, and what points to it says {expected}"
                ));
            }
            Err(_) if must_be => check.wrong_is(format!("{who} lacks {digest}; pull it again")),
            Err(_) => {}
        }
        false
    }
}

/// What the files of a tree have, in bytes, without their holes; a file with several names counts once.
fn size_of_tree(directory: &Path, seen: &mut HashSet<u64>) -> io::Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            size += size_of_tree(&entry.path(), seen)?;
        } else if metadata.is_file() && seen.insert(metadata.ino()) {
            size += size_of_file(&entry.path())?;
        }
    }
    Ok(size)
}

fn size_of_file(path: &Path) -> io::Result<u64> {
    let file = File::open(path)?;
    let (mut size, mut offset) = (0, 0);
    while let Some((from, to)) = next_data(&file, offset).map_err(|error| io::Error::from(error.errno()))? {
        size += to - from;
        offset = to;
    }
    Ok(size)
}
