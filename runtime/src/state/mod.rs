//! What is remembered of a container, and what it means.
//!
//! A container is a directory below the state root, named by its id:
//!
//! | file | what |
//! | --- | --- |
//! | `state.json` | the [`Record`], replaced by renaming, written before each effect that it tells of |
//! | `config.json` | the configuration as it was when the container was made |
//! | `start`, `error` | the fifos at which a created container waits for `start` |
//!
//! The directory itself carries the lock (`flock`).

mod exit;
mod id;
mod liveness;
mod record;
mod store;

pub use exit::{Cause, ExitRecord};
pub use id::{ContainerId, IdError};
pub use liveness::{Liveness, ProcessRecord};
pub use record::{Progress, Record, State, Status};
pub use store::{Entry, Error, Store};
