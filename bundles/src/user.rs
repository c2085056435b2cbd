//! Who a process runs as: the image has a name, the kernel takes numbers.

use mydocker_sys::Errno;
use mydocker_sys::fs::{OFlag, SFlag, fstat, open_in_root};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::path::Path;

/// How long the image's list of users or groups may be, in bytes.
const LIMIT: u64 = 16 << 20;

/// A user in numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// Further groups, in ascending order.
    pub groups: Vec<u32>,
}

/// Why a user is not known.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name is in no list of the image.
    #[error("user {0:?} is not in the image's /etc/passwd; give a number")]
    NoUser(String),
    /// The group is in no list of the image.
    #[error("group {0:?} is not in the image's /etc/group; give a number")]
    NoGroup(String),
    /// A list cannot be opened.
    #[error("cannot open the image's {0}")]
    Open(&'static str, #[source] mydocker_sys::Error),
    /// A list cannot be read.
    #[error("cannot read the image's {0}")]
    Read(&'static str, #[source] io::Error),
    /// It is a fifo, a device or a directory.
    #[error("the image's {0} is no regular file")]
    Kind(&'static str),
    /// It is too long.
    #[error("the image's {0} has more than {LIMIT} bytes")]
    TooLong(&'static str),
}

/// Finds who `text` is: `USER`, `USER:GROUP`, by names or numbers; empty is root. The lists are those below `root`, which
/// no link in it leads out of. With a group, the further groups of the user do not count (image-spec, config.md).
///
/// # Errors
/// [`UserError`].
pub fn find_user(root: BorrowedFd<'_>, text: &str) -> Result<User, UserError> {
    let (name, group) = text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
    let name = if name.is_empty() { "0" } else { name };
    let passwd = read(root, "/etc/passwd")?;
    let number = name.parse::<u32>().ok();
    let line =
        lines(&passwd, 4).find(|line| line[0] == name || number.is_some() && line[2].parse().ok() == number);
    let (uid, own_group) = match (&line, number) {
        (Some(line), _) => (line[2].parse().ok(), line[3].parse().ok()),
        (None, number) => (number, None),
    };
    let uid = uid.ok_or_else(|| UserError::NoUser(name.to_owned()))?;
    let groups = read(root, "/etc/group")?;
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        return Ok(User { uid, gid: find_group(&groups, group)?, groups: Vec::new() });
    }
    let gid = own_group.unwrap_or(0);
    let mut further = line.map_or_else(Vec::new, |line| groups_of(&groups, line[0]));
    further.retain(|group| *group != gid);
    further.sort_unstable();
    further.dedup();
    Ok(User { uid, gid, groups: further })
}

fn find_group(groups: &str, name: &str) -> Result<u32, UserError> {
    let line = lines(groups, 3).find(|line| line[0] == name);
    let number = line.and_then(|line| line[2].parse().ok()).or_else(|| name.parse().ok());
    number.ok_or_else(|| UserError::NoGroup(name.to_owned()))
}

fn groups_of(groups: &str, user: &str) -> Vec<u32> {
    let has_user = |line: &Vec<&str>| line[3].split(',').any(|member| member.trim() == user);
    lines(groups, 4).filter(has_user).filter_map(|line| line[2].parse().ok()).collect()
}

/// The lines of a list that have as many fields as are looked at.
fn lines(text: &str, fields: usize) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .map(|line| line.trim().split(':').collect::<Vec<_>>())
        .filter(move |line| line.len() >= fields)
}

/// Reads a list; an image need not have it. A fifo in its place would make the reader wait for ever.
fn read(root: BorrowedFd<'_>, path: &'static str) -> Result<String, UserError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match open_in_root(root, Path::new(path), flags, 0) {
        Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR) => return Ok(String::new()),
        other => other.map_err(|source| UserError::Open(path, source))?,
    };
    let stat = fstat(&file).map_err(|source| UserError::Open(path, source))?;
    if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFREG.bits() {
        return Err(UserError::Kind(path));
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| UserError::Read(path, source))?;
    if bytes.len() as u64 > LIMIT {
        return Err(UserError::TooLong(path));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd as _;

    fn image(passwd: &str, group: &str) -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir(place.path().join("etc")).expect("room");
        fs::write(place.path().join("etc/passwd"), passwd).expect("room");
        fs::write(place.path().join("etc/group"), group).expect("room");
        place
    }

    fn find(image: &tempfile::TempDir, text: &str) -> Result<User, UserError> {
        find_user(File::open(image.path()).expect("a directory").as_fd(), text)
    }

    fn user(uid: u32, gid: u32, groups: &[u32]) -> User {
        User { uid, gid, groups: groups.to_owned() }
    }

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let image = image(
            "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:34:w:/:/bin/sh\n",
            "root:x:0:\nstaff:x:50:other,web\nweb:x:34:web\naudio:x:29:web\n",
        );
        for (text, expected) in [
            ("", user(0, 0, &[])),
            ("web", user(33, 34, &[29, 50])),
            ("33", user(33, 34, &[29, 50])),
            ("web:", user(33, 34, &[29, 50])),
            ("web:staff", user(33, 50, &[])),
            ("web:7", user(33, 7, &[])),
            ("4000", user(4000, 0, &[])),
            (":staff", user(0, 50, &[])),
        ] {
            assert_eq!(find(&image, text).expect(text), expected, "{text}");
        }
        assert!(matches!(find(&image, "nobody"), Err(UserError::NoUser(name)) if name == "nobody"));
        assert!(matches!(find(&image, "web:none"), Err(UserError::NoGroup(name)) if name == "none"));
        assert!(find(&image, "4294967296").is_err() && find(&image, "-1").is_err());
    }

    #[test]
    fn an_image_without_lists_knows_numbers() {
        let place = tempfile::tempdir().expect("a directory");
        assert_eq!(find(&place, "7:8").expect("numbers"), user(7, 8, &[]));
        assert!(find(&place, "root").is_err());
    }

    #[test]
    fn a_fifo_or_a_link_to_the_host_is_not_read() {
        let image = image("", "");
        let passwd = image.path().join("etc/passwd");
        fs::remove_file(&passwd).expect("there");
        std::os::unix::fs::symlink("/proc/self/environ", &passwd).expect("room");
        assert!(find(&image, "root").is_err());
        fs::remove_file(&passwd).expect("there");
        let directory = File::open(image.path().join("etc")).expect("a directory");
        mydocker_sys::fs::mkfifoat(&directory, Path::new("passwd"), 0o644).expect("room");
        assert!(matches!(find(&image, "root"), Err(UserError::Kind("/etc/passwd"))));
    }
}
