//! `referrers`: what a registry has about an image.

use crate::cli::{Context, ReferrersArgs, Row, Template, TemplateError, human_size, is_usual};
use crate::digest::Digest;
use crate::image::Descriptor;
use crate::reference::Reference;
use crate::registry::{Client, HostsError, Operation, RegistryError};
use mydocker_cmdline::{one_line, print};
use std::io;

/// The fields of a row, and the titles of their columns.
const TITLES: &[(&str, &str)] = &[
    ("Annotations", "ANNOTATIONS"),
    ("ArtifactType", "ARTIFACT TYPE"),
    ("Digest", "DIGEST"),
    ("MediaType", "MEDIA TYPE"),
    ("Size", "SIZE"),
];

/// Why referrers are not listed.
#[derive(Debug, thiserror::Error)]
pub enum ReferrersError {
    /// It is not known whom to ask.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The registry.
    #[error("cannot list what refers to {0}")]
    Registry(Reference, #[source] RegistryError),
    /// `--format`.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[from] io::Error),
}

/// Lists the manifests of a registry whose subject is an image.
///
/// # Errors
/// [`ReferrersError`].
pub fn referrers(args: &ReferrersArgs, context: &Context) -> Result<(), ReferrersError> {
    let known: Vec<_> = TITLES.iter().map(|(field, _)| *field).collect();
    let usual = "table {{.Digest}}\\t{{.ArtifactType}}\\t{{.Size}}";
    let format = args.format.as_deref().filter(|format| !is_usual(format)).unwrap_or(usual);
    let template = Template::parse(format, &known)?;
    let connection = context.connection(&args.registry)?;
    let reference = connection.hosts.expand(&args.image)?.or_latest();
    let client = connection.client(&reference, Operation::Pull)?;
    let failed = |error| ReferrersError::Registry(reference.clone(), error);
    let digest = digest(&client, &reference).map_err(failed)?;
    let mut found = client.referrers(&digest).map_err(failed)?;
    found.retain(|one| args.artifact_type.is_none() || args.artifact_type == one.artifact_type);
    let rows: Vec<Row> = found.iter().map(row).collect();
    Ok(print(&template.render(TITLES, &rows)?)?)
}

/// The digest that the registry has for the name.
fn digest(client: &Client, reference: &Reference) -> Result<Digest, RegistryError> {
    if let Some(digest) = reference.digest() {
        return Ok(digest.clone());
    }
    match client.digest_of(reference.version())? {
        Some(digest) => Ok(digest),
        None => Ok(client.manifest(reference.version())?.digest),
    }
}

fn row(found: &Descriptor) -> Row {
    let annotations: Vec<_> =
        found.annotations.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let values = [
        annotations.join(","),
        found.artifact_type.clone().unwrap_or_else(|| "<none>".to_owned()),
        found.digest.to_string(),
        found.media_type.to_string(),
        human_size(found.size),
    ];
    TITLES.iter().zip(values).map(|((field, _), value)| (*field, one_line(&value))).collect()
}
