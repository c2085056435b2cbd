//! A tree of files as it is seen: one directory, or layers above each other as overlayfs shows them, without a mount.
//!
//! Trees are hostile: a container may write to one while it is read. Nothing is reached by a path: each name is one
//! component below an open directory, and no link is followed.

use mydocker_sys::Errno;
use mydocker_sys::copy::{attribute_of_link, attributes_of_link};
use mydocker_sys::fs::{
    FileStat, OFlag, SFlag, cstring, fgetxattr, fstat, lstatat, names_in, openat, reopen,
};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How overlayfs marks what it does to a directory or a file; the second prefix is that of ordinary users.
const PREFIXES: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// One directory of a view: the directories that make it, the uppermost first.
#[derive(Debug, Clone)]
pub struct Directory {
    parts: Vec<Rc<OwnedFd>>,
    /// Whether marks of overlayfs count.
    is_overlay: bool,
}

/// One thing in a view.
#[derive(Debug, Clone)]
pub struct Node {
    /// The directories that have it, the uppermost first; more than one only for a directory.
    parents: Vec<Rc<OwnedFd>>,
    name: PathBuf,
    /// What the kernel tells of the uppermost.
    pub stat: FileStat,
    is_overlay: bool,
}

impl Directory {
    /// A tree as it is.
    #[must_use]
    pub fn plain(root: OwnedFd) -> Self {
        Self { parts: vec![Rc::new(root)], is_overlay: false }
    }

    /// Unpacked layers above each other, the uppermost first.
    #[must_use]
    pub fn overlay(layers: Vec<OwnedFd>) -> Self {
        Self { parts: layers.into_iter().map(Rc::new).collect(), is_overlay: true }
    }

    /// The same tree with one more layer of overlayfs above it.
    #[must_use]
    pub fn below(mut self, upper: OwnedFd) -> Self {
        self.parts.insert(0, Rc::new(upper));
        self
    }

    /// The top of the tree as something that has attributes of its own; `None` for a view of no layer at all.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn top(&self) -> Result<Option<Node>, mydocker_sys::Error> {
        let Some(first) = self.parts.first() else { return Ok(None) };
        let (name, is_overlay) = (PathBuf::from("."), self.is_overlay);
        Ok(Some(Node { stat: fstat(&**first)?, parents: self.parts.clone(), name, is_overlay }))
    }

    /// What is in the directory, by its name.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn children(&self) -> Result<BTreeMap<OsString, Node>, mydocker_sys::Error> {
        let mut slots = BTreeMap::new();
        for part in &self.parts {
            for name in names_in(&**part)? {
                self.add(&mut slots, part, name)?;
            }
        }
        Ok(slots.into_iter().filter_map(|(name, slot)| Some((name, slot.node?))).collect())
    }

    /// Adds what one of the directories has under a name, unless a directory above it hides it.
    fn add(
        &self,
        slots: &mut BTreeMap<OsString, Slot>,
        part: &Rc<OwnedFd>,
        name: OsString,
    ) -> Result<(), mydocker_sys::Error> {
        if slots.get(&name).is_some_and(|slot| slot.is_closed) {
            return Ok(());
        }
        let stat = match lstatat(&**part, Path::new(&name)) {
            // It went since it was listed.
            Err(error) if error.errno() == Errno::ENOENT => return Ok(()),
            other => other?,
        };
        let is_directory = kind_of(&stat) == SFlag::S_IFDIR;
        let slot = slots.entry(name.clone()).or_insert(Slot { node: None, is_closed: false });
        slot.is_closed = !is_directory;
        match &mut slot.node {
            Some(node) if is_directory => node.parents.push(Rc::clone(part)),
            // A directory above it hides what is no directory.
            Some(_) => {}
            None if self.is_overlay && is_whiteout(&stat) => {}
            None => {
                let (parents, name) = (vec![Rc::clone(part)], PathBuf::from(name));
                slot.node = Some(Node { parents, name, stat, is_overlay: self.is_overlay });
            }
        }
        Ok(())
    }
}

struct Slot {
    node: Option<Node>,
    /// Whether layers below have no say in it.
    is_closed: bool,
}

impl Node {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> SFlag {
        kind_of(&self.stat)
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind() == SFlag::S_IFDIR
    }

