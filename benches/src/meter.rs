//! What is asked for the CPU time that a command takes.

use crate::arena::Arena;
use crate::executor::Error;
use mydocker_sys::usage;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Where CPU time is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meter {
    /// What this process has waited for: all that a runtime starts, for nothing of it works on by itself.
    Children,
    /// A cgroup of the program's own: its monitors and daemons are nobody's children, and work after it has answered.
    Group(Group),
}

/// The cgroups of a program, in the hierarchy that counts CPU time. What is in a group that has gone still counts in
/// those above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    top: PathBuf,
    /// Where this process belongs while it starts nothing.
    home: PathBuf,
}

/// Of what of a program the time is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// What is not in its containers.
    WithoutContainers,
}

/// The group of podman's monitors, which podman makes among those of its containers.
const CONMON: &str = "conmon";

impl Group {
    /// Makes the groups of the program `name` below the arena's.
    ///
    /// # Errors
    /// No hierarchy counts CPU time, or a group cannot be made.
    pub fn new(arena: &Arena, name: &str) -> std::io::Result<Self> {
        let counts = |root: &&PathBuf| root.join("cpuacct.usage").exists();
        let unified = |root: &&PathBuf| root.join("cgroup.controllers").exists();
        let roots = &arena.hierarchies;
        let root = roots.iter().find(counts).or_else(|| roots.iter().find(unified)).ok_or_else(|| {
            std::io::Error::other("no cgroup hierarchy here counts CPU time: neither v1's cpuacct nor v2")
        })?;
        let top = root.join(&arena.cgroup).join(name);
        let group = Self { top, home: home(root)? };
        for dir in [group.commands(), group.containers(), group.daemon()] {
            std::fs::create_dir_all(dir)?;
        }
        Ok(group)
    }

    /// The group of its commands, and of the monitors that stay in it.
    pub fn commands(&self) -> PathBuf {
        self.top.join("commands")
    }

    /// The group above its containers.
    pub fn containers(&self) -> PathBuf {
        self.top.join("containers")
    }

    /// The group of its daemon.
    pub fn daemon(&self) -> PathBuf {
        self.top.join("daemon")
    }

    /// Starts a command in the group of the daemon.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn start_daemon(&self, command: &mut Command) -> Result<Child, String> {
        let mut start = || -> Result<Child, Error> {
            join(&self.daemon())?;
            let child = command.spawn();
            join(&self.home)?;
            child.map_err(|error| Error::Command(error.to_string()))
        };
        start().map_err(|error| format!("{}: {error:#}", command.get_program().display()))
    }

    fn daemon_processes(&self) -> Vec<u32> {
        // Without the group there are none.
        let list = std::fs::read_to_string(self.daemon().join("cgroup.procs")).unwrap_or_default();
        list.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn usage(&self, part: Part) -> std::io::Result<Duration> {
        let whole = usage_of(&self.top)?;
        if part == Part::Whole {
            return Ok(whole);
        }
        let monitors = self.containers().join(CONMON);
        let monitors = if monitors.is_dir() { usage_of(&monitors)? } else { Duration::ZERO };
        Ok((whole + monitors).saturating_sub(usage_of(&self.containers())?))
    }
}

impl Meter {
    /// What has been used so far.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn read(&self, part: Part) -> std::io::Result<Duration> {
        match self {
            Self::Children => usage::children().map(|usage| usage.cpu()).map_err(std::io::Error::other),
            Self::Group(group) => group.usage(part),
        }
    }

    /// The processes of the daemon, if there is one.
    pub fn daemon_processes(&self) -> Vec<u32> {
        match self {
            Self::Children => Vec::new(),
            Self::Group(group) => group.daemon_processes(),
        }
    }

    /// Does something in the group of the program's commands: what this process starts is born there, and what it does
    /// itself meanwhile, which is next to nothing, counts for every program alike.
    ///
    /// # Errors
    /// A group cannot be joined, or what `action` says.
    pub fn around<T>(&self, action: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let Self::Group(group) = self else { return action() };
        join(&group.commands())?;
        let done = action();
        join(&group.home)?;
        done
    }
}

/// Moves this process into a cgroup.
fn join(group: &Path) -> Result<(), Error> {
    let file = group.join("cgroup.procs");
    std::fs::write(&file, "0").map_err(|error| Error::File(file, error))
}

/// The group of this process in the hierarchy that is mounted at `root`.
fn home(root: &Path) -> std::io::Result<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/cgroup")?;
    Ok(root.join(path_of(&table, root.join("cgroup.controllers").exists())))
}

/// The path of a process in the hierarchy of v2, or in that of cpuacct, in the text of its /proc/PID/cgroup.
fn path_of(table: &str, unified: bool) -> &str {
    let of_line = |line| {
        let line: &str = line;
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let wanted = match unified {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|controller| controller == "cpuacct"),
        };
        wanted.then(|| path.trim_start_matches('/'))
    };
    table.lines().find_map(of_line).unwrap_or("")
}

/// The CPU time of a group and of all that have ever been below it.
fn usage_of(group: &Path) -> std::io::Result<Duration> {
    let v1 = group.join("cpuacct.usage");
    let (file, v1) = if v1.exists() { (v1, true) } else { (group.join("cpu.stat"), false) };
    let text = std::fs::read_to_string(&file)?;
    let time = if v1 { text.trim().parse().ok().map(Duration::from_nanos) } else { of_stat(&text) };
    time.ok_or_else(|| std::io::Error::other(format!("{} says {text:?}", file.display())))
}

fn of_stat(text: &str) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    line.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_group_is_found_in_either_version() {
        let table = "9:name=systemd:/\n3:cpu,cpuacct:/a/b\n2:cpuset:/c\n0::/user.slice/d\n";
        assert_eq!(path_of(table, false), "a/b");
        assert_eq!(path_of(table, true), "user.slice/d");
        assert_eq!(path_of("2:cpuset:/c\n", false), "");
    }

    #[test]
    fn the_time_of_v2_is_read_in_microseconds() {
        assert_eq!(of_stat("usage_usec 1500\nuser_usec 1000\n"), Some(Duration::from_micros(1500)));
        assert_eq!(of_stat("nr_periods 0\n"), None);
    }
}
