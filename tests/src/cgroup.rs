//! The cgroup hierarchies of this machine, as the tests see them: read-only, but for groups of their own.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The mount points of all hierarchies below `/sys/fs/cgroup`, v1 and v2.
///
/// # Panics
/// When the mount table cannot be read.
#[must_use]
pub fn hierarchies() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table is readable");
    let mut points: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let point = left.split(' ').nth(4)?;
            let is_cgroup = right.starts_with("cgroup ") || right.starts_with("cgroup2 ");
            (is_cgroup && point.starts_with("/sys/fs/cgroup")).then(|| PathBuf::from(point))
        })
        .collect();
    points.sort();
    points.dedup();
    points
}

/// The directory of the group `path` in the v1 hierarchy of `controller`.
#[must_use]
pub fn v1(controller: &str, path: &str) -> PathBuf {
    Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'))
}

/// The directories that exist for the group `path`, over all hierarchies.
#[must_use]
pub fn existing(path: &str) -> Vec<PathBuf> {
    let name = path.trim_start_matches('/');
    hierarchies().into_iter().map(|point| point.join(name)).filter(|dir| dir.is_dir()).collect()
}

/// One file of the group `path` of a v1 controller, without the newline at its end.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn read(controller: &str, path: &str, file: &str) -> String {
    let file = v1(controller, path).join(file);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim_end().to_owned()
}

/// Whether the group `path` is frozen, by v1's freezer or by that of v2 in a hybrid layout: both stop every process.
#[must_use]
pub fn is_frozen(path: &str) -> bool {
    let holds = |file: &str, line: &str| {
        let texts = existing(path).into_iter().filter_map(|dir| fs::read_to_string(dir.join(file)).ok());
        texts.into_iter().any(|text| text.lines().any(|found| found == line))
    };
    holds("freezer.state", "FROZEN") || holds("cgroup.events", "frozen 1")
}

/// The processes of the group `path` and of the groups below it, over all hierarchies.
#[must_use]
pub fn processes(path: &str) -> Vec<i32> {
    let mut pids: Vec<i32> = existing(path).iter().flat_map(|dir| processes_below(dir)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn processes_below(dir: &Path) -> Vec<i32> {
    let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = procs.lines().flat_map(str::parse).collect();
    for child in subdirectories(dir) {
        pids.extend(processes_below(&child));
    }
    pids
}

/// Thaws the v1 freezer group at `dir` and those below it. One that is not there, or that belongs to another
/// hierarchy, has no such file.
pub fn thaw(dir: &Path) {
    drop(fs::write(dir.join("freezer.state"), "THAWED"));
    for child in subdirectories(dir) {
        thaw(&child);
    }
}

/// Removes the groups whose names begin with `prefix` at the top of every hierarchy, with all below them. Returns
/// those that were there; one that holds a process stays.
#[must_use]
pub fn remove_by_prefix(prefix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for point in hierarchies() {
        for dir in subdirectories(&point) {
            let named = dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
            if named {
                remove_tree(&dir);
                found.push(dir);
            }
        }
    }
    found
}

fn remove_tree(dir: &Path) {
    for child in subdirectories(dir) {
        remove_tree(&child);
    }
    match fs::remove_dir(dir) {
        Ok(()) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ResourceBusy) => {}
        Err(error) => panic!("{}: {error}", dir.display()),
    }
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()).collect()
}

/// Whether the controller is on cgroup v1 here; else cgroup v2 has it, at `/sys/fs/cgroup`.
#[must_use]
pub fn is_v1(controller: &str) -> bool {
    Path::new("/sys/fs/cgroup").join(controller).join("cgroup.procs").exists()
}

/// One file of the group `path`, by the name that it has on the version that has the controller.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn read_either(controller: &str, path: &str, v1_file: &str, v2_file: &str) -> String {
    if is_v1(controller) {
        return read(controller, path, v1_file);
    }
    let file = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/')).join(v2_file);
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim_end().to_owned()
}
