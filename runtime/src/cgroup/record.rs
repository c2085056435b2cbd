//! What the state file keeps of a container's cgroup: enough to reopen, kill and remove it without looking at the
//! host's mounts again.

use super::layout::{Controller, HierarchyKind, Layout, Mode};
use super::manager::Error;
use super::path::CgroupPath;
use super::systemd::Instance;
use super::tree;
use mydocker_sys::{self as sys, OwnedFd, fs};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The container's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Which hierarchy.
    pub hierarchy: HierarchyKind,
    /// Where the hierarchy is mounted, absolute.
    pub mount_point: String,
    /// The cgroup below the mount point, without a slash at either end.
    pub path: String,
    /// How many of the last components of `path` this runtime made: 0 when the cgroup was there, 1 for the
    /// cgroup alone, more when parents were missing.
    #[serde(default)]
    pub made: usize,
    /// The directory's inode, once there is one that is the container's. The numbers of a hierarchy only go up
    /// (kernfs, 64 bits wide since Linux 5.5), so that a cgroup that somebody made later at the same path has another.
    /// What was made without it is told by the record's last directory ([`CgroupRecord::open_own`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
}

impl Directory {
    /// Whether it lies in the hierarchy of cgroup v2.
    #[must_use]
    pub fn is_unified(&self) -> bool {
        self.hierarchy == HierarchyKind::Unified
    }

    /// The directory as an absolute path.
    #[must_use]
    pub fn absolute(&self) -> PathBuf {
        PathBuf::from(self.upper(0))
    }

    /// A control file of the cgroup as an absolute path.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(joined(&[&self.mount_point, &self.path, name]))
    }

    /// The cgroup that is `up` levels above, as an absolute path; the mount point at the most.
    pub(crate) fn upper(&self, up: usize) -> String {
        let mut path = self.path.as_str();
        for _ in 0..up {
            path = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        if path.is_empty() { self.mount_point.clone() } else { joined(&[&self.mount_point, path]) }
    }

    /// Opens the directory if it is the one that was noted; none if none was, it is gone, or another is in its place.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_noted(&self) -> sys::Result<Option<OwnedFd>> {
        let Some(inode) = self.inode else { return Ok(None) };
        let Some(directory) = tree::open(&self.absolute())? else { return Ok(None) };
        Ok((fs::fstat(&directory)?.st_ino == inode).then_some(directory))
    }

    /// Whether only the last directory of the record tells that this one is the container's.
    pub(super) fn is_told_by_the_last(&self) -> bool {
        self.made > 0 && self.inode.is_none()
    }

    /// Notes which directory it is that was made or found: a path alone may come to lead to another.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn note(&mut self) -> sys::Result<()> {
        self.inode = Some(fs::lstatat(fs::AT_FDCWD, &self.absolute())?.st_ino);
        Ok(())
    }

    /// How many components `path` has.
    pub(crate) fn depth(&self) -> usize {
        self.path.split('/').count()
    }
}

/// The parts of a path with slashes between them: a container's life asks for a hundred, and `format!` is slow.
fn joined(parts: &[&str]) -> String {
    parts.join("/")
}

/// The unit that systemd keeps the cgroup for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its name.
    pub name: String,
    /// Which systemd.
    pub instance: Instance,
}

impl UnitRecord {
    /// The part of a cgroup's path that is below the unit: `/a/b`, or nothing.
    pub(super) fn below<'path>(&self, path: &'path str) -> &'path str {
        let end = path.find(&self.name).map_or(path.len(), |start| start + self.name.len());
        &path[end..]
    }
}

/// Where a container's cgroup is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// Which versions the host had when the cgroup was planned.
    pub mode: Mode,
    /// Its directory in each hierarchy; cgroup v2 comes last.
    pub directories: Vec<Directory>,
    /// The unit, with the systemd driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<UnitRecord>,
}

impl CgroupRecord {
    /// Says where the cgroup will be; nothing is made yet.
    #[must_use]
    pub fn place(layout: &Layout, path: &CgroupPath) -> Self {
        let directories = path.in_each(layout).map(|(hierarchy, below)| Directory {
            hierarchy: hierarchy.kind.clone(),
            mount_point: hierarchy.mount_point.clone(),
            path: below,
            made: 0,
            inode: None,
        });
        Self { mode: layout.mode(), directories: directories.collect(), unit: None }
    }

    /// The record, unless the container is in no cgroup of its own.
    #[must_use]
    pub fn unless_empty(self) -> Option<Self> {
        (!self.directories.is_empty()).then_some(self)
    }

    /// Whether parents were missing somewhere, and made.
    #[must_use]
    pub fn has_made_parents(&self) -> bool {
        self.directories.iter().any(|directory| directory.made > 1)
    }

