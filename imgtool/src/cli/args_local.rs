//! What can be typed about the images of this host.

use clap::Args;
use std::path::PathBuf;

/// `bundle`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct BundleArgs {
    /// The image: a name, or the beginning of its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The directory of the bundle, which is new or empty
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `images`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ImagesArgs {
    /// Show the digests of the manifests
    #[arg(long)]
    pub digests: bool,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print the ids alone
    #[arg(long, short)]
    pub quiet: bool,
    /// 'json', or a template such as '{{.Repository}}:{{.Tag}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT", conflicts_with = "quiet")]
    pub format: Option<String>,
    /// Show only these: reference=PATTERN, label=NAME[=VALUE], dangling=true or false, before=IMAGE, since=IMAGE,
    /// until=TIME
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
    /// Show only the images of this name: NAME[:TAG], with '*' and '?' if you like
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `tag`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct TagArgs {
    /// The image: a name, or the beginning of its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The name that it gets as well
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// `rmi`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct RmiArgs {
    /// Take all names away from an image that is given by its id
    #[arg(long, short)]
    pub force: bool,
    /// The images: names, or the beginnings of their ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `gc`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct GcArgs {}
