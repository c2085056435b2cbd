//! The command line: words to typed arguments, and errors to exit statuses.
//!
//! ```text
//! entry      from the process's arguments to its exit status
//! args       the flags before the command, and all commands
//! args_run   what a container can be
//! ```

mod args;
mod args_run;
mod entry;

pub use args::{Command, GlobalArgs, VersionArgs};
pub use args_run::{
    ContainerArgs, CreateArgs, LifeArgs, LimitArgs, NetworkArgs, OriginArgs, ProcessArgs, RunArgs,
    SecurityArgs, VolumeArgs,
};
pub use entry::{Failure, Outcome, main_entry};
