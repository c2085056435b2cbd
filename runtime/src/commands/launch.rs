//! What `create` and `run` share: from a valid bundle to a process, with everything undone where a part fails.

use super::bundle::{self, Bundle, Driver};
use super::container;
use super::delete::{remove_cgroup, remove_class, run_poststop};
use super::placement;
use super::report::{and_undo, failed, launch_failed, no_process, refusal, require_support, state_failed};
use crate::cgroup::Cgroup;
use crate::cli::{Context, LaunchArgs, Report, rfc3339_nano};
use crate::engine::{self, CommitError, Compiled, Gate, Inputs, Launch, Launched, Notify, Until};
use crate::host::HostFacts;
use crate::plan::{self, CreateOptions};
use crate::resctrl::Removal;
use crate::spec::NamespaceKind;
use crate::state::{ContainerId, Entry, ProcessRecord, Progress, Record, Status};
use crate::support;
use mydocker_sys::signal::SignalBits;
use mydocker_sys::{AsFd, process};
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::SystemTime;

/// How a container is brought up.
pub(super) struct Wish<'a> {
    pub(super) launch: &'a LaunchArgs,
    pub(super) id: ContainerId,
    /// Whether it waits for `start`.
    pub(super) await_start: bool,
    /// Whether its terminal comes to the caller instead of a socket.
    pub(super) own_terminal: bool,
    /// Whether the caller deletes it at its end.
    pub(super) attended: bool,
    /// Whether the caller becomes the parent of what loses its own, so that none is left to the host's init when the program
    /// has ended.
    pub(super) adopts_orphans: bool,
}

/// A container that is up, still guarded: dropping it without [`Up::settle`] leaves the process to be killed.
pub(super) struct Up {
    pub(super) entry: Entry,
    pub(super) record: Record,
    pub(super) launched: Launched,
    pub(super) bundle: Bundle,
    /// Where it says that it is ready, if somebody wants to know.
    pub(super) notify: Option<Notify>,
}

/// Brings a container up.
pub(super) fn bring_up(wish: &Wish<'_>, context: &Context) -> Result<Up, Box<Report>> {
    let host = HostFacts::probe().map_err(failed("host"))?;
    let notify = engine::manager().map(|_| Entry::notify_directory(&context.root, &wish.id));
    let driver = Driver::choose(context, context.forgives_cgroups(host.is_host_root()));
    let directory = wish.launch.bundle.as_deref();
    let bundle = bundle::load(directory, wish.id.as_str(), notify.as_deref(), &host, driver, &context.log)?;
    if !wish.await_start && bundle.spec.process.is_none() {
        return Err(no_process());
    }
    warn_of_lost_processes(&bundle, context);
    if wish.adopts_orphans && may_leave_orphans(&bundle) {
        process::set_subreaper(true).map_err(failed("foreground"))?;
    }
    context.timings.mark("config");
    let socket = wish.launch.console_socket.as_deref();
    bundle::check_terminal(bundle.spec.has_terminal(), socket.is_some(), wish.own_terminal)?;
    require_support(&support::missing(&bundle.spec))?;
    let mut record = new_record(&wish.id, wish.attended, &bundle, &host);
    let compiled = compile(wish, &bundle, &record, &host)?;
    context.timings.mark("plan");
    tell(&compiled, context);
    let entry = container::store(context).reserve(&wish.id, &record).map_err(state_failed)?;
    let set_up = SetUp {
        wish,
        bundle: &bundle,
        compiled: &compiled,
        entry: &entry,
        record: RefCell::new(&mut record),
        pid_file: PidFile::new(wish.launch.pid_file.as_deref()),
        host: &host,
        context,
    };
    match set_up.run() {
        Ok((launched, notify)) => {
            // Its pages are still shared with the first process: freeing it piece by piece would copy them.
            std::mem::forget(compiled);
            Ok(Up { entry, record, launched, bundle, notify })
        }
        Err(report) => Err(give_up(report, entry, &record, &bundle, context)),
    }
}

