//! Network devices that the container takes over (config-linux.md, Network Devices).

use super::Facts;
use super::namespaces::Namespaces;
use super::report::{At, Report};
use crate::spec::{self, NamespaceKind, escape};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A network device and the name that it gets in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NetDevice {
    /// Its name in the runtime's network namespace.
    pub name: String,
    /// Its name in the container's; with `%d` in it the kernel puts a free number there.
    pub new_name: String,
}

impl NetDevice {
    /// The device's place in `config.json`.
    #[must_use]
    pub fn pointer(&self) -> String {
        format!("/linux/netDevices/{}", escape(&self.name))
    }
}

/// Reads the devices. The kernel's own words would come when the container is half made, and in the runtime's own
/// namespace a "move" would only rename.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    devices: &BTreeMap<String, spec::NetDevice>,
    namespaces: &Namespaces,
    facts: &Facts,
) -> Vec<NetDevice> {
    if devices.is_empty() {
        return Vec::new();
    }
    if namespaces.is_host(NamespaceKind::Network) {
        let hint = "list a namespace of type \"network\", or leave the devices out";
        report.refuse(at, "without a network namespace there is nowhere to move network devices to", hint);
    }
    if facts.euid != 0 {
        let hint = "run as root, or leave the devices out";
        report.refuse(at, "an ordinary user cannot move network devices", hint);
    }
    let mut taken = BTreeSet::new();
    devices
        .iter()
        .map(|(name, device)| {
            let at = at.key(name);
            check_name(report, at, name);
            let new_name = if device.name.is_empty() { name } else { &device.name };
            if new_name != name {
                check_name(report, at.key("name"), new_name);
            }
            if !new_name.contains('%') && !taken.insert(new_name) {
                let message = format!("two devices would be called {new_name:?}");
                report.refuse(at.key("name"), message, "give each a name of its own, or one that ends in %d");
            }
            NetDevice { name: name.clone(), new_name: new_name.clone() }
        })
        .collect()
}

/// What the kernel takes for a name (`dev_valid_name`), with at most one `%d`.
fn check_name(report: &mut Report, at: At<'_>, name: &str) {
    let wrong = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
    let templates = name.matches('%').count();
    let valid = !name.is_empty()
        && name.len() < libc::IFNAMSIZ
        && !matches!(name, "." | "..")
        && !name.contains(wrong)
        && (templates == 0 || (templates == 1 && name.ends_with("%d")));
    if !valid {
        let hint = "1 to 15 bytes without blanks, '/' and ':'; the new name may end in %d";
        report.refuse(at, format!("{name:?} is no name of a network device"), hint);
    }
}
