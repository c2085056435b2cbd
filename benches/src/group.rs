//! The two groups of programs that are measured by the same rules: runtimes, and the engines that people type commands to.

use crate::engines;
use crate::runtime::{OURS, REFERENCE, REFERENCE_ENGINE};
use crate::workload::Workload;

/// A group, with a report of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// OCI runtimes.
    Runtimes,
    /// OCI runtimes whose cgroups systemd makes.
    Systemd,
    /// Engines.
    Engines,
}

const OF_RUNTIMES: &str = "\
- wall: from the start of a command to its end, for several commands added up; median and 95th percentile.
- CPU: user and system time of the commands and of every process that they or the measurement waited for, the
  container's own among them; median.
- system calls and peak resident set: one pass each, outside the timed rounds. The calls of `run` and `exec` include
  the container's own, the peak is that of the largest process.
- MB are 10^6 bytes. Sizes are of the program file: crun and runc need shared libraries beside it.
- All use the same bundle (busybox on tmpfs, the namespaces, mounts, masks and device rules of a default spec) and a
  state root on tmpfs each. A cold cache is a state root emptied before the run; where both are
  alike, the runtime keeps nothing between runs.
- floor: a C program that makes the same namespaces, mounts and devices with bare system calls, without masks,
  capabilities, limits or seccomp; floor+cgroups also makes, joins, mounts and removes the same cgroups.
";

const OF_SYSTEMD: &str = "\
- On a machine whose processor is emulated (`cargo xtask vm`), where all takes some twenty times as long: the ratios count.
- wall: from the start of a command to its end, for several commands added up; median and 95th percentile. What systemd does
  before it answers is in it.
- CPU: user and system time of the commands and of every process that they or the measurement waited for, but not
  systemd's; median.
- MB are 10^6 bytes. Sizes are of the program file: crun and runc need shared libraries beside it.
- All use the same bundle (busybox on tmpfs, the namespaces, mounts, masks and device rules of a default spec) and a
  state root on tmpfs each; the cgroup is a scope of its own in system.slice.
";

const OF_ENGINES: &str = "\
- wall: from the start of a command to its end, for several commands added up; median and 95th percentile.
- CPU: user and system time of everything that the engine has: commands, monitors, containers, docker's daemons and shims,
  as a cgroup above them all counts it, until what the commands left has ended; median. Of the output through a monitor
  the container's own share is taken off.
- peak: resident set of the largest process, in one pass of its own that also warms every cache, docker's daemons among
  the processes. That of a monitor (conmon, containerd-shim) is read while its container runs, after 10 MB of output.
- MB are 10^6 bytes. Sizes are of the program file alone.
- All have an image of busybox, and all their directories on one tmpfs; the network is one of the measurement's own, without
  a way out. docker's daemon is up before anything is measured.
- Fifty containers at once serve on ports of the host. Lost is what is not up, has a name that another one has, or does
  not answer on its port, and what there still is, of containers, cgroups, mounts and devices, after `rm -f`.
- The monitors copy lines of 100 bytes into the engine's usual log, which `logs` must then have complete. The monitor alone
  is the user and system time of that process (mydocker-monitor, conmon; docker's daemon does everything else as well, and has
  no row) when the container has written its last line, beside `cat FILE >FILE` of as many bytes as docker's log of them has. All that the engine does for it has
  also the commands that start the container and wait for it, and what the kernel does for them; cat reads the same number
  of bytes from a pipe there.
";

impl Group {
    /// What is measured, in the order of the report.
    pub fn workloads(self) -> Vec<Workload> {
        match self {
            Self::Runtimes => Workload::OF_RUNTIMES.to_vec(),
            Self::Systemd => Workload::OF_SYSTEMD.to_vec(),
            Self::Engines => Workload::OF_ENGINES.to_vec(),
        }
    }

    /// This project's program in it.
    pub fn ours(self) -> &'static str {
        match self {
            Self::Runtimes | Self::Systemd => OURS,
            Self::Engines => engines::OURS,
        }
    }

    /// The program that others are compared with in every table.
    pub fn reference(self) -> &'static str {
        match self {
            Self::Runtimes | Self::Systemd => REFERENCE,
            Self::Engines => REFERENCE_ENGINE,
        }
    }

    /// The name of the report and of the plot in `docs/`, without their endings.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Runtimes => "benchmarks",
            Self::Systemd => "benchmarks-systemd",
            Self::Engines => "benchmarks-mydocker",
        }
    }

    /// Whether a plot belongs to the report. Of the virtual machine only what is printed comes back.
    pub fn has_plot(self) -> bool {
        self != Self::Systemd
    }

    /// The heading of the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Runtimes => "Benchmarks",
            Self::Systemd => "Benchmarks with systemd",
            Self::Engines => "Benchmarks of mydocker",
        }
    }

    /// The target of the Makefile that makes the report.
    pub fn made_by(self) -> &'static str {
        match self {
            Self::Runtimes => "make bench-runtime",
            Self::Systemd => "make bench-systemd",
            Self::Engines => "make bench-mydocker",
        }
    }

    /// What the figures are, as a list.
    pub fn method(self) -> &'static str {
        match self {
            Self::Runtimes => OF_RUNTIMES,
            Self::Systemd => OF_SYSTEMD,
            Self::Engines => OF_ENGINES,
        }
    }

    /// What this project wants its program to reach.
    pub fn wanted(self) -> &'static str {
        match self {
            Self::Runtimes | Self::Systemd => "its runtime",
            Self::Engines => "`mydocker`",
        }
    }
}
