//! The command line: words to typed arguments, the environment to a [`Context`], and results to text.

mod args;
mod args_local;
mod args_make;
mod context;
mod entry;
mod moment;
mod progress;
mod prompt;
mod show;
mod template;

pub use args::*;
pub use args_local::*;
pub use args_make::{
    CommitArgs, DiffArgs, DiffFormat, ExportArgs, ImportArgs, LayerCompression, LoadArgs, MakeArgs, SaveArgs,
    SaveFormat,
};
pub use context::{Connection, Context, ContextError, Environment};
pub(crate) use entry::complain;
pub use entry::{MYDOCKER, main_entry};
pub use moment::Moment;
pub(crate) use moment::span_in_nanoseconds;
pub use progress::{Display, chain, human_size, short_size};
pub use prompt::{ask, ask_secret};
pub use show::print_value;
pub use template::{Labels, Row, Template, TemplateError, is_usual};
