//! Mounts, by descriptor: the new mount API (Linux 5.2, `mount_setattr` 5.12) and the few old calls still needed.

use crate::error::{Context, Result, check, describe};
use crate::fs::{OFlag, at};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use nix::mount::{MntFlags, MsFlags};
pub use rustix::mount::{MountAttrFlags, MountPropagationFlags};

/// Which part of a tree [`open_tree`] copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clone {
    /// The mount alone (`mount --bind`).
    One,
    /// The mount and everything mounted below it (`mount --rbind`).
    Recursive,
}

/// A detached copy of the mount that `fd` is on, rooted at `fd` (`open_tree(2)` with `OPEN_TREE_CLONE`).
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn open_tree(fd: impl AsFd, clone: Clone) -> Result<OwnedFd> {
    let fd = fd.as_fd();
    clone_tree(fd, Path::new(""), clone).context("open_tree", || format!("{}, {clone:?}", describe(fd)))
}

/// As [`open_tree`], of a path that is followed from `dir` on.
///
/// # Errors
/// What the kernel says, with the path.
pub fn open_tree_at(dir: impl AsFd, path: &Path, clone: Clone) -> Result<OwnedFd> {
    clone_tree(dir.as_fd(), path, clone).context("open_tree", || format!("{path:?}, {clone:?}"))
}

fn clone_tree(
    dir: std::os::fd::BorrowedFd<'_>,
    path: &Path,
    clone: Clone,
) -> std::result::Result<OwnedFd, rustix::io::Errno> {
    use rustix::mount::OpenTreeFlags;
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if path.as_os_str().is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    if clone == Clone::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(dir, path, flags)
}

/// [`open_tree_at`] and [`set_attributes`] of the copy: one call from Linux 6.15 on (`open_tree_attr(2)`), two before. An
/// empty path is the mount behind `fd` itself. A link at the end of the path is followed.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn open_tree_with(
    fd: impl AsFd,
    path: &Path,
    clone: Clone,
    attributes: Attributes<'_>,
) -> Result<OwnedFd> {
    let fd = fd.as_fd();
    // The new call has one flag for both: a recursive copy of which the top alone changes takes two calls.
    if (clone == Clone::One || attributes.recursive)
        && let Some(tree) = open_tree_attr(fd, path, clone, attributes)?
    {
        return Ok(tree);
    }
    let tree = clone_tree(fd, path, clone).context("open_tree", || format!("{}, {clone:?}", at(fd, path)))?;
    set_attributes(&tree, attributes)?;
    Ok(tree)
}

/// Of `<asm-generic/unistd.h>`: the same number on every architecture but alpha.
pub(crate) const SYS_OPEN_TREE_ATTR: libc::c_long = 467;

/// Whether the kernel was found to have no `open_tree_attr(2)`, which need not be asked for each mount.
static LACKS_OPEN_TREE_ATTR: AtomicBool = AtomicBool::new(false);

