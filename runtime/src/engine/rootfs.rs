//! Paths inside the container's root: whoever made the image, or shares a volume, controls them, so every one is
//! resolved by the kernel inside the root (`openat2`, `RESOLVE_IN_ROOT`), at the moment of use, to a descriptor.

use super::child::{Fault, Outcome};
use super::failure::Code;
use crate::plan::TargetRule;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd, mount};
use std::path::{Component, Path, PathBuf};

/// How many dangling symbolic links are followed while a path is made.
const MAX_LINKS: u32 = 40;

/// Makes the mount that a directory lies on private, in this mount namespace: its root is found by going up.
///
/// # Errors
/// What the kernel says.
pub(super) fn make_parent_mount_private(directory: &OwnedFd) -> Outcome {
    let private = mount::Attributes { propagation: libc::MS_PRIVATE, ..Default::default() };
    let mut current = fs::dup(directory)?;
    loop {
        match mount::set_attributes(&current, private) {
            // Not the root of a mount. The root of everything is one, so this ends.
            Err(error) if error.errno() == Errno::EINVAL => {}
            other => return Ok(other?),
        }
        current = fs::openat(&current, Path::new(".."), OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    }
}

/// Opens what is at `path` as an `O_PATH` descriptor and holds it against the rule.
///
/// # Errors
/// What the kernel says, and a refusal by the rule.
pub(super) fn open(root: BorrowedFd<'_>, path: &Path, rule: TargetRule) -> Outcome<OwnedFd> {
    let target = match rule {
        TargetRule::NoLinks => fs::open_in_root_no_links(root, path, OFlag::O_PATH)?,
        TargetRule::Inside | TargetRule::ProcFile => fs::open_in_root(root, path, OFlag::O_PATH, 0)?,
    };
    Ok(target)
}

/// As [`open`]; `None` where there is no such path.
///
/// # Errors
/// What the kernel says.
pub(super) fn open_if_present(
    root: BorrowedFd<'_>,
    path: &Path,
    rule: TargetRule,
) -> Outcome<Option<OwnedFd>> {
    match rule {
        TargetRule::NoLinks => match open(root, path, rule) {
            Err(Fault::Call(error)) if error.errno() == Errno::ENOENT => Ok(None),
            other => other.map(Some),
        },
        TargetRule::Inside | TargetRule::ProcFile => {
            Ok(fs::open_in_root_if_present(root, path, OFlag::O_PATH)?)
        }
    }
}

/// Refuses a target on a procfs: whoever can cover files of /proc can make the runtime, and the programs inside,
/// write their labels and limits elsewhere (CVE-2019-16884, CVE-2023-27561).
///
/// # Errors
/// A refusal that names the target.
pub(super) fn refuse_procfs(target: BorrowedFd<'_>, path: &Path) -> Outcome {
    if !is_procfs(target)? {
        return Ok(());
    }
    let message = format!("{} leads into /proc, which must not be covered", path.display());
    Err(Fault::Other(Code::Setup, message))
}

/// Whether a file is on a procfs.
///
/// # Errors
/// What the kernel says.
pub(super) fn is_procfs(file: BorrowedFd<'_>) -> Outcome<bool> {
    Ok(fs::fs_magic(file)? == fs::PROC_SUPER_MAGIC)
}

/// What a missing mount target is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// Opens `path`, and makes it with its parents where it is missing.
///
/// # Errors
/// What the kernel says.
pub(super) fn ensure(
    root: BorrowedFd<'_>,
    path: &Path,
    rule: TargetRule,
    kind: impl FnOnce() -> Outcome<Kind>,
) -> Outcome<OwnedFd> {
    match open_if_present(root, path, rule)? {
        Some(target) => Ok(target),
        None => make(root, path, kind()?),
    }
}

/// Makes `path` with its parents, and opens it.
///
/// # Errors
/// What the kernel says.
pub(super) fn make(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> Outcome<OwnedFd> {
    match kind {
        Kind::Directory => make_directory(root, path, MAX_LINKS),
        Kind::File => make_file(root, path),
    }
}

/// Opens the directory `path`, and makes it with its parents where it is missing.
///
/// # Errors
/// What the kernel says.
pub(super) fn ensure_directory(root: BorrowedFd<'_>, path: &Path) -> Outcome<OwnedFd> {
    match fs::open_in_root(root, path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0) {
        Err(error) if error.errno() == Errno::ENOENT => make_directory(root, path, MAX_LINKS),
        other => Ok(other?),
    }
}

fn make_file(root: BorrowedFd<'_>, path: &Path) -> Outcome<OwnedFd> {
    let (parent, name) = split(path)?;
    let directory = ensure_directory(root, parent)?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_WRONLY;
    match fs::openat(&directory, name, flags, 0o644) {
        Ok(_) => {}
        // Somebody made it meanwhile, or a dangling link is there; the kernel decides below whether it will do.
        Err(error) if error.errno() == Errno::EEXIST => {}
        Err(error) => return Err(error.into()),
    }
    Ok(fs::openat(&directory, name, OFlag::O_PATH | OFlag::O_NOFOLLOW, 0)?)
}

/// The parent directory of a path and its last name.
///
/// # Errors
/// For a path that ends in `/` alone or in `..`.
pub(super) fn split(path: &Path) -> Outcome<(&Path, &Path)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent, Path::new(name))),
        _ => Err(Fault::Other(Code::Setup, format!("{} names no file", path.display()))),
    }
}

/// Makes every missing directory of a path, one by one, each below a descriptor of the one before.
fn make_directory(root: BorrowedFd<'_>, path: &Path, links_left: u32) -> Outcome<OwnedFd> {
    let mut walked = PathBuf::from("/");
    let mut current = fs::open_in_root(root, &walked, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
    for component in path.components() {
        let Component::Normal(name) = component else {
            if component == Component::ParentDir {
                walked.push("..");
                current = fs::open_in_root(root, &walked, OFlag::O_PATH | OFlag::O_DIRECTORY, 0)?;
            }
            continue;
        };
        let before = walked.clone();
        walked.push(name);
        current = match fs::open_in_root(root, &walked, OFlag::O_PATH | OFlag::O_DIRECTORY, 0) {
            Ok(directory) => directory,
            Err(error) if error.errno() == Errno::ENOENT => {
                make_one(root, current.as_fd(), &before, Path::new(name), links_left)?
            }
            Err(error) => return Err(error.into()),
        };
    }
    Ok(current)
}

/// Makes the directory `name` below `parent`, or what a dangling symbolic link of that name leads to.
fn make_one(
    root: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    parent_path: &Path,
    name: &Path,
    links_left: u32,
) -> Outcome<OwnedFd> {
    match fs::mkdirat(parent, name, 0o755) {
        Ok(()) => {}
        Err(error) if error.errno() == Errno::EEXIST => {
            if let Ok(link) = fs::readlinkat(parent, name) {
                let Some(links_left) = links_left.checked_sub(1) else { return Err(error.into()) };
                // An absolute link replaces the path; the kernel keeps both kinds inside the root.
                return make_directory(root, &parent_path.join(link), links_left);
            }
        }
        Err(error) => return Err(error.into()),
    }
    // What was just made may have been exchanged for a link: that is an error, not a way out.
    Ok(fs::openat(parent, name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, 0)?)
}
