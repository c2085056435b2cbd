//! Unpacked layers, one upon the other, as one directory tree.

use mydocker_sys::fs::{OFlag, cstring, open};
use mydocker_sys::mount::{
    Attributes, Clone, FsContext, MntFlags, MountAttrFlags, MsFlags, attach, mount, open_tree,
    set_attributes, umount,
};
use mydocker_sys::{AsRawFd as _, Errno, OwnedFd};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// The longest options that `mount(2)` takes: a page, with its NUL.
const OPTIONS_LIMIT: usize = 4095;

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
        self.mount_with(target, MountAttrFlags::empty())
    }

    /// [`mount`](Self::mount) with attributes, such as that nothing in it can be changed.
    ///
    /// # Errors
    /// What the kernel says; then nothing is mounted.
    pub fn mount_with(&self, target: &Path, attributes: MountAttrFlags) -> mydocker_sys::Result<()> {
        if let ([only], None) = (&*self.lower, &self.upper) {
            return bind_readonly(only, target, attributes);
        }
        let from_the_top: Vec<PathBuf> = self.lower.iter().rev().cloned().collect();
        let layers = Fds::open(&from_the_top)?;
        let upper = self.upper.as_ref().map(|(upper, work)| Fds::open(&[upper.clone(), work.clone()]));
        let upper = upper.transpose()?;
        match self.mount_by_descriptors(&layers, upper.as_ref(), target, attributes) {
            // Before Linux 6.5 all layers are one option.
            Err(error) if matches!(error.errno(), Errno::EINVAL | Errno::ENOSYS) => {
                let old = self.mount_by_options(&layers, upper.as_ref(), target, attributes);
                // The new call tells more of what is wrong than the old one.
                old.map_err(|second| if second.errno() == Errno::EINVAL { error } else { second })
            }
            other => other,
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

    /// Each layer is an option of its own.
    fn mount_by_descriptors(
        &self,
        layers: &Fds,
        upper: Option<&Fds>,
        target: &Path,
        attributes: MountAttrFlags,
    ) -> mydocker_sys::Result<()> {
        let context = FsContext::open("overlay")?;
        context.set("source", "overlay")?;
        for layer in layers.names() {
            context.set("lowerdir+", &layer)?;
        }
        for (name, value) in self.options(upper) {
            value.map_or_else(|| context.flag(name), |value| context.set(name, &value))?;
        }
        let mount = context.mount(attributes)?;
        attach(mount, open(target, OFlag::O_PATH | OFlag::O_DIRECTORY)?)
    }

    fn mount_by_options(
        &self,
        layers: &Fds,
        upper: Option<&Fds>,
        target: &Path,
        attributes: MountAttrFlags,
    ) -> mydocker_sys::Result<()> {
        let mut text = format!("lowerdir={}", layers.names().join(":"));
        for (name, value) in self.options(upper) {
            text.push_str(&value.map_or_else(|| format!(",{name}"), |value| format!(",{name}={value}")));
        }
        if text.len() > OPTIONS_LIMIT {
            let what = format!("{} layers, for which this kernel has no room", layers.0.len());
            return Err(mydocker_sys::Error::new("mount", what, Errno::E2BIG));
        }
        let data = CString::new(text).unwrap_or_default();
        mount(Some(c"overlay"), &cstring(target)?, Some(c"overlay"), flags(attributes), Some(&data))
    }
}

/// Attributes in the words of the old call.
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

/// One layer alone: overlayfs takes two at the least where nothing can be written to.
fn bind_readonly(layer: &Path, target: &Path, attributes: MountAttrFlags) -> mydocker_sys::Result<()> {
    let layer = open(layer, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
    let tree = open_tree(&layer, Clone::One)?;
    let set = u64::from((attributes | MountAttrFlags::MOUNT_ATTR_RDONLY).bits());
    set_attributes(&tree, Attributes { set, ..Attributes::default() })?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Layers with one file each, the lowest first, below a path that is too long for an option.
    fn layers(place: &Path, count: usize) -> Overlay {
        let deep = place.join("a:b,c d".repeat(30)).join("x".repeat(200));
        let layer = |number: usize| {
            let path = deep.join(number.to_string());
            fs::create_dir_all(&path).expect("room");
            fs::write(path.join(format!("file-{number}")), "x").expect("room");
            path
        };
        Overlay { lower: (0..count).map(layer).collect(), ..Overlay::default() }
    }

    fn check(count: usize, mount: impl Fn(&Overlay, &Path) -> mydocker_sys::Result<()>) {
        let place = tempfile::Builder::new().prefix("mdi-").tempdir_in("/dev/shm").expect("room");
        let target = place.path().join("target");
        fs::create_dir(&target).expect("room");
        mount(&layers(place.path(), count), &target).expect("mounted");
        let files = fs::read_dir(&target).expect("a directory").count();
        let refused = fs::write(target.join("new"), "x").expect_err("it is read-only");
        umount(&target, MntFlags::empty()).expect("a mount");
        assert_eq!(files, count);
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }

    #[test]
    fn privileged_many_layers_at_long_paths_are_mounted() {
        check(300, |overlay, target| overlay.mount(target));
        check(2, |overlay, target| overlay.mount_with(target, MountAttrFlags::MOUNT_ATTR_NODEV));
        check(1, |overlay, target| overlay.mount(target));
    }

    #[test]
    fn privileged_an_older_kernel_takes_them_in_one_page() {
        let by_options = |overlay: &Overlay, target: &Path| {
            let from_the_top: Vec<PathBuf> = overlay.lower.iter().rev().cloned().collect();
            overlay.mount_by_options(&Fds::open(&from_the_top)?, None, target, MountAttrFlags::empty())
        };
        check(200, by_options);
        let place = tempfile::Builder::new().prefix("mdi-").tempdir_in("/dev/shm").expect("room");
        let error = by_options(&layers(place.path(), 300), place.path()).expect_err("too long");
        assert_eq!(error.errno(), Errno::E2BIG);
    }
}
