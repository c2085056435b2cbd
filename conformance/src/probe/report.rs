//! Everything that the probe sees of itself.

use rustix::fs::Mode;
use rustix::process::{Resource, getrlimit};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// The limits by their names in a configuration.
const LIMITS: [(&str, Resource); 15] = [
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_STACK", Resource::Stack),
];

/// The whole report, an object.
pub(super) fn make(args: &[String]) -> Value {
    json!({
        "pid": std::process::id(),
        "args": args,
        "env": environment(),
        "cwd": text_of(std::env::current_dir()),
        "uid": rustix::process::getuid().as_raw(),
        "gid": rustix::process::getgid().as_raw(),
        "groups": groups(),
        "umask": umask(),
        "status": status(),
        "namespaces": links("/proc/self/ns"),
        "fds": links("/proc/self/fd"),
        "mounts": mounts(),
        "limits": limits(),
        "host": host(),
        "cgroup": read("/proc/self/cgroup"),
        "oom_score_adj": read("/proc/self/oom_score_adj"),
        "personality": read("/proc/self/personality"),
        "clock_offsets": read("/proc/self/timens_offsets"),
        "label": read("/proc/self/attr/current"),
        "stat": read("/proc/self/stat"),
        "memory_policy": memory_policy(),
        "io_priority": io_priority(),
        "scheduler": scheduler(),
        "terminal": terminal(),
        "interfaces": interfaces(),
    })
}

/// The environment as it was given: `NAME=VALUE`.
pub(super) fn environment() -> Vec<String> {
    std::env::vars_os().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
}

/// The links in a directory, with their targets.
pub(super) fn links(dir: &str) -> Value {
    crate::process::links_in(Path::new(dir)).map_or(Value::Null, |found| json!(found))
}

fn text_of(path: std::io::Result<std::path::PathBuf>) -> Value {
    path.map_or(Value::Null, |path| json!(path))
}

/// A file as text without the newline at its end; null when it cannot be read.
pub(super) fn read(path: &str) -> Value {
    fs::read_to_string(path).map_or(Value::Null, |text| json!(text.trim_end_matches(['\n', '\0'])))
}

fn groups() -> Value {
    let list = rustix::process::getgroups();
    list.map_or(Value::Null, |ids| json!(ids.iter().map(|id| id.as_raw()).collect::<Vec<_>>()))
}

/// The mask can only be read by changing it.
fn umask() -> u32 {
    let mask = rustix::process::umask(Mode::empty());
    rustix::process::umask(mask);
    mask.bits()
}

/// The lines of `/proc/self/status`.
fn status() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/status") else { return Value::Null };
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    Value::Object(lines.map(|(name, value)| (name.to_owned(), json!(value.trim()))).collect())
}

/// The mount table: one object for each line of `/proc/self/mountinfo`.
pub(super) fn mounts() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/mountinfo") else { return Value::Null };
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Value> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    let [_id, _parent, device, root, point, options, propagation @ ..] = left.as_slice() else { return None };
    let [kind, source, superblock] = right.as_slice() else { return None };
    Some(json!({
        "device": device, "root": root, "point": point, "propagation": propagation, "kind": kind, "source": source,
        "options": options.split(',').collect::<Vec<_>>(),
        "superblock": superblock.split(',').collect::<Vec<_>>(),
    }))
}

/// Soft and hard limits; null means unlimited.
fn limits() -> Value {
    let limit = |resource| {
        let found = getrlimit(resource);
        json!({"soft": found.current, "hard": found.maximum})
    };
    Value::Object(LIMITS.iter().map(|(name, resource)| ((*name).to_owned(), limit(*resource))).collect())
}

fn host() -> Value {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    json!({"name": text(names.nodename()), "domain": text(names.domainname()), "machine": text(names.machine())})
}

/// The policy in `numa_maps`, which says it for every mapping.
fn memory_policy() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/numa_maps") else { return Value::Null };
    text.lines().next().and_then(|line| line.split(' ').nth(1)).map_or(Value::Null, |policy| json!(policy))
}

fn io_priority() -> Value {
    mydocker_sys::process::io_priority()
        .map_or(Value::Null, |(class, level)| json!({"class": class, "level": level}))
}

/// Fields of `/proc/self/stat` and `/proc/self/sched` that say how it is scheduled.
fn scheduler() -> Value {
    let Ok(text) = fs::read_to_string("/proc/self/stat") else { return Value::Null };
    // The name of the program, in brackets, may hold anything.
    let Some((_, rest)) = text.rsplit_once(") ") else { return Value::Null };
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<i64>().ok());
    json!({"nice": field(19), "real_time_priority": field(40), "policy": field(41)})
}

/// Whether the standard streams are a terminal, and its size.
fn terminal() -> Value {
    let is = |fd: std::os::fd::BorrowedFd<'_>| rustix::termios::isatty(fd);
    let size = rustix::termios::tcgetwinsize(mydocker_sys::fs::STDIN);
    let size = size.map_or(Value::Null, |size| json!({"height": size.ws_row, "width": size.ws_col}));
    let streams = [mydocker_sys::fs::STDIN, mydocker_sys::fs::STDOUT, mydocker_sys::fs::STDERR];
    json!({"streams": streams.map(is), "size": size})
}

/// The network interfaces by name.
fn interfaces() -> Value {
    let Ok(text) = fs::read_to_string("/proc/net/dev") else { return Value::Null };
    let mut found = Map::new();
    for line in text.lines().skip(2) {
        if let Some((name, _)) = line.split_once(':') {
            found.insert(name.trim().to_owned(), Value::Null);
        }
    }
    json!(found.keys().collect::<Vec<_>>())
}
