//! Counts system calls and the peak resident set of commands, in passes of their own: both cost time.

use crate::arena::{Arena, find_program};
use crate::executor::{Error, Executor};
use crate::meter::Meter;
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

/// A pass that counts instead of measuring times.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// What runs the commands.
    pub executor: &'a Executor,
    /// Where.
    pub arena: &'a Arena,
    /// What for.
    pub workload: Workload,
}

impl Pass<'_> {
    /// The number of system calls that the measured steps of a workload make, the container's own among them; `None`
    /// where the tool cannot count them.
    ///
    /// # Errors
    /// A step that fails.
    pub fn syscalls(&self, tool: &Tool, steps: &[Step]) -> Result<Option<u64>, Error> {
        let hangs = matches!(tool, Tool::Strace(_)) && self.workload.leaves_process();
        if *tool == Tool::None || hangs {
            return Ok(None);
        }
        let report = self.arena.path("counted");
        let counts = self.wrapped(steps, &tool.prefix(&report), &report, count)?;
        Ok(Some(counts.iter().sum()))
    }

    /// The peak resident set in bytes: of the largest of the commands, of what they waited for, and of the daemon's
    /// processes meanwhile.
    ///
    /// # Errors
    /// A step that fails.
    pub fn peak_resident(&self, meter: &Meter, steps: &[Step]) -> Result<Option<u64>, Error> {
        if let [Step::Peak(argv)] = steps {
            return self.executor.told(self.arena, argv).map(|kilobytes| Some(kilobytes * 1024));
        }
        let daemon = meter.daemon_processes();
        daemon.iter().copied().try_for_each(reset_peak)?;
        let report = self.arena.path("peaked");
        let prefix = [self.arena.path("peak").into(), report.clone().into()];
        let mut peaks = self.wrapped(steps, &prefix, &report, |text| text.trim().parse().ok())?;
        for pid in daemon {
            peaks.push(peak_of(pid)?);
        }
        Ok(peaks.iter().max().map(|kilobytes| kilobytes * 1024))
    }

    /// Carries out the steps with `prefix` before each command, and reads the number that it leaves in `report`.
    fn wrapped(
        &self,
        steps: &[Step],
        prefix: &[OsString],
        report: &Path,
        parse: impl Fn(&str) -> Option<u64>,
    ) -> Result<Vec<u64>, Error> {
        let mut numbers = Vec::new();
        for step in steps {
            let Step::Run(argv) = step else {
                self.executor.steps(self.arena, std::slice::from_ref(step))?;
                continue;
            };
            self.executor.steps(self.arena, &[Step::Run([prefix, argv].concat())])?;
            let text = read(report)?;
            let number = parse(&text).ok_or_else(|| Error::Command(format!("no count in {text:?}")))?;
            numbers.push(number);
        }
        Ok(numbers)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error::File(path.into(), error))
}

/// Makes the present resident set of a process its peak.
///
/// # Errors
/// The process is gone.
pub fn reset_peak(pid: u32) -> Result<(), Error> {
    let file = PathBuf::from(format!("/proc/{pid}/clear_refs"));
    // 5 is the kernel's word for that (proc(5)).
    std::fs::write(&file, "5").map_err(|error| Error::File(file, error))
}

/// The peak of a process in kilobytes.
///
/// # Errors
/// The process is gone.
pub fn peak_of(pid: u32) -> Result<u64, Error> {
    let file = PathBuf::from(format!("/proc/{pid}/status"));
    let text = read(&file)?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| Error::File(file, std::io::Error::other("no peak: the process has ended")))
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
