//! What can be typed about the whole.

use clap::Args;
use std::path::PathBuf;

/// `info`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct InfoArgs {
    /// 'json', or a template such as '{{.Containers}}'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `version`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VersionArgs {
    /// 'json', or a template such as '{{.Version}}'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `system df`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct SystemDfArgs {
    /// 'table', 'json', or a template such as '{{.Type}}: {{.Size}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    pub format: Option<String>,
    /// Tell of each image, container and volume
    #[arg(long, short)]
    pub verbose: bool,
}

/// `system prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct SystemPruneArgs {
    /// Remove also images that have names but no containers
    #[arg(long, short)]
    pub all: bool,
    /// Remove only these: label=NAME[=VALUE], label!=NAME[=VALUE], until=MOMENT
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub force: bool,
    /// Remove also anonymous volumes
    #[arg(long)]
    pub volumes: bool,
}

/// `system check`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct SystemCheckArgs {
    /// Mend what can be mended
    #[arg(long)]
    pub repair: bool,
}

/// `container prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ContainerPruneArgs {
    /// Remove only these: label=NAME[=VALUE], label!=NAME[=VALUE], until=MOMENT
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub force: bool,
}

/// `completion`
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionArgs {
    /// The shell: bash, fish or zsh
    #[arg(value_name = "SHELL", value_parser = ["bash", "fish", "zsh"])]
    pub shell: String,
}

/// `man`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ManArgs {
    /// Directory for the pages, which is made if it is missing
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
