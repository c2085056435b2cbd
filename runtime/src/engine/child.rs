//! The container's first process: carries out the steps of a plan, one after the other, and becomes the program.

use super::compile::Compiled;
use super::failure::{Code, Failure};
use super::message::{Channel, Report, failure_message};
use super::{hooks, identity, mounts, nodes, procfs::Procfs, program, rootfs, shield, terminal};
use crate::plan::{Step, TargetRule};
use crate::spec::NamespaceKind;
use mydocker_sys::namespace::CloneFlags;
use mydocker_sys::{AsFd, AsRawFd, Errno, OwnedFd, fs, mount, namespace, process, signal};
use std::path::Path;

/// The descriptors that the parent hands to the first process, each by name.
#[derive(Debug)]
pub struct Slots {
    /// The conversation with the parent.
    pub channel: Channel,
    /// `cgroup.procs` of every hierarchy to enter.
    pub cgroups: Vec<OwnedFd>,
    /// The namespace files of the plan's [`Step::JoinNamespace`] steps, in their order.
    pub namespaces: Vec<OwnedFd>,
    /// The running container of [`Step::JoinContainer`].
    pub container: Option<OwnedFd>,
    /// Where a created container waits for `start`.
    pub gate: Option<Gate>,
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
    /// It is told in full already.
    Told(Failure),
}

impl From<mydocker_sys::Error> for Fault {
    fn from(error: mydocker_sys::Error) -> Self {
        Self::Call(error)
    }
}

/// The result of a part of a step.
pub(super) type Outcome<T = ()> = std::result::Result<T, Fault>;

/// The first process while it is ours.
pub(super) struct Child<'a> {
    pub(super) compiled: &'a Compiled,
    pub(super) slots: Slots,
    /// The container's root, until and after the pivot.
    pub(super) root: Option<OwnedFd>,
    pub(super) procfs: Option<Procfs>,
    pub(super) shields: shield::Shields,
    /// The program's path, once it is found.
    pub(super) program: Option<std::ffi::CString>,
    /// Whether `start` has let the process go: failures are told to it then.
    started: bool,
    joined: usize,
    /// Descriptors that execve closes: closing each here would be a system call more.
    kept: Vec<OwnedFd>,
}

/// Runs the plan. Ends in the user's program, or in a failure told to whoever listens.
pub fn run(compiled: &Compiled, slots: Slots) -> ! {
    // Modes below are meant as they are written; the container's mask is set with its ids.
    fs::umask(0);
    let mut child = Child {
        compiled,
        slots,
        root: None,
        procfs: None,
        shields: shield::Shields::default(),
        program: None,
        started: false,
        joined: 0,
        kept: Vec::new(),
    };
    for step in &compiled.steps {
        if let Err(fault) = child.perform(step) {
            child.tell(fault.into_failure(step));
            break;
        }
    }
    process::exit_now(1)
}

impl Fault {
    fn into_failure(self, step: &Step) -> Failure {
        match self {
            Self::Call(error) => Failure::of_call(step, &error),
            Self::Other(code, message) => Failure::of_step(step, code, message),
            Self::Told(failure) => failure,
        }
    }
}

