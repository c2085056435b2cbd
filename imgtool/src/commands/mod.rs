//! The commands, put together from the other modules; one file for each.

mod bundle;
mod commit;
mod images;
mod local;
mod login;
mod pull;
mod push;
mod tag;

pub use bundle::{BundleError, bundle};
pub use commit::{CommitCommandError, commit_command};
pub use images::{ImagesError, images};
pub use local::{FindError, Found, find};
pub use login::{LoginError, login, logout};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
pub use tag::{NamesError, gc, rmi, tag};
