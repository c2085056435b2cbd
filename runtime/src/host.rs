//! The only look at the host that planning needs.

use crate::validate::Facts;
use mydocker_sys::process;

/// The last capability of Linux 5.9 and of every release since; `mount_setattr` needs 5.12 anyway.
const CAP_CHECKPOINT_RESTORE: u8 = 40;

/// What the kernel and the caller's identity decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostFacts {
    /// The runtime's effective user id.
    pub euid: u32,
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
            last_capability: CAP_CHECKPOINT_RESTORE,
            permitted: process::capabilities()?.permitted,
        })
    }
}
