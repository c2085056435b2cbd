//! What is measured: each workload as data, a script of steps for one entrant.

use crate::arena::Arena;
use crate::bundle::{self, Seccomp};
use crate::engines::script::{EngineScript, cat, cat_file};
use crate::meter::Part;
use crate::runtime::{Entrant, Kind};
use std::ffi::OsString;
use std::path::PathBuf;

/// How many containers [`Workload::List`] and [`Workload::Parallel`] have.
pub const MANY: usize = 100;

/// One thing that a user of a runtime or of an engine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// `run` of /bin/true.
    Run,
    /// The same with a seccomp profile, what the runtime keeps between runs being there.
    SeccompWarm,
    /// The same with an emptied state root.
    SeccompCold,
    /// `create`, `start`, the end of the container, `delete`.
    Lifecycle,
    /// `exec` of /bin/true in a running container.
    Exec,
    /// `state` of a running container.
    State,
    /// `kill` of a running container.
    Kill,
    /// `delete` of a stopped container.
    Delete,
    /// `list` of a hundred containers.
    List,
    /// A hundred `run` at once.
    Parallel,
    /// [`Workload::Run`] in a scope of systemd.
    SystemdRun,
    /// [`Workload::Lifecycle`] in a scope of systemd.
    SystemdLifecycle,
    /// An engine's `run --rm` of /bin/true without a network.
    EngineRun,
    /// The same on the default bridge.
    EngineBridge,
    /// An engine's `exec` of /bin/true.
    EngineExec,
    /// `ps` of a hundred containers.
    EnginePs,
    /// `ps` of a thousand.
    EnginePsMany,
    /// Fifty `run --detach` at once, with ports, and the removal of all.
    EngineAtOnce,
    /// A container that writes very much.
    EngineLog,
    /// The share of the process that copies what such a container writes.
    EngineCopy,
    /// What watches a container that runs.
    EngineMonitor,
}

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Runs a command to its end; it must succeed.
    Run(Vec<OsString>),
    /// Runs a command that must end with this status: no runtime is measured that does not really run anything.
    Prove(Vec<OsString>, u8),
    /// Starts all commands at once and waits for all; those that fail are counted.
    Together(Vec<Vec<OsString>>),
    /// Waits for the end of the process whose pid is in the file, as an engine's monitor does.
    AwaitEnd(PathBuf),
    /// Removes everything in a directory.
    Empty(PathBuf),
    /// Runs a command that prints how many things are lost; neither its time nor its CPU time counts.
    Lost(Vec<OsString>),
    /// Runs a command that prints a peak resident set in kilobytes; it is no measurement in time.
    Peak(Vec<OsString>),
    /// Runs a command that prints the CPU time of some process in microseconds: that counts, and no other.
    Cpu(Vec<OsString>),
}

/// What one workload does on one entrant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// Once, before all.
    pub setup: Vec<Step>,
    /// Before each measurement.
    pub before: Vec<Step>,
    /// What is measured.
    pub measured: Vec<Step>,
    /// Of what of the program the CPU time counts.
    pub part: Part,
    /// After each measurement.
    pub after: Vec<Step>,
    /// Once, after all, and after a failure.
    pub teardown: Vec<Step>,
}

impl Workload {
    /// All of runtimes, in the order of the report.
    pub const OF_RUNTIMES: [Self; 10] = [
        Self::Run,
        Self::SeccompWarm,
        Self::SeccompCold,
        Self::Lifecycle,
        Self::Exec,
        Self::State,
        Self::Kill,
        Self::Delete,
        Self::List,
        Self::Parallel,
    ];

    /// Those of runtimes whose cgroups systemd makes.
    pub const OF_SYSTEMD: [Self; 2] = [Self::SystemdRun, Self::SystemdLifecycle];

