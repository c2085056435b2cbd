//! Who the process is: ids, capabilities, keys, its working directory.

use super::child::{Fault, Outcome};
use super::failure::Code;
use crate::validate::TimeOffsets;
use mydocker_sys::process::{self, CapabilitySets};
use mydocker_sys::{Errno, fs};
use std::ffi::CString;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// Sets the clocks of the time namespace that the next child will be in (time_namespaces(7)).
pub(super) fn set_time_offsets(offsets: &TimeOffsets) -> Outcome {
    let lines = [("monotonic", offsets.monotonic), ("boottime", offsets.boottime)];
    let text: String = lines
        .iter()
        .filter_map(|(clock, offset)| {
            offset.map(|offset| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
        })
        .collect();
    if text.is_empty() {
        return Ok(());
    }
    Ok(fs::write_at(fs::AT_FDCWD, Path::new("/proc/self/timens_offsets"), text.as_bytes())?)
}

/// Takes the ids of the user namespace's root.
pub(super) fn become_namespace_root() -> Outcome {
    process::set_gid(0)?;
    Ok(process::set_uid(0)?)
}

/// Joins a new session keyring that its owner may search. Its permissions are those that the kernel gives every new
/// session keyring (join_session_keyring in security/keys: everything for the possessor; view, read and link for the user),
/// with that added, so that they need not be asked for.
pub(super) fn new_keyring(name: &str) -> Outcome {
    const FRESH: u32 = 0x3f13_0000;
    const USER_SEARCH: u32 = 0x0008_0000;
    let name = CString::new(name).map_err(|_| Fault::Other(Code::Setup, "the name has a NUL byte".into()))?;
    match process::join_session_keyring(&name) {
        // A kernel without keys has none to keep apart.
        Err(error) if error.errno() == Errno::ENOSYS => Ok(()),
        joined => Ok(process::set_key_permissions(joined?, FRESH | USER_SEARCH)?),
    }
}

/// Drops every capability from the bounding set but those of `keep`.
/// A number beyond the kernel's last ends the list, so that the last need not be known.
pub(super) fn drop_bounding(keep: u64) -> Outcome {
    for capability in (0..64).filter(|capability| keep >> capability & 1 == 0) {
        match process::drop_bounding(capability) {
            Err(error) if error.errno() == Errno::EINVAL => break,
            other => other?,
        }
    }
    Ok(())
}

/// Gives the standard streams to `uid`, where they are not its own and not the null device.
pub(super) fn own_standard_streams(uid: u32) -> Outcome {
    for stream in [fs::STDIN, fs::STDOUT, fs::STDERR] {
        own_stream(stream, uid)?;
    }
    Ok(())
}

fn own_stream(stream: BorrowedFd<'_>, uid: u32) -> Outcome {
    let stat = match fs::fstat(stream) {
        // A closed stream belongs to nobody.
        Err(error) if error.errno() == Errno::EBADF => return Ok(()),
        other => other?,
    };
    let is_null = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == fs::makedev(1, 3);
    if stat.st_uid == uid || is_null {
        return Ok(());
    }
    match fs::fchown_user(stream, uid) {
        // An owner that is not mapped here, or a read-only file: the stream works all the same.
        Err(error) if matches!(error.errno(), Errno::EPERM | Errno::EROFS | Errno::EINVAL) => Ok(()),
        other => Ok(other?),
    }
}

/// Sets the supplementary groups. Where the user namespace may deny that (`user_namespaces(7)`, `/proc/PID/setgroups`)
/// it is accepted that none can be set, but not that some which were asked for are missing.
pub(super) fn set_groups(groups: &[u32], accept_fixed: bool) -> Outcome {
    match process::set_groups(groups) {
        Err(error) if error.errno() == Errno::EPERM && accept_fixed && groups.is_empty() => Ok(()),
        other => Ok(other?),
    }
}

/// Sets the ids. The permitted capabilities stay until the final sets are made: the working directory and
/// the system call filter may need them.
pub(super) fn set_ids(uid: u32, gid: u32) -> Outcome {
    process::set_gid(gid)?;
    if uid == 0 {
        process::set_uid(0)?;
    } else {
        process::keep_capabilities(true)?;
        process::set_uid(uid)?;
        process::keep_capabilities(false)?;
        // Leaving user 0 has emptied the effective set.
        let now = process::capabilities()?;
        process::set_capabilities(CapabilitySets { effective: now.permitted, ..now })?;
    }
    Ok(())
}

/// Changes to the working directory and makes sure that it is inside: a directory reached through a leaked
/// descriptor (`/proc/self/fd/N`) has no path here (CVE-2024-21626).
pub(super) fn set_working_directory(path: &Path) -> Outcome {
    process::chdir(path)?;
    if path == Path::new("/") {
        return Ok(());
    }
    let outside = || {
        let message = format!("the working directory {} is not inside the container", path.display());
        Fault::Other(Code::Setup, message)
    };
    match process::reachable_working_directory() {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(outside()),
        Err(error) if error.errno() == Errno::ENOENT => Err(outside()),
        Err(error) => Err(error.into()),
    }
}

/// Does something with no more capabilities than these in force, of which all others are taken back after it.
pub(super) fn with_capabilities<T>(effective: u64, action: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    const DAC_OVERRIDE: u32 = 1;
    if effective >> DAC_OVERRIDE & 1 == 1 {
        // Whoever has this one may do with files whatever the others let it do.
        return action();
    }
    let now = process::capabilities()?;
    process::set_capabilities(CapabilitySets { effective: effective & now.permitted, ..now })?;
    let done = action();
    process::set_capabilities(now)?;
    done
}

/// Makes the capabilities final.
pub(super) fn set_capabilities(sets: CapabilitySets, ambient: u64) -> Outcome {
    process::set_capabilities(sets)?;
    // The kernel keeps the ambient set within the inheritable one (capabilities(7)).
    if sets.inheritable != 0 {
        process::clear_ambient()?;
    }
    for capability in (0..64).filter(|capability| ambient >> capability & 1 == 1) {
        process::raise_ambient(capability)?;
    }
    Ok(())
}
