//! The configuration of an image.

use crate::digest::Digest;
use crate::platform::Platform;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The configuration of an image (image-spec, config.md), with what docker adds. Fields that are not known are kept, so
/// that a changed image loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// The processor it runs on.
    #[serde(default)]
    pub architecture: String,
    /// The variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The operating system it runs on.
    #[serde(default)]
    pub os: String,
    /// How it is run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// Its layers.
    pub rootfs: RootFs,
    /// How each layer came about.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub history: Vec<History>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How a container of an image is run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group`, ...; empty is root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Ports such as `80/tcp`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// `NAME=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub env: Vec<String>,
    /// What is run, before the arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments if no others are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Directories whose content outlives the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub volumes: BTreeMap<String, Value>,
    /// Where it is run; empty is `/`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// What else there is to say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How to see whether it is well; docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// The shell that a command in one string is given to; docker's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How to see whether a container is well. Times are in nanoseconds; 0 is docker's default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", command]`; empty inherits.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub test: Vec<String>,
    /// Between two looks.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long a look may take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// While it starts, failures do not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between two looks while it starts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// How many failures make it unwell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The layers of an image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, the lowest first.
    #[serde(deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

impl RootFs {
    /// What each layer is called where it depends on those below it, the lowest first. As in a chainID (image-spec,
    /// config.md) all of them are in it; but the lowest one has a name of its own as well.
    #[must_use]
    pub fn stacked(&self) -> Vec<Digest> {
        let mut below = "stacked".to_owned();
        let next = |diff_id: &Digest| {
            let stacked = Digest::of(diff_id.algorithm(), format!("{below} {diff_id}").as_bytes());
            below = stacked.to_string();
            stacked
        };
        self.diff_ids.iter().map(next).collect()
    }
}

/// How a layer came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// When: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// In other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Where and why it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What the image runs on.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes an empty list or map as `null`.
pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_s_empty_lists_are_read() {
        let text = r#"{"architecture":"arm","variant":"v6","os":"linux","config":null,
            "rootfs":{"type":"layers","diff_ids":null},"history":null}"#;
        let config = ImageConfig::parse(text.as_bytes()).expect("a configuration");
        assert_eq!(config.platform().to_string(), "linux/arm/v6");
        let text = r#"{"config":{"Env":null,"Volumes":null,"Cmd":null,"Labels":null},"rootfs":{"type":"layers","diff_ids":[]}}"#;
        assert!(ImageConfig::parse(text.as_bytes()).expect("a configuration").config.env.is_empty());
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let text = r#"{"architecture":"amd64","os":"linux","config":{"OnBuild":["RUN x"]},
            "rootfs":{"type":"layers","diff_ids":[]},"docker_version":"20.10"}"#;
        let config = ImageConfig::parse(text.as_bytes()).expect("a configuration");
        let again = serde_json::to_string(&config).expect("JSON");
        assert!(again.contains("docker_version") && again.contains("OnBuild"), "{again}");
    }
}
