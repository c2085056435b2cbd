//! What the plan depends on.

use super::root::rootfs;
use super::{PrepareError, failed, seccomp, shm};
use crate::container::{Container, Containers, Device, Status};
use crate::network;
use crate::plan::{DeviceNode, Facts, Files, Joined, Seccomp, Security, capabilities};
use mydocker_bundles::{User, UserError, find_user};
use mydocker_sys::fs::{OFlag, major, minor, open};
use mydocker_sys::namespace::is_first_user_namespace;
use mydocker_sys::{AsFd as _, OwnedFd};
use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Below `/dev`, file systems of their own.
const NOT_DEVICES: &[&str] = &["pts", "shm", "mqueue", "fd", "console", "hugepages", ".lxc", ".udev"];

/// Looks at the image, the host and other containers.
///
/// # Errors
/// [`PrepareError`].
pub fn find(containers: &Containers, container: &Container, files: Files) -> Result<Facts, PrepareError> {
    let host = &container.host_config;
    let root = rootfs(containers.home(), container);
    let security = Security::parse(&host.security_opt)?;
    let seccomp = match &security.seccomp {
        Seccomp::Profile(profile) => Some(seccomp::lower(profile, &capabilities(container))),
        Seccomp::Default | Seccomp::Unconfined => None,
    };
    let init = host.init.then(std::env::current_exe).transpose();
    Ok(Facts {
        user: user(
            &open(&root, OFlag::O_PATH | OFlag::O_DIRECTORY)?,
            container,
            &container.config.image.user,
        )?,
        root,
        security,
        seccomp,
        joined: joined(containers, container)?,
        sources: BTreeMap::new(),
        files,
        devices: devices(container)?,
        init: init.map_err(failed("find", Path::new("/proc/self/exe")))?,
        disks: disks(container)?,
        limits_swap: limits_swap(),
        is_rootless: !is_first_user_namespace(),
    })
}

/// The user that `text` names, with the groups of `--group-add`, and the first group once more among the further ones: a
/// program with the right to change its first group would else lose that one, and with it what files refuse to it.
///
/// # Errors
/// [`UserError`].
pub fn user(root: &OwnedFd, container: &Container, text: &str) -> Result<User, UserError> {
    let mut user = find_user(root.as_fd(), text)?;
    for group in &container.host_config.group_add {
        user.groups.push(find_user(root.as_fd(), &format!("0:{group}"))?.gid);
    }
    // An ordinary user's kernel may let nobody set groups.
    if is_first_user_namespace() {
        user.groups.push(user.gid);
    }
    user.groups.sort_unstable();
    user.groups.dedup();
    Ok(user)
}

fn joined(containers: &Containers, container: &Container) -> Result<Joined, PrepareError> {
    let (home, host) = (containers.home(), &container.host_config);
    let namespace = |mode: &str, kind: &'static str, name: &str| {
        let Some(other) = mode.strip_prefix("container:") else { return Ok(None) };
        let id = containers.find_id(other)?;
        let state = containers.state(&id)?;
        let pid = state.process.filter(|_| matches!(state.status, Status::Running | Status::Paused));
        let pid = pid.ok_or_else(|| PrepareError::NotRunning { kind, name: other.to_owned() })?.pid;
        Ok::<_, PrepareError>(Some(PathBuf::from(format!("/proc/{pid}/{name}"))))
    };
    let own = network::namespace(home, container);
    Ok(Joined {
        network: own
            .map_or_else(|| namespace(&host.network_mode, "network", "ns/net"), |own| Ok(Some(own)))?,
        pid: namespace(&host.pid_mode, "processes", "ns/pid")?,
        ipc: namespace(&host.ipc_mode, "shared memory", "ns/ipc")?,
        shm: shm_of_another(containers, &host.ipc_mode)?,
    })
}

fn shm_of_another(containers: &Containers, mode: &str) -> Result<Option<PathBuf>, PrepareError> {
    let Some(name) = mode.strip_prefix("container:") else { return Ok(None) };
    let other = containers.find(name)?;
    if other.host_config.ipc_mode != "shareable" {
        return Err(PrepareError::NotShareable(name.to_owned()));
    }
    Ok(Some(shm::place(containers.home(), &other.id)))
}

fn devices(container: &Container) -> Result<Vec<DeviceNode>, PrepareError> {
    let mut nodes = Vec::new();
    if container.host_config.privileged {
        collect(Path::new("/dev"), Path::new("/dev"), "rwm", &mut nodes)?;
    }
    for device in &container.host_config.devices {
        let Device { path_on_host, path_in_container, cgroup_permissions } = device;
        let before = nodes.len();
        collect(path_on_host, path_in_container, cgroup_permissions, &mut nodes)?;
        if nodes.len() == before {
            return Err(PrepareError::NoDevice(path_on_host.clone()));
        }
    }
    Ok(nodes)
}

/// The numbers of the block devices that limits name.
fn disks(container: &Container) -> Result<BTreeMap<PathBuf, (u64, u64)>, PrepareError> {
    let host = &container.host_config;
    let rates = [
        &host.blkio_device_read_bps,
        &host.blkio_device_write_bps,
        &host.blkio_device_read_iops,
        &host.blkio_device_write_iops,
    ];
    let limited = rates.into_iter().flatten().map(|device| &device.path);
    let number = |path: &PathBuf| match fs::metadata(path) {
        Ok(stat) if stat.file_type().is_block_device() => {
            Ok((path.clone(), (major(stat.rdev()), minor(stat.rdev()))))
        }
        _ => Err(PrepareError::NoDisk(path.clone())),
    };
    limited.chain(host.blkio_weight_device.iter().map(|device| &device.path)).map(number).collect()
}

/// The device at a path, or all below a directory.
fn collect(
    path: &Path,
    inside: &Path,
    access: &str,
    nodes: &mut Vec<DeviceNode>,
) -> Result<(), PrepareError> {
    // A device may go while one looks; a link leads to what is found under its own name, unless it was asked for.
    let Ok(stat) = fs::metadata(path) else { return Ok(()) };
    if !stat.is_dir() {
        nodes.extend(node(&stat, inside, access));
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(failed("read the directory", path))? {
        let entry = entry.map_err(failed("read the directory", path))?;
        let name = entry.file_name();
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        if !is_link && !NOT_DEVICES.iter().any(|not| name == **not) {
            collect(&entry.path(), &inside.join(&name), access, nodes)?;
        }
    }
    Ok(())
}

fn node(stat: &Metadata, inside: &Path, access: &str) -> Option<DeviceNode> {
    let kind = match stat.file_type() {
        kind if kind.is_char_device() => 'c',
        kind if kind.is_block_device() => 'b',
        _ => return None,
    };
    Some(DeviceNode {
        path: inside.to_owned(),
        kind,
        number: (major(stat.rdev()), minor(stat.rdev())),
        mode: stat.mode() & 0o7777,
        owner: (stat.uid(), stat.gid()),
        access: access.to_owned(),
    })
}

/// Whether the kernel counts swap: cgroup v1 has the file in its root, v2 in every group but the root.
#[must_use]
pub fn limits_swap() -> bool {
    let v1 = Path::new("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes");
    if Path::new("/sys/fs/cgroup/memory").is_dir() {
        return v1.exists();
    }
    let groups = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    groups.map(|group| group.path().join("memory.swap.max")).any(|file| file.exists())
}
