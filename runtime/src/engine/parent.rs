//! The runtime's side: makes the first process and answers it until it needs nothing more.

use super::child::{self, Gate, Slots};
use super::compile::Compiled;
use super::console::{self, ConsoleError};
use super::failure::Failure;
use super::foreground::{callers_terminal, match_terminal};
use super::hooks;
use super::id_map::IdMaps;
use super::joined::{self, JoinedError};
use super::message::{Answer, Channel, Report, patience};
use super::mounts::clone_kind;
use super::net_devices;
use super::user_map;
use crate::cgroup::JoinFds;
use crate::plan::Step;
use crate::spec::{IdMapping, Seccomp};
use crate::timings::Timings;
use crate::validate::Rlimit;
use mydocker_sys::fs;
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::process::{self, Exit, Pid};
use mydocker_sys::signal::SignalBits;
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, mount};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What the runtime brings along.
pub struct Launch<'a> {
    /// The compiled plan.
    pub compiled: &'a Compiled,
    /// The cgroups to enter, as far as they are there.
    pub cgroups: Option<JoinFds>,
    /// The running container to join.
    pub container: Option<OwnedFd>,
    /// Where a created container waits for `start`.
    pub gate: Option<Gate>,
    /// Makes the rest of them, where the plan has the first process enter them late; or has systemd put the process with
    /// a pid into the container's unit.
    pub place: Option<Place<'a>>,
    /// Where the terminal goes; without one the caller gets it.
    pub console_socket: Option<&'a Path>,
    /// The filter as it is written, for its listener.
    pub seccomp: Option<&'a Seccomp>,
    /// The container's directory, whose lock is the runtime's alone: a copy of the descriptor in the first process
    /// would hold it for as long as that waits for `start`.
    pub lock: Option<BorrowedFd<'a>>,
    /// The runtime's effective user id.
    pub euid: u32,
    /// Where it is told how long the parts took.
    pub timings: &'a Timings,
}

/// How far the conversation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The container waits for `start`.
    Created,
    /// The program is executed.
    Executed,
}

/// A first process that has come as far as was asked. It is killed when this is dropped without [`Launched::release`].
#[derive(Debug)]
pub struct Launched {
    /// Its pid in the runtime's pid namespace.
    pub pid: i32,
    /// The multiplexer of its terminal, where no socket took it.
    pub terminal: Option<OwnedFd>,
    pidfd: Option<OwnedFd>,
}

impl Launch<'_> {
    /// The OOM score that the first process has to inherit: its own file in /proc is root's as soon as it hides from
    /// tracers, and an ordinary user can set no other's.
    fn oom_score_to_lend(&self) -> Option<i32> {
        self.compiled.plan.parent.oom_score_adj.filter(|_| self.euid != 0)
    }
}

/// The runtime's own OOM score, changed for as long as it makes a process that inherits it.
struct OomScore {
    before: Option<i32>,
}

impl OomScore {
    fn lend(score: i32) -> Result<Self, Error> {
        let before = fs::read_at(fs::AT_FDCWD, Path::new("/proc/self/oom_score_adj"), 64)
            .map_err(call("read oom_score_adj"))?;
        set_oom_score_adj("self", score)?;
        Ok(Self { before: String::from_utf8_lossy(&before).trim().parse().ok() })
    }

    fn take_back(self) -> Result<(), Error> {
        self.before.map_or(Ok(()), |score| set_oom_score_adj("self", score))
    }
}

impl Launched {
    /// Lets the process live on without this value.
    ///
    /// # Errors
    /// `EBADF` when it was released already.
    pub fn release(mut self) -> mydocker_sys::Result<OwnedFd> {
        self.pidfd.take().ok_or_else(|| mydocker_sys::Error::new("release", "pidfd", Errno::EBADF))
    }

    /// A descriptor of the process.
    #[must_use]
    pub fn pidfd(&self) -> Option<&OwnedFd> {
        self.pidfd.as_ref()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            end(pidfd);
        }
    }
}

/// Kills and reaps a child. Both fail when it has ended and was reaped; one that hangs in the kernel is left to it.
pub fn end(pidfd: &OwnedFd) -> Option<Exit> {
    drop(process::pidfd_kill(pidfd, libc::SIGKILL));
    reap(pidfd, "a killed process to end").ok()
}

/// How long a process that is about to end may take: one that the kernel holds in a device's wait may take long.
const END: Duration = Duration::from_secs(60);

