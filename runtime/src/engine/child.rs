//! The container's first process: carries out the steps of a plan, one after the other, and becomes the program.

use super::compile::Compiled;
use super::failure::{Code, Failure, ProgramFault};
use super::grounds::Grounds;
use super::message::{Channel, Report, failure_message};
use super::{hooks, identity, landlock, mounts, nodes, procfs::Procfs, program, rootfs, shield, terminal};
use crate::cgroup::JoinFds;
use crate::plan::{Phase, Step, TargetRule};
use crate::spec::NamespaceKind;
use crate::timings::PhaseClock;
use crate::validate::Rlimit;
use mydocker_sys::namespace::CloneFlags;
use mydocker_sys::signal::{self, SignalBits};
use mydocker_sys::{AsFd, AsRawFd, BorrowedFd, Errno, OwnedFd, close, fs, mount, namespace, process};
use std::path::Path;

/// The descriptors that the parent hands to the first process, each by name.
#[derive(Debug)]
pub struct Slots<'a> {
    /// The conversation with the parent.
    pub channel: Channel,
    /// The cgroups to enter.
    pub cgroups: Option<JoinFds>,
    /// Whether clone has put the process into the cgroup v2 hierarchy already.
    pub cloned_into_cgroup: bool,
    /// The namespace files of the plan's [`Step::JoinNamespace`] steps, in their order.
    pub namespaces: Vec<OwnedFd>,
    /// The running container of [`Step::JoinContainer`].
    pub container: Option<OwnedFd>,
    /// Where a created container waits for `start`.
    pub gate: Option<Gate>,
    /// The runtime's lock of the container. A copy is held until the process is recorded, or its cgroups are and it is in
    /// them: whoever gets the lock of a runtime that was killed shall find nobody there of whom no record tells.
    pub lock: Option<BorrowedFd<'a>>,
    /// Whether the parent wants to know how long each phase took.
    pub timed: bool,
}

/// The two fifos of a created container. Both are held open for reading and writing, so that no end of them ever
/// blocks in open; after a system call filter is loaded the wait needs `read` alone.
#[derive(Debug)]
pub struct Gate {
    /// `start` writes one byte here.
    pub start: OwnedFd,
    /// A failure after that is written here; execve closes it, which tells `start` of the success.
    pub error: OwnedFd,
}

/// What a step returns: a failed system call gets the step's name on the way out.
pub(super) enum Fault {
    /// A system call failed.
    Call(mydocker_sys::Error),
    /// Something else is wrong.
    Other(Code, String),
    /// The user's program cannot be executed.
    Program(ProgramFault),
    /// It is told in full already.
    Told(Box<Failure>),
}

impl From<mydocker_sys::Error> for Fault {
    fn from(error: mydocker_sys::Error) -> Self {
        Self::Call(error)
    }
}

impl From<mydocker_trees::CopyError> for Fault {
    fn from(error: mydocker_trees::CopyError) -> Self {
        match error {
            mydocker_trees::CopyError::Call(error) => Self::Call(error),
            other => Self::Other(Code::Setup, other.to_string()),
        }
    }
}

/// The result of a part of a step.
pub(super) type Outcome<T = ()> = std::result::Result<T, Fault>;

/// The first process while it is ours.
pub(super) struct Child<'a> {
    pub(super) compiled: &'a Compiled,
    pub(super) slots: Slots<'a>,
    /// The container's root, until and after the pivot.
    pub(super) root: Option<OwnedFd>,
    /// The mounts made so far.
    pub(super) grounds: Grounds<'a>,
    /// Whether the last mount was on a directory of our own, so that the working directory is the one above it.
    pub(super) is_among_own: bool,
    pub(super) procfs: Option<Procfs>,
    pub(super) shields: shield::Shields,
    /// The program's path, once it is found.
    pub(super) program: Option<std::ffi::CString>,
    /// `HOME`, where the configuration leaves it out.
    home: Option<std::ffi::CString>,
    /// The file mode creation mask that the runtime was called with.
    caller_umask: u32,
    /// Whether `start` has let the process go: failures are told to it then.
    started: bool,
    /// The user and the group id that it has in all respects, where that is known: to set them would change nothing.
    ids: Option<(u32, u32)>,
    /// The signals that it ignores.
    ignored: SignalBits,
    joined: usize,
    /// How long each phase takes, until that is told.
    clock: Option<PhaseClock>,
    /// Descriptors that execve closes: closing each here would be a system call more.
    kept: Vec<OwnedFd>,
}

