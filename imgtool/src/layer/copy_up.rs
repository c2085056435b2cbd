//! What a layer takes over from those below: files that it gives one more name, and what directories are like that it puts
//! something into without describing them.

use super::LayerError;
use super::lower::{Below, Lower, is_whiteout};
use super::tar::Kind;
use super::tree::{Place, shown};
use super::unpack::{Unpack, Whiteouts};
use mydocker_sys::copy::{next_data, set_length, set_position};
use mydocker_sys::fs::{OFlag, copy, lstatat, openat};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Gives a directory the owner, permissions, attributes and times of another.
///
/// # Errors
/// [`LayerError::Kernel`].
pub fn describe_like(other: OwnedFd, directory: OwnedFd) -> Result<(), LayerError> {
    let failed = |source| LayerError::Kernel { path: PathBuf::from("."), source };
    let name = PathBuf::from(".");
    let stat = lstatat(&other, &name).map_err(failed)?;
    let below = Below { parent: Rc::new(other), path: PathBuf::new(), name, stat };
    let entry = below.entry().map_err(failed)?;
    let mut unpack = Unpack::new(directory, Whiteouts::Apply);
    unpack.describe_directory(PathBuf::new(), entry, false);
    unpack.finish()
}

impl Unpack {
    /// Lets a layer for overlayfs take over what it needs from those below. Without it, one that needs something ends in
    /// [`LayerError::NeedsLower`].
    #[must_use]
    pub fn over(mut self, lower: Lower) -> Self {
        self.lower = Some(lower);
        self
    }

    /// Whether something was taken over, so that the result is right above these layers only.
    #[must_use]
    pub fn has_taken_over(&self) -> bool {
        self.takes_over || self.implied().next().is_some()
    }

    /// What a hard link leads to: a file of this layer, or one of those below, which becomes one of this layer.
    pub(super) fn target(&mut self, path: &[u8], target: &[u8]) -> Result<Place, LayerError> {
        if let Some(place) = self.own(path, target)? {
            return Ok(place);
        }
        let refuse = |problem| LayerError::Refused { path: shown(path), problem };
        let lower = self.lower.as_ref().ok_or(LayerError::NeedsLower)?;
        match lower.find(target)? {
            None => Err(refuse("it is a hard link to something that is not there")),
            Some(below) if below.is_directory() => Err(refuse("it is a hard link to a directory")),
            // Its way may lead through links that only lower layers have, to what was brought up before.
            Some(below) => match self.own(path, below.path.as_os_str().as_bytes())? {
                Some(place) => Ok(place),
                None => self.bring_up(path, &below),
            },
        }
    }

    /// Something that this layer itself has.
    fn own(&mut self, path: &[u8], target: &[u8]) -> Result<Option<Place>, LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let Some(place) = self.tree.find(target)? else { return Ok(None) };
        let stat = place.look().map_err(failed)?;
        let is_gone = |stat| self.whiteouts == Whiteouts::Overlay && is_whiteout(&stat);
        Ok(stat.is_some_and(|stat| !is_gone(stat)).then_some(place))
    }

    /// Copies a file with all that is known of it, as overlayfs does before it changes one.
    fn bring_up(&mut self, path: &[u8], below: &Below) -> Result<Place, LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let entry = below.entry().map_err(failed)?;
        let place = self.place(&entry.path)?;
        let place = place.ok_or_else(|| LayerError::Refused {
            path: shown(path),
            problem: "it is a hard link to the top",
        })?;
        self.takes_over = true;
        if let Kind::File(_) = entry.kind {
            let file = self.new_file(&place).map_err(failed)?;
            self.copy_data(below, &file).map_err(failed)?;
            self.describe_file(&file, &entry).map_err(failed)?;
        } else {
            self.special(&entry, &place).map_err(failed)?;
        }
        Ok(place)
    }

    fn copy_data(&mut self, below: &Below, file: &OwnedFd) -> Result<(), mydocker_sys::Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let source = openat(&*below.parent, &below.name, flags, 0)?;
        let mut offset = 0;
        while let Some((from, to)) = next_data(&source, offset)? {
            set_position(file, from)?;
            self.size += copy(&source, file, to - from)?;
            offset = to;
        }
        set_length(file, below.stat.st_size as u64)
    }

    /// The directories that this layer has made on the way to something, and not described.
    fn implied(&self) -> impl Iterator<Item = &PathBuf> {
        let is_overlay = self.whiteouts == Whiteouts::Overlay;
        self.directories
            .iter()
            .filter(move |(_, finish)| is_overlay && finish.is_implied)
            .map(|(path, _)| path)
    }

    /// Makes implied directories what they are below.
    pub(super) fn describe_implied(&mut self) -> Result<(), LayerError> {
        let implied: Vec<PathBuf> = self.implied().cloned().collect();
        if implied.is_empty() {
            return Ok(());
        }
        let lower = self.lower.take().ok_or(LayerError::NeedsLower)?;
        for path in implied {
            // A link there is hidden by the directory, which is then like the one that it leads to: so it is with containerd.
            let below = lower.find_followed(path.as_os_str().as_bytes())?;
            if let Some(below) = below.filter(Below::is_directory) {
                let failed = |source| LayerError::Kernel { path: path.clone(), source };
                let entry = below.entry().map_err(failed)?;
                self.describe_directory(path, entry, false);
            }
            self.takes_over = true;
        }
        Ok(())
    }

    pub(super) fn place(&mut self, path: &[u8]) -> Result<Option<Place>, LayerError> {
        let directories = &mut self.directories;
        let mut made = |made: &Path| {
            directories.insert(made.to_owned(), super::unpack::Finish::implied());
        };
        self.tree.place(path, &mut made)
    }
}
