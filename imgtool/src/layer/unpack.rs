//! Entries become files (image-spec, layer.md, "Applying Changesets").

use super::LayerError;
use super::lower::Lower;
use super::tar::{Entry, Kind, Reader, Region, TarError, Time};
use super::tree::{Place, Tree, remove, shown};
use crate::store::{Budget, is_zero};
use mydocker_sys::Errno;
use mydocker_sys::copy::{
    linkat, set_attribute_of_link, set_length, set_modified, set_modified_at, set_position,
};
use mydocker_sys::fs::{
    OFlag, SFlag, chmodat, fchmod, fchown, fsetxattr, lchownat, makedev, mkdirat, mkfifoat, mknodat,
    names_in, open_in_root_no_links, openat, symlinkat, write_fully,
};
use std::collections::{BTreeMap, HashSet};
use std::ffi::{CString, OsStr};
use std::io::Read;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// How much of a file is read and written at once, in bytes.
const BUFFER: usize = 128 << 10;

/// What a file is called that says that another one is gone.
const WHITEOUT: &[u8] = b".wh.";

/// What a file is called that says that all of its directory's lower content is gone.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What is done about files that a layer takes away from those below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteouts {
    /// They are removed: all layers are unpacked to the same directory, the lowest first.
    Apply,
    /// They are covered, as overlayfs wants it: each layer is unpacked to a directory of its own.
    Overlay,
}

/// What a directory gets when everything is in it: till then it is its maker's own, with no default ACL to inherit, and
/// its time is not yet changed by what is put into it.
#[derive(Debug, Default)]
pub(super) struct Finish {
    mode: u32,
    owner: Option<(u32, u32)>,
    modified: Option<Time>,
    attributes: Vec<(CString, Vec<u8>)>,
    is_opaque: bool,
    /// Whether it was made on the way to something else, and nothing has described it.
    pub(super) is_implied: bool,
}

impl Finish {
    pub(super) fn implied() -> Self {
        Self { mode: 0o755, is_implied: true, ..Self::default() }
    }
}

/// A directory that layers are unpacked to.
#[derive(Debug)]
pub struct Unpack {
    pub(super) tree: Tree,
    pub(super) whiteouts: Whiteouts,
    /// An ordinary user can neither give files away nor make devices.
    is_root: bool,
    /// Root in a user namespace can give files away, but makes no devices and sets no attributes that are the host's alone.
    is_host: bool,
    pub(super) directories: BTreeMap<PathBuf, Finish>,
    /// What is below a layer for overlayfs, if that is known.
    pub(super) lower: Option<Lower>,
    /// Whether something of it was copied.
    pub(super) takes_over: bool,
    /// What this layer has put into the tree, with the directories above: its own whiteouts do not concern it.
    own: HashSet<PathBuf>,
    buffer: Vec<u8>,
    /// What all files have, in bytes, without their holes.
    pub(super) size: u64,
    budget: Budget,
}

/// Unpacks one archive into the empty directory `root`, and returns its source and how many bytes its files have.
///
/// # Errors
/// [`LayerError`].
pub fn unpack<R: Read>(
    archive: R,
    root: OwnedFd,
    whiteouts: Whiteouts,
    budget: Budget,
) -> Result<(R, u64), LayerError> {
    let mut unpack = Unpack::new(root, whiteouts).within(budget).over(Lower::default());
    let rest = unpack.layer(archive)?;
    let size = unpack.size;
    unpack.finish()?;
    Ok((rest, size))
}

impl Unpack {
    /// Begins with an empty directory, which nobody else may change before the end.
    #[must_use]
    pub fn new(root: OwnedFd, whiteouts: Whiteouts) -> Self {
        let top = Finish { mode: 0o755, ..Finish::default() };
        Self {
            tree: Tree::new(root),
            whiteouts,
            is_root: mydocker_sys::process::euid() == 0,
            is_host: mydocker_sys::process::euid() == 0 && mydocker_sys::namespace::is_first_user_namespace(),
            directories: BTreeMap::from([(PathBuf::new(), top)]),
            // What is below is in the directory itself.
            lower: (whiteouts == Whiteouts::Apply).then(Lower::default),
            takes_over: false,
            own: HashSet::new(),
            buffer: vec![0; BUFFER],
            size: 0,
            budget: Budget::default(),
        }
    }

    /// The same with other bounds for each archive.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Unpacks one layer on those before it, and returns what follows the archive in its source.
    ///
    /// # Errors
    /// [`LayerError`].
    pub fn layer<R: Read>(&mut self, archive: R) -> Result<R, LayerError> {
        self.own.clear();
        let mut reader = Reader::new(archive).within(self.budget.entries);
        while let Some(entry) = reader.next_entry()? {
            self.entry(entry, &mut reader)?;
        }
        Ok(reader.into_source())
    }