/// Runs the plan in a process that clone has just made. Ends in the user's program, or in a failure told to whoever
/// listens.
pub fn run(compiled: &Compiled, slots: Slots<'_>) -> ! {
    // Modes below are meant as they are written; the container's mask is set with its ids.
    let caller_umask = fs::umask(0);
    let mut child = Child {
        caller_umask,
        compiled,
        clock: slots.timed.then(PhaseClock::begin),
        slots,
        root: None,
        grounds: Grounds::default(),
        is_among_own: false,
        procfs: None,
        shields: shield::Shields::default(),
        program: None,
        home: None,
        started: false,
        ids: process::initial_ids(),
        ignored: 0,
        joined: 0,
        kept: Vec::new(),
    };
    if !compiled.plan.enters_cgroups_late() {
        child.let_go_of_lock();
    }
    if compiled.plan.prelude.is_empty() || child.run_prelude() {
        child.follow(&compiled.plan.steps);
    }
    process::exit_now(1)
}

impl Fault {
    fn into_failure(self, step: &Step) -> Failure {
        match self {
            Self::Call(error) => Failure::of_call(step, &error),
            Self::Other(code, message) => Failure::of_step(step, code, message),
            Self::Program(fault) => Failure::of_program(step, fault),
            Self::Told(failure) => *failure,
        }
    }
}

impl<'a> Child<'a> {
    /// Carries out steps until one fails, and tells of it; `true` when all are done.
    fn follow(&mut self, steps: &'a [Step]) -> bool {
        for step in steps {
            if step.phase() >= Phase::AwaitStart {
                self.tell_timings();
            }
            if let Err(fault) = self.perform(step) {
                self.tell(fault.into_failure(step));
                return false;
            }
            if let Some(clock) = &mut self.clock {
                clock.add(step.phase());
            }
        }
        true
    }

    /// The intermediate process: joins namespaces and makes the first process in them, as a child of the runtime.
    /// Returns `true` in the first process alone.
    fn run_prelude(&mut self) -> bool {
        if !self.follow(&self.compiled.plan.prelude) {
            return false;
        }
        let flags = self.compiled.clone_flags | libc::CLONE_PARENT as u64;
        match process::clone3(process::CloneArgs { flags, cgroup: None }) {
            Ok(process::Forked::Child) => true,
            Ok(process::Forked::Parent { pid, .. }) => {
                if let Err(error) = self.slots.channel.report(&Report::Spawned(pid.as_raw())) {
                    self.disown(pid, &error);
                }
                false
            }
            Err(error) => {
                self.tell(Failure::of_clone(&error));
                false
            }
        }
    }

    /// A first process of which the runtime has not heard would wait for it for ever.
    fn disown(&self, pid: process::Pid, error: &mydocker_sys::Error) {
        let killed = process::kill(pid, libc::SIGKILL);
        self.tell(Failure::of_clone(killed.as_ref().err().unwrap_or(error)));
    }