/// Takes back what was set up until something failed.
fn give_up(
    report: Box<Report>,
    entry: Entry,
    record: &Record,
    bundle: &Bundle,
    context: &Context,
) -> Box<Report> {
    // A root file system that is no directory is the most frequent cause, and costs nothing until it is one.
    let report = bundle::require_root_directory(&bundle.spec).err().unwrap_or(report);
    let hook_failed = report.code == "hook";
    let report = and_undo(report, undo(entry, record));
    if hook_failed {
        // runtime.md, Lifecycle 3 to 5: the life goes on with the destruction, and so with these hooks.
        let poststop = &bundle.spec.spec().hooks.poststop;
        run_poststop(poststop, &record.state(Status::Stopped), &context.log);
    }
    report
}

/// What the plan has to say for itself.
fn tell(compiled: &Compiled, context: &Context) {
    for warning in compiled.seccomp.iter().flat_map(|seccomp| &seccomp.warnings) {
        context.log.warning(&warning.to_string());
    }
    if context.log.is_debug() {
        compiled.plan.steps.iter().for_each(|step| context.log.debug(&format!("planned: {step}")));
    }
}

/// Takes back everything: the process is gone already.
pub(super) fn undo(entry: Entry, record: &Record) -> Result<(), Box<Report>> {
    let class = remove_class(record, Removal::Undo);
    let cgroup = remove_cgroup(record, true);
    let removed = entry.remove().map_err(state_failed);
    class.and(cgroup).and(removed)
}

/// Without a cgroup and a pid namespace of its own nobody can tell which processes are the container's.
fn warn_of_lost_processes(bundle: &Bundle, context: &Context) {
    if bundle.cgroup.directories.is_empty() && !bundle.spec.namespaces.is_new(NamespaceKind::Pid) {
        context.log.warning(
            "the container has neither a cgroup nor a pid namespace of its own: kill and delete reach its first \
             process alone",
        );
    }
}

/// Whether processes may lose their parent outside of a pid namespace whose first process gets them.
fn may_leave_orphans(bundle: &Bundle) -> bool {
    let spec = &bundle.spec;
    !spec.namespaces.is_new(NamespaceKind::Pid) || !spec.spec().hooks.is_empty()
}

/// What is known of a container before there is anything of it.
pub(super) fn new_record(id: &ContainerId, attended: bool, bundle: &Bundle, host: &HostFacts) -> Record {
    let spec = &bundle.spec;
    let inside = NamespaceKind::ALL.into_iter().filter(|kind| !spec.namespaces.is_host(*kind));
    Record {
        id: id.to_string(),
        oci_version: spec.spec().oci_version.clone(),
        bundle: bundle.path.clone(),
        rootfs: spec.root.path.clone(),
        created: rfc3339_nano(SystemTime::now()),
        owner: host.euid,
        progress: Progress::Creating,
        init: None,
        cgroup: bundle.cgroup.clone().unless_empty(),
        annotations: spec.spec().annotations.clone(),
        attended,
        exit: None,
        resources: None,
        namespaces: inside.collect(),
        joined_namespaces: spec.namespaces.joined().map(|(kind, _)| kind).collect(),
        intel_rdt: None,
    }
}

fn compile(
    wish: &Wish<'_>,
    bundle: &Bundle,
    record: &Record,
    host: &HostFacts,
) -> Result<Compiled, Box<Report>> {
    let sockets = activation_sockets();
    require_descriptors(3u32.saturating_add(sockets), wish.launch.preserve_fds)?;
    let options = CreateOptions {
        id: wish.id.as_str(),
        cgroup: &bundle.cgroup,
        await_start: wish.await_start,
        no_pivot: wish.launch.no_pivot,
        no_new_keyring: wish.launch.no_new_keyring,
        preserve_fds: wish.launch.preserve_fds.saturating_add(sockets),
        euid: host.euid,
        nested: host.nested,
    };
    let plan = plan::create(&bundle.spec, &options);
    plan::lint(&plan).map_err(failed("bad-plan"))?;
    let inputs = Inputs {
        plan,
        environment: activation_environment(sockets),
        process: bundle.spec.process.as_ref(),
        seccomp: bundle.seccomp(),
        state: record.state(Status::Creating),
    };
    engine::compile(inputs).map_err(failed("bad-config"))
}

