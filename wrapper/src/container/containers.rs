//! All containers of a home.

use super::{Container, Process, Seen, State, Status, full, look, names};
use crate::home::Home;
use mydocker_sys::fs::{AT_FDCWD, lock_exclusive, symlinkat, unlink_if_present};
use mydocker_sys::process::getpid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What was wanted.
const RECORD: &str = "container.json";
/// What became of it.
const STATE: &str = "state.json";
/// How much of either is read.
const LIMIT: u64 = 16 << 20;

/// What goes wrong with the containers of a home.
#[derive(Debug, thiserror::Error)]
pub enum ContainersError {
    /// A file or directory.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was to be done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// A system call.
    #[error(transparent)]
    System(#[from] mydocker_sys::Error),
    /// A record is none.
    #[error("{path:?} is damaged; 'system check' tells what can be done")]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// There is no such container.
    #[error("No such container: {0}")]
    NotFound(String),
    /// The beginning of an id fits several.
    #[error("{0:?} is the beginning of the ids of several containers; give more of it")]
    Ambiguous(String),
    /// The name is another's.
    #[error(
        "the container name {name:?} is already in use by container {holder}; remove or rename that one, or take another name"
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Whose it is.
        holder: String,
    },
    /// The name has characters that names do not have.
    #[error(
        "invalid container name {0:?}: it begins with a letter or a digit, and letters, digits, '_', '.' and '-' follow"
    )]
    BadName(String),
}

/// A lock on a container, given back when it is dropped.
#[derive(Debug)]
pub struct Locked {
    _file: File,
}

/// All containers of a home.
#[derive(Debug, Clone)]
pub struct Containers {
    home: Home,
    boot: String,
}

impl Containers {
    /// Those of `home`, whose directories are made if they are missing.
    ///
    /// # Errors
    /// [`ContainersError::Io`].
    pub fn open(home: &Home) -> Result<Self, ContainersError> {
        for path in [home.root().to_owned(), home.containers(), home.names(), home.run().to_owned()] {
            // A container's files may be secret, and its setuid programs are nobody's on the host (CVE-2021-41091).
            let made = DirBuilder::new().recursive(true).mode(0o711).create(&path);
            made.map_err(failed("make the directory", &path))?;
        }
        let path = Path::new("/proc/sys/kernel/random/boot_id");
        let boot = fs::read_to_string(path).map_err(failed("read", path))?;
        Ok(Self { home: home.clone(), boot: boot.trim().to_owned() })
    }

    /// Where they lie.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// The boot that the host is in.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// A new id: 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`ContainersError::Io`].
    pub fn new_id() -> Result<String, ContainersError> {
        let mut bytes = [0; 32];
        let path = Path::new("/dev/urandom");
        let source = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
        source.map_err(failed("read", path))?;
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Makes a container: its directory with its record, filled by `fill`, appears at once, with its name, or not at
    /// all. A record without a name is given one.
    ///
    /// # Errors
    /// [`ContainersError`], or what `fill` says; then nothing is left.
    pub fn create<E: From<ContainersError>>(
        &self,
        mut container: Container,
        fill: impl FnOnce(&Path, &Container) -> Result<(), E>,
    ) -> Result<Container, E> {
        if !container.name.is_empty() {
            check_name(&container.name)?;
            self.check_free(&container.name)?;
        }
        let new = self.home.containers().join(format!(".new-{}", container.id));
        DirBuilder::new().mode(0o710).create(&new).map_err(failed("make the directory", &new))?;
        let made = fill(&new, &container).and_then(|()| Ok(self.publish(&new, &mut container)?));
        if made.is_err() {
            // What cannot be removed now, `system check` finds; the reason why it was given up is told.
            fs::remove_dir_all(&new).unwrap_or_default();
        }
        made.map(|()| container)
    }

    /// Gives a new container its name and its place.
    fn publish(&self, new: &Path, container: &mut Container) -> Result<(), ContainersError> {
        let _lock = self.lock_names()?;
        if container.name.is_empty() {
            container.name = self.free_name(&container.id)?;
        }
        write_json(&new.join(RECORD), container)?;
        write_json(&new.join(STATE), &State { boot: self.boot.clone(), ..State::default() })?;
        self.claim(&container.name, &container.id)?;
        let place = self.home.container(&container.id);
        if let Err(error) = fs::rename(new, &place).map_err(failed("rename", new)) {
            self.release_name(&container.name)?;
            return Err(error);
        }
        Ok(())
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn rename(&self, id: &str, name: &str) -> Result<(), ContainersError> {
        check_name(name)?;
        let _lock = self.lock_names()?;
        let mut container = self.load(id)?;
        self.claim(name, id)?;
        let old = std::mem::replace(&mut container.name, name.to_owned());
        self.save(&container)?;
        self.release_name(&old)
    }

    /// Writes a changed record.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn save(&self, container: &Container) -> Result<(), ContainersError> {
        write_json(&self.home.container(&container.id).join(RECORD), container)
    }

    /// The container of this full id.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn load(&self, id: &str) -> Result<Container, ContainersError> {
        read_json(&self.home.container(id).join(RECORD), id)
    }