    /// One exhaustive match: every step is visible here, in the order of its phases.
    fn perform(&mut self, step: &'a Step) -> Outcome {
        match step {
            Step::HideFromTracers => Ok(process::set_dumpable(false)?),
            Step::JoinCgroups => self.join_cgroups(),
            Step::EnterCgroups { namespace } => self.enter_cgroups(*namespace),
            Step::AwaitUnit { .. } => self.ask(&Report::NeedsUnit),
            Step::SetCpuAffinity { cpus } => Ok(process::set_affinity(process::Pid::from_raw(0), cpus)?),
            Step::AwaitIdMaps => self.ask(&Report::NeedsIdMaps),
            Step::JoinNamespace { kind, .. } => self.join_namespace(*kind),
            Step::JoinContainer { kinds } => self.join_container(kinds),
            Step::Unshare { kinds } => Ok(namespace::unshare(clone_flags(kinds))?),
            Step::SetTimeOffsets { offsets } => identity::set_time_offsets(offsets),
            Step::BecomeNamespaceRoot => {
                self.ids = Some((0, 0));
                identity::become_namespace_root()
            }
            Step::RaiseLoopback => {
                let socket = namespace::raise_loopback()?;
                self.keep(socket);
                Ok(())
            }
            Step::NewSession => new_session(),
            Step::NewKeyring { name } => identity::new_keyring(name),
            Step::SetHostname { name } => Ok(namespace::set_hostname(name)?),
            Step::SetDomainname { name } => Ok(namespace::set_domainname(name)?),
            Step::SetHostPropagation { flags } => set_propagation_of_root(*flags),
            Step::AttachRoot { path, bind, isolate } => self.attach_root(path, *bind, *isolate),
            Step::Mount(step) => mounts::mount(self, step),
            Step::MakeNodes { nodes } => nodes::make_below_root(self, nodes),
            Step::OpenTerminal { size, console } => terminal::open(self, *size, *console),
            Step::AwaitNetDevices => self.ask_for_net_devices(),
            Step::AwaitRuntimeHooks => self.await_runtime_hooks(),
            Step::RunHooks { kind, hooks } => self.run_hooks(kind, hooks),
            Step::Pivot { still_shared } => self.pivot(*still_shared),
            Step::MoveRoot => self.move_root(),
            Step::Chroot => self.chroot(),
            Step::EnsureWorkingDirectory { path } => self.ensure_working_directory(path),
            Step::SetRootPropagation { flags } => set_propagation_of_root(*flags),
            Step::SetRootReadonly => self.set_root_readonly(),
            Step::SetReadonly { path } => self.set_readonly(path),
            Step::ReadonlyPath { path } => shield::make_readonly(self, path),
            Step::MaskPath { path } => shield::mask(self, path),
            Step::OpenProcfs => self.open_procfs(),
            Step::SetSysctl { path, value } => self.procfs()?.set_sysctl(path, value),
            Step::SetPersonality { persona } => Ok(process::set_personality(*persona)?),
            Step::SetScheduler { attributes } => Ok(process::set_scheduler(*attributes)?),
            Step::SetIoPriority { class, level } => Ok(process::set_io_priority(*class, *level)?),
            Step::SetMemoryPolicy { mode, nodes } => Ok(process::set_memory_policy(*mode, nodes)?),
            Step::Ready => self.ready(),
            Step::DropBounding { keep } => identity::drop_bounding(*keep),
            Step::OwnStandardStreams { uid } => identity::own_standard_streams(*uid),
            Step::SetIds { uid, gid, groups, accept_fixed_groups, umask } => {
                if let Some(groups) = groups {
                    identity::set_groups(groups, *accept_fixed_groups)?;
                }
                if self.ids != Some((*uid, *gid)) {
                    identity::set_ids(*uid, *gid)?;
                }
                fs::umask(umask.unwrap_or(self.caller_umask));
                Ok(())
            }
            Step::SetWorkingDirectory { path } => identity::set_working_directory(path),
            Step::FindProgram { effective } => self.find_program(*effective),
            Step::SetLabel { file, label } => self.procfs()?.set_label(file, label),
            Step::ShowToOwner => self.show_to_owner(),
            Step::SetNoNewPrivileges => Ok(process::set_no_new_privileges()?),
            Step::RestrictFiles { rules } => landlock::restrict(self, rules),
            Step::SetCapabilities { sets, ambient } => identity::set_capabilities(*sets, *ambient),
            Step::LoadSeccomp => self.load_seccomp(),
            Step::AwaitStart => self.await_start(),
            Step::Exec { .. } => self.exec(),
        }
    }

    /// Reports something that the parent must act upon, and waits until it has.
    fn ask(&mut self, report: &Report) -> Outcome {
        self.slots.channel.report(report)?;
        Ok(self.slots.channel.await_go()?)
    }

    /// From here on the container's own limits are in force. What opens files for the program comes before, and what will
    /// have to open one finds low numbers free.
    fn ready(&mut self) -> Outcome {
        self.home = program::missing_home(self)?;
        if self.compiled.plan.parent.rlimits.iter().any(leaves_few_descriptors) {
            self.close_spent()?;
        }
        self.ignored = self.slots.channel.say_ready()?;
        Ok(())
    }

    /// Closes what execve would close, and no step needs any more.
    fn close_spent(&mut self) -> Outcome {
        let mut spent = std::mem::take(&mut self.kept);
        spent.append(&mut self.slots.namespaces);
        spent.extend(self.slots.container.take());
        spent.extend(self.shields.take());
        spent.extend(self.grounds.take());
        if !self.restricts_files() {
            spent.extend(self.root.take());
        }
        close::all(spent)?;
        Ok(self.slots.cgroups.take().map_or(Ok(()), JoinFds::close)?)
    }

