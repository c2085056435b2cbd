//! Manifests and blobs of one repository, from the servers that may have them.

use super::error::{RegistryError, is_transient};
use super::http::{Http, Method, Response};
use super::retry::Cancel;
use super::session::{Access, Ask, Content, Session};
use super::upload::{self, Pushed};
use super::url::Origin;
use super::{Endpoint, Hosts, HostsError, Operation};
use crate::credentials::Credentials;
use crate::digest::Digest;
use crate::image::{DOCUMENT_LIMIT, Document, MediaType};
use crate::reference::Reference;
use crate::store::VerifiedBlob;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is understood, for `Accept`.
const MANIFESTS: &[&str] =
    &[MediaType::OCI_INDEX, MediaType::OCI_MANIFEST, MediaType::DOCKER_LIST, MediaType::DOCKER_MANIFEST];

/// A repository, by way of all servers that may have it.
#[derive(Debug)]
pub struct Client {
    sessions: Vec<Session>,
    /// The server that had the image: it is asked first from then on.
    preferred: AtomicUsize,
}

/// A manifest or index as it came, with its digest.
#[derive(Debug)]
pub struct FetchedManifest {
    /// Its bytes, which the digest is about.
    pub bytes: Vec<u8>,
    /// Its digest, computed here.
    pub digest: Digest,
    /// What it was announced as; what it calls itself, if it was not.
    pub media_type: MediaType,
    /// What it says.
    pub document: Document,
}

/// A blob that comes.
#[derive(Debug)]
pub struct BlobBody {
    response: Response,
}

impl Client {
    /// The servers that the configuration has for a reference.
    ///
    /// # Errors
    /// [`HostsError`].
    pub fn new(
        reference: &Reference,
        operation: Operation,
        hosts: &Hosts,
        http: &Arc<Http>,
        credentials: &Arc<Credentials>,
        cancel: &Arc<Cancel>,
    ) -> Result<Self, HostsError> {
        let session = |endpoint: Endpoint| {
            Session::new(endpoint, Arc::clone(http), Arc::clone(credentials), Arc::clone(cancel))
        };
        let sessions = hosts.endpoints(reference, operation)?.into_iter().map(session).collect();
        Ok(Self { sessions, preferred: AtomicUsize::new(0) })
    }

    /// The server that had the image, or the first.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.sessions[self.preferred.load(Ordering::Relaxed) % self.sessions.len()]
    }

    /// What the servers warned of.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.sessions.iter().flat_map(Session::warnings).collect()
    }

    /// Asks the servers one after the other until one answers; what the last one says is the error, for it is the
    /// registry itself.
    pub(super) fn first<T>(
        &self,
        ask: impl Fn(&Session) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let preferred = self.preferred.load(Ordering::Relaxed) % self.sessions.len();
        let others = (0..self.sessions.len()).filter(|index| *index != preferred);
        let mut failed: Option<RegistryError> = None;
        let mut settled = None;
        for index in std::iter::once(preferred).chain(others) {
            if settled == Some(index) {
                continue;
            }
            match ask(&self.sessions[index]) {
                Ok(found) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(found);
                }
                Err(RegistryError::Cancelled) => return Err(RegistryError::Cancelled),
                Err(error) => {
                    settled = self.other_way(index).filter(|_| !error.is_about_speaking()).or(settled);
                    failed = Some(telling(failed, error));
                }
            }
        }
        Err(failed.unwrap_or(RegistryError::Cancelled))
    }

    /// The session that speaks with the same server in another way, of the two that are tried out.
    fn other_way(&self, index: usize) -> Option<usize> {
        if self.sessions[index].endpoint().guessed {
            return Some(index + 1);
        }
        index.checked_sub(1).filter(|before| self.sessions[*before].endpoint().guessed)
    }

    /// Fetches a manifest or index by tag or digest.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn manifest(&self, version: &str) -> Result<FetchedManifest, RegistryError> {
        self.first(|session| fetch_manifest(session, version))
    }

    /// The digest that a tag stands for now, as the registry says it, without fetching; `None` if it does not say.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn digest_of(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        self.first(|session| {
            let ask = manifest_ask(session, Method::Head, tag);
            let response = session.send(&ask)?;
            match response.status {
                200..300 => {
                    Ok(response.header("docker-content-digest").and_then(|text| Digest::parse(text).ok()))
                }
                405 | 501 => Ok(None),
                _ => Err(session.failure(&ask, response, &what(session, tag))),
            }
        })
    }

    /// Fetches a small blob whole: a configuration.
    ///
    /// # Errors
    /// [`RegistryError`]; also if it is not what its digest says.
    pub fn small_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, RegistryError> {
        self.first(|session| {
            let mut body = open_blob(session, digest, 0, None)?;
            let origin = body.response.url.origin.clone();
            let bytes = body.response.read(limit);
            let bytes = bytes.map_err(|source| RegistryError::Broken { origin: origin.clone(), source })?;
            let bytes = bytes.ok_or(RegistryError::TooLong { what: "a configuration", origin, limit })?;
            check_digest(session, digest, &bytes)?;
            Ok(bytes)
        })
    }

    /// Begins to fetch a blob at `offset`; `size` is its length in bytes if it is known.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn blob(&self, digest: &Digest, offset: u64, size: Option<u64>) -> Result<BlobBody, RegistryError> {
        self.first(|session| open_blob(session, digest, offset, size))
    }

    /// Whether the repository has a blob of this length already, so that nothing need be sent.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool, RegistryError> {
        self.first(|session| upload::has_blob(session, &session.scope(Access::Push), digest, size))
    }

    /// Brings a blob into the registry, unless it is there; `from` is a repository of the same registry that may have it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn push_blob(
        &self,
        blob: &VerifiedBlob,
        from: Option<&str>,
        told: &dyn Fn(u64),
    ) -> Result<Pushed, RegistryError> {
        self.first(|session| upload::push_blob(session, blob, from, told))
    }

    /// Brings a manifest or index into the registry, under a tag or its digest.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn push_manifest(
        &self,
        version: &str,
        media_type: &MediaType,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<(), RegistryError> {
        self.first(|session| upload::push_manifest(session, version, media_type, digest, bytes))
    }
}

