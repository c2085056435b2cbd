//! What a program does before its C library starts: [`entry_point!`](crate::entry_point) makes this the first code.
//!
//! A program that executes itself again from a read-only view of its binary would pay the start of the C library (the
//! relocations of a static program, questions to the processor that a virtual machine answers slowly, the heap) twice,
//! and the first time for nothing. So the usual case is dealt with here, with three system calls, or five before Linux
//! 6.15. Whatever fails is left to the program, which asks [`runs_from_readonly_mount`] and does the same again with all
//! that it takes to say why.
//!
//! Nothing is relocated yet and there is no thread-local storage: this code makes its system calls itself, reads the
//! words byte by byte so that no function of the C library takes the place of a loop, and uses no table of pointers. A build
//! with debug assertions leaves all to the program.
//!
//! Where the kernel lets it, the program is not even executed again, but changes over to the view ([`exchange`]).

mod exchange;

use exchange::{Start, become_file};
use std::arch::asm;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the binary was found to be on a read-only mount.
static READONLY: AtomicBool = AtomicBool::new(false);

/// Whether the standard streams were found to be open.
static STREAMS: AtomicBool = AtomicBool::new(false);

/// Whether this program is known to run from a read-only mount. `false` says nothing.
#[must_use]
pub fn runs_from_readonly_mount() -> bool {
    READONLY.load(Ordering::Relaxed)
}

/// Whether descriptors 0, 1 and 2 are known to be open. `false` says nothing.
pub(crate) fn has_standard_streams() -> bool {
    STREAMS.load(Ordering::Relaxed)
}

/// Executes the program again from a read-only view of its binary if one of its words `asks` for that. Returns where the
/// binary is on a read-only mount already, and where the kernel refuses something.
///
/// # Safety
/// `stack` is what the kernel gave to the first instruction: the number of arguments, their pointers, a null pointer, the
/// environment's pointers and a null pointer.
#[inline(always)]
pub unsafe fn enter_readonly_view(stack: *const usize, asks: impl Fn(*const u8) -> bool) {
    // SAFETY: the layout is the caller's promise.
    unsafe {
        let count = *stack;
        let words = stack.add(1).cast::<*const u8>();
        let mut index = 1;
        while index < count {
            if asks(*words.add(index)) {
                return enter(&Start { stack, args: words, env: words.add(count + 1) });
            }
            index += 1;
        }
    }
}

/// Whether `word` is the C string `other`.
///
/// # Safety
/// `word` points to bytes that end in NUL.
#[must_use]
#[inline(always)]
pub unsafe fn is(word: *const u8, other: &CStr) -> bool {
    let other = other.as_ptr().cast::<u8>();
    let mut index = 0;
    loop {
        // SAFETY: nothing is read beyond the first difference or the NUL of both.
        let (a, b) = unsafe { (word.add(index).read_volatile(), other.add(index).read_volatile()) };
        if a != b {
            return false;
        }
        if a == 0 {
            return true;
        }
        index += 1;
    }
}

/// # Safety
/// What `start` says is true, and the program has changed nothing of itself yet.
#[inline(always)]
unsafe fn enter(start: &Start) {
    let own = c"/proc/self/exe".as_ptr();
    let mut place = std::mem::MaybeUninit::<libc::statfs64>::uninit();
    // SAFETY: the path ends in NUL; the kernel fills place, whose layout on machines of 64 bits is that of statfs; the lists
    // are the caller's promise.
    unsafe {
        if call(libc::SYS_statfs, [own.addr(), place.as_mut_ptr().addr(), 0, 0, 0, 0]) != 0 {
            return;
        }
        if (*place.as_ptr()).f_flags as u64 & libc::ST_RDONLY != 0 {
            return READONLY.store(true, Ordering::Relaxed);
        }
        let view = readonly_view(own);
        if view < 0 {
            return;
        }
        if become_file(view, start) {
            READONLY.store(true, Ordering::Relaxed);
            // A new descriptor gets the lowest number that is free.
            return STREAMS.store(view > 2, Ordering::Relaxed);
        }
        let [args, env] = [start.args.addr(), start.env.addr()];
        let list = [view as usize, c"".as_ptr().addr(), args, env, libc::AT_EMPTY_PATH as usize, 0];
        call(libc::SYS_execveat, list);
        call(libc::SYS_close, [view as usize, 0, 0, 0, 0, 0]);
    }
}

/// The descriptor of a detached copy of the mount that `path` is on, which nobody can write to, or a negative number.
///
/// # Safety
/// `path` ends in NUL.
#[inline(always)]
unsafe fn readonly_view(path: *const libc::c_char) -> isize {
    let readonly =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let [attributes, size] = [(&raw const readonly).addr(), size_of::<libc::mount_attr>()];
    let flags = libc::OPEN_TREE_CLONE as usize | libc::O_CLOEXEC as usize;
    let here = libc::AT_FDCWD as usize;
    // SAFETY: the path is the caller's promise, and the kernel reads readonly, of which the length is given.
    unsafe {
        let view = call(crate::mount::SYS_OPEN_TREE_ATTR, [here, path.addr(), flags, attributes, size, 0]);
        if view != -(libc::ENOSYS as isize) {
            return view;
        }
        // Before Linux 6.15 it takes two calls.
        let view = call(libc::SYS_open_tree, [here, path.addr(), flags, 0, 0, 0]);
        if view < 0 {
            return view;
        }
        let empty = [view as usize, c"".as_ptr().addr(), libc::AT_EMPTY_PATH as usize, attributes, size, 0];
        let refused = call(libc::SYS_mount_setattr, empty);
        if refused < 0 {
            call(libc::SYS_close, [view as usize, 0, 0, 0, 0, 0]);
            return refused;
        }
        view
    }
}

/// A system call without the C library: what the kernel returns, errors as negative numbers.
///
/// # Safety
/// As of the call that is made.
#[inline(always)]
unsafe fn call(number: i64, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the registers are those of the kernel's convention; it keeps all but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}
