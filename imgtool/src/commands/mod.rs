//! The commands, put together from the other modules; one file for each.

mod login;
mod pull;
mod push;

pub use login::{LoginError, login, logout};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
