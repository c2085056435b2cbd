//! Plans carried out: by the runtime (`parent`) and by the process that becomes the user's program (`child`).

mod child;
mod compile;
mod console;
mod failure;
mod foreground;
mod grounds;
pub mod hooks;
mod id_map;
mod identity;
mod joined;
mod landlock;
mod message;
mod mount_points;
mod mounts;
mod net_devices;
mod nodes;
mod notify;
mod parent;
mod plain;
mod procfs;
mod program;
mod rootfs;
mod rtnetlink;
mod shield;
mod terminal;
mod user_map;

pub use child::{Gate, Slots};
pub use compile::{CompileError, Compiled, Inputs, compile};
pub use console::{ConsoleError, PidfdKind, send_pidfd, send_terminal};
pub use failure::{Code, Failure};
pub use foreground::{Foreground, ForegroundError};
pub use joined::JoinedError;
pub use message::{Channel, Report, parse_failure};
pub use mount_points::{make_mount_points, raise_loopback_of};
pub use notify::{DIRECTORY_INSIDE, Notify, NotifyError, SOCKET_NAME, manager};
pub use parent::{Commit, CommitError, Error, Launch, Launched, PlaceError, Until, end, launch};
