//! Landlock (landlock(7), Linux 5.13): a process takes rights from itself.

use crate::error::{Result, check, describe};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// What a ruleset forbids unless one of its rules allows it: `struct landlock_ruleset_attr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Handled {
    /// `LANDLOCK_ACCESS_FS_*`.
    pub fs: u64,
    /// `LANDLOCK_ACCESS_NET_*` (version 4).
    pub net: u64,
    /// `LANDLOCK_SCOPE_*` (version 6).
    pub scoped: u64,
}

/// `struct landlock_path_beneath_attr`, which the kernel reads without padding.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// `struct landlock_net_port_attr`.
#[repr(C)]
struct NetPort {
    allowed_access: u64,
    port: u64,
}

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: i32 = 1;
const RULE_NET_PORT: i32 = 2;

/// The version of Landlock that the kernel has and lets be used.
///
/// # Errors
/// `ENOSYS` for a kernel without it, `EOPNOTSUPP` where it is not among the security modules that were started.
pub fn version() -> Result<u32> {
    // SAFETY: with the flag for the version the kernel wants no attributes and reads none.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<Handled>(),
            0usize,
            CREATE_RULESET_VERSION,
        )
    };
    check(ret, "landlock_create_ruleset", || "LANDLOCK_CREATE_RULESET_VERSION".into())
        .map(|version| version as u32)
}

/// A set of rules that is being made.
#[derive(Debug)]
pub struct Ruleset(OwnedFd);

impl Ruleset {
    /// An empty ruleset: everything that is handled is forbidden.
    ///
    /// # Errors
    /// `EINVAL` for rights that this kernel's version does not have, `ENOMSG` for none at all.
    pub fn new(handled: Handled) -> Result<Self> {
        // An older kernel takes the shorter struct only, or a longer one whose rest is zero.
        // SAFETY: handled is live and its length is given.
        let ret = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const handled, size_of::<Handled>(), 0u32)
        };
        let fd = check(ret, "landlock_create_ruleset", || format!("{handled:x?}"))?;
        // SAFETY: the call succeeded, so fd is a new descriptor that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Allows `access` to the file behind a descriptor, or to everything below the directory behind it.
    ///
    /// # Errors
    /// `EINVAL` for rights that are not handled, or that only directories have and the file is none.
    pub fn allow_beneath(&self, parent: impl AsFd, access: u64) -> Result<()> {
        let parent = parent.as_fd();
        let rule = PathBeneath { allowed_access: access, parent_fd: parent.as_raw_fd() };
        self.add((&raw const rule).cast(), RULE_PATH_BENEATH, || format!("{}, {access:#x}", describe(parent)))
    }

    /// Allows `access` to a TCP port (version 4).
    ///
    /// # Errors
    /// `EINVAL` for rights that are not handled.
    pub fn allow_port(&self, port: u16, access: u64) -> Result<()> {
        let rule = NetPort { allowed_access: access, port: u64::from(port) };
        self.add((&raw const rule).cast(), RULE_NET_PORT, || format!("port {port}, {access:#x}"))
    }

    fn add(&self, rule: *const libc::c_void, kind: i32, args: impl FnOnce() -> String) -> Result<()> {
        // SAFETY: both callers pass a live struct of the kind that they name.
        let ret = unsafe { libc::syscall(libc::SYS_landlock_add_rule, self.0.as_raw_fd(), kind, rule, 0u32) };
        check(ret, "landlock_add_rule", args).map(drop)
    }

    /// Binds the caller, and all that it becomes and makes from now on, to the rules.
    ///
    /// # Errors
    /// `EPERM` without no-new-privileges and without `CAP_SYS_ADMIN`, `E2BIG` for the 17th ruleset.
    pub fn restrict_self(&self) -> Result<()> {
        // SAFETY: the call takes a descriptor and flags.
        let ret = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0u32) };
        check(ret, "landlock_restrict_self", String::new).map(drop)
    }
}

impl AsFd for Ruleset {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
