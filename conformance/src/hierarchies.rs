//! Another view of the cgroup hierarchies than the machine has, in a mount namespace of this process alone.
//!
//! The programs of the OCI runtime-tools want `net_cls`, `net_prio` and `perf_event` where `/sys/fs/cgroup` has
//! directories for v1, and a machine may have none of them mounted. crun refuses a machine that has v1 controllers and
//! a unified hierarchy with others.

use anyhow::{Context, Result};
use mydocker_sys as sys;
use std::ffi::CString;
use std::fs;
use std::path::Path;
use sys::mount::{MntFlags, MsFlags};
use sys::namespace::CloneFlags;

/// Where everybody looks for them.
const PLACE: &str = "/sys/fs/cgroup";

/// Mounts the v1 hierarchies of `controllers` beside those that are there, for this process and its children only. It
/// must have one thread.
///
/// Whatever is mounted below `/sys/fs/cgroup` is bound into a new tmpfs, which then covers that place; so even the
/// directories for the new ones appear nowhere else. A machine with cgroup v2 alone is left as it is: what needs v1 has
/// to say so by itself there.
///
/// # Errors
/// Not root, or a controller is taken by the unified hierarchy.
pub fn add(controllers: &[String]) -> Result<()> {
    if crate::cgroup::unified().is_some_and(|unified| unified == Path::new(PLACE)) {
        return Ok(());
    }
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    leave()?;
    let stage = tempfile::tempdir().context("a directory to mount on")?;
    let stage = stage.path();
    mount("tmpfs", stage, "tmpfs", MsFlags::empty(), "mode=755")?;
    for point in table.lines().filter_map(|line| line.split(' ').nth(4)) {
        if let Some(name) = point.strip_prefix(PLACE).and_then(|rest| rest.strip_prefix('/')) {
            let target = stage.join(name);
            fs::create_dir_all(&target)?;
            mount(point, &target, "", MsFlags::MS_BIND, "")?;
        }
    }
    for controller in controllers {
        let target = stage.join(controller);
        if target.exists() {
            continue;
        }
        fs::create_dir(&target)?;
        mount("cgroup", &target, "cgroup", MsFlags::empty(), controller)
            .with_context(|| format!("the v1 hierarchy of {controller}"))?;
    }
    let source = stage.to_str().context("a path that is text")?;
    mount(source, Path::new(PLACE), "", MsFlags::MS_BIND | MsFlags::MS_REC, "")?;
    sys::mount::umount(stage, MntFlags::MNT_DETACH)?;
    Ok(())
}

/// Makes the unified hierarchy say that it has no controllers, to this process and its children only: an empty file
/// covers its list. The process must have one thread.
///
/// # Errors
/// Not root.
pub fn hide_unified_controllers() -> Result<()> {
    let Some(point) = crate::cgroup::unified() else { return Ok(()) };
    leave()?;
    let empty = tempfile::NamedTempFile::new().context("an empty file")?;
    let source = empty.path().to_str().context("a path that is text")?;
    mount(source, &point.join("cgroup.controllers"), "", MsFlags::MS_BIND, "")
}

/// Enters a mount namespace whose changes nobody else sees.
fn leave() -> Result<()> {
    sys::namespace::unshare(CloneFlags::CLONE_NEWNS)?;
    mount("", Path::new("/"), "", MsFlags::MS_REC | MsFlags::MS_SLAVE, "")
}

/// `mount(2)`; an empty text stands for a null pointer.
fn mount(source: &str, target: &Path, kind: &str, flags: MsFlags, data: &str) -> Result<()> {
    let text = |text: &str| if text.is_empty() { Ok(None) } else { CString::new(text).map(Some) };
    let target = sys::fs::cstring(target)?;
    sys::mount::mount(
        text(source)?.as_deref(),
        &target,
        text(kind)?.as_deref(),
        flags,
        text(data)?.as_deref(),
    )?;
    Ok(())
}
