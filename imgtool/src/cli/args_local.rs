//! What can be typed about the images of this host.

use super::RegistryArgs;
use clap::Args;
use std::path::PathBuf;

/// `bundle`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct BundleArgs {
    /// Mount the layers instead of copying them; 'unmount' undoes it
    #[arg(long)]
    pub overlay: bool,
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
    /// Show all images; it is the same without, since no build leaves parts of images here
    #[arg(long, short)]
    pub all: bool,
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
    /// Take all names away from an image that is given by its id, also if containers use it, and do not fail for images
    /// that do not exist
    #[arg(long, short)]
    pub force: bool,
    /// The images: names, or the beginnings of their ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `gc`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct GcArgs {}

/// `inspect`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct InspectArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Look into the registry, not into the image store
    #[arg(long)]
    pub remote: bool,
    /// The platform, OS/ARCHITECTURE[/VARIANT], of an image in a registry
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// A template such as '{{.Config.Cmd}}', or 'json'
    #[arg(long, short, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print the manifest as it is
    #[arg(long, conflicts_with = "format")]
    pub raw: bool,
    /// Print the configuration as it is
    #[arg(long, conflicts_with_all = ["format", "raw"])]
    pub config: bool,
    /// Do not ask the registry for the other tags, which may be many
    #[arg(long, short, requires = "remote")]
    pub no_tags: bool,
    /// The images: names, or the beginnings of their ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `history`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct HistoryArgs {
    /// Sizes and times for people; with =false, in bytes and as they are written
    #[arg(long, short = 'H', value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = mydocker_cmdline::parse_bool)]
    pub human: Option<bool>,
    /// Show commands and ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print the ids alone
    #[arg(long, short)]
    pub quiet: bool,
    /// 'json', or a template such as '{{.ID}}: {{.CreatedBy}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT", conflicts_with = "quiet")]
    pub format: Option<String>,
    /// The image: a name, or the beginning of its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

impl HistoryArgs {
    /// Whether sizes and times are for people.
    #[must_use]
    pub fn is_human(&self) -> bool {
        self.human.unwrap_or(true)
    }
}

/// `df`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct DfArgs {
    /// Show image by image what is shared with others
    #[arg(long, short)]
    pub verbose: bool,
    /// 'json', or a template such as '{{.Type}} {{.Reclaimable}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// `prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PruneArgs {
    /// Also remove images with a name that neither a container nor a bundle needs
    #[arg(long, short)]
    pub all: bool,
    /// Do not ask
    #[arg(long, short)]
    pub force: bool,
    /// Remove only these: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "NAME=VALUE")]
    pub filter: Vec<String>,
}

/// `fsck`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct FsckArgs {
    /// Also unpack every layer once more, and compare it with what is there; takes as long as to unpack all images
    #[arg(long)]
    pub deep: bool,
    /// Mend what can be mended here; what is damaged is moved away, so that the next pull brings it again
    #[arg(long)]
    pub repair: bool,
}

/// `mount`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct MountArgs {
    /// The image: a name, or the beginning of its id; without it, list what is mounted
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
    /// The directory to mount it on; one of the store if not given
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// `unmount`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UnmountArgs {
    /// Unmount every bundle and every view
    #[arg(long, short, conflicts_with = "targets")]
    pub all: bool,
    /// Directories of bundles and views, or images whose views are meant
    #[arg(value_name = "DIR", required_unless_present = "all")]
    pub targets: Vec<String>,
}

/// `unpack`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct UnpackArgs {
    /// The image: a name, or the beginning of its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The directory, which is new or empty
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// `verify`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct VerifyArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// File with a public key that has to have signed the image, in PEM; of several, one
    #[arg(long, value_name = "FILE")]
    pub key: Vec<PathBuf>,
    /// File that says which images have to be signed by whom; the usual policy.json if neither this nor a key is given
    #[arg(long, value_name = "FILE", alias = "signature-policy")]
    pub policy: Option<PathBuf>,
    /// File with a sigstore bundle; then no registry is asked
    #[arg(long, value_name = "FILE")]
    pub bundle: Vec<PathBuf>,
    /// The image in the store: a name, or the beginning of its id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// `referrers`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ReferrersArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// List only those of this type
    #[arg(long, value_name = "TYPE")]
    pub artifact_type: Option<String>,
    /// 'json', or a template such as '{{.Digest}} {{.ArtifactType}}', with 'table' before it for a table
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The image in its registry
    #[arg(value_name = "IMAGE")]
    pub image: String,
}
