//! What the tests read from `/proc` about processes of the host.

use std::fs;
use std::path::PathBuf;

/// One field of `/proc/PID/status`, such as `CapEff` or `NSpid`; `None` when the process or the field is not there.
#[must_use]
pub fn status_field(pid: i32, field: &str) -> Option<String> {
    status_field_of(&pid.to_string(), field)
}

/// As [`status_field`], for a process id in digits or `self`.
#[must_use]
pub fn status_field_of(pid: &str, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    field_of(&status, field)
}

/// One field of the text of a `/proc/PID/status`, for text that came out of a container.
#[must_use]
pub fn field_of(status: &str, field: &str) -> Option<String> {
    let rest = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(rest.trim().to_owned())
}

/// Whether the process runs: it exists and is neither a zombie nor dead.
#[must_use]
pub fn is_alive(pid: i32) -> bool {
    status_field(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The identity of a namespace of a process, such as `net:[4026531840]`.
///
/// # Panics
/// When the process is gone or the kernel lacks that kind.
#[must_use]
pub fn namespace(pid: i32, kind: &str) -> PathBuf {
    let link = format!("/proc/{pid}/ns/{kind}");
    fs::read_link(&link).unwrap_or_else(|error| panic!("{link}: {error}"))
}

/// The children of this process, zombies included.
#[must_use]
pub fn own_children() -> Vec<i32> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|children| children.split_whitespace().flat_map(str::parse).collect::<Vec<i32>>())
        .collect()
}

/// The command line of a process for messages, words joined by blanks.
#[must_use]
pub fn command_line(pid: i32) -> String {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&raw).replace('\0', " ").trim_end().to_owned()
}

/// Whether the process watches the memory of a cgroup: it sleeps, with v1's counter or v2's file of events open.
#[must_use]
pub fn watches_memory(pid: i32) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut targets = fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
    let watches = targets.any(|target| {
        let target = target.to_string_lossy();
        target.contains("eventfd") || target.ends_with("/memory.events")
    });
    watches && status_field(pid, "State").is_some_and(|state| state.starts_with('S'))
}

/// The processes, other than this one, with a word on their command line that begins with `prefix`.
#[must_use]
pub fn with_word_in_command_line(prefix: &str) -> Vec<i32> {
    let has_word = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word.starts_with(prefix.as_bytes())) && is_alive(*pid)
    };
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != own).filter(has_word).collect()
}
