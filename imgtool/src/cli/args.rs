//! What can be typed, as data. Nothing here looks at the environment or at the disk.

use super::args_local::*;
use super::args_make::{CommitArgs, DiffArgs, ExportArgs, ImportArgs, LayerCompression, LoadArgs, SaveArgs};
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
#[allow(clippy::large_enum_variant, reason = "a process makes one of these")]
pub enum Command {
    /// `bundle`
    Bundle(BundleArgs),
    /// `commit`
    Commit(CommitArgs),
    /// `df`
    Df(DfArgs),
    /// `fsck`
    Fsck(FsckArgs),
    /// `diff`
    Diff(DiffArgs),
    /// `export`
    Export(ExportArgs),
    /// `gc`
    Gc(GcArgs),
    /// `history`
    History(HistoryArgs),
    /// `images`
    Images(ImagesArgs),
    /// `import`
    Import(ImportArgs),
    /// `inspect`
    Inspect(InspectArgs),
    /// `load`
    Load(LoadArgs),
    /// `login`
    Login(LoginArgs),
    /// `logout`
    Logout(LogoutArgs),
    /// `mount`
    Mount(MountArgs),
    /// `prune`
    Prune(PruneArgs),
    /// `pull`
    Pull(PullArgs),
    /// `push`
    Push(PushArgs),
    /// `referrers`
    Referrers(ReferrersArgs),
    /// `rmi`
    Rmi(RmiArgs),
    /// `save`
    Save(SaveArgs),
    /// `tag`
    Tag(TagArgs),
    /// `unmount`
    Unmount(UnmountArgs),
    /// `unpack`
    Unpack(UnpackArgs),
    /// `verify`
    Verify(VerifyArgs),
}

/// How registries are spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct RegistryArgs {
    /// Speak plain HTTP with the registry
    #[arg(long)]
    pub plain_http: bool,
    /// Take any certificate of the registry
    #[arg(long)]
    pub skip_verify: bool,
    /// File with certificates of authorities to trust, in PEM
    #[arg(long, value_name = "FILE")]
    pub tlscacert: Option<PathBuf>,
    /// File with the certificate to show, in PEM
    #[arg(long, value_name = "FILE", requires = "tlskey")]
    pub tlscert: Option<PathBuf>,
    /// File with the key of --tlscert, in PEM
    #[arg(long, value_name = "FILE", requires = "tlscert")]
    pub tlskey: Option<PathBuf>,
    /// Directory with HOST/hosts.toml and certificates instead of the usual certs.d
    #[arg(long, value_name = "DIR")]
    pub hosts_dir: Option<PathBuf>,
    /// File instead of the usual registries.conf
    #[arg(long, value_name = "FILE")]
    pub registries_conf: Option<PathBuf>,
    /// File of credentials instead of docker's and podman's
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
}

/// `pull`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PullArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// The platform, OS/ARCHITECTURE[/VARIANT]; this host's if not given
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Fetch the image for every platform that there is
    #[arg(long, conflicts_with = "platform")]
    pub all_platforms: bool,
    /// Print the image's name alone
    #[arg(long, short)]
    pub quiet: bool,
    /// Find out what would be fetched, print it, and stop there
    #[arg(long)]
    pub dry_run: bool,
    /// Print each step that will be done before it is done
    #[arg(long)]
    pub explain: bool,
    /// File that says which images have to be signed by whom; the usual policy.json if not given
    #[arg(long, value_name = "FILE")]
    pub signature_policy: Option<PathBuf>,
    /// The image; the same as the argument
    #[arg(long = "img", value_name = "NAME", conflicts_with = "image")]
    pub img: Option<String>,
    /// The image: [HOST/]NAME[:TAG][@DIGEST]
    #[arg(value_name = "IMAGE", required_unless_present = "img")]
    pub image: Option<String>,
}

impl PullArgs {
    /// The image, however it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        self.image.as_deref().or(self.img.as_deref()).unwrap_or_default()
    }
}

/// `push`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct PushArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Print the digest alone
    #[arg(long, short)]
    pub quiet: bool,
    /// How layers are sent that are not compressed; those from archives of docker's with gzip, others as they are if not
    /// given
    #[arg(long, value_name = "KIND", value_enum, alias = "compression-format")]
    pub compression: Option<LayerCompression>,
    /// The image in the store
    #[arg(value_name = "IMAGE")]
    pub image: String,
    /// The name to push it as; its own if not given
    #[arg(value_name = "DESTINATION")]
    pub destination: Option<String>,
}

/// `login`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LoginArgs {
    /// How the registry is spoken to
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// The user's name
    #[arg(long, short, value_name = "NAME")]
    pub username: Option<String>,
    /// The password; others on this machine can see it while the command runs
    #[arg(long, short, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Read the password from standard input
    #[arg(long, requires = "username")]
    pub password_stdin: bool,
    /// The registry; Docker Hub if not given
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}

/// `logout`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LogoutArgs {
    /// File of credentials instead of docker's and podman's
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// The registry; Docker Hub if not given
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}
