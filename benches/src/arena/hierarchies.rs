//! The machine's cgroup hierarchies, as the measurement sees them.

use super::{At, Result, mount_on};
use mydocker_sys::mount::{self, MntFlags};
use std::fs;
use std::path::{Path, PathBuf};

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// One mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hierarchy {
    path: PathBuf,
    fs_type: String,
    options: String,
}

/// The hierarchies mounted at or below /sys/fs/cgroup in the text of a mountinfo file (proc(5)).
fn mounted_hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let path = PathBuf::from(mount.split(' ').nth(4).unwrap_or_default());
        let mut fields = file_system.split(' ');
        let fs_type = fields.next().unwrap_or_default().to_owned();
        let options = fields.nth(1).unwrap_or_default();
        if !path.starts_with(CGROUP_ROOT) || !["cgroup", "cgroup2"].contains(&fs_type.as_str()) {
            continue;
        }
        let options = if fs_type == "cgroup2" { "" } else { options.trim_start_matches("rw,") };
        found.retain(|known| known.path != path);
        found.push(Hierarchy { path, fs_type, options: options.into() });
    }
    found
}

/// Mounts the machine's hierarchies anew for this mount namespace alone, hugetlb with them: crun 1.8 looks for a v1
/// mount of every controller that the kernel lists as one, and a directory made for it in the machine's own
/// /sys/fs/cgroup would be seen by everybody. On a machine with cgroup v2 alone there is nothing to do.
pub fn private_view() -> Result<(Vec<PathBuf>, String, bool)> {
    let read = |path: &str| fs::read_to_string(path).at("reading", Path::new(path));
    let hierarchies = mounted_hierarchies(&read("/proc/self/mountinfo")?);
    let mut paths: Vec<PathBuf> = hierarchies.iter().map(|hierarchy| hierarchy.path.clone()).collect();
    if hierarchies.iter().all(|hierarchy| hierarchy.fs_type == "cgroup2") {
        return Ok((paths, "cgroup v2".into(), true));
    }
    mount::umount(Path::new(CGROUP_ROOT), MntFlags::MNT_DETACH)?;
    mount_on(Path::new(CGROUP_ROOT), "tmpfs", "mode=0755")?;
    hierarchies.iter().try_for_each(mount_hierarchy)?;
    let has_v2 = hierarchies.iter().any(|hierarchy| hierarchy.fs_type == "cgroup2");
    let mut layout = String::from(if has_v2 { "cgroup v1 and v2 (hybrid)" } else { "cgroup v1" });
    let mut is_whole = true;
    let known = read("/proc/cgroups")?.lines().any(|line| line.starts_with("hugetlb"));
    if known && !hierarchies.iter().any(|hierarchy| hierarchy.options.contains("hugetlb")) {
        let path = Path::new(CGROUP_ROOT).join("hugetlb");
        // It is busy while v2 cgroups use it; then crun's row tells the rest.
        match mount_hierarchy(&Hierarchy {
            path: path.clone(),
            fs_type: "cgroup".into(),
            options: "hugetlb".into(),
        }) {
            Ok(()) => paths.push(path),
            Err(error) => {
                is_whole = false;
                layout += &format!(", hugetlb not mounted ({:#})", anyhow::Error::from(error));
            }
        }
    }
    Ok((paths, layout, is_whole))
}

fn mount_hierarchy(hierarchy: &Hierarchy) -> Result<()> {
    fs::create_dir_all(&hierarchy.path).at("making", &hierarchy.path)?;
    mount_on(&hierarchy.path, &hierarchy.fs_type, &hierarchy.options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_layout_is_read_from_mountinfo() {
        let text = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                    31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
                    33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                    41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
        let expected =
            [("/sys/fs/cgroup/cpu", "cgroup", "cpu,cpuacct"), ("/sys/fs/cgroup/unified", "cgroup2", "")];
        let found = mounted_hierarchies(text);
        let found: Vec<_> = found
            .iter()
            .map(|hierarchy| {
                (hierarchy.path.to_str().unwrap_or(""), &*hierarchy.fs_type, &*hierarchy.options)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_mount_over_another_counts_once() {
        let line = "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mounted_hierarchies(&line.repeat(2)).len(), 1);
    }
}
