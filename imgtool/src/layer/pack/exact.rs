//! Whether two unpackings of one layer are the same.

use super::difference::same;
use super::{DEPTH_LIMIT, PackError, entered, joined, refused, shown};
use crate::layer::view::{Directory, Node};
use mydocker_sys::fs::SFlag;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

/// The first name by which two trees differ in anything that a layer keeps, or that overlayfs is told by: `None` if there is
/// none. The times of directories may differ, since not every directory of a layer is described by it.
///
/// # Errors
/// [`PackError`].
pub fn first_difference(one: &Directory, other: &Directory) -> Result<Option<PathBuf>, PackError> {
    let failed = |source| PackError::Kernel { path: shown(b""), source };
    let tops = (one.top().map_err(failed)?, other.top().map_err(failed)?);
    let found = match tops {
        (Some(a), Some(b)) if alike(&a, &b, b"")? => below(one, other, b"", 0)?,
        (None, None) => None,
        _ => Some(Vec::new()),
    };
    Ok(found.map(|path| shown(&path)))
}

fn below(
    one: &Directory,
    other: &Directory,
    path: &[u8],
    depth: usize,
) -> Result<Option<Vec<u8>>, PackError> {
    if depth > DEPTH_LIMIT {
        return Err(refused(path, "it lies more than 200 directories deep"));
    }
    let mut ours = children(one, path)?;
    for (name, theirs) in children(other, path)? {
        let path = joined(path, &name);
        let Some(own) = ours.remove(&name) else { return Ok(Some(path)) };
        if !alike(&own, &theirs, &path)? {
            return Ok(Some(path));
        }
        if own.is_directory() {
            let found = below(&entered(&own, &path)?, &entered(&theirs, &path)?, &path, depth + 1)?;
            if found.is_some() {
                return Ok(found);
            }
        }
    }
    Ok(ours.into_keys().next().map(|name| joined(path, name)))
}

fn children(directory: &Directory, path: &[u8]) -> Result<BTreeMap<OsString, Node>, PackError> {
    directory.children().map_err(|source| PackError::Kernel { path: shown(path), source })
}

fn alike(one: &Node, other: &Node, path: &[u8]) -> Result<bool, PackError> {
    let failed = |source| PackError::Kernel { path: shown(path), source };
    let is_cover = |node: &Node| node.kind() == SFlag::S_IFCHR && node.stat.st_rdev == 0;
    if one.kind() != other.kind() || is_cover(one) != is_cover(other) {
        return Ok(false);
    }
    // What covers something has no owner and no time of its own.
    if is_cover(one) {
        return Ok(true);
    }
    if !one.is_directory() {
        return Ok(one.stat.st_nlink == other.stat.st_nlink && same(one, other, path)?);
    }
    let mark = |node: &Node| node.mark("opaque").map_err(failed);
    Ok(mark(one)? == mark(other)? && same(one, other, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    /// A tree with a bit of everything that takes no privilege.
    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().expect("a directory");
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("d/e")).expect("room");
        fs::write(at("d/file"), "text").expect("room");
        fs::hard_link(at("d/file"), at("d/name")).expect("room");
        symlink("file", at("d/link")).expect("room");
        fs::write(at("d/e/other"), "more").expect("room");
        for name in ["d/file", "d/e/other"] {
            set_time(&at(name), 7);
        }
        place
    }

    fn set_time(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("a time");
    }

    /// The first name that differs, and what makes it differ.
    type Case = (&'static str, fn(&Path));

    fn compared(one: &Path, other: &Path) -> Option<String> {
        let open = |path: &Path| Directory::plain(File::open(path).expect("a directory").into());
        let found = first_difference(&open(one), &open(other)).expect("readable");
        found.map(|path| path.display().to_string())
    }

    #[test]
    fn whatever_is_changed_is_found() {
        let one = tree();
        let changes: [Case; 8] = [
            ("d/file", |at| {
                fs::write(at.join("d/file"), "Text").expect("room");
                set_time(&at.join("d/file"), 7);
            }),
            ("d/e/other", |at| set_time(&at.join("d/e/other"), 8)),
            ("d/e", |at| {
                fs::set_permissions(at.join("d/e"), fs::Permissions::from_mode(0o700)).expect("own");
            }),
            ("d/e/other", |at| fs::remove_file(at.join("d/e/other")).expect("it is there")),
            ("d/new", |at| fs::write(at.join("d/new"), "").expect("room")),
            ("d/file", |at| fs::remove_file(at.join("d/name")).expect("it is there")),
            ("d/link", |at| {
                fs::remove_file(at.join("d/link")).expect("it is there");
                symlink("name", at.join("d/link")).expect("room");
            }),
            (".", |at| fs::set_permissions(at, fs::Permissions::from_mode(0o711)).expect("own")),
        ];
        for (path, change) in changes {
            let other = tree();
            copy_times(one.path(), other.path());
            assert_eq!(compared(one.path(), other.path()), None);
            change(other.path());
            assert_eq!(compared(one.path(), other.path()).as_deref(), Some(path));
        }
    }

    /// A link's own time cannot be set by the standard library.
    fn copy_times(one: &Path, other: &Path) {
        let status = std::process::Command::new("touch")
            .args(["--no-dereference", "--reference"])
            .args([one.join("d/link"), other.join("d/link")])
            .status();
        assert!(status.expect("touch").success());
    }
}
