//! Intel RDT: the container's class of service and monitoring group in the resctrl file system (config-linux.md,
//! IntelRdt; the kernel's `Documentation/filesystems/resctrl.rst`).
//!
//! ```text
//! find            where it is mounted                   (pure, from mountinfo)
//! Record::place   which directories, and whose          (looks; goes into the state before any effect)
//! Record::make    directories, then schemata
//! Record::enter   a process joins
//! Record::remove  what is the container's own
//! ```

#[cfg(test)]
mod tests;

use crate::cgroup::layout::unescape;
use crate::spec::IntelRdt;
use crate::validate::intel_rdt::RESERVED;
use mydocker_sys::Errno;
use mydocker_sys::fs::{self, OFlag};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A schemata file has a line for each resource and a value for each cache.
const MAX_BYTES: u64 = 1 << 20;

/// Why a class of service cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No resctrl file system is mounted.
    #[error(
        "/linux/intelRdt: no resctrl file system is mounted; on a machine with Intel RDT or AMD QoS, mount -t resctrl \
         resctrl /sys/fs/resctrl"
    )]
    NotMounted,
    /// The named class does not exist, and nothing says what it should be.
    #[error(
        "/linux/intelRdt/closID: there is no class of service {}; make it, or give it a schema",
        group.display()
    )]
    NoClass {
        /// Its directory.
        group: PathBuf,
    },
    /// The named class exists and has another schema.
    #[error(
        "{pointer}: the class of service {} has another schema than {wanted:?}: {found:?}",
        group.display()
    )]
    Mismatch {
        /// The place in `config.json`.
        pointer: &'static str,
        /// The directory of the class.
        group: PathBuf,
        /// What was asked for.
        wanted: String,
        /// The lines of that resource.
        found: String,
    },
    /// The container's id is a name that the kernel uses itself.
    #[error(
        "/linux/intelRdt: the id {id:?} is a directory of the kernel's own; set closID, or take another id"
    )]
    Reserved {
        /// The id.
        id: String,
    },
    /// The kernel refused.
    #[error("/linux/intelRdt: cannot {what} {}{}", path.display(), told(status))]
    Call {
        /// What was being done.
        what: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel says of it in `info/last_cmd_status`; empty where it says nothing.
        status: String,
        /// Why.
        source: mydocker_sys::Error,
    },
}

fn told(status: &str) -> String {
    if status.is_empty() { String::new() } else { format!(" ({status})") }
}

/// The container's directories, as the state remembers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The root of the file system.
    pub root: PathBuf,
    /// The class of service.
    pub group: PathBuf,
    /// Whether it is the container's own: it did not exist before.
    pub made: bool,
    /// Whether `closID` names it, so that it outlives the container.
    pub named: bool,
    /// The monitoring group.
    pub monitoring: Option<PathBuf>,
}

/// Why something is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The container is deleted: a class that has a name stays.
    Delete,
    /// The container could not be made: everything that was made for it goes.
    Undo,
}

/// Where the resctrl file system is mounted, by the text of `/proc/self/mountinfo`.
///
/// # Errors
/// [`Error::NotMounted`].
pub fn find(mountinfo: &str) -> Result<PathBuf, Error> {
    let is_resctrl = |line: &&str| line.split(" - ").nth(1).is_some_and(|rest| rest.starts_with("resctrl "));
    let point = mountinfo.lines().rfind(is_resctrl).and_then(|line| line.split(' ').nth(4));
    point.map(|point| unescape(point).into()).ok_or(Error::NotMounted)
}

/// The same of this process's mounts.
///
/// # Errors
/// [`Error::NotMounted`], and what the kernel says of procfs.
pub fn find_here() -> Result<PathBuf, Error> {
    let path = Path::new("/proc/self/mountinfo");
    let bytes = fs::read_at(fs::AT_FDCWD, path, 16 << 20).map_err(|source| Error::Call {
        what: "read",
        path: path.into(),
        status: String::new(),
        source,
    })?;
    find(&String::from_utf8_lossy(&bytes))
}

impl Record {
    /// Decides which directories a container gets. Nothing is changed yet.
    ///
    /// # Errors
    /// [`Error`], where the class is not there, or is there and is another one.
    pub fn place(root: &Path, rdt: &IntelRdt, id: &str) -> Result<Self, Error> {
        let named = !rdt.clos_id.is_empty();
        let name = if named { rdt.clos_id.as_str() } else { id };
        if !named && RESERVED.contains(&id) {
            return Err(Error::Reserved { id: id.into() });
        }
        let group = if name == "/" { root.to_path_buf() } else { root.join(name) };
        let exists = fs::open(&group, OFlag::O_PATH | OFlag::O_DIRECTORY).is_ok();
        if named && !exists && lines(rdt).next().is_none() {
            return Err(Error::NoClass { group });
        }
        if named && exists {
            require_schemata(&group, rdt)?;
        }
        let monitoring = rdt.enable_monitoring.then(|| group.join("mon_groups").join(id));
        Ok(Self { root: root.into(), group, made: !exists, named, monitoring })
    }

    /// Makes the directories that are missing and writes the schemata.
    ///
    /// # Errors
    /// [`Error::Call`]; the caller removes what was made.
    pub fn make(&self, rdt: &IntelRdt) -> Result<(), Error> {
        if self.made {
            self.make_directory(&self.group)?;
        }
        self.write_schemata(lines(rdt))?;
        self.monitoring.as_deref().map_or(Ok(()), |path| self.make_directory(path))
    }

