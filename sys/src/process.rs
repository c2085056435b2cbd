//! Processes: making them, waiting for them and what one sets of itself before execve.

use crate::error::{Context, Error, Result, check, describe};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

pub use nix::sys::resource::Resource;
pub use nix::unistd::{Gid, Pid, Uid};

/// Of `<linux/sched.h>`; the libc crate's constant overflows its type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of [`clone3`] this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The process that called, with the child as it sees it.
    Parent {
        /// The child's pid in the caller's pid namespace.
        pid: Pid,
        /// A descriptor of the child.
        pidfd: OwnedFd,
    },
}

/// What [`clone3`] makes.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneArgs<'fd> {
    /// `CLONE_NEW*` and `CLONE_PARENT` flags.
    pub flags: u64,
    /// A cgroup v2 directory in which the child begins (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'fd>>,
}

/// `clone3(2)` as a fork: the child gets a copy of the address space and SIGCHLD is its exit signal.
///
/// The caller must have one thread only: as after any fork, locks that other threads hold stay locked in the child.
/// The programs of this workspace that call it start no threads.
///
/// # Errors
/// What the kernel says, with the flags.
pub fn clone3(args: CloneArgs<'_>) -> Result<Forked> {
    // With CLONE_PARENT the kernel takes the exit signal of the caller and insists on zero here.
    let exit_signal = if args.flags & libc::CLONE_PARENT as u64 != 0 { 0 } else { libc::SIGCHLD as u64 };
    let mut pidfd: libc::c_int = -1;
    // SAFETY: clone_args is a plain struct of integers for which zero means "not used".
    let mut cl: libc::clone_args = unsafe { std::mem::zeroed() };
    cl.flags = args.flags | libc::CLONE_PIDFD as u64;
    cl.exit_signal = exit_signal;
    cl.pidfd = (&raw mut pidfd) as u64;
    if let Some(cgroup) = args.cgroup {
        cl.flags |= CLONE_INTO_CGROUP;
        cl.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM and without a stack the child goes on with copies of everything, as after fork(2);
    // pidfd outlives the call.
    let ret = unsafe { libc::syscall(libc::SYS_clone3, &raw mut cl, size_of::<libc::clone_args>()) };
    let pid = check(ret, "clone3", || format!("{:#x}", cl.flags))?;
    crate::heap::begin_anew();
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // SAFETY: with CLONE_PIDFD the kernel put a new descriptor there that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent { pid: Pid::from_raw(pid as i32), pidfd })
}

/// As [`clone3`] without any flags, for a process under a filter of system calls that does not know `clone3`: by
/// `fork(2)` and `pidfd_open(2)`. The same holds for threads.
///
/// # Errors
/// What the kernel says.
pub fn fork() -> Result<Forked> {
    // SAFETY: the caller has one thread, so that the child goes on with a whole copy of everything.
    let ret = unsafe { libc::fork() };
    let pid = check(ret.into(), "fork", String::new)?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    // The child is not reaped before the caller does so: its id is still its own.
    let pid = Pid::from_raw(pid as i32);
    Ok(Forked::Parent { pid, pidfd: pidfd_open(pid)? })
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It called exit with this status.
    Code(i32),
    /// A signal ended it; `core` tells whether it dumped.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether it dumped core.
        core: bool,
    },
}

impl Exit {
    /// The end that a status of `wait(2)` tells, as `/proc/PID/stat` and pidfds have it too.
    #[must_use]
    pub fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Code(status >> 8 & 0xff),
            number => Self::Signal { number, core: status & 0x80 != 0 },
        }
    }

    /// The status that a shell would report: the code, or 128 + the signal's number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Code(code) => code as u8,
            Self::Signal { number, .. } => (128 + number) as u8,
        }
    }
}

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its pid.
    pub pid: Pid,
    /// How it ended.
    pub exit: Exit,
}

