//! Makes the linker take the entry point of `mydocker_sys::entry_point!` instead of the C library's, which it goes on to;
//! lays a release program out for a quick start (docs/adr/0018-what-a-start-costs.md), and links it with musl
//! (docs/adr/0020-a-small-c-library.md).

#![forbid(unsafe_code)]

use std::env::{VarError, var};
use std::io::{Error, Result, Write, stdout};
use std::path::Path;

/// Where distributions have musl's library: Debian and Ubuntu (musl-dev), Arch (musl), Fedora (musl-libc-static).
const MUSL: [&str; 3] = ["/usr/lib/x86_64-linux-musl", "/usr/lib/musl/lib", "/usr/x86_64-linux-musl/lib64"];

/// Names by which Rust's standard library for glibc asks for functions with files of 64 bits. With musl these are the plain
/// ones; since 1.2.4 it has the long names in its dynamic loader alone.
const LARGE_FILE: [&str; 8] =
    ["fstat64", "fstatfs64", "lseek64", "mmap64", "open64", "readdir64", "stat64", "statfs64"];

fn main() -> Result<()> {
    tell("cargo:rerun-if-changed=build.rs\ncargo:rerun-if-changed=hot.ld")?;
    if known("CARGO_CFG_TARGET_ARCH")? != "x86_64" {
        return Ok(());
    }
    link(&["-Wl,--entry=first_instruction"])?;
    if known("PROFILE")? != "release" {
        return Ok(());
    }
    // What a run goes through lies on few pages, at fixed addresses: nothing is relocated.
    let list = format!("-Wl,-T,{}/hot.ld", known("CARGO_MANIFEST_DIR")?);
    link(&[&list, "-no-pie", "-static"])?;
    if known("CARGO_CFG_TARGET_ENV")? == "gnu" { link_with_musl() } else { Ok(()) }
}

/// Puts musl in the place of glibc, whose functions have the same names and shapes where this program calls them.
fn link_with_musl() -> Result<()> {
    tell("cargo:rerun-if-env-changed=MYDOCKER_MUSL")?;
    let named = var("MYDOCKER_MUSL").ok();
    let places = named.iter().map(String::as_str).chain(MUSL);
    // A file that is not there yet is looked for at each build.
    places.clone().try_for_each(|place| tell(&format!("cargo:rerun-if-changed={place}/libc.a")))?;
    let Some(place) = places.clone().find(|place| Path::new(place).join("libc.a").exists()) else {
        return tell(
            "cargo:warning=musl is not installed (Debian: musl-dev): the runtime is linked with glibc, and starts slower",
        );
    };
    let start = ["crt1.o", "crti.o", "crtn.o"].map(|file| format!("{place}/{file}"));
    link(&["-nostartfiles", &start[0], &start[1], &start[2], &format!("-L{place}")])?;
    let aliases = LARGE_FILE.iter().map(|name| (*name, name.trim_end_matches("64")));
    let foreign = [
        ("gnu_get_libc_version", "mydocker_no_glibc"),
        ("_dl_find_object", "mydocker_no_unwind_table"),
        ("abort", "mydocker_abort"),
    ];
    aliases.chain(foreign).try_for_each(|(name, ours)| link(&[&format!("-Wl,--defsym={name}={ours}")]))
}

fn link(arguments: &[&str]) -> Result<()> {
    arguments.iter().try_for_each(|argument| tell(&format!("cargo:rustc-link-arg-bins={argument}")))
}

fn tell(instruction: &str) -> Result<()> {
    writeln!(stdout(), "{instruction}")
}

fn known(name: &str) -> Result<String> {
    var(name).map_err(|error: VarError| Error::other(format!("{name}: {error}")))
}
