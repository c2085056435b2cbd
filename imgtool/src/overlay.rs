//! Unpacked layers, one upon the other, as one directory tree.

use mydocker_sys::fs::{OFlag, cstring, open};
use mydocker_sys::mount::{
    Attributes, Clone, FsContext, MntFlags, MountAttrFlags, MsFlags, attach, mount, open_tree,
    set_attributes, umount,
};
use mydocker_sys::{AsRawFd as _, Errno, OwnedFd};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// What to mount.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Overlay {
    /// The directories that nothing is written to, the lowest first; at least one.
    pub lower: Vec<PathBuf>,
    /// Where changes go, and an empty directory of the same file system for the kernel's own use; read-only without.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// Whether what is written may be lost with the host: the kernel then writes nothing back to the disk for the sake of
    /// the mount (Linux 5.10), and the changes can be mounted only once.
    pub is_volatile: bool,
}

impl Overlay {
    /// Mounts it on the directory `target`.
    ///
    /// Layers are given to the kernel by descriptors: paths have characters that options have a meaning for, and a
    /// hundred of them do not fit into the page that the old call takes.
    ///
    /// # Errors
    /// What the kernel says; then nothing is mounted.
    pub fn mount(&self, target: &Path) -> mydocker_sys::Result<()> {
        if let ([only], None) = (&*self.lower, &self.upper) {
            return bind_readonly(only, target);
        }
        let from_the_top: Vec<PathBuf> = self.lower.iter().rev().cloned().collect();
        let layers = Fds::open(&from_the_top)?;
        let upper = self.upper.as_ref().map(|(upper, work)| Fds::open(&[upper.clone(), work.clone()]));
        let upper = upper.transpose()?;
        match self.mount_by_descriptors(&layers, upper.as_ref(), target)? {
            true => Ok(()),
            false => self.mount_by_options(&layers, upper.as_ref(), target),
        }
    }

    fn options(&self, upper: Option<&Fds>) -> Vec<(&'static str, Option<String>)> {
        let mut options = Vec::new();
        let is_host =
            mydocker_sys::process::euid() == 0 && mydocker_sys::namespace::is_first_user_namespace();
        if !is_host {
            options.push(("userxattr", None));
        }
        if let Some([upper, work]) = upper.map(|fds| fds.names()).as_deref() {
            options.extend([("upperdir", Some(upper.clone())), ("workdir", Some(work.clone()))]);
            // A commit and another host know nothing of what these would write into the upper directory. In a user
            // namespace they are off, and may not be named.
            let plain: &[_] = if is_host { &["redirect_dir", "metacopy", "index"] } else { &["index"] };
            options.extend(plain.iter().map(|name| (*name, Some("off".to_owned()))));
            if self.is_volatile {
                options.push(("volatile", None));
            }
        }
        options
    }

    /// Returns whether the kernel knows this way: before Linux 6.5 all layers are one option.
    fn mount_by_descriptors(
        &self,
        layers: &Fds,
        upper: Option<&Fds>,
        target: &Path,
    ) -> mydocker_sys::Result<bool> {
        let context = FsContext::open("overlay")?;
        context.set("source", "overlay")?;
        for (number, layer) in layers.names().iter().enumerate() {
            match context.set("lowerdir+", layer) {
                Err(error) if error.errno() == Errno::EINVAL && number == 0 => return Ok(false),
                other => other?,
            }
        }
        for (name, value) in self.options(upper) {
            value.map_or_else(|| context.flag(name), |value| context.set(name, &value))?;
        }
        let mount = context.mount(MountAttrFlags::empty())?;
        attach(mount, open(target, OFlag::O_PATH | OFlag::O_DIRECTORY)?)?;
        Ok(true)
    }

    fn mount_by_options(&self, layers: &Fds, upper: Option<&Fds>, target: &Path) -> mydocker_sys::Result<()> {
        let mut text = format!("lowerdir={}", layers.names().join(":"));
        for (name, value) in self.options(upper) {
            text.push_str(&value.map_or_else(|| format!(",{name}"), |value| format!(",{name}={value}")));
        }
        let data = CString::new(text).unwrap_or_default();
        mount(Some(c"overlay"), &cstring(target)?, Some(c"overlay"), MsFlags::empty(), Some(&data))
    }
}

/// One layer alone: overlayfs takes two at the least where nothing can be written to.
fn bind_readonly(layer: &Path, target: &Path) -> mydocker_sys::Result<()> {
    let layer = open(layer, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let tree = open_tree(&layer, Clone::One)?;
    let readonly = u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits());
    set_attributes(&tree, Attributes { set: readonly, ..Attributes::default() })?;
    attach(tree, open(target, OFlag::O_PATH | OFlag::O_DIRECTORY)?)
}

/// Takes away what is mounted on a directory; nothing there is as good.
///
/// # Errors
/// What the kernel says.
pub fn unmount(target: &Path) -> mydocker_sys::Result<()> {
    match umount(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ENOENT) => Ok(()),
        other => other,
    }
}

/// Directories that are open, and names for them.
struct Fds(Vec<OwnedFd>);

impl Fds {
    fn open(paths: &[PathBuf]) -> mydocker_sys::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        paths.iter().map(|path| open(path, flags)).collect::<Result<_, _>>().map(Self)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd())).collect()
    }
}
