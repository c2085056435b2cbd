//! Looking at containers.

mod events;
mod inspect;
mod ps;
mod stats;
mod top;

pub use events::{EventsArgsError, events};
pub use inspect::{InspectError, inspect};
pub use ps::{ps, sizes};
pub(in crate::commands) use stats::binary_size;
pub use stats::stats;
pub use top::{TopError, top};
