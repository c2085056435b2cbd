//! Annotations by which crun's callers ask for what the specification has no words for (crun(1)).

use super::report::{At, Report};
use std::collections::BTreeMap;

/// The program keeps the further groups of the runtime's caller; podman sets it for `--group-add keep-groups`.
pub const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// How the names of all of them begin.
pub(crate) const PREFIX: &str = "run.oci.";

/// Those that crun knows, and that have no effect here.
const IGNORED: [&str; 13] = [
    "run.oci.delegate-cgroup",
    "run.oci.handler",
    "run.oci.hooks.stderr",
    "run.oci.hooks.stdout",
    "run.oci.mount_context_type",
    "run.oci.pidfd_receiver",
    "run.oci.seccomp.plugins",
    "run.oci.seccomp.receiver",
    "run.oci.seccomp_bpf_data",
    "run.oci.seccomp_fail_unknown_syscall",
    "run.oci.systemd.force_cgroup_v1",
    "run.oci.systemd.subgroup",
    "run.oci.timens_offset",
];

/// Whether the further groups stay what they are: as crun has it, with every value but `0`.
#[must_use]
pub fn keeps_groups(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(KEEP_GROUPS).is_some_and(|value| value != "0")
}

/// Whether the annotation is one of crun's that a configuration asks for in vain.
#[must_use]
pub(crate) fn is_ignored(key: &str) -> bool {
    IGNORED.contains(&key)
}

/// Warns of those that ask for something in vain. A `run.oci.systemd.subgroup` without a value asks for no further group,
/// which is what the container gets.
pub(super) fn check(report: &mut Report, at: At<'_>, annotations: &BTreeMap<String, String>) {
    let in_vain =
        |key: &str, value: &str| is_ignored(key) && (key, value) != ("run.oci.systemd.subgroup", "");
    for (key, _) in annotations.iter().filter(|(key, value)| in_vain(key, value)) {
        report.warn(at.key(key), "ignored: only crun acts on this annotation");
    }
}