    /// What all files have, in bytes, without their holes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives all directories their owners, permissions, attributes and times, those below first.
    ///
    /// # Errors
    /// [`LayerError::Kernel`], or [`LayerError::NeedsLower`].
    pub fn finish(mut self) -> Result<(), LayerError> {
        self.describe_implied()?;
        for (path, finish) in self.directories.iter().rev() {
            let failed = |source| LayerError::Kernel { path: path.clone(), source };
            let name = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            let directory = open_in_root_no_links(self.tree.root(), name, flags).map_err(failed)?;
            self.finish_directory(&directory, finish).map_err(failed)?;
        }
        Ok(())
    }

    fn finish_directory(&self, directory: &OwnedFd, finish: &Finish) -> Result<(), mydocker_sys::Error> {
        if let Some((uid, gid)) = finish.owner.filter(|_| self.is_root) {
            fchown(directory, uid, gid)?;
        }
        fchmod(directory, finish.mode)?;
        for (name, value) in &finish.attributes {
            self.attribute(name, |name| fsetxattr(directory, name, value))?;
        }
        if finish.is_opaque {
            // overlayfs reads the second where it is mounted with userxattr, as an ordinary user has to.
            let name = if self.is_host { c"trusted.overlay.opaque" } else { c"user.overlay.opaque" };
            fsetxattr(directory, name, b"y")?;
        }
        finish.modified.map_or(Ok(()), |time| set_modified(directory, time.seconds, time.nanoseconds))
    }

