//! The command line: words to typed arguments, the environment to a [`Context`], and results to text. What the
//! commands do is not here.

mod args;
mod log;
mod parse;
mod target;
mod time;
mod words;

pub use args::*;
pub use log::{Log, Report};
pub use parse::{CommandLine, PROGRAM, Request, UsageError, parse_global, version_text};
pub use target::{Target, TargetError, choose_bundle};
pub use time::{rfc3339, rfc3339_nano};