impl BlobBody {
    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.response.url.origin
    }

    /// Reads what comes next; nothing at the end.
    ///
    /// # Errors
    /// [`RegistryError::Broken`].
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, RegistryError> {
        loop {
            match self.response.body().read(buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(RegistryError::Broken { origin: self.response.url.origin.clone(), source });
                }
                Ok(count) => return Ok(count),
            }
        }
    }
}

/// Which of two servers' errors tells more. The registry itself is asked last, so its word counts; but what somebody
/// answered says more than that a second way of speaking to them failed.
fn telling(before: Option<RegistryError>, now: RegistryError) -> RegistryError {
    match before {
        Some(before) if matches!(now, RegistryError::Http(_)) && !before.is_about_speaking() => before,
        _ => now,
    }
}

fn what(session: &Session, version: &str) -> String {
    let separator = if version.contains(':') { '@' } else { ':' };
    format!("{}{separator}{version}", session.endpoint().repository)
}

fn manifest_ask(session: &Session, method: Method, version: &str) -> Ask<'static> {
    Ask {
        method,
        url: session.url(&format!("manifests/{version}")),
        headers: vec![("accept", MANIFESTS.join(", "))],
        content: Content::None,
        scope: session.scope(Access::Pull),
    }
}

fn fetch_manifest(session: &Session, version: &str) -> Result<FetchedManifest, RegistryError> {
    let ask = manifest_ask(session, Method::Get, version);
    let mut response = session.send(&ask)?;
    if response.status != 200 {
        return Err(session.failure(&ask, response, &what(session, version)));
    }
    let origin = response.url.origin.clone();
    let announced = response.header("content-type").map(MediaType::new);
    let said = response.header("docker-content-digest").map(str::to_owned);
    let bytes = response.read(DOCUMENT_LIMIT);
    let bytes = bytes.map_err(|source| RegistryError::Broken { origin: origin.clone(), source })?;
    let limit = DOCUMENT_LIMIT;
    let bytes = bytes.ok_or(RegistryError::TooLong { what: "a manifest", origin, limit })?;
    // The header may be absent, empty or of an algorithm that is not known; if it says something, it has to be true.
    if let Some(said) = said.and_then(|text| Digest::parse(&text).ok()) {
        check_digest(session, &said, &bytes)?;
    }
    let digest = match Digest::parse(version) {
        Ok(digest) => check_digest(session, &digest, &bytes).map(|()| digest)?,
        Err(_) => Digest::sha256(&bytes),
    };
    let host = session.endpoint().credentials_host.clone();
    let document = Document::parse(&bytes, announced.as_ref()).map_err(|source| RegistryError::Document {
        what: what(session, version),
        host,
        source,
    })?;
    let media_type = document.media_type(announced);
    Ok(FetchedManifest { bytes, digest, media_type, document })
}