/// Waits for the child behind `pidfd` and reaps it (`waitid(P_PIDFD)`, Linux 5.4).
///
/// # Errors
/// `ECHILD` for a process that is not a child of the caller.
pub fn wait(pidfd: impl AsFd) -> Result<Exit> {
    let fd = pidfd.as_fd();
    let reaped = waitid(libc::P_PIDFD, fd.as_raw_fd() as u32, libc::WEXITED)
        .map_err(|errno| Error::new("waitid", format!("P_PIDFD, {}", describe(fd)), errno))?;
    reaped.map(|reaped| reaped.exit).ok_or_else(|| Error::new("waitid", "P_PIDFD", crate::Errno::ECHILD))
}

/// A child that has ended and still waits to be reaped; it is left so.
///
/// # Errors
/// What the kernel says; having no children is none.
pub fn ended_child() -> Result<Option<Pid>> {
    match waitid(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT) {
        Err(crate::Errno::ECHILD) => Ok(None),
        other => other
            .map(|reaped| reaped.map(|reaped| reaped.pid))
            .map_err(|errno| Error::new("waitid", "P_ALL, WNOHANG | WNOWAIT", errno)),
    }
}

/// Reaps a child that has ended, if there is one.
///
/// # Errors
/// What the kernel says; having no children is none.
pub fn reap_ended() -> Result<Option<Reaped>> {
    match waitid(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG) {
        Err(crate::Errno::ECHILD) => Ok(None),
        other => other.map_err(|errno| Error::new("waitid", "P_ALL, WNOHANG", errno)),
    }
}

/// Reaps the child `pid`, which has ended.
///
/// # Errors
/// `ECHILD` when it is no child of the caller.
pub fn reap(pid: Pid) -> Result<()> {
    waitid(libc::P_PID, pid.as_raw() as u32, libc::WEXITED)
        .map(drop)
        .map_err(|errno| Error::new("waitid", format!("P_PID, {pid}"), errno))
}

fn waitid(kind: libc::idtype_t, id: u32, flags: i32) -> std::result::Result<Option<Reaped>, crate::Errno> {
    // SAFETY: siginfo_t is plain data for which all zeroes is a value; waitid leaves it so when nothing ended.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: info is a live siginfo_t that the call fills.
    while unsafe { libc::waitid(kind, id, &raw mut info, flags) } < 0 {
        match crate::Errno::last() {
            crate::Errno::EINTR => {}
            errno => return Err(errno),
        }
    }
    // SAFETY: for waitid the kernel fills the SIGCHLD members.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let exit = match info.si_code {
        libc::CLD_EXITED => Exit::Code(status),
        code => Exit::Signal { number: status, core: code == libc::CLD_DUMPED },
    };
    Ok(Some(Reaped { pid: Pid::from_raw(pid), exit }))
}

