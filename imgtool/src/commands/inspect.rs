//! `inspect`: all that is known of an image, in docker's shape; of one in a registry, in skopeo's.

use super::listing::digest_in_registry;
use super::local::{FindError, Found, find};
use super::remote::{RemoteError, inspect_remote};
use crate::cli::{Context, InspectArgs, RegistryArgs, Template, TemplateError, print_value};
use crate::image::{DOCUMENT_LIMIT, Descriptor};
use crate::reference::Reference;
use crate::store::{Image, Store, StoreError};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io;

/// Why an image is not shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// There is no such image.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is in a registry.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Flags that have no meaning for the images of this host.
    #[error("flags about registries and --platform are for images in a registry; add --remote")]
    NotRemote,
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Shows images.
///
/// # Errors
/// [`InspectError`], of the first image that is not found; those that are have been shown.
pub fn inspect(args: &InspectArgs, context: &Context) -> Result<(), InspectError> {
    if args.remote {
        return Ok(inspect_remote(args, context)?);
    }
    if args.registry != RegistryArgs::default() || args.platform.is_some() {
        return Err(InspectError::NotRemote);
    }
    let template =
        args.format.as_deref().filter(|format| !format.is_empty()).map(Template::of_value).transpose()?;
    let store = context.store()?;
    let mut failure = None;
    let mut shown = Vec::new();
    for name in &args.images {
        match one(args, &store, name) {
            Ok(Shown::Document(bytes)) => print_value(&String::from_utf8_lossy(&bytes))?,
            Ok(Shown::Image(image)) => shown.push(*image),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match template {
        Some(template) => {
            for image in &shown {
                let image = serde_json::to_value(image).map_err(io::Error::from)?;
                print_value(&(template.render_value(&image)? + "\n"))?;
            }
        }
        None if args.raw || args.config => {}
        None => print_value(&(indented(&shown)? + "\n"))?,
    }
    failure.map_or(Ok(()), Err)
}

/// What is shown of an image of the store.
///
/// # Errors
/// [`InspectError`].
pub fn describe(store: &Store, found: &Found) -> Result<Value, InspectError> {
    let image = store.image(&found.target)?;
    let document = serde_json::to_value(Inspected::new(store, found, &image)?);
    Ok(document.map_err(io::Error::from)?)
}

enum Shown {
    Document(Vec<u8>),
    Image(Box<Inspected>),
}

fn one(args: &InspectArgs, store: &Store, name: &str) -> Result<Shown, InspectError> {
    let found = find(store, name)?;
    if args.raw {
        return Ok(Shown::Document(store.read_blob(&found.target.digest, DOCUMENT_LIMIT)?));
    }
    if args.config {
        return Ok(Shown::Document(store.read_blob(&found.id, DOCUMENT_LIMIT)?));
    }
    let image = store.image(&found.target)?;
    Ok(Shown::Image(Box::new(Inspected::new(store, &found, &image)?)))
}

/// JSON as docker prints it.
pub(super) fn indented(value: &impl Serialize) -> Result<String, io::Error> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    value.serialize(&mut serializer)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What docker tells of an image (`docker image inspect`, API 1.50), in its order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: String,
    created: String,
    docker_version: String,
    author: String,
    config: Value,
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    os_version: String,
    size: u64,
    graph_driver: Value,
    #[serde(rename = "RootFS")]
    root_fs: Value,
    metadata: Value,
    descriptor: Descriptor,
}

impl Inspected {
    fn new(store: &Store, found: &Found, image: &Image) -> Result<Self, StoreError> {
        let config = &image.config;
        let other =
            |name: &str| config.other.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let last = config.history.last();
        Ok(Self {
            id: found.id.to_string(),
            repo_tags: found
                .names
                .iter()
                .filter(|name| name.tag().is_some())
                .map(Reference::familiar)
                .collect(),
            repo_digests: repo_digests(store, found)?,
            parent: "",
            comment: last.and_then(|last| last.comment.clone()).unwrap_or_default(),
            created: config.created.clone().unwrap_or_default(),
            docker_version: other("docker_version"),
            author: config.author.clone().unwrap_or_default(),
            config: container_config(image),
            architecture: config.architecture.clone(),
            variant: config.variant.clone().unwrap_or_default(),
            os: config.os.clone(),
            os_version: other("os.version"),
            size: store.image_size(image),
            graph_driver: graph_driver(store, image),
            root_fs: json!({ "Type": "layers", "Layers": config.rootfs.diff_ids }),
            // When names were given is not written down; that is what docker says then.
            metadata: json!({ "LastTagTime": "0001-01-01T00:00:00Z" }),
            descriptor: image.target.clone(),
        })
    }
}

/// The names with the digest that a registry gives for each: under two names, one image may have two manifests.
fn repo_digests(store: &Store, found: &Found) -> Result<Vec<String>, StoreError> {
    let named = store.entries()?.into_iter().filter_map(|(name, target)| Some((name?, target)));
    let of_image = named.filter(|(name, _)| found.names.contains(name));
    let mut digests: Vec<_> = of_image
        .map(|(name, target)| format!("{}@{}", name.familiar_name(), digest_in_registry(&target)))
        .collect();
    digests.sort();
    digests.dedup();
    Ok(digests)
}

/// The configuration, with the fields that docker always has.
fn container_config(image: &Image) -> Value {
    let mut fields = match serde_json::to_value(&image.config.config) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    for name in ["Cmd", "Entrypoint", "Env", "Labels", "OnBuild", "Volumes"] {
        fields.entry(name).or_insert(Value::Null);
    }
    for name in ["User", "WorkingDir"] {
        fields.entry(name).or_insert_with(|| "".into());
    }
    Value::Object(fields)
}

/// Where the layers lie, those that are unpacked, as overlayfs is given them: the highest first.
fn graph_driver(store: &Store, image: &Image) -> Value {
    let here = store.layers(image).into_iter().rev().filter_map(|layer| layer.path);
    let mut layers = here.map(|path| path.display().to_string());
    let mut data = Map::new();
    if let Some(upper) = layers.next() {
        data.insert("UpperDir".to_owned(), upper.into());
    }
    let lower: Vec<_> = layers.collect();
    if !lower.is_empty() {
        data.insert("LowerDir".to_owned(), lower.join(":").into());
    }
    json!({ "Name": "overlay2", "Data": data })
}
