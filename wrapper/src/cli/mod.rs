//! The command line: words to typed arguments, and errors to exit statuses.
//!
//! ```text
//! entry      from the process's arguments to its exit status
//! args       the flags before the command, and all commands
//! ```

mod args;
mod entry;

pub use args::{Command, GlobalArgs, VersionArgs};
pub use entry::{Failure, Outcome, main_entry};
