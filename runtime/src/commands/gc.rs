//! `gc`: takes away what runtimes that were killed have left, and nothing that a caller may still ask for.

use super::container::{Container, store};
use super::delete::destroy;
use super::report::{failed, refusal, state_failed};
use super::{Outcome, print};
use crate::cgroup::{Cgroup, CgroupRecord};
use crate::cli::{Context, GcArgs, Report};
use crate::spec::CONFIG_FILE;
use crate::state::{self, ContainerId, Entry, Progress, Record, Status};
use std::path::PathBuf;

/// Why something is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// The id was taken, and nothing else done.
    NeverMade,
    /// The runtime that made it was ended on the way.
    CreationInterrupted,
    /// The command that deleted it was ended on the way.
    DeletionInterrupted,
    /// The `run` that would have deleted it was ended before.
    Unattended,
    /// It has stopped, which is asked for by a flag.
    Stopped,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::NeverMade => "its creation ended before anything was made",
            Self::CreationInterrupted => "its creation was interrupted",
            Self::DeletionInterrupted => "its deletion was interrupted",
            Self::Unattended => "it has stopped, and the run that would have deleted it is gone",
            Self::Stopped => "it has stopped",
        }
    }
}

/// `gc`: removes left-over containers with their cgroups, and tells what it removed.
///
/// Whatever another command has locked is passed over: somebody is at work on it. Processes are ended only where the
/// container never came to life.
///
/// # Errors
/// If the state root cannot be read, or something could not be removed; the rest is removed all the same.
pub fn gc(args: &GcArgs, context: &Context) -> Outcome {
    let mut failures = Vec::new();
    for id in store(context).ids().map_err(state_failed)? {
        if let Err(report) = collect(&id, args, context) {
            failures.push(format!("{id}: {}", report.message));
        }
    }
    match failures.is_empty() {
        true => Ok(0),
        false => Err(refusal("gc", format!("not everything could be removed: {}", failures.join("; ")))),
    }
}

fn collect(id: &ContainerId, args: &GcArgs, context: &Context) -> Result<(), Box<Report>> {
    let Some(entry) = store(context).try_open(id).map_err(state_failed)? else { return Ok(()) };
    let record = match entry.load() {
        Ok(record) => Some(record),
        Err(state::Error::NotFound { .. }) => None,
        Err(error) => {
            context.log.warning(&Report::new("state-damaged", &error).message);
            return Ok(());
        }
    };
    let Some(reason) = judge(&entry, record.as_ref(), args.stopped).map_err(failed("state-io"))? else {
        return Ok(());
    };
    let place = record.as_ref().and_then(|record| record.cgroup.as_ref());
    if reason != Reason::CreationInterrupted && is_populated(place) {
        let text = "it has stopped, but processes are left in its cgroups: delete --force ends them";
        context.log.warning(&format!("{id}: {text}"));
        return Ok(());
    }
    let mut paths = vec![context.root.join(id.as_str())];
    paths
        .extend(place.into_iter().flat_map(|place| &place.directories).map(|directory| directory.absolute()));
    paths.retain(|path| path.exists());
    if !args.dry_run {
        remove(entry, record, context)?;
        paths.retain(|path| !path.exists());
    }
    tell(id, reason, &paths, args.dry_run)
}

/// Whether it is left over. The lock is held, so that no command is at work on it.
fn judge(entry: &Entry, record: Option<&Record>, stopped: bool) -> mydocker_sys::Result<Option<Reason>> {
    let Some(record) = record else { return Ok(Some(Reason::NeverMade)) };
    if record.status(|| Ok(false))? != Status::Stopped {
        return Ok(None);
    }
    if record.progress == Progress::Creating {
        return Ok(Some(Reason::CreationInterrupted));
    }
    if !entry.has(CONFIG_FILE)? {
        return Ok(Some(Reason::DeletionInterrupted));
    }
    if record.attended && !entry.is_attended()? {
        return Ok(Some(Reason::Unattended));
    }
    Ok(stopped.then_some(Reason::Stopped))
}

/// What cannot be listed is taken to be in use.
fn is_populated(place: Option<&CgroupRecord>) -> bool {
    place.is_some_and(|place| {
        Cgroup::open(place.clone()).all_processes().map_or(true, |processes| !processes.is_empty())
    })
}

fn remove(entry: Entry, record: Option<Record>, context: &Context) -> Result<(), Box<Report>> {
    match record {
        None => entry.remove().map_err(state_failed),
        Some(record) => destroy(Container { entry, record, status: Status::Stopped }, context),
    }
}

fn tell(id: &ContainerId, reason: Reason, paths: &[PathBuf], dry_run: bool) -> Result<(), Box<Report>> {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = format!("{id}: {}\n", reason.text());
    paths.iter().for_each(|path| text.push_str(&format!("{id}: {verb} {}\n", path.display())));
    print(&text).map(drop)
}