    /// The way to the program is measured up to here: what follows may be a wait of hours.
    fn tell_timings(&mut self) {
        if let Some(clock) = self.clock.take() {
            // A parent that is gone will not be told the next word either, and that is an error.
            drop(self.slots.channel.report(&Report::Timings(clock.microseconds())));
        }
    }

    /// The descriptor tells the parent which namespace is meant: procfs would not show it to every parent.
    fn ask_for_net_devices(&mut self) -> Outcome {
        let namespace = fs::open(Path::new("/proc/self/ns/net"), fs::OFlag::O_RDONLY)?;
        self.ask(&Report::NeedsNetDevices(namespace))
    }

    fn await_runtime_hooks(&mut self) -> Outcome {
        // They may enter the mount namespace and mount what they like.
        self.grounds.lose();
        self.ask(&Report::NeedsHooks)
    }

    fn tell(&self, failure: Failure) {
        let told = match &self.slots.gate {
            Some(gate) if self.started => fs::write_once(&gate.error, &failure_message(&failure)),
            _ => self.slots.channel.report(&Report::Failed(Box::new(failure))),
        };
        // Nobody is left to be told: the listener is gone, and the exit status says the rest.
        drop(told);
    }

    /// Keeps a descriptor until execve closes it, or closes it now when there are many.
    pub(super) fn keep(&mut self, fd: OwnedFd) {
        const MANY: usize = 128;
        if self.kept.len() < MANY {
            self.kept.push(fd);
        }
    }

    fn join_cgroups(&mut self) -> Outcome {
        let Some(cgroups) = &self.slots.cgroups else { return Ok(()) };
        if self.slots.cloned_into_cgroup {
            cgroups.join_v1()?
        } else {
            cgroups.join()?
        }
        Ok(())
    }

    fn enter_cgroups(&mut self, with_namespace: bool) -> Outcome {
        let made = self.slots.channel.await_cgroups()?;
        if let Some(cgroups) = &mut self.slots.cgroups {
            cgroups.add_v1(made);
        }
        self.join_cgroups()?;
        if self.compiled.plan.records_cgroups_first() {
            self.let_go_of_lock();
        }
        if with_namespace {
            namespace::unshare(clone_flags(&[NamespaceKind::Cgroup]))?;
        }
        Ok(())
    }

    fn let_go_of_lock(&mut self) {
        self.slots.lock.take().into_iter().for_each(close::copy);
    }

    fn join_namespace(&mut self, kind: NamespaceKind) -> Outcome {
        let missing = || Fault::Other(Code::Setup, "its file was not opened".into());
        let fd = self.slots.namespaces.get(self.joined).ok_or_else(missing)?;
        namespace::setns(fd, clone_flags(&[kind]))?;
        self.joined += 1;
        Ok(())
    }

    fn join_container(&mut self, kinds: &[NamespaceKind]) -> Outcome {
        let missing = || Fault::Other(Code::Setup, "the container's process was not opened".into());
        let container = self.slots.container.as_ref().ok_or_else(missing)?;
        Ok(namespace::setns(container, clone_flags(kinds))?)
    }

    fn attach_root(&mut self, path: &Path, bind: bool, isolate: bool) -> Outcome {
        let directory = fs::open(path, fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY)?;
        if !bind {
            self.root = Some(directory);
            return Ok(());
        }
        if isolate {
            rootfs::make_parent_mount_private(&directory)?;
        }
        let tree = mount::open_tree(&directory, mount::Clone::Recursive)?;
        mount::attach(&tree, &directory)?;
        if isolate {
            // The kernel pivots neither from nor to a shared mount; the wanted propagation is set after the pivot.
            let private = mount::Attributes { propagation: libc::MS_PRIVATE, ..Default::default() };
            mount::set_attributes(&tree, private)?;
        }
        self.keep(directory);
        self.root = Some(tree);
        Ok(())
    }

    /// Whether the mount namespace is new and none of its mounts is shared, so that nobody else sees what is mounted before
    /// the program runs, and nothing of it has a copy that is never completed.
    pub(super) fn is_alone_among_mounts(&self) -> bool {
        self.compiled.clone_flags & libc::CLONE_NEWNS as u64 != 0 && !self.compiled.shares_mounts
    }

    /// Whether the pid namespace is new too, so that a procfs mounted here is the container's own.
    pub(super) fn is_alone_in_pids_and_mounts(&self) -> bool {
        self.is_alone_among_mounts() && self.compiled.clone_flags & libc::CLONE_NEWPID as u64 != 0
    }

