//! What is done to the processes of a cgroup: freezing, thawing, signalling; and what the kernel did to them.

use super::layout::Controller;
use super::manager::{Cgroup, Error, read, wait_for_event};
use super::record::Directory;
use super::tree::present;
use mydocker_sys::{self as sys, Errno, fs, process};
use std::path::Path;
use std::time::{Duration, Instant};

/// The two freezers of the kernel.
enum Freezer<'record> {
    /// `cgroup.freeze` of v2 (Linux 5.2): tells when it is done, and a frozen process can be killed.
    Unified(&'record Directory),
    /// `freezer.state` of v1.
    V1(&'record Directory),
}

const SIGKILL: i32 = 9;

/// v1 tells nobody when a cgroup is frozen, and one into which processes are being forked may never be; the state is
/// asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_millis(1);

impl Cgroup {
    /// Stops every process of the cgroup and below until [`Cgroup::thaw`]. A cgroup that is not frozen at the
    /// deadline is thawed again.
    ///
    /// # Errors
    /// [`Error::Control`]; `ETIMEDOUT` at the deadline.
    pub fn freeze(&self, deadline: Instant) -> Result<(), Error> {
        let frozen = match self.freezer()? {
            Freezer::Unified(directory) => set(directory, "cgroup.freeze", "1")
                .and_then(|()| wait_for_event(directory, "frozen 1", deadline)),
            Freezer::V1(directory) => freeze_v1(directory, deadline),
        };
        let Err(source) = frozen else { return Ok(()) };
        let cause = Error::Control("freeze", source);
        match self.thaw() {
            Ok(()) => Err(cause),
            Err(failure) => Err(Error::Undo(cause.to_string(), Box::new(failure))),
        }
    }

    /// Lets the processes of the cgroup run again.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn thaw(&self) -> Result<(), Error> {
        match self.freezer()? {
            Freezer::Unified(directory) => set(directory, "cgroup.freeze", "0"),
            Freezer::V1(directory) => set(directory, "freezer.state", "THAWED"),
        }
        .map_err(|source| Error::Control("thaw", source))
    }

    /// Lets processes of a frozen cgroup die that were killed: on v1 they do so only when they are thawed. A cgroup that is
    /// gone has let them.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn let_die(&self) -> Result<(), Error> {
        let Ok(Freezer::V1(directory)) = self.freezer() else { return Ok(()) };
        present(set(directory, "freezer.state", "THAWED"))
            .map(drop)
            .map_err(|source| Error::Control("thaw", source))
    }

    /// Whether somebody wants the cgroup frozen; a cgroup that is gone, or a host without a freezer, is not.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn is_frozen(&self) -> Result<bool, Error> {
        let fail = |source| Error::Control("read the freezer of", source);
        let (directory, file, thawed) = match self.freezer() {
            Ok(Freezer::Unified(directory)) => (directory, "cgroup.freeze", "0"),
            Ok(Freezer::V1(directory)) => (directory, "freezer.state", "THAWED"),
            Err(_) => return Ok(false),
        };
        let text = present(read(&directory.file(file))).map_err(fail)?;
        Ok(text.is_some_and(|text| text.trim() != thawed))
    }

    fn freezer(&self) -> Result<Freezer<'_>, Error> {
        // Beside v1 hierarchies a cgroup2 one could freeze too, but whoever looks at a container looks where the
        // controller is.
        match (self.record().unified(), self.record().v1(Controller::Freezer)) {
            (_, Some(directory)) => Ok(Freezer::V1(directory)),
            (Some(directory), None) => Ok(Freezer::Unified(directory)),
            (None, None) => Err(Error::NoHierarchy("pause".into(), "freezer")),
        }
    }

    /// Sends `signal` to every process of the cgroup and below.
    ///
    /// SIGKILL goes through `cgroup.kill` (Linux 5.14), which misses no process however fast they fork. Otherwise
    /// the cgroup is frozen while its processes are signalled, so that the list stays true; a cgroup that was frozen
    /// before stays so, except for a SIGKILL, which v1 delivers to the thawed only.
    ///
    /// Directories that somebody else has made at the same paths since are left alone.
    ///
    /// # Errors
    /// [`Error::Control`]; the processes after the one that could not be signalled were signalled all the same.
    pub fn kill_all(&self, signal: i32, deadline: Instant) -> Result<(), Error> {
        let own = self.still_own()?;
        let signalled = match signal {
            _ if own.is_gone() => Ok(()),
            SIGKILL => own.kill_at_once(deadline),
            _ => own.signal_all(signal, deadline),
        };
        match signalled {
            // systemd removes a scope as soon as its last process has ended.
            Err(_) if self.still_own()?.is_gone() => Ok(()),
            other => other,
        }
    }

    fn is_gone(&self) -> bool {
        self.record().directories.is_empty()
    }

    fn kill_at_once(&self, deadline: Instant) -> Result<(), Error> {
        let fail = |source| Error::Control("kill", source);
        let directory =
            self.record().unified().map(Directory::open_noted).transpose().map_err(fail)?.flatten();
        let Some(directory) = directory else { return self.signal_all(SIGKILL, deadline) };
        match fs::write_at(&directory, Path::new("cgroup.kill"), b"1") {
            // What v1 has frozen dies only when it is thawed.
            Ok(()) if self.is_frozen()? => self.thaw(),
            Ok(()) => Ok(()),
            // ENOENT: an older kernel. ENODEV: the cgroup is gone. EOPNOTSUPP: a threaded cgroup.
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENODEV | Errno::EOPNOTSUPP) => {
                self.signal_all(SIGKILL, deadline)
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn signal_all(&self, signal: i32, deadline: Instant) -> Result<(), Error> {
        if self.freezer().is_err() {
            return self.signal_each(signal);
        }
        let frozen_before = self.is_frozen()?;
        if !frozen_before {
            self.freeze(deadline)?;
        }
        let signalled = self.signal_each(signal);
        if !frozen_before || signal == SIGKILL {
            self.thaw()?;
        }
        signalled
    }

    fn signal_each(&self, signal: i32) -> Result<(), Error> {
        let mut failure = None;
        for pid in self.all_processes()? {
            match process::kill(process::Pid::from_raw(pid), signal) {
                Err(error) if error.errno() != Errno::ESRCH => failure = Some(error),
                _ => {}
            }
        }
        failure.map_or(Ok(()), |source| Err(Error::Control("signal the processes of", source)))
    }

    /// How many processes of the cgroup and below the kernel has killed for want of memory; 0 without the
    /// controller, or when the cgroup is gone.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let file = match (self.record().v1(Controller::Memory), self.record().unified()) {
            (Some(directory), _) => directory.file("memory.oom_control"),
            (None, Some(directory)) => directory.file("memory.events"),
            (None, None) => return Ok(0),
        };
        let text =
            present(read(&file)).map_err(|source| Error::Control("read the memory events of", source))?;
        Ok(text.as_deref().and_then(|text| value_of(text, "oom_kill")).unwrap_or(0))
    }
}

/// The number after `key` in a file of lines `key number`.
pub(super) fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

fn set(directory: &Directory, file: &str, value: &str) -> sys::Result<()> {
    fs::write_at(fs::AT_FDCWD, Path::new(&directory.file(file)), value.as_bytes())
}

fn freeze_v1(directory: &Directory, deadline: Instant) -> sys::Result<()> {
    loop {
        set(directory, "freezer.state", "FROZEN")?;
        if read(&directory.file("freezer.state"))?.trim() == "FROZEN" {
            return Ok(());
        }
        let what = format!("FROZEN in {:?}", directory.file("freezer.state"));
        let now = Instant::now();
        if now >= deadline {
            return Err(sys::Error::new("poll", what, Errno::ETIMEDOUT));
        }
        match sys::poll::poll(&[], Some(deadline.min(now + ASK_AGAIN)), &what) {
            Err(error) if error.errno() != Errno::ETIMEDOUT => return Err(error),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