/// A descriptor of the process `pid` (`pidfd_open(2)`, Linux 5.3).
///
/// # Errors
/// `ESRCH` when there is none.
pub fn pidfd_open(pid: Pid) -> Result<OwnedFd> {
    // SAFETY: the call takes two integers.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    let fd = check(ret, "pidfd_open", || pid.to_string())?;
    // SAFETY: the call succeeded, so fd is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `struct pidfd_info` of `<linux/pidfd.h>`, in its first size (Linux 6.13).
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// How the process behind a descriptor ended, be it whose child it may, once it has been reaped (`PIDFD_GET_INFO` with
/// `PIDFD_INFO_EXIT`, Linux 6.15); `None` before that, and where the kernel cannot tell. The descriptor must have been
/// opened before the end.
///
/// # Errors
/// What the kernel says beyond that.
pub fn pidfd_exit(pidfd: impl AsFd) -> Result<Option<Exit>> {
    const EXIT: u64 = 1 << 3;
    const GET_INFO: libc::Ioctl = nix::request_code_readwrite!(0xff, 11, size_of::<PidfdInfo>());
    let fd = pidfd.as_fd();
    let mut info = PidfdInfo { mask: EXIT, ..PidfdInfo::default() };
    // SAFETY: the request's number holds the size of info, which is plain data that outlives the call.
    let ret = unsafe { libc::ioctl(fd.as_raw_fd(), GET_INFO, &raw mut info) };
    match check(ret.into(), "ioctl", || format!("{}, PIDFD_GET_INFO", describe(fd))) {
        Ok(_) => Ok((info.mask & EXIT != 0).then(|| Exit::from_wait_status(info.exit_code))),
        // An older kernel: without the request, or without this answer to it.
        Err(error)
            if matches!(error.errno(), crate::Errno::ENOTTY | crate::Errno::EINVAL | crate::Errno::ESRCH) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Sends a signal to the process behind a descriptor (`pidfd_send_signal(2)`, Linux 5.1); 0 only checks.
///
/// # Errors
/// `ESRCH` when it has ended, `EPERM` without the privilege.
pub fn pidfd_kill(pidfd: impl AsFd, signal: i32) -> Result<()> {
    let fd = pidfd.as_fd();
    // SAFETY: a null siginfo makes the call behave as kill(2).
    let ret = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            fd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    check(ret, "pidfd_send_signal", || format!("{}, {signal}", describe(fd))).map(drop)
}

/// `kill(2)` by number; for processes listed in a cgroup whose members cannot change identity while frozen or
/// being killed.
///
/// # Errors
/// `ESRCH` when there is none.
pub fn kill(pid: Pid, signal: i32) -> Result<()> {
    // SAFETY: the call takes two integers.
    let ret = unsafe { libc::kill(pid.as_raw(), signal) };
    check(ret.into(), "kill", || format!("{pid}, {signal}")).map(drop)
}

/// The caller's pid in its own pid namespace.
#[must_use]
pub fn getpid() -> Pid {
    nix::unistd::getpid()
}

/// The effective user id that the program began with, as the kernel noted it beside the arguments (`AT_EUID`): no system
/// call, and nobody here changes it but the container's first process.
#[must_use]
pub fn euid() -> u32 {
    // SAFETY: getauxval takes an integer and only reads what the kernel has put on the stack.
    unsafe { libc::getauxval(libc::AT_EUID) as u32 }
}

/// The user and the group id that the program began with, where the real and the effective ones were the same: then the saved
/// ones were too, for execve makes these of the effective ones (`execve(2)`). No system call either.
#[must_use]
pub fn initial_ids() -> Option<(u32, u32)> {
    // SAFETY: as for euid.
    let noted = |kind| unsafe { libc::getauxval(kind) as u32 };
    let (uid, gid) = (noted(libc::AT_UID), noted(libc::AT_GID));
    (uid == noted(libc::AT_EUID) && gid == noted(libc::AT_EGID)).then_some((uid, gid))
}

/// The effective group id.
#[must_use]
pub fn egid() -> u32 {
    nix::unistd::getegid().as_raw()
}

/// Ends the process at once, without running anything of the C library or of Rust: the way out of a clone3 child,
/// whose buffers and guards belong to the parent.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(status) }
}

/// `setsid(2)`.
///
/// # Errors
/// `EPERM` for a process group leader.
pub fn setsid() -> Result<()> {
    nix::unistd::setsid().context("setsid", String::new).map(drop)
}

/// `fchdir(2)`.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn fchdir(fd: impl AsFd) -> Result<()> {
    let fd = fd.as_fd();
    nix::unistd::fchdir(fd).context("fchdir", || describe(fd))
}

/// `chdir(2)`.
///
/// # Errors
/// What the kernel says, with the path.
pub fn chdir(path: &Path) -> Result<()> {
    nix::unistd::chdir(path).context("chdir", || format!("{path:?}"))
}

/// `chroot(".")`.
///
/// # Errors
/// What the kernel says.
pub fn chroot_to_working_directory() -> Result<()> {
    nix::unistd::chroot(".").context("chroot", || "\".\"".into())
}

/// The working directory as the kernel sees it, `None` when it is not below the root of the process: then the
/// kernel's path begins with `(unreachable)` (CVE-2024-21626).
///
/// # Errors
/// `ENOENT` for a directory that was removed.
pub fn reachable_working_directory() -> Result<Option<std::path::PathBuf>> {
    let mut buffer = vec![0u8; libc::PATH_MAX as usize];
    // The C library's getcwd hides what the kernel says behind a walk of its own.
    // SAFETY: the buffer is live and its length is beside it.
    let ret = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    let length = check(ret, "getcwd", String::new)? as usize;
    buffer.truncate(length.saturating_sub(1));
    let path =
        std::path::PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(buffer));
    Ok(path.is_absolute().then_some(path))
}

