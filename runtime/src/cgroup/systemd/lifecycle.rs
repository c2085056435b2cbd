//! A container's cgroup while systemd keeps it: started, completed, joined, changed and ended.

use super::manager::{self, Manager};
use super::{Instance, UnitPlan};
use crate::cgroup::files::Files;
use crate::cgroup::layout::{Layout, Mode, cgroup_of};
use crate::cgroup::lower::Lowered;
use crate::cgroup::manager::{Cgroup, Error, join_later, make_and_fill, read};
use crate::cgroup::plan::ResourcePlan;
use crate::cgroup::record::{CgroupRecord, Directory, UnitRecord};
use std::path::Path;

impl Cgroup {
    /// Starts the scope of a plan with the process `pid` in it. What systemd does not manage is for
    /// [`Cgroup::complete_unit`].
    ///
    /// # Errors
    /// [`Error::Systemd`]; nothing is left then, or systemd removes it when the process has ended.
    pub fn start_unit(record: CgroupRecord, plan: &UnitPlan, pid: i32) -> Result<Self, Error> {
        Manager::connect(plan.instance)?.start(plan, pid)?;
        Ok(Self::open(record))
    }

    /// Makes the directories of a started unit that systemd does not manage, puts `pid` into them too, and applies
    /// the limits. What was made is in the record, also after a failure, for [`Cgroup::remove`].
    ///
    /// # Errors
    /// [`Error`]
    pub fn complete_unit(&mut self, limits: &Lowered, pid: i32) -> Result<(), Error> {
        let own = read(Path::new(&format!("/proc/{pid}/cgroup")))
            .map_err(|source| Error::Control("find the first process in", source))?;
        self.refuse_elsewhere(&own)?;
        let mut others = Vec::new();
        for directory in &mut self.record_mut().directories {
            let there = is_in(&own, directory);
            if !there {
                make_and_fill(directory, limits, &mut Files::default())?;
                others.push(directory.clone());
            }
            directory.note().map_err(|source| Error::Make(directory.absolute(), source))?;
        }
        self.require_controllers(limits.unified)?;
        self.apply(limits)?;
        others.iter().try_for_each(|directory| join_later(directory, pid))
    }

    /// systemd's own hierarchy must have the process where it was foretold: everything else is built upon that.
    fn refuse_elsewhere(&self, own: &str) -> Result<(), Error> {
        let (Some(directory), Some(unit)) = (self.record().tracking(), &self.record().unit) else {
            return Ok(());
        };
        // Where the mount shows a part of the hierarchy only, the two paths differ at the beginning.
        let found = cgroup_of(own, &directory.hierarchy);
        if found.ends_with(directory.path.trim_start_matches('/')) && directory.absolute().is_dir() {
            return Ok(());
        }
        let expected = format!("/{}", directory.path);
        Err(manager::Error::Elsewhere { unit: unit.name.clone(), expected, found }.into())
    }

    /// Tells systemd of changed limits that are in force, where it keeps the cgroup: it would bring the old ones back
    /// when it writes the files anew. It writes those that it knows at once, and rounds some, so that `limits`, the same
    /// as files, are written again.
    ///
    /// # Errors
    /// [`Error::Systemd`]; [`Error::Plan`] for a limit that is none. The files keep the new limits.
    pub fn tell_systemd(&self, plan: &ResourcePlan, limits: &Lowered, layout: &Layout) -> Result<(), Error> {
        let Some(unit) = &self.record().unit else { return Ok(()) };
        let properties = plan.properties(layout, unit.instance)?;
        if properties.is_empty() {
            return Ok(());
        }
        let mut manager = Manager::connect(unit.instance)?;
        manager.set_properties(&unit.name, &properties)?;
        // systemd writes the files after its answer, and before it looks at the next call.
        manager.control_group()?;
        self.apply(limits)
    }

    /// Whether a process can come into the cgroup only with the help of systemd: an ordinary user may not move one
    /// out of the session's cgroup into that of a unit.
    #[must_use]
    pub fn needs_help_to_join(&self) -> bool {
        self.record().unit.as_ref().is_some_and(|unit| unit.instance == Instance::User)
    }

    /// Has systemd put a process into the cgroup.
    ///
    /// # Errors
    /// [`Error::Systemd`]
    pub fn attach(&self, pid: i32) -> Result<(), Error> {
        let Some(unit) = &self.record().unit else { return Ok(()) };
        let below = self.record().tracking().map_or("", |directory| unit.below(&directory.path));
        Ok(Manager::connect(unit.instance)?.attach(&unit.name, below, pid)?)
    }

    /// The unit that is to be stopped when the cgroup is removed; looked at before that.
    pub(in crate::cgroup) fn unit_to_stop(&self) -> Result<Option<&UnitRecord>, Error> {
        let (Some(unit), Some(directory)) = (&self.record().unit, self.record().tracking()) else {
            return Ok(None);
        };
        // A unit that was only intended is not ours, and one without a cgroup has ended with its last process.
        if directory.inode.is_none() {
            return Ok(None);
        }
        let own = directory.open_noted().map_err(|source| Error::Control("look at", source))?;
        Ok(own.map(|_| unit))
    }
}

impl UnitRecord {
    /// Stops the unit, whose processes are gone.
    pub(in crate::cgroup) fn stop(&self) -> Result<(), Error> {
        Ok(Manager::connect(self.instance)?.stop(&self.name)?)
    }
}

/// Whether a process with this `/proc/PID/cgroup` is in a directory.
fn is_in(own: &str, directory: &Directory) -> bool {
    cgroup_of(own, &directory.hierarchy).trim_matches('/') == directory.path
}

impl CgroupRecord {
    /// The directory in the hierarchy by which systemd knows its units.
    pub(super) fn tracking(&self) -> Option<&Directory> {
        use crate::cgroup::layout::HierarchyKind::{Named, Unified};
        self.directories.iter().find(|directory| match (&directory.hierarchy, self.mode) {
            (Unified, mode) => mode == Mode::V2,
            (Named(name), mode) => mode != Mode::V2 && name == "systemd",
            _ => false,
        })
    }
}
