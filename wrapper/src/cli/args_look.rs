//! What can be typed to look at containers.

use clap::Args;

/// `ps`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PsArgs {
    /// Show also those that are not up
    #[arg(long, short)]
    pub all: bool,
    /// Show only these: NAME=VALUE, the names being ancestor, before, exited, expose, health, id, label, name, network,
    /// publish, since, status, volume
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// 'table', 'json', or a template such as '{{.Names}}: {{.Status}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show the last NUMBER that were made, up or not
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = -1, hide_default_value = true)]
    pub last: i64,
    /// Show the last that was made, up or not
    #[arg(long, short)]
    pub latest: bool,
    /// Show everything in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print the ids alone
    #[arg(long, short)]
    pub quiet: bool,
    /// Show what their changes take
    #[arg(long, short)]
    pub size: bool,
    /// Show the process ids as well
    #[arg(long)]
    pub wide: bool,
}

/// `inspect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct InspectArgs {
    /// 'json', or a template such as '{{.State.Status}}'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Tell what a container takes as well
    #[arg(long, short)]
    pub size: bool,
    /// Look only among these: container, image, network, volume
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// What to tell of: names, or the beginnings of ids
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}
