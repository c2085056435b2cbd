//! `network create`, `ls`, `inspect`, `rm`, `prune`, `connect`, `disconnect`, and `port`.

mod change;
mod filters;
mod list;
mod port;

pub use change::{connect, create, disconnect, prune, prune_now, rm};
pub use filters::{Filter, FilterError, parse_all};
pub use list::{inspect, ls, to_json};
pub use port::port;
