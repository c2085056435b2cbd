//! About the whole: what there is, what it takes, what of it can go, and whether it is in order.

mod check;
mod df;
mod info;
mod prune;

pub use check::check;
pub use df::df;
pub use info::{info, version};
pub use prune::{PruneFilterError, container_prune, prune};
