//! Entries to files.

use super::{BUFFER, CarryError, Data, Sink, kernel, refused};
use mydocker_img::layer::tar::{Entry, Kind, Region, Time};
use mydocker_sys::copy::{linkat, set_length, set_modified, set_modified_at, set_position};
use mydocker_sys::fs::{
    OFlag, SFlag, chmodat, fchmod, fchown, fsetxattr, lchownat, lstatat, makedev, mkdirat, mkfifoat, mknodat,
    open_in_root, open_in_root_no_links, openat, symlinkat, unlinkat, write_fully,
};
use mydocker_sys::{Errno, OwnedFd};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Makes files of entries, below a directory of a container or of the host.
#[derive(Debug)]
pub struct TreeSink {
    root: OwnedFd,
    /// The directory, from the root.
    base: PathBuf,
    /// Whether it is in a container: links are followed there as they are in it.
    in_container: bool,
    /// Whether owners, setuid bits and extended attributes are kept.
    is_archive: bool,
    /// What directories get when everything is in them.
    directories: Vec<Entry>,
    buffer: Vec<u8>,
}

/// Where an entry goes to.
struct Spot {
    parent: OwnedFd,
    name: PathBuf,
}

impl TreeSink {
    /// Makes them below `base`, which is looked up from `root`, the root of a container, again and again.
    #[must_use]
    pub fn in_container(root: OwnedFd, base: PathBuf, is_archive: bool) -> Self {
        Self { root, base, in_container: true, is_archive, directories: Vec::new(), buffer: vec![0; BUFFER] }
    }

    /// Makes them below a directory of the host, where no link is followed: the names come from a container.
    #[must_use]
    pub fn on_host(directory: OwnedFd, is_archive: bool) -> Self {
        let base = PathBuf::new();
        Self {
            root: directory,
            base,
            in_container: false,
            is_archive,
            directories: Vec::new(),
            buffer: vec![0; BUFFER],
        }
    }

    /// Gives the directories their permissions and times, those below first.
    ///
    /// # Errors
    /// [`CarryError::Kernel`].
    pub fn finish(mut self) -> Result<(), CarryError> {
        while let Some(entry) = self.directories.pop() {
            let Some(spot) = self.spot(&entry.path)? else { continue };
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            let directory = openat(&spot.parent, &spot.name, flags, 0).map_err(kernel(&entry.path))?;
            self.describe(&directory, &entry).map_err(kernel(&entry.path))?;
        }
        Ok(())
    }

    /// `None` for the top itself, which stays as it is.
    fn spot(&self, path: &[u8]) -> Result<Option<Spot>, CarryError> {
        let mut parts: Vec<&[u8]> =
            path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.contains(&&b".."[..]) || path.contains(&0) {
            return Err(refused(path, "its name leads out of where it is to be"));
        }
        let Some(name) = parts.pop() else { return Ok(None) };
        let name = PathBuf::from(OsStr::from_bytes(name));
        let above: PathBuf = parts.into_iter().map(OsStr::from_bytes).collect();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let parent = if self.in_container {
            open_in_root(&self.root, &self.base.join(above), flags, 0)
        } else if above.as_os_str().is_empty() {
            open_in_root_no_links(&self.root, Path::new("."), flags)
        } else {
            open_in_root_no_links(&self.root, &above, flags)
        };
        Ok(Some(Spot { parent: parent.map_err(kernel(path))?, name }))
    }

    fn directory(&mut self, entry: &Entry, spot: &Spot) -> Result<(), CarryError> {
        match mkdirat(&spot.parent, &spot.name, 0o700) {
            // One that is there stays as it is.
            Err(error) if error.errno() == Errno::EEXIST => {
                let stat = lstatat(&spot.parent, &spot.name).map_err(kernel(&entry.path))?;
                if stat.st_mode & SFlag::S_IFMT.bits() != SFlag::S_IFDIR.bits() {
                    return Err(refused(&entry.path, "cannot overwrite non-directory with directory"));
                }
            }
            other => {
                other.map_err(kernel(&entry.path))?;
                self.directories.push(entry.clone());
            }
        }
        Ok(())
    }

    /// Makes room for something that is no directory.
    fn clear(&self, entry: &Entry, spot: &Spot) -> Result<(), CarryError> {
        match lstatat(&spot.parent, &spot.name) {
            Err(error) if error.errno() == Errno::ENOENT => Ok(()),
            Err(error) => Err(kernel(&entry.path)(error)),
            Ok(stat) if stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() => {
                Err(refused(&entry.path, "cannot overwrite directory with non-directory"))
            }
            Ok(_) => match unlinkat(&spot.parent, &spot.name) {
                Err(error) if error.errno() == Errno::EBUSY => {
                    Err(refused(&entry.path, "something is mounted there, which cannot be replaced"))
                }
                other => other.map_err(kernel(&entry.path)),
            },
        }
    }