    /// The container of this name, id, or beginning of an id, in this order.
    ///
    /// # Errors
    /// [`ContainersError::NotFound`] and others.
    pub fn find(&self, wanted: &str) -> Result<Container, ContainersError> {
        self.load(&self.find_id(wanted)?)
    }

    /// The id of the container of this name, id, or beginning of an id.
    ///
    /// # Errors
    /// [`ContainersError::NotFound`] and others.
    pub fn find_id(&self, wanted: &str) -> Result<String, ContainersError> {
        let name = wanted.strip_prefix('/').unwrap_or(wanted);
        if check_name(name).is_err() {
            return Err(ContainersError::NotFound(wanted.to_owned()));
        }
        if let Some(id) = self.holder(name)? {
            return Ok(id);
        }
        let ids = self.ids()?;
        let mut fitting = ids.into_iter().filter(|id| id.starts_with(name));
        match (fitting.next(), fitting.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(ContainersError::NotFound(wanted.to_owned())),
            _ => Err(ContainersError::Ambiguous(wanted.to_owned())),
        }
    }

    /// The ids of all containers, in no order.
    ///
    /// # Errors
    /// [`ContainersError::Io`].
    pub fn ids(&self) -> Result<Vec<String>, ContainersError> {
        let path = self.home.containers();
        let entries = fs::read_dir(&path).map_err(failed("read the directory", &path))?;
        let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        let names: Result<Vec<String>, _> = names.collect();
        let mut names = names.map_err(failed("read the directory", &path))?;
        names.retain(|name| !name.starts_with('.'));
        Ok(names)
    }

