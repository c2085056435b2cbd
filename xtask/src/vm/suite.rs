//! The tests that run in the machine: what of the workspace is handed in, and how the run is started.
//!
//! Tests are compiled on the host and listed by nextest, which then runs them inside from its own description of them.
//! Everything lies inside at the path that it has here, which tests and their descriptions know. Which tests run, and
//! why not the others, stands in `.config/nextest.toml`; in what rounds, in `scripts/vm-suite.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Payload;
use super::payload::quoted;
use crate::rootfs::{self, Kind};

/// Where nextest's descriptions lie in the machine, below the workspace.
const DESCRIPTIONS: &str = "target/vm";

/// The packages whose tests or programs run there.
const PACKAGES: [&str; 2] = ["mydocker-tests", "mydocker-conformance"];

/// The sources and those tests as a payload, whose command runs the rounds that `arguments` name, or all.
///
/// # Errors
///
/// When a test does not compile, or something cannot be copied.
pub fn payload(arguments: &[String]) -> Result<Payload> {
    let workspace = crate::workspace();
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let binaries = cargo(
        &["nextest", "list", "--locked"].into_iter().chain(packages).collect::<Vec<_>>(),
        &["--list-type", "binaries-only", "--message-format", "json"],
    )?;
    let metadata = cargo(&["metadata", "--locked"], &["--format-version", "1"])?;
    let programs = programs(&serde_json::from_slice(&binaries)?)?;

    let mut payload = Payload::new()?;
    add_sources(&payload, workspace)?;
    for program in &programs {
        payload.add_stripped(program)?;
    }
    add_archive(&payload, Kind::Busybox)?;
    for (name, text) in [("binaries.json", binaries), ("metadata.json", metadata)] {
        fs::write(payload.place(&workspace.join(DESCRIPTIONS).join(name))?, text)?;
    }
    payload.show(workspace);
    payload.add(&workspace.join("bin"))?;
    payload.add(&nextest()?)?;
    let suite = workspace.join("scripts/vm-suite.sh");
    let words = [suite.as_os_str()].into_iter().chain(arguments.iter().map(AsRef::as_ref));
    let environment = environment(&nextest()?, named(&programs, "conformance")?);
    payload.command(&format!("#!/bin/sh\n{environment}exec {}\n", quoted(words)))?;
    Ok(payload)
}

/// What the suite's script knows from outside.
fn environment(nextest: &Path, conformance: &Path) -> String {
    let descriptions = crate::workspace().join(DESCRIPTIONS);
    let export = |name: &str, value: &Path| format!("export {name}={}\n", quoted([value]));
    export("VM_NEXTEST", nextest)
        + &export("VM_DESCRIPTIONS", &descriptions)
        + &export("VM_CONFORMANCE", conformance)
}

/// Copies the archive of a root file system and what made it to the cache inside, where tests look for it.
fn add_archive(payload: &Payload, kind: Kind) -> Result<()> {
    let archive = rootfs::archive(kind)?;
    for file in [archive.with_extension("recipe"), archive] {
        let copy = payload.place(&file)?;
        fs::copy(&file, copy).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn named<'a>(programs: &'a [PathBuf], name: &str) -> Result<&'a Path> {
    let found = programs.iter().find(|program| program.file_name().is_some_and(|own| own == name));
    found.map(PathBuf::as_path).with_context(|| format!("no package has the program {name}"))
}

/// Copies what git tracks or would track: tests read data, and nextest its configuration.
fn add_sources(payload: &Payload, workspace: &Path) -> Result<()> {
    for path in crate::files(workspace)? {
        let file = workspace.join(path);
        if file.is_file() {
            let copy = payload.place(&file)?;
            fs::copy(&file, copy).with_context(|| format!("cannot copy {}", file.display()))?;
        }
    }
    Ok(())
}

/// The programs in nextest's description: each test binary, and each program that a test of its package may start.
fn programs(description: &Value) -> Result<Vec<PathBuf>> {
    let built = &description["rust-build-meta"];
    let directory = Path::new(built["target-directory"].as_str().context("no target directory")?);
    let tests = description["rust-binaries"].as_object().context("no list of test binaries")?.values();
    let others = built["non-test-binaries"].as_object().context("no list of other binaries")?.values();
    let others = others.filter_map(Value::as_array).flatten();
    let tests = tests.filter_map(|test| test["binary-path"].as_str()).map(PathBuf::from);
    let others = others.filter_map(|other| other["path"].as_str()).map(|path| directory.join(path));
    let mut programs: Vec<PathBuf> = tests.chain(others).collect();
    programs.sort();
    programs.dedup();
    ensure!(!programs.is_empty(), "nextest lists no test");
    Ok(programs)
}

/// cargo's program for nextest, which runs as well without cargo.
fn nextest() -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("cargo-nextest"));
    found.into_iter().find(|file| file.is_file()).context("cargo-nextest is not in PATH")
}

fn cargo(words: &[&str], options: &[&str]) -> Result<Vec<u8>> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).args(options).current_dir(crate::workspace()).stdin(Stdio::null());
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "cargo {}: {}", words.join(" "), output.status);
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_programs_are_the_tests_and_what_tests_start_each_once() {
        let test = |path: &str| json!({"binary-path": path});
        let described = json!({
            "rust-build-meta": {
                "target-directory": "/target",
                "non-test-binaries": {"one": [{"path": "debug/helper"}], "two": [{"path": "debug/helper"}]},
            },
            "rust-binaries": {"one": test("/target/debug/deps/one-1"), "two": test("/target/debug/deps/two-2")},
        });
        let expected = ["/target/debug/deps/one-1", "/target/debug/deps/two-2", "/target/debug/helper"];
        assert_eq!(programs(&described).unwrap(), expected.map(PathBuf::from));
    }

    #[test]
    fn a_description_without_tests_is_an_error() {
        let empty = json!({
            "rust-build-meta": {"target-directory": "/target", "non-test-binaries": {}}, "rust-binaries": {},
        });
        assert!(programs(&empty).is_err());
        assert!(programs(&json!({})).is_err());
    }
}
