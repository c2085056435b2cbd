//! What a configuration asks of this host and its kernel beyond what every host has. It is asked only where the
//! configuration needs it, before anything is touched; a mistake in the configuration itself is
//! [`validate`](crate::validate)'s.

use crate::landlock::{self, Ruleset};
use crate::resctrl;
use crate::spec::NamespaceKind;
use crate::validate::{Process, ValidSpec};
use mydocker_sys::Errno;
use std::path::Path;

/// Something that the host lacks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {message}; {hint}")]
pub struct Missing {
    /// The wish, a JSON pointer.
    pub pointer: String,
    /// What is missing.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Everything that a container asks for and this host lacks.
#[must_use]
pub fn missing(spec: &ValidSpec) -> Vec<Missing> {
    let mut missing = Vec::new();
    if let Some(process) = &spec.process {
        missing.extend(labels(process, "/process"));
    }
    if spec.mount_label.is_some() && !selinux() {
        missing.push(no_selinux("/linux/mountLabel".into()));
    }
    missing.extend(spec.landlock.as_ref().and_then(no_landlock));
    if spec.spec().linux.as_ref().is_some_and(|linux| linux.intel_rdt.is_some()) {
        missing.extend(resctrl::find_here().err().map(|error| no_resctrl(&error)));
    }
    missing
}

/// The same of a process that joins a container; `prefix` begins its pointers.
#[must_use]
pub fn missing_for_process(process: &Process, prefix: &str, rules: Option<&Ruleset>) -> Vec<Missing> {
    let mut missing = labels(process, prefix);
    missing.extend(rules.and_then(no_landlock));
    missing
}

/// What the kernel itself lacks: the launch would be told so, step by step, by the kernel.
#[must_use]
pub fn missing_in_kernel(spec: &ValidSpec) -> Vec<Missing> {
    let mut missing = namespaces(spec);
    missing.extend(file_systems(spec));
    missing
}

fn namespaces(spec: &ValidSpec) -> Vec<Missing> {
    let listed = spec.spec().linux.iter().flat_map(|linux| &linux.namespaces).enumerate();
    let absent = listed.filter(|(_, namespace)| !has_namespace(namespace.kind));
    absent
        .map(|(index, namespace)| Missing {
            pointer: format!("/linux/namespaces/{index}/type"),
            message: format!("this kernel has no {} namespaces", namespace.kind),
            hint: "leave the namespace out, or run a kernel that has them".into(),
        })
        .collect()
}

/// Whether the kernel has namespaces of a kind.
#[must_use]
pub fn has_namespace(kind: NamespaceKind) -> bool {
    Path::new("/proc/self/ns").join(kind.proc_name()).exists()
}

/// File systems that the kernel does not list; the words of `config.json` that are no file system are not among them.
fn file_systems(spec: &ValidSpec) -> Vec<Missing> {
    let known = file_system_types();
    let listed = |name: &str| matches!(name, "bind" | "cgroup" | "") || known.iter().any(|one| one == name);
    let absent =
        spec.mounts.iter().enumerate().filter(|(_, mount)| !mount.options.remount && !listed(&mount.fs_type));
    absent
        .map(|(index, mount)| Missing {
            pointer: format!("/mounts/{index}/type"),
            message: format!("this kernel has no file system {:?} loaded", mount.fs_type),
            hint: "load its module, or leave the mount out".into(),
        })
        .collect()
}

/// The names in `/proc/filesystems`.
#[must_use]
pub fn file_system_types() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    text.lines().filter_map(|line| line.split_whitespace().last()).map(str::to_owned).collect()
}

fn labels(process: &Process, prefix: &str) -> Vec<Missing> {
    let mut missing = Vec::new();
    if process.apparmor_profile.is_some() && !apparmor() {
        missing.push(Missing {
            pointer: format!("{prefix}/apparmorProfile"),
            message: "AppArmor is not enabled on this host".into(),
            hint: "leave the profile out, or boot with apparmor among lsm=".into(),
        });
    }
    if process.selinux_label.is_some() && !selinux() {
        missing.push(no_selinux(format!("{prefix}/selinuxLabel")));
    }
    missing
}

fn no_selinux(pointer: String) -> Missing {
    Missing {
        pointer,
        message: "SELinux is not enabled on this host".into(),
        hint: "leave the label out, or boot with selinux among lsm=".into(),
    }
}

fn no_resctrl(error: &resctrl::Error) -> Missing {
    let text = error.to_string();
    let text = text.strip_prefix("/linux/intelRdt: ").unwrap_or(&text);
    let (message, hint) = text.split_once("; ").unwrap_or((text, "leave intelRdt out"));
    Missing { pointer: "/linux/intelRdt".into(), message: message.into(), hint: hint.into() }
}

fn no_landlock(rules: &Ruleset) -> Option<Missing> {
    let missing = |message: String, hint: &str| Missing {
        pointer: format!("/annotations/{}", landlock::ANNOTATION),
        message,
        hint: hint.into(),
    };
    match mydocker_sys::landlock::version() {
        Ok(version) if version >= rules.abi => None,
        Ok(version) => Some(missing(
            format!("the rules need version {} of Landlock, and this kernel has {version}", rules.abi),
            "lower \"abi\", or run a newer kernel",
        )),
        Err(error) if error.errno() == Errno::EOPNOTSUPP => Some(missing(
            "Landlock is not among the kernel's security modules".into(),
            "boot with landlock among lsm=",
        )),
        Err(error) => {
            Some(missing(format!("the kernel has no Landlock ({error})"), "it came with Linux 5.13"))
        }
    }
}

/// Whether AppArmor is enabled.
#[must_use]
pub fn apparmor() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

/// Whether SELinux is enabled: its file system is mounted.
#[must_use]
pub fn selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}
