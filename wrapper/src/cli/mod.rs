//! The command line: words to typed arguments, and errors to exit statuses.
//!
//! ```text
//! entry      from the process's arguments to its exit status
//! args       the flags before the command, and all commands
//! run        the commands that make containers
//! change     the commands that change containers, and carry files and images out of them
//! each       the same for several things
//! life       the commands that start, stop and watch containers
//! images     the commands of the image tool
//! look       the commands that look at containers
//! refused    commands and flags of docker's that there are not
//! networks   network create, ls, inspect, rm, prune, connect, disconnect, and port
//! describe   completions and manual pages
//! system     info, version, system ...
//! containers the commands about containers under one word
//! volumes    volume create, ls, inspect, rm, prune
//! ```

mod args;
mod args_change;
mod args_life;
mod args_look;
mod args_network;
mod args_run;
mod args_system;
mod args_volume;
mod change;
mod containers;
mod describe;
mod each;
mod entry;
mod images;
mod life;
mod look;
mod networks;
mod refused;
mod run;
mod system;
mod volumes;

pub use args::{Command, GlobalArgs};
pub use args_change::{CommitArgs, CpArgs, DiffArgs, ExportArgs, RenameArgs, UpdateArgs};
pub use args_life::{AttachArgs, ExecArgs, KillArgs, LogsArgs, NamesArgs, RmArgs, StartArgs, StopArgs};
pub use args_look::{EventsArgs, InspectArgs, PsArgs, StatsArgs, TopArgs};
pub use args_network::{
    NetworkConnectArgs, NetworkCreateArgs, NetworkDisconnectArgs, NetworkInspectArgs, NetworkLsArgs,
    NetworkPruneArgs, NetworkRmArgs, PortArgs,
};
pub use args_run::{
    ContainerArgs, CreateArgs, LifeArgs, LimitArgs, NetworkArgs, OriginArgs, ProcessArgs, RunArgs,
    SecurityArgs, VolumeArgs,
};
pub use args_system::{
    CompletionArgs, ContainerPruneArgs, InfoArgs, ManArgs, SystemCheckArgs, SystemDfArgs, SystemPruneArgs,
    VersionArgs,
};
pub use args_volume::{VolumeCreateArgs, VolumeInspectArgs, VolumeLsArgs, VolumePruneArgs, VolumeRmArgs};
pub use change::ChangeCommand;
pub use each::{complain_of, each};
pub use entry::{Failure, Outcome, main_entry};
pub use images::ImageArgs;
pub use life::LifeCommand;
pub use look::LookCommand;
pub use networks::NetworkCommand;
pub use run::RunCommand;
pub use system::SystemCommand;
pub use volumes::VolumeCommand;
