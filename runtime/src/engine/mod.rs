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
mod landlock;
mod message;
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

pub use child::{Gate, Slots};
pub use compile::{CompileError, Compiled, Inputs, compile};
pub use console::{ConsoleError, PidfdKind, send_pidfd};
pub use failure::{Code, Failure};
pub use foreground::{Foreground, ForegroundError};
pub use joined::JoinedError;
pub use message::{Channel, parse_failure};
pub use notify::{DIRECTORY_INSIDE, Notify, NotifyError, SOCKET_NAME, manager};
pub use parent::{Commit, CommitError, Error, Launch, Launched, PlaceError, Until, end, launch};
