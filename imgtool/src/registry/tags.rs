//! The tags of a repository (distribution-spec 1.1, "Listing Tags").

use super::client::Client;
use super::error::RegistryError;
use super::http::Method;
use super::referrers::following;
use super::session::{Access, Ask, Content, Session};
use crate::image::DOCUMENT_LIMIT;
use serde::Deserialize;

/// How many pages of a list are read. A registry that never ends is not waited for.
const PAGE_LIMIT: usize = 1000;

/// One page; a repository whose tags are all gone has `null`.
#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Client {
    /// The tags of the repository, in the registry's order.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn tags(&self) -> Result<Vec<String>, RegistryError> {
        self.first(listed)
    }
}

fn listed(session: &Session) -> Result<Vec<String>, RegistryError> {
    let mut tags = Vec::new();
    let mut next = Some(session.url("tags/list"));
    for _ in 0..PAGE_LIMIT {
        let Some(url) = next else { break };
        let headers = vec![("accept", "application/json".to_owned())];
        let scope = session.scope(Access::Pull);
        let ask = Ask { method: Method::Get, url, headers, content: Content::None, scope };
        let mut response = session.send(&ask)?;
        let what = format!("the tags of {}", session.endpoint().repository);
        if response.status != 200 {
            return Err(session.failure(&ask, response, &what));
        }
        next = response.header("link").and_then(|link| following(&ask.url, link));
        let origin = response.url.origin.clone();
        let bytes = response.read(DOCUMENT_LIMIT);
        let bytes = bytes.map_err(|source| RegistryError::Broken { origin: origin.clone(), source })?;
        let limit = DOCUMENT_LIMIT;
        let too_long = RegistryError::TooLong { what: "a list of tags", origin: origin.clone(), limit };
        let page: Page = serde_json::from_slice(&bytes.ok_or(too_long)?)
            .map_err(|source| RegistryError::Broken { origin, source: source.into() })?;
        tags.extend(page.tags.unwrap_or_default());
    }
    Ok(tags)
}