/// `execve(2)`: returns only when it failed.
pub fn exec(path: &std::ffi::CStr, args: &[CString], env: &[CString]) -> Error {
    match nix::unistd::execve(path, args, env) {
        Ok(never) => match never {},
        Err(errno) => Error::new("execve", format!("{path:?}"), errno),
    }
}

/// `execveat(2)` of the file behind a descriptor: returns only when it failed.
pub fn exec_fd(fd: impl AsFd, args: &[CString], env: &[CString]) -> Error {
    let fd = fd.as_fd();
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
    };
    let (argv, envp) = (pointers(args), pointers(env));
    // SAFETY: both lists end in null and point to live C strings; the empty path is a constant.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Error::last("execveat", || describe(fd))
}

/// Marks every descriptor from `first` on close-on-exec (`close_range(2)` with `CLOSE_RANGE_CLOEXEC`, Linux 5.11).
///
/// # Errors
/// What the kernel says.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    // SAFETY: the call takes three integers; marking close-on-exec invalidates no descriptor of this process.
    let ret = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    check(ret, "close_range", || format!("{first}, ~0, CLOEXEC")).map(drop)
}

/// Puts a duplicate of `fd` at number `target` without close-on-exec (`dup2(2)`): for 0, 1, 2 and the descriptors
/// that a program is promised by number.
///
/// # Errors
/// What the kernel says.
pub fn dup_to(fd: impl AsFd, target: i32) -> Result<()> {
    let fd = fd.as_fd();
    if fd.as_raw_fd() == target {
        return crate::fs::set_cloexec(fd, false);
    }
    // SAFETY: the source is open; what was at the target number belonged to the program that started this one.
    let ret = unsafe { libc::dup2(fd.as_raw_fd(), target) };
    check(ret.into(), "dup2", || format!("{}, {target}", describe(fd))).map(drop)
}

/// Sets one resource limit of the process `pid` (`prlimit(2)`); `u64::MAX` is no limit.
///
/// # Errors
/// `EPERM` for raising the hard limit without `CAP_SYS_RESOURCE`.
pub fn set_rlimit(pid: Pid, resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let none = std::ptr::null::<libc::rlimit64>();
    // SAFETY: limit is a live rlimit64 that the kernel reads; no old value is asked for.
    let ret = unsafe { libc::syscall(libc::SYS_prlimit64, pid.as_raw(), resource, &raw const limit, none) };
    check(ret, "prlimit64", || format!("{pid}, {resource}, soft {soft}, hard {hard}")).map(drop)
}

/// One resource limit of the process `pid`: (soft, hard).
///
/// # Errors
/// `EINVAL` for a resource that the kernel does not know.
pub fn rlimit(pid: Pid, resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let none = std::ptr::null::<libc::rlimit64>();
    // SAFETY: limit is a live rlimit64 that the kernel fills; no new value is given.
    let ret = unsafe { libc::syscall(libc::SYS_prlimit64, pid.as_raw(), resource, none, &raw mut limit) };
    check(ret, "prlimit64", || format!("{pid}, {resource}"))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// A duplicate of the descriptor `number` of another process (`pidfd_getfd(2)`, Linux 5.6).
///
/// # Errors
/// `EPERM` without the right to trace it, `EBADF` when it has no such descriptor.
pub fn pidfd_getfd(pidfd: impl AsFd, number: i32) -> Result<OwnedFd> {
    let fd = pidfd.as_fd();
    // SAFETY: the call takes three integers.
    let ret = unsafe { libc::syscall(libc::SYS_pidfd_getfd, fd.as_raw_fd(), number, 0) };
    let fd = check(ret, "pidfd_getfd", || format!("{}, {number}", describe(fd)))?;
    // SAFETY: the call succeeded, so fd is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `setgroups(2)`.
///
/// # Errors
/// `EPERM` in a user namespace that denies it.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: the pointer and the length describe one live slice of gid_t.
    let ret = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    check(ret, "setgroups", || format!("{groups:?}")).map(drop)
}

/// Sets the real, effective and saved group id of the calling thread.
///
/// # Errors
/// `EINVAL` for an id without a mapping.
pub fn set_gid(gid: u32) -> Result<()> {
    // SAFETY: the call takes three integers; the process has one thread, so there are no others to keep in step.
    let ret = unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) };
    check(ret, "setresgid", || format!("{gid}")).map(drop)
}

