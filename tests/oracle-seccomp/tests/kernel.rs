//! The running kernel takes the filters, and does what they say.

use mydocker_oracle_seccomp::profiles;
use mydocker_oracle_seccomp::random::{Conflicts, Random, profile};
use mydocker_runtime::seccomp::Arch;
use std::io::Write;
use std::process::{Command, Output, Stdio};

fn load(input: &str, args: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_load-filter"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("the program reads");
    child.wait_with_output().expect("the program ends")
}

fn said(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).expect("text")
}

#[test]
fn privileged_the_kernel_takes_every_filter() {
    let mut all = vec![profiles::docker(), profiles::podman(), profiles::containerd(), profiles::denying()];
    let names: Vec<String> =
        include_str!("../data/unprivileged.txt").split_whitespace().map(str::to_owned).collect();
    let mut random = Random(0x5eed_0004);
    let archs = [Arch::X86_64, Arch::X86, Arch::X32, Arch::S390X, Arch::Arm];
    all.extend((0..500).map(|_| profile(&mut random, &archs, &names, Conflicts::Any)));
    let lines: Vec<String> =
        all.iter().map(|profile| serde_json::to_string(profile).expect("JSON")).collect();
    let output = load(&(lines.join("\n") + "\n"), &["check"]);
    assert_eq!(said(&output), "504\n");
}

#[test]
fn privileged_the_kernel_returns_the_error_number_of_a_rule() {
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":77,
         "args":[{"index":1,"value":449,"op":"SCMP_CMP_EQ"}]}]}"#;
    // 0o701 is 449; without the filter's word "/" exists.
    assert_eq!(said(&load(json, &["701", "700", "701"])), format!("77\n{0}\n77\n", libc::EEXIST));
}

#[test]
fn privileged_a_program_runs_under_a_docker_profile() {
    let json = serde_json::to_string(&profiles::docker()).expect("JSON");
    assert_eq!(said(&load(&json, &["700"])), format!("{}\n", libc::EEXIST));
}

#[test]
fn privileged_a_killing_filter_kills() {
    use std::os::unix::process::ExitStatusExt;
    let json = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;
    assert_eq!(load(json, &["700"]).status.signal(), Some(libc::SIGSYS));
}
