//! Follows a command and all its processes from one system call to the next, and lets a fault strike at one of them.
//!
//! `strace -e inject` counts the calls of all processes by name, so that a fault meant for the child strikes the parent
//! as well. Here a point is one call of one process.

use crate::point::{Fault, Point};
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use syscalls::Sysno;

/// Where the fault strikes and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Strike {
    /// Which process, in order of birth.
    pub process: usize,
    /// Which of its calls.
    pub call: usize,
    /// What happens.
    pub fault: Fault,
    /// The call that has to be made there, if any other is to be let through: threads do not always do the same in the
    /// same order.
    pub only: Option<Sysno>,
}

impl Strike {
    fn is_meant(&self, name: &str) -> bool {
        self.only.is_none_or(|only| only.name() == name)
    }
}

/// What came of following a command.
#[derive(Debug)]
pub struct Trace {
    /// Every call that was counted, process by process in the order in which they were made.
    pub points: Vec<Point>,
    /// Whether the fault struck.
    pub struck: bool,
    /// The exit status of the command, 128 + n after signal n.
    pub status: u8,
}

#[derive(Debug, Default)]
struct Traced {
    ordinal: usize,
    calls: usize,
    inside: bool,
    /// The call that was taken away at its entry, and has to be told to have failed at its exit.
    refused: bool,
    /// It has become the container's program: its calls are no longer the runtime's.
    is_program: bool,
}

struct Tracer {
    root: Pid,
    strike: Option<Strike>,
    program: Option<PathBuf>,
    processes: BTreeMap<i32, Traced>,
    born: usize,
    /// The shell has become the command. Before that nothing counts.
    is_command: bool,
    trace: Trace,
}

/// Runs `words` to its end. `program` is the container's program: a process that executes it is no longer looked at.
///
/// Processes that outlive the command are let go when it ends, and are killed when this process is.
///
/// # Errors
/// The call of ptrace or wait that failed.
pub fn follow(words: &[OsString], program: Option<PathBuf>, strike: Option<Strike>) -> anyhow::Result<Trace> {
    let root = start_stopped(words)?;
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(root, options)?;
    kill(root, Signal::SIGCONT)?;
    let trace = Trace { points: Vec::new(), struck: false, status: 0 };
    let mut tracer =
        Tracer { root, strike, program, processes: BTreeMap::new(), born: 0, is_command: false, trace };
    tracer.run()?;
    Ok(tracer.trace)
}

/// A shell that stops itself and then becomes the command: it cannot run away before it is traced.
fn start_stopped(words: &[OsString]) -> anyhow::Result<Pid> {
    let child =
        Command::new("/bin/sh").args(["-c", "kill -STOP $$; exec \"$@\"", "sh"]).args(words).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    match waitpid(pid, Some(WaitPidFlag::WUNTRACED))? {
        WaitStatus::Stopped(..) => Ok(pid),
        other => anyhow::bail!("the shell did not stop: {other:?}"),
    }
}

