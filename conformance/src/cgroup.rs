//! The cgroups of this machine, found by what the kernel says of a process, so that no form of path is presumed.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Where a controller is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// In a hierarchy of its own.
    V1,
    /// In the unified hierarchy.
    V2,
}

/// One mounted hierarchy.
#[derive(Debug, Clone)]
struct Hierarchy {
    /// Its controllers and its `name=`; none for v2.
    controllers: Vec<String>,
    version: Version,
    /// The part of the hierarchy that is mounted, mostly `/`.
    root: String,
    point: PathBuf,
}

/// Every hierarchy that is mounted, each once.
fn hierarchies() -> Vec<Hierarchy> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<Hierarchy> = Vec::new();
    for hierarchy in table.lines().filter_map(parse) {
        if !found.iter().any(|other| other.controllers == hierarchy.controllers) {
            found.push(hierarchy);
        }
    }
    found
}

fn parse(line: &str) -> Option<Hierarchy> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, point) = (left.next()?, left.next()?);
    let mut right = right.split(' ');
    let (kind, options) = (right.next()?, right.nth(1)?);
    let (version, controllers) = match kind {
        "cgroup" => {
            let words = options.split(',').filter(|word| !["rw", "ro", "xattr", "noprefix"].contains(word));
            (Version::V1, words.map(str::to_owned).collect())
        }
        "cgroup2" => (Version::V2, Vec::new()),
        _ => return None,
    };
    Some(Hierarchy { controllers, version, root: root.to_owned(), point: point.into() })
}

/// Which version has the controller on this machine; `None` where none has it.
#[must_use]
pub fn version_of(controller: &str) -> Option<Version> {
    let all = hierarchies();
    if all.iter().any(|hierarchy| hierarchy.controllers.iter().any(|name| name == controller)) {
        return Some(Version::V1);
    }
    let unified = all.iter().find(|hierarchy| hierarchy.version == Version::V2)?;
    let list = fs::read_to_string(unified.point.join("cgroup.controllers")).ok()?;
    list.split_whitespace().any(|name| name == controller).then_some(Version::V2)
}

/// Whether every controller is in the unified hierarchy.
#[must_use]
pub fn is_pure_v2() -> bool {
    hierarchies().iter().all(|hierarchy| hierarchy.version == Version::V2)
}

/// The mount point of the unified hierarchy.
#[must_use]
pub fn unified() -> Option<PathBuf> {
    hierarchies().into_iter().find(|hierarchy| hierarchy.version == Version::V2).map(|found| found.point)
}

/// The directory of the process's cgroup for a controller, in the version that has it here.
///
/// # Errors
/// The process is gone, or the machine lacks the controller.
pub fn dir_of(pid: i32, controller: &str) -> Result<PathBuf> {
    let version = version_of(controller).with_context(|| format!("no cgroup has {controller} here"))?;
    let wanted = if version == Version::V2 { "" } else { controller };
    group_of(pid, wanted).with_context(|| format!("the process {pid} has no cgroup for {controller}"))
}

/// The directory of the process's cgroup in the unified hierarchy.
///
/// # Errors
/// The process is gone, or the hierarchy is not mounted.
pub fn unified_dir_of(pid: i32) -> Result<PathBuf> {
    group_of(pid, "").with_context(|| format!("the process {pid} has no cgroup in the unified hierarchy"))
}

/// `controller` is empty for v2.
fn group_of(pid: i32, controller: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(':')?;
        names.split(',').any(|name| name == controller).then(|| path.to_owned())
    })?;
    let hierarchy = hierarchies().into_iter().find(|hierarchy| {
        if controller.is_empty() {
            hierarchy.version == Version::V2
        } else {
            hierarchy.controllers.iter().any(|name| name == controller)
        }
    })?;
    let below = if hierarchy.root == "/" { &path } else { path.strip_prefix(&hierarchy.root)? };
    Some(hierarchy.point.join(below.trim_start_matches('/')))
}

/// The first of these files that the directory has, without the newline at its end.
///
/// # Errors
/// It has none of them.
pub fn read(dir: &Path, names: &[&str]) -> Result<String> {
    let texts = names.iter().find_map(|name| fs::read_to_string(dir.join(name)).ok());
    let text = texts.with_context(|| format!("{} has none of {names:?}", dir.display()))?;
    Ok(text.trim_end().to_owned())
}

/// The directories anywhere in the hierarchies whose name contains `id`.
#[must_use]
pub fn find(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies() {
        collect(&hierarchy.point, id, 4, &mut found);
    }
    found
}

fn collect(dir: &Path, id: &str, depth: u32, found: &mut Vec<PathBuf>) {
    for child in subdirectories(dir) {
        let named = child.file_name().is_some_and(|name| name.to_string_lossy().contains(id));
        if named {
            found.push(child);
        } else if depth > 0 {
            collect(&child, id, depth - 1, found);
        }
    }
}

/// Ends the processes in the cgroups that bear the id, as one that a runtime left when its deadline came, and removes
/// them.
///
/// # Errors
/// One stays.
pub fn remove(id: &str) -> Result<()> {
    for dir in find(id) {
        thaw(&dir);
        for pid in processes_below(&dir) {
            // One that has ended by itself is as good.
            drop(mydocker_sys::process::kill(mydocker_sys::process::Pid::from_raw(pid), 9));
        }
        crate::process::wait_until(&format!("the cgroup {} to be empty", dir.display()), || {
            remove_tree(&dir);
            Ok(!dir.exists())
        })?;
    }
    Ok(())
}

/// A frozen process does not even die.
fn thaw(dir: &Path) {
    for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        if dir.join(file).exists() {
            drop(fs::write(dir.join(file), word));
        }
    }
    for child in subdirectories(dir) {
        thaw(&child);
    }
}

fn processes_below(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = text.lines().flat_map(str::parse).collect();
    for child in subdirectories(dir) {
        pids.extend(processes_below(&child));
    }
    pids
}

fn remove_tree(dir: &Path) {
    for child in subdirectories(dir) {
        remove_tree(&child);
    }
    // One that still holds a process stays, and is tried again.
    drop(fs::remove_dir(dir));
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|e| e.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Version, parse};

    #[test]
    fn a_v1_line_has_its_controllers() {
        let line =
            "33 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let found = parse(line).expect("a hierarchy");
        assert_eq!(found.controllers, ["cpu", "cpuacct"]);
        assert_eq!(found.version, Version::V1);
        assert_eq!(found.root, "/");
    }

    #[test]
    fn a_v2_line_has_none() {
        let found =
            parse("30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate").expect("a hierarchy");
        assert_eq!((found.version, found.controllers.len()), (Version::V2, 0));
    }

    #[test]
    fn other_mounts_are_passed_over() {
        assert!(parse("22 1 0:20 / /proc rw - proc proc rw").is_none());
    }
}
