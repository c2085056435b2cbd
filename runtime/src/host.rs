//! The only look at the host that planning needs.

use crate::validate::Facts;
use mydocker_sys::{fs, namespace, process};
use std::path::PathBuf;

/// Where programs are looked for when nothing else is said; also what `execvp(3)` does.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The first program of this name in `$PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| fs::executable(file).is_ok() && file.is_file())
}

/// The last capability of Linux 5.9 and of every release since; `mount_setattr` needs 5.12 anyway.
const CAP_CHECKPOINT_RESTORE: u8 = 40;

/// What the kernel and the caller's identity decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFacts {
    /// The runtime's effective user id.
    pub euid: u32,
    /// Whether the runtime runs in a user namespace below the host's first one: its capabilities then count for what
    /// that namespace owns, and devices, foreign cgroups and unmapped ids are out of reach even for its root.
    pub nested: bool,
    /// The kernel's last capability.
    pub last_capability: u8,
    /// The capabilities that the runtime can pass on.
    pub permitted: u64,
}

impl HostFacts {
    /// What judging a configuration needs of them.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts { euid: self.euid, last_capability: self.last_capability, permitted: self.permitted }
    }

    /// Looks, with as few system calls as can be.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn probe() -> mydocker_sys::Result<Self> {
        Ok(Self {
            euid: process::euid(),
            nested: !namespace::is_first_user_namespace(),
            last_capability: CAP_CHECKPOINT_RESTORE,
            permitted: process::capabilities()?.permitted,
        })
    }

    /// Whether the runtime has the host's own root's power.
    #[must_use]
    pub fn is_host_root(&self) -> bool {
        self.euid == 0 && !self.nested
    }
}