/// `open_tree_attr(2)`; `None` whenever it fails: older kernels do not have it, and the two calls say more clearly what
/// is wrong.
fn open_tree_attr(
    fd: std::os::fd::BorrowedFd<'_>,
    path: &Path,
    clone: Clone,
    attributes: Attributes<'_>,
) -> Result<Option<OwnedFd>> {
    if LACKS_OPEN_TREE_ATTR.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let attr = attributes.to_kernel();
    let mut flags = libc::OPEN_TREE_CLONE as i32 | libc::O_CLOEXEC;
    if path.as_os_str().is_empty() {
        flags |= libc::AT_EMPTY_PATH;
    }
    if clone == Clone::Recursive {
        flags |= libc::AT_RECURSIVE;
    }
    let path = crate::fs::cstring(path)?;
    // SAFETY: the path is NUL-terminated and attr is a live mount_attr of the length given.
    let ret = unsafe {
        libc::syscall(
            SYS_OPEN_TREE_ATTR,
            fd.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if ret < 0 && Errno::last() == Errno::ENOSYS {
        LACKS_OPEN_TREE_ATTR.store(true, Ordering::Relaxed);
    }
    // SAFETY: a call that succeeded gives a new descriptor that nobody else owns.
    Ok((ret >= 0).then(|| unsafe { OwnedFd::from_raw_fd(ret as i32) }))
}

/// Attaches a detached mount onto the file or directory behind `target` (`move_mount(2)`, both by descriptor).
///
/// # Errors
/// What the kernel says, with the path behind the target.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> Result<()> {
    use rustix::mount::MoveMountFlags;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    let target = target.as_fd();
    rustix::mount::move_mount(mount.as_fd(), "", target, "", flags)
        .context("move_mount", || format!("detached, {}", describe(target)))
}

/// As [`attach`], onto a name in the directory behind `dir`, or onto that itself where the name is empty. A link at the end
/// is not followed: the mount lies on the link.
///
/// # Errors
/// What the kernel says, with the directory and the name.
pub fn attach_at(mount: impl AsFd, dir: impl AsFd, name: &Path) -> Result<()> {
    use rustix::mount::MoveMountFlags;
    if name.as_os_str().is_empty() {
        return attach(mount, dir);
    }
    let dir = dir.as_fd();
    rustix::mount::move_mount(mount.as_fd(), "", dir, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .context("move_mount", || format!("detached, {}", at(dir, name)))
}

/// The root of what is mounted on the directory behind `target`, whose own descriptor stays below it. No name is looked
/// up: where `target` is the root of the lookup, `..` leads to itself and onto what is mounted there.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn mounted_on(target: impl AsFd, flags: OFlag) -> Result<OwnedFd> {
    crate::fs::open_in_root(target, Path::new(".."), flags | OFlag::O_DIRECTORY, 0)
}

/// Binds `source`, an absolute path, onto `name` in the working directory (`mount(2)`, `MS_BIND`): what [`open_tree_at`]
/// and [`attach`] do in two calls, for a directory that only the caller can change.
///
/// # Errors
/// What the kernel says, with both paths.
pub fn bind_in_working_directory(source: &Path, name: &Path) -> Result<()> {
    nix::mount::mount(Some(source), name, None::<&Path>, MsFlags::MS_BIND, None::<&Path>)
        .context("mount", || format!("{source:?}, {name:?}, MS_BIND"))
}

/// A file system being configured (`fsopen(2)`).
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
    fs_type: String,
}

impl FsContext {
    /// Begins the configuration of a file system of type `fs_type`.
    ///
    /// # Errors
    /// `ENODEV` for a type that the kernel does not know.
    pub fn open(fs_type: &str) -> Result<Self> {
        let fd = rustix::mount::fsopen(fs_type, rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC)
            .context("fsopen", || format!("{fs_type:?}"))?;
        Ok(Self { fd, fs_type: fs_type.into() })
    }

    /// Sets `key=value`, the source too (key `source`).
    ///
    /// # Errors
    /// What the kernel says of the option, with its own message where it left one.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let result = rustix::mount::fsconfig_set_string(self.fd.as_fd(), key, value);
        result.context("fsconfig", || self.blame(&format!("{key}={value}")))
    }

    /// Sets the option `key` that has no value.
    ///
    /// # Errors
    /// As [`FsContext::set`].
    pub fn flag(&self, key: &str) -> Result<()> {
        let result = rustix::mount::fsconfig_set_flag(self.fd.as_fd(), key);
        result.context("fsconfig", || self.blame(key))
    }

    /// Makes the file system and a detached mount of it with `attributes`.
    ///
    /// # Errors
    /// What the kernel says, with its own message where it left one.
    pub fn mount(&self, attributes: MountAttrFlags) -> Result<OwnedFd> {
        rustix::mount::fsconfig_create(self.fd.as_fd()).context("fsconfig", || self.blame("CMD_CREATE"))?;
        rustix::mount::fsmount(self.fd.as_fd(), rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .context("fsmount", || self.blame(&format!("{attributes:?}")))
    }

    /// The descriptor of the configuration, for a caller that lets execve close it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// The arguments of a failed call and what the kernel logged to the context about it.
    fn blame(&self, what: &str) -> String {
        let mut message = [0u8; 512];
        let said = match crate::fs::read(&self.fd, &mut message) {
            Ok(length) => String::from_utf8_lossy(&message[..length]).trim().to_owned(),
            Err(_) => String::new(),
        };
        if said.is_empty() {
            format!("{}, {what}", self.fs_type)
        } else {
            format!("{}, {what} [{said}]", self.fs_type)
        }
    }
}