fn check_digest(session: &Session, expected: &Digest, bytes: &[u8]) -> Result<(), RegistryError> {
    let found = Digest::of(expected.algorithm(), bytes);
    if found == *expected {
        return Ok(());
    }
    let host = session.endpoint().credentials_host.clone();
    Err(RegistryError::WrongDigest { host, expected: expected.clone(), found })
}

/// Asks for a blob from `offset` on. A server that does not know ranges sends all of it, and the beginning is skipped.
fn open_blob(
    session: &Session,
    digest: &Digest,
    offset: u64,
    size: Option<u64>,
) -> Result<BlobBody, RegistryError> {
    let mut headers = Vec::new();
    if offset > 0 {
        headers.push(("range", format!("bytes={offset}-")));
    }
    let url = session.url(&format!("blobs/{digest}"));
    let ask =
        Ask { method: Method::Get, url, headers, content: Content::None, scope: session.scope(Access::Pull) };
    let response = session.send(&ask)?;
    let origin = response.url.origin.clone();
    let wrong = |problem: String| RegistryError::Blob { origin: origin.clone(), problem };
    if let Some(encoding) = response.header("content-encoding").filter(|encoding| *encoding != "identity") {
        return Err(wrong(format!("it is encoded with {encoding:?}, which was not asked for")));
    }
    match response.status {
        200 => {
            let length = response.content_length();
            if let (Some(size), Some(length)) = (size, length)
                && size != length
            {
                return Err(wrong(format!("it has {length} bytes, and the manifest says {size}")));
            }
            let mut body = BlobBody { response };
            skip(&mut body, offset)?;
            Ok(body)
        }
        206 if offset > 0 => {
            let range = response.header("content-range").unwrap_or_default().to_owned();
            check_range(&range, offset, size).map_err(wrong)?;
            Ok(BlobBody { response })
        }
        _ => Err(session.failure(&ask, response, &format!("blob {digest}"))),
    }
}

fn skip(body: &mut BlobBody, mut left: u64) -> Result<(), RegistryError> {
    let mut buffer = vec![0; if left == 0 { 0 } else { 64 << 10 }];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = body.read(&mut buffer[..most])?;
        if count == 0 {
            let problem = "it is shorter than what is here already".to_owned();
            return Err(RegistryError::Blob { origin: body.response.url.origin.clone(), problem });
        }
        left -= count as u64;
    }
    Ok(())
}

/// Checks `bytes FIRST-LAST/LENGTH`.
fn check_range(text: &str, offset: u64, size: Option<u64>) -> Result<(), String> {
    let wrong = || format!("bytes from {offset} on were asked for, and {text:?} is sent");
    let range = text.trim().strip_prefix("bytes").ok_or_else(wrong)?;
    let (range, length) = range.trim_start().split_once('/').ok_or_else(wrong)?;
    let (first, last) = range.split_once('-').ok_or_else(wrong)?;
    let (first, last): (u64, u64) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    let length: Option<u64> = length.parse().ok();
    let fits = first == offset && last >= first && length.is_none_or(|length| last < length);
    let of_blob = size.is_none_or(|size| last < size && length.is_none_or(|length| length == size));
    if fits && of_blob { Ok(()) } else { Err(wrong()) }
}

/// Whether a status of a blob's answer may be better next time; a signed address that has expired is asked for anew.
#[must_use]
pub fn is_worth_another_try(error: &RegistryError) -> bool {
    match error {
        RegistryError::Status { status, .. } => {
            is_transient(*status) || matches!(status, 400 | 401 | 403 | 416)
        }
        other => other.is_transient(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_to_be_the_one_that_was_asked_for() {
        for good in ["bytes 5-9/10", "bytes 5-9/*", "bytes  5-7/10"] {
            assert_eq!(check_range(good, 5, Some(10)), Ok(()), "{good}");
        }
        for bad in [
            "",
            "bytes 0-9/10",
            "bytes 6-9/10",
            "bytes 5-10/10",
            "bytes 5-9/11",
            "5-9/10",
            "bytes 5-4/10",
            "bytes */10",
        ] {
            assert!(check_range(bad, 5, Some(10)).is_err(), "{bad}");
        }
    }
}
