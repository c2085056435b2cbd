//! The beginning of a program without that of the standard library.
//!
//! `std` prepares every program with some seventeen system calls: it looks for the main thread's stack guard in
//! `/proc/self/maps`, makes a signal stack and handlers that put a stack overflow into words, and so on. A runtime that
//! executes itself again pays twice. Of all that, two things matter here, and [`prepare`] does them.

/// Defines the entry points of a program, to be used with `#![no_main]`: the C library's calls a `fn() -> u8` and returns
/// the status. The other is the very first instruction, for a link with `--entry=first_instruction`: where one of the
/// program's words is in the list, the program runs from a read-only view of its binary ([`early`](crate::early)).
///
/// `std::env::args_os` works all the same: the C library hands the arguments to std before `main`. What is lost is the
/// message about a stack overflow, which is a plain SIGSEGV then.
#[macro_export]
macro_rules! entry_point {
    ($main:path, readonly_view for $($word:literal),+) => {
        $crate::first_instruction!($($word),+);

        #[doc(hidden)]
        // SAFETY: the C library calls the one function of this name, with this signature, once.
        #[unsafe(no_mangle)]
        pub extern "C" fn main(
            _count: ::core::ffi::c_int,
            _words: *const *const ::core::ffi::c_char,
        ) -> ::core::ffi::c_int {
            $crate::heap::open();
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

/// Makes sure that descriptors 0, 1 and 2 are open, so that no file of ours becomes one of them, and that writing to a
/// closed pipe is an error instead of the end.
///
/// # Errors
/// What the kernel says of /dev/null.
pub fn prepare() -> crate::Result<()> {
    open_standard_streams()?;
    // SAFETY: ignoring a signal installs no handler.
    let ret = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    if ret == libc::SIG_ERR {
        return Err(crate::Error::last("rt_sigaction", || "SIGPIPE, SIG_IGN".into()));
    }
    // A caller may ignore it, and then the kernel reaps children before anybody can wait for them.
    // SAFETY: the default disposition installs no handler.
    let ret = unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    if ret == libc::SIG_ERR {
        return Err(crate::Error::last("rt_sigaction", || "SIGCHLD, SIG_DFL".into()));
    }
    Ok(())
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
