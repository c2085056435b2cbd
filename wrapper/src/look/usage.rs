//! What a container uses: from the files of its cgroup, of either version, and of its network namespace.

use std::fs;
use std::path::{Path, PathBuf};

/// What a container has used so far, and uses now. What the host does not count is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time in nanoseconds.
    pub cpu: Option<u64>,
    /// Memory in bytes, without file pages that could go.
    pub memory: Option<u64>,
    /// How much memory it may have; `None` if as much as there is.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes received and sent.
    pub network: (u64, u64),
    /// Bytes read from and written to block devices.
    pub block: (u64, u64),
}

impl Usage {
    /// Looks at the container whose first process this is.
    #[must_use]
    pub fn of_process(pid: i32) -> Self {
        let groups = Groups::of_process(pid);
        let network = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap_or_default();
        Self { network: traffic(&network), ..groups.usage() }
    }
}

/// The directories of the cgroups that count.
#[derive(Debug, Default)]
struct Groups {
    unified: Option<PathBuf>,
    cpu: Option<PathBuf>,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    block: Option<PathBuf>,
}

impl Groups {
    fn of_process(pid: i32) -> Self {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let place = |controller: &str| directory(&groups, &mounts, controller);
        Self {
            unified: place(""),
            cpu: place("cpuacct"),
            memory: place("memory"),
            pids: place("pids"),
            block: place("blkio"),
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            cpu: self.cpu(),
            memory: self.memory(),
            memory_limit: self.memory_limit(),
            pids: number(&self.pids, "pids.current").or_else(|| number(&self.unified, "pids.current")),
            network: (0, 0),
            block: self.block(),
        }
    }

    fn cpu(&self) -> Option<u64> {
        let microseconds = || keyed(&self.unified, "cpu.stat", "usage_usec");
        number(&self.cpu, "cpuacct.usage").or_else(|| Some(microseconds()? * 1000))
    }

    fn memory(&self) -> Option<u64> {
        let less = |all: u64, inactive: Option<u64>| all.saturating_sub(inactive.unwrap_or(0));
        let first = number(&self.memory, "memory.usage_in_bytes");
        let first = first.map(|all| less(all, keyed(&self.memory, "memory.stat", "total_inactive_file")));
        first.or_else(|| {
            let all = number(&self.unified, "memory.current")?;
            Some(less(all, keyed(&self.unified, "memory.stat", "inactive_file")))
        })
    }

    /// Version 1 writes the largest number of pages for none, version 2 a word.
    fn memory_limit(&self) -> Option<u64> {
        let limit =
            number(&self.memory, "memory.limit_in_bytes").or_else(|| number(&self.unified, "memory.max"));
        limit.filter(|limit| *limit < 1 << 60)
    }

    fn block(&self) -> (u64, u64) {
        let text = |place: &Option<PathBuf>, file: &str| {
            place.as_ref().and_then(|place| fs::read_to_string(place.join(file)).ok())
        };
        match text(&self.block, "blkio.throttle.io_service_bytes_recursive") {
            Some(text) => blocks_v1(&text),
            None => text(&self.unified, "io.stat").map(|text| blocks_v2(&text)).unwrap_or_default(),
        }
    }
}

fn number(place: &Option<PathBuf>, file: &str) -> Option<u64> {
    fs::read_to_string(place.as_ref()?.join(file)).ok()?.trim().parse().ok()
}

fn keyed(place: &Option<PathBuf>, file: &str, key: &str) -> Option<u64> {
    let text = fs::read_to_string(place.as_ref()?.join(file)).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(name, _)| *name == key)?.1.trim().parse().ok()
}

/// Where the cgroup of a process lies, of `/proc/PID/cgroup` and `/proc/self/mountinfo`; the empty controller is that of
/// version 2.
fn directory(groups: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let path = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let fits = match controller {
            "" => controllers.is_empty(),
            controller => controllers.split(',').any(|one| one == controller),
        };
        fits.then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, place) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        let fits = match controller {
            "" => kind == "cgroup2",
            controller => kind == "cgroup" && options.split(',').any(|one| one == controller),
        };
        // In a container only a part of the tree is mounted.
        let rest = Path::new(path).strip_prefix(root).ok().filter(|_| fits)?;
        Some(Path::new(place).join(rest))
    })
}

/// Bytes received and sent, of `/proc/PID/net/dev`, but for those that never left.
fn traffic(text: &str) -> (u64, u64) {
    let interfaces = text.lines().filter_map(|line| line.split_once(':'));
    interfaces.filter(|(name, _)| name.trim() != "lo").fold((0, 0), |sum, (_, numbers)| {
        let mut numbers = numbers.split_whitespace().map(|number| number.parse().unwrap_or(0));
        let received: u64 = numbers.next().unwrap_or(0);
        let sent: u64 = numbers.nth(7).unwrap_or(0);
        (sum.0 + received, sum.1 + sent)
    })
}

fn blocks_v1(text: &str) -> (u64, u64) {
    let of = |kind: &str| {
        let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        lines.filter_map(|words| (*words.get(1)? == kind).then(|| words.get(2)?.parse::<u64>().ok())?).sum()
    };
    (of("Read"), of("Write"))
}

fn blocks_v2(text: &str) -> (u64, u64) {
    let of = |key: &str| {
        let words = text.split_whitespace().filter_map(|word| word.split_once('='));
        words.filter(|(name, _)| *name == key).filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
    };
    (of("rbytes"), of("wbytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 25 0:26 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn cgroups_are_found_in_both_versions() {
        let groups = "9:memory:/mydocker/abc\n4:cpu,cpuacct:/mydocker/abc\n0::/mydocker/abc\n";
        let found = |controller| directory(groups, MOUNTS, controller);
        assert_eq!(found("memory"), Some("/sys/fs/cgroup/memory/mydocker/abc".into()));
        assert_eq!(found("cpuacct"), Some("/sys/fs/cgroup/cpu,cpuacct/mydocker/abc".into()));
        assert_eq!(found(""), Some("/sys/fs/cgroup/unified/mydocker/abc".into()));
        assert_eq!(found("pids"), None);
        let part = MOUNTS.replace("0:26 / /sys", "0:26 /mydocker /sys");
        assert_eq!(directory(groups, &part, "memory"), Some("/sys/fs/cgroup/memory/abc".into()));
    }

    #[test]
    fn numbers_are_added_up() {
        let dev = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n  eth1:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n";
        assert_eq!(traffic(dev), (107, 58));
        assert_eq!(blocks_v1("8:0 Read 10\n8:0 Write 20\n8:0 Sync 3\n8:16 Read 1\nTotal 31\n"), (11, 20));
        assert_eq!(blocks_v2("8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n"), (11, 20));
    }
}