/// Waits for the end of a child and reaps it.
fn reap(pidfd: &OwnedFd, what: &str) -> mydocker_sys::Result<Exit> {
    poll(&[Interest::read(pidfd.as_fd())], Some(Instant::now() + END), what)?;
    process::wait(pidfd)
}

/// Why the first process could not be brought up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A step failed.
    #[error("{0}")]
    Step(Box<Failure>),
    /// A namespace cannot be joined.
    #[error(transparent)]
    Joined(#[from] JoinedError),
    /// A network device cannot be moved.
    #[error(transparent)]
    NetDevice(#[from] net_devices::Error),
    /// A hook failed.
    #[error(transparent)]
    Hook(#[from] hooks::Error),
    /// The ids of the user namespace could not be mapped.
    #[error(transparent)]
    IdMap(#[from] user_map::IdMapError),
    /// A descriptor could not be handed over.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The process could not be put into its unit.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The process could not be noted down.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The kernel refused something on the runtime's side.
    #[error("{what}")]
    Call {
        /// What was being done.
        what: String,
        /// Why.
        source: mydocker_sys::Error,
    },
    /// The process ended without a word.
    #[error("the container's first process ended before it was set up: {0}")]
    Ended(String),
}

pub(super) fn call(what: impl Into<String>) -> impl FnOnce(mydocker_sys::Error) -> Error {
    move |source| Error::Call { what: what.into(), source }
}

/// Notes down the first process, by its pid, before it is let go: from then on it can live without the runtime. Returns the
/// signals that it ignores, as whoever called the runtime did.
pub type Commit<'a> = &'a mut dyn FnMut(i32) -> Result<SignalBits, CommitError>;

/// Why the first process could not be noted down.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It could not be looked at.
    #[error("the first process cannot be looked at")]
    Process(#[from] mydocker_sys::Error),
    /// It could not be put into its class of service.
    #[error(transparent)]
    IntelRdt(#[from] crate::resctrl::Error),
    /// The record could not be written.
    #[error(transparent)]
    State(#[from] crate::state::Error),
    /// The pid file could not be written.
    #[error("write the pid file {}", path.display())]
    PidFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Makes the cgroups that are not there yet for the process with a pid, or has it put there, and opens what leads into them.
pub type Place<'a> = &'a dyn Fn(i32) -> Result<Vec<OwnedFd>, PlaceError>;

/// Why a process could not be put into its unit.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The unit, or what belongs to it, could not be made.
    #[error(transparent)]
    Cgroup(#[from] crate::cgroup::Error),
    /// The record could not be written.
    #[error(transparent)]
    State(#[from] crate::state::Error),
}

/// Makes the first process and talks with it until it is as far as asked. On failure it is killed and reaped.
///
/// # Errors
/// [`Error`].
pub fn launch(launch: Launch<'_>, until: Until, commit: Commit<'_>) -> Result<Launched, Error> {
    let joined = launch.compiled.plan.parent.joined_namespaces.iter();
    let namespaces = joined.map(joined::open).collect::<Result<Vec<_>, _>>()?;
    let (channel, child_channel) = conversation(launch.compiled)?;
    let lent_score = launch.oom_score_to_lend().map(OomScore::lend).transpose()?;
    let prelude = !launch.compiled.plan.prelude.is_empty();
    let flags = if prelude { 0 } else { launch.compiled.clone_flags };
    let (forked, cloned_into_cgroup) = clone(flags, launch.cgroups.as_ref())
        .map_err(|error| Error::Step(Box::new(Failure::of_clone(&error))))?;
    match forked {
        process::Forked::Child => {
            drop(channel);
            let Launch { compiled, cgroups, container, gate, lock, timings, .. } = launch;
            let slots = Slots {
                channel: child_channel,
                cgroups,
                cloned_into_cgroup,
                namespaces,
                container,
                gate,
                lock,
                timed: timings.is_on(),
            };
            child::run(compiled, slots)
        }
        process::Forked::Parent { pid, pidfd } => {
            lent_score.map_or(Ok(()), OomScore::take_back)?;
            launch.timings.mark("clone");
            let launched = Launched { pid: pid.as_raw(), terminal: None, pidfd: Some(pidfd) };
            let result = Conversation {
                launch: &launch,
                channel,
                other_end: Some(child_channel),
                launched,
                commit,
                id_maps: IdMaps::default(),
                adopted: !prelude,
                early: None,
                ready: false,
            }
            .run(until);
            // A dozen descriptors that were for the first process: they are close-on-exec, say nothing and keep no
            // cgroup from being removed, so that the end of the runtime may close them.
            std::mem::forget(launch.cgroups);
            result
        }
    }
}

/// Both ends of the conversation. While the child runs hooks the parent waits for as long as those may take.
fn conversation(compiled: &Compiled) -> Result<(Channel, Channel), Error> {
    let hooks = compiled.plan.steps.iter().flat_map(|step| match step {
        Step::RunHooks { hooks, .. } => &hooks[..],
        _ => &[],
    });
    Channel::pair(patience(hooks)).map_err(call("make the socket to the first process"))
}

/// Clones the first process into its v2 cgroup where that works, and tells whether it did.
fn clone(flags: u64, cgroups: Option<&JoinFds>) -> mydocker_sys::Result<(process::Forked, bool)> {
    let into = |cgroup| process::clone3(process::CloneArgs { flags, cgroup });
    let own = cgroups.and_then(JoinFds::clone_into);
    let error = match into(own) {
        Err(error) if own.is_some() && error.errno() != Errno::EAGAIN => error,
        other => return Ok((other?, own.is_some())),
    };
    if error.errno() == Errno::EBUSY
        && let Some(beside) = cgroups.map_or(Ok(None), JoinFds::beside_the_first)?
    {
        return Ok((into(Some(beside.as_fd()))?, true));
    }
    // The kernel is older than CLONE_INTO_CGROUP (5.7), or the cgroup takes no process from outside: it says more
    // clearly why when the process joins by itself.
    Ok((into(None)?, false))
}

/// The talk with one first process.
struct Conversation<'a> {
    launch: &'a Launch<'a>,
    channel: Channel,
    /// The first process's, until it is listened to.
    other_end: Option<Channel>,
    launched: Launched,
    commit: Commit<'a>,
    id_maps: IdMaps,
    /// Whether the pid is that of the first process, and not of an intermediate one.
    adopted: bool,
    /// What the first process said before the intermediate one has told its pid: the two run at once.
    early: Option<Report>,
    /// Whether only the program is left for the process to become.
    ready: bool,
}

impl Conversation<'_> {
    fn run(mut self, until: Until) -> Result<Launched, Error> {
        self.hand_over_cgroups()?;
        // Only the first process holds the other end from here on: its end is the end of the conversation.
        self.other_end = None;
        loop {
            match self.next_report()? {
                Report::NeedsUnit => {
                    self.place()?;
                    self.go()?;
                }
                Report::NeedsIdMaps => self.write_id_maps()?,
                Report::Spawned(pid) => self.adopt(pid)?,
                Report::NeedsSource(index) => self.send_source(index)?,
                Report::NeedsNetDevices(namespace) => self.move_net_devices(&namespace)?,
                Report::NeedsHooks => self.run_hooks()?,
                Report::Terminal(multiplexer) => self.take_terminal(multiplexer)?,
                Report::Ready => self.set_limits()?,
                Report::Listener(number) => self.hand_over_listener(number)?,
                Report::Timings(spent) => {
                    self.launch.timings.first_process(&spent);
                    self.launch.timings.mark("set-up");
                }
                Report::Created if until == Until::Created => return Ok(self.launched),
                Report::Created => {}
                Report::Failed(failure) => return Err(Error::Step(failure)),
                Report::Closed if until == Until::Executed && self.ready => {
                    // Nobody is at its other end: the end of the runtime may close it.
                    std::mem::forget(self.channel);
                    return Ok(self.launched);
                }
                Report::Closed => return Err(self.ended()),
            }
        }
    }

    /// The next report in the order in which it makes sense: the first process waits for an answer, so that it cannot
    /// have said more than one thing too early.
    fn next_report(&mut self) -> Result<Report, Error> {
        loop {
            if self.adopted
                && let Some(early) = self.early.take()
            {
                return Ok(early);
            }
            if self.early.is_some() && !self.intermediate_speaks()? {
                return Ok(Report::Closed);
            }
            let report = self.channel.next().map_err(call("listen to the first process"))?;
            match report {
                Report::NeedsUnit | Report::Spawned(_) | Report::Failed(_) | Report::Closed => {
                    return Ok(report);
                }
                report if self.adopted || self.is_of_prelude(&report) => return Ok(report),
                early => self.early = Some(early),
            }
        }
    }

    /// Waits for the intermediate process to tell the pid; false when it has ended without that. The first process has the
    /// socket too, so that its end would not be seen there.
    fn intermediate_speaks(&self) -> Result<bool, Error> {
        let Some(pidfd) = &self.launched.pidfd else { return Ok(true) };
        let interests = [Interest::read(self.channel.as_fd()), Interest::read(pidfd.as_fd())];
        let deadline = Some(Instant::now() + END);
        let events = poll(&interests, deadline, "the pid of the first process")
            .map_err(call("listen to the intermediate process"))?;
        Ok(events.first().is_some_and(|channel| channel.readable))
    }

    /// Whether the intermediate process says it for itself: where it makes the user namespace, nobody else has maps to
    /// ask for.
    fn is_of_prelude(&self, report: &Report) -> bool {
        matches!(report, Report::NeedsIdMaps)
            && self.launch.compiled.plan.prelude.iter().any(|step| matches!(step, Step::AwaitIdMaps))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.launched.pid)
    }

    /// The first process mounts meanwhile, and has not been told anything yet.
    fn hand_over_cgroups(&self) -> Result<(), Error> {
        if !self.launch.compiled.plan.enters_cgroups_late() {
            return Ok(());
        }
        let made = match self.place() {
            Ok(made) => made,
            // What the process has failed at meanwhile came first.
            Err(error) => return Err(self.failure_told().map_or(error, Error::Step)),
        };
        self.launch.timings.mark("cgroup");
        self.answer(&Answer::Cgroups(&made))?;
        // For the same reason as those that were opened before.
        std::mem::forget(made);
        Ok(())
    }

    /// The failure of the first process, if it has told one already.
    fn failure_told(&self) -> Option<Box<Failure>> {
        let interest = Interest::read(self.channel.as_fd());
        poll(&[interest], Some(Instant::now()), "a failure of the first process").ok()?;
        match self.channel.next() {
            Ok(Report::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    fn go(&self) -> Result<(), Error> {
        self.answer(&Answer::Go)
    }

    fn answer(&self, answer: &Answer<'_>) -> Result<(), Error> {
        match self.channel.answer(answer) {
            // It has ended meanwhile, and its last report tells why.
            Err(error) if error.errno() == Errno::EPIPE => Ok(()),
            other => other.map_err(call("answer the first process")),
        }
    }

    /// The intermediate process has made the first one, and ends.
    fn adopt(&mut self, pid: i32) -> Result<(), Error> {
        let pidfd = process::pidfd_open(Pid::from_raw(pid)).map_err(call("open the first process"))?;
        self.launched.pid = pid;
        self.adopted = true;
        if let Some(intermediate) = self.launched.pidfd.replace(pidfd) {
            reap(&intermediate, "the intermediate process to end")
                .map_err(call("wait for the intermediate process"))?;
        }
        Ok(())
    }

    fn place(&self) -> Result<Vec<OwnedFd>, Error> {
        match self.launch.place {
            Some(place) => Ok(place(self.launched.pid)?),
            None => Err(Error::Ended("it asked for cgroups that are not in the plan".into())),
        }
    }

    fn write_id_maps(&self) -> Result<(), Error> {
        let plan = &self.launch.compiled.plan.parent;
        let (uids, gids) = (&plan.uid_mappings, &plan.gid_mappings);
        user_map::write(self.launched.pid, uids, gids, self.launch.euid)?;
        self.go()
    }

    fn send_source(&mut self, index: u32) -> Result<(), Error> {
        let Some(source) = self.launch.compiled.plan.parent.sources.get(index as usize) else {
            return Err(Error::Ended(format!(
                "it asked for the mount source {index}, which is not in the plan"
            )));
        };
        let tree = match &source.id_map {
            None => mount::open_tree_at(fs::AT_FDCWD, &source.path, clone_kind(source.recursive))
                .map_err(call("open the source of a mount"))?,
            Some(id_map) => self.id_maps.open(source, id_map, self.launched.pid)?,
        };
        self.channel.answer(&Answer::Source(tree)).map_err(call("answer the first process"))
    }

    fn move_net_devices(&self, namespace: &OwnedFd) -> Result<(), Error> {
        net_devices::move_all(&self.launch.compiled.plan.parent.net_devices, namespace.as_fd())?;
        self.go()
    }

    fn run_hooks(&self) -> Result<(), Error> {
        let mut state = self.launch.compiled.state.clone();
        state.pid = Some(self.launched.pid);
        for (kind, hooks) in &self.launch.compiled.plan.parent.hooks {
            hooks::run(kind, hooks, &state)?;
        }
        self.go()
    }

    fn take_terminal(&mut self, multiplexer: OwnedFd) -> Result<(), Error> {
        match self.launch.console_socket {
            Some(path) => console::send_terminal(path, &multiplexer)?,
            None => {
                // Set while the first process waits: a program that asks at once must not see a terminal without size.
                if let Some(caller) = callers_terminal() {
                    match_terminal(&multiplexer, caller)
                        .map_err(call("give the terminal the caller's size"))?;
                }
                self.launched.terminal = Some(multiplexer);
            }
        }
        self.go()
    }

    fn set_limits(&mut self) -> Result<(), Error> {
        let plan = &self.launch.compiled.plan.parent;
        if let Some(score) = plan.oom_score_adj.filter(|_| self.launch.oom_score_to_lend().is_none()) {
            set_oom_score_adj(&self.launched.pid.to_string(), score)?;
        }
        plan.rlimits.iter().try_for_each(|rlimit| set_rlimit(self.pid(), rlimit))?;
        let ignored = (self.commit)(self.launched.pid)?;
        self.ready = true;
        self.answer(&Answer::Ready(ignored))
    }

    fn hand_over_listener(&self, number: i32) -> Result<(), Error> {
        if let (Some(seccomp), Some(pidfd)) = (self.launch.seccomp, self.launched.pidfd()) {
            let listener = process::pidfd_getfd(pidfd, number)
                .map_err(call("take the seccomp listener from the first process"))?;
            let mut state = self.launch.compiled.state.clone();
            state.pid = Some(self.launched.pid);
            console::send_listener(seccomp, self.launched.pid, &state, &listener)?;
        }
        self.go()
    }

    fn ended(mut self) -> Error {
        let exit = self.launched.pidfd.take().and_then(|pidfd| end(&pidfd));
        Error::Ended(match exit {
            Some(Exit::Signal { number, .. }) => format!("signal {number} ended it"),
            Some(Exit::Code(code)) => format!("it ended with exit status {code}"),
            None => "nobody knows how".into(),
        })
    }
}

pub(super) fn write(path: &str, text: &str) -> Result<(), Error> {
    fs::write_at(fs::AT_FDCWD, Path::new(path), text.as_bytes()).map_err(call(format!("write {path}")))
}

/// The text that `/proc/PID/uid_map` takes.
pub(super) fn id_map(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

/// Sets the score; lowering it needs `CAP_SYS_RESOURCE`, which is not needed where the value is in force already.
fn set_oom_score_adj(process: &str, score: i32) -> Result<(), Error> {
    let path = PathBuf::from(format!("/proc/{process}/oom_score_adj"));
    let refused = match fs::write_at(fs::AT_FDCWD, &path, score.to_string().as_bytes()) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let now = fs::read_at(fs::AT_FDCWD, &path, 64).unwrap_or_default();
    if String::from_utf8_lossy(&now).trim() == score.to_string() {
        return Ok(());
    }
    let hint = if matches!(refused.errno(), Errno::EACCES | Errno::EPERM) {
        " (lowering it needs CAP_SYS_RESOURCE, which the runtime does not have)"
    } else {
        ""
    };
    Err(call(format!("set oom_score_adj to {score}{hint}"))(refused))
}

/// Sets a limit; raising a hard limit needs `CAP_SYS_RESOURCE`, which is not needed where the values are in force.
fn set_rlimit(pid: Pid, rlimit: &Rlimit) -> Result<(), Error> {
    let refused = match process::set_rlimit(pid, rlimit.resource, rlimit.soft, rlimit.hard) {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let now = process::rlimit(pid, rlimit.resource).ok();
    if now == Some((rlimit.soft, rlimit.hard)) {
        return Ok(());
    }
    let (soft, hard) = now.unwrap_or_default();
    let hint = if refused.errno() == Errno::EPERM {
        format!(
            " (in force: soft {soft}, hard {hard}; raising the hard limit needs CAP_SYS_RESOURCE, which the runtime does not have)"
        )
    } else {
        String::new()
    };
    Err(call(format!("set {} to soft {}, hard {}{hint}", rlimit.name, rlimit.soft, rlimit.hard))(refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its file in /proc may be root's by the time that its score could be set.
    #[test]
    fn a_process_of_an_ordinary_user_inherits_its_oom_score() {
        let score = |process: &str| {
            let text = std::fs::read_to_string(format!("/proc/{process}/oom_score_adj")).unwrap();
            text.trim().parse::<i32>().unwrap()
        };
        let before = score("self");
        let lent = OomScore::lend(before + 7).unwrap();
        let output = std::process::Command::new("cat").arg("/proc/self/oom_score_adj").output().unwrap();
        lent.take_back().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), (before + 7).to_string());
        assert_eq!(score("self"), before);
    }
}
