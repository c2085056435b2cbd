//! All volumes of a home.

use super::{Volume, VolumeError, check_options, failed, mounts, options, users};
use crate::clock;
use crate::container::Containers;
use crate::home::Home;
use mydocker_sys::Errno;
use mydocker_sys::fs::{AT_FDCWD, renameat};
use mydocker_sys::lock::{lock_exclusive, lock_shared};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// What a volume was made with.
const RECORD: &str = "volume.json";
/// What is in it.
pub(super) const DATA: &str = "_data";

/// Keeps volumes from being removed, until it is dropped.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

/// All volumes of a home.
#[derive(Debug, Clone)]
pub struct Volumes {
    place: PathBuf,
}

impl Volumes {
    /// Those of `home`, whose directory is made if it is missing.
    ///
    /// # Errors
    /// [`VolumeError::Io`].
    pub fn open(home: &Home) -> Result<Self, VolumeError> {
        let place = home.volumes();
        let made = DirBuilder::new().recursive(true).mode(0o711).create(&place);
        made.map_err(failed("make the directory", &place))?;
        Ok(Self { place })
    }

    /// Keeps volumes from being removed: taken by whoever makes a container before its volumes are made, and kept until its
    /// record is there, which keeps them from then on.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn hold(&self) -> Result<Hold, VolumeError> {
        let file = self.lock_file()?;
        lock_shared(&file)?;
        Ok(Hold { _file: file })
    }

    fn lock_file(&self) -> Result<File, VolumeError> {
        let path = self.place.join(".lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.open(&path).map_err(failed("open", &path))
    }

    /// Makes a volume, or returns the one that has the name. One without a name is anonymous, and is given an id as its
    /// name.
    ///
    /// # Errors
    /// [`VolumeError`]; then nothing is left.
    pub fn create(
        &self,
        name: Option<&str>,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Result<Volume, VolumeError> {
        let (name, anonymous) = match name {
            Some(name) => (name.to_owned(), false),
            None => (Containers::new_id()?, true),
        };
        check_name(&name)?;
        match self.find(&name) {
            Err(VolumeError::NotFound(_)) => {}
            found => return found,
        }
        check_options(&options)?;
        let created_at = clock::now();
        let volume = Volume { name, created_at, labels, options, anonymous, path: PathBuf::new() };
        let new = self.aside("new", &volume.name)?;
        let made = write(&new, &volume).and_then(|()| self.publish(&new, &volume.name));
        if made.is_err() {
            // The reason why it was given up is told; `system check` finds what cannot be removed now.
            fs::remove_dir_all(&new).unwrap_or_default();
        }
        made.and_then(|()| self.find(&volume.name))
    }

    /// A path that nobody else has, where no volume is looked for.
    fn aside(&self, why: &str, name: &str) -> Result<PathBuf, VolumeError> {
        let id = Containers::new_id()?;
        Ok(self.place.join(format!(".{why}-{name}-{}", id.get(..12).unwrap_or(&id))))
    }

    /// Gives a new volume its place, unless somebody else was quicker.
    fn publish(&self, new: &Path, name: &str) -> Result<(), VolumeError> {
        match renameat(AT_FDCWD, new, &self.place.join(name)) {
            Err(error) if matches!(error.errno(), Errno::EEXIST | Errno::ENOTEMPTY) => {
                fs::remove_dir_all(new).map_err(failed("remove", new))
            }
            other => other.map_err(Into::into),
        }
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// [`VolumeError::NotFound`] and others.
    pub fn find(&self, name: &str) -> Result<Volume, VolumeError> {
        let missing = || VolumeError::NotFound(name.to_owned());
        check_name(name).map_err(|_| missing())?;
        let place = self.place.join(name);
        let path = place.join(RECORD);
        let bytes = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing()),
            other => other.map_err(failed("read", &path))?,
        };
        let volume: Volume =
            serde_json::from_slice(&bytes).map_err(|source| VolumeError::Damaged { path, source })?;
        let path = options::device(&volume.options).unwrap_or_else(|| place.join(DATA));
        Ok(Volume { path, ..volume })
    }

    /// All volumes in the order of their names.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn all(&self) -> Result<Vec<Volume>, VolumeError> {
        let entries = fs::read_dir(&self.place).map_err(failed("read the directory", &self.place))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let names: io::Result<Vec<String>> = names.collect();
        let mut names = names.map_err(failed("read the directory", &self.place))?;
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        let mut volumes = Vec::with_capacity(names.len());
        for name in names {
            match self.find(&name) {
                // It has been removed meanwhile.
                Err(VolumeError::NotFound(_)) => {}
                found => volumes.push(found?),
            }
        }
        Ok(volumes)
    }

    /// Removes a volume with what is in it, unless a container has it. What its options name on the host stays.
    ///
    /// # Errors
    /// [`VolumeError::InUse`] and others.
    pub fn remove(&self, name: &str, containers: &Containers) -> Result<(), VolumeError> {
        self.remove_unless(name, containers, None)
    }

    /// The same, where the container `except` does not count.
    pub(super) fn remove_unless(
        &self,
        name: &str,
        containers: &Containers,
        except: Option<&str>,
    ) -> Result<(), VolumeError> {
        let gone = {
            let file = self.lock_file()?;
            lock_exclusive(&file, true)?;
            self.find(name)?;
            let mut holders = users(containers)?.remove(name).unwrap_or_default();
            holders.retain(|holder| Some(holder.as_str()) != except);
            if !holders.is_empty() {
                return Err(VolumeError::InUse { name: name.to_owned(), holders });
            }
            // What no container has is mounted only after a crash. What is in it is not this volume's to be removed.
            mounts::take_off(&self.place.join(name).join(DATA))?;
            let gone = self.aside("gone", name)?;
            renameat(AT_FDCWD, &self.place.join(name), &gone)?;
            gone
        };
        fs::remove_dir_all(&gone).map_err(failed("remove", &gone))
    }
}

fn write(new: &Path, volume: &Volume) -> Result<(), VolumeError> {
    DirBuilder::new().mode(0o711).create(new).map_err(failed("make the directory", new))?;
    let data = new.join(DATA);
    DirBuilder::new().create(&data).map_err(failed("make the directory", &data))?;
    // Whatever the umask is: the users of containers are others than the one who types.
    fs::set_permissions(&data, Permissions::from_mode(0o755)).map_err(failed("open up", &data))?;
    let path = new.join(RECORD);
    let text = serde_json::to_vec(volume);
    let text = text.map_err(|source| VolumeError::Damaged { path: path.clone(), source })?;
    fs::write(&path, text).map_err(failed("write", &path))
}

fn check_name(name: &str) -> Result<(), VolumeError> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    // A single letter is more often half of a Windows path; docker refuses it as well.
    if begins && goes_on && (2..=200).contains(&name.len()) {
        return Ok(());
    }
    Err(VolumeError::BadName(name.to_owned()))
}
