//! The beginning of a program without that of the standard library.
//!
//! `std` prepares every program with some seventeen system calls: it looks for the main thread's stack guard in
//! `/proc/self/maps`, makes a signal stack and handlers that put a stack overflow into words, and so on. A runtime that
//! executes itself again pays twice. Of all that, two things matter here, and [`prepare`] does them.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The bits of an address that say which page it is on.
const PAGES: usize = !0xfff;

/// Defines the entry points of a program, to be used with `#![no_main]`: the C library's calls a `fn() -> u8` and returns
/// the status. The other is the very first instruction, for a link with `--entry=first_instruction`: where one of the
/// program's words is in the list, the program runs from a read-only view of its binary ([`early`](crate::early)).
///
/// The words of the command line come from [`args`]: `std::env::args_os` has them of glibc alone, which hands them to what
/// runs before `main`. What is lost is the message about a stack overflow, which is a plain SIGSEGV then.
#[macro_export]
macro_rules! entry_point {
    ($main:path, readonly_view for $($word:literal),+) => {
        $crate::first_instruction!($($word),+);

        #[doc(hidden)]
        // SAFETY: the C library calls the one function of this name, with this signature, once.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            _count: ::core::ffi::c_int,
            words: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            // SAFETY: the C library's list lasts as long as the process; nothing of the program has run yet.
            unsafe { $crate::start::begin(words) };
            let status: u8 = $main();
            ::core::ffi::c_int::from(status)
        }
    };
}

/// The part of [`entry_point!`] that differs between machines.
#[doc(hidden)]
#[macro_export]
#[cfg(target_arch = "x86_64")]
macro_rules! first_instruction {
    ($($word:literal),+) => {
        #[doc(hidden)]
        // SAFETY: the linker takes the one symbol of this name as the entry point, where the kernel begins.
        #[unsafe(no_mangle)]
        #[unsafe(naked)]
        pub extern "C" fn first_instruction() {
            // The kernel gives the arguments on the stack, aligned as a call wants it, and in rdx something for `_start`.
            ::core::arch::naked_asm!(
                "mov r12, rdx",
                "mov rdi, rsp",
                "call {before_c_library}",
                "mov rdx, r12",
                "jmp _start",
                before_c_library = sym before_c_library,
            )
        }

        extern "C" fn before_c_library(stack: *const usize) {
            // The standard library's checks of pointers are called through a table that is not relocated yet.
            if cfg!(debug_assertions) {
                return;
            }
            // SAFETY: the stack is as the kernel made it, and so are the words on it.
            unsafe {
                $crate::early::enter_readonly_view(stack, |word| $($crate::early::is(word, $word))||+);
            }
        }
    };
}

/// Only the C library's entry point: the program enters the view by itself.
#[doc(hidden)]
#[macro_export]
#[cfg(not(target_arch = "x86_64"))]
macro_rules! first_instruction {
    ($($word:literal),+) => {};
}

/// Whether this program is known to run from a read-only mount. `false` says nothing.
#[must_use]
pub fn runs_from_readonly_mount() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::early::runs_from_readonly_mount();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The list of words that the kernel gave to the process, once the program has begun.
static WORDS: AtomicPtr<*const c_char> = AtomicPtr::new(std::ptr::null_mut());

/// The first that [`entry_point!`] does in `main`.
///
/// # Safety
/// `words` is a list of pointers to C strings that ends in a null pointer and is never changed. No other thread runs.
pub unsafe fn begin(words: *const *const c_char) {
    WORDS.store(words.cast_mut(), Ordering::Relaxed);
    protect_tables();
    crate::heap::open();
}

/// The words of the command line, the program's own name first; none where the program was not begun by
/// [`entry_point!`](crate::entry_point).
#[must_use]
pub fn args() -> Vec<OsString> {
    let mut words = WORDS.load(Ordering::Relaxed).cast_const();
    let mut list = Vec::new();
    // SAFETY: what `begin` was given; nothing is read behind the null pointer.
    while let Some(word) = unsafe { words.as_ref() }.filter(|word| !word.is_null()) {
        // SAFETY: as above.
        list.push(OsStr::from_bytes(unsafe { CStr::from_ptr(*word) }.to_bytes()).to_owned());
        words = words.wrapping_add(1);
    }
    list
}

/// Takes the right to write away from the tables of pointers, as a dynamic loader does (the segment `PT_GNU_RELRO`):
/// musl leaves those of a static program writable. It is hardening, so that a kernel that refuses is not told of.
fn protect_tables() {
    let Some((start, length)) = relocated_tables() else { return };
    let end = start.wrapping_add(length) & PAGES;
    let start = start & PAGES;
    // SAFETY: the pages are the program's own and hold what is constant from here on, which is what the segment says.
    unsafe {
        libc::mprotect(
            std::ptr::with_exposed_provenance_mut(start),
            end.saturating_sub(start),
            libc::PROT_READ,
        )
    };
}

