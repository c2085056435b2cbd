//! The only look at the host that planning needs.

use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::process;
use std::path::Path;

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
    /// Looks, with as few system calls as can be.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn probe() -> mydocker_sys::Result<Self> {
        Ok(Self {
            euid: process::euid(),
            last_capability: last_capability(),
            permitted: process::capabilities()?.permitted,
        })
    }
}

/// `/proc/sys/kernel/cap_last_cap` (Linux 3.2); without a /proc the last of Linux 5.9, when 40 became the last.
fn last_capability() -> u8 {
    const CAP_CHECKPOINT_RESTORE: u8 = 40;
    let read = || {
        let file = fs::open(Path::new("/proc/sys/kernel/cap_last_cap"), OFlag::O_RDONLY).ok()?;
        let mut text = [0u8; 8];
        let length = fs::read(&file, &mut text).ok()?;
        std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
    };
    read().unwrap_or(CAP_CHECKPOINT_RESTORE)
}