    /// The container's root: the mount itself before the pivot, `/` in a process that joined a container.
    pub(super) fn root(&mut self) -> Outcome<mydocker_sys::BorrowedFd<'_>> {
        if self.root.is_none() {
            self.root = Some(fs::open(Path::new("/"), fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY)?);
        }
        match &self.root {
            Some(root) => Ok(root.as_fd()),
            None => Err(Fault::Other(Code::Setup, "the root is not open".into())),
        }
    }

    /// Taking the old root off must not take anything off the host. The working directory is the new root, whose
    /// mounts keep the propagation that they were given, so that the old one is named by a descriptor.
    fn pivot(&mut self, still_shared: bool) -> Outcome {
        let flags = fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY;
        let old_root = if still_shared { Some(fs::open(Path::new("/"), flags)?) } else { None };
        process::fchdir(self.root()?)?;
        mount::pivot_to_working_directory()?;
        if let Some(old_root) = old_root {
            let slave =
                mount::Attributes { propagation: libc::MS_SLAVE, recursive: true, ..Default::default() };
            mount::set_attributes(&old_root, slave)?;
        }
        // The working directory was the new root before and is so after (pivot_root(2), NOTES).
        Ok(mount::umount(Path::new("."), mount::MntFlags::MNT_DETACH)?)
    }

    fn move_root(&mut self) -> Outcome {
        process::fchdir(self.root()?)?;
        mount::mount(Some(c"."), c"/", None, mount::MsFlags::MS_MOVE, None)?;
        process::chroot_to_working_directory()?;
        Ok(process::chdir(Path::new("/"))?)
    }

    fn chroot(&mut self) -> Outcome {
        process::fchdir(self.root()?)?;
        process::chroot_to_working_directory()?;
        Ok(process::chdir(Path::new("/"))?)
    }

    fn ensure_working_directory(&mut self, path: &Path) -> Outcome {
        let directory = rootfs::ensure_directory(self.root()?, path)?;
        self.keep(directory);
        Ok(())
    }

    fn run_hooks(&mut self, kind: &'static str, hooks: &[crate::spec::Hook]) -> Outcome {
        if kind != "createContainer" {
            return hooks::run_inside(self.compiled, kind, hooks).map_err(Fault::Told);
        }
        // They may mount what they like.
        self.grounds.lose();
        // Mounting leaves the working directory at some target; runc's hooks find themselves in the root.
        process::fchdir(self.root()?)?;
        fs::umask(self.caller_umask);
        let done = hooks::run_inside(self.compiled, kind, hooks).map_err(Fault::Told);
        fs::umask(0);
        done
    }

    /// The descriptor of the root is that of the mount itself, or of `/` where there is no mount of its own.
    fn set_root_readonly(&mut self) -> Outcome {
        let attributes = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        Ok(mount::set_attributes(self.root()?, attributes)?)
    }

    fn set_readonly(&mut self, path: &Path) -> Outcome {
        let target = rootfs::open(self.root()?, path, TargetRule::Inside)?;
        let attributes = mount::Attributes { set: libc::MOUNT_ATTR_RDONLY, ..Default::default() };
        mount::set_attributes(&target, attributes)?;
        self.keep(target);
        Ok(())
    }

    fn open_procfs(&mut self) -> Outcome {
        self.procfs = Some(Procfs::open()?);
        Ok(())
    }

    fn procfs(&self) -> Outcome<&Procfs> {
        self.procfs.as_ref().ok_or_else(|| Fault::Other(Code::Setup, "procfs is not open".into()))
    }

    /// Everything that the program needs, before a filter may forbid to do it.
    fn find_program(&mut self, effective: Option<u64>) -> Outcome {
        self.close_all_but_needed()?;
        signal::set_mask(&signal::SigSet::empty())?;
        self.set_dispositions()?;
        let program = &self.compiled.program;
        self.program = Some(match effective {
            Some(effective) => identity::with_capabilities(effective, || program::find_runnable(program))?,
            None => program::find(program)?,
        });
        Ok(())
    }

    /// Nothing of ours and nothing that the caller forgot may be open in the program, and not when it is looked for either: its
    /// path, or a word of its PATH, may lead through `/proc/self/fd`, which execve follows before it closes anything, and
    /// above a directory of the host's the way goes on to the host's files (CVE-2024-21626).
    fn close_all_but_needed(&mut self) -> Outcome {
        let mounts = (std::mem::take(&mut self.grounds), std::mem::take(&mut self.shields));
        let spent = (std::mem::take(&mut self.kept), mounts);
        let slots = (
            std::mem::take(&mut self.slots.namespaces),
            self.slots.container.take(),
            self.slots.cgroups.take(),
        );
        let root = if self.restricts_files() { None } else { self.root.take() };
        // Closed below by their numbers, and the lock with them: the process is recorded.
        self.slots.lock = None;
        std::mem::forget((spent, slots, root));
        let gate = self.slots.gate.iter().flat_map(|gate| [gate.start.as_fd(), gate.error.as_fd()]);
        let mut needed = vec![self.slots.channel.as_fd()];
        needed.extend(gate.chain(self.root.as_ref().map(AsFd::as_fd)));
        needed.extend(self.procfs.as_ref().map(Procfs::as_fd));
        let first = self.compiled.plan.parent.first_closed_fd;
        // What is handed over was passed by the caller; nothing of ours goes along, whatever has been counted.
        close::own_between(STREAMS, first, &needed)?;
        Ok(close::from(first, &needed)?)
    }

    /// Whether rules of Landlock are still to be made, of paths below the root.
    fn restricts_files(&self) -> bool {
        self.compiled.plan.steps.iter().any(|step| matches!(step, Step::RestrictFiles { .. }))
    }

    /// The runtime ignores SIGPIPE, and a shell or `nohup` others; the program must find them as the kernel gives them. While
    /// it waits for `start`, which may be for ever, some end the process: whoever stops a container politely would wait
    /// in vain otherwise, as process 1 gets nothing that it does not handle.
    /// This is the last moment for it: a system call filter need not allow it.
    fn set_dispositions(&self) -> Outcome {
        use signal::Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
        signal::named(self.ignored).try_for_each(signal::reset_disposition)?;
        if self.slots.gate.is_some() {
            [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().try_for_each(signal::end_process_by)?;
        }
        Ok(())
    }

    /// Closes what is left of it that a process inside must not have, for it may look too from here on (CVE-2016-9962).
    fn show_to_owner(&mut self) -> Outcome {
        (self.root, self.procfs) = (None, None);
        Ok(process::set_dumpable(true)?)
    }

    fn load_seccomp(&mut self) -> Outcome {
        let Some(filter) = &self.compiled.seccomp else { return Ok(()) };
        let listener = mydocker_sys::seccomp::set_filter(&filter.program, filter.flags)?;
        if let Some(listener) = listener {
            self.ask(&Report::Listener(listener.as_raw_fd()))?;
        }
        Ok(())
    }

    fn await_start(&mut self) -> Outcome {
        // It is still held where there is no program to be found.
        self.let_go_of_lock();
        self.slots.channel.report(&Report::Created)?;
        let Some(gate) = &self.slots.gate else { return Ok(()) };
        let mut byte = [0u8; 1];
        fs::read(&gate.start, &mut byte)?;
        self.started = true;
        Ok(())
    }

    fn exec(&mut self) -> Outcome {
        let path = match self.program.take() {
            Some(path) => path,
            None => program::find(&self.compiled.program)?,
        };
        let mut env = self.compiled.program.env.clone();
        env.extend(self.home.take());
        Err(program::execute(&self.compiled.program, &path, &env))
    }
}

/// The `CLONE_NEW*` flags of some kinds of namespaces.
pub(super) fn clone_flags(kinds: &[NamespaceKind]) -> CloneFlags {
    CloneFlags::from_bits_retain(kinds.iter().fold(0, |flags, kind| flags | kind.clone_flag()))
}

/// How many descriptors are standard input, output and error.
const STREAMS: u32 = 3;

/// Whether a limit may be below the numbers of the descriptors that are open here.
fn leaves_few_descriptors(rlimit: &Rlimit) -> bool {
    const FEW: u64 = 256;
    rlimit.resource == libc::RLIMIT_NOFILE && rlimit.soft < FEW
}

fn new_session() -> Outcome {
    match process::setsid() {
        // A process group leader has a session of its own only if it began it.
        Err(error) if error.errno() == Errno::EPERM => Ok(()),
        other => Ok(other?),
    }
}

fn set_propagation_of_root(flags: u64) -> Outcome {
    let flags = mount::MsFlags::from_bits_retain(flags);
    Ok(mount::mount(None, c"/", None, flags, None)?)
}