/// What [`set_attributes`] changes of a mount.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'fd> {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`; 0 leaves the propagation as it is.
    pub propagation: u64,
    /// A user namespace whose mapping the mount takes over (`MOUNT_ATTR_IDMAP`, Linux 5.12).
    pub id_map: Option<std::os::fd::BorrowedFd<'fd>>,
    /// Whether to change the mounts below too.
    pub recursive: bool,
}

impl Attributes<'_> {
    fn to_kernel(self) -> libc::mount_attr {
        let mut attr = libc::mount_attr {
            attr_set: self.set,
            attr_clr: self.clear,
            propagation: self.propagation,
            userns_fd: 0,
        };
        if let Some(id_map) = self.id_map {
            attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
            attr.userns_fd = id_map.as_raw_fd() as u64;
        }
        attr
    }
}

/// `mount_setattr(2)` on the mount behind a descriptor.
///
/// # Errors
/// What the kernel says, with the path behind the descriptor.
pub fn set_attributes(mount: impl AsFd, attributes: Attributes<'_>) -> Result<()> {
    let mount = mount.as_fd();
    let attr = attributes.to_kernel();
    let flags = libc::AT_EMPTY_PATH | if attributes.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a NUL-terminated constant and attr is a live mount_attr of the length given.
    let ret = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    check(ret, "mount_setattr", || format!("{}, {attributes:x?}", describe(mount))).map(drop)
}

/// The old `mount(2)`, for what the new API cannot say on the kernels in use (changing the propagation of `/`,
/// remounting with file system options).
///
/// # Errors
/// What the kernel says, with the arguments.
pub fn mount(
    source: Option<&CStr>,
    target: &CStr,
    fs_type: Option<&CStr>,
    flags: MsFlags,
    data: Option<&CStr>,
) -> Result<()> {
    nix::mount::mount(source, target, fs_type, flags, data)
        .context("mount", || format!("{source:?}, {target:?}, {fs_type:?}, {flags:?}, {data:?}"))
}

/// `umount2(2)`.
///
/// # Errors
/// What the kernel says, with the path.
pub fn umount(target: &Path, flags: MntFlags) -> Result<()> {
    nix::mount::umount2(target, flags).context("umount2", || format!("{target:?}, {flags:?}"))
}

/// Whether a mount begins at a path, which is not followed if it is a link (`statx(2)`, Linux 5.8).
///
/// # Errors
/// What the kernel says, with the path.
pub fn is_mount_point(path: &Path) -> Result<bool> {
    use rustix::fs::{AtFlags, StatxAttributes, StatxFlags, statx};
    let stat = statx(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty());
    let stat = stat.context("statx", || format!("{path:?}"))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// `pivot_root(".", ".")`: the working directory becomes the root, and the old root lies on top of it, to be
/// taken off with `umount(".", MNT_DETACH)`.
///
/// # Errors
/// What the kernel says.
pub fn pivot_to_working_directory() -> Result<()> {
    nix::unistd::pivot_root(".", ".").context("pivot_root", || "\".\", \".\"".into())
}
