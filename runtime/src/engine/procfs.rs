//! A procfs of our own: writes to kernel parameters and labels go through it, so that nothing that an image or a
//! racing container has mounted over `/proc` can catch or redirect them (CVE-2019-16884, CVE-2025-52881).

use super::child::{Fault, Outcome};
use super::failure::Code;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{FsContext, MountAttrFlags};
use mydocker_sys::{AsFd, BorrowedFd, Errno, OwnedFd};
use std::path::Path;

/// A procfs that is attached nowhere, or the verified root of one.
#[derive(Debug)]
pub(super) struct Procfs(OwnedFd);

impl Procfs {
    /// Mounts a procfs of the current pid namespace without attaching it. Where the kernel does not allow that (a
    /// user namespace that does not own its pid namespace) the `/proc` of the moment is taken, if it is a procfs;
    /// files are opened without crossing any mount or link in both cases.
    pub(super) fn open() -> Outcome<Self> {
        let mounted = FsContext::open("proc").and_then(|context| {
            context.mount(MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)
        });
        match mounted {
            Ok(fd) => Ok(Self(fd)),
            Err(error) if matches!(error.errno(), Errno::EPERM | Errno::EBUSY) => Self::existing(),
            Err(error) => Err(error.into()),
        }
    }

    fn existing() -> Outcome<Self> {
        let fd = fs::open(Path::new("/proc"), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW)?;
        if fs::fs_magic(&fd)? != fs::PROC_SUPER_MAGIC {
            return Err(Fault::Other(
                Code::Setup,
                "/proc is not a procfs, so nothing is written below it".into(),
            ));
        }
        Ok(Self(fd))
    }

    /// Its descriptor.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Writes a kernel parameter; `path` is relative to `/proc/sys`.
    pub(super) fn set_sysctl(&self, path: &Path, value: &str) -> Outcome {
        self.write(&Path::new("sys").join(path), value)
    }

    /// Writes a label; `path` is relative to `/proc/self/attr`.
    pub(super) fn set_label(&self, path: &Path, label: &str) -> Outcome {
        // "self" is a link; the process's own directory by number is the same without one.
        let own = mydocker_sys::process::getpid().to_string();
        self.write(&Path::new(&own).join("attr").join(path), label)
    }

    fn write(&self, path: &Path, value: &str) -> Outcome {
        let file = fs::open_no_xdev(&self.0, path, OFlag::O_WRONLY)?;
        Ok(fs::write_once(&file, value.as_bytes())?)
    }
}
