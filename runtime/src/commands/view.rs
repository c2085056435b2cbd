//! The runtime's own binary, as the container may come to see it.
//!
//! A process of the container can reach the program that the runtime's processes run, through `/proc/PID/exe`, and
//! overwrite the host's binary with it (CVE-2019-5736). So commands that make processes inside run from a view of
//! the binary that nobody can write: a detached read-only mount of it, or where mounts are not allowed a sealed copy
//! in memory.

use super::report::failed;
use crate::cli::Report;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{Errno, OwnedFd, mount, process, start};
use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

const OWN_BINARY: &str = "/proc/self/exe";
const MEMORY_COPY: &std::ffi::CStr = c"mydocker-runtime";

/// Executes this program again from a view that cannot be written, unless it runs from one already: mostly it does,
/// because the first instruction of the program has seen to that (`mydocker_sys::start`).
///
/// # Errors
/// If neither kind of view can be made.
pub fn enter_readonly_view() -> Result<(), Box<Report>> {
    if start::runs_from_readonly_mount() || is_unwritable().map_err(failed("view"))? {
        return Ok(());
    }
    let view = readonly_mount().or_else(|_| sealed_copy()).map_err(failed("view"))?;
    let args: Result<Vec<CString>, _> =
        start::args().into_iter().map(|arg| CString::new(arg.into_vec())).collect();
    let env: Result<Vec<CString>, _> = std::env::vars_os()
        .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect();
    // What the kernel gave to this process has no NUL inside.
    let (args, env) = (args.map_err(failed("view"))?, env.map_err(failed("view"))?);
    Err(failed("view")(process::exec_fd(&view, &args, &env)))
}

/// Whether the binary is on a read-only mount, or a memory file sealed against writing: those are on a tmpfs.
fn is_unwritable() -> mydocker_sys::Result<bool> {
    let place = fs::place_of(Path::new(OWN_BINARY))?;
    let sealed = || fs::open(Path::new(OWN_BINARY), OFlag::O_RDONLY).map(fs::is_sealed);
    Ok(place.readonly || place.magic == fs::TMPFS_MAGIC && sealed()?)
}

fn readonly_mount() -> mydocker_sys::Result<OwnedFd> {
    let readonly = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
    mount::open_tree_with(fs::AT_FDCWD, Path::new(OWN_BINARY), mount::Clone::One, readonly)
}

fn sealed_copy() -> mydocker_sys::Result<OwnedFd> {
    let binary = fs::open(Path::new(OWN_BINARY), OFlag::O_RDONLY)?;
    let copy = fs::memfd(MEMORY_COPY)?;
    let length = fs::fstat(&binary)?.st_size as u64;
    if fs::copy(&binary, &copy, length)? != length {
        return Err(mydocker_sys::Error::new("sendfile", OWN_BINARY, Errno::EIO));
    }
    fs::seal(&copy)?;
    Ok(copy)
}
