//! Ordinary file systems by the old `mount(2)`: one call instead of one for each option, one to make the file system, one
//! for the mount and one to attach it.
//!
//! The target is as exact as with `move_mount`: it is resolved to a descriptor, which becomes the working directory, and
//! the mount goes onto `.`, so that no path is looked up again (CVE-2021-30465).

use super::child::{Child, Outcome};
use super::mounts;
use crate::plan::MountStep;
use mydocker_sys::mount::{self, MsFlags};
use mydocker_sys::{OwnedFd, process};
use std::ffi::CString;

/// File systems without a device or another path as their source, which would be looked up from the working directory.
const PATHLESS: [&str; 5] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue"];

/// The attributes that `mount(2)` says as `mount_setattr(2)` does. Read-only is none: `mount(2)` makes a new file system
/// read-only as well as the mount, and procfs and sysfs are shared by all mounts in their namespaces.
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

/// Whether `mount(2)` can say all that a step says.
pub(super) fn suits(step: &MountStep, fs_type: &str) -> bool {
    let known = ATTRIBUTES.iter().fold(0, |known, (bit, _)| known | bit);
    PATHLESS.contains(&fs_type)
        && step.propagation.is_empty()
        && step.attributes.set_recursive == 0
        && step.attributes.set & !known == 0
}

/// Mounts a file system at its target. What the old call refuses is tried by the new ones: they take more, and say what is wrong.
pub(super) fn mount(
    child: &mut Child<'_>,
    step: &MountStep,
    target: OwnedFd,
    fs_type: &str,
    source: &str,
    options: &[String],
) -> Outcome {
    if mount_at(&target, step, fs_type, source, options).is_none() {
        let tree = mounts::filesystem(child, fs_type, source, options, &step.attributes)?;
        mounts::attach(&tree, &target, step)?;
        child.keep(tree);
    }
    child.keep(target);
    Ok(())
}

/// `None` where the call cannot be made or fails, also for a target that is no directory.
fn mount_at(
    target: &OwnedFd,
    step: &MountStep,
    fs_type: &str,
    source: &str,
    options: &[String],
) -> Option<()> {
    let data = options.join(",");
    if data.len() > MOST_OPTIONS {
        return None;
    }
    let (source, fs_type, data) =
        (CString::new(source).ok()?, CString::new(fs_type).ok()?, CString::new(data).ok()?);
    let set = ATTRIBUTES.iter().filter(|(bit, _)| step.attributes.set & bit != 0);
    let flags = set.fold(MsFlags::empty(), |flags, (_, flag)| flags | *flag);
    process::fchdir(target).ok()?;
    let source = (!source.is_empty()).then_some(source.as_c_str());
    mount::mount(source, c".", Some(&fs_type), flags, Some(&data)).ok()
}
