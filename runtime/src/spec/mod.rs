//! `config.json` as the runtime-spec 1.3 defines it, and nothing more: these types say what was written, not
//! whether it makes sense ([`validate`](crate::validate) does that).
//!
//! Fields keep the order of the specification's Go types, so that what is written out reads like runc's output.
//! A missing list or text is empty; `null` stands for a missing value, as Go programs write it.

mod default;
mod linux;
mod merge;
mod parse;
mod process;
mod resources;
mod seccomp;
mod strict;

pub use default::{DefaultOptions, default_spec};
pub use linux::*;
pub(crate) use parse::escape;
pub use parse::{MAX_CONFIG_BYTES, ParseError, parse, parse_process, parse_resources, parse_telling_unknown};
pub use process::*;
pub use resources::*;
pub use seccomp::*;

use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The version of the runtime-spec that this runtime implements.
pub const OCI_VERSION: &str = "1.3.0";

/// The name of the configuration in a bundle (bundle.md).
pub const CONFIG_FILE: &str = "config.json";

/// The whole of `config.json` (config.md).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The version of the specification that the bundle complies with.
    pub oci_version: String,
    /// The program that runs in the container; needed by `start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system; required on Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The name of the host as the container sees it; empty leaves it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// The NIS domain as the container sees it; empty leaves it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// Mounts beyond the root, in order.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Programs to run at points of the container's life.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Free metadata.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What is special to Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system (config.md, Root).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    pub path: String,
    /// Whether the root is read-only inside.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_false")]
    pub readonly: bool,
}

/// One mount (config.md, Mounts).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where in the container; a relative path counts from `/`.
    pub destination: String,
    /// The file system type; `bind` and empty with a bind option for bind mounts.
    #[serde(
        rename = "type",
        default,
        deserialize_with = "nullable",
        skip_serializing_if = "String::is_empty"
    )]
    pub fs_type: String,
    /// A device, a name, or for bind mounts a path: absolute, or relative to the bundle.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Options as in fstab, and file system specific data.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The user ids of an id-mapped mount.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// The group ids of an id-mapped mount.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
}

/// The hooks of all six kinds (config.md, POSIX-platform Hooks), each in the order in which it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hooks {
    /// Deprecated: during create, in the runtime's namespaces, before `create_runtime`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// During create, in the runtime's namespaces, before `pivot_root`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// During create, in the container's namespaces, before `pivot_root`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// During start, in the container's namespaces, before the program runs.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// After the program was started, in the runtime's namespaces.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// After the container was deleted, in the runtime's namespaces.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// Whether there is no hook of any kind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds().iter().all(|(_, hooks)| hooks.is_empty())
    }

    /// Every kind with its name in `config.json`, in the order in which they run.
    #[must_use]
    pub fn kinds(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hook {
    /// The program, absolute.
    pub path: String,
    /// Its arguments, the name first; empty: the path alone.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its whole environment.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds after which it is killed; greater than zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// Takes `null` for the default value, as Go's decoder does.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
pub(crate) fn is_false(value: &bool) -> bool {
    !value
}
