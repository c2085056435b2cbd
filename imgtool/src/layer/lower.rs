//! What the layers below a layer show together, as overlayfs would: the highest that has a name counts, directories are
//! merged, and what is covered is not there.

use super::LayerError;
use super::tar::{Entry, Kind, Time};
use super::tree::{components, shown};
use mydocker_sys::Errno;
use mydocker_sys::copy::{attribute_of_link, attributes_of_link};
use mydocker_sys::fs::{
    FileStat, OFlag, SFlag, cstring, fgetxattr, lstatat, major, minor, open_in_root_no_links, readlinkat,
};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How many symbolic links one name may lead through, as in the kernel (`MAXSYMLINKS`).
const LINK_LIMIT: u32 = 40;

/// Unpacked layers, the highest first.
#[derive(Debug, Default)]
pub struct Lower {
    layers: Vec<Rc<OwnedFd>>,
}

/// A directory as several layers have it, the highest first.
type Merged = Vec<Rc<OwnedFd>>;

/// Something that a layer below has.
#[derive(Debug)]
pub(super) struct Below {
    /// The directory that it is in.
    pub parent: Rc<OwnedFd>,
    /// Its name from the top, links resolved but for the last component.
    pub path: PathBuf,
    /// Its name in the directory.
    pub name: PathBuf,
    pub stat: FileStat,
}

impl Lower {
    /// The layers of these directories, the highest first.
    #[must_use]
    pub fn new(layers: Vec<OwnedFd>) -> Self {
        Self { layers: layers.into_iter().map(Rc::new).collect() }
    }

    /// What is at a path; links are followed but for the last component.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Below>, LayerError> {
        self.walk(path, false)
    }

    /// What a path leads to, all links followed.
    pub(super) fn find_followed(&self, path: &[u8]) -> Result<Option<Below>, LayerError> {
        self.walk(path, true)
    }

    fn walk(&self, path: &[u8], follows_last: bool) -> Result<Option<Below>, LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let mut rest: VecDeque<OsString> = components(path)?.into_iter().map(OsStr::to_owned).collect();
        let mut way: Vec<(OsString, Merged)> = Vec::new();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                way.pop();
                continue;
            }
            let here = way.last().map_or(&self.layers, |(_, merged)| merged);
            let Some((parent, stat, merged)) = look(here, &part).map_err(failed)? else { return Ok(None) };
            if rest.is_empty() && !(follows_last && kind(&stat) == SFlag::S_IFLNK) {
                let directory: PathBuf = way.iter().map(|(name, _)| name).collect();
                let (path, name) = (directory.join(&part), PathBuf::from(part));
                return Ok(Some(Below { parent, path, name, stat }));
            }
            match kind(&stat) {
                SFlag::S_IFDIR => way.push((part, merged)),
                SFlag::S_IFLNK if links < LINK_LIMIT => {
                    links += 1;
                    let target = readlinkat(&*parent, Path::new(&part)).map_err(failed)?;
                    if target.is_absolute() {
                        way.clear();
                    }
                    follow(&target, &mut rest);
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

/// Puts the components of a link's target before what is left of a name.
fn follow(target: &Path, rest: &mut VecDeque<OsString>) {
    let target = target.as_os_str().as_bytes();
    let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    for part in parts.rev() {
        rest.push_front(OsStr::from_bytes(part).to_owned());
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// What overlayfs takes for "this is gone".
pub(super) fn is_whiteout(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Looks for a name in a merged directory: where it is, what it is, and of a directory all that is merged.
fn look(
    merged: &Merged,
    name: &OsStr,
) -> Result<Option<(Rc<OwnedFd>, FileStat, Merged)>, mydocker_sys::Error> {
    let name = Path::new(name);
    let mut found: Option<(Rc<OwnedFd>, FileStat, Merged)> = None;
    for directory in merged {
        let stat = match lstatat(&**directory, name) {
            Err(error) if error.errno() == Errno::ENOENT => continue,
            other => other?,
        };
        let is_directory = kind(&stat) == SFlag::S_IFDIR;
        if is_whiteout(&stat) || found.is_some() && !is_directory {
            break;
        }
        let (.., below) = found.get_or_insert_with(|| (Rc::clone(directory), stat, Vec::new()));
        if !is_directory {
            break;
        }
        let opened = open_in_root_no_links(&**directory, name, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?;
        let is_opaque = is_opaque(&opened);
        below.push(Rc::new(opened));
        if is_opaque {
            break;
        }
    }
    Ok(found)
}

fn is_opaque(directory: &OwnedFd) -> bool {
    let names = [c"trusted.overlay.opaque", c"user.overlay.opaque"];
    names.iter().any(|name| fgetxattr(directory, name).is_ok_and(|value| value == b"y"))
}

impl Below {
    pub(super) fn is_directory(&self) -> bool {
        kind(&self.stat) == SFlag::S_IFDIR
    }

    /// The same as an entry of an archive, without its data.
    pub(super) fn entry(&self) -> Result<Entry, mydocker_sys::Error> {
        let stat = &self.stat;
        let device = (major(stat.st_rdev) as u32, minor(stat.st_rdev) as u32);
        let kind = match kind(stat) {
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => {
                let target = readlinkat(&*self.parent, &self.name)?;
                Kind::Symlink(target.into_os_string().into_vec())
            }
            SFlag::S_IFCHR => Kind::Character(device.0, device.1),
            SFlag::S_IFBLK => Kind::Block(device.0, device.1),
            SFlag::S_IFIFO => Kind::Fifo,
            _ => Kind::File(None),
        };
        Ok(Entry {
            path: self.path.as_os_str().as_bytes().to_owned(),
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            modified: Time { seconds: stat.st_mtime, nanoseconds: stat.st_mtime_nsec as u32 },
            attributes: self.attributes()?,
        })
    }

    /// There is no call for attributes relative to a directory (before Linux 6.13), so the directory's descriptor is part
    /// of the path.
    fn attributes(&self) -> Result<Vec<(std::ffi::CString, Vec<u8>)>, mydocker_sys::Error> {
        let directory = PathBuf::from(format!("/proc/self/fd/{}", self.parent.as_raw_fd()));
        let path = cstring(&directory.join(&self.name))?;
        let names = match attributes_of_link(&path) {
            Err(error) if error.errno() == Errno::EOPNOTSUPP => return Ok(Vec::new()),
            other => other?,
        };
        let value = |name: std::ffi::CString| attribute_of_link(&path, &name).map(|value| (name, value));
        names.into_iter().map(value).collect()
    }
}