    /// All of engines, in the order of the report.
    pub const OF_ENGINES: [Self; 9] = [
        Self::EngineRun,
        Self::EngineBridge,
        Self::EngineExec,
        Self::EnginePs,
        Self::EnginePsMany,
        Self::EngineAtOnce,
        Self::EngineCopy,
        Self::EngineLog,
        Self::EngineMonitor,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::SeccompWarm => "seccomp-warm",
            Self::SeccompCold => "seccomp-cold",
            Self::Lifecycle => "create-start-delete",
            Self::Exec => "exec",
            Self::State => "state",
            Self::Kill => "kill",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Parallel => "parallel",
            Self::SystemdRun => "systemd-run",
            Self::SystemdLifecycle => "systemd-create-start-delete",
            Self::EngineRun => "run-alone",
            Self::EngineBridge => "run-bridge",
            Self::EngineExec => "exec-true",
            Self::EnginePs => "ps",
            Self::EnginePsMany => "ps-1000",
            Self::EngineAtOnce => "at-once",
            Self::EngineCopy => "log-copy",
            Self::EngineLog => "log",
            Self::EngineMonitor => "monitor",
        }
    }

    /// Its heading in the report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Run => "run of /bin/true",
            Self::SeccompWarm => "run with a default seccomp profile, warm cache",
            Self::SeccompCold => "run with a default seccomp profile, cold cache",
            Self::Lifecycle => "create + start + delete",
            Self::Exec => "exec into a running container",
            Self::State => "state",
            Self::Kill => "kill",
            Self::Delete => "delete",
            Self::List => "list with 100 containers",
            Self::Parallel => "100 runs in parallel",
            Self::SystemdRun => "run of /bin/true in a scope of systemd",
            Self::SystemdLifecycle => "create + start + delete in a scope of systemd",
            Self::EngineRun => "run --rm of /bin/true, no network",
            Self::EngineBridge => "run --rm of /bin/true, default bridge",
            Self::EngineExec => "exec of /bin/true",
            Self::EnginePs => "ps with 100 containers",
            Self::EnginePsMany => "ps with 1,000 containers",
            Self::EngineAtOnce => "50 run -d with ports at once",
            Self::EngineCopy => "output into the log: the monitor alone",
            Self::EngineLog => "output into the log: all that the engine does for it",
            Self::EngineMonitor => "the monitor of a running container",
        }
    }

    /// The workload of that name.
    ///
    /// # Errors
    /// A name that is none, with all that are.
    pub fn by_name(name: &str) -> Result<Self, String> {
        let runtimes = Self::OF_RUNTIMES.into_iter().chain(Self::OF_SYSTEMD);
        let all: Vec<Self> = runtimes.chain(Self::OF_ENGINES).collect();
        let names = || all.iter().map(|workload| workload.name()).collect::<Vec<_>>().join(", ");
        all.iter()
            .find(|workload| workload.name() == name)
            .copied()
            .ok_or_else(|| format!("one of {}", names()))
    }

    /// Whether engines do it.
    pub fn is_of_engines(self) -> bool {
        Self::OF_ENGINES.contains(&self)
    }

    /// How often it is measured when `iterations` are asked for: a hundred runs are a sample in themselves, and
    /// a peak is looked at once.
    pub fn iterations(self, iterations: u32) -> u32 {
        match self {
            Self::Parallel | Self::EngineAtOnce | Self::EngineCopy | Self::EngineLog => {
                iterations.div_ceil(10)
            }
            Self::EngineMonitor => 0,
            _ => iterations,
        }
    }

    /// Whether its commands can be counted and measured one by one.
    pub fn is_sequential(self) -> bool {
        !matches!(self, Self::Parallel | Self::EngineAtOnce | Self::EngineCopy | Self::EngineLog)
    }

    /// Whether what is counted does not warm the caches: then one round more does.
    pub fn warms_up_by_itself(self) -> bool {
        self == Self::EngineAtOnce
    }

    /// Whether some of it may be lost.
    pub fn counts_losses(self) -> bool {
        matches!(self, Self::Parallel | Self::EngineAtOnce | Self::EngineLog)
    }

    /// Whether a measured command leaves a process behind, for which a tracer would wait.
    pub fn leaves_process(self) -> bool {
        matches!(self, Self::Lifecycle | Self::SystemdLifecycle | Self::EngineAtOnce | Self::EngineCopy)
    }

    /// Whether systemd makes the cgroups.
    pub fn is_of_systemd(self) -> bool {
        Self::OF_SYSTEMD.contains(&self)
    }

    /// The script for an entrant; `None` when it can do no such thing.
    ///
    /// # Errors
    /// A bundle cannot be written.
    pub fn script(self, arena: &Arena, entrant: &Entrant) -> std::io::Result<Option<Script>> {
        match &entrant.kind {
            Kind::Floor { cgroups } => Ok(self.floor_script(arena, entrant, *cgroups)),
            Kind::Oci { root } => Oci { arena, entrant, root, workload: self }.script(),
            Kind::Engine(engine) => Ok(EngineScript { entrant, engine, workload: self }.script()),
            Kind::Cat { producers, log_lines } => Ok(match self {
                Self::EngineCopy => Some(cat_file(arena, entrant, *log_lines)),
                Self::EngineLog => Some(cat(arena, entrant, producers, *log_lines)),
                _ => None,
            }),
        }
    }

    fn floor_script(self, arena: &Arena, entrant: &Entrant, cgroups: bool) -> Option<Script> {
        let command = |index: usize| {
            let mut argv: Vec<OsString> = vec![entrant.path.clone().into(), arena.rootfs().into()];
            if cgroups {
                argv.push(format!("{}/floor-{index}", arena.cgroup).into());
                argv.extend(arena.hierarchies.iter().map(|hierarchy| hierarchy.clone().into()));
            }
            argv
        };
        let measured = match self {
            Self::Run => Step::Run(command(0)),
            Self::Parallel => Step::Together((0..MANY).map(command).collect()),
            _ => return None,
        };
        Some(Script { measured: vec![measured], ..Script::default() })
    }
}

