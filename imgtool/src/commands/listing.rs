//! The images of the store, as lists show them.

use crate::cli::{Moment, chain};
use crate::digest::Digest;
use crate::image::{Descriptor, INDEX_ANNOTATION};
use crate::reference::Reference;
use crate::store::{Image, Store, StoreError};
use std::collections::HashMap;
use std::fmt;

/// An image under one of its names.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    /// `None` for an entry that another program has made without one.
    pub name: Option<Reference>,
    pub target: Descriptor,
    pub image: Image,
    pub created: Option<Moment>,
}

/// All images.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub images: Vec<Listed>,
    pub unreadable: Unreadable,
}

/// Images of which a document is missing or damaged, and why.
#[derive(Debug, Default)]
pub struct Unreadable(Vec<(String, StoreError)>);

impl Unreadable {
    /// Nothing, if there is none.
    pub fn into_result(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, error)) in self.0.iter().enumerate() {
            let between = if place > 0 { "; " } else { "" };
            write!(formatter, "{between}image {name}: {}", chain(error))?;
        }
        Ok(())
    }
}

/// Reads each image once, however many names it has; the newest comes first.
pub(super) fn list(store: &Store) -> Result<Listing, StoreError> {
    let mut known: HashMap<Digest, Image> = HashMap::new();
    let mut listing = Listing::default();
    for (name, target) in store.entries()? {
        let image = match known.get(&target.digest) {
            Some(image) => Ok(image.clone()),
            None => store.image(&target),
        };
        match image {
            Ok(image) => {
                known.insert(target.digest.clone(), image.clone());
                let created = image.config.created.as_deref().and_then(Moment::of_image);
                listing.images.push(Listed { name, target, image, created });
            }
            // Somebody has removed it since its name was read.
            Err(_) if !store.entries()?.contains(&(name.clone(), target.clone())) => {}
            Err(error) => {
                let name = name.map_or_else(|| target.digest.to_string(), |name| name.familiar());
                listing.unreadable.0.push((name, error));
            }
        }
    }
    let newest = |one: &Listed, other: &Listed| {
        other.created.cmp(&one.created).then_with(|| one.name.cmp(&other.name))
    };
    listing.images.sort_by(newest);
    Ok(listing)
}

/// The digest that a registry gives for an image: that of the index that it was chosen from, if there was one.
pub(super) fn digest_in_registry(target: &Descriptor) -> &str {
    let index = target.annotations.get(INDEX_ANNOTATION).map(String::as_str);
    index.unwrap_or(target.digest.as_str())
}

impl Listed {
    /// What docker calls the repository.
    pub(super) fn repository(&self) -> String {
        self.name.as_ref().map_or_else(|| "<none>".to_owned(), Reference::familiar_name)
    }

    /// Its tag.
    pub(super) fn tag(&self) -> &str {
        self.name.as_ref().and_then(Reference::tag).unwrap_or("<none>")
    }
}
