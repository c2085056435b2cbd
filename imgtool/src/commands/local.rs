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
    #[error("{0:?} is not in the image store; 'mydocker-img images' lists what is")]
    None(String),
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

/// Finds an image by its name or, if there is no such name, by the beginning of its id.
///
/// # Errors
/// [`FindError`].
pub fn find(store: &Store, text: &str) -> Result<Found, FindError> {
    let mut ids: HashMap<Digest, Digest> = HashMap::new();
    let mut all = Vec::new();
    for (name, target) in store.names()? {
        let id = match ids.get(&target.digest) {
            Some(id) => id.clone(),
            None => store.image(&target)?.id().clone(),
        };
        ids.insert(target.digest.clone(), id.clone());
        all.push((name, target, id));
    }
    let by_name = Reference::parse(text).map(Reference::or_latest);
    let named = by_name.as_ref().ok().and_then(|name| all.iter().find(|(known, _, _)| known == name));
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_id = !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let with_id = || all.iter().filter(|(_, _, id)| is_id && id.hex().starts_with(&hex.to_ascii_lowercase()));
    let (_, target, id) = match (named, with_id().next()) {
        (Some(named), _) => named,
        (None, Some(first)) if with_id().any(|other| other.2 != first.2) => {
            return Err(FindError::Several(text.to_owned()));
        }
        (None, Some(first)) => first,
        // What is no name either is told with the character that does not fit.
        (None, None) => {
            return Err(by_name.err().map_or_else(|| FindError::None(text.to_owned()), Into::into));
        }
    };
    let names = all.iter().filter(|(_, _, other)| other == id).map(|(name, _, _)| name.clone()).collect();
    Ok(Found { id: id.clone(), target: target.clone(), name: named.map(|(name, _, _)| name.clone()), names })
}