impl Child<'_> {
    /// One exhaustive match: every step is visible here, in the order of its phases.
    fn perform(&mut self, step: &Step) -> Outcome {
        match step {
            Step::HideFromTracers => Ok(process::set_dumpable(false)?),
            Step::JoinCgroups => self.join_cgroups(),
            Step::AwaitIdMaps => self.ask(&Report::NeedsIdMaps),
            Step::JoinNamespace { kind, .. } => self.join_namespace(*kind),
            Step::JoinContainer { kinds } => self.join_container(kinds),
            Step::Unshare { kinds } => Ok(namespace::unshare(clone_flags(kinds))?),
            Step::BecomeNamespaceRoot => identity::become_namespace_root(),
            Step::NewSession => new_session(),
            Step::NewKeyring { name } => identity::new_keyring(name),
            Step::SetHostname { name } => Ok(namespace::set_hostname(name)?),
            Step::SetDomainname { name } => Ok(namespace::set_domainname(name)?),
            Step::SetHostPropagation { flags } => set_propagation_of_root(*flags),
            Step::AttachRoot { path } => self.attach_root(path),
            Step::Mount(step) => mounts::mount(self, step),
            Step::MakeNodes { nodes } => nodes::make_below_root(self, nodes),
            Step::OpenTerminal { size, console } => terminal::open(self, *size, *console),
            Step::AwaitRuntimeHooks => self.ask(&Report::NeedsHooks),
            Step::RunHooks { kind, hooks } => hooks::run_inside(self.compiled, kind, hooks).map_err(Fault::Told),
            Step::Pivot => self.pivot(),
            Step::MoveRoot => self.move_root(),
            Step::EnsureWorkingDirectory { path } => self.ensure_working_directory(path),
            Step::SetRootPropagation { flags } => set_propagation_of_root(*flags),
            Step::SetRootReadonly => self.set_readonly(Path::new("/")),
            Step::SetReadonly { path } => self.set_readonly(path),
            Step::ReadonlyPath { path } => shield::make_readonly(self, path),
            Step::MaskPath { path } => shield::mask(self, path),
            Step::OpenProcfs => self.open_procfs(),
            Step::SetSysctl { path, value } => self.procfs()?.set_sysctl(path, value),
            Step::SetPersonality { persona } => Ok(process::set_personality(*persona)?),
            Step::SetScheduler { attributes } => Ok(process::set_scheduler(*attributes)?),
            Step::SetIoPriority { class, level } => Ok(process::set_io_priority(*class, *level)?),
            Step::SetMemoryPolicy { mode, nodes } => Ok(process::set_memory_policy(*mode, nodes)?),
            Step::Ready => self.ask(&Report::Ready),
            Step::DropBounding { keep } => identity::drop_bounding(*keep, self.compiled.last_capability),
            Step::OwnStandardStreams { uid } => identity::own_standard_streams(*uid),
            Step::SetIds { uid, gid, groups, keep_groups, umask } => {
                identity::set_ids(*uid, *gid, (!keep_groups).then_some(groups), *umask)
            }
            Step::SetWorkingDirectory { path } => identity::set_working_directory(path),
            Step::FindProgram => self.find_program(),
            Step::SetLabel { file, label } => self.procfs()?.set_label(file, label),
            Step::SetNoNewPrivileges => Ok(process::set_no_new_privileges()?),
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
        for procs in &self.slots.cgroups {
            // The kernel takes 0 for the writer itself, whatever pid it has in which namespace.
            fs::write_once(procs, b"0")?;
        }
        Ok(())
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

    fn attach_root(&mut self, path: &Path) -> Outcome {
        let directory = fs::open(path, fs::OFlag::O_PATH | fs::OFlag::O_DIRECTORY)?;
        let tree = mount::open_tree(&directory, mount::Clone::Recursive)?;
        mount::attach(&tree, &directory)?;
        // pivot_root wants a root whose parent mount is not shared; its own propagation is set after the pivot.
        self.keep(directory);
        self.root = Some(tree);
        Ok(())
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

    fn pivot(&mut self) -> Outcome {
        process::fchdir(self.root()?)?;
        mount::pivot_to_working_directory()?;
        // Taking the old root off must not take anything off the host.
        mount::mount(None, c".", None, mount::MsFlags::MS_SLAVE | mount::MsFlags::MS_REC, None)?;
        mount::umount(Path::new("."), mount::MntFlags::MNT_DETACH)?;
        Ok(process::chdir(Path::new("/"))?)
    }

    fn move_root(&mut self) -> Outcome {
        process::fchdir(self.root()?)?;
        mount::mount(Some(c"."), c"/", None, mount::MsFlags::MS_MOVE, None)?;
        process::chroot_to_working_directory()?;
        Ok(process::chdir(Path::new("/"))?)
    }

    fn ensure_working_directory(&mut self, path: &Path) -> Outcome {
        let directory = rootfs::ensure_directory(self.root()?, path)?;
        self.keep(directory);
        Ok(())
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

    fn find_program(&mut self) -> Outcome {
        self.program = Some(program::find(&self.compiled.program)?);
        Ok(())
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
        self.slots.channel.report(&Report::Created)?;
        let Some(gate) = &self.slots.gate else { return Ok(()) };
        let mut byte = [0u8; 1];
        fs::read(&gate.start, &mut byte)?;
        self.started = true;
        Ok(())
    }

    fn exec(&mut self) -> Outcome {
        // Nothing of ours and nothing that the caller forgot may be open in the program (CVE-2024-21626).
        process::close_on_exec_from(self.compiled.first_closed_fd)?;
        signal::set_mask(&signal::SigSet::empty())?;
        // Rust ignores SIGPIPE; the program must find it as the kernel gives it.
        signal::reset_disposition(signal::Signal::SIGPIPE)?;
        let path = match self.program.take() {
            Some(path) => path,
            None => program::find(&self.compiled.program)?,
        };
        let error = process::exec(&path, &self.compiled.program.args, &self.compiled.program.env);
        Err(program::explain(&path, &error))
    }
}

/// The `CLONE_NEW*` flags of some kinds of namespaces.
pub(super) fn clone_flags(kinds: &[NamespaceKind]) -> CloneFlags {
    CloneFlags::from_bits_retain(kinds.iter().fold(0, |flags, kind| flags | kind.clone_flag()))
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
