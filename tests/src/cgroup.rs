//! The cgroup hierarchies of this machine, as the tests see them: read-only, but for groups of their own.
//!
//! Tests run on hybrid hosts, where v1 has nearly every controller in a hierarchy of its own, and on hosts with v2
//! alone. What holds on both asks with [`dir`], [`mount`] and [`is_everywhere`]. A test about the files of v1 is called
//! `privileged_hybrid_...` and left out where there is none; one about v2 alone is called `privileged_v2_...`.

use crate::{Bundle, Runtime};
use serde_json::Value;
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

/// Whether the runtime under test is asked to let systemd make its groups: `MYDOCKER_CGROUP_DRIVER=systemd`.
///
/// # Panics
/// When the variable names no driver.
#[must_use]
pub fn by_systemd() -> bool {
    match std::env::var("MYDOCKER_CGROUP_DRIVER").as_deref() {
        Err(_) | Ok("cgroupfs") => false,
        Ok("systemd") => true,
        Ok(other) => panic!("MYDOCKER_CGROUP_DRIVER={other}: cgroupfs or systemd"),
    }
}

/// The `cgroupsPath` for the container `id`, whose name begins with a word and a dash.
///
/// # Panics
/// When it does not.
#[must_use]
pub fn path_for(id: &str) -> String {
    let (prefix, name) = id.split_once('-').expect("ids of tests have a dash");
    if by_systemd() { format!("{SLICE}:{prefix}:{name}") } else { format!("/{id}") }
}

/// The group that a `cgroupsPath` names: itself, or the scope of systemd's `SLICE:PREFIX:NAME`.
#[must_use]
pub fn group_of(path: &str) -> String {
    match path.splitn(3, ':').collect::<Vec<_>>()[..] {
        [slice, prefix, name] => format!("/{slice}/{prefix}-{name}.scope"),
        _ => path.to_owned(),
    }
}

/// Where systemd puts the scopes of the tests.
const SLICE: &str = "system.slice";

/// The directories in which the groups of tests are made: the top of each hierarchy, and systemd's slice there.
fn places() -> impl Iterator<Item = PathBuf> {
    hierarchies().into_iter().flat_map(|point| [point.join(SLICE), point])
}

/// The names of the groups that begin with `prefix`, from the top of whatever hierarchy.
#[must_use]
pub fn by_prefix(prefix: &str) -> Vec<String> {
    let mut groups: Vec<String> = places()
        .flat_map(|place| named(&place, prefix))
        .map(|dir| {
            let within = |point: &PathBuf| Some(dir.strip_prefix(point).ok()?.to_string_lossy().into_owned());
            // The longest mount point is the one that the directory lies in.
            hierarchies().iter().rev().find_map(within).unwrap_or_default()
        })
        .collect();
    groups.sort();
    groups.dedup();
    groups
}

/// The subdirectories whose names begin with `prefix`.
fn named(place: &Path, prefix: &str) -> Vec<PathBuf> {
    let begins =
        |dir: &PathBuf| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    subdirectories(place).into_iter().filter(begins).collect()
}

/// Where the hierarchy with `controller` is mounted, v1's or that of v2.
#[must_use]
pub fn mount(controller: &str) -> PathBuf {
    let root = Path::new("/sys/fs/cgroup");
    if is_v1(controller) { root.join(controller) } else { root.to_owned() }
}

/// The directory of the group `path` in the hierarchy that has `controller`.
#[must_use]
pub fn dir(controller: &str, path: &str) -> PathBuf {
    mount(controller).join(path.trim_start_matches('/'))
}

/// Whether the group `path` exists in each hierarchy that the tests count on.
#[must_use]
pub fn is_everywhere(path: &str) -> bool {
    CONTROLLERS.iter().all(|controller| dir(controller, path).is_dir())
}

/// The controllers of v1 that every hybrid host of the tests has.
pub const CONTROLLERS: [&str; 8] =
    ["cpu", "cpuset", "memory", "pids", "devices", "freezer", "blkio", "cpuacct"];

/// The directories of the groups of process `pid` whose path contains `name`.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn of_process(pid: i32, name: &str) -> Vec<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let dir = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let mount = match controllers {
            "" if is_v1("pids") => "/sys/fs/cgroup/unified".into(),
            "name=systemd" => "/sys/fs/cgroup/systemd".into(),
            controllers => mount(controllers),
        };
        path.contains(name).then(|| mount.join(path.trim_start_matches('/')))
    };
    text.lines().filter_map(dir).collect()
}

/// Freezes the group at `dir`, of the freezer of v1 or of v2.
///
/// # Panics
/// When it cannot be written.
pub fn freeze(dir: &Path) {
    let v1 = dir.join("freezer.state");
    let (file, value) = if v1.exists() { (v1, "FROZEN") } else { (dir.join("cgroup.freeze"), "1") };
    fs::write(file, value).expect("root may freeze groups");
}

/// A running container with these `linux.resources`, beside the default device rule.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn limited(runtime: &Runtime, resources: &Value) -> Bundle {
    let bundle = runtime.bundle().args(["sleep", "1000"]).with(|config| {
        let own = config["linux"]["resources"].as_object_mut().expect("an object");
        own.extend(resources.as_object().expect("an object").clone());
    });
    runtime.run_detached(&bundle);
    bundle
}

/// A whole block device of this machine, as `MAJOR:MINOR`.
///
/// # Panics
/// When the machine has none.
#[must_use]
pub fn block_device() -> (u64, u64) {
    let devices = fs::read_dir("/sys/block").expect("sysfs");
    let text = devices.flatten().find_map(|device| fs::read_to_string(device.path().join("dev")).ok());
    let text = text.expect("the machine has a block device");
    let (major, minor) = text.trim().split_once(':').expect("major and minor");
    (major.parse().expect("a number"), minor.parse().expect("a number"))
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

/// Thaws the group at `dir` and those below it. One that is not there, or that belongs to a hierarchy without a freezer,
/// has no such files.
pub fn thaw(dir: &Path) {
    let thawed = [("freezer.state", "THAWED"), ("cgroup.freeze", "0")];
    for (file, value) in thawed.map(|(file, value)| (dir.join(file), value)) {
        if file.exists() {
            drop(fs::write(file, value));
        }
    }
    for child in subdirectories(dir) {
        thaw(&child);
    }
}

/// Removes the groups of [`by_prefix`] from every hierarchy, with all below them. Returns those that were there; one
/// that holds a process stays.
#[must_use]
pub fn remove_by_prefix(prefix: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = places().flat_map(|place| named(&place, prefix)).collect();
    found.iter().for_each(|dir| remove_tree(dir));
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
