//! Registries (distribution-spec 1.1): whom to ask, how to be let in, and how to ask again.
//!
//! ```text
//! hosts      which servers, in which order; hosts.toml, registries.conf
//! url tls    addresses, certificates
//! http       one request, one answer
//! challenge  WWW-Authenticate
//! token      tokens for a scope, and whom a password may be told
//! session    a request that is let in, redirected and repeated
//! client     manifests and blobs
//! upload     the way back
//! referrers  what there is about a manifest
//! tags       what a repository has
//! retry      how long to wait
//! ```

pub mod challenge;
pub mod client;
mod error;
pub mod hosts;
pub mod http;
mod referrers;
pub mod retry;
pub mod session;
mod tags;
pub mod tls;
pub mod token;
mod upload;
pub mod url;

pub use client::{BlobBody, Client, FetchedManifest};
pub use error::RegistryError;
pub use hosts::{Endpoint, HostOptions, Hosts, HostsError, Operation};
pub use retry::Cancel;
pub use session::{Access, Session};
pub use upload::Pushed;
