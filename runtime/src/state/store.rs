//! The directories of the containers.

use super::id::ContainerId;
use super::record::Record;
use crate::spec::CONFIG_FILE;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, lock};
use std::path::{Path, PathBuf};

const RECORD_FILE: &str = "state.json";
const NEW_RECORD_FILE: &str = "state.json.new";
const START_FIFO: &str = "start";
const ERROR_FIFO: &str = "error";
const NOTIFY_DIRECTORY: &str = "notify";
/// A record has some kilobytes; annotations may be long.
const MAX_RECORD_BYTES: u64 = 16 << 20;

/// What goes wrong with the state of containers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such container.
    #[error("container does not exist: there is no {id:?} in {}", root.display())]
    NotFound {
        /// The id.
        id: String,
        /// The state root.
        root: PathBuf,
    },
    /// There is one of this id already.
    #[error("container with given ID already exists: {id:?} in {}", root.display())]
    Exists {
        /// The id.
        id: String,
        /// The state root.
        root: PathBuf,
    },
    /// The state root cannot be used.
    #[error("the state root {} cannot be used; choose another with --root or XDG_RUNTIME_DIR", root.display())]
    Root {
        /// The state root.
        root: PathBuf,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// A file of the state cannot be read or written.
    #[error("the state of container {id:?} cannot be {what}")]
    File {
        /// The id.
        id: String,
        /// `read`, `written`, `locked`, `unlocked` or `removed`.
        what: &'static str,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// The record is damaged.
    #[error("the record of container {id:?} is damaged ({}); delete --force removes it", path.display())]
    Damaged {
        /// The id.
        id: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

/// The state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
    /// The mode that the root gets when it is made.
    mode: u32,
}

/// The directory of one container, locked while this is held and it was not [`look`](Store::look)ed up only.
#[derive(Debug)]
pub struct Entry {
    id: ContainerId,
    root: PathBuf,
    directory: OwnedFd,
}

impl Store {
    /// A state root; nothing is touched yet.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root, mode: 0o700 }
    }

    /// The same below `$XDG_RUNTIME_DIR`, where files of a sticky directory are not cleaned up for their age (XDG base
    /// directory specification).
    #[must_use]
    pub fn sticky(self) -> Self {
        Self { mode: 0o1700, ..self }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Takes an id for a new container, and records what is intended.
    ///
    /// # Errors
    /// [`Error::Exists`], and [`Error::Root`] and [`Error::File`] for a full or read-only state root.
    pub fn reserve(&self, id: &ContainerId, record: &Record) -> Result<Entry, Error> {
        // A `gc` may take the new directory for a left-over one until it is locked; then the way begins anew.
        for _ in 0..16 {
            self.take(id)?;
            match self.begin(id, record) {
                Err(Error::NotFound { .. }) => {}
                other => return other,
            }
        }
        Err(self.not_found(id))
    }

    /// Locks a new directory and makes the first record.
    fn begin(&self, id: &ContainerId, record: &Record) -> Result<Entry, Error> {
        let entry = self.look(id)?;
        lock::lock_exclusive(&entry.directory, true).map_err(entry.file_error("locked"))?;
        match entry.save(record) {
            Ok(()) => Ok(entry),
            // In a directory that was removed nothing can be made.
            Err(Error::File { source, .. }) if source.errno() == Errno::ENOENT => Err(self.not_found(id)),
            Err(error) => {
                // It is the failure to be told; what cannot be removed is left for `delete --force`.
                drop(entry.remove());
                Err(error)
            }
        }
    }

    fn take(&self, id: &ContainerId) -> Result<(), Error> {
        let path = self.root.join(id.as_str());
        match fs::mkdirat(fs::AT_FDCWD, &path, 0o700) {
            Err(error) if error.errno() == Errno::ENOENT => {
                self.make_root()?;
                fs::mkdirat(fs::AT_FDCWD, &path, 0o700).map_err(|source| self.root_error(source))
            }
            Err(error) if error.errno() == Errno::EEXIST => {
                Err(Error::Exists { id: id.to_string(), root: self.root.clone() })
            }
            other => other.map_err(|source| self.root_error(source)),
        }
    }

    fn make_root(&self) -> Result<(), Error> {
        let mut made = PathBuf::new();
        for component in self.root.components() {
            made.push(component);
            let mode = if made == self.root { self.mode } else { 0o700 };
            match fs::mkdirat(fs::AT_FDCWD, &made, mode) {
                Err(error) if matches!(error.errno(), Errno::EEXIST | Errno::EROFS) => {}
                other => other.map_err(|source| self.root_error(source))?,
            }
        }
        Ok(())
    }

    fn root_error(&self, source: mydocker_sys::Error) -> Error {
        Error::Root { root: self.root.clone(), source }
    }

    /// Opens a container and waits for its lock.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when another command has deleted it meanwhile.
    pub fn open(&self, id: &ContainerId) -> Result<Entry, Error> {
        let entry = self.look(id)?;
        if entry.lock()? { Ok(entry) } else { Err(self.not_found(id)) }
    }

    /// Opens a container unless another command has its lock; `None` then, and where there is none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn try_open(&self, id: &ContainerId) -> Result<Option<Entry>, Error> {
        let entry = match self.look(id) {
            Err(Error::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        let failed = |source| Error::File { id: id.to_string(), what: "locked", source };
        match lock::lock_exclusive(&entry.directory, false) {
            Err(error) if error.errno() == Errno::EAGAIN => return Ok(None),
            other => other.map_err(failed)?,
        }
        let removed = fs::fstat(&entry.directory).map_err(failed)?.st_nlink == 0;
        Ok((!removed).then_some(entry))
    }

    /// Opens a container without its lock, to read only: records are replaced as a whole.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn look(&self, id: &ContainerId) -> Result<Entry, Error> {
        let path = self.root.join(id.as_str());
        match fs::open(&path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW) {
            Ok(directory) => Ok(Entry { id: id.clone(), root: self.root.clone(), directory }),
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {
                Err(self.not_found(id))
            }
            Err(source) => Err(Error::File { id: id.to_string(), what: "read", source }),
        }
    }

    fn not_found(&self, id: &ContainerId) -> Error {
        Error::NotFound { id: id.to_string(), root: self.root.clone() }
    }

    /// The ids of all containers, sorted; none when there is no state root.
    ///
    /// # Errors
    /// [`Error::Root`] for a state root that cannot be read.
    pub fn ids(&self) -> Result<Vec<ContainerId>, Error> {
        let names = match fs::directory_names(&self.root) {
            Ok(names) => names,
            Err(error) if error.errno() == Errno::ENOENT => return Ok(Vec::new()),
            Err(source) => return Err(self.root_error(source)),
        };
        let mut ids: Vec<_> = names.iter().filter_map(|name| ContainerId::new(name.to_str()?).ok()).collect();
        ids.sort();
        Ok(ids)
    }
}

impl Entry {
    /// The container's id.
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The directory, which carries the lock.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Waits for the lock again that [`unlock`](Self::unlock) gave up; `false` where the container was removed meanwhile,
    /// whatever has its id now.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn lock(&self) -> Result<bool, Error> {
        lock::lock_exclusive(&self.directory, true).map_err(self.file_error("locked"))?;
        // A directory that was removed has no links left.
        Ok(fs::fstat(&self.directory).map_err(self.file_error("locked"))?.st_nlink > 0)
    }

    /// Gives the lock up, but keeps the directory: it stays the same container's, also when the id is taken again.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn unlock(&self) -> Result<(), Error> {
        lock::unlock(&self.directory).map_err(self.file_error("unlocked"))
    }

    /// Whether somebody holds the lock; for an entry that was looked up.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_locked(&self) -> mydocker_sys::Result<bool> {
        // A shared lock, so that two who look do not take each other for a maker; it goes with the descriptor.
        Ok(!lock::try_lock_shared(&self.directory)?)
    }

    fn file_error(&self, what: &'static str) -> impl FnOnce(mydocker_sys::Error) -> Error + '_ {
        move |source| Error::File { id: self.id.to_string(), what, source }
    }

    /// Reads the record.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no record: the container is being made or deleted at this moment.
    pub fn load(&self) -> Result<Record, Error> {
        let bytes = match fs::read_at(&self.directory, Path::new(RECORD_FILE), MAX_RECORD_BYTES) {
            Err(error) if error.errno() == Errno::ENOENT => {
                return Err(Error::NotFound { id: self.id.to_string(), root: self.root.clone() });
            }
            other => other.map_err(self.file_error("read"))?,
        };
        serde_json::from_slice(&bytes).map_err(|source| Error::Damaged {
            id: self.id.to_string(),
            path: self.root.join(self.id.as_str()).join(RECORD_FILE),
            source,
        })
    }

    /// Replaces the record in one step.
    ///
    /// # Errors
    /// [`Error::File`], with the old record untouched.
    pub fn save(&self, record: &Record) -> Result<(), Error> {
        // Strings, numbers and maps with text keys always become JSON.
        let bytes = serde_json::to_vec(record).unwrap_or_default();
        drop(self.write_new(NEW_RECORD_FILE, &bytes)?);
        fs::renameat(&self.directory, Path::new(NEW_RECORD_FILE), Path::new(RECORD_FILE))
            .map_err(self.file_error("written"))
    }

    /// Keeps the configuration. With `attended` this process holds a lock on it to its end, by which it is seen that
    /// somebody waits for the container's end to delete it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn save_config(&self, bytes: &[u8], attended: bool) -> Result<(), Error> {
        let file = self.write_new(CONFIG_FILE, bytes)?;
        if attended {
            lock::lock_exclusive(&file, false).map_err(self.file_error("locked"))?;
            // Closed by the end of the process and by nothing else.
            std::mem::forget(file);
        }
        Ok(())
    }

    /// Whether the process that keeps the configuration locked still lives.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_attended(&self) -> mydocker_sys::Result<bool> {
        let file =
            fs::openat(&self.directory, Path::new(CONFIG_FILE), OFlag::O_RDONLY | OFlag::O_NOFOLLOW, 0)?;
        Ok(!lock::try_lock_shared(&file)?)
    }

    /// The configuration as it was when the container was made.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn load_config(&self) -> Result<Vec<u8>, Error> {
        fs::read_at(&self.directory, Path::new(CONFIG_FILE), crate::spec::MAX_CONFIG_BYTES)
            .map_err(self.file_error("read"))
    }

    /// Whether the container's directory has a file of this name.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn has(&self, name: &str) -> mydocker_sys::Result<bool> {
        match fs::lstatat(&self.directory, Path::new(name)) {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Errno::ENOENT => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<OwnedFd, Error> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
        let write = || {
            let file = fs::openat(&self.directory, Path::new(name), flags, 0o600)?;
            fs::write_fully(&file, bytes)?;
            Ok(file)
        };
        write().map_err(self.file_error("written"))
    }

    /// Makes the fifos of a container that will wait for `start`, and opens them for it: (start, error).
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn make_gate(&self) -> Result<(OwnedFd, OwnedFd), Error> {
        let make = |name: &str| {
            fs::mkfifoat(&self.directory, Path::new(name), 0o600)?;
            fs::openat(&self.directory, Path::new(name), OFlag::O_RDWR, 0)
        };
        let both = make(START_FIFO).and_then(|start| Ok((start, make(ERROR_FIFO)?)));
        both.map_err(self.file_error("written"))
    }

    /// Opens the fifos of a waiting container from the other side: (start, error).
    ///
    /// # Errors
    /// [`Error::File`]; `ENXIO` when nobody waits.
    pub fn open_gate(&self) -> Result<(OwnedFd, OwnedFd), Error> {
        let open = |name: &str, flags: OFlag| {
            fs::openat(&self.directory, Path::new(name), flags | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW, 0)
        };
        let both = open(ERROR_FIFO, OFlag::O_RDONLY)
            .and_then(|error| Ok((open(START_FIFO, OFlag::O_WRONLY)?, error)));
        both.map_err(self.file_error("read"))
    }

    /// Takes the fifos away once nobody waits at them any more.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove_gate(&self) -> Result<(), Error> {
        [START_FIFO, ERROR_FIFO].iter().try_for_each(|name| self.unlink(name))
    }

    /// Where the socket lies through which the container says that it is ready; the directory is mounted into it.
    #[must_use]
    pub fn notify_directory(root: &Path, id: &ContainerId) -> PathBuf {
        root.join(id.as_str()).join(NOTIFY_DIRECTORY)
    }

    /// Makes that directory.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn make_notify_directory(&self) -> Result<OwnedFd, Error> {
        fs::mkdirat(&self.directory, Path::new(NOTIFY_DIRECTORY), 0o755)
            .map_err(self.file_error("written"))?;
        self.open_notify_directory()?
            .ok_or_else(|| Error::NotFound { id: self.id.to_string(), root: self.root.clone() })
    }

    /// Opens it, if it was made.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open_notify_directory(&self) -> Result<Option<OwnedFd>, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        match fs::openat(&self.directory, Path::new(NOTIFY_DIRECTORY), flags, 0) {
            Err(error) if error.errno() == Errno::ENOENT => Ok(None),
            other => other.map(Some).map_err(self.file_error("read")),
        }
    }

    /// Removes it with the socket in it.
    fn remove_notify_directory(&self) -> Result<(), Error> {
        let Some(directory) = self.open_notify_directory()? else { return Ok(()) };
        fs::unlink_if_present(&directory, Path::new(crate::engine::SOCKET_NAME))
            .and_then(|_| fs::rmdirat(&self.directory, Path::new(NOTIFY_DIRECTORY)))
            .map_err(self.file_error("removed"))
    }

    fn unlink(&self, name: &str) -> Result<(), Error> {
        fs::unlink_if_present(&self.directory, Path::new(name)).map(drop).map_err(self.file_error("removed"))
    }

    /// Removes the container from the store. A removal that is interrupted can be repeated: by the record, and without it
    /// by `delete --force`, which removes what has none.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self) -> Result<(), Error> {
        [CONFIG_FILE, RECORD_FILE].iter().try_for_each(|name| self.unlink(name))?;
        let path = self.root.join(self.id.as_str());
        match fs::rmdirat(fs::AT_FDCWD, &path) {
            // Only a container that was never started, or a runtime that was interrupted, leaves more.
            Err(error) if error.errno() == Errno::ENOTEMPTY => {
                [START_FIFO, ERROR_FIFO, NEW_RECORD_FILE].iter().try_for_each(|name| self.unlink(name))?;
                self.remove_notify_directory()?;
                fs::rmdirat(fs::AT_FDCWD, &path)
            }
            other => other,
        }
        .map_err(self.file_error("removed"))
    }
}
