//! Makes the linker take the entry point of `mydocker_sys::entry_point!` instead of the C library's, which it goes on to;
//! and lays a release program out for a quick start (docs/adr/0018-what-a-start-costs.md).

#![forbid(unsafe_code)]

use std::env::{VarError, var};
use std::io::{Error, Result, Write, stdout};

fn main() -> Result<()> {
    writeln!(stdout(), "cargo:rerun-if-changed=build.rs\ncargo:rerun-if-changed=hot.ld")?;
    let known = |name: &str| var(name).map_err(|error: VarError| Error::other(format!("{name}: {error}")));
    if known("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return Ok(());
    }
    writeln!(stdout(), "cargo:rustc-link-arg-bins=-Wl,--entry=first_instruction")?;
    if known("PROFILE")? == "release" {
        // What a run goes through lies on few pages, at fixed addresses: nothing is relocated.
        writeln!(stdout(), "cargo:rustc-link-arg-bins=-Wl,-T,{}/hot.ld", known("CARGO_MANIFEST_DIR")?)?;
        writeln!(stdout(), "cargo:rustc-link-arg-bins=-no-pie\ncargo:rustc-link-arg-bins=-static")?;
    }
    Ok(())
}
