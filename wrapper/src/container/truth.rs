//! What a recorded state is worth: a monitor that was killed, or a reboot, leaves one that is no longer true.

use super::{Process, State, Status};

/// Which of the processes of a state still live, and whether the host has not been started since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The container's first process lives.
    pub process: bool,
    /// Its monitor lives.
    pub monitor: bool,
    /// The boot is the one that the state is about.
    pub same_boot: bool,
}

/// The status that is true. Pure: `seen` is all that it knows of the host.
///
/// A container without its monitor runs on if its process does. One whose process has gone has exited, whatever the
/// state says; nobody knows how, which [`State::exit_code`] 255 stands for once the state is mended.
#[must_use]
pub fn look(state: &State, seen: Seen) -> Status {
    match state.status {
        Status::Running | Status::Paused if seen.same_boot && seen.process => state.status,
        Status::Running | Status::Paused if seen.same_boot && seen.monitor => state.status,
        Status::Restarting if seen.same_boot && seen.monitor => state.status,
        Status::Running | Status::Paused | Status::Restarting => Status::Exited,
        other => other,
    }
}

impl Seen {
    /// Looks at the processes of a state.
    #[must_use]
    pub fn of(state: &State, boot: &str) -> Self {
        let same_boot = state.boot == boot;
        let lives = |process: &Option<Process>| same_boot && process.is_some_and(|process| process.lives());
        Self { process: lives(&state.process), monitor: lives(&state.monitor), same_boot }
    }
}

impl Process {
    /// The process of this id; `None` if there is none, or if it has ended and waits to be reaped.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text);
        // The program's name, in parentheses, may have anything in it.
        let mut fields = text.get(text.rfind(')')? + 2..)?.split(' ');
        let is_dead = matches!(fields.next()?, "Z" | "X");
        let began = fields.nth(18)?.parse().ok()?;
        (!is_dead).then_some(Self { pid, began })
    }

    /// Whether it is still there, and not another one of its id.
    #[must_use]
    pub fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_worth_what_its_processes_are() {
        let seen = |process, monitor, same_boot| Seen { process, monitor, same_boot };
        for (status, seen, truth) in [
            (Status::Created, seen(false, false, true), Status::Created),
            (Status::Running, seen(true, true, true), Status::Running),
            (Status::Running, seen(true, false, true), Status::Running),
            (Status::Running, seen(false, true, true), Status::Running),
            (Status::Running, seen(false, false, true), Status::Exited),
            (Status::Running, seen(true, true, false), Status::Exited),
            (Status::Paused, seen(false, false, true), Status::Exited),
            (Status::Restarting, seen(false, true, true), Status::Restarting),
            (Status::Restarting, seen(false, false, true), Status::Exited),
            (Status::Exited, seen(false, false, false), Status::Exited),
        ] {
            let state = State { status, ..State::default() };
            assert_eq!(look(&state, seen), truth, "{status:?} {seen:?}");
        }
    }

    #[test]
    fn a_process_is_itself_and_no_other() {
        let own = Process::of(mydocker_sys::process::getpid().as_raw()).expect("this one");
        assert!(own.lives());
        assert!(!Process { began: own.began + 1, ..own }.lives());
    }
}