/// Sets the real, effective and saved user id of the calling thread.
///
/// # Errors
/// `EINVAL` for an id without a mapping, `EAGAIN` above the limit of processes.
pub fn set_uid(uid: u32) -> Result<()> {
    // SAFETY: as for set_gid.
    let ret = unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) };
    check(ret, "setresuid", || format!("{uid}")).map(drop)
}

/// The three capability sets of `capset(2)`, a bit per capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySets {
    /// What the process can do now.
    pub effective: u64,
    /// What it may make effective.
    pub permitted: u64,
    /// What an execve may keep.
    pub inheritable: u64,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Sets the three sets of the calling thread in one call.
///
/// # Errors
/// `EPERM` for a capability that the thread does not have.
pub fn set_capabilities(sets: CapabilitySets) -> Result<()> {
    let header: [u32; 2] = [CAPABILITY_VERSION_3, 0];
    let data = [low(sets), high(sets)];
    // SAFETY: header and data have the layout of version 3 (two words; two triples) and are live.
    let ret = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) };
    check(ret, "capset", || format!("{sets:x?}")).map(drop)
}

/// The three sets of the calling thread.
///
/// # Errors
/// What the kernel says.
pub fn capabilities() -> Result<CapabilitySets> {
    let header: [u32; 2] = [CAPABILITY_VERSION_3, 0];
    let mut data = [[0u32; 3]; 2];
    // SAFETY: as for capset; the kernel fills data.
    let ret = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) };
    check(ret, "capget", String::new)?;
    let join = |index: usize| u64::from(data[0][index]) | u64::from(data[1][index]) << 32;
    Ok(CapabilitySets { effective: join(0), permitted: join(1), inheritable: join(2) })
}

fn low(sets: CapabilitySets) -> [u32; 3] {
    [sets.effective as u32, sets.permitted as u32, sets.inheritable as u32]
}

fn high(sets: CapabilitySets) -> [u32; 3] {
    [(sets.effective >> 32) as u32, (sets.permitted >> 32) as u32, (sets.inheritable >> 32) as u32]
}

fn prctl(option: i32, a: u64, b: u64, args: impl FnOnce() -> String) -> Result<i64> {
    // SAFETY: the options used in this module take integers only.
    let ret = unsafe { libc::prctl(option, a, b, 0u64, 0u64) };
    check(ret.into(), "prctl", args)
}

/// Drops a capability from the bounding set, so that no execve gives it back.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a number that the kernel does not know.
pub fn drop_bounding(capability: u8) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into(), 0, || format!("PR_CAPBSET_DROP, {capability}")).map(drop)
}

/// Whether a capability is in the bounding set; `EINVAL` beyond the kernel's last.
///
/// # Errors
/// `EINVAL` for a number that the kernel does not know.
pub fn in_bounding(capability: u8) -> Result<bool> {
    prctl(libc::PR_CAPBSET_READ, capability.into(), 0, || format!("PR_CAPBSET_READ, {capability}"))
        .map(|r| r == 1)
}

/// Raises a capability in the ambient set; it must be permitted and inheritable (Linux 4.3).
///
/// # Errors
/// `EPERM` when it is not.
pub fn raise_ambient(capability: u8) -> Result<()> {
    let raise = libc::PR_CAP_AMBIENT_RAISE as u64;
    prctl(libc::PR_CAP_AMBIENT, raise, capability.into(), || format!("PR_CAP_AMBIENT_RAISE, {capability}"))
        .map(drop)
}

/// Empties the ambient set.
///
/// # Errors
/// What the kernel says.
pub fn clear_ambient() -> Result<()> {
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as u64;
    prctl(libc::PR_CAP_AMBIENT, clear, 0, || "PR_CAP_AMBIENT_CLEAR_ALL".into()).map(drop)
}

