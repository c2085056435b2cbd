//! Runs the suite: on our runtime, and on runc and crun, which judges the suite. Each differs as listed, or fails.

use std::path::{Path, PathBuf};
use std::process::Command;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Judges a runtime and demands that everything is as expected.
fn judge(runtime: &Path, more: &[&str]) {
    assert!(
        runtime.is_file(),
        "{} is missing; run `make` and scripts/install-deps.sh test",
        runtime.display()
    );
    let output = Command::new(env!("CARGO_BIN_EXE_conformance"))
        .arg("--runtime")
        .arg(runtime)
        .args(["--probe", env!("CARGO_BIN_EXE_conformance-probe")])
        .args(more)
        .output()
        .expect("the suite can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let failures: Vec<&str> = said.lines().filter(|line| line.starts_with("not ok")).collect();
    let surprises = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{surprises}\n{}\n{said}", failures.join("\n"));
}

fn list(name: &str) -> String {
    checkout().join("conformance/expected").join(name).display().to_string()
}

/// A program of Debian's, which lies in either place.
fn program(name: &str) -> PathBuf {
    let places = ["/usr/bin", "/usr/sbin"].map(|place| Path::new(place).join(name));
    places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from(name))
}

#[test]
fn privileged_our_runtime_differs_as_listed() {
    judge(&checkout().join("bin/mydocker-runtime"), &["--expected", &list("mydocker-runtime.toml")]);
}

#[test]
fn privileged_runc_differs_as_listed() {
    judge(&program("runc"), &["--expected", &list("runc.toml")]);
}

#[test]
fn privileged_crun_differs_as_listed() {
    judge(&program("crun"), &["--expected", &list("crun.toml"), "--hide-v2-controllers"]);
}
