//! `start`, `restart`, and the monitor that both begin.

use super::stop::{to_each, wish};
use crate::cli::{Failure, Outcome, StartArgs, StopArgs, complain_of, each};
use crate::container::{Container, Containers, RestartWhen, State, Status};
use crate::ending::{self, EndingError, Stop, is_up};
use crate::events::{Event, record};
use crate::home::Home;
use crate::monitor::{AttachOptions, LaunchError, mend_all, run_attached, run_detached};
use mydocker_cmdline::print;
use std::error::Error;

/// A start that cannot be.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("you cannot start and attach multiple containers at once")]
    Several,
    #[error("cannot start a paused container, try unpause instead")]
    Paused,
    #[error("name the containers that are to be started, or say --all-restartable")]
    Nothing,
    #[error("--all-restartable starts all there are to start: leave the names out")]
    AllAndSome,
}

/// Starts containers.
///
/// # Errors
/// What was typed does not fit, or the one container that is attached to cannot be started; others are told.
pub fn start(args: &StartArgs, home: &Home) -> Outcome {
    let containers = Containers::open(home)?;
    match (args.all_restartable, &args.names[..]) {
        (true, []) => return start_restartable(&containers),
        (true, _) => return Err(StartError::AllAndSome.into()),
        (false, []) => return Err(StartError::Nothing.into()),
        (false, _) => {}
    }
    if args.attach || args.interactive {
        let [name] = &args.names[..] else { return Err(StartError::Several.into()) };
        return start_attached(args, &containers, &containers.find(name)?);
    }
    each(&args.names, |name| -> Result<(), Box<dyn Error>> {
        start_one(&containers, &containers.find(name)?)?;
        Ok(print(&format!("{name}\n"))?)
    })
}

/// One that runs already is as good.
fn start_one(containers: &Containers, container: &Container) -> Result<(), Box<dyn Error>> {
    if containers.state(&container.id)?.status == Status::Paused {
        return Err(StartError::Paused.into());
    }
    match run_detached(containers, container) {
        Err(LaunchError::Running) => Ok(()),
        other => Ok(other?),
    }
}

fn start_attached(args: &StartArgs, containers: &Containers, container: &Container) -> Outcome {
    if containers.state(&container.id)?.status == Status::Paused {
        return Err(StartError::Paused.into());
    }
    let keys =
        Some(&args.detach_keys).filter(|keys| !keys.is_empty()).or(Some(&container.host_config.detach_keys));
    let options = AttachOptions {
        stdin: args.interactive && container.config.open_stdin,
        stdout: true,
        stderr: true,
        sig_proxy: true,
        detach_keys: keys.cloned(),
    };
    match run_attached(containers, container, &options) {
        Err(LaunchError::Running) => super::attach::attach_to(containers, container, &options),
        other => other.map_err(|error| Failure { status: 1, error: error.into() }),
    }
}

/// Starts what ran when the host went down, as far as restart policies say so.
fn start_restartable(containers: &Containers) -> Outcome {
    let mut status = 0;
    for id in containers.ids()? {
        if let Err(error) = restart_after_boot(containers, &id) {
            complain_of(error);
            status = 1;
        }
    }
    // The others are put in order, and those with --rm go.
    for (_, error) in mend_all(containers)?.errors {
        complain_of(error);
        status = 1;
    }
    Ok(status)
}

fn restart_after_boot(containers: &Containers, id: &str) -> Result<(), Box<dyn Error>> {
    let (container, recorded) = (containers.load(id)?, containers.recorded_state(id)?);
    if !is_restartable(&container, &recorded) || is_up(containers.state(id)?.status) {
        return Ok(());
    }
    start_one(containers, &container)?;
    Ok(print(&format!("{}\n", container.name))?)
}

/// What ended by itself under `on-failure` has ended; what was running has been cut off.
fn is_restartable(container: &Container, recorded: &State) -> bool {
    match container.host_config.restart_policy.name {
        RestartWhen::No => false,
        RestartWhen::Always => recorded.started_at.is_some(),
        RestartWhen::UnlessStopped => recorded.started_at.is_some() && !recorded.stopped_by_hand,
        RestartWhen::OnFailure => {
            !recorded.stopped_by_hand && (is_up(recorded.status) || recorded.exit_code == 255)
        }
    }
}

/// Stops containers and starts them again.
///
/// # Errors
/// The home cannot be opened; what goes wrong with a container is told.
pub fn restart(args: &StopArgs, home: &Home) -> Outcome {
    let wish = Stop { stays: true, ..wish(args)? };
    to_each(home, &args.names, |containers, container, _| restart_one(containers, container, wish))
}

fn restart_one(containers: &Containers, container: &Container, wish: Stop) -> Result<(), EndingError> {
    ending::stop(containers, container, wish)?;
    run_detached(containers, container)?;
    record(containers.home(), &Event::of(container, "restart"));
    Ok(())
}
