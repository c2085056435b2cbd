//! eBPF programs of the cgroup device type (`bpf(2)`, Linux 4.15).

use crate::error::{Result, check, describe};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_PROG_QUERY: i32 = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;

/// `BPF_F_ALLOW_MULTI`: the programs of all ancestors count too, each must allow.
pub const ALLOW_MULTI: u32 = 2;
/// `BPF_F_REPLACE` (Linux 5.6): the new program takes the place of another in one step.
pub const REPLACE: u32 = 4;

/// One eBPF instruction in the kernel's encoding (`struct bpf_insn` as a little-endian u64 on little-endian hosts).
pub type Instruction = u64;

/// The arguments of a call; every command of `bpf(2)` reads a prefix of 128 zero-filled bytes.
#[repr(C, align(8))]
struct Attr([u8; 128]);

impl Attr {
    fn new() -> Self {
        Self([0; 128])
    }

    fn u32(mut self, offset: usize, value: u32) -> Self {
        self.0[offset..offset + 4].copy_from_slice(&value.to_ne_bytes());
        self
    }

    fn pointer<T>(mut self, offset: usize, value: *const T) -> Self {
        self.0[offset..offset + 8].copy_from_slice(&(value as u64).to_ne_bytes());
        self
    }

    /// # Safety
    /// Every pointer put into the attributes must be live, and as long as the lengths beside it say.
    unsafe fn call(&mut self, command: i32) -> libc::c_long {
        // SAFETY: the attributes are 128 live bytes; the caller vouches for the pointers in them.
        unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), self.0.len()) }
    }
}

/// Loads a program of type `BPF_PROG_TYPE_CGROUP_DEVICE`.
///
/// # Errors
/// What the kernel says; with what the verifier said of a program that it refused.
pub fn load_device_program(instructions: &[Instruction]) -> Result<OwnedFd> {
    let base = || {
        Attr::new()
            .u32(0, BPF_PROG_TYPE_CGROUP_DEVICE)
            .u32(4, u32::try_from(instructions.len()).unwrap_or(u32::MAX))
            .pointer(8, instructions.as_ptr())
            .pointer(16, c"Apache-2.0".as_ptr())
    };
    // SAFETY: the program is a live slice whose length is beside it, and the license is a C string constant.
    let mut ret = unsafe { base().call(BPF_PROG_LOAD) };
    let mut said = String::new();
    if ret < 0 {
        // Only a failure is worth the verifier's log.
        let mut log = vec![0u8; 64 * 1024];
        let mut attr = base().u32(24, 1).u32(28, log.len() as u32).pointer(32, log.as_mut_ptr());
        // SAFETY: as above; the log is a live buffer whose length is beside it.
        ret = unsafe { attr.call(BPF_PROG_LOAD) };
        let errno = crate::Errno::last();
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        said = String::from_utf8_lossy(&log[..end]).trim().to_owned();
        errno.set();
    }
    check(ret, "bpf", || format!("PROG_LOAD, {} instructions [{said}]", instructions.len()))?;
    // SAFETY: the load succeeded, so ret is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(ret as i32) })
}

/// Attaches a device program to the cgroup directory `cgroup`, in place of `replace` where one is given.
///
/// # Errors
/// What the kernel says, with the cgroup.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd, replace: Option<&OwnedFd>) -> Result<()> {
    let cgroup = cgroup.as_fd();
    let flags = if replace.is_some() { ALLOW_MULTI | REPLACE } else { ALLOW_MULTI };
    let mut attr = Attr::new()
        .u32(0, cgroup.as_raw_fd() as u32)
        .u32(4, program.as_fd().as_raw_fd() as u32)
        .u32(8, BPF_CGROUP_DEVICE)
        .u32(12, flags)
        .u32(16, replace.map_or(0, |fd| fd.as_raw_fd() as u32));
    // SAFETY: the attributes hold descriptors and numbers only.
    let ret = unsafe { attr.call(BPF_PROG_ATTACH) };
    check(ret, "bpf", || format!("PROG_ATTACH, {}, CGROUP_DEVICE, {flags:#x}", describe(cgroup))).map(drop)
}

/// Detaches a device program from a cgroup.
///
/// # Errors
/// What the kernel says, with the cgroup.
pub fn detach_device_program(cgroup: impl AsFd, program: impl AsFd) -> Result<()> {
    let cgroup = cgroup.as_fd();
    let mut attr = Attr::new()
        .u32(0, cgroup.as_raw_fd() as u32)
        .u32(4, program.as_fd().as_raw_fd() as u32)
        .u32(8, BPF_CGROUP_DEVICE);
    // SAFETY: the attributes hold descriptors and numbers only.
    let ret = unsafe { attr.call(BPF_PROG_DETACH) };
    check(ret, "bpf", || format!("PROG_DETACH, {}, CGROUP_DEVICE", describe(cgroup))).map(drop)
}

/// The device programs attached to a cgroup itself, not those of its ancestors; at most 64.
///
/// # Errors
/// What the kernel says, with the cgroup.
pub fn device_programs(cgroup: impl AsFd) -> Result<Vec<OwnedFd>> {
    let cgroup = cgroup.as_fd();
    let mut ids = [0u32; 64];
    let mut attr = Attr::new()
        .u32(0, cgroup.as_raw_fd() as u32)
        .u32(4, BPF_CGROUP_DEVICE)
        .pointer(16, ids.as_mut_ptr())
        .u32(24, ids.len() as u32);
    // SAFETY: ids is a live array whose length is beside it.
    let ret = unsafe { attr.call(BPF_PROG_QUERY) };
    check(ret, "bpf", || format!("PROG_QUERY, {}, CGROUP_DEVICE", describe(cgroup)))?;
    let count = u32::from_ne_bytes([attr.0[24], attr.0[25], attr.0[26], attr.0[27]]) as usize;
    ids.iter().take(count).map(|id| program_by_id(*id)).collect()
}

fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = Attr::new().u32(0, id);
    // SAFETY: the attributes hold one number.
    let ret = unsafe { attr.call(BPF_PROG_GET_FD_BY_ID) };
    check(ret, "bpf", || format!("PROG_GET_FD_BY_ID, {id}"))?;
    // SAFETY: the call succeeded, so ret is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(ret as i32) })
}
