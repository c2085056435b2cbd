//! Which containers have which volumes.

use super::{VolumeError, Volumes};
use crate::container::{Container, Containers, ContainersError, MountKind};
use std::collections::BTreeMap;

/// The ids of the containers of each volume that has any, by the volume's name. One damaged record, whose volumes nobody
/// knows, makes this fail: no volume may be removed then.
///
/// # Errors
/// [`VolumeError::Containers`].
pub fn users(containers: &Containers) -> Result<BTreeMap<String, Vec<String>>, VolumeError> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in containers.ids()? {
        let container = match containers.load(&id) {
            // It has been removed meanwhile.
            Err(ContainersError::NotFound(_)) => continue,
            other => other?,
        };
        for name in volumes_of(&container) {
            users.entry(name.to_owned()).or_default().push(id.clone());
        }
    }
    Ok(users)
}

fn volumes_of(container: &Container) -> impl Iterator<Item = &str> {
    let volumes = container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
    volumes.filter_map(|mount| mount.name.as_deref())
}

/// Removes the anonymous volumes of a container that goes, but those that another one has as well, and returns the names
/// of those that are gone. Called before or after its record goes.
///
/// # Errors
/// What could not be removed, each with its reason.
pub fn remove_anonymous(
    volumes: &Volumes,
    containers: &Containers,
    container: &Container,
) -> Result<Vec<String>, Vec<VolumeError>> {
    let (mut removed, mut errors) = (Vec::new(), Vec::new());
    let anonymous =
        container.mounts.iter().filter(|mount| mount.kind == MountKind::Volume && mount.anonymous);
    for name in anonymous.filter_map(|mount| mount.name.as_deref()) {
        match volumes.remove_unless(name, containers, Some(&container.id)) {
            Ok(()) => removed.push(name.to_owned()),
            Err(VolumeError::NotFound(_) | VolumeError::InUse { .. }) => {}
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(removed) } else { Err(errors) }
}
