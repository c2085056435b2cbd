//! `check`: what a bundle asks for in vain, before it is run.

use super::bundle;
use super::report::failed;
use super::{Outcome, print};
use crate::cgroup::{Layout, ResourcePlan};
use crate::cli::{CheckArgs, Context, PlanFormat, Report};
use crate::host::HostFacts;
use crate::seccomp;
use crate::spec::{self, Linux, ParseError, Spec};
use crate::support;
use crate::validate::{self, ValidSpec};
use serde::Serialize;
use std::path::Path;

/// What becomes of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// It is wrong, and the container is refused.
    Refused,
    /// It is right, and this host or its kernel does not have it: the container is refused.
    Unsupported,
    /// The specification does not have it, or not for Linux: it is ignored.
    Unknown,
    /// It is known and has no effect.
    Ignored,
}

impl Kind {
    fn is_refusal(self) -> bool {
        matches!(self, Self::Refused | Self::Unsupported)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
        }
    }
}

/// Something that the configuration asks for in vain.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// The place, a JSON pointer; empty for the whole document.
    pointer: String,
    kind: Kind,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

impl Finding {
    fn new(
        kind: Kind,
        pointer: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { kind, pointer: pointer.into(), message: message.into(), hint: hint.into() }
    }

    /// Of a chain of errors whose text begins with a pointer.
    fn of_error(kind: Kind, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::of_text(kind, &Report::new("check", error).message)
    }

    fn of_text(kind: Kind, text: &str) -> Self {
        match text.split_once(": ") {
            Some((pointer, message)) if pointer.starts_with('/') => Self::new(kind, pointer, message, ""),
            _ => Self::new(kind, "", text, ""),
        }
    }
}

/// What `check` prints as JSON.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    config: &'a Path,
    strict: bool,
    /// Whether it passes.
    ok: bool,
    findings: &'a [Finding],
}

/// `check`: tells everything of a bundle's configuration that would be refused, or is not supported here, or would be
/// ignored. Status 1: something would be refused, or with `--strict` ignored. Reads the bundle and the kernel's own
/// files, and changes nothing.
///
/// # Errors
/// If the configuration cannot be read at all.
pub fn check(args: &CheckArgs, _context: &Context) -> Outcome {
    let directory = args.bundle.as_deref().or(args.dir.as_deref());
    let path = bundle::absolute(directory)?;
    let file = path.join(spec::CONFIG_FILE);
    let bytes = bundle::read_config(&file)?;
    let host = HostFacts::probe().map_err(failed("host"))?;
    let findings = judge(&bytes, &path, &host);
    let ok = !findings.iter().any(|finding| args.strict || finding.kind.is_refusal());
    print(&match args.format {
        PlanFormat::Text => text(&file, &findings),
        PlanFormat::Json => {
            let verdict = Verdict { config: &file, strict: args.strict, ok, findings: &findings };
            serde_json::to_string_pretty(&verdict).map_err(failed("check"))? + "\n"
        }
    })?;
    Ok(u8::from(!ok))
}

fn text(file: &Path, findings: &[Finding]) -> String {
    if findings.is_empty() {
        return format!("{}: nothing would be refused or ignored\n", file.display());
    }
    let line = |Finding { pointer, kind, message, hint }: &Finding| {
        let pointer = if pointer.is_empty() { "/" } else { pointer };
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        format!("{pointer}: {}: {message}{hint}\n", kind.name())
    };
    findings.iter().map(line).collect()
}

