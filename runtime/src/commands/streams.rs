//! The standard streams of a container in a checkpoint: those that come from outside are the new caller's afterwards.

use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{Errno, Result};
use std::path::Path;

/// What the standard streams of a process are, by the names that criu has for them: `pipe:[INODE]` for a pipe,
/// `file[MOUNT:INODE]` for a file that lies outside of the container, the path of any other, and nothing for a stream
/// that is closed.
pub(super) fn of(pid: i32) -> Result<Vec<String>> {
    let mounts = text(&format!("/proc/{pid}/mountinfo"))?;
    let known: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').next()).collect();
    (0..3).map(|number| stream(pid, number, &known)).collect()
}

fn stream(pid: i32, number: u32, known_mounts: &[&str]) -> Result<String> {
    let path = format!("/proc/{pid}/fd/{number}");
    let link = match fs::readlinkat(fs::AT_FDCWD, Path::new(&path)) {
        Err(error) if error.errno() == Errno::ENOENT => return Ok(String::new()),
        other => other?.to_string_lossy().into_owned(),
    };
    let stat = fs::fstat(&fs::open(Path::new(&path), OFlag::O_PATH)?)?;
    if !matches!(stat.st_mode & libc::S_IFMT, libc::S_IFREG | libc::S_IFCHR) {
        return Ok(link);
    }
    let info = text(&format!("/proc/{pid}/fdinfo/{number}"))?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map_or("", str::trim);
    Ok(match mount.parse::<u32>() {
        Ok(id) if !known_mounts.contains(&mount) => external(id, stat.st_ino),
        _ => link,
    })
}

fn external(mount: u32, inode: u64) -> String {
    format!("file[{mount:x}:{inode:x}]")
}

fn text(path: &str) -> Result<String> {
    const MAX: u64 = 16 << 20;
    Ok(String::from_utf8_lossy(&fs::read_at(fs::AT_FDCWD, Path::new(path), MAX)?).into_owned())
}

/// The files from outside among the streams, each once.
pub(super) fn outside(streams: &[String]) -> impl Iterator<Item = &str> {
    let firsts = streams.iter().enumerate().filter(|(index, name)| !streams[..*index].contains(name));
    firsts.map(|(_, name)| name.as_str()).filter(|name| name.starts_with("file["))
}

/// What the caller's streams take the place of: criu's name and the number, each name once.
pub(super) fn inherited(streams: &[String]) -> Vec<(String, i32)> {
    let mut inherited: Vec<(String, i32)> = Vec::new();
    for (name, number) in streams.iter().zip(0..) {
        let from_outside = name.contains("pipe:") || name.starts_with("file[");
        if from_outside && !inherited.iter().any(|(known, _)| known == name) {
            inherited.push((name.clone(), number));
        }
    }
    inherited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_from_outside_are_inherited_once_each() {
        let streams = ["pipe:[7]", "file[1a:ff]", "file[1a:ff]"].map(str::to_owned);
        assert_eq!(inherited(&streams), [("pipe:[7]".to_owned(), 0), ("file[1a:ff]".to_owned(), 1)]);
        assert_eq!(outside(&streams).collect::<Vec<_>>(), ["file[1a:ff]"]);
        let inside = ["/dev/pts/0", "", "/log"].map(str::to_owned);
        assert_eq!(inherited(&inside), []);
        assert_eq!(external(26, 5), "file[1a:5]");
    }

    #[test]
    fn a_stream_of_this_process_lies_in_its_own_mounts() {
        let streams = of(std::process::id() as i32).expect("an own process");
        assert_eq!(streams.len(), 3);
        assert_eq!(outside(&streams).count(), 0, "{streams:?}");
    }
}
