//! Looking at containers.

mod inspect;
mod ps;

pub use inspect::{InspectError, inspect};
pub use ps::ps;