/// How many sockets a service manager has passed (`sd_listen_fds(3)`): they go on to the container, as with runc. Those
/// of another process, whose environment was merely inherited, are not there, and neither are those that somebody on the way
/// has closed: their numbers are the runtime's own by now.
fn activation_sockets() -> u32 {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u32>().ok());
    match (number("LISTEN_FDS"), number("LISTEN_PID")) {
        (Some(count), Some(pid)) if i32::try_from(pid) == Ok(process::getpid().as_raw()) => passed(3, count),
        _ => 0,
    }
}

/// Refuses to hand over descriptors that the caller has not passed: the program would find others, or none.
pub(super) fn require_descriptors(first: u32, count: u32) -> Result<(), Box<Report>> {
    let passed = passed(first, count);
    if passed == count {
        return Ok(());
    }
    let (number, place) = (first + passed, passed + 1);
    let message = format!("--preserve-fds {count}: descriptor {number}, number {place} of them, is not open");
    Err(refusal("bad-descriptor", message))
}

/// How many descriptors the caller has passed from `first` on without a gap, of `count`.
fn passed(first: u32, count: u32) -> u32 {
    let is_passed = |number: &u32| i32::try_from(*number).is_ok_and(mydocker_sys::fs::is_inherited);
    let end = (first..first.saturating_add(count)).find(|number| !is_passed(number));
    end.map_or(count, |end| end - first)
}

/// What the container's program is told of them; it is process 1 of its pid namespace.
fn activation_environment(sockets: u32) -> Vec<String> {
    if sockets == 0 {
        return Vec::new();
    }
    let names = std::env::var("LISTEN_FDNAMES").ok().map(|names| {
        // As many as there are sockets, or sd_listen_fds_with_names(3) fails.
        let names: Vec<&str> = names.split(':').take(sockets as usize).collect();
        format!("LISTEN_FDNAMES={}", names.join(":"))
    });
    [format!("LISTEN_FDS={sockets}"), "LISTEN_PID=1".into()].into_iter().chain(names).collect()
}

/// Every effect on the host: each is in the record before it happens.
struct SetUp<'a> {
    wish: &'a Wish<'a>,
    bundle: &'a Bundle,
    compiled: &'a Compiled,
    entry: &'a Entry,
    /// Written to at two moments of the conversation with the first process.
    record: RefCell<&'a mut Record>,
    pid_file: PidFile<'a>,
    host: &'a HostFacts,
    context: &'a Context,
}

