//! The commands, put together from the other modules; one file for each.

mod bundle;
mod df;
mod filter;
mod fsck;
mod history;
mod images;
mod inspect;
mod listing;
mod local;
mod login;
mod mount;
mod prune;
mod pull;
mod push;
mod remote;
mod tag;
mod unpack;

pub use bundle::{BundleError, bundle};
pub use df::{DfError, df};
pub use filter::FilterError;
pub use fsck::{FsckError, fsck};
pub use history::{HistoryError, history};
pub use images::{ImagesError, images};
pub use inspect::{InspectError, inspect};
pub use listing::Unreadable;
pub use local::{FindError, Found, find};
pub use login::{LoginError, login, logout};
pub use mount::{MountCommandError, mount, unmount};
pub use prune::{PruneError, prune};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
pub use remote::RemoteError;
pub use tag::{NamesError, gc, rmi, tag};
pub use unpack::unpack;
