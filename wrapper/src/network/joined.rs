//! Which container is on which network right now: `RUN/networks/joined/ID/NETWORK.json` is what netavark was asked, and is
//! what it has to be asked to undo it. Written before anything is made, removed after everything is gone.

use super::error::failed;
use super::netavark::Ask;
use super::{NetworkError, files};
use crate::home::Home;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a home's containers have joined.
#[derive(Debug)]
pub(super) struct Joined {
    directory: PathBuf,
}

impl Joined {
    /// Those of a home.
    pub(super) fn new(home: &Home) -> Self {
        Self { directory: config(home).join("joined") }
    }

    /// Notes what is about to be made.
    pub(super) fn note(&self, id: &str, network: &str, ask: &Ask) -> Result<PathBuf, NetworkError> {
        let path = self.path(id, network);
        files::make_directory(&self.directory.join(id))?;
        files::write_json(&path, ask)?;
        Ok(path)
    }

    /// Where it is noted.
    pub(super) fn path(&self, id: &str, network: &str) -> PathBuf {
        self.directory.join(id).join(format!("{network}.json"))
    }

    /// The networks of a container.
    pub(super) fn networks(&self, id: &str) -> Result<Vec<String>, NetworkError> {
        let names = files::names_in(&self.directory.join(id))?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".json")).map(str::to_owned).collect())
    }

    /// The containers that are on any.
    pub(super) fn containers(&self) -> Result<Vec<String>, NetworkError> {
        files::names_in(&self.directory)
    }

    /// What was asked; `None` if nothing was.
    pub(super) fn ask(&self, id: &str, network: &str) -> Result<Option<Ask>, NetworkError> {
        files::read_json(&self.path(id, network))
    }

    /// Forgets a network of a container.
    pub(super) fn forget(&self, id: &str, network: &str) -> Result<(), NetworkError> {
        files::remove(&self.path(id, network))?;
        self.sweep(id)
    }

    /// Forgets a container that is on no network any more.
    pub(super) fn sweep(&self, id: &str) -> Result<(), NetworkError> {
        let path = self.directory.join(id);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => files::absent_is_fine(other).map_err(failed("remove", &path)),
        }
    }
}

/// Where the files of running networks are: gone after a reboot, as the networks are.
pub(super) fn config(home: &Home) -> PathBuf {
    home.run().join("networks")
}

/// The place of a namespace in which something is undone whose own namespace has gone.
pub(super) fn spare(namespace: &Path) -> PathBuf {
    namespace.with_extension("undo")
}
