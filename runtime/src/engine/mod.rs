//! Plans carried out: by the runtime (`parent`) and by the process that becomes the user's program (`child`).

mod child;
mod compile;
mod console;
mod copy_up;
mod failure;
mod foreground;
pub mod hooks;
mod id_map;
mod identity;
mod joined;
mod message;
mod mount_points;
mod mounts;
mod nodes;
mod parent;
mod plain;
mod procfs;
mod program;
mod rootfs;
mod shield;
mod terminal;
mod user_map;

pub use child::{Gate, Slots};
pub use compile::{CompileError, Compiled, Inputs, compile};
pub use console::{ConsoleError, send_pidfd, send_terminal};
pub use failure::{Code, Failure};
pub use foreground::{Foreground, ForegroundError};
pub use joined::JoinedError;
pub use message::{Channel, parse_failure};
pub use mount_points::{make_mount_points, raise_loopback_of};
pub use parent::{Commit, CommitError, Error, Launch, Launched, Until, end, launch};
