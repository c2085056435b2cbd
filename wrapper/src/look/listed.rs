//! A container with its state, and all of them.

use crate::container::{Container, Containers, ContainersError, State};
use std::collections::BTreeMap;

/// A container with the state that is true.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// What was wanted.
    pub container: Container,
    /// What became of it.
    pub state: State,
}

/// All containers, the newest first.
#[derive(Debug, Default)]
pub struct Listing {
    /// Those that can be read.
    pub containers: Vec<Listed>,
    /// Why others cannot: a damaged one must not hide the rest.
    pub damaged: Vec<ContainersError>,
}

impl Listing {
    /// Reads all containers; it waits for nobody.
    ///
    /// # Errors
    /// [`ContainersError`] if not even their ids can be read.
    pub fn read(containers: &Containers) -> Result<Self, ContainersError> {
        let mut listing = Self::default();
        for id in containers.ids()? {
            match Listed::read(containers, &id) {
                Ok(listed) => listing.containers.push(listed),
                // It has been removed meanwhile.
                Err(ContainersError::NotFound(_)) => {}
                Err(error) => listing.damaged.push(error),
            }
        }
        listing.containers.sort_by(|one, other| {
            let (one, other) = (&one.container, &other.container);
            other.created.cmp(&one.created).then_with(|| one.name.cmp(&other.name))
        });
        Ok(listing)
    }

    /// Nothing, or why some containers could not be read.
    ///
    /// # Errors
    /// The first of the reasons; the number of the others is not told, since each names a way to find them.
    pub fn into_result(self) -> Result<(), ContainersError> {
        self.damaged.into_iter().next().map_or(Ok(()), Err)
    }
}

impl Listed {
    /// Reads one container.
    ///
    /// # Errors
    /// [`ContainersError`].
    pub fn read(containers: &Containers, id: &str) -> Result<Self, ContainersError> {
        Ok(Self { container: containers.load(id)?, state: containers.state(id)? })
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.container.config.image.labels
    }

    /// The names of its networks, or the word for what it has in their place.
    #[must_use]
    pub fn networks(&self) -> Vec<String> {
        let mode = &self.container.host_config.network_mode;
        if mode == "host" || mode == "none" {
            return vec![mode.clone()];
        }
        self.container.networks.iter().map(|attachment| attachment.network.clone()).collect()
    }

    /// What stands in the column of the image.
    #[must_use]
    pub fn image(&self) -> String {
        use crate::container::Root;
        match (&self.container.image, &self.container.root) {
            (Some(image), _) => image.name.clone(),
            (None, Root::View(path) | Root::Directory(path)) => path.to_string_lossy().into_owned(),
            (None, Root::Layers(_)) => String::new(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::container::Root;

    /// A container of this name that has never been started.
    pub(crate) fn listed(name: &str) -> Listed {
        let container = Container {
            id: format!("{:0<64}", name.bytes().map(|byte| format!("{byte:02x}")).collect::<String>()),
            name: name.to_owned(),
            created: "2024-05-01T12:00:00.000000000Z".to_owned(),
            image: None,
            root: Root::View("/".into()),
            config: Default::default(),
            host_config: Default::default(),
            mounts: Vec::new(),
            networks: Vec::new(),
        };
        Listed { container, state: State::default() }
    }
}
