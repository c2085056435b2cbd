//! Whether a process that was noted down is still the same one.

use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::process::{self, Exit, Pid};
use mydocker_sys::signal::SignalBits;
use mydocker_sys::{Errno, OwnedFd};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A process by number and start: a number alone comes back for another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRecord {
    /// Its pid in the runtime's pid namespace.
    pub pid: i32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
}

/// What has become of a noted process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It runs (or sleeps, or is stopped by a signal).
    Alive,
    /// It has ended; perhaps nobody has reaped it yet.
    Dead,
}

impl ProcessRecord {
    /// Notes down a process.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn of(pid: i32) -> mydocker_sys::Result<Self> {
        let stat = read_stat(pid)?;
        Ok(Self { pid, start_time: stat.start_time })
    }

    /// The same, with the signals that it ignores: one look tells both.
    ///
    /// # Errors
    /// `ESRCH` when there is none.
    pub fn with_ignored_signals(pid: i32) -> mydocker_sys::Result<(Self, SignalBits)> {
        let stat = read_stat(pid)?;
        Ok((Self { pid, start_time: stat.start_time }, stat.ignored))
    }

    /// What has become of it.
    ///
    /// # Errors
    /// What the kernel says beyond that there is no such process.
    pub fn liveness(&self) -> mydocker_sys::Result<Liveness> {
        match read_stat(self.pid) {
            Ok(stat) if stat.start_time == self.start_time && !stat.ended => Ok(Liveness::Alive),
            Ok(_) => Ok(Liveness::Dead),
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ESRCH) => Ok(Liveness::Dead),
            Err(error) => Err(error),
        }
    }

    /// How it ended, while its parent has not reaped it.
    ///
    /// # Errors
    /// What the kernel says beyond that there is no such process.
    pub fn unreaped_exit(&self) -> mydocker_sys::Result<Option<Exit>> {
        match read_stat(self.pid) {
            Ok(stat) if stat.start_time == self.start_time && stat.ended => Ok(stat.exit),
            Ok(_) => Ok(None),
            Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A descriptor of it, if it is still the same process and has not ended.
    ///
    /// # Errors
    /// What the kernel says beyond that there is no such process.
    pub fn open(&self) -> mydocker_sys::Result<Option<OwnedFd>> {
        let pidfd = match process::pidfd_open(Pid::from_raw(self.pid)) {
            Ok(pidfd) => pidfd,
            Err(error) if error.errno() == Errno::ESRCH => return Ok(None),
            Err(error) => return Err(error),
        };
        // The look comes after the opening: what is alive and the same now is what the descriptor means.
        Ok((self.liveness()? == Liveness::Alive).then_some(pidfd))
    }
}

struct Stat {
    start_time: u64,
    /// Field 33; real-time signals are not in it.
    ignored: SignalBits,
    ended: bool,
    /// How, as far as the kernel tells.
    exit: Option<Exit>,
}

fn read_stat(pid: i32) -> mydocker_sys::Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let file = fs::open(Path::new(&path), OFlag::O_RDONLY)?;
    let mut text = [0u8; 1024];
    let length = fs::read(&file, &mut text)?;
    parse_stat(&text[..length])
        .ok_or_else(|| mydocker_sys::Error::new("read", format!("{path}: not understood"), Errno::EINVAL))
}

/// The third, the 22nd and the 33rd field; the second, the program's name in parentheses, may hold anything.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end_of_name = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end_of_name + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let start_time = fields.nth(18)?.parse().ok()?;
    let ignored = fields.nth(10)?.parse().ok()?;
    // Field 52 holds 0 for whoever may not trace the process, so that 0 is believed to root alone.
    let status: Option<i32> = fields.nth(18).and_then(|field| field.parse().ok());
    let exit = status.filter(|status| *status != 0 || process::euid() == 0).map(Exit::from_wait_status);
    Some(Stat { start_time, ignored, ended: matches!(state, "Z" | "X" | "x"), exit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_the_same_pid_from_another_time_is_not() {
        let record = ProcessRecord::of(std::process::id() as i32).unwrap();
        assert_eq!(record.liveness().unwrap(), Liveness::Alive);
        assert!(record.open().unwrap().is_some());
        let other = ProcessRecord { start_time: record.start_time + 1, ..record };
        assert_eq!(other.liveness().unwrap(), Liveness::Dead);
        assert!(other.open().unwrap().is_none());
    }

    #[test]
    fn a_program_name_full_of_parentheses_does_not_shift_the_fields() {
        let text =
            b"7 (a) Z 1 (b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4242 1 1 1 1 1 1 1 1 0 0 4097 2";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.start_time, stat.ignored), (4242, 4097));
        assert!(!stat.ended);
    }

    #[test]
    fn a_child_that_nobody_has_reaped_tells_how_it_ended() {
        let mut child = std::process::Command::new("/bin/sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pid = child.id() as i32;
        let record = ProcessRecord::of(pid).unwrap();
        let pidfd = process::pidfd_open(Pid::from_raw(pid)).unwrap();
        let interest = [mydocker_sys::poll::Interest::read(std::os::fd::AsFd::as_fd(&pidfd))];
        mydocker_sys::poll::poll(&interest, None, "the child's end").unwrap();
        assert_eq!(record.unreaped_exit().unwrap(), Some(Exit::Code(7)));
        child.wait().unwrap();
        assert_eq!(record.unreaped_exit().unwrap(), None);
    }
}
