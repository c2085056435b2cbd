//! What the OCI runtime is to do: a container's record and what has been found on the host become a `config.json`. Pure:
//! nothing is looked at here, so that every wish can be tested without a host.
//!
//! ```text
//! facts       what of the host and of the image the plan depends on
//! security    --security-opt
//! config      the configuration, part by part
//! resources   limits and devices
//! mounts      what is mounted where
//! ```

mod config;
mod facts;
mod mounts;
mod resources;
mod security;
#[cfg(test)]
mod tests;

use crate::container::{CgroupManager, Container};

pub use config::{capabilities, config};
pub use facts::{DeviceNode, Facts, Files, Joined};
pub use mounts::files_around;
pub use resources::device_rule;
pub use security::{Seccomp, Security, SecurityError};

/// Where a container's cgroup is if nothing else is said.
pub const CGROUP_PARENT: &str = "/mydocker";

/// Where the small init lies in a container.
pub const INIT: &str = "/sbin/docker-init";

/// The path of a container's cgroup in the hierarchies; with systemd `SLICE:PREFIX:NAME`, which names the scope and, where the
/// slice is empty, leaves that to the runtime.
#[must_use]
pub fn cgroup_path(container: &Container) -> String {
    if container.host_config.cgroup_manager == CgroupManager::Systemd {
        return format!("{}:mydocker:{}", container.host_config.cgroup_parent, container.id);
    }
    let parent = match &*container.host_config.cgroup_parent {
        "" => CGROUP_PARENT,
        parent => parent.trim_end_matches('/'),
    };
    format!("/{}/{}", parent.trim_start_matches('/'), container.id)
}