/// Whether the permitted capabilities survive a change of user id (`PR_SET_KEEPCAPS`).
///
/// # Errors
/// What the kernel says.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0, || format!("PR_SET_KEEPCAPS, {keep}")).map(drop)
}

/// Sets no-new-privileges: no execve gives more than the process has.
///
/// # Errors
/// What the kernel says.
pub fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, || "PR_SET_NO_NEW_PRIVS, 1".into()).map(drop)
}

/// Whether no execve gives this process more than it has (`PR_GET_NO_NEW_PRIVS`).
#[must_use]
pub fn no_new_privileges() -> bool {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, || "PR_GET_NO_NEW_PRIVS".into()) == Ok(1)
}

/// Whether others of the same user may attach to this process and open its /proc files (`PR_SET_DUMPABLE`).
///
/// # Errors
/// What the kernel says.
pub fn set_dumpable(dumpable: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into(), 0, || format!("PR_SET_DUMPABLE, {dumpable}")).map(drop)
}

/// The signal that the kernel sends this process when its parent thread ends (`PR_SET_PDEATHSIG`); 0 for none.
///
/// # Errors
/// What the kernel says.
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as u64, 0, || format!("PR_SET_PDEATHSIG, {signal}")).map(drop)
}

/// Runs a command to its end, and returns what it has printed. [`Command::output`](std::process::Command::output) panics when
/// a pipe cannot be read; this has files in memory for both streams instead, as many bytes as it prints.
///
/// # Errors
/// When it cannot be run, or what it has printed cannot be read.
pub fn output(command: &mut std::process::Command) -> std::io::Result<std::process::Output> {
    let (out, err) = (memory_file(c"stdout", &[])?, memory_file(c"stderr", &[])?);
    command.stdout(out.try_clone()?).stderr(err.try_clone()?);
    let status = command.status()?;
    Ok(std::process::Output { status, stdout: whole(out)?, stderr: whole(err)? })
}

/// A file in memory with these bytes, to be read from its beginning: input for a command, all of which is there before it
/// runs.
///
/// # Errors
/// When there is no room.
pub fn memory_file(name: &std::ffi::CStr, bytes: &[u8]) -> std::io::Result<std::fs::File> {
    use std::io::{Seek as _, Write as _};
    let file =
        crate::fs::memfd(name).map_err(|error| std::io::Error::from_raw_os_error(error.errno() as i32))?;
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// All that is in a file, from its beginning.
fn whole(mut file: std::fs::File) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Has a command that is about to be started killed when the thread that starts it ends.
pub fn die_with_parent(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let parent = getpid();
    let prepare = move || {
        set_parent_death_signal(libc::SIGKILL).map_err(|error| std::io::Error::from(error.errno()))?;
        // It may have ended before the kernel was asked.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(std::io::Error::from(crate::Errno::ESRCH)) }
    };
    // SAFETY: between fork and execve only system calls are made; memory is taken on the way to an error alone, in a
    // process that had one thread, as the programs of this workspace have.
    unsafe { command.pre_exec(prepare) };
}

/// Whether orphaned descendants become children of this process instead of init's.
///
/// # Errors
/// What the kernel says.
pub fn set_subreaper(on: bool) -> Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, on.into(), 0, || format!("PR_SET_CHILD_SUBREAPER, {on}")).map(drop)
}

/// Joins a new, empty session keyring named `name` (`keyctl(KEYCTL_JOIN_SESSION_KEYRING)`); returns its serial.
///
/// # Errors
/// `ENOSYS` in a kernel without keys, `EDQUOT` above the user's quota.
pub fn join_session_keyring(name: &std::ffi::CStr) -> Result<i32> {
    // SAFETY: the name is a live C string.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(ret, "keyctl", || format!("JOIN_SESSION_KEYRING, {name:?}")).map(|serial| serial as i32)
}

/// Sets the permissions of a key.
///
/// # Errors
/// What the kernel says.
pub fn set_key_permissions(serial: i32, permissions: u32) -> Result<()> {
    // SAFETY: the call takes integers.
    let ret = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_SETPERM, serial, permissions) };
    check(ret, "keyctl", || format!("SETPERM, {serial}, {permissions:#x}")).map(drop)
}

