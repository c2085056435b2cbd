//! The command line: words to typed arguments, the environment to a [`Context`], and results to text.

mod args;
mod context;
mod entry;
mod progress;
mod prompt;

pub use args::*;
pub use context::{Connection, Context, ContextError, Environment};
pub use entry::main_entry;
pub use progress::{Display, chain, human_size};
pub use prompt::{ask, ask_secret};