/// The address and the length in bytes of the tables that are constant once the program has begun.
fn relocated_tables() -> Option<(usize, usize)> {
    // SAFETY: getauxval has no preconditions.
    let (table, count) = unsafe { (libc::getauxval(libc::AT_PHDR), libc::getauxval(libc::AT_PHNUM)) };
    let first: *const libc::Elf64_Phdr = std::ptr::with_exposed_provenance(table as usize);
    if first.is_null() {
        return None;
    }
    // SAFETY: the kernel mapped the program's headers, and counts them.
    let headers = unsafe { std::slice::from_raw_parts(first, count as usize) };
    let of_kind = |kind| headers.iter().find(|header| header.p_type == kind);
    // Where the table of headers was to be, and where it is: a position-independent program is somewhere else.
    let moved = table.wrapping_sub(of_kind(libc::PT_PHDR)?.p_vaddr);
    let tables = of_kind(libc::PT_GNU_RELRO)?;
    Some((tables.p_vaddr.wrapping_add(moved) as usize, tables.p_memsz as usize))
}

/// What the C library of GNU tells of itself. A link with another one takes this in its place
/// (docs/adr/0020-a-small-c-library.md): a version that cannot be read, upon which `std::process` relies on nothing.
#[doc(hidden)]
// SAFETY: no library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn mydocker_no_glibc() -> *const c_char {
    c"none".as_ptr()
}

/// The same for the look-up of a function's unwind table, which libgcc asks glibc for: there is none, and so no backtrace.
/// The programs end at a panic, and have no names of functions to show.
#[doc(hidden)]
// SAFETY: no library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn mydocker_no_unwind_table(_code: *const c_void, _found: *mut c_void) -> c_int {
    -1
}

/// What ends a program that panics, in the place of musl's, which takes the thread's id that it has noted: a process that
/// `clone3` has made has its parent's noted, and the parent would be ended. In a pid namespace the first process gets no signal
/// from itself, and ends like a shell's child that such a signal has ended.
#[doc(hidden)]
// SAFETY: no library has the name.
#[unsafe(no_mangle)]
pub extern "C" fn mydocker_abort() -> ! {
    crate::signal::end_by_default(libc::SIGABRT);
    crate::process::exit_now(128 + libc::SIGABRT)
}

/// Whether the standard streams are known to be open.
fn has_standard_streams() -> bool {
    #[cfg(target_arch = "x86_64")]
    return crate::early::has_standard_streams();
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// What is to become of who writes to a pipe that nobody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenPipe {
    /// The write is an error.
    Fails,
    /// The process ends, unless it blocks SIGPIPE, which makes it an error as well.
    Ends,
}

/// Makes sure that descriptors 0, 1 and 2 are open, so that no file of ours becomes one of them, and that children can be
/// waited for.
///
/// # Errors
/// What the kernel says of /dev/null.
pub fn prepare(broken_pipe: BrokenPipe) -> crate::Result<()> {
    if !has_standard_streams() {
        open_standard_streams()?;
    }
    if broken_pipe == BrokenPipe::Fails {
        set_disposition(libc::SIGPIPE, libc::SIG_IGN, "SIGPIPE, SIG_IGN")?;
    }
    // A caller may ignore it, and then the kernel reaps children before anybody can wait for them.
    set_disposition(libc::SIGCHLD, libc::SIG_DFL, "SIGCHLD, SIG_DFL")
}

/// Sets one of the two dispositions that are no handlers.
fn set_disposition(signal: c_int, disposition: libc::sighandler_t, what: &str) -> crate::Result<()> {
    // SAFETY: the callers give SIG_IGN or SIG_DFL, which run no code of ours.
    match unsafe { libc::signal(signal, disposition) } {
        libc::SIG_ERR => Err(crate::Error::last("rt_sigaction", || what.into())),
        _ => Ok(()),
    }
}

fn open_standard_streams() -> crate::Result<()> {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: streams is a live array of the length given.
    let ret = unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) };
    crate::error::check(ret.into(), "poll", || "0, 1, 2".into())?;
    for stream in streams {
        if stream.revents & libc::POLLNVAL != 0 {
            // SAFETY: the path is a constant. The lowest free number is taken, which is the one that was closed.
            let ret = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
            crate::error::check(ret.into(), "open", || "\"/dev/null\"".into())?;
        }
    }
    Ok(())
}