impl Tracer {
    fn run(&mut self) -> anyhow::Result<()> {
        let mut over = false;
        while !over || !self.processes.is_empty() {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Ok(status) => status,
                Err(Errno::ECHILD) => break,
                Err(errno) => return Err(errno.into()),
            };
            if let Some((pid, status)) = end_of(status) {
                self.processes.remove(&pid.as_raw());
                if pid == self.root {
                    self.trace.status = status;
                    over = true;
                    self.stop_the_others();
                }
            } else if let Some(pid) = status.pid() {
                tolerate_death(self.step(pid, status, over))?;
            }
        }
        Ok(())
    }

    /// The command has ended. What lives on is stopped so that it can be let go; what has gone meanwhile is as good.
    fn stop_the_others(&self) {
        for pid in self.processes.keys() {
            let _ = ptrace::interrupt(Pid::from_raw(*pid));
        }
    }

    /// One stop of one process; with `over` it goes on without us.
    fn step(&mut self, pid: Pid, status: WaitStatus, over: bool) -> nix::Result<()> {
        self.meet(pid);
        if over {
            self.processes.remove(&pid.as_raw());
            let signal = if let WaitStatus::Stopped(_, signal) = status { Some(signal) } else { None };
            return ptrace::detach(pid, signal);
        }
        match status {
            WaitStatus::PtraceSyscall(_) => self.at_call(pid)?,
            WaitStatus::PtraceEvent(_, _, event) => self.at_event(pid, event),
            WaitStatus::Stopped(_, signal) => return ptrace::syscall(pid, signal),
            _ => {}
        }
        if self.processes.get(&pid.as_raw()).is_some_and(|process| process.is_program) {
            return ptrace::cont(pid, None);
        }
        ptrace::syscall(pid, None)
    }

    /// Gives a process that is seen for the first time its number.
    fn meet(&mut self, pid: Pid) {
        if self.processes.contains_key(&pid.as_raw()) {
            return;
        }
        let process = Traced { ordinal: self.born, is_program: self.is_program(pid), ..Traced::default() };
        self.born += 1;
        self.processes.insert(pid.as_raw(), process);
    }

    /// Whether the process runs the container's program, or was made by it.
    fn is_program(&self, pid: Pid) -> bool {
        let Some(program) = &self.program else { return false };
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.ends_with(program))
    }

    fn at_event(&mut self, pid: Pid, event: i32) {
        if event != nix::libc::PTRACE_EVENT_EXEC {
            return;
        }
        self.is_command |= pid == self.root;
        let is_program = self.is_program(pid);
        if let Some(process) = self.processes.get_mut(&pid.as_raw()) {
            process.is_program = is_program;
        }
    }

    fn at_call(&mut self, pid: Pid) -> nix::Result<()> {
        let strike = self.strike;
        let Some(process) = self.processes.get_mut(&pid.as_raw()) else { return Ok(()) };
        if process.inside {
            process.inside = false;
            if std::mem::take(&mut process.refused) {
                return set_result(pid, Errno::EIO);
            }
            return Ok(());
        }
        process.inside = true;
        if !self.is_command {
            return Ok(());
        }
        let name = name_of(ptrace::getregs(pid)?.orig_rax);
        let call = process.calls;
        process.calls += 1;
        let ordinal = process.ordinal;
        self.trace.points.push(Point { process: ordinal, call, name: name.clone() });
        match strike {
            Some(strike) if strike.process == ordinal && strike.call == call && strike.is_meant(&name) => {
                self.trace.struck = true;
                process.refused = strike.fault == Fault::Fails;
                strike_at(pid, strike.fault, name == "close")
            }
            _ => Ok(()),
        }
    }
}

fn end_of(status: WaitStatus) -> Option<(Pid, u8)> {
    match status {
        WaitStatus::Exited(pid, code) => Some((pid, u8::try_from(code & 0xff).unwrap_or(255))),
        WaitStatus::Signaled(pid, signal, _) => Some((pid, u8::try_from(128 + signal as i32).unwrap_or(255))),
        _ => None,
    }
}

/// `is_made` is said of a call that has its effect even when it fails, as close does, which always frees the descriptor.
fn strike_at(pid: Pid, fault: Fault, is_made: bool) -> nix::Result<()> {
    match fault {
        Fault::Killed => kill(pid, Signal::SIGKILL),
        Fault::Fails if is_made => Ok(()),
        Fault::Fails => {
            let mut registers = ptrace::getregs(pid)?;
            // The kernel makes no call for a number that it does not know.
            registers.orig_rax = u64::MAX;
            ptrace::setregs(pid, registers)
        }
    }
}

fn set_result(pid: Pid, errno: Errno) -> nix::Result<()> {
    let mut registers = ptrace::getregs(pid)?;
    registers.rax = (-i64::from(errno as i32)).cast_unsigned();
    ptrace::setregs(pid, registers)
}

fn name_of(number: u64) -> String {
    let known = usize::try_from(number).ok().and_then(Sysno::new);
    known.map_or_else(|| format!("#{number}"), |call| call.name().to_owned())
}

/// A process that was killed between two of our calls is reported by the next wait.
fn tolerate_death(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ESRCH) => Ok(()),
        other => other,
    }
}
