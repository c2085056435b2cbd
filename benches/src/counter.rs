//! Counts system calls and the peak resident set of commands, in passes of their own: both cost time.

use crate::arena::{Arena, find_program};
use crate::executor::{Error, Executor};
use crate::workload::{Step, Workload};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The event that the kernel raises at the entry of every system call.
const EVENT: &str = "raw_syscalls:sys_enter";

/// What system calls are counted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tool {
    /// `perf stat`: counts without stopping the command.
    Perf(PathBuf),
    /// `strace -f -c`: waits for every process that a command leaves behind.
    Strace(PathBuf),
    /// Neither is here.
    None,
}

impl Tool {
    /// The first that works: perf may be installed without the kernel letting it count.
    pub fn find() -> Self {
        if let Some(perf) = find_program("perf").filter(|perf| perf_counts(perf)) {
            return Self::Perf(perf);
        }
        find_program("strace").map_or(Self::None, Self::Strace)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Perf(_) => "perf stat",
            Self::Strace(_) => "strace -f -c",
            Self::None => "nothing: neither perf nor strace works here",
        }
    }

    fn prefix(&self, report: &Path) -> Vec<OsString> {
        let words = |program: &Path, words: &[&str]| {
            let mut argv = vec![program.as_os_str().to_owned()];
            argv.extend(words.iter().map(OsString::from));
            argv.push(report.into());
            argv
        };
        match self {
            Self::Perf(perf) => words(perf, &["stat", "-x", ",", "-e", EVENT, "-o"]),
            Self::Strace(strace) => words(strace, &["-f", "-c", "-o"]),
            Self::None => Vec::new(),
        }
    }
}

fn perf_counts(perf: &Path) -> bool {
    let mut command = Command::new(perf);
    command.args(["stat", "-e", EVENT, "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The number of system calls that the measured steps of a workload make, the container's own among them; `None`
/// where the tool cannot count them.
///
/// # Errors
/// A step that fails.
pub fn syscalls(
    executor: &Executor,
    arena: &Arena,
    tool: &Tool,
    workload: Workload,
    steps: &[Step],
) -> Result<Option<u64>, Error> {
    let hangs = matches!(tool, Tool::Strace(_)) && workload.leaves_process();
    if *tool == Tool::None || hangs || !workload.is_sequential() {
        return Ok(None);
    }
    let report = arena.path("counted");
    let counts = wrapped(executor, arena, steps, &tool.prefix(&report), &report, count)?;
    Ok(Some(counts.iter().sum()))
}

/// The peak resident set in bytes: of the largest of the commands, and of what they waited for.
///
/// # Errors
/// A step that fails.
pub fn peak_resident(
    executor: &Executor,
    arena: &Arena,
    workload: Workload,
    steps: &[Step],
) -> Result<Option<u64>, Error> {
    if !workload.is_sequential() {
        return Ok(None);
    }
    let report = arena.path("peaked");
    let prefix = [arena.path("peak").into(), report.clone().into()];
    let kilobytes = wrapped(executor, arena, steps, &prefix, &report, |text| text.trim().parse().ok())?;
    Ok(kilobytes.iter().max().map(|kilobytes| kilobytes * 1024))
}

/// Carries out the steps with `prefix` before each command, and reads the number that it leaves in `report`.
fn wrapped(
    executor: &Executor,
    arena: &Arena,
    steps: &[Step],
    prefix: &[OsString],
    report: &Path,
    parse: impl Fn(&str) -> Option<u64>,
) -> Result<Vec<u64>, Error> {
    let mut numbers = Vec::new();
    for step in steps {
        let Step::Run(argv) = step else {
            executor.steps(arena, std::slice::from_ref(step))?;
            continue;
        };
        executor.steps(arena, &[Step::Run([prefix, argv].concat())])?;
        let text = std::fs::read_to_string(report).map_err(|error| Error::File(report.into(), error))?;
        let number = parse(&text).ok_or_else(|| Error::Command(format!("no count in {text:?}")))?;
        numbers.push(number);
    }
    Ok(numbers)
}

/// The count in the report of either tool: perf's first field before the event, strace's fourth before "total".
fn count(report: &str) -> Option<u64> {
    report.lines().find_map(|line| {
        if line.contains(EVENT) {
            return line.split(',').next()?.parse().ok();
        }
        let line = line.strip_suffix(" total")?;
        line.split_whitespace().nth(3)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_perf_is_read() {
        let report = "# started on a day\n\n1020,,raw_syscalls:sys_enter,7139000,100.00,,\n";
        assert_eq!(count(report), Some(1020));
        assert_eq!(count("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
    }

    #[test]
    fn the_count_of_strace_is_read() {
        let report = "% time     seconds  usecs/call     calls    errors syscall\n\
                      ------ ----------- ----------- --------- --------- ----------------\n\
                       90.00    0.003000           3      1000        63 mount\n\
                      100.00    0.003731           3      1013        63 total\n";
        assert_eq!(count(report), Some(1013));
        assert_eq!(count("100.00    0.000000           0        13           total\n"), Some(13));
    }
}
