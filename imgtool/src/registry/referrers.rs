//! What refers to a manifest: signatures, attestations, lists of what is in an image (distribution-spec 1.1, "Listing
//! Referrers").

use super::client::Client;
use super::error::RegistryError;
use super::http::Method;
use super::session::{Access, Ask, Content, Session};
use super::url::Url;
use crate::digest::Digest;
use crate::image::{DOCUMENT_LIMIT, Descriptor, Document, MediaType};

/// How many pages of a list are read. A registry that never ends is not waited for.
const PAGE_LIMIT: usize = 100;

impl Client {
    /// The manifests whose subject is `digest`. A registry that does not know the question has them in an index under a tag.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, RegistryError> {
        if let Some(found) = self.first(|session| listed(session, digest))? {
            return Ok(found);
        }
        let tag = format!("{}-{}", digest.algorithm().name(), digest.hex());
        match self.manifest(&tag) {
            Err(RegistryError::NotFound { .. }) => Ok(Vec::new()),
            other => Ok(match other?.document {
                Document::Index(index) => index.manifests,
                Document::Manifest(_) => Vec::new(),
            }),
        }
    }
}

/// `None` if the registry does not know the question.
fn listed(session: &Session, digest: &Digest) -> Result<Option<Vec<Descriptor>>, RegistryError> {
    let mut found = Vec::new();
    let mut next = Some(session.url(&format!("referrers/{digest}")));
    for _ in 0..PAGE_LIMIT {
        let Some(url) = next else { break };
        let ask = Ask {
            method: Method::Get,
            url,
            headers: vec![("accept", MediaType::OCI_INDEX.to_owned())],
            content: Content::None,
            scope: session.scope(Access::Pull),
        };
        let mut response = session.send(&ask)?;
        match response.status {
            200 => {}
            404 | 405 | 501 => return Ok(None),
            _ => return Err(session.failure(&ask, response, &format!("the referrers of {digest}"))),
        }
        next = response.header("link").and_then(|link| following(&ask.url, link));
        let origin = response.url.origin.clone();
        let bytes = response.read(DOCUMENT_LIMIT);
        let bytes = bytes.map_err(|source| RegistryError::Broken { origin: origin.clone(), source })?;
        let limit = DOCUMENT_LIMIT;
        let bytes = bytes.ok_or(RegistryError::TooLong { what: "a list of referrers", origin, limit })?;
        match Document::parse(&bytes, Some(&MediaType::new(MediaType::OCI_INDEX))) {
            Ok(Document::Index(index)) => found.extend(index.manifests),
            // Something that answers every question with a page of its own.
            _ => return Ok(None),
        }
    }
    Ok(Some(found))
}

/// The next page, if it is on the same server: `<URL>; rel="next"` (RFC 8288).
pub(super) fn following(here: &Url, link: &str) -> Option<Url> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = rest.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
    here.join(target).ok().filter(|url| is_next && url.origin == here.origin)
}
