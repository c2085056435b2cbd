//! What a run may cost. Counts and sizes alone: times belong to the benchmarks.
//!
//! runc meets none of these; they are promises of this runtime.

use mydocker_tests::Runtime;
use std::fs;

#[test]
fn privileged_a_run_of_true_takes_few_system_calls() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    // The first run may warm what later ones use.
    runtime.run(&bundle).succeeds();
    let (outcome, count) = runtime.count_syscalls(runtime.run_command(&bundle));
    outcome.succeeds();
    assert!(count <= 300, "{count} system calls");
}

#[test]
fn privileged_a_run_of_true_takes_little_memory() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle();
    let file = runtime.scratch().join("peak");
    let path = file.to_str().expect("a plain path");
    let run = runtime.run_command(&bundle).through(["/usr/bin/busybox", "time", "-f", "%M", "-o", path]);
    run.run().succeeds();
    let peak: u64 = fs::read_to_string(&file).expect("time wrote it").trim().parse().expect("kibibytes");
    assert!(peak <= 3 * 1024, "{peak} KiB");
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
