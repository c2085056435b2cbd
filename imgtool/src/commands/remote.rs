//! `inspect --remote`: what a registry has, with nothing put into the store.

use super::inspect::indented;
use crate::cli::{Context, InspectArgs, Template, TemplateError, print_value};
use crate::digest::Digest;
use crate::image::DOCUMENT_LIMIT;
use crate::platform::{Platform, PlatformError};
use crate::reference::Reference;
use crate::registry::{Client, HostsError, Operation, RegistryError};
use crate::resolve::{Image, ResolveError, Resolved, Wanted, resolve};
use crate::store::{Store, StoreError};
use serde::Serialize;
use serde_json::{Value, json};
use std::io;

/// Why an image in a registry is not shown.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The platform is none.
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The name leads nowhere.
    #[error("cannot inspect {0}")]
    Resolve(Reference, #[source] Box<ResolveError>),
    /// The registry.
    #[error("cannot inspect {0}")]
    Registry(Reference, #[source] RegistryError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Shows images of registries.
///
/// # Errors
/// [`RemoteError`], of the first that cannot be shown.
pub(super) fn inspect_remote(args: &InspectArgs, context: &Context) -> Result<(), RemoteError> {
    let template =
        args.format.as_deref().filter(|format| !format.is_empty()).map(Template::of_value).transpose()?;
    let connection = context.connection(&args.registry)?;
    let store = context.store()?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let wanted = Wanted::One(platform.unwrap_or_else(Platform::host));
    for name in &args.images {
        let reference = connection.hosts.expand(name)?.or_latest();
        let client = connection.client(&reference, Operation::Pull)?;
        let remote = Remote {
            reference: &reference,
            client: &client,
            store: &store,
            wanted: &wanted,
            tags: !args.no_tags,
        };
        let text = match &template {
            _ if args.raw => remote.manifest()?,
            _ if args.config => remote.configuration()?,
            Some(template) => {
                let shown = serde_json::to_value(remote.shown()?).map_err(io::Error::from)?;
                template.render_value(&shown)? + "\n"
            }
            None => indented(&remote.shown()?)? + "\n",
        };
        print_value(&text)?;
    }
    Ok(())
}

struct Remote<'a> {
    reference: &'a Reference,
    client: &'a Client,
    store: &'a Store,
    wanted: &'a Wanted,
    /// Whether the tags beside the one asked for are of interest.
    tags: bool,
}

impl Remote<'_> {
    /// The manifest or index that the name stands for, byte by byte.
    fn manifest(&self) -> Result<String, RemoteError> {
        let fetched = self.client.manifest(self.reference.version());
        let fetched = fetched.map_err(|error| RemoteError::Registry(self.reference.clone(), error))?;
        Ok(String::from_utf8_lossy(&fetched.bytes).into_owned())
    }

    fn configuration(&self) -> Result<String, RemoteError> {
        let (resolved, image) = self.resolve()?;
        let digest = &image.manifest.config.digest;
        let here = resolved.documents.iter().find(|kept| kept.descriptor.digest == *digest);
        let bytes = match here {
            Some(kept) => kept.bytes.clone(),
            None => self.store.read_blob(digest, DOCUMENT_LIMIT)?,
        };
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn resolve(&self) -> Result<(Resolved, Image), RemoteError> {
        // What is found in the store must not go away before it is read.
        let _hold = self.store.hold()?;
        let failed = |error| RemoteError::Resolve(self.reference.clone(), Box::new(error));
        let resolved = resolve(self.client, self.store, self.reference, self.wanted).map_err(failed)?;
        let image = resolved.images.first().cloned().ok_or_else(|| failed(ResolveError::NoImage))?;
        Ok((resolved, image))
    }

    fn shown(&self) -> Result<Shown, RemoteError> {
        let (resolved, image) = self.resolve()?;
        let tags = self.tags.then(|| self.client.tags()).transpose();
        let tags = tags.map_err(|error| RemoteError::Registry(self.reference.clone(), error))?;
        let layers_data = |layer: &crate::image::Descriptor| {
            json!({
                "MIMEType": layer.media_type, "Digest": layer.digest, "Size": layer.size,
                "Annotations": if layer.annotations.is_empty() { Value::Null } else { json!(layer.annotations) },
            })
        };
        let config = image.config;
        Ok(Shown {
            name: self.reference.name(),
            digest: resolved.digest,
            repo_tags: tags.unwrap_or_default(),
            created: config.created.unwrap_or_default(),
            docker_version: config.other.get("docker_version").cloned().unwrap_or_else(|| "".into()),
            labels: if config.config.labels.is_empty() { Value::Null } else { json!(config.config.labels) },
            architecture: config.architecture,
            variant: config.variant.unwrap_or_default(),
            os: config.os,
            layers: image.manifest.layers.iter().map(|layer| layer.digest.clone()).collect(),
            layers_data: image.manifest.layers.iter().map(layers_data).collect(),
            env: config.config.env,
        })
    }
}

/// What skopeo tells, in its order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    name: String,
    digest: Digest,
    repo_tags: Vec<String>,
    created: String,
    docker_version: Value,
    labels: Value,
    architecture: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    variant: String,
    os: String,
    layers: Vec<Digest>,
    layers_data: Vec<Value>,
    env: Vec<String>,
}