    /// Whether overlayfs takes it for the removal of what is below: a character device 0:0, or an empty file that is marked.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_whiteout(&self) -> Result<bool, mydocker_sys::Error> {
        if is_whiteout(&self.stat) {
            return Ok(true);
        }
        Ok(self.kind() == SFlag::S_IFREG && self.stat.st_size == 0 && self.mark("whiteout")?.is_some())
    }

    /// The value of a mark of overlayfs, such as `opaque`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn mark(&self, name: &str) -> Result<Option<Vec<u8>>, mydocker_sys::Error> {
        let path = self.path()?;
        mark(name, |attribute| attribute_of_link(&path, attribute))
    }

    /// The directory behind it.
    ///
    /// # Errors
    /// What the kernel says; `ENOTDIR` or `ELOOP` if it is no directory any more.
    pub fn open_directory(&self) -> Result<Directory, mydocker_sys::Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let mut parts = Vec::new();
        for parent in &self.parents {
            let part = openat(&**parent, &self.name, flags, 0)?;
            let is_last = self.is_overlay
                && mark("opaque", |name| fgetxattr(&part, name))?.is_some_and(|value| value == b"y");
            parts.push(Rc::new(part));
            if is_last {
                break;
            }
        }
        Ok(Directory { parts, is_overlay: self.is_overlay })
    }

    /// Opens a regular file to be read, and tells what it is now; `None` if it is none, or another one, any more. Nothing
    /// else is ever opened: to open a pipe may wait, and to open a device may do anything.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open_file(&self) -> Result<Option<(OwnedFd, FileStat)>, mydocker_sys::Error> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
        let file = openat(self.parent(), &self.name, flags, 0)?;
        let stat = fstat(&file)?;
        let same = (stat.st_dev, stat.st_ino) == (self.stat.st_dev, self.stat.st_ino);
        if !same || kind_of(&stat) != SFlag::S_IFREG {
            return Ok(None);
        }
        Ok(Some((reopen(&file, OFlag::O_RDONLY)?, stat)))
    }

    /// Where a symbolic link leads to.
    ///
    /// # Errors
    /// What the kernel says; `EINVAL` if it is no link any more.
    pub fn target(&self) -> Result<PathBuf, mydocker_sys::Error> {
        mydocker_sys::fs::readlinkat(self.parent(), &self.name)
    }

    /// Its extended attributes in the order of their names, without what belongs to the host and not to the tree: the
    /// labels of security modules, and the notes of overlayfs.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attributes(&self) -> Result<Vec<(CString, Vec<u8>)>, mydocker_sys::Error> {
        let path = self.path()?;
        let mut names = match attributes_of_link(&path) {
            Err(error) if error.errno() == Errno::EOPNOTSUPP => return Ok(Vec::new()),
            other => other?,
        };
        names.retain(|name| belongs_to_tree(name));
        names.sort();
        let value = |name: CString| attribute_of_link(&path, &name).map(|value| (name, value));
        names.into_iter().map(value).collect()
    }

    fn parent(&self) -> &OwnedFd {
        // A node is made with one parent, and loses none.
        &self.parents[0]
    }

    /// There is no call for attributes relative to a directory (before Linux 6.13), so the directory's descriptor is
    /// part of the path.
    fn path(&self) -> Result<CString, mydocker_sys::Error> {
        let directory = PathBuf::from(format!("/proc/self/fd/{}", self.parent().as_raw_fd()));
        cstring(&directory.join(&self.name))
    }
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn is_whiteout(stat: &FileStat) -> bool {
    kind_of(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

fn mark(
    name: &str,
    get: impl Fn(&CStr) -> Result<Vec<u8>, mydocker_sys::Error>,
) -> Result<Option<Vec<u8>>, mydocker_sys::Error> {
    for prefix in PREFIXES {
        let attribute = cstring(Path::new(&format!("{prefix}{name}")))?;
        match get(&attribute) {
            Ok(value) => return Ok(Some(value)),
            Err(error) if matches!(error.errno(), Errno::ENODATA | Errno::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn belongs_to_tree(name: &CStr) -> bool {
    let name = name.to_bytes();
    let hosts = [&b"security.selinux"[..], b"security.evm", b"security.SMACK64"];
    !PREFIXES.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
        && !hosts.iter().any(|prefix| name.starts_with(prefix))
}
