//! Compile times and sizes: `cargo run --release -p mydocker-oracle-seccomp --example measure`.
#![forbid(unsafe_code)]

use mydocker_oracle_seccomp::interpreter::{Call, run};
use mydocker_oracle_seccomp::oracle::Oracle;
use mydocker_oracle_seccomp::profiles;
use mydocker_runtime::seccomp::{Arch, Facts, compile};
use mydocker_sys::seccomp::Instruction;
use std::error::Error;
use std::io::Write;
use std::time::Instant;

const ROUNDS: u32 = 1000;

/// The mean of the instructions that a call takes, over all numbers of x86-64.
fn steps(program: &[Instruction]) -> f64 {
    let call = |nr| Call { nr, arch: Arch::X86_64.audit(), args: [0; 6], big_endian: false };
    let numbers = (0..335).chain(424..460);
    let total: usize = numbers.clone().map(|nr| run(program, &call(nr)).1).sum();
    total as f64 / numbers.count() as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let host = Facts { native: Arch::X86_64 };
    let dir = tempfile::tempdir()?;
    let mut oracle = Oracle::start(dir.path());
    let mut out = std::io::stdout();
    let profiles = [
        ("docker", profiles::docker()),
        ("podman", profiles::podman()),
        ("containerd", profiles::containerd()),
        ("denying", profiles::denying()),
    ];
    for (name, profile) in profiles {
        let program = compile(&profile, &host)?.program;
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(compile(std::hint::black_box(&profile), &host)?);
        }
        let ours = begin.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
        let begin = Instant::now();
        let theirs = oracle.compile(&profile, host.native);
        let asked = begin.elapsed().as_secs_f64() * 1e6;
        let theirs = theirs.map_or("refused".to_owned(), |program| {
            format!("{} instructions, {:.1} steps", program.len(), steps(&program))
        });
        writeln!(
            out,
            "{name}: {ours:.1} us, {} instructions, {:.1} steps a call; libseccomp, asked: {asked:.0} us, {theirs}",
            program.len(),
            steps(&program)
        )?;
    }
    Ok(())
}
