//! A registry that is right in everything but in what the test makes wrong.

use super::image::{SampleImage, sha256};
use super::server::{Reply, Request, Server};
use std::collections::HashMap;

/// What a registry has.
#[derive(Debug, Clone, Default)]
pub struct Served {
    manifests: HashMap<String, (String, Vec<u8>)>,
    blobs: HashMap<String, Vec<u8>>,
}

impl Served {
    /// An image under a tag.
    #[must_use]
    pub fn image(tag: &str, image: &SampleImage) -> Self {
        let mut served = Self::default();
        served.add(image);
        served.manifest(tag, &image.media_type, &image.manifest);
        served
    }

    /// Adds an image without a tag.
    pub fn add(&mut self, image: &SampleImage) {
        self.manifest(&image.digest(), &image.media_type, &image.manifest);
        for blob in image.layers.iter().chain([&image.config]) {
            self.blobs.insert(sha256(blob), blob.clone());
        }
    }

    /// Adds a manifest or index under a tag or digest.
    pub fn manifest(&mut self, version: &str, media_type: &str, bytes: &[u8]) {
        self.manifests.insert(version.to_owned(), (media_type.to_owned(), bytes.to_owned()));
    }

    /// Adds a blob under a digest, of whatever algorithm.
    pub fn blob(&mut self, digest: &str, bytes: &[u8]) {
        self.blobs.insert(digest.to_owned(), bytes.to_owned());
    }

    /// What a good registry answers.
    #[must_use]
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if path == "/v2/" {
            return Reply::new(200, "{}");
        }
        if path.contains("/manifests/") {
            return match self.manifests.get(name) {
                Some((media_type, bytes)) => Reply::new(200, bytes.clone())
                    .header("content-type", media_type)
                    .header("docker-content-digest", sha256(bytes)),
                None => missing("MANIFEST_UNKNOWN"),
            };
        }
        match self.blobs.get(name) {
            Some(blob) => part(request, blob),
            None => missing("BLOB_UNKNOWN"),
        }
    }
}

fn missing(code: &str) -> Reply {
    Reply::new(404, format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"it is not here\"}}]}}"))
}

/// A blob, or its end if that is asked for.
fn part(request: &Request, blob: &[u8]) -> Reply {
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    match range.and_then(|text| text.parse::<usize>().ok()) {
        Some(first) if first < blob.len() => {
            let range = format!("bytes {first}-{}/{}", blob.len() - 1, blob.len());
            Reply::new(206, &blob[first..]).header("content-range", range)
        }
        _ => Reply::new(200, blob),
    }
}

/// A registry of the test's own.
pub struct FakeRegistry {
    /// What it was asked.
    pub server: Server,
}

impl FakeRegistry {
    /// A good registry.
    #[must_use]
    pub fn good(served: Served) -> Self {
        Self::start(served, |_, good| good)
    }

    /// A registry whose answers go through `change` before they are sent.
    #[must_use]
    pub fn start(served: Served, change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static) -> Self {
        Self { server: Server::start(move |request| change(request, served.answer(request))) }
    }

    /// The name of an image in it.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.server.host())
    }
}