/// Everything that is found, in the order of the stages that a container goes through.
fn judge(bytes: &[u8], bundle: &Path, host: &HostFacts) -> Vec<Finding> {
    let (parsed, unknown) = match spec::parse_telling_unknown(bytes) {
        Ok(parsed) => parsed,
        Err(ParseError::Shape { pointer, message }) => {
            return vec![Finding::new(Kind::Refused, pointer, message, "")];
        }
        Err(error) => return vec![Finding::new(Kind::Refused, "", error.to_string(), "")],
    };
    let mut findings: Vec<_> = unknown.iter().map(|pointer| unknown_property(pointer)).collect();
    findings.extend(annotations_of_others(&parsed));
    let linux = parsed.linux.clone().unwrap_or_default();
    match validate::validate(parsed, bundle, &host.facts()) {
        Ok(valid) => findings.extend(of_valid(&valid)),
        Err(error) => {
            findings.extend(error.mistakes().iter().map(|mistake| {
                Finding::new(Kind::Refused, &mistake.pointer, &mistake.message, &mistake.hint)
            }))
        }
    }
    findings.extend(limits(&linux));
    findings.extend(filter(&linux));
    findings
}

/// Names that the specification has, or had, elsewhere.
fn unknown_property(pointer: &str) -> Finding {
    const OTHERS: [&str; 5] = ["/windows", "/solaris", "/freebsd", "/zos", "/vm"];
    let (kind, message) = match pointer {
        _ if OTHERS.contains(&pointer) => (Kind::Unknown, "it is of another platform than Linux"),
        "/process/commandLine" | "/process/user/username" => (Kind::Unknown, "it is of Windows"),
        "/linux/intelRdt/enableCMT" | "/linux/intelRdt/enableMBM" => {
            (Kind::Unknown, "the specification 1.3 has enableMonitoring in its place")
        }
        _ => (Kind::Unknown, "the specification does not have this property"),
    };
    Finding::new(kind, pointer, message, "leave it out")
}

/// Annotations under crun's names that are not known to mean anything.
fn annotations_of_others(spec: &Spec) -> Vec<Finding> {
    use crate::validate::annotations::{KEEP_GROUPS, PREFIX, is_ignored};
    let unknown = |key: &&String| key.starts_with(PREFIX) && *key != KEEP_GROUPS && !is_ignored(key);
    let finding = |key: &String| {
        let pointer = format!("/annotations/{}", spec::escape(key));
        Finding::new(Kind::Unknown, pointer, "only crun could know this annotation", "leave it out")
    };
    spec.annotations.keys().filter(unknown).map(finding).collect()
}

fn of_valid(valid: &ValidSpec) -> Vec<Finding> {
    // The kind says it already.
    let ignored = |warning: &crate::validate::Warning| {
        let message = warning.message.strip_prefix("ignored: ").unwrap_or(&warning.message);
        Finding::new(Kind::Ignored, &warning.pointer, message, "")
    };
    let mut findings: Vec<_> = valid.warnings.iter().map(ignored).collect();
    let missing = support::missing(valid).into_iter().chain(support::missing_in_kernel(valid));
    findings.extend(missing.map(|m| Finding::new(Kind::Unsupported, m.pointer, m.message, m.hint)));
    findings
}

/// Limits by the cgroups of this host.
fn limits(linux: &Linux) -> Vec<Finding> {
    let Some(resources) = &linux.resources else { return Vec::new() };
    let plan = match ResourcePlan::from_spec(resources, &linux.devices) {
        Ok(plan) => plan,
        Err(error) => return vec![Finding::of_error(Kind::Refused, &error)],
    };
    let mut findings: Vec<_> =
        plan.warnings.iter().map(|text| Finding::of_text(Kind::Ignored, text)).collect();
    let lowered = Layout::load(plan.controllers()).map(|layout| plan.lower(&layout).err());
    findings.extend(match &lowered {
        Ok(None) => None,
        Ok(Some(error)) => Some(Finding::of_error(Kind::Unsupported, error)),
        Err(error) => Some(Finding::of_error(Kind::Unsupported, error)),
    });
    findings
}

