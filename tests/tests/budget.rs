//! What a run may cost. Counts and sizes alone: times belong to the benchmarks.
//!
//! runc meets none of these; they are promises of this runtime.

use mydocker_tests::{Engine, Runtime, procfs, wait};
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

#[test]
fn privileged_a_run_of_true_takes_few_system_calls() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    // The first run may warm what later ones use.
    runtime.run(&bundle).succeeds();
    let (outcome, count) = runtime.count_syscalls(runtime.run_command(&bundle));
    outcome.succeeds();
    // docs/adr/0013-the-system-calls-of-a-run.md says what each is for. crun 1.8 makes 1,020 with the hierarchies of v1
    // and 810 without, runc 1.1 makes 2,500 and 2,900 of them.
    assert!(count <= 300, "{count} system calls");
}

/// The runtime while its container runs: all but the removal is behind it.
#[test]
fn privileged_a_run_takes_little_memory() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().script("echo ready; read line; exit 0");
    let running = runtime.run_command(&bundle).stdin_pipe().spawn();
    running.wait_for_output("ready");
    let peak = peak(running.pid());
    running.wait().succeeds();
    // How much the kernel maps around a page that is touched depends on how the program's file lies in its cache: 2,100 to
    // 2,600 KiB were seen. Much more says that runtime/hot.ld has grown old (scripts/hot-functions.sh).
    assert!(peak <= 2816, "{peak} KiB");
}

/// The most memory that a process has had, in KiB.
fn peak(pid: i32) -> u64 {
    let peak = procfs::status_field(pid, "VmHWM").expect("it runs");
    peak.trim_end_matches(" kB").parse().expect("a number")
}

/// There is one for each container that runs. Short lines are the most that it can be given.
#[test]
fn privileged_a_monitor_takes_little_memory_whatever_is_printed() {
    let engine = Engine::new();
    let text =
        "seq 300000; tr '\\0' x < /dev/zero | head -c 1000000; echo; echo ready; while :; do sleep 0.1; done";
    for (name, flags) in [("pipes", &["-d"][..]), ("terminal", &["-d", "-t"])] {
        let words = ["run", "--network", "none", "--log-driver", "json-file", "--name", name];
        let id = engine.ok(words.iter().chain(flags).chain(&["/bin/sh", "-c", text]));
        let log = engine.path("root/containers").join(id).join("container.log");
        wait::until("all lines", || ends_with_ready(&log).then_some(()));
        let peak = peak(engine.pid(name, "monitor"));
        assert!(peak <= 3 * 1024, "{name}: {peak} KiB");
    }
}

fn ends_with_ready(log: &Path) -> bool {
    let file = File::open(log).expect("a log");
    let (mut end, length) = ([0; 128], file.metadata().expect("a log").len());
    file.read_exact_at(&mut end, length.saturating_sub(128))
        .is_ok_and(|()| String::from_utf8_lossy(&end).contains("\"log\":\"ready"))
}

#[test]
fn the_program_is_one_small_static_file() {
    let program = mydocker_tests::runtime::program();
    let bytes = fs::read(&program).expect("it is there");
    assert!(bytes.len() <= 4 << 20, "{} bytes", bytes.len());
    assert!(!has_interpreter(&bytes), "{} asks for a dynamic loader", program.display());
}

/// Whether an ELF file of 64 bits has a program header of type PT_INTERP.
fn has_interpreter(elf: &[u8]) -> bool {
    let number = |at: usize, length: usize| {
        elf[at..at + length].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
    };
    assert_eq!(&elf[..5], b"\x7fELF\x02", "an ELF file of 64 bits");
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|n| number(table + n * size, 4) == 3)
}

#[test]
fn the_look_for_an_interpreter_finds_one() {
    assert!(has_interpreter(&fs::read("/bin/ls").expect("the host has ls")));
    assert!(!has_interpreter(&fs::read("/usr/bin/busybox").expect("busybox-static")));
}
