//! The commands, put together from the other modules; one file for each.

mod bundle;
mod filter;
mod images;
mod listing;
mod local;
mod login;
mod pull;
mod push;
mod tag;

pub use bundle::{BundleError, bundle};
pub use filter::FilterError;
pub use images::{ImagesError, images};
pub use listing::Unreadable;
pub use local::{FindError, Found, find};
pub use login::{LoginError, login, logout};
pub use pull::{PullError, pull};
pub use push::{PushError, push};
pub use tag::{NamesError, gc, rmi, tag};
