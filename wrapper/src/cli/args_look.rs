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

/// `events`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct EventsArgs {
    /// Show only these: container=, event=, image=, label=NAME[=VALUE], network=, type=, volume=
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// 'json', or a template such as '{{.Action}} {{.Actor.ID}}'
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Begin with what has happened since this moment, or since this long ago (10m)
    #[arg(long, value_name = "MOMENT")]
    pub since: Option<String>,
    /// End at this moment
    #[arg(long, value_name = "MOMENT")]
    pub until: Option<String>,
}

/// `stats`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct StatsArgs {
    /// Show also those that are not up
    #[arg(long, short)]
    pub all: bool,
    /// 'table', 'json', or a template such as '{{.Name}}: {{.CPUPerc}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Look once, and end
    #[arg(long)]
    pub no_stream: bool,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// The containers; all that are up if none is given
    #[arg(value_name = "CONTAINER")]
    pub containers: Vec<String>,
}

/// `top`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TopArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    pub container: String,
    /// Options for ps; -ef if none are given
    #[arg(value_name = "PS-OPTION", allow_hyphen_values = true)]
    pub options: Vec<String>,
}
