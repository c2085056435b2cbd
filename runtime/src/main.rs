//! The `mydocker-runtime` program.
#![forbid(unsafe_code)]
#![no_main]

#[global_allocator]
static ALLOCATOR: mydocker_sys::heap::ShortLived = mydocker_sys::heap::ShortLived;

// The commands that make processes in containers (`commands::enter_readonly_view`).
mydocker_sys::entry_point!(mydocker_runtime::cli::main_entry, readonly_view for c"create", c"exec", c"run");
