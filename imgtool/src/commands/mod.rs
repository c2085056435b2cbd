//! The commands, put together from the other modules; one file for each.

mod bundle;
mod carry;
mod commit;
mod diff;
mod images;
mod local;
mod login;
mod pull;
mod push;
mod tag;
mod tree;

pub use bundle::{BundleError, bundle};
pub use carry::{CarryError, export_command, import_command, load_command, save_command};
pub use commit::{CommitCommandError, commit_command};
pub use diff::{DiffError, diff_command};
pub use images::{ImagesError, images};
pub use local::{FindError, Found, find};
pub use login::{LoginError, login, logout};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
pub use tag::{NamesError, gc, rmi, tag};
pub use tree::TreeError;
