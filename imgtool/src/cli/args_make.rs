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
    /// The bundle, unless --upper is given, and the name of the new image
    #[arg(value_names = ["BUNDLE", "IMAGE"], required = true, num_args = 1..=2)]
    pub names: Vec<String>,
}
