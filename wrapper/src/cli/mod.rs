//! The command line: words to typed arguments, and errors to exit statuses.
//!
//! ```text
//! entry      from the process's arguments to its exit status
//! args       the flags before the command, and all commands
//! run        the commands that make containers
//! each       the same for several things
//! images     the commands of the image tool
//! look       the commands that look at containers
//! volumes    volume create, ls, inspect, rm, prune
//! ```

mod args;
mod args_look;
mod args_run;
mod args_volume;
mod each;
mod entry;
mod images;
mod look;
mod run;
mod volumes;

pub use args::{Command, GlobalArgs, VersionArgs};
pub use args_look::{EventsArgs, InspectArgs, PsArgs, StatsArgs, TopArgs};
pub use args_run::{
    ContainerArgs, CreateArgs, LifeArgs, LimitArgs, NetworkArgs, OriginArgs, ProcessArgs, RunArgs,
    SecurityArgs, VolumeArgs,
};
pub use args_volume::{VolumeCreateArgs, VolumeInspectArgs, VolumeLsArgs, VolumePruneArgs, VolumeRmArgs};
pub use each::{complain_of, each};
pub use entry::{Failure, Outcome, main_entry};
pub use images::ImageArgs;
pub use look::LookCommand;
pub use run::RunCommand;
pub use volumes::VolumeCommand;