    fn entry<R: Read>(&mut self, entry: Entry, data: &mut Reader<R>) -> Result<(), LayerError> {
        let path = entry.path.clone();
        // The target comes first: to find it may lead to another directory, and back.
        let target = match &entry.kind {
            Kind::HardLink(target) => Some(self.target(&path, target)?),
            _ => None,
        };
        let Some(place) = self.place(&path)? else { return self.top(entry) };
        let name = place.name.as_os_str().as_bytes().to_owned();
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            return self.whiteout(&path, place, &name, hidden);
        }
        self.claim(&place);
        let failed = |source| LayerError::Kernel { path: shown(&path), source };
        match entry.kind {
            Kind::Directory => self.directory(entry, &place).map_err(failed),
            Kind::File(ref regions) => {
                let file = self.new_file(&place).map_err(failed)?;
                self.fill(&path, &file, regions.as_deref(), entry.size, data)?;
                self.describe_file(&file, &entry).map_err(failed)
            }
            Kind::HardLink(_) => target.map_or(Ok(()), |target| self.link(&path, &target, &place)),
            _ => self.special(&entry, &place).map_err(failed),
        }
    }

    /// The entry for the top of the tree.
    fn top(&mut self, entry: Entry) -> Result<(), LayerError> {
        if entry.kind != Kind::Directory {
            return Err(LayerError::Refused {
                path: shown(&entry.path),
                problem: "the top can only be a directory",
            });
        }
        self.describe_directory(PathBuf::new(), entry, false);
        Ok(())
    }

    fn claim(&mut self, place: &Place) {
        if self.whiteouts == Whiteouts::Apply {
            self.own.insert(place.path());
            for directory in place.directory.ancestors() {
                if !self.own.insert(directory.to_owned()) {
                    break;
                }
            }
        }
    }

    /// Makes something at a place, in place of whatever is there.
    fn create<T>(
        &mut self,
        place: &Place,
        make: impl Fn(&Place) -> Result<T, mydocker_sys::Error>,
    ) -> Result<T, mydocker_sys::Error> {
        match make(place) {
            Err(error) if error.errno() == Errno::EEXIST => {
                self.clear(place)?;
                make(place)
            }
            other => other,
        }
    }

    pub(super) fn new_file(&mut self, place: &Place) -> Result<OwnedFd, mydocker_sys::Error> {
        self.create(place, |place| {
            let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            openat(&*place.parent, &place.name, flags, 0o600)
        })
    }

    fn clear(&mut self, place: &Place) -> Result<(), mydocker_sys::Error> {
        remove(&place.parent, &place.name)?;
        let path = place.path();
        let names = self.directories.range(path.clone()..).map(|(name, _)| name);
        let gone: Vec<PathBuf> = names.take_while(|name| name.starts_with(&path)).cloned().collect();
        for name in gone {
            self.directories.remove(&name);
        }
        Ok(())
    }

    /// A directory that is there stays, with what is in it; anything else gives way.
    fn directory(&mut self, entry: Entry, place: &Place) -> Result<(), mydocker_sys::Error> {
        let mut covers = false;
        match mkdirat(&*place.parent, &place.name, 0o700) {
            Err(error) if error.errno() == Errno::EEXIST => {
                let there = place.look()?;
                let kind = there.map_or(0, |stat| stat.st_mode & SFlag::S_IFMT.bits());
                covers = there.is_some_and(|stat| kind == SFlag::S_IFCHR.bits() && stat.st_rdev == 0);
                if kind != SFlag::S_IFDIR.bits() {
                    self.clear(place)?;
                    mkdirat(&*place.parent, &place.name, 0o700)?;
                }
            }
            other => other?,
        }
        self.describe_directory(place.path(), entry, covers && self.whiteouts == Whiteouts::Overlay);
        Ok(())
    }

    pub(super) fn describe_directory(&mut self, path: PathBuf, entry: Entry, is_opaque: bool) {
        let finish = self.directories.entry(path).or_default();
        finish.mode = entry.mode;
        finish.owner = Some((entry.uid, entry.gid));
        finish.modified = Some(entry.modified);
        finish.attributes = entry.attributes;
        finish.is_opaque |= is_opaque;
        finish.is_implied = false;
    }

    fn fill<R: Read>(
        &mut self,
        path: &[u8],
        file: &OwnedFd,
        regions: Option<&[Region]>,
        size: u64,
        data: &mut Reader<R>,
    ) -> Result<(), LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let mut written = 0;
        let all = [Region { offset: 0, length: size }];
        for region in regions.unwrap_or(&all).iter().filter(|region| region.length > 0) {
            written = self.copy(path, file, *region, data)?;
        }
        if written == size { Ok(()) } else { set_length(file, size).map_err(failed) }
    }

    /// Copies the data of one region, where blocks of zeros become holes, and returns up to where something was written.
    fn copy<R: Read>(
        &mut self,
        path: &[u8],
        file: &OwnedFd,
        region: Region,
        data: &mut Reader<R>,
    ) -> Result<u64, LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let (mut at, end) = (region.offset, region.offset + region.length);
        let mut position = 0;
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
            read_all(data, &mut self.buffer[..most])?;
            let piece = &self.buffer[..most];
            if !is_zero(piece) {
                if position != at {
                    set_position(file, at).map_err(failed)?;
                }
                write_fully(file, piece).map_err(failed)?;
                position = at + most as u64;
            }
            at += most as u64;
            self.size += most as u64;
        }
        Ok(position)
    }

    /// The owner comes first, since a change of it takes setuid bits and capabilities away; an ACL comes after the
    /// permissions, which would change its mask.
    pub(super) fn describe_file(&self, file: &OwnedFd, entry: &Entry) -> Result<(), mydocker_sys::Error> {
        if self.is_root {
            fchown(file, entry.uid, entry.gid)?;
        }
        fchmod(file, entry.mode)?;
        for (name, value) in &entry.attributes {
            self.attribute(name, |name| fsetxattr(file, name, value))?;
        }
        set_modified(file, entry.modified.seconds, entry.modified.nanoseconds)
    }

    /// Owner, permissions and times belong to the file, and came with its first name.
    fn link(&mut self, path: &[u8], target: &Place, place: &Place) -> Result<(), LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        let refuse = |problem| LayerError::Refused { path: shown(path), problem };
        let Some(there) = target.look().map_err(failed)? else {
            return Err(refuse("it is a hard link to something that is not there"));
        };
        if there.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() {
            return Err(refuse("it is a hard link to a directory"));
        }
        let here = place.look().map_err(failed)?;
        if here.is_some_and(|here| (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)) {
            return Ok(());
        }
        self.create(place, |place| linkat(&*target.parent, &target.name, &*place.parent, &place.name))
            .map_err(failed)
    }

    /// Links, devices and pipes: what is not opened.
    pub(super) fn special(&mut self, entry: &Entry, place: &Place) -> Result<(), mydocker_sys::Error> {
        let device = |place: &Place, kind, major: u32, minor: u32| {
            mknodat(&*place.parent, &place.name, kind, 0o600, makedev(major.into(), minor.into()))
        };
        let is_device = matches!(entry.kind, Kind::Character(..) | Kind::Block(..));
        if is_device && !self.is_host {
            return Ok(());
        }
        self.create(place, |place| match &entry.kind {
            Kind::Symlink(target) => {
                symlinkat(Path::new(OsStr::from_bytes(target)), &*place.parent, &place.name)
            }
            Kind::Character(major, minor) => device(place, SFlag::S_IFCHR, *major, *minor),
            Kind::Block(major, minor) => device(place, SFlag::S_IFBLK, *major, *minor),
            _ => mkfifoat(&*place.parent, &place.name, 0o600),
        })?;
        if self.is_root {
            lchownat(&*place.parent, &place.name, entry.uid, entry.gid)?;
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            chmodat(&*place.parent, &place.name, entry.mode)?;
        }
        self.attributes_of_special(entry, place)?;
        set_modified_at(&*place.parent, &place.name, entry.modified.seconds, entry.modified.nanoseconds)
    }

    /// There is no call for attributes relative to a directory (before Linux 6.13), so the directory's descriptor is
    /// part of the path.
    fn attributes_of_special(&self, entry: &Entry, place: &Place) -> Result<(), mydocker_sys::Error> {
        for (name, value) in &entry.attributes {
            let directory = PathBuf::from(format!("/proc/self/fd/{}", place.parent.as_raw_fd()));
            let path = mydocker_sys::fs::cstring(&directory.join(&place.name))?;
            self.attribute(name, |name| set_attribute_of_link(&path, name, value))?;
        }
        Ok(())
    }

    /// Sets an attribute. One that overlayfs would take for its own is left out, as a layer could hide or redirect what
    /// is below it. An attribute of users, or any that an ordinary user may not set, is left out where the file system
    /// does not have it.
    fn attribute(
        &self,
        name: &CString,
        set: impl Fn(&CString) -> Result<(), mydocker_sys::Error>,
    ) -> Result<(), mydocker_sys::Error> {
        let bytes = name.as_bytes();
        if bytes.starts_with(b"trusted.overlay.") || bytes.starts_with(b"user.overlay.") {
            return Ok(());
        }
        match set(name) {
            Err(error)
                if matches!(error.errno(), Errno::EOPNOTSUPP | Errno::EPERM)
                    && (!self.is_host || bytes.starts_with(b"user.")) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn whiteout(&mut self, path: &[u8], place: Place, name: &[u8], hidden: &[u8]) -> Result<(), LayerError> {
        let failed = |source| LayerError::Kernel { path: shown(path), source };
        if name == OPAQUE {
            return self.opaque(&place).map_err(failed);
        }
        // Notes of aufs about itself, which docker leaves out as well.
        if hidden.starts_with(WHITEOUT) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(LayerError::Refused { path: shown(path), problem: "it is a whiteout of no file" });
        }
        let place = Place { name: PathBuf::from(OsStr::from_bytes(hidden)), ..place };
        match self.whiteouts {
            Whiteouts::Apply => self.remove_lower(&place).map_err(failed),
            Whiteouts::Overlay => self.cover(&place).map_err(failed),
        }
    }

    fn opaque(&mut self, place: &Place) -> Result<(), mydocker_sys::Error> {
        match self.whiteouts {
            Whiteouts::Apply => self.remove_lower_content(&place.parent, &place.directory),
            Whiteouts::Overlay => {
                self.directories.entry(place.directory.clone()).or_default().is_opaque = true;
                Ok(())
            }
        }
    }

    /// Removes what lower layers have at a place; what this layer has there stays, with the directories that it is in.
    fn remove_lower(&mut self, place: &Place) -> Result<(), mydocker_sys::Error> {
        let path = place.path();
        if !self.own.contains(&path) {
            return self.clear(place);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        match open_in_root_no_links(&*place.parent, &place.name, flags) {
            Err(error) if matches!(error.errno(), Errno::ENOTDIR | Errno::ELOOP | Errno::ENOENT) => Ok(()),
            other => self.remove_lower_content(&Rc::new(other?), &path),
        }
    }

    fn remove_lower_content(
        &mut self,
        parent: &Rc<OwnedFd>,
        directory: &Path,
    ) -> Result<(), mydocker_sys::Error> {
        for name in names_in(&**parent)? {
            let place = Place {
                parent: Rc::clone(parent),
                directory: directory.to_owned(),
                name: PathBuf::from(name),
            };
            self.remove_lower(&place)?;
        }
        Ok(())
    }

    /// Covers what lower layers have at a place, with a device that overlayfs takes for a whiteout; where this layer has a
    /// directory itself, only its lower content.
    fn cover(&mut self, place: &Place) -> Result<(), mydocker_sys::Error> {
        match mknodat(&*place.parent, &place.name, SFlag::S_IFCHR, 0, 0) {
            Err(error) if error.errno() == Errno::EEXIST => {
                if let Some(directory) = self.directories.get_mut(&place.path()) {
                    directory.is_opaque = true;
                }
                Ok(())
            }
            other => other,
        }
    }
}

/// Fills a buffer, however small the pieces are in which the data comes: where a file's holes are must not depend on that.
fn read_all<R: Read>(data: &mut Reader<R>, buffer: &mut [u8]) -> Result<(), LayerError> {
    let mut done = 0;
    while done < buffer.len() {
        match data.read_data(&mut buffer[done..])? {
            0 => return Err(TarError::Truncated.into()),
            count => done += count,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
