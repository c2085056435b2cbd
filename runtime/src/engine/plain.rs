//! Ordinary file systems by the old `mount(2)`: one call instead of one for each option, one to make the file system, one
//! for the mount and one to attach it.
//!
//! The target is as exact as with `move_mount`: it is resolved to a descriptor, which becomes the working directory, and
//! the mount goes onto `.`, so that no path is looked up again (CVE-2021-30465).

use super::child::{Child, Outcome};
use super::{grounds, nodes};
use crate::plan::{MountKind, MountStep, Node};
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, MsFlags};
use mydocker_sys::{AsFd, OwnedFd, process};
use std::ffi::{CStr, CString};

/// File systems without a device or another path as their source, which would be looked up from the working directory.
const PATHLESS: [&str; 5] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue"];

/// The attributes that `mount(2)` says as `mount_setattr(2)` does. Read-only is none ([`complete`]).
const ATTRIBUTES: [(u64, MsFlags); 6] = [
    (libc::MOUNT_ATTR_NOSUID, MsFlags::MS_NOSUID),
    (libc::MOUNT_ATTR_NODEV, MsFlags::MS_NODEV),
    (libc::MOUNT_ATTR_NOEXEC, MsFlags::MS_NOEXEC),
    (libc::MOUNT_ATTR_NODIRATIME, MsFlags::MS_NODIRATIME),
    (libc::MOUNT_ATTR_NOATIME, MsFlags::MS_NOATIME),
    (libc::MOUNT_ATTR_STRICTATIME, MsFlags::MS_STRICTATIME),
];

/// `mount(2)` reads one page of options, its end included.
const MOST_OPTIONS: usize = 4095;

/// Whether `mount(2)`, and [`complete`] after it, can say all that a step says.
pub(super) fn suits(child: &Child<'_>, step: &MountStep, fs_type: &str, contents: &[Node]) -> bool {
    let known = ATTRIBUTES.iter().fold(libc::MOUNT_ATTR_RDONLY, |known, (bit, _)| known | bit);
    PATHLESS.contains(&fs_type)
        && step.propagation.is_empty()
        && step.attributes.set_recursive == 0
        && step.attributes.set & !known == 0
        && (is_complete(step, contents) || child.is_alone_among_mounts())
}

/// Whether nothing is left to do once the file system is mounted.
fn is_complete(step: &MountStep, contents: &[Node]) -> bool {
    contents.is_empty() && !is_readonly(step)
}

fn is_readonly(step: &MountStep) -> bool {
    step.attributes.set & libc::MOUNT_ATTR_RDONLY != 0
}

/// Mounts a file system on a directory that the runtime has made itself: it needs no look, for nobody else can exchange
/// what the name leads to. `None` where the target is no such directory, or has to be [completed](complete), and as
/// [`mount`] says.
pub(super) fn mount_on_own(child: &mut Child<'_>, step: &MountStep) -> Option<()> {
    let MountKind::Filesystem { fs_type, source, options, contents, copy_up: false, mode_of_target: false } =
        &step.what
    else {
        return None;
    };
    if !suits(child, step, fs_type, contents) || !is_complete(step, contents) {
        return None;
    }
    let (directory, Node::Directory { path }) = child.grounds.own_node(&step.target)? else { return None };
    if !child.is_among_own {
        process::fchdir(directory).ok()?;
    }
    child.is_among_own = true;
    mount_here(&fs::cstring(path).ok()?, step, fs_type, source, options)
}

/// Mounts a file system at its target. `None` where the call cannot be made or fails, also for a target that is no
/// directory: the new calls are tried then, which take more, and say what is wrong.
pub(super) fn mount(
    target: &OwnedFd,
    step: &MountStep,
    fs_type: &str,
    source: &str,
    options: &[String],
) -> Option<()> {
    process::fchdir(target).ok()?;
    mount_here(c".", step, fs_type, source, options)
}

/// Mounts a file system onto a name in the working directory.
fn mount_here(name: &CStr, step: &MountStep, fs_type: &str, source: &str, options: &[String]) -> Option<()> {
    let data = options.join(",");
    if data.len() > MOST_OPTIONS {
        return None;
    }
    let (source, fs_type, data) =
        (CString::new(source).ok()?, CString::new(fs_type).ok()?, CString::new(data).ok()?);
    let set = ATTRIBUTES.iter().filter(|(bit, _)| step.attributes.set & bit != 0);
    let flags = set.fold(MsFlags::empty(), |flags, (_, flag)| flags | *flag);
    let source = (!source.is_empty()).then_some(source.as_c_str());
    mount::mount(source, name, Some(&fs_type), flags, Some(&data)).ok()
}

/// Fills what [`mount`] has mounted at a target, and makes it read-only: `mount(2)` would make a new file system read-only
/// as well as the mount, and procfs and sysfs are shared by all mounts in their namespaces. Nobody else is in the mount
/// namespace who could use the mount meanwhile, and no mount in it is shared, whose peers would get a copy that stays
/// writable ([`Child::is_alone_among_mounts`]). Returns the mount's root, if there was something to do, and that of the
/// container's own procfs, which is listed later ([`super::names`]).
pub(super) fn complete(
    child: &Child<'_>,
    step: &MountStep,
    target: &OwnedFd,
    contents: &[Node],
) -> Outcome<Option<OwnedFd>> {
    let is_own_procfs = grounds::is_procfs(step) && child.is_alone_in_pids_and_mounts();
    if is_complete(step, contents) && !is_own_procfs {
        return Ok(None);
    }
    let root = mount::mounted_on(target, if is_own_procfs { OFlag::O_RDONLY } else { OFlag::O_PATH })?;
    nodes::fill(root.as_fd(), contents)?;
    if is_readonly(step) {
        let readonly = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        mount::set_attributes(&root, readonly)?;
    }
    Ok(Some(root))
}