/// `personality(2)`.
///
/// # Errors
/// `EINVAL` for a value that the kernel does not know.
pub fn set_personality(persona: u64) -> Result<()> {
    // SAFETY: the call takes an integer.
    let ret = unsafe { libc::personality(persona) };
    check(ret.into(), "personality", || format!("{persona:#x}")).map(drop)
}

/// `sched_setaffinity(2)` of process `pid` (0: the calling thread); `mask` has a bit per CPU, lowest first.
///
/// # Errors
/// `EINVAL` when none of the CPUs may be used.
pub fn set_affinity(pid: Pid, mask: &[u64]) -> Result<()> {
    // SAFETY: the pointer and the length in bytes describe one live slice.
    let ret =
        unsafe { libc::syscall(libc::SYS_sched_setaffinity, pid.as_raw(), size_of_val(mask), mask.as_ptr()) };
    check(ret, "sched_setaffinity", || format!("{pid}, {mask:x?}")).map(drop)
}

/// The arguments of `sched_setattr(2)`, as the kernel's `struct sched_attr` (version 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct SchedulerAttributes {
    /// The length of this struct in bytes; set by [`set_scheduler`].
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// The nice value of `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// The priority of `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// `SCHED_DEADLINE`: nanoseconds of CPU a period.
    pub runtime: u64,
    /// `SCHED_DEADLINE`: nanoseconds.
    pub deadline: u64,
    /// `SCHED_DEADLINE`: nanoseconds.
    pub period: u64,
    /// Utilisation clamp, least.
    pub util_min: u32,
    /// Utilisation clamp, most.
    pub util_max: u32,
}

/// `sched_setattr(2)` of the calling thread.
///
/// # Errors
/// `EPERM` for a policy without the privilege, `EINVAL` for contradictory values.
pub fn set_scheduler(mut attributes: SchedulerAttributes) -> Result<()> {
    // SCHED_FLAG_UTIL_CLAMP_MIN and _MAX; without them the 48 bytes of version 0 say everything, and Linux before 5.3
    // knows no more.
    const CLAMPS: u64 = 0x60;
    attributes.size =
        if attributes.flags & CLAMPS == 0 { 48 } else { size_of::<SchedulerAttributes>() as u32 };
    // SAFETY: attributes is live and as long as the size it names, or longer.
    let ret = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    check(ret, "sched_setattr", || format!("{attributes:?}")).map(drop)
}

/// The I/O priority of the calling thread as its class and its level in the class (`ioprio_get(2)`).
///
/// # Errors
/// What the kernel says.
pub fn io_priority() -> Result<(u16, u16)> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    const IOPRIO_CLASS_SHIFT: u32 = 13;
    // SAFETY: the call takes two integers.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_get, IOPRIO_WHO_PROCESS, 0) };
    let value = check(ret, "ioprio_get", || "IOPRIO_WHO_PROCESS, 0".into())?;
    Ok(((value >> IOPRIO_CLASS_SHIFT) as u16, (value & ((1 << IOPRIO_CLASS_SHIFT) - 1)) as u16))
}

/// `ioprio_set(2)` of the calling thread; `class` 1 to 3, `level` 0 to 7.
///
/// # Errors
/// `EPERM` for the real-time class without the privilege.
pub fn set_io_priority(class: u16, level: u16) -> Result<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    let value = i32::from(class) << 13 | i32::from(level);
    // SAFETY: the call takes three integers.
    let ret = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) };
    check(ret, "ioprio_set", || format!("class {class}, level {level}")).map(drop)
}

/// `set_mempolicy(2)`; `nodes` has a bit per node, lowest first.
///
/// # Errors
/// `EINVAL` for a mode or a node that the kernel does not have.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> Result<()> {
    let bits = nodes.len() * 64 + 1;
    // SAFETY: nodes is a live slice of the number of bits given (the kernel reads one bit less).
    let ret = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, nodes.as_ptr(), bits) };
    check(ret, "set_mempolicy", || format!("{mode:#x}, {nodes:x?}")).map(drop)
}
