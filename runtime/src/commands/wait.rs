//! `wait`.

use super::container::Container;
use super::exit::{self, Witness};
use super::report::{cgroup_failed, failed, refusal};
use super::{Outcome, print};
use crate::cgroup::{Cgroup, OomWatch};
use crate::cli::{Context, PlanFormat, Report, WaitArgs};
use crate::state::{ExitRecord, Status};
use mydocker_sys::poll::{Interest, poll};
use mydocker_sys::{AsFd, OwnedFd};
use serde::Serialize;

/// What `wait --format json` prints.
#[derive(Debug, Serialize)]
struct Ended<'a> {
    id: &'a str,
    #[serde(flatten)]
    exit: Option<&'a ExitRecord>,
    /// Why nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<&'a str>,
}

/// Why the end of a container is not known.
const NOT_SEEN: &str = "no command of this runtime saw its end: its process was the child of another program, which has \
                        reaped it; `wait` must begin before the container ends";
const TOO_OLD: &str = "its process was the child of another program, which has reaped it, and a kernel before Linux 6.15 \
                       tells nobody else how it ended";

/// `wait`: waits for the end of a container's first process, and tells how it ended.
///
/// # Errors
/// If there is no such container, or its end is not known; with JSON the document tells that too.
pub fn wait(args: &WaitArgs, context: &Context) -> Outcome {
    let mut container = Container::look(context, &args.id)?;
    if container.status == Status::Creating {
        return Err(refusal("not-running", format!("container {:?} is still being created", args.id)));
    }
    let ended = match container.init()? {
        Some(init) if container.status != Status::Stopped => {
            attend(&container, &init, context)?.ok_or(TOO_OLD)
        }
        // It may have ended since its status was looked at.
        _ => {
            container.status = Status::Stopped;
            exit::learn(&mut container, context);
            container.record.exit.clone().ok_or(NOT_SEEN)
        }
    };
    tell(args, ended)
}

/// Waits for the end; memory that runs out is watched for too, as the cgroup may be gone at the end.
fn attend(
    container: &Container,
    pidfd: &OwnedFd,
    context: &Context,
) -> Result<Option<ExitRecord>, Box<Report>> {
    let record = &container.record;
    let witness = Witness::of(record, container.config().ok().as_ref());
    let cgroup = record.cgroup.clone().map(Cgroup::open);
    let watch = cgroup.map(|cgroup| cgroup.watch_oom()).transpose().map_err(cgroup_failed)?;
    let oom = watch_until_end(pidfd, watch.flatten()).map_err(failed("wait"))?;
    let Some(init) = &record.init else { return Ok(None) };
    let exit = exit::of_ended(pidfd, init).map_err(failed("wait"))?;
    let ended = exit.map(|exit| witness.judge(exit, oom));
    if let Some(ended) = &ended {
        exit::note(context, record, ended.clone());
    }
    Ok(ended)
}

/// Whether memory ran out before the process ended.
fn watch_until_end(pidfd: &OwnedFd, mut watch: Option<OomWatch>) -> mydocker_sys::Result<bool> {
    let mut oom = false;
    loop {
        let mut interests = vec![Interest::read(pidfd.as_fd())];
        interests.extend(watch.as_ref().map(OomWatch::interest));
        let events = poll(&interests, None, "the container's first process to end")?;
        if let Some(watch) = &mut watch {
            oom |= watch.news()?;
        }
        if events[0].readable {
            return Ok(oom);
        }
    }
}

fn tell(args: &WaitArgs, ended: Result<ExitRecord, &str>) -> Outcome {
    match args.format {
        PlanFormat::Json => {
            let document =
                Ended { id: &args.id, exit: ended.as_ref().ok(), unknown: ended.as_ref().err().copied() };
            let mut line = serde_json::to_string(&document).map_err(failed("wait"))?;
            line.push('\n');
            print(&line)?;
        }
        PlanFormat::Text => {
            if let Ok(ended) = &ended {
                print(&format!("{}\n", ended.status))?;
            }
        }
    }
    let unknown = |reason| format!("how container {:?} ended is not known: {reason}", args.id);
    ended.map(|_| 0).map_err(|reason| refusal("exit-unknown", unknown(reason)))
}