    fn file(
        &mut self,
        entry: &Entry,
        regions: Option<&[Region]>,
        spot: &Spot,
        data: &mut Data<'_>,
    ) -> Result<(), CarryError> {
        let failed = || kernel(&entry.path);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let file = openat(&spot.parent, &spot.name, flags, 0o600).map_err(failed())?;
        let whole = [Region { offset: 0, length: entry.size }];
        for region in regions.unwrap_or(&whole).iter().filter(|region| region.length > 0) {
            set_position(&file, region.offset).map_err(failed())?;
            self.fill(entry, &file, region.length, data)?;
        }
        if regions.is_some() {
            set_length(&file, entry.size).map_err(failed())?;
        }
        self.describe(&file, entry).map_err(failed())
    }

    fn fill(
        &mut self,
        entry: &Entry,
        file: &OwnedFd,
        mut left: u64,
        data: &mut Data<'_>,
    ) -> Result<(), CarryError> {
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let count = data(&mut self.buffer[..most])?;
            if count == 0 {
                return Err(refused(&entry.path, "it ends early"));
            }
            write_fully(file, &self.buffer[..count]).map_err(kernel(&entry.path))?;
            left -= count as u64;
        }
        Ok(())
    }

    /// The owner comes first, since a change of it takes setuid bits and capabilities away.
    fn describe(&self, file: &OwnedFd, entry: &Entry) -> Result<(), mydocker_sys::Error> {
        if self.is_archive {
            fchown(file, entry.uid, entry.gid)?;
        }
        fchmod(file, self.mode(entry))?;
        for (name, value) in entry.attributes.iter().filter(|_| self.is_archive) {
            match fsetxattr(file, name, value) {
                // The file system does not have them.
                Err(error) if error.errno() == Errno::EOPNOTSUPP => {}
                other => other?,
            }
        }
        set_modified(file, entry.modified.seconds, entry.modified.nanoseconds)
    }

    /// On the host a program of a container would be setuid for who copies it, not for its owner.
    fn mode(&self, entry: &Entry) -> u32 {
        if self.is_archive || self.in_container { entry.mode } else { entry.mode & 0o1777 }
    }

    fn special(&self, entry: &Entry, spot: &Spot) -> Result<(), CarryError> {
        let device = |kind, major: &u32, minor: &u32| {
            let number = makedev((*major).into(), (*minor).into());
            mknodat(&spot.parent, &spot.name, kind, 0o600, number)
        };
        let is_device = matches!(entry.kind, Kind::Character(..) | Kind::Block(..));
        if is_device && !self.is_archive && !self.in_container {
            return Err(refused(&entry.path, "it is a device, which only --archive copies to the host"));
        }
        let made = match &entry.kind {
            Kind::Symlink(target) => {
                symlinkat(Path::new(OsStr::from_bytes(target)), &spot.parent, &spot.name)
            }
            Kind::Character(major, minor) => device(SFlag::S_IFCHR, major, minor),
            Kind::Block(major, minor) => device(SFlag::S_IFBLK, major, minor),
            _ => mkfifoat(&spot.parent, &spot.name, 0o600),
        };
        made.and_then(|()| self.describe_special(entry, spot)).map_err(kernel(&entry.path))
    }

    fn describe_special(&self, entry: &Entry, spot: &Spot) -> Result<(), mydocker_sys::Error> {
        if self.is_archive {
            lchownat(&spot.parent, &spot.name, entry.uid, entry.gid)?;
        }
        if !matches!(entry.kind, Kind::Symlink(_)) {
            chmodat(&spot.parent, &spot.name, self.mode(entry))?;
        }
        let Time { seconds, nanoseconds } = entry.modified;
        set_modified_at(&spot.parent, &spot.name, seconds, nanoseconds)
    }

    fn link(&self, entry: &Entry, target: &[u8], spot: &Spot) -> Result<(), CarryError> {
        let first = self.spot(target)?.ok_or_else(|| refused(&entry.path, "it is a link to the top"))?;
        linkat(&first.parent, &first.name, &spot.parent, &spot.name).map_err(kernel(&entry.path))
    }
}

impl Sink for TreeSink {
    fn entry(&mut self, entry: &Entry, data: &mut Data<'_>) -> Result<(), CarryError> {
        let Some(spot) = self.spot(&entry.path)? else { return Ok(()) };
        if entry.kind == Kind::Directory {
            return self.directory(entry, &spot);
        }
        self.clear(entry, &spot)?;
        match &entry.kind {
            Kind::File(regions) => self.file(entry, regions.as_deref(), &spot, data),
            Kind::HardLink(target) => self.link(entry, target, &spot),
            _ => self.special(entry, &spot),
        }
    }
}
