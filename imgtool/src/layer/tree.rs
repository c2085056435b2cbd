//! The directory that a layer is unpacked to. A name in a layer never reaches the kernel as a path: it is walked component
//! by component from the directory's descriptor, links are followed here, and nothing leads above the top.

use super::LayerError;
use mydocker_sys::Errno;
use mydocker_sys::fs::{
    FileStat, OFlag, lstatat, mkdirat, names_in, open_in_root_no_links, openat, readlinkat, rmdirat,
    unlink_if_present, unlinkat,
};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How deep directories may be within each other. Each level of the present one has an open descriptor.
pub(super) const DEPTH_LIMIT: usize = 200;

/// How many symbolic links one name may lead through, as in the kernel (`MAXSYMLINKS`).
const LINK_LIMIT: u32 = 40;

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY);

/// A name in a layer as components, without `.`, and none of them `..`.
///
/// # Errors
/// [`LayerError::Refused`].
pub(super) fn components(path: &[u8]) -> Result<Vec<&OsStr>, LayerError> {
    let refuse = |problem| LayerError::Refused { path: shown(path), problem };
    if path.is_empty() {
        return Err(refuse("its name is empty"));
    }
    if path.contains(&0) {
        return Err(refuse("its name has a NUL byte"));
    }
    let parts: Vec<_> =
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err(refuse("its name has '..', which leads out of where it is"));
    }
    Ok(parts.into_iter().map(OsStr::from_bytes).collect())
}

/// A name for messages.
pub(super) fn shown(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// A place in the tree: a directory, and the last component of a name in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The directory.
    pub parent: Rc<OwnedFd>,
    /// Its name from the top, links resolved.
    pub directory: PathBuf,
    /// The component, which need not exist.
    pub name: PathBuf,
}

impl Place {
    /// The whole name from the top, links in it resolved but for the last component.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// What is there.
    pub(super) fn look(&self) -> Result<Option<FileStat>, mydocker_sys::Error> {
        match lstatat(&*self.parent, &self.name) {
            Err(error) if error.errno() == Errno::ENOENT => Ok(None),
            other => other.map(Some),
        }
    }
}

/// A tree with a way to its present directory.
#[derive(Debug)]
pub(super) struct Tree {
    root: Rc<OwnedFd>,
    way: Vec<(OsString, Rc<OwnedFd>)>,
}

impl Tree {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root: Rc::new(root), way: Vec::new() }
    }

    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// The place that a name means, with directories made on the way; `made` is told which. `None` for the top itself.
    pub(super) fn place(
        &mut self,
        path: &[u8],
        made: &mut dyn FnMut(&Path),
    ) -> Result<Option<Place>, LayerError> {
        let mut parts = components(path)?;
        let Some(name) = parts.pop() else { return Ok(None) };
        self.enter(path, &parts, Some(made))?;
        Ok(Some(self.here(name)))
    }

    /// The place of something that is there; nothing is made.
    pub(super) fn find(&mut self, path: &[u8]) -> Result<Option<Place>, LayerError> {
        let mut parts = components(path)?;
        let Some(name) = parts.pop() else { return Ok(None) };
        Ok(if self.enter(path, &parts, None)? { Some(self.here(name)) } else { None })
    }

    fn here(&self, name: &OsStr) -> Place {
        let directory = self.way.iter().map(|(name, _)| name).collect();
        Place { parent: Rc::clone(self.last()), directory, name: PathBuf::from(name) }
    }

    fn last(&self) -> &Rc<OwnedFd> {
        self.way.last().map_or(&self.root, |(_, directory)| directory)
    }

    /// Goes to a directory; most often it is the present one or one beside it, and little has to be opened.
    fn enter(
        &mut self,
        path: &[u8],
        parts: &[&OsStr],
        mut made: Option<&mut dyn FnMut(&Path)>,
    ) -> Result<bool, LayerError> {
        let common = self.way.iter().zip(parts).take_while(|((name, _), part)| name == **part).count();
        self.way.truncate(common);
        let mut rest: VecDeque<OsString> = parts[common..].iter().map(|part| OsString::from(*part)).collect();
        let mut links = 0;
        while let Some(part) = rest.pop_front() {
            if part == ".." {
                self.way.pop();
                continue;
            }
            match self.open(&part) {
                Ok(directory) => self.push(path, part, directory)?,
                Err(error) if error.errno() == Errno::ENOENT => {
                    let Some(made) = &mut made else { return Ok(false) };
                    self.make(path, part, *made)?;
                }
                Err(error) if matches!(error.errno(), Errno::ELOOP | Errno::ENOTDIR) => {
                    links += 1;
                    self.follow(path, &part, links, &mut rest)?;
                }
                Err(source) => return Err(LayerError::Kernel { path: shown(path), source }),
            }
        }
        Ok(true)
    }

    fn open(&self, name: &OsStr) -> Result<OwnedFd, mydocker_sys::Error> {
        open_in_root_no_links(&**self.last(), Path::new(name), DIRECTORY)
    }

    fn push(&mut self, path: &[u8], name: OsString, directory: OwnedFd) -> Result<(), LayerError> {
        if self.way.len() == DEPTH_LIMIT {
            return Err(LayerError::Refused {
                path: shown(path),
                problem: "it lies more than 200 directories deep",
            });
        }
        self.way.push((name, Rc::new(directory)));
        Ok(())
    }

    fn make(&mut self, path: &[u8], name: OsString, made: &mut dyn FnMut(&Path)) -> Result<(), LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        mkdirat(&**self.last(), Path::new(&name), 0o700).map_err(failed)?;
        let directory = self.open(&name).map_err(failed)?;
        self.push(path, name, directory)?;
        let whole: PathBuf = self.way.iter().map(|(name, _)| name).collect();
        made(&whole);
        Ok(())
    }

    /// Puts the components of a link's target before what is left of the name. An absolute target begins at the top.
    fn follow(
        &mut self,
        path: &[u8],
        name: &OsStr,
        links: u32,
        rest: &mut VecDeque<OsString>,
    ) -> Result<(), LayerError> {
        let refuse = |problem| LayerError::Refused { path: shown(path), problem };
        if links > LINK_LIMIT {
            return Err(refuse("its name leads through too many symbolic links"));
        }
        let target = match readlinkat(&**self.last(), Path::new(name)) {
            Err(error) if error.errno() == Errno::EINVAL => {
                return Err(refuse("a component of its name is there and is no directory"));
            }
            other => other.map_err(|source| LayerError::Kernel { path: shown(path), source })?,
        };
        let target = target.as_os_str().as_bytes();
        if target.first() == Some(&b'/') {
            self.way.clear();
        }
        let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
        for part in parts.rev() {
            rest.push_front(OsStr::from_bytes(part).to_owned());
        }
        Ok(())
    }
}

/// Removes what is at a place, with all that is in it; nothing need be there.
pub(super) fn remove(parent: &OwnedFd, name: &Path) -> Result<(), mydocker_sys::Error> {
    match unlink_if_present(parent, name) {
        Err(error) if matches!(error.errno(), Errno::EISDIR | Errno::EPERM) => {}
        other => return other.map(drop),
    }
    let directory = match openat(parent, name, DIRECTORY | OFlag::O_NOFOLLOW, 0) {
        // It was no directory that could not be unlinked: the first error is the right one.
        Err(error) if error.errno() == Errno::ENOTDIR => return unlinkat(parent, name),
        other => other?,
    };
    for child in names_in(&directory)? {
        remove(&directory, Path::new(&child))?;
    }
    rmdirat(parent, name)
}