    /// What is recorded of a container's state.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn recorded_state(&self, id: &str) -> Result<State, ContainersError> {
        read_json(&self.home.container(id).join(STATE), id)
    }

    /// The state of a container with the status that is true.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn state(&self, id: &str) -> Result<State, ContainersError> {
        let mut state = self.recorded_state(id)?;
        let status = look(&state, Seen::of(&state, &self.boot));
        if status == Status::Exited && state.status != Status::Exited {
            state.exit_code = 255;
            state.process = None;
        }
        state.status = status;
        Ok(state)
    }

    /// Changes the recorded state of a container, and returns it.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn change_state(&self, id: &str, change: impl FnOnce(&mut State)) -> Result<State, ContainersError> {
        let directory = self.home.container(id);
        let _lock = lock(&directory.join("state.lock"))?;
        let path = directory.join(STATE);
        let mut state: State = read_json(&path, id)?;
        change(&mut state);
        write_json(&path, &state)?;
        Ok(state)
    }

    /// Locks a container against others who would start, change or remove it.
    ///
    /// # Errors
    /// [`ContainersError::NotFound`] if it goes away meanwhile.
    pub fn lock(&self, id: &str) -> Result<Locked, ContainersError> {
        let directory = self.home.container(id);
        let missing = |error: ContainersError| match error {
            ContainersError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ContainersError::NotFound(id.to_owned())
            }
            other => other,
        };
        let locked = lock(&directory.join("lock")).map_err(missing)?;
        if !directory.is_dir() {
            return Err(ContainersError::NotFound(id.to_owned()));
        }
        Ok(locked)
    }

    /// Forgets a container, whose mounts and processes have gone: its directory and its name. The directory goes under
    /// another name first, so that nobody sees half of it.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn remove(&self, container: &Container) -> Result<(), ContainersError> {
        let place = self.home.container(&container.id);
        let gone = self.home.containers().join(format!(".gone-{}", container.id));
        {
            let _lock = self.lock_names()?;
            fs::rename(&place, &gone).map_err(failed("rename", &place))?;
            self.release_name(&container.name)?;
        }
        let run = self.home.run_of(&container.id);
        for path in [&run, &gone] {
            match fs::remove_dir_all(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(failed("remove", path))?,
            }
        }
        Ok(())
    }

    /// Whose a name is.
    ///
    /// # Errors
    /// [`ContainersError::Io`].
    pub fn holder(&self, name: &str) -> Result<Option<String>, ContainersError> {
        let path = self.home.names().join(name);
        match fs::read_link(&path) {
            Ok(id) => {
                let id = id.to_string_lossy().into_owned();
                Ok(self.home.container(&id).is_dir().then_some(id))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Gives up a name that leads to no container.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn release_lost_name(&self, name: &str) -> Result<(), ContainersError> {
        let _lock = self.lock_names()?;
        if self.holder(name)?.is_some() { Ok(()) } else { self.release_name(name) }
    }

    fn lock_names(&self) -> Result<Locked, ContainersError> {
        lock(&self.home.names().join(".lock"))
    }

    fn check_free(&self, name: &str) -> Result<(), ContainersError> {
        match self.holder(name)? {
            Some(holder) => Err(ContainersError::NameTaken { name: name.to_owned(), holder }),
            None => Ok(()),
        }
    }

    /// Takes a name, under the lock of names. A link that leads nowhere is what a killed command left.
    fn claim(&self, name: &str, id: &str) -> Result<(), ContainersError> {
        self.check_free(name)?;
        let link = self.home.names().join(name);
        unlink_if_present(AT_FDCWD, &link)?;
        Ok(symlinkat(Path::new(id), AT_FDCWD, &link)?)
    }

    fn release_name(&self, name: &str) -> Result<(), ContainersError> {
        unlink_if_present(AT_FDCWD, &self.home.names().join(name)).map(drop).map_err(Into::into)
    }

    fn free_name(&self, id: &str) -> Result<String, ContainersError> {
        let mut number = u64::from_str_radix(id.get(..15).unwrap_or("0"), 16).unwrap_or(0);
        loop {
            let name = names::name(number);
            if self.holder(&name)?.is_none() {
                return Ok(name);
            }
            number += 1;
        }
    }
}

impl Process {
    /// The process that asks.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(getpid().as_raw())
    }
}

fn check_name(name: &str) -> Result<(), ContainersError> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let goes_on = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if begins && goes_on && name.len() <= 255 {
        return Ok(());
    }
    Err(ContainersError::BadName(name.to_owned()))
}

fn lock(path: &Path) -> Result<Locked, ContainersError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed("open", path))?;
    lock_exclusive(&file, true)?;
    Ok(Locked { _file: file })
}

fn read_json<T: DeserializeOwned>(path: &Path, id: &str) -> Result<T, ContainersError> {
    let is_partial = |error: &ContainersError| matches!(error, ContainersError::Damaged { .. });
    full::whole(is_partial, || read_json_once(path, id))
}

fn read_json_once<T: DeserializeOwned>(path: &Path, id: &str) -> Result<T, ContainersError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ContainersError::NotFound(id.to_owned()));
        }
        other => other.map_err(failed("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed("read", path))?;
    serde_json::from_slice(&bytes)
        .map_err(|source| ContainersError::Damaged { path: path.to_owned(), source })
}

/// Writes a record aside and renames it, so that a reader sees the old one or the new one; where there is no room for two,
/// over the old one.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ContainersError> {
    let aside = path.with_extension("json.new");
    let text = serde_json::to_vec(value)
        .map_err(|source| ContainersError::Damaged { path: path.to_owned(), source })?;
    match fs::write(&aside, &text) {
        Err(error) if full::is_full(&error) => {
            unlink_if_present(AT_FDCWD, &aside)?;
            // The disk that is full is what there is to be told.
            full::overwrite(path, &text).map_err(|_| failed("write", &aside)(error))
        }
        Err(error) => Err(failed("write", &aside)(error)),
        Ok(()) => fs::rename(&aside, path).map_err(failed("rename", &aside)),
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ContainersError {
    let path = path.to_owned();
    move |source| ContainersError::Io { action, path, source }
}
