//! What hostile programs inside a container do. It is linked statically and copied into test root file systems.
//!
//! * `attack peek LOG STOP`: looks into every other process until the file STOP exists;
//! * `attack overwrite LOG STOP`: keeps the executable of every other process open and tries to write to it;
//! * `attack cwd`: prints the working directory as the kernel tells it, and the file `secret` in it.

#![forbid(unsafe_code)]

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["peek", log, stop] => repeat(log, stop, &mut Peek),
        ["overwrite", log, stop] => repeat(log, stop, &mut Overwrite::default()),
        ["cwd"] => print_cwd(),
        _ => Err(io::Error::other("unknown attack")),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lines that are each written once.
#[derive(Debug)]
struct Log {
    file: File,
    said: BTreeSet<String>,
}

impl Log {
    fn say(&mut self, line: String) -> io::Result<()> {
        if self.said.contains(&line) {
            return Ok(());
        }
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.said.insert(line);
        Ok(())
    }
}

trait Attack {
    fn on_process(&mut self, pid: u32, log: &mut Log) -> io::Result<()>;
    fn after_round(&mut self, log: &mut Log) -> io::Result<()>;
}

fn repeat(log: &str, stop: &str, attack: &mut impl Attack) -> io::Result<()> {
    let mut log = Log { file: File::create(log)?, said: BTreeSet::new() };
    log.say("ready".to_owned())?;
    while !Path::new(stop).exists() {
        for pid in other_processes()? {
            log.say(format!("saw {pid}"))?;
            attack.on_process(pid, &mut log)?;
        }
        attack.after_round(&mut log)?;
    }
    log.say("done".to_owned())
}

fn other_processes() -> io::Result<Vec<u32>> {
    let own = std::process::id();
    let names = fs::read_dir("/proc")?.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).filter(|pid| *pid != own).collect())
}

/// Reads what only a process that may ptrace another one can read.
#[derive(Debug, Default)]
struct Peek;

impl Attack for Peek {
    fn on_process(&mut self, pid: u32, log: &mut Log) -> io::Result<()> {
        if let Ok(exe) = fs::read_link(format!("/proc/{pid}/exe"))
            && !exe.starts_with("/bin/")
        {
            log.say(format!("leak {pid} exe {}", exe.display()))?;
        }
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let is_standard = ["0", "1", "2"].iter().any(|name| entry.file_name() == *name);
            if let Ok(target) = fs::read_link(entry.path())
                && !is_standard
            {
                log.say(format!("leak {pid} fd {:?} {}", entry.file_name(), target.display()))?;
            }
        }
        Ok(())
    }

    fn after_round(&mut self, _: &mut Log) -> io::Result<()> {
        Ok(())
    }
}

/// Holds executables, and writes to them as soon as nobody runs them.
#[derive(Debug, Default)]
struct Overwrite {
    held: Vec<((u64, u64), OwnedFd)>,
}

impl Attack for Overwrite {
    fn on_process(&mut self, pid: u32, log: &mut Log) -> io::Result<()> {
        let path = format!("/proc/{pid}/exe");
        let Ok(fd) = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return Ok(()) };
        // What was opened counts: the process may become the container's own program at any moment.
        let opened = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let link = fs::read_link(&opened)?;
        if link.starts_with("/bin/") || link.starts_with("/attack") {
            return Ok(());
        }
        let meta = fs::metadata(&opened)?;
        let identity = (meta.dev(), meta.ino());
        if self.held.iter().all(|(known, _)| *known != identity) {
            log.say(format!("held {}", link.display()))?;
            self.held.push((identity, fd));
        }
        Ok(())
    }

    fn after_round(&mut self, log: &mut Log) -> io::Result<()> {
        for (_, fd) in &self.held {
            let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
            match open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                Err(Errno::TXTBSY) => {}
                Err(errno) => log.say(format!("tried to open: {errno}"))?,
                Ok(target) => match rustix::io::write(&target, b"overwritten") {
                    Err(errno) => log.say(format!("tried to write: {errno}"))?,
                    Ok(count) => log.say(format!("tried to write: wrote {count}"))?,
                },
            }
        }
        Ok(())
    }
}

fn print_cwd() -> io::Result<()> {
    let cwd = rustix::process::getcwd(Vec::new())?;
    let secret = fs::read_to_string("secret").unwrap_or_default();
    writeln!(io::stdout(), "cwd {}\n{secret}", cwd.to_string_lossy())
}
