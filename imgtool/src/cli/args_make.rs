//! What can be typed to make images and to carry them.

use crate::image::Compression;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How a new layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LayerCompression {
    /// gzip, which every program understands
    #[default]
    Gzip,
    /// zstd: faster and smaller; docker understands it since version 23
    Zstd,
    /// Not at all
    None,
}

impl From<LayerCompression> for Compression {
    fn from(compression: LayerCompression) -> Self {
        match compression {
            LayerCompression::Gzip => Self::Gzip,
            LayerCompression::Zstd => Self::Zstd,
            LayerCompression::None => Self::None,
        }
    }
}

/// What is said about an image that is made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct MakeArgs {
    /// Change how the image is run, by an instruction of a Dockerfile; may be given again
    #[arg(long, short, value_name = "INSTRUCTION")]
    pub change: Vec<String>,
    /// Say what was done
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
    /// How the layer is compressed
    #[arg(long, value_name = "KIND", value_enum, default_value_t)]
    pub compression: LayerCompression,
}

/// `commit`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct CommitArgs {
    /// The upper directory of an overlay mount over the base, in place of a bundle
    #[arg(long, value_name = "DIR", requires = "base")]
    pub upper: Option<PathBuf>,
    /// The image that it began as, or 'scratch' for none; a bundle knows its own
    #[arg(long, value_name = "IMAGE")]
    pub base: Option<String>,
    /// Say who made the image
    #[arg(long, short, value_name = "NAME")]
    pub author: Option<String>,
    /// What else is said about it
    #[command(flatten)]
    pub make: MakeArgs,
    /// Pause the containers that run on it meanwhile; --pause=false does not
    #[arg(long, short, action = clap::ArgAction::Set, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = mydocker_cmdline::parse_bool)]
    pub pause: bool,
    /// The OCI runtime that runs them, if it is not mydocker-runtime
    #[arg(long, value_name = "PROGRAM")]
    pub runtime: Option<PathBuf>,
    /// The state root of the runtime, if it is not its own choice
    #[arg(long, value_name = "DIR")]
    pub runtime_root: Option<PathBuf>,
    /// Also write it to a file: oci-archive:FILE, docker-archive:FILE or oci-dir:DIRECTORY
    #[arg(long, short, value_name = "KIND:FILE")]
    pub output: Option<String>,
    /// The bundle, unless --upper is given, and the name of the new image
    #[arg(value_names = ["BUNDLE", "IMAGE"], required = true, num_args = 1..=2)]
    pub names: Vec<String>,
}

/// What an archive of images is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SaveFormat {
    /// What 'docker load' has always understood
    #[default]
    DockerArchive,
    /// A tar of an OCI layout
    OciArchive,
    /// An OCI layout, in a directory that is new or empty
    OciDir,
}

/// `save`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct SaveArgs {
    /// The file, or the directory of oci-dir; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// What is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: SaveFormat,
    /// The images: names, which they keep, or the beginnings of their ids
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

/// `load`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct LoadArgs {
    /// The archive, or the directory of a layout; standard input if not given
    #[arg(long, short, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Print the names of the images alone, on a terminal as well
    #[arg(long, short)]
    pub quiet: bool,
    /// File that says what may come from where; the usual policy.json if not given
    #[arg(long, value_name = "FILE")]
    pub signature_policy: Option<PathBuf>,
    /// The name of the archive's only image, in place of those that it has
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `import`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ImportArgs {
    /// What it runs on, OS/ARCHITECTURE[/VARIANT]; this host if not given
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// What else is said about it
    #[command(flatten)]
    pub make: MakeArgs,
    /// File that says what may come from where; the usual policy.json if not given
    #[arg(long, value_name = "FILE")]
    pub signature_policy: Option<PathBuf>,
    /// The tar of a root file system; '-' is standard input
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The name of the new image
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// `export`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct ExportArgs {
    /// The file; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The image, or the directory of a bundle
    #[arg(value_name = "IMAGE|BUNDLE")]
    pub source: String,
}

/// How differences are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DiffFormat {
    /// A letter and a name in each line: A is new, C changed, D gone
    #[default]
    Text,
    /// An object in each line
    Json,
}

/// `diff`
#[derive(Debug, Clone, PartialEq, Eq, Default, Args)]
pub struct DiffArgs {
    /// How differences are printed
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub format: DiffFormat,
    /// An image, or the directory of a bundle; a bundle alone is compared with the image that it began as
    #[arg(value_name = "A")]
    pub one: String,
    /// What A is compared with
    #[arg(value_name = "B")]
    pub other: Option<String>,
}