/// The system call filter, and what of it this kernel can do.
fn filter(linux: &Linux) -> Vec<Finding> {
    let (Some(profile), Some(native)) = (&linux.seccomp, seccomp::Arch::BUILD) else { return Vec::new() };
    match seccomp::compile(profile, &seccomp::Facts { native }) {
        Err(error) => vec![Finding::of_error(Kind::Refused, &error)],
        Ok(compiled) => {
            let warnings = compiled.warnings.iter();
            let mut findings: Vec<_> =
                warnings.map(|warning| Finding::of_text(Kind::Ignored, &warning.to_string())).collect();
            if !mydocker_sys::seccomp::flags_available(compiled.flags) {
                let message = "this kernel does not have all of the filter's flags";
                findings.push(Finding::new(
                    Kind::Unsupported,
                    "/linux/seccomp/flags",
                    message,
                    "leave the newer ones out",
                ));
            }
            findings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judged(change: impl Fn(&mut Value)) -> Vec<(String, &'static str)> {
        let mut document = serde_json::to_value(spec::default_spec(spec::DefaultOptions::default())).unwrap();
        change(&mut document);
        let bytes = serde_json::to_vec(&document).unwrap();
        let host = HostFacts { euid: 0, nested: false, last_capability: 40, permitted: u64::MAX };
        let findings = judge(&bytes, Path::new("/bundle"), &host);
        findings.into_iter().map(|finding| (finding.pointer, finding.kind.name())).collect()
    }

    fn one(pointer: &str, kind: &'static str) -> Vec<(String, &'static str)> {
        vec![(pointer.to_owned(), kind)]
    }

    #[test]
    fn the_default_configuration_asks_for_nothing_in_vain() {
        assert_eq!(judged(|_| {}), []);
    }

    #[test]
    fn every_kind_of_finding_is_told_at_its_place() {
        assert_eq!(judged(|d| d["linux"]["whatever"] = json!(1)), one("/linux/whatever", "unknown"));
        assert_eq!(judged(|d| d["windows"] = json!({})), one("/windows", "unknown"));
        assert_eq!(judged(|d| d["process"]["cwd"] = json!("x")), one("/process/cwd", "refused"));
        assert_eq!(judged(|d| d["process"]["cwd"] = json!(1)), one("/process/cwd", "refused"));
        let rdt = json!({"closID": "gold"});
        assert_eq!(judged(|d| d["linux"]["intelRdt"] = rdt.clone()), one("/linux/intelRdt", "unsupported"));
        let memory = json!({"kernel": 1 << 20});
        assert_eq!(
            judged(|d| d["linux"]["resources"]["memory"] = memory.clone()),
            one("/linux/resources/memory/kernel", "ignored")
        );
        let seccomp = json!({"defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["frobnicate"], "action": "SCMP_ACT_ERRNO"}]});
        assert_eq!(
            judged(|d| d["linux"]["seccomp"] = seccomp.clone()),
            one("/linux/seccomp/syscalls/0/names/0", "ignored")
        );
        for (key, value, kind) in [
            ("run.oci.handler", "krun", Some("ignored")),
            ("run.oci.systemd.subgroup", "inner", Some("ignored")),
            ("run.oci.systemd.subgroup", "", None),
            ("run.oci.keep_original_groups", "1", None),
            ("run.oci.news", "1", Some("unknown")),
        ] {
            let found = judged(|d| d["annotations"] = json!({key: value}));
            assert_eq!(found, kind.map_or(vec![], |kind| one(&format!("/annotations/{key}"), kind)), "{key}");
        }
        let odd = json!({"destination": "/a", "type": "nofs", "source": "x"});
        assert_eq!(judged(|d| d["mounts"][0] = odd.clone()), one("/mounts/0/type", "unsupported"));
    }

    #[test]
    fn a_document_that_is_no_json_is_one_refusal_of_the_whole() {
        let host = HostFacts { euid: 0, nested: false, last_capability: 40, permitted: u64::MAX };
        let findings = judge(b"{", Path::new("/bundle"), &host);
        assert_eq!((findings.len(), findings[0].kind, findings[0].pointer.as_str()), (1, Kind::Refused, ""));
    }
}
