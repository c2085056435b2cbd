//! What can be typed about volumes.

use clap::Args;

/// `volume create`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VolumeCreateArgs {
    /// The driver: local
    #[arg(long, short, value_name = "DRIVER", default_value = "local")]
    pub driver: String,
    /// A label
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<String>,
    /// An option of the driver: type=TYPE, device=DEVICE, o=OPTIONS, as for mount(8); a directory of the host by
    /// type=none, o=bind, device=DIR
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub opt: Vec<String>,
    /// The volume's name; without one it is anonymous
    #[arg(value_name = "VOLUME")]
    pub name: Option<String>,
    /// The same, as docker once had it
    #[arg(long = "name", value_name = "VOLUME", conflicts_with = "name", hide = true)]
    pub old_name: Option<String>,
}

/// `volume ls`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VolumeLsArgs {
    /// Show only these: dangling=true or false, driver=DRIVER, label=NAME[=VALUE], name=PATTERN
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// 'table', 'json', or a template such as '{{.Name}}: {{.Mountpoint}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print the names alone
    #[arg(long, short)]
    pub quiet: bool,
}

/// `volume inspect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VolumeInspectArgs {
    /// 'json', or a template such as '{{.Mountpoint}}'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The volumes
    #[arg(value_name = "VOLUME", required = true)]
    pub names: Vec<String>,
}

/// `volume rm`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VolumeRmArgs {
    /// Say nothing of volumes that do not exist
    #[arg(long, short)]
    pub force: bool,
    /// The volumes
    #[arg(value_name = "VOLUME", required = true)]
    pub names: Vec<String>,
}

/// `volume prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VolumePruneArgs {
    /// Remove also those with a name
    #[arg(long, short)]
    pub all: bool,
    /// Remove only these: label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub force: bool,
}
