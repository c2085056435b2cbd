//! The command line: words to typed arguments, the environment to a [`Context`], and results to text.

mod args;
mod context;
mod entry;

pub use args::*;
pub use context::{Context, ContextError, Environment};
pub use entry::main_entry;
