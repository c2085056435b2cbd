//! Loading seccomp filters (`seccomp(2)`, Linux 3.17).

use crate::error::{Result, check};
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of a classic BPF program, as the kernel's `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// The operation.
    pub code: u16,
    /// How many instructions a jump skips when its test holds.
    pub jt: u8,
    /// How many instructions a jump skips when its test does not hold.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// Loads `program` for the calling thread; `flags` are the `SECCOMP_FILTER_FLAG_*` bits.
///
/// Returns the listener where `SECCOMP_FILTER_FLAG_NEW_LISTENER` is among the flags.
///
/// # Errors
/// `EACCES` without `CAP_SYS_ADMIN` and without no-new-privileges, `EINVAL` for a program the kernel refuses.
pub fn set_filter(program: &[Instruction], flags: u64) -> Result<Option<OwnedFd>> {
    let too_long =
        || crate::Error::new("seccomp", format!("{} instructions", program.len()), crate::Errno::E2BIG);
    let length = u16::try_from(program.len()).map_err(|_| too_long())?;
    let prog =
        libc::sock_fprog { len: length, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    // SAFETY: Instruction has the layout of sock_filter, and prog names a live slice of them; the kernel only reads.
    let ret =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog) };
    let ret = check(ret, "seccomp", || format!("SET_MODE_FILTER, {flags:#x}, {length} instructions"))?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the call returns a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(ret as i32) }))
}

/// Whether the kernel knows the action (`SECCOMP_GET_ACTION_AVAIL`, Linux 4.14).
#[must_use]
pub fn action_available(action: u32) -> bool {
    // SAFETY: the kernel reads one u32 from a live variable.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// Whether the kernel knows these filter flags: it looks at the flags before the (absent) program.
#[must_use]
pub fn flags_available(flags: u64) -> bool {
    // SAFETY: a null program is never read as one; the kernel answers EFAULT for flags that it knows.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::null::<libc::sock_fprog>(),
        )
    };
    ret < 0 && crate::Errno::last() == crate::Errno::EFAULT
}
