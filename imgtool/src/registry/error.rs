//! What goes wrong with a registry.

use super::http::{HttpError, Method};
use super::url::{Origin, Url, UrlError};
use crate::credentials::CredentialError;
use crate::digest::Digest;
use crate::image::DocumentError;

/// Why a registry did not give or take what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It could not be asked.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The connection broke while an answer came.
    #[error("the answer of {origin} broke off")]
    Broken {
        /// The server.
        origin: Origin,
        /// Why.
        source: std::io::Error,
    },
    /// What to log in with cannot be had.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It wants to know who asks.
    #[error(
        "{host} gives this only to those who are logged in, or has no such image; 'login {host}' logs in"
    )]
    LoginNeeded {
        /// The registry.
        host: String,
    },
    /// It does not accept who asks.
    #[error(
        "{host} does not accept the credentials that are kept for it{detail}; 'login {host}' renews them"
    )]
    Refused {
        /// The registry.
        host: String,
        /// What it says itself.
        detail: String,
    },
    /// Who asks is known and may not.
    #[error("{host} does not allow this{detail}")]
    Forbidden {
        /// The registry.
        host: String,
        /// What it says itself.
        detail: String,
    },
    /// It wants to be convinced in a way that is not known.
    #[error("{host} asks for authentication by {schemes:?}; known are Bearer and Basic")]
    UnknownScheme {
        /// The registry.
        host: String,
        /// What it asks for.
        schemes: Vec<String>,
    },
    /// A password must not go where it points to.
    #[error("{host} names {realm:?} as the place to log in, which is not trusted: {problem}")]
    Realm {
        /// The registry.
        host: String,
        /// Where.
        realm: String,
        /// Why not.
        problem: &'static str,
    },
    /// The answer of a token server is none.
    #[error("the token server {origin} gave no token that can be used: {problem}")]
    Token {
        /// The server.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
    },
    /// What is asked for does not exist.
    #[error("{what} is not in {host}{detail}")]
    NotFound {
        /// What.
        what: String,
        /// The registry.
        host: String,
        /// What it says itself.
        detail: String,
    },
    /// An answer that says that something is wrong.
    #[error("{} {url} was answered with status {status}{detail}", method.name())]
    Status {
        /// What was to be done.
        method: Method,
        /// Where.
        url: Box<Url>,
        /// The answer.
        status: u16,
        /// What it says in words.
        detail: String,
    },
    /// A redirect to nowhere.
    #[error("{origin} redirects to a place that cannot be asked")]
    Location {
        /// The server.
        origin: Origin,
        /// Why.
        source: UrlError,
    },
    /// A redirect without a place, from TLS to plain HTTP, or one too many.
    #[error("{origin} redirects {problem}")]
    Redirect {
        /// The server.
        origin: Origin,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More than there may be.
    #[error("{what} from {origin} has more than {limit} bytes")]
    TooLong {
        /// What.
        what: &'static str,
        /// The server.
        origin: Origin,
        /// What it may have, in bytes.
        limit: u64,
    },
    /// Something else than was asked for.
    #[error("{host} gave {found} where {expected} was asked for or announced")]
    WrongDigest {
        /// The registry.
        host: String,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// A document that is not believed.
    #[error("the manifest {what} from {host} is not accepted")]
    Document {
        /// Which.
        what: String,
        /// The registry.
        host: String,
        /// Why.
        source: DocumentError,
    },
    /// A part of a blob that is another part, or in a form in which its digest cannot be checked.
    #[error("{origin} sent a blob in a way that cannot be used: {problem}")]
    Blob {
        /// The server.
        origin: Origin,
        /// What is wrong.
        problem: String,
    },
    /// Another part of the same command failed.
    #[error("it was given up because something else failed")]
    Cancelled,
}

impl RegistryError {
    /// Whether it says no more than that the server is not spoken to in this way: a server that expects TLS answers
    /// plain HTTP with status 400.
    #[must_use]
    pub fn is_about_speaking(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Broken { .. } | Self::Status { status: 400, .. })
    }

    /// Whether another attempt may go better.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Http(error) => error.is_transient(),
            Self::Broken { .. } => true,
            Self::Status { status, .. } => is_transient(*status),
            _ => false,
        }
    }
}

/// Whether a status is said to pass.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}
