//! What a runtime without the host's privileges may do with cgroups.
//!
//! An ordinary user, and root in a user namespace, can make cgroups only below one that was delegated to them
//! (`cgroups(7)`, Delegation). As with runc a container does without a cgroup where nothing was delegated, provided
//! that nobody asked for one: neither by a path nor by a limit.

use super::layout::{Controller, HierarchyKind, Mode};
use super::lower::{Lowered, Place};
use super::record::{CgroupRecord, Directory};
use mydocker_sys::{self as sys, Errno, fs};
use std::path::{Path, PathBuf};

/// Why a container cannot do without a cgroup that may not be made.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// The configuration says where it must be.
    #[error(
        "/linux/cgroupsPath: the cgroup {path:?} may not be made; leave cgroupsPath out, or have the cgroup above it \
         delegated to you"
    )]
    Path {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: sys::Error,
    },
    /// The configuration has a limit.
    #[error(
        "{pointer}: the limit cannot be set, because no cgroup with the controller {controller} may be made without \
         delegation; leave the limit out, or run in a delegated cgroup (systemd-run --user --scope -p Delegate=yes)"
    )]
    Limit {
        /// The place in `config.json`.
        pointer: String,
        /// The controller, by its v1 name.
        controller: &'static str,
    },
    /// The kernel said something else.
    #[error("it cannot be found out whether the cgroup {path:?} may be made")]
    Look {
        /// The directory.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: sys::Error,
    },
}

/// Keeps of the directories of `record` those that may be made, or joined where they exist, and of `limits` what can
/// be set: a device filter takes privileges that delegation does not give, and without them no device can be made
/// either. `explicit` tells whether the configuration names the path.
///
/// # Errors
/// [`PermissionError`] for what the configuration asks for and cannot have.
pub fn keep_permitted(
    mut record: CgroupRecord,
    limits: &mut Lowered,
    explicit: bool,
) -> Result<CgroupRecord, PermissionError> {
    let mut kept = Vec::with_capacity(record.directories.len());
    for directory in record.directories {
        match refusal(&directory)? {
            None => kept.push(directory),
            Some(source) if explicit && has_controllers(&directory, record.mode) => {
                return Err(PermissionError::Path { path: directory.absolute(), source });
            }
            Some(_) => {}
        }
    }
    record.directories = kept;
    limits.devices = None;
    refuse_limits(&record, limits)?;
    Ok(record)
}

/// Hierarchies that only track processes are a convenience: nobody who names a path misses them.
fn has_controllers(directory: &Directory, mode: Mode) -> bool {
    match &directory.hierarchy {
        HierarchyKind::V1(_) => true,
        HierarchyKind::Unified => mode == Mode::V2,
        HierarchyKind::Named(_) => false,
    }
}

fn refuse_limits(record: &CgroupRecord, limits: &Lowered) -> Result<(), PermissionError> {
    for write in &limits.writes {
        let (there, controller) = match write.place {
            Place::V1(controller) => (record.v1(controller).is_some(), controller.name()),
            Place::Unified => (record.unified().is_some(), controller_of(&write.file)),
        };
        if !there {
            return Err(PermissionError::Limit { pointer: write.pointer.to_string(), controller });
        }
    }
    Ok(())
}

/// The controller of a v2 file is the first part of its name.
fn controller_of(file: &str) -> &'static str {
    let name = file.split_once('.').map_or(file, |(name, _)| name);
    Controller::from_name(name).map_or("of cgroup v2", Controller::unified_name)
}

/// Why the directory may not be made or joined; `None` where it may.
fn refusal(directory: &Directory) -> Result<Option<sys::Error>, PermissionError> {
    let mut up = 0;
    loop {
        let path = directory.upper(up);
        match fs::writable(Path::new(&path)) {
            Ok(()) => return refusal_to_move(directory, up.max(1)),
            Err(error) if error.errno() == Errno::ENOENT && up < directory.depth() => up += 1,
            Err(error) if is_permission(&error) => return Ok(Some(error)),
            Err(source) => return Err(PermissionError::Look { path: path.into(), source }),
        }
    }
}

/// On v2 a process comes into a cgroup only with the right to write `cgroup.procs` of the nearest cgroup that holds
/// both its old and its new place, which is the parent of what is made.
fn refusal_to_move(directory: &Directory, up: usize) -> Result<Option<sys::Error>, PermissionError> {
    if directory.hierarchy != HierarchyKind::Unified {
        return Ok(None);
    }
    let path = format!("{}/cgroup.procs", directory.upper(up));
    match fs::writable(Path::new(&path)) {
        Ok(()) => Ok(None),
        Err(error) if is_permission(&error) => Ok(Some(error)),
        Err(source) => Err(PermissionError::Look { path: path.into(), source }),
    }
}

fn is_permission(error: &sys::Error) -> bool {
    matches!(error.errno(), Errno::EACCES | Errno::EPERM | Errno::EROFS)
}
