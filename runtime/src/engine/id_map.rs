//! Mount sources whose owners are mapped (`MOUNT_ATTR_IDMAP`, Linux 5.12).
//!
//! The kernel takes a mapping in the form of a user namespace: the container's own, or one that exists for nothing else.
//! Such a one is born with a child that does nothing and is gone as soon as a descriptor holds the namespace.

use super::mounts::clone_kind;
use super::parent::{Error, call, end, id_map, write};
use crate::plan::{IdMapOrigin, IdMappedSource, Source};
use crate::spec::IdMapping;
use mydocker_sys::fs::{self, OFlag};
use mydocker_sys::mount::{self, Attributes};
use mydocker_sys::{AsFd, Errno, OwnedFd, process};
use std::path::PathBuf;

/// The user namespaces that were made so far: mounts of one mapping share it.
#[derive(Debug, Default)]
pub(super) struct IdMaps {
    made: Vec<(IdMapOrigin, OwnedFd)>,
}

impl IdMaps {
    /// Opens a source as a detached mount with mapped owners. `pid` is the container's first process, which is in the
    /// container's user namespace already.
    ///
    /// # Errors
    /// What the kernel says, and for a file system without mapped mounts that.
    pub(super) fn open(
        &mut self,
        source: &Source,
        id_map: &IdMappedSource,
        pid: i32,
    ) -> Result<OwnedFd, Error> {
        let namespace = self.namespace(&id_map.by, pid)?;
        let tree = mount::open_tree_at(fs::AT_FDCWD, &source.path, clone_kind(source.recursive))
            .map_err(call("open the source of a mount"))?;
        let attributes =
            Attributes { id_map: Some(namespace.as_fd()), recursive: id_map.recursive, ..Default::default() };
        mount::set_attributes(&tree, attributes).map_err(|error| refused(source, error))?;
        Ok(tree)
    }

    fn namespace(&mut self, origin: &IdMapOrigin, pid: i32) -> Result<&OwnedFd, Error> {
        let at = match self.made.iter().position(|(made, _)| made == origin) {
            Some(at) => at,
            None => {
                let namespace = match origin {
                    IdMapOrigin::Container => open_of(pid)?,
                    IdMapOrigin::Mappings { uids, gids } => make(uids, gids)?,
                };
                self.made.push((origin.clone(), namespace));
                self.made.len() - 1
            }
        };
        Ok(&self.made[at].1)
    }
}

/// Tells what the bare error numbers of `mount_setattr(2)` mean here.
fn refused(source: &Source, error: mydocker_sys::Error) -> Error {
    let path = source.path.display();
    let why = match error.errno() {
        Errno::EINVAL => " (its file system cannot do that on this kernel)",
        Errno::ENOSYS => " (it takes Linux 5.12)",
        Errno::EPERM => " (its ids are mapped already, or its file system belongs to another user namespace)",
        _ => "",
    };
    call(format!("map the ids of the mount source {path}{why}"))(error)
}

fn open_of(pid: i32) -> Result<OwnedFd, Error> {
    fs::open(&PathBuf::from(format!("/proc/{pid}/ns/user")), OFlag::O_RDONLY)
        .map_err(call("open the user namespace of a mount's ids"))
}

/// Makes a user namespace with these mappings.
fn make(uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
    let (read, write_end) = fs::pipe().map_err(call("make a pipe"))?;
    let args = process::CloneArgs { flags: libc::CLONE_NEWUSER as u64, cgroup: None };
    match process::clone3(args).map_err(call("make a user namespace for a mount's ids"))? {
        process::Forked::Child => {
            // Waits for its end: for the signal, or for the end of the runtime, which closes the pipe.
            drop(write_end);
            let ended = fs::read(&read, &mut [0; 1]);
            process::exit_now(i32::from(ended.is_err()))
        }
        process::Forked::Parent { pid, pidfd } => {
            let namespace = fill(pid.as_raw(), uids, gids);
            drop(write_end);
            end(&pidfd);
            namespace
        }
    }
}

/// Gives the namespace of a fresh process its mappings and opens it.
fn fill(pid: i32, uids: &[IdMapping], gids: &[IdMapping]) -> Result<OwnedFd, Error> {
    write(&format!("/proc/{pid}/uid_map"), &id_map(uids))?;
    write(&format!("/proc/{pid}/gid_map"), &id_map(gids))?;
    open_of(pid)
}
