//! Loads the filter of the profile on standard input into itself and makes a call under it: prints the error number of
//! `mkdir("/", mode)` for each mode given as an argument, in octal. With `check` as the only argument it reads a profile
//! per line instead, and loads each behind an instruction that allows everything: the kernel looks at all of it.
#![forbid(unsafe_code)]

use mydocker_runtime::seccomp::{Arch, Facts, compile};
use mydocker_runtime::spec::Seccomp;
use mydocker_sys::seccomp::{Instruction, set_filter};
use std::error::Error;
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;

const ALLOW: Instruction = Instruction { code: 6, jt: 0, jf: 0, k: 0x7fff_0000 };

fn main() -> Result<(), Box<dyn Error>> {
    let host = Facts { native: Arch::BUILD.ok_or("seccomp does not know this machine")? };
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    let answer = if args == ["check"] { check(&input, &host)? } else { under_filter(&input, &host, &args)? };
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

fn under_filter(profile: &str, host: &Facts, modes: &[String]) -> Result<String, Box<dyn Error>> {
    let profile: Seccomp = serde_json::from_str(profile)?;
    let compiled = compile(&profile, host)?;
    set_filter(&compiled.program, compiled.flags)?;
    let mut answers = String::new();
    for mode in modes {
        let made = std::fs::DirBuilder::new().mode(u32::from_str_radix(mode, 8)?).create("/");
        let errno = made.err().and_then(|error| error.raw_os_error()).unwrap_or(0);
        answers.push_str(&format!("{errno}\n"));
    }
    Ok(answers)
}

/// Each filter goes to a thread of its own: the kernel limits the sum of what one thread has loaded.
fn check(profiles: &str, host: &Facts) -> Result<String, Box<dyn Error>> {
    let mut count = 0;
    for line in profiles.lines() {
        let profile: Seccomp = serde_json::from_str(line)?;
        let mut program = compile(&profile, host)?.program;
        program.insert(0, ALLOW);
        let loaded = std::thread::spawn(move || set_filter(&program, 0).map(drop)).join();
        loaded.map_err(|_| "the thread died")??;
        count += 1;
    }
    Ok(format!("{count}\n"))
}
