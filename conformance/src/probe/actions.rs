//! What the probe does besides telling what it sees.

use super::{Step, report};
use mydocker_sys as sys;
use rustix::fs::{FileType, Mode, OFlags, SeekFrom};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::{Error, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use sys::signal::{SigSet, SignalQueue};

/// The number of an error, 0 for success.
fn number<T>(result: Result<T, Error>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

fn outcome<T>(result: Result<T, Error>) -> Value {
    json!({"errno": number(result)})
}

/// Blocks every signal, says that it pauses, waits for one signal and tells its number.
pub(super) fn pause() -> Value {
    let all = SigSet::all();
    let queue = sys::signal::block(&all).and_then(|_| SignalQueue::new(&all));
    let Ok(queue) = queue else { return json!({"errno": -1}) };
    super::print(&json!({"paused": std::process::id()}));
    loop {
        let waited = sys::poll::poll(&[sys::poll::Interest::read(queue.as_fd())], None, "a signal");
        if waited.is_err() {
            return json!({"errno": -1});
        }
        // SIGCHLD of an adopted process is no answer.
        if let Ok(Some(received)) = queue.next()
            && received.number != 17
        {
            return json!({"signal": received.number});
        }
    }
}

pub(super) fn stat(path: &str) -> Value {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) => return json!({"errno": error.raw_os_error()}),
    };
    json!({
        "errno": 0,
        "kind": kind(found.file_type()),
        "mode": found.mode() & 0o7777,
        "uid": found.uid(),
        "gid": found.gid(),
        "size": found.size(),
        "inode": found.ino(),
        "device": found.dev(),
        "major": rustix::fs::major(found.rdev()),
        "minor": rustix::fs::minor(found.rdev()),
        "target": fs::read_link(path).ok(),
        "kind_behind": fs::metadata(path).ok().map(|found| kind(found.file_type())),
    })
}

/// The letter that a device list has for it; `f`, `d` and `l` for what is none.
fn kind(kind: fs::FileType) -> &'static str {
    match kind {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        kind if kind.is_fifo() => "p",
        kind if kind.is_dir() => "d",
        kind if kind.is_symlink() => "l",
        kind if kind.is_socket() => "s",
        _ => "f",
    }
}

pub(super) fn open(path: &str, how: &str) -> Value {
    let mut options = OpenOptions::new();
    options.read(how.contains('r')).write(how.contains('w'));
    outcome(options.open(path))
}

pub(super) fn read(path: &str) -> Value {
    let read = OpenOptions::new().read(true).open(path).and_then(|file| {
        let mut bytes = Vec::new();
        // Some devices have no end.
        file.take(65536).read_to_end(&mut bytes).map(|_| bytes)
    });
    match read {
        Ok(bytes) => json!({"errno": 0, "text": String::from_utf8_lossy(&bytes)}),
        Err(error) => json!({"errno": error.raw_os_error()}),
    }
}

pub(super) fn write(path: &str, text: &str) -> Value {
    outcome(OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes())))
}

pub(super) fn touch(path: &str) -> Value {
    outcome(OpenOptions::new().create(true).append(true).open(path))
}

pub(super) fn list(path: &str) -> Value {
    match fs::read_dir(path) {
        Ok(entries) => {
            let mut names: Vec<String> =
                entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            json!({"errno": 0, "names": names})
        }
        Err(error) => json!({"errno": error.raw_os_error()}),
    }
}

/// Runs a program that is asked to end with 0.
pub(super) fn execute(path: &str) -> Value {
    let status = Command::new(path).args(["exit", "0"]).status();
    match status {
        Ok(status) => json!({"errno": 0, "status": ExitStatus::code(&status)}),
        Err(error) => json!({"errno": error.raw_os_error()}),
    }
}

