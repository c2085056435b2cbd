//! The program as a person runs it: what it says of runtimes that do not work, and that it leaves nothing behind.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

type Outcome = Result<(), Box<dyn Error>>;

fn bench(runtime: &str, temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench"));
    command.env("MYDOCKER_RUNTIME", runtime).env("TMPDIR", temporary).arg("--no-write").args(arguments);
    command
}

/// The cgroups that the measurement with this pid made, in every hierarchy of the machine.
fn cgroups_of(pid: u32) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let name = format!("mydocker-bench-{pid}");
    let root = Path::new("/sys/fs/cgroup");
    let mut candidates = vec![root.join(&name)];
    for entry in std::fs::read_dir(root)? {
        candidates.push(entry?.path().join(&name));
    }
    Ok(candidates.into_iter().filter(|path| path.exists()).collect())
}

fn assert_nothing_left(pid: u32, temporary: &Path) -> Outcome {
    assert_eq!(cgroups_of(pid)?, Vec::<PathBuf>::new(), "cgroups are left");
    assert_eq!(std::fs::read_dir(temporary)?.count(), 0, "a temporary directory is left");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    assert!(!mounts.contains(&*temporary.to_string_lossy()), "a mount is left");
    Ok(())
}

/// The table row that begins with this name below the last heading.
fn last_row<'a>(report: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("| {name} |");
    report.lines().rfind(|line| line.starts_with(&start))
}

#[test]
fn privileged_a_missing_runtime_has_its_reason_and_the_others_their_figures() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let arguments = ["--iterations", "2", "--only", "run"];
    let child = bench("/nowhere/runtime", temporary.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    let report = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = last_row(&report, "mydocker-runtime").ok_or("no row of ours")?;
    assert!(ours.contains("failed: /nowhere/runtime: No such file"), "{ours}");
    for floor in ["floor", "floor+cgroups"] {
        let row = last_row(&report, floor).ok_or("no row of the floor")?;
        let wall: f64 = row.split('|').nth(2).ok_or("no wall time")?.trim().parse()?;
        assert!(wall > 0.0, "{row}");
    }
    assert_nothing_left(pid, temporary.path())
}

#[test]
fn privileged_a_program_that_runs_no_container_is_not_measured() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let arguments = ["--iterations", "1", "--only", "run", "--only", "create-start-delete"];
    let output = bench("/bin/true", temporary.path(), &arguments).output()?;
    let report = String::from_utf8(output.stdout)?;
    assert!(report.contains("| mydocker-runtime | failed: true run: status 0"), "{report}");
    assert!(report.contains("| mydocker-runtime | failed: no pid file"), "{report}");
    Ok(())
}

#[test]
fn privileged_engines_are_measured_and_leave_nothing_behind() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let arguments = ["--mydocker", "--iterations", "1", "--only", "run-alone", "--only", "monitor"];
    let child = bench("/nowhere/runtime", temporary.path(), &arguments)
        .env("MYDOCKER", "/nowhere/mydocker")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    let report = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = last_row(&report, "mydocker").ok_or("no row of ours")?;
    assert!(ours.contains("failed: /nowhere/mydocker: No such file"), "{ours}");
    for engine in ["podman", "docker"] {
        let row = last_row(&report, engine).ok_or("no row of an engine")?;
        let peak: f64 = row.split('|').nth(2).ok_or("no peak")?.trim().parse()?;
        assert!(peak > 0.0, "{row}");
    }
    assert_nothing_left(pid, temporary.path())
}

#[test]
fn a_workload_of_another_group_is_refused() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let output = bench("/nowhere/runtime", temporary.path(), &["--only", "at-once"]).output()?;
    let complaint = String::from_utf8(output.stderr)?;
    assert!(!output.status.success());
    assert!(complaint.contains("--only at-once") && complaint.contains("seccomp-cold"), "{complaint}");
    Ok(())
}

#[test]
fn privileged_an_interrupt_leaves_nothing_behind() -> Outcome {
    let temporary = tempfile::tempdir()?;
    let arguments = ["--iterations", "100000", "--only", "parallel"];
    let mut child: Child =
        bench("/nowhere/runtime", temporary.path(), &arguments).stderr(Stdio::piped()).spawn()?;
    let mut messages = BufReader::new(child.stderr.take().ok_or("no standard error")?);
    let mut line = String::new();
    messages.read_line(&mut line)?;
    assert!(line.contains("100 runs in parallel"), "{line}");
    let pid = i32::try_from(child.id())?;
    mydocker_sys::process::kill(mydocker_sys::process::Pid::from_raw(pid), 2)?;
    line.clear();
    messages.read_line(&mut line)?;
    assert!(!child.wait()?.success());
    assert_eq!(line, "bench: interrupted by signal 2\n");
    assert_nothing_left(child.id(), temporary.path())
}
