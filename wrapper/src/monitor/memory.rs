//! Whether the kernel has killed for want of memory.

use mydocker_sys::AsFd as _;
use mydocker_sys::fs::{CGROUP2_SUPER_MAGIC, place_of};
use mydocker_sys::poll::{Events, Interest};
use mydocker_sys::watch::{Changes, Watch};
use std::fs;
use std::path::{Path, PathBuf};

/// The file that counts such kills in the cgroup of a container. systemd removes a cgroup as soon as its last process has
/// ended, so that the file is read whenever v2 says that it has changed.
#[derive(Debug)]
pub struct MemoryKills {
    file: PathBuf,
    watch: Option<Watch>,
    seen: bool,
}

impl MemoryKills {
    /// The file for the cgroup that the process is in; `None` where the host does not count.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mount = Path::new("/sys/fs/cgroup");
        let is_v2 = place_of(mount).is_ok_and(|place| place.magic == CGROUP2_SUPER_MAGIC);
        let (mount, group, name) = if is_v2 {
            (mount.to_owned(), group(&text, "")?, "memory.events")
        } else {
            (mount.join("memory"), group(&text, "memory")?, "memory.oom_control")
        };
        let file = mount.join(group.trim_start_matches('/')).join(name);
        // Without a watch, the end is when to look.
        let watch = if is_v2 { watch(&file).ok() } else { None };
        Some(Self { file, watch, seen: false })
    }

    /// What is to be waited for.
    pub fn interests(&self) -> impl Iterator<Item = Interest<'_>> {
        self.watch.iter().map(|watch| Interest::read(watch.as_fd()))
    }

    /// Looks again if one of the interests has an event.
    pub fn read(&mut self, events: &[Events]) {
        if events.iter().any(|event| event.readable) {
            // How often it has changed is of no interest; a queue that cannot be read is not waited for again.
            if self.watch.as_ref().is_some_and(|watch| watch.take().is_err()) {
                self.watch = None;
            }
            self.seen |= self.counts();
        }
    }

    /// Whether there was one.
    #[must_use]
    pub fn any(&self) -> bool {
        self.seen || self.counts()
    }

    fn counts(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|text| count(&text) > 0)
    }
}

fn watch(file: &Path) -> mydocker_sys::Result<Watch> {
    let watch = Watch::new()?;
    watch.add(file, Changes::IN_MODIFY)?;
    Ok(watch)
}

/// The path of a process in the hierarchy of a controller, of `/proc/PID/cgroup`; v2's has no controller's name.
fn group<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let has = fields.next()?.split(',').any(|name| name == controller);
        fields.next().filter(|_| has)
    })
}

fn count(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_hosts_are_read() {
        let hybrid = "5:cpu,cpuacct:/a\n4:memory:/b/c\n0::/d\n";
        assert_eq!((group(hybrid, "memory"), group(hybrid, "")), (Some("/b/c"), Some("/d")));
        assert_eq!(group("0::/x:y\n", ""), Some("/x:y"));
        assert_eq!(group("0::/x\n", "memory"), None);
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(count("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n"), 1);
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\n"), 0);
    }
}