pub(super) fn mknod(path: &str, kind: &str, major: &str, minor: &str) -> Value {
    let kind = if kind == "b" { FileType::BlockDevice } else { FileType::CharacterDevice };
    let device = rustix::fs::makedev(major.parse().unwrap_or(0), minor.parse().unwrap_or(0));
    let made = rustix::fs::mknodat(rustix::fs::CWD, path, kind, Mode::from_raw_mode(0o600), device);
    outcome(made.map_err(Error::from))
}

/// One system call by its name: what a seccomp filter is asked with.
pub(super) fn call(name: &str, words: &[&str]) -> Value {
    let word = |index: usize| words.get(index).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let path = words.first().copied().unwrap_or("/");
    let result = match name {
        "getcwd" => rustix::process::getcwd(Vec::new()).map(drop),
        "mkdirat" => rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)),
        "chmod" => rustix::fs::chmod(path, Mode::from_raw_mode(0o755)),
        "sync" => {
            rustix::fs::sync();
            Ok(())
        }
        // /dev/zero takes every offset, so that whatever fails is the filter's answer.
        "lseek" => return seek(word(0)),
        "sethostname" => rustix::system::sethostname(path.as_bytes()),
        "socket" => {
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
                .map(drop)
        }
        _ => return json!({"unknown": name}),
    };
    outcome(result.map_err(Error::from))
}

fn seek(offset: u64) -> Value {
    let file = rustix::fs::open("/dev/zero", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let sought = file.and_then(|file| rustix::fs::seek(&file, SeekFrom::Start(offset)));
    outcome(sought.map_err(Error::from))
}

/// Starts that many children at once, each of which waits for the end of its input; how many could be.
pub(super) fn children(count: &str) -> Value {
    let mut running = Vec::new();
    let mut errno = 0;
    for _ in 0..count.parse::<u32>().unwrap_or(0) {
        let child = Command::new("/proc/self/exe")
            .args(["read", "/dev/stdin"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn();
        match child {
            Ok(child) => running.push(child),
            Err(error) => {
                errno = error.raw_os_error().unwrap_or(-1);
                break;
            }
        }
    }
    let started = running.len();
    for mut child in running {
        drop(child.stdin.take());
        drop(child.wait());
    }
    json!({"started": started, "errno": errno})
}

/// Appends a line to a file that others append to as well.
pub(super) fn log(path: &str, text: &str) -> Value {
    outcome(append(path, &json!({"log": text})))
}

fn append(path: &str, value: &Value) -> Result<(), Error> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{value}\n").as_bytes())
}

/// Bind mounts `source` on `target`.
pub(super) fn bind(source: &str, target: &str) -> Value {
    let made = sys::mount::open_tree_at(rustix::fs::CWD, Path::new(source), sys::mount::Clone::One).and_then(
        |tree| {
            let place = sys::fs::open(Path::new(target), sys::fs::OFlag::O_PATH)?;
            sys::mount::attach(tree, place)
        },
    );
    json!({"errno": made.map_or_else(|error| error.errno() as i32, |()| 0)})
}

/// What a hook does: it appends to `log` what it was given and where it runs, then ends with the status `ending`, or
/// never when that is `hang`.
pub(super) fn hook(log: &str, name: &str, ending: &str, args: &[String]) -> Step {
    let mut state = String::new();
    let read = std::io::stdin().read_to_string(&mut state);
    let root = fs::metadata("/").ok();
    let said = json!({
        "hook": name,
        "read": number(read),
        "state": serde_json::from_str::<Value>(&state).ok(),
        "args": args,
        "env": report::environment(),
        "cwd": std::env::current_dir().ok(),
        "namespaces": report::links("/proc/self/ns"),
        "pid": std::process::id(),
        "root": root.map(|found| json!({"inode": found.ino(), "device": found.dev()})),
        "mounts": report::mounts(),
    });
    if append(log, &said).is_err() {
        return Step::Exit(98);
    }
    if ending == "hang" {
        return Step::Answer(pause());
    }
    Step::Exit(ending.parse().unwrap_or(97))
}
