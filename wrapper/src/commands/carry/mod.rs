//! Carrying files and images out of containers, and files into them.

mod commit;
mod cp;
mod export;

pub use commit::{CommitContainerError, commit};
pub use cp::{CpError, cp};
pub use export::{ExportError, diff, export};
