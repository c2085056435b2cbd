//! Filters of system calls: the OCI's format, or docker's, whose rules depend on capabilities, on the architecture and on
//! the kernel.

use serde_json::{Value, json};
use std::fs;

/// Docker's name of this host's architecture.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: (&str, &str) = ("amd64", "SCMP_ARCH_X86_64");
/// Docker's name of this host's architecture.
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: (&str, &str) = ("arm64", "SCMP_ARCH_AARCH64");
/// Docker's name of this host's architecture.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURE: (&str, &str) = (std::env::consts::ARCH, "");

/// What becomes `linux.seccomp` of a profile, for a container with these capabilities. The OCI's format is left as it is.
#[must_use]
pub fn lower(profile: &Value, capabilities: &[String]) -> Value {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    lower_for(profile, &Host { capabilities, release: &release })
}

struct Host<'a> {
    capabilities: &'a [String],
    release: &'a str,
}

impl Host<'_> {
    fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|name| name == capability)
    }

    /// Whether the kernel is at least of a version such as `4.8`.
    fn is_at_least(&self, version: &str) -> bool {
        let numbers = |text: &str| -> Vec<u32> {
            text.split(['.', '-']).map_while(|part| part.trim().parse().ok()).take(2).collect()
        };
        numbers(self.release) >= numbers(version)
    }
}

fn lower_for(profile: &Value, host: &Host<'_>) -> Value {
    let mut lowered = profile.clone();
    if let Some(map) = profile["archMap"].as_array() {
        let own = map.iter().find(|entry| entry["architecture"] == ARCHITECTURE.1);
        let others = own.and_then(|entry| entry["subArchitectures"].as_array()).cloned().unwrap_or_default();
        lowered["architectures"] = std::iter::once(json!(ARCHITECTURE.1)).chain(others).collect();
        remove(&mut lowered, "archMap");
    }
    let rules = profile["syscalls"].as_array().cloned().unwrap_or_default();
    let fitting = rules.into_iter().filter(|rule| {
        fits(&rule["includes"], host)
            && !(rule["excludes"].as_object().is_some_and(|not| !not.is_empty())
                && any(&rule["excludes"], host))
    });
    lowered["syscalls"] = fitting.map(plain).collect();
    lowered
}

/// A rule without docker's additions.
fn plain(mut rule: Value) -> Value {
    if let Some(name) = rule["name"].as_str().map(str::to_owned).filter(|name| !name.is_empty()) {
        rule["names"] = json!([name]);
    }
    for name in ["includes", "excludes", "comment", "name"] {
        remove(&mut rule, name);
    }
    for name in ["args", "errnoRet"] {
        if rule[name].is_null() {
            remove(&mut rule, name);
        }
    }
    rule
}

fn remove(value: &mut Value, name: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(name);
    }
}

fn words<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    value[name].as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// Whether all that a rule asks for is so.
fn fits(includes: &Value, host: &Host<'_>) -> bool {
    let mut arches = words(includes, "arches").peekable();
    (arches.peek().is_none() || arches.any(|arch| arch == ARCHITECTURE.0))
        && words(includes, "caps").all(|capability| host.has(capability))
        && includes["minKernel"].as_str().is_none_or(|version| host.is_at_least(version))
}

/// Whether anything that keeps a rule out is so.
fn any(excludes: &Value, host: &Host<'_>) -> bool {
    words(excludes, "arches").any(|arch| arch == ARCHITECTURE.0)
        || words(excludes, "caps").any(|capability| host.has(capability))
        || excludes["minKernel"].as_str().is_some_and(|version| host.is_at_least(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_docker_s_format_depend_on_the_host() {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "archMap": [{ "architecture": ARCHITECTURE.1, "subArchitectures": ["SCMP_ARCH_X32"] }],
            "syscalls": [
                { "names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}, "excludes": {} },
                { "names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": { "caps": ["CAP_SYS_ADMIN"] } },
                { "names": ["clone"], "action": "SCMP_ACT_ALLOW", "excludes": { "caps": ["CAP_SYS_ADMIN"] } },
                { "names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8" } },
                { "names": ["later"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "99.1" } },
            ],
        });
        let host = Host { capabilities: &["CAP_CHOWN".to_owned()], release: "6.1.0-18-amd64" };
        let lowered = lower_for(&profile, &host);
        let rules = lowered["syscalls"].as_array().expect("rules");
        let names: Vec<_> = rules.iter().map(|rule| rule["names"][0].as_str().expect("a name")).collect();
        assert_eq!(names, ["read", "clone", "ptrace"]);
        assert_eq!(lowered["architectures"], json!([ARCHITECTURE.1, "SCMP_ARCH_X32"]));
        assert!(rules.iter().all(|rule| rule.as_object().expect("a rule").len() == 2));
        let host = Host { capabilities: &["CAP_SYS_ADMIN".to_owned()], ..host };
        assert_eq!(lower_for(&profile, &host)["syscalls"][1]["names"], json!(["mount"]));
    }
}
