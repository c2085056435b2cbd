//! `inspect`: all about containers, images, volumes and networks.

use super::ps::sizes;
use crate::cli::{InspectArgs, Outcome};
use crate::commands::{images, networks, volumes};
use crate::container::{Containers, ContainersError};
use crate::home::Home;
use crate::look::{Listed, document, inspect as describe};
use crate::network::{NetworkError, Networks};
use crate::volume::{VolumeError, Volumes};
use serde_json::Value;
use std::error::Error;

/// What a name can stand for, in the order in which it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A volume.
    Volume,
    /// A network.
    Network,
}

/// Why something cannot be told of.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Nothing is called so.
    #[error("No such object: {0}")]
    NotFound(String),
    /// There are no such things.
    #[error("{0:?} is not a valid value for --type; there are container, image, network and volume")]
    Type(String),
}

type Found = Result<Option<Value>, Box<dyn Error>>;

/// Tells all about things of any type.
///
/// # Errors
/// A type or a format that is none; standard output.
pub fn inspect(args: &InspectArgs, home: &Home) -> Outcome {
    let wanted = args.kind.as_deref().filter(|kind| !kind.is_empty()).map(parse_type).transpose()?;
    let all = [Type::Container, Type::Image, Type::Volume, Type::Network];
    document::print_each(&args.names, args.format.as_deref(), |name| {
        for kind in all.into_iter().filter(|kind| wanted.is_none_or(|wanted| wanted == *kind)) {
            if let Some(found) = look_for(kind, name, args.size, home)? {
                return Ok(found);
            }
        }
        Err::<Value, Box<dyn Error>>(match wanted {
            Some(Type::Container) => ContainersError::NotFound(name.to_owned()).into(),
            Some(Type::Volume) => VolumeError::NotFound(name.to_owned()).into(),
            Some(Type::Image) => format!("No such image: {name}").into(),
            Some(Type::Network) => NetworkError::NotFound(name.to_owned()).into(),
            None => InspectError::NotFound(name.to_owned()).into(),
        })
    })
}

fn parse_type(word: &str) -> Result<Type, InspectError> {
    match word {
        "container" => Ok(Type::Container),
        "image" => Ok(Type::Image),
        "volume" => Ok(Type::Volume),
        "network" => Ok(Type::Network),
        other => Err(InspectError::Type(other.to_owned())),
    }
}

fn look_for(kind: Type, name: &str, with_size: bool, home: &Home) -> Found {
    match kind {
        Type::Container => container(name, with_size, home),
        Type::Image => images::document(name, home),
        Type::Volume => match Volumes::open(home)?.find(name) {
            Err(VolumeError::NotFound(_)) => Ok(None),
            found => Ok(Some(volumes::to_json(&found?))),
        },
        Type::Network => {
            let all = Networks::open(home)?;
            match all.find(name) {
                Err(NetworkError::NotFound(_)) => Ok(None),
                found => Ok(Some(networks::to_json(&all, &Containers::open(home)?, &found?)?)),
            }
        }
    }
}

fn container(name: &str, with_size: bool, home: &Home) -> Found {
    let containers = Containers::open(home)?;
    let id = match containers.find_id(name) {
        Err(ContainersError::NotFound(_)) => return Ok(None),
        found => found?,
    };
    let listed = Listed::read(&containers, &id)?;
    let sizes = if with_size { Some(sizes(home, &listed)?) } else { None };
    let sizes = sizes.map(|(own, below)| (own, own + below));
    Ok(Some(describe::document(home, &listed, sizes)))
}
