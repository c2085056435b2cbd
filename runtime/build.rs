//! Makes the linker take the entry point of `mydocker_sys::entry_point!` instead of the C library's, which it goes on to.

#![forbid(unsafe_code)]

use std::io::{Result, Write, stdout};

fn main() -> Result<()> {
    writeln!(stdout(), "cargo:rerun-if-changed=build.rs")?;
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64") {
        writeln!(stdout(), "cargo:rustc-link-arg-bins=-Wl,--entry=first_instruction")?;
    }
    Ok(())
}
