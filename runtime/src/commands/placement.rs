//! Where a new container belongs: its cgroups, its unit of systemd, its class of Intel RDT. Each is in the record before
//! it is made, and again as it is once it is known to be ours.

use super::bundle::Bundle;
use super::report::{cgroup_failed, failed, state_failed};
use crate::cgroup::{self, Cgroup, JoinFds, UnitPlan};
use crate::cli::Report;
use crate::engine::PlaceError;
use crate::plan::Plan;
use crate::resctrl;
use crate::state::{Entry, Record};
use mydocker_sys::OwnedFd;

/// Makes the cgroups by the runtime itself.
pub(super) fn make_cgroup(
    bundle: &Bundle,
    entry: &Entry,
    record: &mut Record,
) -> Result<JoinFds, Box<Report>> {
    let cgroup = Cgroup::create(bundle.cgroup.clone(), &bundle.limits).map_err(cgroup_failed)?;
    save_made(&cgroup, entry, record).map_err(place_failed)?;
    give_away(bundle, &cgroup).map_err(cgroup_failed)?;
    cgroup.join_fds().map_err(cgroup_failed)
}

/// What there is before the first process.
pub(super) struct Begun {
    /// What leads into the cgroups.
    pub(super) cgroups: Option<JoinFds>,
    /// Those of which a part is still to be made.
    pub(super) rest: Option<Rest>,
}

/// Cgroups of which those of v1 are still to be made, while the first process is on its way there.
pub(super) struct Rest {
    cgroup: Cgroup,
    /// Whether they are recorded before the first process is ([`Plan::records_cgroups_first`]).
    recorded_first: bool,
}

/// Makes what of the cgroups has to be there before the first process: all that systemd does not make, or, where the
/// process enters them late, what it is cloned into.
pub(super) fn begin(
    bundle: &Bundle,
    plan: &Plan,
    entry: &Entry,
    record: &mut Record,
) -> Result<Begun, Box<Report>> {
    if bundle.unit.is_some() {
        return Ok(Begun { cgroups: None, rest: None });
    }
    if !plan.enters_cgroups_late() {
        return Ok(Begun { cgroups: Some(make_cgroup(bundle, entry, record)?), rest: None });
    }
    let cgroup = begin_cgroup(bundle, entry, record)?;
    let cgroups = Some(cgroup.join_fds_unified().map_err(cgroup_failed)?);
    Ok(Begun { cgroups, rest: Some(Rest { cgroup, recorded_first: plan.records_cgroups_first() }) })
}

/// Makes what is missing for the process with this pid, and opens what leads there.
pub(super) fn finish(
    bundle: &Bundle,
    rest: Option<&Rest>,
    entry: &Entry,
    record: &mut Record,
    pid: i32,
) -> Result<Vec<OwnedFd>, PlaceError> {
    match (&bundle.unit, rest) {
        (Some(unit), _) => start_unit(unit, bundle, entry, record, pid).map(|()| Vec::new()),
        (None, Some(rest)) => complete_cgroup(rest, bundle, entry, record),
        (None, None) => Ok(Vec::new()),
    }
}

/// Makes what of the cgroups the first process is cloned into. The record that is written still has the intention, so that
/// whoever looks after a runtime that was killed here finds what it made; but it has nothing of parents that were made too.
fn begin_cgroup(bundle: &Bundle, entry: &Entry, record: &mut Record) -> Result<Cgroup, Box<Report>> {
    let cgroup = Cgroup::begin(bundle.cgroup.clone(), &bundle.limits).map_err(cgroup_failed)?;
    let mut saved = Ok(());
    if cgroup.record().has_made_parents() {
        // The rest is still intended.
        record.cgroup = Some(cgroup.record().clone());
        saved = entry.save(record);
    }
    record.cgroup = cgroup.begun().unless_empty();
    saved.map(|()| cgroup).map_err(state_failed)
}

/// Makes the rest. Where they are recorded with the first process, that keeps a copy of the lock until then: whoever looks
/// after a runtime that was killed here finds by the intention what it made, and nobody in it. Parents that were made too are
/// recorded at once: no intention tells of them.
fn complete_cgroup(
    rest: &Rest,
    bundle: &Bundle,
    entry: &Entry,
    record: &mut Record,
) -> Result<Vec<OwnedFd>, PlaceError> {
    let mut cgroup = rest.cgroup.clone();
    cgroup.complete(&bundle.limits)?;
    note_made(&cgroup, record)?;
    if rest.recorded_first || cgroup.record().has_made_parents() {
        entry.save(record)?;
    }
    give_away(bundle, &cgroup)?;
    Ok(cgroup.join_fds_v1()?)
}

/// Records what was made: it is known to be ours from here on.
fn save_made(cgroup: &Cgroup, entry: &Entry, record: &mut Record) -> Result<(), PlaceError> {
    note_made(cgroup, record)?;
    Ok(entry.save(record)?)
}

/// Notes what was made. A container that nobody attends may lie there long after its end, when others can remove one of its
/// cgroups and make another: then each is known by itself.
fn note_made(cgroup: &Cgroup, record: &mut Record) -> Result<(), PlaceError> {
    record.cgroup = cgroup.record().clone().unless_empty();
    if let (Some(made), false) = (&mut record.cgroup, record.attended) {
        made.note_each()?;
    }
    Ok(())
}

fn place_failed(error: PlaceError) -> Box<Report> {
    match error {
        PlaceError::Cgroup(error) => cgroup_failed(error),
        PlaceError::State(error) => state_failed(error),
    }
}

/// Lets the container's user divide the cgroup, where the container can write to it.
fn give_away(bundle: &Bundle, cgroup: &Cgroup) -> Result<(), cgroup::Error> {
    cgroup::owner(&bundle.spec, cgroup.record()).map_or(Ok(()), |user| cgroup.give_to(user))
}

/// Has systemd start the container's unit around its first process, and makes the rest.
pub(super) fn start_unit(
    unit: &UnitPlan,
    bundle: &Bundle,
    entry: &Entry,
    record: &mut Record,
    pid: i32,
) -> Result<(), PlaceError> {
    let mut cgroup = Cgroup::start_unit(bundle.cgroup.clone(), unit, pid)?;
    let completed = cgroup.complete_unit(&bundle.limits, pid);
    // What was made is known to be ours from here on, also where it is not all.
    record.cgroup = Some(cgroup.record().clone());
    entry.save(record)?;
    completed?;
    Ok(give_away(bundle, &cgroup)?)
}

/// The container's class of service in the resctrl file system, where it asks for one.
pub(super) fn make_class(bundle: &Bundle, entry: &Entry, record: &mut Record) -> Result<(), Box<Report>> {
    let linux = bundle.spec.spec().linux.as_ref();
    let Some(rdt) = linux.and_then(|linux| linux.intel_rdt.as_ref()) else { return Ok(()) };
    let root = resctrl::find_here().map_err(failed("intel-rdt"))?;
    let class = resctrl::Record::place(&root, rdt, &record.id).map_err(failed("intel-rdt"))?;
    record.intel_rdt = Some(class.clone());
    entry.save(record).map_err(state_failed)?;
    class.make(rdt).map_err(failed("intel-rdt"))
}