/// A command whose status nothing but running it gives.
pub const PROOF: [&str; 3] = ["/bin/sh", "-c", "exit 7"];
/// The status of [`PROOF`].
pub const PROOF_STATUS: u8 = 7;

/// The scripts of the OCI command line.
struct Oci<'a> {
    arena: &'a Arena,
    entrant: &'a Entrant,
    root: &'a PathBuf,
    workload: Workload,
}

impl Oci<'_> {
    fn script(&self) -> std::io::Result<Option<Script>> {
        let script = match self.workload {
            Workload::Run | Workload::SystemdRun => self.run(Seccomp::None),
            Workload::SeccompWarm => self.run(Seccomp::Default),
            Workload::SeccompCold => self.run(Seccomp::Default).map(|script| {
                let before = vec![Step::Empty(self.root.clone())];
                Script { before, ..script }
            }),
            Workload::Lifecycle | Workload::SystemdLifecycle => self.lifecycle(),
            Workload::Exec => self.exec(),
            Workload::State => self.of_running(|id| Step::Run(self.argv(&["state", id]))),
            Workload::Kill => self.kill(),
            Workload::Delete => self.delete(),
            Workload::List => self.list(),
            Workload::Parallel => self.parallel(),
            _ => return Ok(None),
        };
        script.map(Some)
    }

    fn id(&self) -> String {
        format!("{}-{}", self.entrant.name, self.workload.name())
    }

    fn argv(&self, words: &[&str]) -> Vec<OsString> {
        let mut argv: Vec<OsString> =
            vec![self.entrant.path.clone().into(), "--root".into(), self.root.into()];
        if self.workload.is_of_systemd() {
            argv.push("--systemd-cgroup".into());
        }
        argv.extend(words.iter().map(OsString::from));
        argv
    }

    fn bundle(&self, id: &str, args: &[&str], seccomp: Seccomp) -> std::io::Result<PathBuf> {
        let cgroup = match self.workload.is_of_systemd() {
            // The slice, and the two parts of the scope's name.
            true => format!("system.slice:bench:{id}"),
            false => format!("/{}/{id}", self.arena.cgroup),
        };
        bundle::make(self.arena, id, &cgroup, args, seccomp)
    }

    fn run_argv(&self, id: &str, args: &[&str], seccomp: Seccomp) -> std::io::Result<Vec<OsString>> {
        let bundle = self.bundle(id, args, seccomp)?;
        Ok(self.argv(&["run", "--bundle", &bundle.to_string_lossy(), id]))
    }

    /// Starts a container that sleeps, in the background; the path of its pid file is the second value.
    fn start_sleeper(&self, id: &str) -> std::io::Result<(Step, PathBuf)> {
        let bundle = self.bundle(id, &["sleep", "100000"], Seccomp::None)?;
        let pid_file = bundle.join("pid");
        let (bundle, pid) = (bundle.to_string_lossy(), pid_file.to_string_lossy());
        let words = ["run", "--detach", "--bundle", &bundle, "--pid-file", &pid, id];
        Ok((Step::Run(self.argv(&words)), pid_file))
    }

    fn force_delete(&self, id: &str) -> Vec<Step> {
        vec![Step::Run(self.argv(&["delete", "--force", id]))]
    }

    fn run(&self, seccomp: Seccomp) -> std::io::Result<Script> {
        let proof = self.run_argv(&format!("{}-proof", self.id()), &PROOF, seccomp)?;
        let measured = vec![Step::Run(self.run_argv(&self.id(), &["/bin/true"], seccomp)?)];
        Ok(Script { setup: vec![Step::Prove(proof, PROOF_STATUS)], measured, ..Script::default() })
    }

    fn lifecycle(&self) -> std::io::Result<Script> {
        let id = self.id();
        let bundle = self.bundle(&id, &["/bin/true"], Seccomp::None)?;
        let pid_file = bundle.join("pid");
        let create =
            ["create", "--bundle", &bundle.to_string_lossy(), "--pid-file", &pid_file.to_string_lossy(), &id];
        let measured = vec![
            Step::Run(self.argv(&create)),
            Step::Run(self.argv(&["start", &id])),
            Step::AwaitEnd(pid_file),
            Step::Run(self.argv(&["delete", &id])),
        ];
        Ok(Script { measured, ..Script::default() })
    }

    fn of_running(&self, measured: impl Fn(&str) -> Step) -> std::io::Result<Script> {
        let id = self.id();
        let (start, _) = self.start_sleeper(&id)?;
        let measured = vec![measured(&id)];
        Ok(Script { setup: vec![start], measured, teardown: self.force_delete(&id), ..Script::default() })
    }

    fn exec(&self) -> std::io::Result<Script> {
        let id = self.id();
        let mut script = self.of_running(|id| Step::Run(self.argv(&["exec", id, "/bin/true"])))?;
        let proof = self.argv(&[&["exec", &id][..], &PROOF].concat());
        script.setup.push(Step::Prove(proof, PROOF_STATUS));
        Ok(script)
    }

    fn kill(&self) -> std::io::Result<Script> {
        let id = self.id();
        let (start, pid_file) = self.start_sleeper(&id)?;
        let measured = vec![Step::Run(self.argv(&["kill", &id, "KILL"]))];
        let after = vec![Step::AwaitEnd(pid_file), Step::Run(self.argv(&["delete", &id]))];
        Ok(Script { before: vec![start], measured, after, ..Script::default() })
    }

    fn delete(&self) -> std::io::Result<Script> {
        let id = self.id();
        let (start, pid_file) = self.start_sleeper(&id)?;
        let before = vec![start, Step::Run(self.argv(&["kill", &id, "KILL"])), Step::AwaitEnd(pid_file)];
        let measured = vec![Step::Run(self.argv(&["delete", &id]))];
        Ok(Script { before, measured, ..Script::default() })
    }

    fn list(&self) -> std::io::Result<Script> {
        let mut script = Script { measured: vec![Step::Run(self.argv(&["list"]))], ..Script::default() };
        for index in 0..MANY {
            let id = format!("{}-{index}", self.id());
            script.setup.push(self.start_sleeper(&id)?.0);
            script.teardown.extend(self.force_delete(&id));
        }
        Ok(script)
    }

    fn parallel(&self) -> std::io::Result<Script> {
        let ids = (0..MANY).map(|index| format!("{}-{index}", self.id()));
        let commands: Result<Vec<_>, _> =
            ids.map(|id| self.run_argv(&id, &["/bin/true"], Seccomp::None)).collect();
        Ok(Script { measured: vec![Step::Together(commands?)], ..Script::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_found_by_its_name() {
        for workload in [&Workload::OF_RUNTIMES[..], &Workload::OF_SYSTEMD, &Workload::OF_ENGINES].concat() {
            assert_eq!(Workload::by_name(workload.name()), Ok(workload));
        }
        assert!(Workload::by_name("nothing").unwrap_err().contains("seccomp-cold"));
    }

    #[test]
    fn a_hundred_parallel_runs_are_repeated_less() {
        assert_eq!(Workload::Parallel.iterations(50), 5);
        assert_eq!(Workload::Parallel.iterations(1), 1);
        assert_eq!(Workload::Run.iterations(50), 50);
        assert_eq!(Workload::EngineMonitor.iterations(50), 0);
    }
}
