//! Files of networks: read whole, written aside and renamed, locked by `flock`.

use super::NetworkError;
use super::error::failed;
use mydocker_sys::lock::lock_exclusive;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// How much of a file is read.
const LIMIT: u64 = 4 << 20;

/// A lock, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Locked {
    file: File,
}

impl Locked {
    /// The same lock for a child: it lasts as long as any of them has it.
    pub(super) fn copy(&self) -> Result<File, NetworkError> {
        self.file.try_clone().map_err(failed("copy", Path::new("the lock of networks")))
    }
}

/// Locks a file, which is made if it is not there.
pub(super) fn lock(path: &Path) -> Result<Locked, NetworkError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(failed("open", path))?;
    lock_exclusive(&file, true)?;
    Ok(Locked { file })
}

/// Makes a directory and those above it.
pub(super) fn make_directory(path: &Path) -> Result<(), NetworkError> {
    DirBuilder::new().recursive(true).mode(0o711).create(path).map_err(failed("make the directory", path))
}

/// Reads a record; `None` if there is none.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, NetworkError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| NetworkError::Damaged { path: path.to_owned(), source })
}

/// Reads a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, NetworkError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed("open", path))?,
    };
    let mut bytes = Vec::new();
    file.take(LIMIT).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(Some(bytes))
}

/// Writes a record so that a reader sees the old one or the new one.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), NetworkError> {
    let text = serde_json::to_vec(value)
        .map_err(|source| NetworkError::Damaged { path: path.to_owned(), source })?;
    write(path, &text)
}

/// Writes a file so that a reader sees the old one or the new one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), NetworkError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    write_by(Path::new(&aside), path, bytes)
}

/// The same by a file `aside`, for a directory whose files others take for what they are named.
pub(super) fn write_by(aside: &Path, path: &Path, bytes: &[u8]) -> Result<(), NetworkError> {
    fs::write(aside, bytes).map_err(failed("write", aside))?;
    fs::rename(aside, path).map_err(failed("rename", aside))
}

/// Removes a file if it is there.
pub(super) fn remove(path: &Path) -> Result<(), NetworkError> {
    absent_is_fine(fs::remove_file(path)).map_err(failed("remove", path))
}

/// What is not there is removed already.
pub(super) fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The names in a directory, in their order; none if it is not there.
pub(super) fn names_in(path: &Path) -> Result<Vec<String>, NetworkError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed("read the directory", path))?,
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let names: io::Result<Vec<String>> = names.collect();
    let mut names = names.map_err(failed("read the directory", path))?;
    names.sort();
    Ok(names)
}