    /// Puts a process, by its id on the host, into the class and the monitoring group.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn enter(&self, pid: i32) -> Result<(), Error> {
        let groups = [Some(self.group.as_path()), self.monitoring.as_deref()];
        groups.into_iter().flatten().try_for_each(|group| self.write(&group.join("tasks"), &pid.to_string()))
    }

    /// Changes the schemata, as `update --l3-cache-schema` and `--mem-bw-schema` do; an empty text leaves its resource.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn set_schemata(&self, l3_cache: &str, memory_bandwidth: &str) -> Result<(), Error> {
        self.write_schemata([l3_cache, memory_bandwidth].into_iter().filter(|line| !line.is_empty()))
    }

    /// Removes what is the container's own. The kernel moves processes that are left to the class above.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub fn remove(&self, removal: Removal) -> Result<(), Error> {
        let own_group = self.made && (removal == Removal::Undo || !self.named);
        let group = own_group.then_some(self.group.as_path());
        [self.monitoring.as_deref(), group].into_iter().flatten().try_for_each(|path| {
            match fs::rmdirat(fs::AT_FDCWD, path) {
                Err(error) if error.errno() == Errno::ENOENT => Ok(()),
                other => other.map_err(|source| self.error("remove", path, source)),
            }
        })
    }

    fn make_directory(&self, path: &Path) -> Result<(), Error> {
        fs::mkdirat(fs::AT_FDCWD, path, 0o755).map_err(|source| self.error("make", path, source))
    }

    /// All lines in one write: the kernel takes them in their order.
    fn write_schemata<'a>(&self, lines: impl Iterator<Item = &'a str>) -> Result<(), Error> {
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        if text.is_empty() { Ok(()) } else { self.write(&self.group.join("schemata"), &text) }
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW;
        let written = fs::openat(fs::AT_FDCWD, path, flags, 0o644)
            .and_then(|file| fs::write_once(&file, text.as_bytes()));
        written.map_err(|source| self.error("write", path, source))
    }

    fn error(&self, what: &'static str, path: &Path, source: mydocker_sys::Error) -> Error {
        let status = fs::read_at(fs::AT_FDCWD, &self.root.join("info/last_cmd_status"), MAX_BYTES);
        let status =
            status.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
        Error::Call {
            what,
            path: path.into(),
            status: if status == "ok" { String::new() } else { status },
            source,
        }
    }
}

/// The lines of the schemata file, in the order that the specification asks for.
fn lines(rdt: &IntelRdt) -> impl Iterator<Item = &str> {
    let first = [rdt.l3_cache_schema.as_str(), rdt.mem_bw_schema.as_str()];
    first.into_iter().filter(|line| !line.is_empty()).chain(rdt.schemata.iter().map(String::as_str))
}

/// A class that exists MUST have the schemas that were asked for. The kernel writes numbers in its own way, so they are
/// compared as numbers, cache by cache.
fn require_schemata(group: &Path, rdt: &IntelRdt) -> Result<(), Error> {
    let wishes = [
        ("/linux/intelRdt/l3CacheSchema", rdt.l3_cache_schema.as_str()),
        ("/linux/intelRdt/memBwSchema", rdt.mem_bw_schema.as_str()),
    ];
    if wishes.iter().all(|(_, wanted)| wanted.is_empty()) {
        return Ok(());
    }
    let path = group.join("schemata");
    let bytes = fs::read_at(fs::AT_FDCWD, &path, MAX_BYTES).map_err(|source| Error::Call {
        what: "read",
        path,
        status: String::new(),
        source,
    })?;
    let text = String::from_utf8_lossy(&bytes);
    for (pointer, wanted) in wishes.into_iter().filter(|(_, wanted)| !wanted.is_empty()) {
        let resource = wanted.split(':').next().unwrap_or_default().trim();
        let found: Vec<_> = text.lines().map(str::trim).filter(|line| is_of(line, resource)).collect();
        if !found.iter().any(|line| agrees(wanted, line)) {
            let (wanted, found) = (wanted.to_owned(), found.join(" "));
            return Err(Error::Mismatch { pointer, group: group.into(), wanted, found });
        }
    }
    Ok(())
}

fn is_of(line: &str, resource: &str) -> bool {
    line.split_once(':').is_some_and(|(name, _)| name.trim() == resource)
}

/// Whether every cache of the wish has the value that it has in the line.
fn agrees(wanted: &str, line: &str) -> bool {
    let (wanted, found) = (values(wanted), values(line));
    !wanted.is_empty() && wanted.iter().all(|wish| found.contains(wish))
}

/// `L3:0=ff;1=0f` as pairs of a cache and a value: masks of caches are hexadecimal, bandwidths decimal.
fn values(line: &str) -> Vec<(u32, u64)> {
    let (resource, list) = line.split_once(':').unwrap_or_default();
    let radix = if resource.trim() == "MB" { 10 } else { 16 };
    let pair = |text: &str| {
        let (cache, value) = text.split_once('=')?;
        Some((cache.trim().parse().ok()?, u64::from_str_radix(value.trim(), radix).ok()?))
    };
    // A part that cannot be read agrees with nothing.
    list.split(';').map(|text| pair(text).unwrap_or((u32::MAX, u64::MAX))).collect()
}
