//! What can be asked for, put together from the other modules. Each command takes its arguments and the home, prints what
//! it has to say, and returns its exit status.

mod create;
mod version;

pub use create::{CreateError, create, make};
pub use version::version;
