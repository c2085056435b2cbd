//! Finding an image of the store by what people call it.

use crate::digest::Digest;
use crate::image::Descriptor;
use crate::reference::{Reference, ReferenceError};
use crate::store::{Store, StoreError};
use std::collections::HashMap;

/// Why an image is not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is neither a name nor an id.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Nothing is called so.
    #[error("No such image: {0}; 'images' lists those that there are")]
    None(String),
    /// It was what a bundle began as.
    #[error(
        "the image that the bundle began as, {0}, is not in the image store any more; pull or load it again"
    )]
    Base(String),
    /// Several images have ids that begin so.
    #[error("{0:?} is the beginning of several ids; give more of it")]
    Several(String),
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The digest of its configuration.
    pub id: Digest,
    /// What is recorded under its names.
    pub target: Descriptor,
    /// The name by which it was found; `None` if it was found by its id.
    pub name: Option<Reference>,
    /// All of its names.
    pub names: Vec<Reference>,
}

/// Finds an image by its name or, if there is no such name, by the beginning of its id. Other images may be damaged.
///
/// # Errors
/// [`FindError`].
pub fn find(store: &Store, text: &str) -> Result<Found, FindError> {
    let by_name = Reference::parse(text).map(Reference::or_latest);
    let all = store.entries()?;
    let is_named =
        |known: &Option<Reference>| known.as_ref().is_some_and(|known| by_name.as_ref() == Ok(known));
    let named = all.iter().find(|(known, _)| is_named(known));
    let (id, target, name) = match named {
        Some((Some(name), target)) => (store.image(target)?.id().clone(), target.clone(), Some(name.clone())),
        _ => match by_id(text, &ids(store, &all))? {
            Some((id, target)) => (id, target, None),
            None => return Err(not_found(text, by_name.err())),
        },
    };
    let is_it = |other: &Descriptor| {
        other.digest == target.digest || store.image(other).is_ok_and(|image| *image.id() == id)
    };
    let names = all.iter().filter(|(_, other)| is_it(other)).filter_map(|(name, _)| name.clone()).collect();
    Ok(Found { id, target, name, names })
}

/// What is no name either is told with the character that does not fit; an id is no name, and there may be such an image
/// elsewhere.
fn not_found(text: &str, error: Option<ReferenceError>) -> FindError {
    match error {
        None | Some(ReferenceError::Id(_)) => FindError::None(text.to_owned()),
        Some(error) => error.into(),
    }
}

/// Finds the image that a bundle began as, by its id.
///
/// # Errors
/// [`FindError`].
pub fn find_base(store: &Store, id: &str) -> Result<Found, FindError> {
    find(store, id).map_err(|error| match error {
        FindError::None(id) => FindError::Base(id),
        other => other,
    })
}

/// The ids of the images that can be read.
fn ids(store: &Store, all: &[(Option<Reference>, Descriptor)]) -> HashMap<Digest, (Digest, Descriptor)> {
    let mut ids = HashMap::new();
    for (_, target) in all {
        if !ids.contains_key(&target.digest)
            && let Ok(image) = store.image(target)
        {
            ids.insert(target.digest.clone(), (image.id().clone(), target.clone()));
        }
    }
    ids
}

fn by_id(
    text: &str,
    ids: &HashMap<Digest, (Digest, Descriptor)>,
) -> Result<Option<(Digest, Descriptor)>, FindError> {
    let (algorithm, hex) = text.split_once(':').map_or((None, text), |(name, hex)| (Some(name), hex));
    let hex = hex.to_ascii_lowercase();
    if hex.is_empty() || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let is_it = |id: &Digest| {
        id.hex().starts_with(&hex) && algorithm.is_none_or(|name| name == id.algorithm().name())
    };
    let mut fitting = ids.values().filter(|(id, _)| is_it(id));
    let first = fitting.next();
    match first {
        Some(first) if fitting.any(|other| other.0 != first.0) => Err(FindError::Several(text.to_owned())),
        first => Ok(first.cloned()),
    }
}
