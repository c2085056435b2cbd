//! The ids of a new user namespace (`user_namespaces(7)`).
//!
//! Whoever has the privilege writes the maps; an ordinary user may write the one of the own id alone. Everything else
//! is the business of `newuidmap` and `newgidmap`, which look up in `/etc/subuid` and `/etc/subgid` what a user may map.

use super::parent::id_map;
use crate::host::find_program;
use crate::spec::IdMapping;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, Errno, fs, process};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long `newuidmap` may take: it may have to ask a directory service for the user's ranges.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the ids could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum IdMapError {
    /// The kernel refuses the map.
    #[error("write {0}")]
    Write(String, #[source] mydocker_sys::Error),
    /// The program that has to do it is not there.
    #[error(
        "{what} needs {program}, which is not in PATH: install the package uidmap (shadow-utils), or map your own id \
         {own} alone"
    )]
    Missing {
        /// The map, as `config.json` has it.
        what: &'static str,
        /// The program.
        program: &'static str,
        /// The caller's own id.
        own: u32,
    },
    /// The program cannot be started.
    #[error("{} cannot be started", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The program could not be waited for.
    #[error("{program} could not be waited for")]
    Wait {
        /// The program.
        program: &'static str,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// The program refuses the map.
    #[error("{what} cannot be mapped: {said} ({hint})")]
    Refused {
        /// The map, as `config.json` has it.
        what: &'static str,
        /// What the program said.
        said: String,
        /// What a person can do.
        hint: String,
    },
}

/// One of the two maps.
struct Map<'a> {
    /// Its name in `config.json`.
    what: &'static str,
    /// Its file below `/proc/PID`.
    file: &'static str,
    mappings: &'a [IdMapping],
    program: &'static str,
    /// Where the ranges of users are.
    ranges: &'static str,
    /// The caller's own id.
    own: u32,
}

/// Maps the users and groups of the user namespace of `pid`, a process of the caller that others may still look at.
///
/// # Errors
/// [`IdMapError`].
pub(super) fn write(pid: i32, uids: &[IdMapping], gids: &[IdMapping], euid: u32) -> Result<(), IdMapError> {
    let users = Map {
        what: "/linux/uidMappings",
        file: "uid_map",
        mappings: uids,
        program: "newuidmap",
        ranges: "/etc/subuid",
        own: euid,
    };
    let groups = Map {
        what: "/linux/gidMappings",
        file: "gid_map",
        mappings: gids,
        program: "newgidmap",
        ranges: "/etc/subgid",
        own: process::egid(),
    };
    if euid == 0 {
        write_file(pid, users.file, &id_map(uids))?;
        return write_file(pid, groups.file, &id_map(gids));
    }
    map(pid, &users)?;
    if groups.is_own_id() {
        // An ordinary user may map the own group only where setgroups is given up (CVE-2014-8989). newgidmap does
        // that by itself where it has to.
        write_file(pid, "setgroups", "deny")?;
    }
    map(pid, &groups)
}

impl Map<'_> {
    /// Whether it is the one map that the kernel takes from anybody.
    fn is_own_id(&self) -> bool {
        matches!(self.mappings, [IdMapping { host_id, size: 1, .. }] if *host_id == self.own)
    }
}

fn write_file(pid: i32, file: &str, text: &str) -> Result<(), IdMapError> {
    let path = format!("/proc/{pid}/{file}");
    fs::write_at(fs::AT_FDCWD, Path::new(&path), text.as_bytes())
        .map_err(|source| IdMapError::Write(path, source))
}

/// Writes a map, or has it written: a user who is no root may hold the capability all the same.
fn map(pid: i32, map: &Map<'_>) -> Result<(), IdMapError> {
    match write_file(pid, map.file, &id_map(map.mappings)) {
        Err(IdMapError::Write(_, error)) if error.errno() == Errno::EPERM && !map.is_own_id() => {
            have_mapped(pid, map)
        }
        other => other,
    }
}

fn have_mapped(pid: i32, map: &Map<'_>) -> Result<(), IdMapError> {
    let missing = || IdMapError::Missing { what: map.what, program: map.program, own: map.own };
    let program = find_program(map.program).ok_or_else(missing)?;
    let mut command = Command::new(&program);
    command.arg(pid.to_string());
    for mapping in map.mappings {
        command.args([mapping.container_id, mapping.host_id, mapping.size].map(|number| number.to_string()));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut started =
        command.spawn().map_err(|source| IdMapError::Start { program: program.clone(), source })?;
    let succeeded = wait(&started).map_err(|source| IdMapError::Wait { program: map.program, source })?;
    if succeeded {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(errors) = started.stderr.take() {
        // What can be read is told; the failure stands without it.
        drop(errors.take(4096).read_to_end(&mut said));
    }
    let said = String::from_utf8_lossy(&said).trim().replace('\n', " | ");
    Err(IdMapError::Refused { what: map.what, hint: hint(map, &program, &said), said })
}

/// Whether the program succeeded. It says a line or two at the most, which the pipe holds until it has ended.
fn wait(started: &std::process::Child) -> mydocker_sys::Result<bool> {
    let pidfd = process::pidfd_open(process::Pid::from_raw(started.id() as i32))?;
    let deadline = Instant::now() + PATIENCE;
    let ended = poll(&[Interest::read(pidfd.as_fd())], Some(deadline), "the ids to be mapped");
    if ended.is_err() {
        process::pidfd_kill(&pidfd, libc::SIGKILL)?;
    }
    let exit = process::wait(&pidfd)?;
    ended?;
    Ok(matches!(exit, process::Exit::Code(0)))
}

/// The usual reasons, most certain first.
fn hint(map: &Map<'_>, program: &Path, said: &str) -> String {
    if !has_privilege(program) {
        return format!(
            "{} has neither the set-user-ID bit nor file capabilities: chmod u+s it, or install the package uidmap \
             again",
            program.display()
        );
    }
    if process::no_new_privileges() {
        return format!(
            "the runtime runs with no-new-privileges, under which {} can do nothing",
            map.program
        );
    }
    let ranges: Vec<String> =
        map.mappings.iter().map(|mapping| format!("{}:{}", mapping.host_id, mapping.size)).collect();
    let reads_ranges = if said.contains("not allowed") { "has" } else { "may have" };
    format!(
        "{} {reads_ranges} no entry that gives user {} the ranges {}; root adds one as USER:FIRST:COUNT",
        map.ranges,
        process::euid(),
        ranges.join(", ")
    )
}

fn has_privilege(program: &Path) -> bool {
    let set_user_id = std::fs::metadata(program)
        .is_ok_and(|metadata| metadata.mode() & libc::S_ISUID != 0 && metadata.uid() == 0);
    let has_file_capabilities = || {
        let file = fs::open(program, fs::OFlag::O_RDONLY);
        file.is_ok_and(|file| fs::fgetxattr(&file, c"security.capability").is_ok())
    };
    set_user_id || has_file_capabilities()
}
