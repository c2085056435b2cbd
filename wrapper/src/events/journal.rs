//! The file of events. Any number of processes append to it at once: each line is one `write(2)` with `O_APPEND`, which
//! the kernel does not mix with another. When it has grown too long it becomes the old one, and a new one begins.

use super::{Event, EventsError, Recorded, failed};
use crate::home::Home;
use jiff::Timestamp;
use mydocker_sys::lock::{lock_exclusive, lock_shared};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// How long the file may become before it is the old one: some ten thousand events.
pub(super) const LIMIT: u64 = 4 << 20;

/// How often somebody else may have made a new file while this process opened the old one.
const TRIES: usize = 8;

pub(super) fn current(home: &Home) -> PathBuf {
    home.events().join("events.json")
}

pub(super) fn old(home: &Home) -> PathBuf {
    home.events().join("events.json.1")
}

/// Writes down what has happened. It cannot be taken back by then, so that a full disk must not make a failure of it: such
/// an event is lost.
pub fn record(home: &Home, event: &Event) {
    append(home, event).unwrap_or_default();
}

/// Writes down what has happened.
///
/// # Errors
/// [`EventsError`].
pub fn append(home: &Home, event: &Event) -> Result<(), EventsError> {
    append_limited(home, event, LIMIT)
}

pub(super) fn append_limited(home: &Home, event: &Event, limit: u64) -> Result<(), EventsError> {
    let path = current(home);
    let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
    let line = serde_json::to_vec(&Recorded::of(event, now));
    let mut line = line.map_err(|error| failed("write", &path)(error.into()))?;
    line.push(b'\n');
    let mut file = open(home, &path)?;
    write_line(&mut file, &line).map_err(failed("write", &path))?;
    let length = file.metadata().map_err(failed("look at", &path))?.len();
    if length > limit { rotate(file, &path, &old(home)) } else { Ok(()) }
}

/// Opens the file with a shared lock, which keeps it from becoming the old one while it is written to.
fn open(home: &Home, path: &Path) -> Result<File, EventsError> {
    let directory = home.events();
    let made = DirBuilder::new().recursive(true).mode(0o711).create(&directory);
    made.map_err(failed("make the directory", &directory))?;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    for _ in 0..TRIES {
        let file = options.open(path).map_err(failed("open", path))?;
        lock_shared(&file)?;
        if is_at(&file, path)? {
            return Ok(file);
        }
    }
    let busy = io::Error::other("others have renamed it again and again");
    Err(failed("open", path)(busy))
}

/// Whether a file is still the one of this name.
pub(super) fn is_at(file: &File, path: &Path) -> Result<bool, EventsError> {
    let own = file.metadata().map_err(failed("look at", path))?;
    match fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

fn write_line(file: &mut File, line: &[u8]) -> io::Result<()> {
    let written = file.write(line)?;
    if written == line.len() {
        return Ok(());
    }
    // The disk is full. The next line must not become a part of this half.
    file.write_all(b"\n")?;
    Err(io::ErrorKind::StorageFull.into())
}

/// Whoever finds others writing leaves it to them.
fn rotate(file: File, path: &Path, old: &Path) -> Result<(), EventsError> {
    match lock_exclusive(&file, false) {
        Err(error) if error.errno() == mydocker_sys::Errno::EWOULDBLOCK => Ok(()),
        Err(error) => Err(error.into()),
        Ok(()) if is_at(&file, path)? => fs::rename(path, old).map_err(failed("rename", path)),
        Ok(()) => Ok(()),
    }
}
