//! What containers print, kept.
//!
//! ```text
//! settings   --log-driver and --log-opt, checked
//! entry      a line as it is read from a log
//! writer     the file of a container, rotated
//! packed     older parts as gzip, if that is wished for
//! reader     the lines of a container, in order over its rotated files
//! ```
//!
//! How lines are written is the business of [`mydocker_lines`].

mod entry;
mod packed;
mod reader;
mod settings;
mod writer;

pub use entry::Entry;
pub use mydocker_lines::{Format, Stream};
pub use reader::{Reader, Since};
pub use settings::{Driver, LogSettings, SettingsError};
pub use writer::Writer;

use crate::container::Container;
use crate::home::Home;
use std::path::PathBuf;

/// Where the log of a container lies. Older parts of it have `.1`, `.2` ... behind the name, and `.gz`
/// if they are packed.
#[must_use]
pub fn path(home: &Home, container: &Container) -> PathBuf {
    // No other driver takes one.
    let asked = container.host_config.log_config.config.get("path");
    asked.map_or_else(|| home.container(&container.id).join("container.log"), PathBuf::from)
}
