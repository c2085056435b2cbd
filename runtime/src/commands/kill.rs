//! `kill`.

use super::container::{Container, not_running};
use super::report::{cgroup_failed, failed, refusal};
use super::{Outcome, processes};
use crate::cgroup::Cgroup;
use crate::cli::{Context, KillArgs, Report};
use crate::spec::NamespaceKind;
use crate::state::{Progress, Status};
use mydocker_sys::process;
use std::time::{Duration, Instant};

/// How long freezing may take while every process is signalled.
const PATIENCE: Duration = Duration::from_secs(30);

/// `kill`: sends a signal to the first process, or with `--all` to every process. SIGKILL reaches every process in any
/// case: the kernel ends what is in the pid namespace of the first, and where that is not its own they are ended here.
///
/// # Errors
/// If the signal is unknown, or the container is neither created nor running (runtime.md, Kill).
pub fn kill(args: &KillArgs, context: &Context) -> Outcome {
    let signal = parse_signal(&args.signal)?;
    let container = Container::look(context, &args.id)?;
    if args.all {
        return kill_all(&container, signal);
    }
    if !matches!(container.status, Status::Created | Status::Running | Status::Paused) {
        return Err(not_running(&container));
    }
    let Some(init) = container.init()? else { return Err(not_running(&container)) };
    match process::pidfd_kill(&init, signal) {
        Err(error) if error.errno() == mydocker_sys::Errno::ESRCH => return Err(not_running(&container)),
        other => other.map_err(failed("kill"))?,
    }
    if signal == libc::SIGKILL {
        end_others(&container)?;
    }
    Ok(0)
}

/// Sees to what a SIGKILL of the first process alone would leave.
fn end_others(container: &Container) -> Result<(), Box<Report>> {
    let Some(cgroup) = container.record.cgroup.clone().map(Cgroup::open) else { return Ok(()) };
    let ended = match container.record.owns(NamespaceKind::Pid) {
        true => cgroup.let_die(),
        false => cgroup.kill_all(libc::SIGKILL, Instant::now() + PATIENCE),
    };
    ended.map_err(cgroup_failed)
}

fn kill_all(container: &Container, signal: i32) -> Outcome {
    if container.record.progress == Progress::Creating && container.record.init.is_none() {
        // Its cgroups are only intended, and may be somebody else's.
        return Err(not_running(container));
    }
    match &container.record.cgroup {
        Some(record) => {
            Cgroup::open(record.clone()).kill_all(signal, Instant::now() + PATIENCE).map_err(cgroup_failed)?
        }
        None => processes::signal(container, signal)?,
    }
    Ok(0)
}

/// A signal by name, with or without SIG and in any case, or by number (0 only checks).
fn parse_signal(text: &str) -> Result<i32, Box<Report>> {
    mydocker_sys::signal::number(text).ok_or_else(|| {
        refusal("bad-signal", format!("unknown signal {text:?}: give a name such as TERM or a number"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_in_any_case_and_by_number() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("0", 0),
            ("RTMIN+3", 37),
            ("sigrtmax-1", 63),
            ("64", 64),
            ("IOT", 6),
            ("sigpoll", 29),
            ("CLD", 17),
        ] {
            assert_eq!(parse_signal(text).unwrap(), number, "{text}");
        }
        for text in ["", "SIG", "NOSUCH", "65", "-1", "RTMIN+40", "RTMAX--1", "9x"] {
            assert!(parse_signal(text).is_err(), "{text}");
        }
    }
}
