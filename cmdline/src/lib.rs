//! What the command lines of the three programs share.
//!
//! ```text
//! words      Go's grammar of flags, brought into the form that clap reads
//! commands   subcommands: only the flags of the one that was named are described to clap
//! text       printing, and text of strangers that must not reach a terminal as it is
//! ```
#![forbid(unsafe_code)]

mod commands;
mod text;
mod words;

pub use commands::{Entry, ParseWords, Program, Request, Rest, UsageError, describe};
pub use text::{one_line, print};
pub use words::{FlagsEnd, Sorted, parse_bool, sort};
