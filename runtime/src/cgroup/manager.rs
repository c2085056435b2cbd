//! A container's cgroup: making it, joining it, limiting it, freezing, killing and removing it.

use super::devices::V1Rule;
use super::files::Files;
use super::layout::{Controller, ControllerSet, HierarchyKind, Mode};
use super::lower::{Devices, Lowered, OnMissing, Place, Write};
use super::record::{CgroupRecord, Directory, UnitRecord};
use super::tree::{self, Visitor, present};
use mydocker_sys::{self as sys, AsFd, Errno, OwnedFd, bpf, fs};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why something could not be done with a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory could not be made.
    #[error("cannot make the cgroup {0:?}")]
    Make(PathBuf, #[source] sys::Error),
    /// The cgroup is there already and has processes.
    #[error("the cgroup {path:?} is in use: it has {count} process(es)")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// How many processes are in it and below.
        count: usize,
    },
    /// The cgroup is there already and frozen.
    #[error("the cgroup {0:?} is frozen; thaw it first")]
    Frozen(PathBuf),
    /// The CPUs and memory nodes of a new v1 cpuset could not be taken over from its parent.
    #[error("cannot give the new cpuset its parent's {0}")]
    Cpuset(&'static str, #[source] sys::Error),
    /// cgroup v2 does not give the container a controller that a limit needs.
    #[error("the controller {controller} is not available in the cgroup {path:?}: {reason}")]
    Controller {
        /// The controller by its v2 name.
        controller: &'static str,
        /// The cgroup that lacks it.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A limit could not be set.
    #[error("{pointer}: the kernel refuses the limit")]
    Limit {
        /// The place in `config.json`.
        pointer: String,
        /// What the kernel said.
        #[source]
        source: sys::Error,
    },
    /// The container already uses more memory than it shall have.
    #[error("{pointer}: the limit {limit} is not above the {usage} bytes in use (checkBeforeUpdate)")]
    BelowUsage {
        /// The place in `config.json`.
        pointer: String,
        /// The limit in bytes.
        limit: u64,
        /// The usage in bytes.
        usage: u64,
    },
    /// No hierarchy has what is asked for.
    #[error("{0}: no cgroup hierarchy of the container has the controller {1}")]
    NoHierarchy(String, &'static str),
    /// A control file could not be read or written.
    #[error("cannot {0} the container's cgroup")]
    Control(&'static str, #[source] sys::Error),
    /// Some directories could not be removed.
    #[error("cannot remove {}", list(.0))]
    Remove(Vec<(PathBuf, sys::Error)>),
    /// systemd did not do what the cgroup needs.
    #[error(transparent)]
    Systemd(#[from] super::systemd::Error),
    /// A limit is none.
    #[error(transparent)]
    Plan(#[from] super::PlanError),
    /// An update was refused; what it had written was taken back.
    #[error("{}; {}", chain(.cause), kept(.left))]
    Changed {
        /// What was refused.
        cause: Box<Error>,
        /// Every file that could not be given its old value again.
        left: Vec<(PathBuf, sys::Error)>,
    },
    /// Making the cgroup failed, and then removing what had been made.
    #[error("{0}; then the cgroup could not be removed")]
    Undo(String, #[source] Box<Error>),
}

const DEVICES: &str = "/linux/resources/devices";

fn list(failures: &[(PathBuf, sys::Error)]) -> String {
    let lines: Vec<String> =
        failures.iter().map(|(path, error)| format!("the cgroup {path:?}: {error}")).collect();
    lines.join("; ")
}

fn kept(left: &[(PathBuf, sys::Error)]) -> String {
    if left.is_empty() {
        return "all limits are as they were before".into();
    }
    let files: Vec<String> =
        left.iter().map(|(path, error)| format!("{} ({error})", path.display())).collect();
    format!("these keep their new values: {}", files.join(", "))
}

/// Chooses some of a cgroup's directories.
type Which<'a> = &'a dyn Fn(&Directory) -> bool;

/// A container's cgroup in all hierarchies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    record: CgroupRecord,
}

impl Cgroup {
    /// Opens a cgroup that an earlier run of the runtime made.
    #[must_use]
    pub fn open(record: CgroupRecord) -> Self {
        Self { record }
    }

    /// What the state file keeps.
    #[must_use]
    pub fn record(&self) -> &CgroupRecord {
        &self.record
    }

    pub(super) fn record_mut(&mut self) -> &mut CgroupRecord {
        &mut self.record
    }

    /// Makes the directories that `record` places, and applies the limits. A failure removes what was made.
    ///
    /// # Errors
    /// [`Error::InUse`] where the cgroup exists with processes in it; what the kernel says otherwise.
    pub fn create(record: CgroupRecord, limits: &Lowered) -> Result<Self, Error> {
        let mut cgroup = Self::begin(record, limits)?;
        match cgroup.complete(limits) {
            Ok(()) => Ok(cgroup),
            Err(cause) => Err(cgroup.undone(&Directory::is_unified, cause)),
        }
    }

    /// Makes the directory in the v2 hierarchy alone, if there is one: a process is best cloned into it.
    /// [`Cgroup::complete`] makes the rest.
    ///
    /// # Errors
    /// Those of [`Cgroup::create`].
    pub fn begin(record: CgroupRecord, limits: &Lowered) -> Result<Self, Error> {
        let mut cgroup = Self { record };
        match cgroup.make(&Directory::is_unified, limits, &mut Files::default()) {
            Ok(()) => Ok(cgroup),
            Err(cause) => Err(cgroup.undone(&Directory::is_unified, cause)),
        }
    }

    /// What is there after [`Cgroup::begin`].
    #[must_use]
    pub fn begun(&self) -> CgroupRecord {
        let mut record = self.record.clone();
        record.directories.retain(Directory::is_unified);
        record
    }

    /// Makes the directories in the hierarchies of v1, and applies the limits. A failure removes these directories; a
    /// process may be in the other.
    ///
    /// # Errors
    /// Those of [`Cgroup::create`].
    pub fn complete(&mut self, limits: &Lowered) -> Result<(), Error> {
        let v1 = |directory: &Directory| !directory.is_unified();
        let mut files = Files::default();
        let made = self.make(&v1, limits, &mut files).and_then(|()| self.enable_controllers(limits));
        let applied = made.and_then(|()| self.apply_to_new(limits, &mut files));
        let closed = applied.and_then(|()| files.close().map_err(|source| Error::Control("make", source)));
        closed.map_err(|cause| self.undone(&v1, cause))
    }

    fn make(&mut self, which: Which<'_>, limits: &Lowered, files: &mut Files) -> Result<(), Error> {
        let last = self.record.directories.len().saturating_sub(1);
        let chosen = self.record.directories.iter_mut().enumerate().filter(|(_, directory)| which(directory));
        for (place, directory) in chosen {
            make_and_fill(directory, limits, files)?;
            // The last one tells of the others that were made.
            if directory.made == 0 || place == last {
                directory.note().map_err(|source| Error::Make(directory.absolute(), source))?;
            }
        }
        Ok(())
    }

    /// Makes cgroup v2 hand its controllers down to the container.
    pub(super) fn enable_controllers(&self, limits: &Lowered) -> Result<(), Error> {
        let Some(directory) = self.record.unified() else { return Ok(()) };
        let required = limits.unified;
        if self.record.mode != Mode::V2 && required.is_empty() {
            return Ok(());
        }
        let here = controllers_of(&directory.upper(0))?;
        let mut offered = limits.offered.iter().map(Controller::unified_name).peekable();
        if offered.peek().is_some() && offered.all(|name| has(&here, name)) {
            return Ok(());
        }
        // A kernel may have some that are not known by name.
        let wanted = controllers_of(&directory.upper(directory.depth()))?;
        if wanted.split_whitespace().any(|name| !has(&here, name)) {
            for up in (1..=directory.depth()).rev() {
                hand_down(&directory.upper(up), &wanted, required)?;
            }
        }
        Ok(())
    }

    /// Makes cgroup v2 hand the `required` controllers down, where somebody else decides on the rest.
    pub(super) fn require_controllers(&self, required: ControllerSet) -> Result<(), Error> {
        let Some(directory) = self.record.unified() else { return Ok(()) };
        let here = controllers_of(&directory.upper(0))?;
        let missing = required.iter().map(Controller::unified_name).filter(|name| !has(&here, name));
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            for up in (1..=directory.depth()).rev() {
                hand_down(&directory.upper(up), &missing.join(" "), required)?;
            }
        }
        Ok(())
    }

    /// Applies limits, in order.
    ///
    /// # Errors
    /// [`Error::Limit`] with the place in `config.json`; limits before it stay applied.
    pub fn apply(&self, limits: &Lowered) -> Result<(), Error> {
        self.write_all(limits)?;
        self.filter_devices(limits, false, &mut Files::default())
    }

    /// The same of a cgroup in which nobody has set anything yet, unless it was there before.
    fn apply_to_new(&self, limits: &Lowered, files: &mut Files) -> Result<(), Error> {
        self.write_all(limits)?;
        let is_new = self.record.unified().is_some_and(|directory| directory.made > 0);
        self.filter_devices(limits, is_new, files)
    }

    fn write_all(&self, limits: &Lowered) -> Result<(), Error> {
        self.refuse_limits_below_usage(limits)?;
        let mut put_off: Vec<&Write> = Vec::new();
        for write in &limits.writes {
            match self.write(write) {
                Err(Error::Limit { source, .. }) if write.retry && source.errno() == Errno::EINVAL => {
                    put_off.push(write);
                }
                other => other?,
            }
        }
        put_off.into_iter().try_for_each(|write| self.write(write))
    }

    /// `is_new`: no device program can be attached to the cgroup.
    fn filter_devices(&self, limits: &Lowered, is_new: bool, files: &mut Files) -> Result<(), Error> {
        match &limits.devices {
            None => Ok(()),
            Some(Devices::V1(rules)) => self.filter_devices_v1(rules, files),
            Some(Devices::Program(program)) => self.filter_devices_unified(program.as_deref(), is_new),
        }
    }

    /// v1 refuses a limit below the usage by itself; v2 would rather kill.
    fn refuse_limits_below_usage(&self, limits: &Lowered) -> Result<(), Error> {
        let (Some(directory), false) = (self.record.unified(), limits.usage_below.is_empty()) else {
            return Ok(());
        };
        let text = read(&directory.file("memory.current"))
            .map_err(|source| Error::Control("read the memory usage of", source))?;
        let usage: u64 = text.trim().parse().unwrap_or(0);
        match limits.usage_below.iter().find(|(limit, _)| *limit <= usage) {
            None => Ok(()),
            Some((limit, pointer)) => {
                Err(Error::BelowUsage { pointer: pointer.to_string(), limit: *limit, usage })
            }
        }
    }

    /// Writes the rules one by one, as v1 wants them, but opens each of the two files once.
    fn filter_devices_v1(&self, rules: &[V1Rule], done: &mut Files) -> Result<(), Error> {
        let Some(directory) = self.record.v1(Controller::Devices) else {
            return Err(Error::NoHierarchy(DEVICES.into(), "devices"));
        };
        let fail = |source| Error::Limit { pointer: DEVICES.into(), source };
        let mut files: [Option<OwnedFd>; 2] = [None, None];
        for rule in rules {
            let name = if rule.allow { "devices.allow" } else { "devices.deny" };
            let slot = &mut files[usize::from(rule.allow)];
            let file = match slot {
                Some(file) => file,
                None => slot.insert(fs::open(&directory.file(name), fs::OFlag::O_WRONLY).map_err(fail)?),
            };
            fs::write_once(&*file, rule.text.as_bytes()).map_err(fail)?;
        }
        files.into_iter().flatten().for_each(|file| done.keep(file));
        Ok(())
    }

    /// Attaches the program; one that is there already is replaced in one step, so that no access slips through.
    fn filter_devices_unified(
        &self,
        program: Option<&[bpf::Instruction]>,
        is_new: bool,
    ) -> Result<(), Error> {
        let Some(directory) = self.record.unified() else {
            return Err(Error::NoHierarchy(DEVICES.into(), "devices"));
        };
        let cgroup = fs::open(&directory.absolute(), fs::OFlag::O_RDONLY | fs::OFlag::O_DIRECTORY);
        cgroup
            .and_then(|cgroup| replace_program(&cgroup, program, is_new))
            .map_err(|source| Error::Limit { pointer: DEVICES.into(), source })
    }

    fn write(&self, write: &Write) -> Result<(), Error> {
        let directory = self.place(write)?;
        let once =
            |file: &str, value: &str| fs::write_at(fs::AT_FDCWD, &directory.file(file), value.as_bytes());
        let result = match once(&write.file, &write.value) {
            Err(error) if error.errno() == Errno::ENOENT => match &write.on_missing {
                OnMissing::Fail => Err(error),
                OnMissing::Ignore => Ok(()),
                OnMissing::Instead(file, value) => once(file, value),
            },
            other => other,
        };
        result.map_err(|source| Error::Limit { pointer: write.pointer.to_string(), source })
    }

    pub(super) fn place(&self, write: &Write) -> Result<&Directory, Error> {
        let (found, name) = match write.place {
            Place::V1(controller) => (self.record.v1(controller), controller.name()),
            Place::Unified => (self.record.unified(), "of cgroup v2"),
        };
        found.ok_or_else(|| Error::NoHierarchy(write.pointer.to_string(), name))
    }

    /// The processes in the cgroup itself.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn processes(&self) -> Result<Vec<i32>, Error> {
        let Some(directory) = self.record.listing() else { return Ok(Vec::new()) };
        let text = fs::read_at(fs::AT_FDCWD, &directory.file("cgroup.procs"), MAX_FILE);
        let text = text.map_err(|source| Error::Control("list", source))?;
        Ok(pids(&String::from_utf8_lossy(&text)).collect())
    }

    /// The processes in the cgroup and in all cgroups below it.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub fn all_processes(&self) -> Result<Vec<i32>, Error> {
        let Some(directory) = self.record.listing() else { return Ok(Vec::new()) };
        all_processes(&directory.absolute()).map_err(|source| Error::Control("list", source))
    }

    /// The part of the cgroup that is still what it was when it was noted: other directories at its paths are
    /// somebody else's, as is everything that was only intended.
    ///
    /// # Errors
    /// [`Error::Control`]
    pub(super) fn still_own(&self) -> Result<Self, Error> {
        let mut own = self.clone();
        own.record.directories.clear();
        for directory in &self.record.directories {
            let found = self.record.open_own(directory);
            if found.map_err(|source| Error::Control("look at", source))?.is_some() {
                own.record.directories.push(directory.clone());
            }
        }
        Ok(own)
    }

    /// Removes the cgroup with all cgroups below it, and the parents that this runtime made where nobody else uses
    /// them. Processes that are about to end are waited for until `deadline`.
    ///
    /// A directory that somebody else has made at the same path stays, unless it is empty: to look at each first
    /// would cost every container a system call for each hierarchy.
    ///
    /// # Errors
    /// [`Error::Remove`] with every directory that is left.
    pub fn remove(&self, deadline: Instant) -> Result<(), Error> {
        let unit = self.unit_to_stop()?;
        let mut failures = Vec::new();
        let its_end = Instant::now() + ITS_END;
        for directory in &self.record.directories {
            // Whoever tries again knows by this one that the others are the container's.
            if !failures.is_empty() && self.record.tells_of_others(directory) {
                continue;
            }
            if let Err(error) = self.remove_directory(directory, deadline, its_end) {
                failures.push((directory.absolute(), error));
            }
        }
        if !failures.is_empty() {
            return Err(Error::Remove(failures));
        }
        unit.map_or(Ok(()), UnitRecord::stop)
    }

    fn remove_directory(
        &self,
        directory: &Directory,
        deadline: Instant,
        its_end: Instant,
    ) -> sys::Result<()> {
        let path = directory.absolute();
        match fs::rmdirat(fs::AT_FDCWD, &path) {
            Err(error) if error.errno() == Errno::ENOENT => {}
            Err(error) if error.errno() == Errno::EBUSY => {
                let Some(own) = self.record.open_own(directory)? else {
                    return remove_unknown(directory, &path, its_end);
                };
                wait_empty(directory, deadline)?;
                tree::walk(own, &mut Remove)?;
                present(fs::rmdirat(fs::AT_FDCWD, &path))?;
            }
            other => other?,
        }
        remove_made_parents(directory)
    }

    /// Why something failed, once what had been made is removed.
    fn undone(&self, which: Which<'_>, cause: Error) -> Error {
        match self.undo(which) {
            Ok(()) => cause,
            Err(failure) => Error::Undo(chain(&cause), Box::new(failure)),
        }
    }

    /// Takes back directories that no process was ever put into.
    fn undo(&self, which: Which<'_>) -> Result<(), Error> {
        let mut failures = Vec::new();
        let made = |directory: &&Directory| directory.made > 0 && which(directory);
        for directory in self.record.directories.iter().rev().filter(made) {
            let path = directory.absolute();
            let removed =
                present(fs::rmdirat(fs::AT_FDCWD, &path)).and_then(|_| remove_made_parents(directory));
            if let Err(error) = removed {
                failures.push((path, error));
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Error::Remove(failures)) }
    }
}

/// How long a process takes to end that waits for a runtime which is gone already.
const ITS_END: Duration = Duration::from_secs(2);

/// A directory of which only the intention was recorded may hold the first process of a runtime that was killed: that
/// ends by itself. Others who are in the directory stay.
fn remove_unknown(directory: &Directory, path: &Path, its_end: Instant) -> sys::Result<()> {
    if directory.inode.is_some() || directory.made > 0 {
        return Ok(());
    }
    match wait_empty(directory, its_end) {
        Err(error) if error.errno() == Errno::ETIMEDOUT => return Ok(()),
        other => other?,
    }
    match fs::rmdirat(fs::AT_FDCWD, path) {
        Err(error) if error.errno() == Errno::EBUSY => Ok(()),
        other => present(other).map(|_| ()),
    }
}

/// Waits until no process is left in a directory and below; `ETIMEDOUT` at the deadline.
pub(super) fn wait_empty(directory: &Directory, deadline: Instant) -> sys::Result<()> {
    match directory.hierarchy {
        HierarchyKind::Unified => wait_for_event(directory, "populated 0", deadline),
        _ => wait_for_ends(&directory.absolute(), deadline),
    }
}

/// v1 tells nobody that a cgroup has become empty; its processes tell that they have ended.
fn wait_for_ends(directory: &Path, deadline: Instant) -> sys::Result<()> {
    loop {
        let Some(pid) = all_processes(directory)?.first().copied() else { return Ok(()) };
        let what = || format!("the end of process {pid} in the cgroup {directory:?}");
        match sys::process::pidfd_open(sys::process::Pid::from_raw(pid)) {
            Ok(pidfd) => {
                sys::poll::poll(&[sys::poll::Interest::read(pidfd.as_fd())], Some(deadline), &what())?;
            }
            Err(error) if error.errno() == Errno::ESRCH => {}
            Err(error) => return Err(error),
        }
        if Instant::now() >= deadline {
            return Err(sys::Error::new("poll", what(), Errno::ETIMEDOUT));
        }
    }
}

/// Waits until `cgroup.events` of a v2 cgroup has the line `event`; a cgroup that is gone has it.
pub(super) fn wait_for_event(directory: &Directory, event: &str, deadline: Instant) -> sys::Result<()> {
    let path = directory.file("cgroup.events");
    let Some(events) = present(fs::open(&path, fs::OFlag::O_RDONLY))? else { return Ok(()) };
    let mut buffer = [0u8; 256];
    loop {
        let Some(length) = present(fs::read_from(&events, &mut buffer, 0))? else { return Ok(()) };
        if buffer[..length].split(|byte| *byte == b'\n').any(|line| line == event.as_bytes()) {
            return Ok(());
        }
        let what = format!("\"{event}\" in {path:?}");
        sys::poll::poll(&[sys::poll::Interest::change(events.as_fd())], Some(deadline), &what)?;
    }
}

/// Removes the cgroups below the start; the walk begins with the deepest.
struct Remove;

impl Visitor for Remove {
    fn at(&mut self, _: &OwnedFd) -> sys::Result<()> {
        Ok(())
    }

    fn above(&mut self, parent: &OwnedFd, name: &OsStr) -> sys::Result<()> {
        fs::rmdirat(parent, Path::new(name))
    }
}

/// Collects the processes of every cgroup.
struct Collect(Vec<i32>);

impl Visitor for Collect {
    fn at(&mut self, cgroup: &OwnedFd) -> sys::Result<()> {
        let text = fs::read_at(cgroup, Path::new("cgroup.procs"), MAX_FILE);
        let text = match text {
            // A threaded cgroup lists its processes at the domain above only.
            Err(error) if error.errno() == Errno::EOPNOTSUPP => return Ok(()),
            other => other?,
        };
        self.0.extend(pids(&String::from_utf8_lossy(&text)));
        Ok(())
    }

    fn above(&mut self, _: &OwnedFd, _: &OsStr) -> sys::Result<()> {
        Ok(())
    }
}

/// Control files are small; a list of processes has at most some ten bytes for each of 4 million.
pub(super) const MAX_FILE: u64 = 64 << 20;

fn all_processes(directory: &Path) -> sys::Result<Vec<i32>> {
    let mut collected = Collect(Vec::new());
    if let Some(start) = tree::open(directory)? {
        tree::walk(start, &mut collected)?;
    }
    Ok(collected.0)
}

fn pids(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse().ok())
}

/// Reads a control file of one value; lists of processes are read otherwise.
pub(super) fn read(path: &Path) -> sys::Result<String> {
    let bytes = fs::read_record(fs::open(path, fs::OFlag::O_RDONLY)?, MAX_FILE)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The whole chain of an error in one line.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Makes a cgroup and its missing parents, and notes how many.
fn make_directory(directory: &mut Directory) -> Result<(), Error> {
    let mut up = 0;
    // Up to the lowest parent that exists and down again. Another runtime may remove a parent that it made until
    // ours lies in it; then the way begins anew, but not for ever.
    for _ in 0..16 * directory.depth() {
        match fs::mkdirat(fs::AT_FDCWD, Path::new(&directory.upper(up)), 0o755) {
            Ok(()) => directory.made += 1,
            Err(error) if error.errno() == Errno::EEXIST => directory.made = 0,
            // The mount point itself is never made: below a lost mount that would be an ordinary directory.
            Err(error) if error.errno() == Errno::ENOENT && up + 1 < directory.depth() => {
                up += 1;
                continue;
            }
            Err(error) => return Err(Error::Make(directory.absolute(), error)),
        }
        match up {
            0 if directory.made == 0 => {
                return refuse_frozen(directory).and_then(|()| refuse_processes(directory));
            }
            0 => return Ok(()),
            _ => up -= 1,
        }
    }
    let gone = sys::Error::new("mkdirat", directory.upper(0), Errno::ENOENT);
    Err(Error::Make(directory.absolute(), gone))
}

/// Makes a directory, and gives a cpuset what it needs to take processes.
pub(super) fn make_and_fill(
    directory: &mut Directory,
    limits: &Lowered,
    files: &mut Files,
) -> Result<(), Error> {
    make_directory(directory)?;
    match &directory.hierarchy {
        HierarchyKind::V1(set) if set.contains(Controller::Cpuset) => {
            inherit_cpuset(directory, "cpuset.cpus", limits.cpus, files)?;
            inherit_cpuset(directory, "cpuset.mems", limits.mems, files)
        }
        _ => Ok(()),
    }
}

/// Puts a process of others into a directory.
pub(super) fn join_later(directory: &Directory, pid: i32) -> Result<(), Error> {
    let file = directory.file("cgroup.procs");
    fs::write_at(fs::AT_FDCWD, &file, pid.to_string().as_bytes())
        .map_err(|source| Error::Control("put the first process into", source))
}

/// Puts `program` in the place of the device programs that are attached to the cgroup, of which a new one has none.
fn replace_program(cgroup: &OwnedFd, program: Option<&[bpf::Instruction]>, is_new: bool) -> sys::Result<()> {
    let mut old = if is_new { Vec::new() } else { bpf::device_programs(cgroup)? };
    if let Some(program) = program {
        let loaded = bpf::load_device_program(program)?;
        let replaced = old.pop();
        bpf::attach_device_program(cgroup, &loaded, replaced.as_ref())?;
    }
    old.iter().try_for_each(|program| bpf::detach_device_program(cgroup, program))
}

/// A process that joined a frozen cgroup would stand still for ever, and the runtime with it.
fn refuse_frozen(directory: &Directory) -> Result<(), Error> {
    let (file, thawed) = match &directory.hierarchy {
        HierarchyKind::V1(set) if set.contains(Controller::Freezer) => ("freezer.state", "THAWED"),
        HierarchyKind::Unified => ("cgroup.freeze", "0"),
        _ => return Ok(()),
    };
    match read(&directory.file(file)) {
        Ok(state) if state.trim() != thawed => Err(Error::Frozen(directory.absolute())),
        _ => Ok(()),
    }
}

fn refuse_processes(directory: &Directory) -> Result<(), Error> {
    let path = directory.absolute();
    let count = all_processes(&path).map_err(|source| Error::Control("list", source))?.len();
    if count == 0 { Ok(()) } else { Err(Error::InUse { path, count }) }
}

/// Removes the parents that this runtime made, the lowest first, until one is in use by others.
fn remove_made_parents(directory: &Directory) -> sys::Result<()> {
    for up in 1..directory.made {
        match fs::rmdirat(fs::AT_FDCWD, Path::new(&directory.upper(up))) {
            Err(error) if matches!(error.errno(), Errno::EBUSY | Errno::ENOTEMPTY) => return Ok(()),
            other => present(other)?,
        };
    }
    Ok(())
}

/// Gives a new v1 cpuset, and every empty one above it, the CPUs or memory nodes of its parent: the kernel lets
/// nobody into a cpuset without. The container's own value is left to the limits when they set it.
fn inherit_cpuset(
    directory: &Directory,
    file: &'static str,
    given: bool,
    files: &mut Files,
) -> Result<(), Error> {
    let fail = |source| Error::Cpuset(if file == "cpuset.cpus" { "CPUs" } else { "memory nodes" }, source);
    let path = |up: usize| format!("{}/{file}", directory.upper(up));
    let mut empty = Vec::new();
    let mut up = usize::from(given);
    let value = loop {
        let known_empty = up < directory.made;
        let value =
            if known_empty { String::new() } else { files.read(Path::new(&path(up))).map_err(fail)? };
        if !value.trim().is_empty() || up >= directory.depth() {
            break value;
        }
        empty.push(up);
        up += 1;
    };
    for up in empty.into_iter().rev() {
        files.write(Path::new(&path(up)), value.trim()).map_err(fail)?;
    }
    Ok(())
}

fn controllers_of(cgroup: &str) -> Result<String, Error> {
    read(Path::new(&format!("{cgroup}/cgroup.controllers")))
        .map_err(|source| Error::Control("read the controllers of", source))
}

fn has(controllers: &str, name: &str) -> bool {
    controllers.split_whitespace().any(|known| known == name)
}

/// Lets the children of a v2 cgroup have `wanted` controllers: all at once, or one by one where the kernel refuses
/// some. Only a `required` one that is refused is an error.
///
/// A cgroup with processes of its own gets none: the few that it could hand down, those of threads, would make it the
/// root of a threaded tree, and its children would take no process any more (cgroup-v2.rst, "Threads").
fn hand_down(cgroup: &str, wanted: &str, required: ControllerSet) -> Result<(), Error> {
    let file = format!("{cgroup}/cgroup.subtree_control");
    let enable = |names: &str| fs::write_at(fs::AT_FDCWD, Path::new(&file), names.as_bytes());
    let all: Vec<String> = wanted.split_whitespace().map(|name| format!("+{name}")).collect();
    let is_required =
        |name: &&str| Controller::from_name(name).is_some_and(|controller| required.contains(controller));
    match enable(&all.join(" ")) {
        Ok(()) => return Ok(()),
        Err(error) if error.errno() == Errno::EBUSY => {
            let refused = wanted.split_whitespace().find(is_required);
            return refused.map_or(Ok(()), |name| Err(not_handed_down(cgroup, name, &error)));
        }
        Err(error) if matches!(error.errno(), Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
            // Above what was delegated to a user nothing may be changed, but what is needed is mostly there.
            let already = read(Path::new(&file)).unwrap_or_default();
            let refused = wanted.split_whitespace().filter(is_required).find(|name| !has(&already, name));
            return refused.map_or(Ok(()), |name| Err(not_handed_down(cgroup, name, &error)));
        }
        Err(_) => {}
    }
    for name in wanted.split_whitespace() {
        match enable(&format!("+{name}")) {
            Err(error) if is_required(&name) => return Err(not_handed_down(cgroup, name, &error)),
            _ => {}
        }
    }
    Ok(())
}

fn not_handed_down(cgroup: &str, name: &str, error: &sys::Error) -> Error {
    let reason = match error.errno() {
        Errno::EBUSY => {
            "it has processes of its own, and v2 then gives its children no controllers".to_owned()
        }
        _ => error.to_string(),
    };
    let controller = Controller::from_name(name).map_or("", Controller::unified_name);
    Error::Controller { controller, path: cgroup.into(), reason }
}

#[cfg(test)]
#[path = "manager_tests.rs"]
pub(super) mod tests;