    /// Its directory in the cgroup v2 hierarchy.
    #[must_use]
    pub fn unified(&self) -> Option<&Directory> {
        self.directories.iter().find(|directory| directory.hierarchy == HierarchyKind::Unified)
    }

    /// Its directory in the cgroup v1 hierarchy of `controller`.
    #[must_use]
    pub fn v1(&self, controller: Controller) -> Option<&Directory> {
        self.directories.iter().find(
            |directory| matches!(&directory.hierarchy, HierarchyKind::V1(set) if set.contains(controller)),
        )
    }

    /// A directory that lists all processes: cgroup v2's where there is one.
    #[must_use]
    pub fn listing(&self) -> Option<&Directory> {
        self.unified().or_else(|| self.v1(Controller::Devices)).or_else(|| self.directories.first())
    }

    /// Notes which directory each is, of those that are there.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn note_each(&mut self) -> Result<(), Error> {
        let mut unnoted = self.directories.iter_mut().filter(|directory| directory.inode.is_none());
        unnoted.try_for_each(Directory::note).map_err(|source| Error::Control("look at", source))
    }

    /// Whether it is by this directory that others are known to be the container's.
    pub(super) fn tells_of_others(&self, directory: &Directory) -> bool {
        self.directories.last() == Some(directory)
            && self.directories.iter().any(Directory::is_told_by_the_last)
    }

    /// Opens one of the directories if it is the container's; none if it is gone, or another is in its place.
    ///
    /// One that was made but not noted is the container's as long as the last one is, which is always noted. That is
    /// good enough for a container whose runtime stays until it has removed them: nobody can remove a directory
    /// while the container's processes are in it.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_own(&self, directory: &Directory) -> sys::Result<Option<OwnedFd>> {
        if !directory.is_told_by_the_last() {
            return directory.open_noted();
        }
        match self.directories.last().map_or(Ok(None), Directory::open_noted)? {
            Some(_) => tree::open(&directory.absolute()),
            None => Ok(None),
        }
    }

    /// The same container's cgroups below it that `exec --cgroup` names: `[CONTROLLER,...:]PATH`, without a
    /// controller in all hierarchies.
    ///
    /// # Errors
    /// [`BelowError`] for a path that would leave the container's cgroup, or a controller that it is not in.
    pub fn below(&self, words: &[String]) -> Result<Self, BelowError> {
        let mut record = self.clone();
        // What contradicts itself does so on every host: that comes before what this one lacks.
        for (word, (controllers, path)) in words.iter().zip(sub_groups(words)?) {
            record.descend(word, controllers, path)?;
        }
        Ok(record)
    }

    fn descend(&mut self, word: &str, controllers: Option<&str>, path: &str) -> Result<(), BelowError> {
        let mut found = false;
        for directory in &mut self.directories {
            let name = directory.hierarchy.to_string();
            let named = |list: &str| list.split(',').any(|wanted| name.split(',').any(|own| own == wanted));
            if controllers.is_none_or(named) {
                found = true;
                if !path.is_empty() {
                    directory.path = format!("{}/{path}", directory.path);
                }
            }
        }
        if found { Ok(()) } else { Err(BelowError::NoController(word.to_owned())) }
    }

    /// Whether the container is frozen; a cgroup that is gone is not.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        super::Cgroup::open(self.clone()).is_frozen().unwrap_or(false)
    }
}

/// The controllers, if any are named, and the path of each word.
fn sub_groups(words: &[String]) -> Result<Vec<(Option<&str>, &str)>, BelowError> {
    let mut named: Vec<&str> = Vec::new();
    let mut groups = Vec::new();
    for word in words {
        let (controllers, path) = match word.split_once(':') {
            Some((controllers, path)) => (Some(controllers), path),
            None if words.len() > 1 => return Err(BelowError::Unnamed(word.clone())),
            None => (None, word.as_str()),
        };
        for controller in controllers.into_iter().flat_map(|list| list.split(',')) {
            if named.contains(&controller) {
                return Err(BelowError::Twice(controller.to_owned()));
            }
            named.push(controller);
        }
        if path.split('/').any(|name| name == "..") {
            return Err(BelowError::DotDot(word.clone()));
        }
        groups.push((controllers, path.trim_matches('/')));
    }
    Ok(groups)
}

/// Why there is no such cgroup below a container's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BelowError {
    /// It would leave the container's cgroup.
    #[error("--cgroup {0:?} must not contain \"..\"")]
    DotDot(String),
    /// Of several, one names no controller.
    #[error("--cgroup {0:?} names no controller, and is not the only one: write CONTROLLER:CGROUP")]
    Unnamed(String),
    /// Two are for one controller.
    #[error("--cgroup names the controller {0:?} more than once")]
    Twice(String),
    /// The container has no cgroup with that controller.
    #[error("--cgroup {0:?}: the container is in no hierarchy of that controller")]
    NoController(String),
}
