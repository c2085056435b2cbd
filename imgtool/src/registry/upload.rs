//! Blobs and manifests into a registry (distribution-spec, "Push").

use super::error::{RegistryError, is_transient};
use super::http::{Method, Response};
use super::retry::ATTEMPTS;
use super::session::{Access, Ask, Content, Session};
use super::url::{Url, escape};
use crate::digest::Digest;
use crate::image::MediaType;
use crate::store::VerifiedBlob;

/// How much is sent in one request, in bytes: a connection that breaks costs no more than this.
const CHUNK: u64 = 16 << 20;

/// How a blob came to be in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It was there.
    Present,
    /// It was in another repository of the same registry.
    Mounted,
    /// It was sent.
    Sent,
}

/// Brings a blob in, unless it is there. `from` is another repository of the registry that may have it; `told` is called
/// with the number of bytes that are sent.
///
/// # Errors
/// [`RegistryError`].
pub(super) fn push_blob(
    session: &Session,
    blob: &VerifiedBlob,
    from: Option<&str>,
    told: &dyn Fn(u64),
) -> Result<Pushed, RegistryError> {
    let upload = Upload { session, blob, scope: scope(session, from), told };
    if upload.is_there()? {
        return Ok(Pushed::Present);
    }
    let mut attempt = 1;
    loop {
        match upload.begin(from).and_then(|begun| upload.carry_on(begun)) {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                session.pause(attempt, None)?;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// Whether a blob of this length is in the repository.
///
/// # Errors
/// [`RegistryError`].
pub(super) fn has_blob(
    session: &Session,
    scope: &str,
    digest: &Digest,
    size: u64,
) -> Result<bool, RegistryError> {
    let (url, scope) = (session.url(&format!("blobs/{digest}")), scope.to_owned());
    let ask = Ask { method: Method::Head, url, headers: Vec::new(), content: Content::None, scope };
    let response = session.send(&ask)?;
    match response.status {
        // A length that differs would be another blob under this name.
        200..300 => Ok(response.content_length().is_none_or(|length| length == size)),
        404 | 405 => Ok(false),
        _ => Err(failure(session, &ask, response)),
    }
}

fn failure(session: &Session, ask: &Ask<'_>, response: Response) -> RegistryError {
    session.failure(ask, response, &format!("repository {}", session.endpoint().repository))
}

fn scope(session: &Session, from: Option<&str>) -> String {
    let own = session.scope(Access::Push);
    match from {
        Some(from) => format!("{own} repository:{from}:pull"),
        None => own,
    }
}

struct Upload<'a> {
    session: &'a Session,
    blob: &'a VerifiedBlob,
    scope: String,
    told: &'a dyn Fn(u64),
}

enum Begun {
    Mounted,
    /// Where it is to be sent, and in pieces of at least how many bytes.
    At(Url, u64),
}

impl Upload<'_> {
    fn ask(&self, method: Method, url: Url) -> Ask<'_> {
        Ask { method, url, headers: Vec::new(), content: Content::None, scope: self.scope.clone() }
    }

    fn failure(&self, ask: &Ask<'_>, response: Response) -> RegistryError {
        failure(self.session, ask, response)
    }

    fn is_there(&self) -> Result<bool, RegistryError> {
        has_blob(self.session, &self.scope, self.blob.digest(), self.blob.size())
    }

    fn begin(&self, from: Option<&str>) -> Result<Begun, RegistryError> {
        let mut url = self.session.url("blobs/uploads/");
        if let Some(from) = from {
            url = url.with_query("mount", self.blob.digest().as_str()).with_query("from", from);
        }
        let ask = self.ask(Method::Post, url);
        let response = self.session.send(&ask)?;
        match response.status {
            201 => {
                response.drain();
                Ok(Begun::Mounted)
            }
            202 => {
                let least = response.header("oci-chunk-min-length").and_then(|text| text.trim().parse().ok());
                let url = self.location(&response)?;
                response.drain();
                Ok(Begun::At(url, least.unwrap_or(0)))
            }
            _ => Err(self.failure(&ask, response)),
        }
    }

    /// Where an upload goes on. Whether that is the registry itself decides whether it is shown what lets in.
    fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let origin = response.url.origin.clone();
        let location = response.header("location").unwrap_or_default();
        if location.is_empty() {
            return Err(RegistryError::Redirect { origin, problem: "an upload without saying where to" });
        }
        response.url.join(location).map_err(|source| RegistryError::Location { origin, source })
    }

    fn carry_on(&self, begun: Begun) -> Result<Pushed, RegistryError> {
        let Begun::At(mut url, least) = begun else { return Ok(Pushed::Mounted) };
        let (size, chunk) = (self.blob.size(), CHUNK.max(least));
        if size <= chunk {
            self.finish(url, 0)?;
            return Ok(Pushed::Sent);
        }
        let mut offset = 0;
        while offset < size {
            let length = chunk.min(size - offset);
            (url, offset) = self.send_chunk(url, offset, length)?;
            (self.told)(offset);
        }
        self.finish(url, size)?;
        Ok(Pushed::Sent)
    }

    /// Sends a piece; where the next one goes, and at which offset it begins.
    fn send_chunk(&self, url: Url, offset: u64, length: u64) -> Result<(Url, u64), RegistryError> {
        let mut ask = self.ask(Method::Patch, url);
        ask.headers = vec![
            ("content-type", "application/octet-stream".to_owned()),
            ("content-range", format!("{offset}-{}", offset + length - 1)),
        ];
        ask.content = Content::File(self.blob.file(), offset, length);
        let response = self.session.send(&ask)?;
        if !(200..300).contains(&response.status) {
            return Err(self.failure(&ask, response));
        }
        let next = self.location(&response)?;
        // The registry says how far it got: `0-LAST`. It may have taken less than it was sent.
        let last =
            response.header("range").and_then(|text| text.rsplit_once('-')?.1.trim().parse::<u64>().ok());
        let next_offset = last.map_or(offset + length, |last| last.saturating_add(1));
        response.drain();
        if next_offset <= offset || next_offset > offset + length {
            let origin = ask.url.origin.clone();
            let problem = format!("it has {next_offset} bytes after {} were sent", offset + length);
            return Err(RegistryError::Blob { origin, problem });
        }
        Ok((next, next_offset))
    }

    /// Sends what is left from `offset` on, and the digest, which ends the upload.
    fn finish(&self, url: Url, offset: u64) -> Result<(), RegistryError> {
        let url = url.with_query("digest", self.blob.digest().as_str());
        let mut ask = self.ask(Method::Put, url);
        let left = self.blob.size() - offset;
        if left > 0 {
            ask.headers = vec![("content-type", "application/octet-stream".to_owned())];
            ask.content = Content::File(self.blob.file(), offset, left);
        }
        let response = self.session.send(&ask)?;
        if !(200..300).contains(&response.status) {
            return Err(self.failure(&ask, response));
        }
        response.drain();
        (self.told)(self.blob.size());
        Ok(())
    }
}

/// Brings a manifest or index in, under a tag or its digest.
///
/// # Errors
/// [`RegistryError`]; also if the registry says that it took something else.
pub(super) fn push_manifest(
    session: &Session,
    version: &str,
    media_type: &MediaType,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), RegistryError> {
    let ask = Ask {
        method: Method::Put,
        url: session.url(&format!("manifests/{}", escape(version).replace("%3A", ":"))),
        headers: vec![("content-type", media_type.as_str().to_owned())],
        content: Content::Bytes(bytes),
        scope: session.scope(Access::Push),
    };
    let response = session.send(&ask)?;
    if !(200..300).contains(&response.status) || is_transient(response.status) {
        return Err(failure(session, &ask, response));
    }
    let taken = response.header("docker-content-digest").and_then(|text| Digest::parse(text).ok());
    match taken.filter(|taken| taken != digest && taken.algorithm() == digest.algorithm()) {
        Some(found) => {
            let host = session.endpoint().credentials_host.clone();
            Err(RegistryError::WrongDigest { host, expected: digest.clone(), found })
        }
        None => {
            response.drain();
            Ok(())
        }
    }
}
