//! Network namespaces with a name: a file that the namespace is bound to, which keeps it alive without any process in it.

use super::error::failed;
use super::{NetworkError, files};
use mydocker_sys::Errno;
use mydocker_sys::fs::{NSFS_MAGIC, OFlag, fs_magic, open};
use mydocker_sys::mount::{MntFlags, MsFlags, mount, umount};
use mydocker_sys::namespace::{CloneFlags, raise_loopback, setns, unshare};
use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::thread;

/// Makes a namespace with its loopback up. What a host that was switched off left at the place goes first.
pub(super) fn make(path: &Path) -> Result<(), NetworkError> {
    remove(path)?;
    if let Some(parent) = path.parent() {
        files::make_directory(parent)?;
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.map_err(failed("make the file", path))?;
    let target = CString::new(path.as_os_str().as_bytes())
        .map_err(|error| failed("name", path)(io::Error::from(error)))?;
    let made = elsewhere(|| {
        unshare(CloneFlags::CLONE_NEWNET)?;
        raise_loopback()?;
        mount(Some(c"/proc/thread-self/ns/net"), &target, None, MsFlags::MS_BIND, None)
    });
    made.and_then(|made| Ok(made?)).inspect_err(|_| remove(path).unwrap_or_default())
}

/// Whether there is a namespace at the place.
pub(super) fn exists(path: &Path) -> bool {
    open(path, OFlag::O_PATH).and_then(fs_magic).is_ok_and(|magic| magic == NSFS_MAGIC)
}

/// Removes a namespace's name; it goes itself with its last process.
///
/// # Errors
/// [`NetworkError`].
pub fn remove(path: &Path) -> Result<(), NetworkError> {
    loop {
        match umount(path, MntFlags::MNT_DETACH) {
            Ok(()) => {}
            Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ENOENT) => break,
            Err(error) => return Err(error.into()),
        }
    }
    files::remove(path)
}

/// Does something in a namespace.
pub(super) fn inside<T: Send>(path: &Path, action: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
    let namespace = open(path, OFlag::O_RDONLY)?;
    let done = elsewhere(|| setns(&namespace, CloneFlags::CLONE_NEWNET).map(|()| action()))?;
    Ok(done?)
}

/// Does something in a thread of its own, which alone changes its namespace, and takes that with it.
fn elsewhere<T: Send>(action: impl FnOnce() -> T + Send) -> Result<T, NetworkError> {
    let failed =
        |source: io::Error| NetworkError::Io { action: "start a thread for", path: "setns".into(), source };
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(128 << 10);
        let handle = builder.spawn_scoped(scope, action).map_err(failed)?;
        handle.join().map_err(|_| failed(io::Error::other("it ended before its time")))
    })
}
