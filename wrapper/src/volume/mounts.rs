//! Volumes that are file systems of their own, such as `type=tmpfs` and `type=nfs`: mounted at their directory when the
//! first container that has them starts, and taken off when the last one has ended, as with docker.
//!
//! ```text
//! RUN/volumes/.NAME.lock  held alone by whoever changes what is mounted
//! RUN/volumes/NAME/ID     a container that the mount is for
//! RUN/volumes/NAME/ID.cp  files of such a container are copied; whoever does that has the file locked
//! ```

use super::{Volume, VolumeError, Volumes, failed};
use crate::container::{Container, MountKind};
use crate::home::Home;
use mydocker_sys::Errno;
use mydocker_sys::lock::{lock_exclusive, try_lock_shared};
use mydocker_sys::mount::{MntFlags, MsFlags, is_mount_point, mount as mount_at, umount};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// What `o=` has for flags of a mount; everything else is for the file system.
const FLAGS: &[(&str, MsFlags, bool)] = &[
    ("ro", MsFlags::MS_RDONLY, true),
    ("rw", MsFlags::MS_RDONLY, false),
    ("nosuid", MsFlags::MS_NOSUID, true),
    ("suid", MsFlags::MS_NOSUID, false),
    ("nodev", MsFlags::MS_NODEV, true),
    ("dev", MsFlags::MS_NODEV, false),
    ("noexec", MsFlags::MS_NOEXEC, true),
    ("exec", MsFlags::MS_NOEXEC, false),
    ("noatime", MsFlags::MS_NOATIME, true),
    ("atime", MsFlags::MS_NOATIME, false),
    ("nodiratime", MsFlags::MS_NODIRATIME, true),
    ("diratime", MsFlags::MS_NODIRATIME, false),
    ("relatime", MsFlags::MS_RELATIME, true),
    ("strictatime", MsFlags::MS_STRICTATIME, true),
    ("sync", MsFlags::MS_SYNCHRONOUS, true),
    ("async", MsFlags::MS_SYNCHRONOUS, false),
    ("dirsync", MsFlags::MS_DIRSYNC, true),
    ("defaults", MsFlags::empty(), true),
];

/// What is behind the id of a container whose files are copied.
const COPIER: &str = ".cp";

/// The type of the file system that options ask for; `None` for a directory.
pub(super) fn file_system(options: &BTreeMap<String, String>) -> Option<&str> {
    options.get("type").map(String::as_str).filter(|kind| !matches!(*kind, "" | "none" | "bind"))
}

/// Mounts those volumes of a container that are file systems and are not mounted yet.
///
/// # Errors
/// [`VolumeError::Mount`] and others.
pub fn mount(home: &Home, container: &Container) -> Result<(), VolumeError> {
    file_systems(home, container)?.iter().try_for_each(|volume| {
        let place = make_place(home, &volume.name)?;
        let _lock = lock(&place)?;
        // Noted first: whoever clears up after this container takes the mount off if it is for nobody else.
        let user = place.join(&container.id);
        fs::write(&user, "").map_err(failed("write", &user))?;
        mount_file_system(volume)
    })
}

/// The volumes of a container that does not run, mounted while its files are copied.
#[derive(Debug, Default)]
pub struct Copied {
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    place: PathBuf,
    data: PathBuf,
    id: String,
    /// Tells the others that somebody copies.
    lock: File,
}

impl Copied {
    /// Mounts those that are file systems and are not mounted yet, in the mount namespace of this process. The caller has
    /// the container's lock.
    ///
    /// # Errors
    /// [`VolumeError::Mount`] and others; nothing more is mounted then.
    pub fn mount(home: &Home, container: &Container) -> Result<Self, VolumeError> {
        let mut copied = Self::default();
        for volume in file_systems(home, container)? {
            if let Err(error) = copied.add(home, &container.id, &volume) {
                // The reason is told; what cannot be taken off now is so by whoever next clears up after the container.
                drop(copied.unmount());
                return Err(error);
            }
        }
        Ok(copied)
    }

    fn add(&mut self, home: &Home, id: &str, volume: &Volume) -> Result<(), VolumeError> {
        let place = make_place(home, &volume.name)?;
        let _lock = lock(&place)?;
        let file = open_lock(&place.join(copier(id)))?;
        lock_exclusive(&file, true)?;
        self.held.push(Held { place, data: volume.path.clone(), id: id.to_owned(), lock: file });
        mount_file_system(volume)
    }

    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes them off unless containers have them, in the same mount namespace.
    ///
    /// # Errors
    /// [`VolumeError`] of the first that cannot be; the others are gone.
    pub fn unmount(self) -> Result<(), VolumeError> {
        let let_go = |Held { place, data, id, lock: held }: Held| {
            let _lock = lock(&place)?;
            let copier = place.join(copier(&id));
            fs::remove_file(&copier).map_err(failed("remove", &copier))?;
            drop(held);
            if is_used(&place, None)? { Ok(()) } else { take_off(&data) }
        };
        self.held.into_iter().map(let_go).fold(Ok(()), Result::and)
    }
}

fn copier(id: &str) -> String {
    format!("{id}{COPIER}")
}

fn file_systems(home: &Home, container: &Container) -> Result<Vec<Volume>, VolumeError> {
    let mut found = Vec::new();
    for name in names(container) {
        let volume = Volumes::open(home)?.find(name)?;
        if file_system(&volume.options).is_some() {
            found.push(volume);
        }
    }
    Ok(found)
}

fn names(container: &Container) -> impl Iterator<Item = &String> {
    let volumes = container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
    volumes.filter_map(|mount| mount.name.as_ref())
}

