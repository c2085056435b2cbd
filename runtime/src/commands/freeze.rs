//! `pause` and `resume`.

use super::Outcome;
use super::container::{Container, not_running};
use super::report::{cgroup_failed, refusal};
use crate::cgroup::Cgroup;
use crate::cli::{Context, IdArgs};
use crate::state::Status;
use std::time::{Duration, Instant};

/// How long the kernel may take to freeze: a task in an uninterruptible wait delays it.
const PATIENCE: Duration = Duration::from_secs(30);

/// `pause`: freezes every process of a container.
///
/// # Errors
/// If the container is neither created nor running.
pub fn pause(args: &IdArgs, context: &Context) -> Outcome {
    let container = Container::open(context, &args.id)?;
    match container.status {
        Status::Created | Status::Running => {
            cgroup(&container)?.freeze(Instant::now() + PATIENCE).map(|()| 0).map_err(cgroup_failed)
        }
        Status::Paused => Err(refusal("paused", "container not running: it is paused already")),
        _ => Err(not_running(&container)),
    }
}

/// `resume`: lets a frozen container go on.
///
/// # Errors
/// If the container is not paused.
pub fn resume(args: &IdArgs, context: &Context) -> Outcome {
    let container = Container::open(context, &args.id)?;
    if container.status != Status::Paused {
        return Err(refusal(
            "not-paused",
            format!("container not paused: {:?} is {}", args.id, container.status),
        ));
    }
    cgroup(&container)?.thaw().map(|()| 0).map_err(cgroup_failed)
}

fn cgroup(container: &Container) -> Result<Cgroup, Box<crate::cli::Report>> {
    match &container.record.cgroup {
        Some(record) => Ok(Cgroup::open(record.clone())),
        None => Err(refusal("cgroup", "the container has no cgroup, so it cannot be frozen")),
    }
}
