//! The `mydocker-runtime` program.
#![forbid(unsafe_code)]
#![no_main]

mydocker_sys::entry_point!(mydocker_runtime::cli::main_entry);
