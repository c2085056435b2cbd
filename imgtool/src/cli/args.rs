//! What can be typed, as data. Nothing here looks at the environment or at the disk.

use clap::Args;
use std::path::PathBuf;

/// Flags before the command.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct GlobalArgs {
    /// Directory of the image store
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Print the version
    #[arg(long, short)]
    pub version: bool,
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `root`
    Root(NoArgs),
}

/// No arguments at all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct NoArgs {}
