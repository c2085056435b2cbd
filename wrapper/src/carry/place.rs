//! Paths as people type them, by docker's rules: what ends in `/` is a directory, what ends in `/.` is what is in one; what
//! goes into a directory that is there keeps its name, and everything else takes the name of its destination.

use super::{CarryError, refused};
use mydocker_sys::fs::{
    FileStat, OFlag, SFlag, fstat, lstatat, open_in_root, open_in_root_if_present, readlinkat,
};
use mydocker_sys::{Errno, OwnedFd};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// How many symbolic links a destination may lead through, as in the kernel (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// The files of a container, or of the host.
#[derive(Debug)]
pub struct Side {
    /// The root that paths are looked up from.
    pub root: OwnedFd,
    /// Whose it is; `None` for the host.
    pub container: Option<String>,
}

/// What is copied.
#[derive(Debug)]
pub struct Origin {
    /// It, of any kind.
    pub fd: OwnedFd,
    /// What it is called; empty if only what is in it is meant.
    pub name: Vec<u8>,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Where it goes to.
#[derive(Debug, PartialEq, Eq)]
pub struct Destination {
    /// A directory that is there, from the root.
    pub directory: PathBuf,
    /// What the copy is called in it; empty if what is in the origin goes into the directory itself.
    pub name: Vec<u8>,
}

impl Side {
    fn missing(&self, path: &Path) -> CarryError {
        let path = path.to_string_lossy().into_owned();
        match &self.container {
            Some(container) => CarryError::NotInContainer { path, container: container.clone() },
            None => CarryError::NotOnHost(path),
        }
    }

    /// Finds what is to be copied; a link itself, unless it is to be followed.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn origin(&self, text: &str, follow: bool) -> Result<Origin, CarryError> {
        let path = clean(text);
        let (is_content, wants_directory) = endings(text);
        let link = if follow || wants_directory { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let found = open_in_root_if_present(&self.root, &path, OFlag::O_PATH | link)?;
        let fd = found.ok_or_else(|| self.missing(&path))?;
        let is_directory = is_kind(&fstat(&fd)?, SFlag::S_IFDIR);
        if wants_directory && !is_directory {
            return Err(refused(path.as_os_str().as_bytes(), "it is not a directory"));
        }
        let name = match path.file_name() {
            Some(name) if !is_content => name.as_bytes().to_owned(),
            _ => Vec::new(),
        };
        Ok(Origin { fd, name, is_directory })
    }

    /// Finds where it goes to.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn destination(&self, text: &str, origin: &Origin) -> Result<Destination, CarryError> {
        let (_, wants_directory) = endings(text);
        let (path, there) = self.follow(clean(text))?;
        let shown = path.as_os_str().as_bytes();
        match there {
            Some(stat) if is_kind(&stat, SFlag::S_IFDIR) => {
                Ok(Destination { directory: path, name: origin.name.clone() })
            }
            Some(_) if wants_directory => Err(refused(shown, "it is not a directory")),
            Some(_) if origin.is_directory => {
                Err(refused(shown, "cannot copy a directory to what is a file"))
            }
            None if wants_directory && !origin.is_directory => {
                Err(refused(shown, "the destination directory does not exist"))
            }
            Some(_) | None => {
                let (parent, name) = split(&path);
                let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
                if open_in_root_if_present(&self.root, &parent, flags)?.is_none() {
                    return Err(self.missing(&parent));
                }
                Ok(Destination { directory: parent, name })
            }
        }
    }

    /// A directory that has to be there.
    ///
    /// # Errors
    /// [`CarryError`].
    pub fn directory(&self, text: &str) -> Result<PathBuf, CarryError> {
        let path = clean(text);
        match open_in_root(&self.root, &path, OFlag::O_PATH | OFlag::O_DIRECTORY, 0) {
            Ok(_) => Ok(path),
            Err(error) if error.errno() == Errno::ENOENT => Err(self.missing(&path)),
            Err(error) if error.errno() == Errno::ENOTDIR => {
                Err(refused(path.as_os_str().as_bytes(), "it is not a directory"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Follows links, also one that leads to nothing, as the new file would be made where it leads to.
    fn follow(&self, mut path: PathBuf) -> Result<(PathBuf, Option<FileStat>), CarryError> {
        for _ in 0..LINK_LIMIT {
            let (parent, name) = split(&path);
            let Some(directory) = open_in_root_if_present(&self.root, &parent, OFlag::O_PATH)? else {
                return Ok((path, None));
            };
            let name = if name.is_empty() { OsStr::new(".") } else { OsStr::from_bytes(&name) };
            let stat = match lstatat(&directory, Path::new(name)) {
                Err(error) if matches!(error.errno(), Errno::ENOENT | Errno::ENOTDIR) => {
                    return Ok((path, None));
                }
                other => other?,
            };
            if !is_kind(&stat, SFlag::S_IFLNK) {
                return Ok((path, Some(stat)));
            }
            let target = readlinkat(&directory, Path::new(name))?;
            path = clean(&parent.join(target).to_string_lossy());
        }
        Err(refused(path.as_os_str().as_bytes(), "it leads through too many symbolic links"))
    }
}

fn is_kind(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

/// Whether only what is in it is meant, and whether it has to be a directory.
fn endings(text: &str) -> (bool, bool) {
    let is_content = text == "." || text.ends_with("/.");
    (is_content, is_content || text.ends_with('/') || text == ".." || text.ends_with("/.."))
}

/// An absolute path without `.` and `..`, as docker's clients make it of what was typed; relative paths begin at the root.
fn clean(text: &str) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in Path::new(text).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    path
}

fn split(path: &Path) -> (PathBuf, Vec<u8>) {
    let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
    (parent, path.file_name().map(|name| name.as_bytes().to_owned()).unwrap_or_default())
}
