//! The commands, put together from the other modules; one file for each.

mod bundle;
mod carry;
mod commit;
mod df;
mod diff;
mod filter;
mod history;
mod images;
mod inspect;
mod listing;
mod local;
mod login;
mod prune;
mod pull;
mod push;
mod remote;
mod tag;
mod tree;

pub use bundle::{BundleError, bundle};
pub use carry::{CarryError, export_command, import_command, load_command, save_command};
pub use commit::{CommitCommandError, commit_command};
pub use df::{DfError, df};
pub use diff::{DiffError, diff_command};
pub use filter::FilterError;
pub use history::{HistoryError, history};
pub use images::{ImagesError, images};
pub use inspect::{InspectError, describe, inspect};
pub use listing::Unreadable;
pub use local::{FindError, Found, find};
pub use login::{LoginError, login, logout};
pub use prune::{PruneError, prune};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
pub use remote::RemoteError;
pub use tag::{NamesError, gc, rmi, tag};
pub use tree::TreeError;
