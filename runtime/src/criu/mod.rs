//! Checkpoint and restore by the program `criu`, over its remote procedure calls.
//!
//! ```text
//! wire      the bytes of protocol buffers          (pure)
//! request   what criu is asked, and what it says   (pure)
//! mounts    the mounts that criu does not own      (pure)
//! log       the errors in criu's log               (pure)
//! session   one `criu swrk` and the talk with it
//! ```
//!
//! [Why so](../../../docs/adr/0014-criu-by-its-remote-procedure-calls.md).

mod log;
mod mounts;
mod request;
mod session;
mod wire;

pub use log::errors_in;
pub(crate) use mounts::masked_files;
pub use mounts::{ExternalMounts, for_dump, for_restore};
pub use request::{CgroupMode, Kind, Notification, Options, PageServer, Reply};
pub use session::{Error, Helper, Program, Session};

/// The annotation that names a file of criu's own configuration, or with an empty value none.
pub const CONFIG_ANNOTATION: &str = "org.criu.config";
