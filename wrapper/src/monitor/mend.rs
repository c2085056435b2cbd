//! What a monitor that was killed, or a reboot, has left; and the removal of a container.

use super::life::runtime_of;
use super::start::{Starter, clear_state};
use crate::clock;
use crate::container::{Container, Containers, ContainersError, Seen, State, Status, look};
use crate::events::{Event, record};
use crate::oci::Oci;
use crate::prepare::{PrepareError, forget};
use crate::volume::{VolumeError, Volumes, remove_anonymous};

/// The status of what has ended, and nobody knows how.
const UNKNOWN: i32 = 255;

/// Why a container cannot be put in order, or removed.
#[derive(Debug, thiserror::Error)]
pub enum MendError {
    /// Its record or its state.
    #[error(transparent)]
    Containers(#[from] ContainersError),
    /// Something of it stays.
    #[error("what is left of container {name} cannot be cleared up: {}", errors.join("; "))]
    Left {
        /// Its name.
        name: String,
        /// What stays, and why.
        errors: Vec<String>,
    },
    /// Its directory.
    #[error(transparent)]
    Forget(#[from] PrepareError),
    /// Its volumes.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// Clears up what a monitor that was killed, or a reboot, has left of a container, and returns its state, which is true
/// then. One that has a monitor, or still runs without, stays as it is. The caller has the container's lock.
///
/// # Errors
/// [`MendError`].
pub fn mend(containers: &Containers, id: &str) -> Result<State, MendError> {
    let Some(_lock) = super::lock(containers.home(), id, false)? else { return Ok(containers.state(id)?) };
    let recorded = containers.recorded_state(id)?;
    // A process that is killed gives its locks back before it is seen to be dead: whoever has this one knows.
    let status = look(&recorded, Seen { monitor: false, ..Seen::of(&recorded, containers.boot()) });
    let lives = matches!(status, Status::Running | Status::Paused);
    let was_cut_off = recorded.monitor.is_some() || recorded.process.is_some() || recorded.status != status;
    if lives || !was_cut_off {
        return Ok(State { status, ..recorded });
    }
    clear_up(containers, &containers.load(id)?)?;
    Ok(containers.change_state(id, |recorded| {
        if recorded.status != status {
            recorded.exit_code = UNKNOWN;
            recorded.finished_at = Some(clock::now());
            recorded.error = "its monitor was killed, or the host went down".to_owned();
        }
        recorded.status = status;
        clear_state(recorded);
    })?)
}

/// What [`mend_all`] has found.
#[derive(Debug, Default)]
pub struct Mended {
    /// The names of containers whose state was not true, or that were not cleared up.
    pub mended: Vec<String>,
    /// The names of containers that should have gone with their end (`--rm`), and have gone now.
    pub removed: Vec<String>,
    /// What cannot be put in order, by the container's id.
    pub errors: Vec<(String, MendError)>,
}

/// Puts all containers in order.
///
/// # Errors
/// The containers cannot be listed; what is wrong with one does not keep the others from it.
pub fn mend_all(containers: &Containers) -> Result<Mended, MendError> {
    let mut found = Mended::default();
    for id in containers.ids()? {
        match mend_one(containers, &id, &mut found) {
            // Somebody has removed it meanwhile.
            Err(MendError::Containers(ContainersError::NotFound(_))) | Ok(()) => {}
            Err(error) => found.errors.push((id, error)),
        }
    }
    Ok(found)
}

fn mend_one(containers: &Containers, id: &str, found: &mut Mended) -> Result<(), MendError> {
    let _lock = containers.lock(id)?;
    let (container, before) = (containers.load(id)?, containers.recorded_state(id)?);
    let state = mend(containers, id)?;
    let has_ended = matches!(state.status, Status::Exited | Status::Dead | Status::Removing);
    let goes = container.host_config.auto_remove && before.started_at.is_some();
    let is_watched = super::lock(containers.home(), id, false)?.is_none();
    if has_ended && (goes || state.status == Status::Removing) && !is_watched {
        remove(containers, &container, container.host_config.auto_remove)?;
        found.removed.push(container.name);
    } else if before != state && !is_watched {
        found.mended.push(container.name);
    }
    Ok(())
}

/// Takes back what a start of a container has made, whoever did.
fn clear_up(containers: &Containers, container: &Container) -> Result<(), MendError> {
    let oci = Oci::new(containers.home(), runtime_of(container, containers.home()));
    let errors = Starter { containers, container, oci: &oci }.undo();
    if errors.is_empty() { Ok(()) } else { Err(MendError::Left { name: container.name.clone(), errors }) }
}

/// Removes a container that does not run, with its anonymous volumes if they are to go. The caller has its lock.
///
/// # Errors
/// [`MendError`]; the container is there then, and can be removed again.
pub fn remove(containers: &Containers, container: &Container, volumes: bool) -> Result<(), MendError> {
    let id = &container.id;
    containers.change_state(id, |state| state.status = Status::Removing)?;
    if let Err(error) = clear_up(containers, container) {
        containers.change_state(id, |state| state.status = Status::Dead)?;
        return Err(error);
    }
    forget(containers, container)?;
    if volumes {
        let store = Volumes::open(containers.home())?;
        if let Err(errors) = remove_anonymous(&store, containers, container) {
            return Err(errors.into_iter().next().map_or_else(
                || MendError::Left { name: container.name.clone(), errors: Vec::new() },
                Into::into,
            ));
        }
    }
    record(containers.home(), &Event::of(container, "destroy"));
    Ok(())
}
