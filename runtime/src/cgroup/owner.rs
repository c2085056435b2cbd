//! Whom a container's cgroup belongs to (config-linux.md, Cgroup ownership).
//!
//! A container that divides its own cgroup, as systemd does, needs to be its owner. With cgroup v2 that is safe: whoever
//! owns a directory and the files that the kernel lists can change nothing above it, and not the limits either.

use super::layout::Mode;
use super::manager::{Cgroup, Error, read};
use super::record::CgroupRecord;
use super::tree::present;
use crate::spec::NamespaceKind;
use crate::validate::{Mount, Placement, ValidSpec};
use mydocker_sys::{self as sys, Errno, OwnedFd, fs};
use std::path::Path;

/// The kernel's list of the files that a new owner needs (Linux 4.15).
const LIST: &str = "/sys/kernel/cgroup/delegate";

/// The files of older kernels.
const FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

/// The user of the host to whom the cgroup goes: that of the program, where the container has a cgroup namespace of its
/// own and a mount of cgroups that it may write. None where the cgroup stays the runtime's.
#[must_use]
pub fn owner(spec: &ValidSpec, record: &CgroupRecord) -> Option<u32> {
    let own_namespace = *spec.namespaces.get(NamespaceKind::Cgroup) == Placement::New;
    if record.mode != Mode::V2 || !own_namespace || !spec.mounts.iter().any(is_writable) {
        return None;
    }
    let user = spec.process.as_ref()?.uid;
    match spec.namespaces.get(NamespaceKind::User) {
        Placement::Host => Some(user),
        Placement::New => spec.uid_mappings.iter().find_map(|map| {
            let offset = user.checked_sub(map.container_id).filter(|offset| *offset < map.size)?;
            map.host_id.checked_add(offset)
        }),
        // Whoever made it has said what its ids are.
        Placement::Join(_) => None,
    }
}

fn is_writable(mount: &Mount) -> bool {
    let (options, read_only) = (&mount.options, libc::MOUNT_ATTR_RDONLY);
    let attributes = options.attributes.set | options.recursive.set;
    let is_cgroup = ["cgroup", "cgroup2"].contains(&mount.fs_type.as_str());
    is_cgroup && !mount.is_bind() && !options.remount && attributes & read_only == 0
}

impl Cgroup {
    /// Gives the directory in cgroup v2 to a user of the host, with the files that the kernel lists and no others.
    ///
    /// # Errors
    /// [`Error::Control`]; that the caller has nothing to give away is none.
    pub fn give_to(&self, user: u32) -> Result<(), Error> {
        let Some(directory) = self.record().unified() else { return Ok(()) };
        let flags = fs::OFlag::O_RDONLY | fs::OFlag::O_DIRECTORY | fs::OFlag::O_NOFOLLOW;
        let given = fs::open(&directory.absolute(), flags).and_then(|directory| give(&directory, user));
        match given {
            // Ordinary users cannot; and the specification leaves it to the runtime.
            Err(error) if error.errno() == Errno::EPERM => Ok(()),
            other => other.map_err(|source| Error::Control("give away", source)),
        }
    }
}

fn give(directory: &OwnedFd, user: u32) -> sys::Result<()> {
    if fs::fstat(directory)?.st_uid == user {
        return Ok(());
    }
    fs::fchown_user(directory, user)?;
    let list = present(read(Path::new(LIST)))?;
    for name in list.as_deref().unwrap_or(FILES).lines() {
        match fs::lchownat(directory, Path::new(name), user, None) {
            // The list is of all controllers; the directory has the files of those that came down to it.
            Err(error) if error.errno() == Errno::ENOENT => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{CgroupPath, Layout};
    use crate::spec;
    use crate::validate::{Facts, validate};
    use serde_json::{Value, json};

    const V2: &str = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const V1: &str = "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

    /// The owner of a container with a user namespace from 100,000 on, changed so.
    fn owner_with(mounts: &str, groups: &str, change: impl Fn(&mut Value)) -> Option<u32> {
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
        let mut config = json!({
            "ociVersion": "1.3.0",
            "root": {"path": "rootfs"},
            "process": {"cwd": "/", "args": ["a"], "user": {"uid": 7, "gid": 7}},
            "mounts": [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}],
            "linux": {
                "namespaces": [{"type": "mount"}, {"type": "cgroup"}, {"type": "user"}],
                "uidMappings": map, "gidMappings": map,
            },
        });
        change(&mut config);
        let spec = spec::parse(config.to_string().as_bytes()).unwrap();
        let facts = Facts { euid: 0, last_capability: 40, permitted: u64::MAX };
        let valid = validate(spec, Path::new("/b"), &facts).unwrap();
        let layout = Layout::parse(mounts, groups).unwrap();
        owner(&valid, &CgroupRecord::place(&layout, &CgroupPath::parse("/x", "x").unwrap()))
    }

    #[test]
    fn the_owner_is_the_program_s_user_as_the_host_knows_it() {
        assert_eq!(owner_with(V2, "0::/\n", |_| {}), Some(100_007));
        let without_user_namespace = |config: &mut Value| {
            config["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "cgroup"}]);
            let linux = config["linux"].as_object_mut().unwrap();
            linux.retain(|name, _| !name.ends_with("Mappings"));
        };
        assert_eq!(owner_with(V2, "0::/\n", without_user_namespace), Some(7));
    }

    #[test]
    fn a_cgroup_that_cannot_be_written_or_is_of_v1_is_not_given_away() {
        assert_eq!(owner_with(V1, "1:cpu:/\n", |_| {}), None);
        let changes: [fn(&mut Value); 3] = [
            |config| config["mounts"][0]["options"] = json!(["ro"]),
            |config| config["mounts"] = json!([]),
            |config| config["linux"]["namespaces"] = json!([{"type": "mount"}, {"type": "user"}]),
        ];
        for change in changes {
            assert_eq!(owner_with(V2, "0::/\n", change), None);
        }
    }
}