fn make_place(home: &Home, name: &str) -> Result<PathBuf, VolumeError> {
    let place = place(home, name);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&place);
    made.map_err(failed("make the directory", &place))?;
    Ok(place)
}

/// Mounts it, unless it is already. The caller has the volume's lock.
fn mount_file_system(volume: &Volume) -> Result<(), VolumeError> {
    if is_mount_point(&volume.path)? {
        return Ok(());
    }
    let text = |name: &str| volume.options.get(name).map(String::as_str).unwrap_or_default();
    let (kind, device) = (text("type"), text("device"));
    let (flags, data) = parse(kind, text("o"))?;
    let c_string = |text: &[u8]| {
        CString::new(text).map_err(|_| VolumeError::Option {
            name: "o".to_owned(),
            value: String::from_utf8_lossy(text).into_owned(),
            hint: "it has a character that the kernel takes for the end",
        })
    };
    let data = c_string(data.join(",").as_bytes())?;
    let target = c_string(volume.path.as_os_str().as_bytes())?;
    let (file_system, device) = (c_string(kind.as_bytes())?, c_string(device.as_bytes())?);
    let mounted = mount_at(Some(&device), &target, Some(&file_system), flags, Some(&data));
    let name = volume.name.clone();
    mounted.map_err(|source| match source.errno() {
        Errno::ENODEV => VolumeError::FileSystem { name, kind: kind.to_owned() },
        _ => VolumeError::Mount { name, source },
    })
}

/// What `o=` says: flags, and what is for the file system.
fn parse(kind: &str, options: &str) -> Result<(MsFlags, Vec<String>), VolumeError> {
    let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
    for word in options.split(',').filter(|word| !word.is_empty()) {
        match FLAGS.iter().find(|(name, ..)| *name == word) {
            Some((_, flag, is_set)) => flags.set(*flag, *is_set),
            None => data.push(addressed(kind, word)?),
        }
    }
    Ok((flags, data))
}

/// The kernel knows servers by their addresses alone.
fn addressed(kind: &str, word: &str) -> Result<String, VolumeError> {
    let is_remote = matches!(kind, "nfs" | "nfs4" | "cifs");
    let name = word.strip_prefix("addr=").filter(|name| is_remote && name.parse::<IpAddr>().is_err());
    let Some(name) = name else { return Ok(word.to_owned()) };
    let failed = |source| VolumeError::Server { name: name.to_owned(), source };
    let mut found = (name, 0).to_socket_addrs().map_err(failed)?;
    let address = found.next().ok_or_else(|| failed(ErrorKind::NotFound.into()))?;
    Ok(format!("addr={}", address.ip()))
}

/// Takes off what is mounted for a container that has ended, and for nobody else; nothing there is as good.
///
/// # Errors
/// [`VolumeError`].
pub fn unmount(home: &Home, container: &Container) -> Result<(), VolumeError> {
    for name in names(container) {
        let place = place(home, name);
        let has = |name: &str| place.join(name).exists();
        if has(&container.id) || has(&copier(&container.id)) {
            unmount_one(&place, &container.id, &home.volumes().join(name).join(super::store::DATA))?;
        }
    }
    Ok(())
}

fn unmount_one(place: &Path, id: &str, data: &Path) -> Result<(), VolumeError> {
    let _lock = lock(place)?;
    if !is_used(place, Some(id))? {
        take_off(data)?;
    }
    let user = place.join(id);
    match fs::remove_file(&user) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", &user)(error)),
        _ => Ok(()),
    }
}

/// Whether anybody but the container `except` has what is mounted; forgets whoever was killed while copying.
fn is_used(place: &Path, except: Option<&str>) -> Result<bool, VolumeError> {
    let mut used = false;
    for user in fs::read_dir(place).map_err(failed("read the directory", place))? {
        let name = user.map_err(failed("read the directory", place))?.file_name();
        let path = place.join(&name);
        if !name.to_string_lossy().ends_with(COPIER) {
            used |= except.is_none_or(|id| name != id);
        } else if try_lock_shared(open_lock(&path)?)? {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        } else {
            used = true;
        }
    }
    Ok(used)
}

/// Takes off what is mounted at a volume's directory, whoever did that.
pub(super) fn take_off(data: &Path) -> Result<(), VolumeError> {
    match is_mount_point(data) {
        Ok(true) => Ok(umount(data, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)?),
        Err(error) if error.errno() != mydocker_sys::Errno::ENOENT => Err(error.into()),
        _ => Ok(()),
    }
}

fn place(home: &Home, name: &str) -> PathBuf {
    home.run().join("volumes").join(name)
}

fn lock(place: &Path) -> Result<File, VolumeError> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let file = open_lock(&place.with_file_name(format!(".{name}.lock")))?;
    lock_exclusive(&file, true)?;
    Ok(file)
}

fn open_lock(path: &Path) -> Result<File, VolumeError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(failed("open", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_told_from_what_is_for_the_file_system() {
        let (flags, data) = parse("tmpfs", "size=1m,ro,nosuid,suid,uid=7").expect("options");
        assert_eq!(flags, MsFlags::MS_RDONLY);
        assert_eq!(data, ["size=1m", "uid=7"]);
        let (_, data) = parse("nfs", "addr=localhost,nolock").expect("options");
        assert!(data[0].strip_prefix("addr=").is_some_and(|text| text.parse::<IpAddr>().is_ok()), "{data:?}");
        assert_eq!(parse("ext4", "addr=x").expect("options").1, ["addr=x"]);
    }
}
