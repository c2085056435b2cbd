//! overlayfs with any number of layers and paths of any length.

use crate::error::{Error, Result};
use crate::fs::{OFlag, cstring, open};
use crate::mount::{FsContext, MountAttrFlags, MsFlags, attach, mount};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The longest value that `fsconfig(2)` takes, in bytes.
const VALUE_LIMIT: usize = 255;

/// The longest options that `mount(2)` takes: a page, with its NUL.
const OPTIONS_LIMIT: usize = 4095;

/// A directory that takes part in an overlay.
#[derive(Debug)]
pub struct OverlayDirectory {
    fd: OwnedFd,
    path: PathBuf,
}

impl OverlayDirectory {
    /// Opens it.
    ///
    /// # Errors
    /// What the kernel says, with the path.
    pub fn open(path: &Path) -> Result<Self> {
        let fd = open(path, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The way to it through its descriptor, which is short and needs no escapes.
    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }

    /// Its path, which is what people see in the list of mounts, or the way through its descriptor if the path is too
    /// long or has something in it that overlayfs would take for more than a name.
    fn name(&self) -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
        match self.path.to_str() {
            Some(path)
                if path.len() <= VALUE_LIMIT && path.starts_with('/') && path.bytes().all(is_plain) =>
            {
                path.to_owned()
            }
            _ => self.link(),
        }
    }
}

/// An overlay that is to be mounted.
#[derive(Debug)]
pub struct Overlay {
    /// What is only read, the highest first. Without an upper directory there have to be two at the least.
    pub lower: Vec<OverlayDirectory>,
    /// Where changes go, and a directory of the same file system for the kernel to work in.
    pub upper: Option<(OverlayDirectory, OverlayDirectory)>,
    /// What the mount does not allow.
    pub attributes: MountAttrFlags,
}

impl Overlay {
    /// Mounts it onto the directory behind `target`. Each layer is an option of its own (Linux 6.7); on older kernels all
    /// of them go into the one page of `mount(2)`, where some 200 fit.
    ///
    /// # Errors
    /// What the kernel says, with its own message where it left one.
    pub fn mount(&self, target: impl AsFd) -> Result<()> {
        let target = target.as_fd();
        match self.detached() {
            Ok(mount) => attach(mount, target),
            Err(error) if error.errno() == crate::Errno::EINVAL => {
                let old = self.mount_in_one_page(&format!("/proc/self/fd/{}", target.as_raw_fd()));
                // An option that is not known is the older kernel's way to refuse; then the second word counts.
                old.map_err(|second| if second.errno() == crate::Errno::EINVAL { error } else { second })
            }
            Err(error) => Err(error),
        }
    }

    fn detached(&self) -> Result<OwnedFd> {
        let context = FsContext::open("overlay")?;
        context.set("source", "overlay")?;
        for layer in &self.lower {
            context.set("lowerdir+", &layer.name())?;
        }
        if let Some((upper, work)) = &self.upper {
            context.set("upperdir", &upper.name())?;
            context.set("workdir", &work.name())?;
        }
        context.mount(self.attributes)
    }

    fn mount_in_one_page(&self, target: &str) -> Result<()> {
        let lower: Vec<_> = self.lower.iter().map(OverlayDirectory::link).collect();
        let mut options = format!("lowerdir={}", lower.join(":"));
        if let Some((upper, work)) = &self.upper {
            options.push_str(&format!(",upperdir={},workdir={}", upper.link(), work.link()));
        }
        if options.len() > OPTIONS_LIMIT {
            let what = format!("{} layers, for which this kernel has no room", lower.len());
            return Err(Error::new("mount", what, crate::Errno::E2BIG));
        }
        let (target, options) = (cstring(Path::new(target))?, cstring(Path::new(&options))?);
        mount(Some(c"overlay"), &target, Some(c"overlay"), flags(self.attributes), Some(&options))
    }
}

fn flags(attributes: MountAttrFlags) -> MsFlags {
    let pairs = [
        (MountAttrFlags::MOUNT_ATTR_RDONLY, MsFlags::MS_RDONLY),
        (MountAttrFlags::MOUNT_ATTR_NOSUID, MsFlags::MS_NOSUID),
        (MountAttrFlags::MOUNT_ATTR_NODEV, MsFlags::MS_NODEV),
        (MountAttrFlags::MOUNT_ATTR_NOEXEC, MsFlags::MS_NOEXEC),
    ];
    let wanted = pairs.into_iter().filter(|(attribute, _)| attributes.contains(*attribute));
    wanted.map(|(_, flag)| flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mount::{MntFlags, umount};
    use std::fs;

    /// Layers with one file each, the highest first, below a path that is too long for an option.
    fn layers(place: &Path, count: usize) -> Vec<OverlayDirectory> {
        let deep = place.join("a:b,c d".repeat(30)).join("x".repeat(200));
        let layer = |number: usize| {
            let path = deep.join(number.to_string());
            fs::create_dir_all(&path).expect("room");
            fs::write(path.join(format!("file-{number}")), "x").expect("room");
            OverlayDirectory::open(&path).expect("a directory")
        };
        (0..count).rev().map(layer).collect()
    }

    fn check(count: usize, mount: impl Fn(&Overlay, &Path) -> Result<()>) {
        let place = tempfile::Builder::new().prefix("mdt-overlay-").tempdir_in("/dev/shm").expect("room");
        let target = place.path().join("target");
        fs::create_dir(&target).expect("room");
        let overlay = Overlay {
            lower: layers(place.path(), count),
            upper: None,
            attributes: MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV,
        };
        mount(&overlay, &target).expect("mounted");
        let files = fs::read_dir(&target).expect("a directory").count();
        let refused = fs::write(target.join("new"), "x").expect_err("it is read-only");
        umount(&target, MntFlags::empty()).expect("a mount");
        assert_eq!(files, count);
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn privileged_many_layers_at_long_paths_are_mounted() {
        check(300, |overlay, target| overlay.mount(open(target, OFlag::O_PATH | OFlag::O_DIRECTORY)?));
    }

    #[test]
    fn privileged_an_older_kernel_takes_them_in_one_page() {
        check(200, |overlay, target| overlay.mount_in_one_page(target.to_str().expect("UTF-8")));
    }

    #[test]
    fn privileged_more_than_a_page_is_refused() {
        let place = tempfile::Builder::new().prefix("mdt-overlay-").tempdir_in("/dev/shm").expect("room");
        let lower = layers(place.path(), 300);
        let overlay = Overlay { lower, upper: None, attributes: MountAttrFlags::empty() };
        let error = overlay.mount_in_one_page("/nowhere").expect_err("too long");
        assert_eq!(error.errno(), crate::Errno::E2BIG);
    }
}