impl SetUp<'_> {
    fn run(&self) -> Result<(Launched, Option<Notify>), Box<Report>> {
        let notify = make_notify(self.wish, self.entry)?;
        let begun = self.begin()?;
        let launched = self.launch(begun)?;
        self.context.timings.mark(if self.wish.await_start { "created" } else { "execve" });
        self.send_pidfd(&launched)?;
        Ok((launched, notify))
    }

    /// The configuration, and what of the cgroups is made before the first process.
    fn begin(&self) -> Result<placement::Begun, Box<Report>> {
        let record = &mut *self.record.borrow_mut();
        self.entry.save_config(&self.bundle.config, self.wish.attended).map_err(state_failed)?;
        self.context.timings.mark("record");
        // What was refused, perhaps because it is somebody else's, is not ours to remove.
        record.cgroup = None;
        let begun = placement::begin(self.bundle, &self.compiled.plan, self.entry, record)?;
        placement::make_class(self.bundle, self.entry, record)?;
        self.context.timings.mark("cgroup");
        Ok(begun)
    }

    /// The first process, as far as it is to come.
    fn launch(&self, begun: placement::Begun) -> Result<Launched, Box<Report>> {
        let rest = begun.rest.as_ref();
        let place =
            |pid: i32| placement::finish(self.bundle, rest, self.entry, &mut self.record.borrow_mut(), pid);
        let gate = self.wish.await_start.then(|| self.entry.make_gate()).transpose().map_err(state_failed)?;
        let launch = Launch {
            compiled: self.compiled,
            cgroups: begun.cgroups,
            place: Some(&place),
            container: None,
            gate: gate.map(|(start, error)| Gate { start, error }),
            console_socket: self.wish.launch.console_socket.as_deref(),
            seccomp: self.bundle.seccomp(),
            lock: Some(self.entry.directory()),
            euid: self.host.euid,
            timings: &self.context.timings,
        };
        let until = if self.wish.await_start { Until::Created } else { Until::Executed };
        engine::launch(launch, until, &mut |pid| self.commit(pid)).map_err(|error| {
            self.pid_file.take_back();
            self.explained(error)
        })
    }

    /// The failure, with what the kernel has counted of it: a first process that it kills tells nothing itself.
    fn explained(&self, error: engine::Error) -> Box<Report> {
        let ended = matches!(error, engine::Error::Ended(_));
        let mut report = launch_failed(error);
        if ended && self.lacked_memory() {
            report.message.push_str(" for want of memory");
            if self.bundle.has_memory_limit() {
                report.message.push_str(": /linux/resources/memory/limit may be too low");
            }
        }
        report
    }

    /// A cgroup that cannot be asked is no second failure to tell.
    fn lacked_memory(&self) -> bool {
        let cgroup = self.record.borrow().cgroup.clone().map(Cgroup::open);
        cgroup.is_some_and(|cgroup| cgroup.oom_kills().is_ok_and(|kills| kills > 0))
    }

    /// Records the first process, before it executes anything of the container; returns which signals it ignores.
    fn commit(&self, pid: i32) -> Result<SignalBits, CommitError> {
        let mut record = self.record.borrow_mut();
        if let Some(intel_rdt) = &record.intel_rdt {
            intel_rdt.enter(pid)?;
        }
        let (init, ignored) = ProcessRecord::with_ignored_signals(pid)?;
        record.init = Some(init);
        record.progress = if self.wish.await_start { Progress::Created } else { Progress::Started };
        self.entry.save(&record)?;
        self.pid_file.write(pid).map(|()| ignored)
    }

    fn send_pidfd(&self, launched: &Launched) -> Result<(), Box<Report>> {
        let (Some(socket), Some(pidfd)) = (&self.wish.launch.pidfd_socket, launched.pidfd()) else {
            return Ok(());
        };
        engine::send_pidfd(socket, engine::PidfdKind::First, pidfd).map_err(|error| {
            self.pid_file.take_back();
            failed("pidfd-socket")(error)
        })
    }
}

/// The directory for the socket through which the container says that it is ready, and the socket itself where the program
/// starts now; `start` makes it otherwise.
fn make_notify(wish: &Wish<'_>, entry: &Entry) -> Result<Option<Notify>, Box<Report>> {
    let Some(manager) = engine::manager() else { return Ok(None) };
    let directory = entry.make_notify_directory().map_err(state_failed)?;
    if wish.await_start {
        return Ok(None);
    }
    Notify::bind(directory.as_fd(), manager).map(Some).map_err(failed("notify"))
}

/// The file of `--pid-file`, if one was asked for.
pub(super) struct PidFile<'a> {
    path: Option<&'a Path>,
    written: Cell<bool>,
}

impl<'a> PidFile<'a> {
    pub(super) fn new(path: Option<&'a Path>) -> Self {
        Self { path, written: Cell::new(false) }
    }

    /// Writes it in one step: whoever waits for it never reads half a number.
    pub(super) fn write(&self, pid: i32) -> Result<(), CommitError> {
        let Some(path) = self.path else { return Ok(()) };
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        let temporary = path.with_file_name(name);
        let written =
            std::fs::write(&temporary, pid.to_string()).and_then(|()| std::fs::rename(&temporary, path));
        self.written.set(written.is_ok());
        written.map_err(|source| {
            // On a full disk there is an empty file.
            drop(std::fs::remove_file(&temporary));
            CommitError::PidFile { path: path.to_path_buf(), source }
        })
    }

    /// Takes back what was written, and nothing that somebody else wrote: the process has ended, and another may get
    /// its number.
    pub(super) fn take_back(&self) {
        if self.written.get() {
            self.path.into_iter().for_each(|path| drop(std::fs::remove_file(path)));
        }
    }
}
