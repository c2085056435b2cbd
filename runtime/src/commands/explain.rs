//! `explain`: the plan of a bundle, before anything is touched.

mod text;

#[cfg(test)]
mod tests;

use super::bundle::{self, Driver};
use super::report::failed;
use super::{Outcome, print};
use crate::cgroup::layout::Controller;
use crate::cgroup::lower::{Devices, Lowered, OnMissing, Place, Write};
use crate::cgroup::{CgroupRecord, Instance, Mode, UnitPlan};
use crate::cli::{Context, ExplainArgs, PlanFormat};
use crate::host::HostFacts;
use crate::plan::{self, CreateOptions, Plan};
use crate::spec::{Hook, Seccomp};
use crate::validate::ValidSpec;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The id in a plan that is only shown.
const ID: &str = "container";

/// `explain`: prints the ordered steps by which `create` and `start` would make the container of a bundle. Reads the
/// bundle and procfs, changes nothing, and needs no privilege: whoever asks, the plan is that of the host's root.
///
/// # Errors
/// If the bundle is wrong.
pub fn explain(args: &ExplainArgs, context: &Context) -> Outcome {
    let probed = HostFacts::probe().map_err(failed("host"))?;
    let host = HostFacts { euid: 0, nested: false, permitted: u64::MAX, ..probed };
    let directory = args.bundle.as_deref().or(args.dir.as_deref().map(Path::new));
    let driver = Driver::choose(context, false);
    let bundle = bundle::load(directory, ID, None, &host, driver, &context.log)?;
    let explanation =
        Explanation::new(args, &bundle.spec, &bundle.cgroup, &bundle.limits, bundle.unit.as_ref());
    plan::lint(&explanation.plan).map_err(failed("bad-plan"))?;
    print(&match args.format {
        PlanFormat::Text => explanation.to_string(),
        PlanFormat::Json => {
            let mut text = serde_json::to_string_pretty(&explanation).map_err(failed("bad-plan"))?;
            text.push('\n');
            text
        }
    })
}

/// Everything that is decided about a container before anything is touched.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Explanation<'a> {
    cgroup: CgroupView<'a>,
    #[serde(flatten)]
    plan: Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    seccomp: Option<&'a Seccomp>,
    /// The hooks that run when the program has started or the container is gone: kind and hooks.
    later_hooks: Vec<(&'static str, &'a [Hook])>,
}

impl<'a> Explanation<'a> {
    fn new(
        args: &ExplainArgs,
        spec: &'a ValidSpec,
        cgroup: &'a CgroupRecord,
        limits: &'a Lowered,
        unit: Option<&'a UnitPlan>,
    ) -> Self {
        let options = CreateOptions {
            id: ID,
            cgroup,
            await_start: true,
            no_pivot: args.no_pivot,
            no_new_keyring: args.no_new_keyring,
            preserve_fds: 0,
            euid: 0,
            nested: false,
        };
        let later = spec.spec().hooks.kinds().into_iter().skip(4);
        Self {
            cgroup: CgroupView::new(cgroup, limits, unit),
            plan: plan::create(spec, &options),
            seccomp: spec.spec().linux.as_ref().and_then(|linux| linux.seccomp.as_ref()),
            later_hooks: later.filter(|(_, hooks)| !hooks.is_empty()).collect(),
        }
    }
}

/// The container's cgroups on this host, and what their files are told.
#[derive(Debug, Serialize)]
struct CgroupView<'a> {
    mode: Mode,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<UnitView<'a>>,
    directories: Vec<DirectoryView>,
    writes: Vec<WriteView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<DevicesView<'a>>,
}

/// The unit that systemd is asked for.
#[derive(Debug, Serialize)]
struct UnitView<'a> {
    name: &'a str,
    instance: Instance,
    /// Name, type as D-Bus writes it, and value, in the order in which they are sent.
    properties: Vec<(&'a str, String, String)>,
}

/// The container's directory in one hierarchy.
#[derive(Debug, Serialize)]
struct DirectoryView {
    /// The second field of `/proc/self/cgroup`; empty for cgroup v2.
    hierarchy: String,
    path: PathBuf,
}

/// One write to a control file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WriteView<'a> {
    /// The controller whose v1 hierarchy has the file; none: the file is cgroup v2's.
    #[serde(skip_serializing_if = "Option::is_none")]
    controller: Option<&'static str>,
    file: &'a str,
    value: &'a str,
    /// The place of the wish in `config.json`.
    pointer: &'a str,
    #[serde(skip_serializing_if = "OnMissingView::is_fail")]
    on_missing: OnMissingView<'a>,
    /// Whether it is tried again after the later ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retry: bool,
}

/// What a missing control file means.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum OnMissingView<'a> {
    Fail,
    Ignore,
    Instead { file: &'a str, value: &'a str },
}

impl OnMissingView<'_> {
    fn is_fail(&self) -> bool {
        matches!(self, Self::Fail)
    }
}

/// The device filter in the form that the host takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum DevicesView<'a> {
    /// Writes to `devices.allow` and `devices.deny`, in order.
    Rules(Vec<RuleView<'a>>),
    /// The instructions of an eBPF program, each as the kernel's 64 bits; none: everything is allowed.
    Program(Option<&'a [u64]>),
}

#[derive(Debug, Serialize)]
struct RuleView<'a> {
    file: &'static str,
    value: &'a str,
}

impl<'a> CgroupView<'a> {
    fn new(record: &'a CgroupRecord, limits: &'a Lowered, unit: Option<&'a UnitPlan>) -> Self {
        let directories = record.directories.iter().map(|directory| DirectoryView {
            hierarchy: directory.hierarchy.to_string(),
            path: directory.absolute(),
        });
        Self {
            mode: record.mode,
            unit: unit.map(UnitView::new),
            directories: directories.collect(),
            writes: limits.writes.iter().map(WriteView::new).collect(),
            devices: limits.devices.as_ref().map(DevicesView::new),
        }
    }
}

impl<'a> UnitView<'a> {
    fn new(plan: &'a UnitPlan) -> Self {
        let properties = plan
            .properties
            .iter()
            .map(|property| (&*property.name, property.value.signature(), property.value.to_string()));
        Self { name: &plan.unit.name, instance: plan.instance, properties: properties.collect() }
    }
}

impl<'a> WriteView<'a> {
    fn new(write: &'a Write) -> Self {
        Self {
            controller: match write.place {
                Place::V1(controller) => Some(Controller::name(controller)),
                Place::Unified => None,
            },
            file: &write.file,
            value: &write.value,
            pointer: &write.pointer,
            on_missing: match &write.on_missing {
                OnMissing::Fail => OnMissingView::Fail,
                OnMissing::Ignore => OnMissingView::Ignore,
                OnMissing::Instead(file, value) => OnMissingView::Instead { file, value },
            },
            retry: write.retry,
        }
    }
}

impl<'a> DevicesView<'a> {
    fn new(devices: &'a Devices) -> Self {
        let file = |allow| if allow { "devices.allow" } else { "devices.deny" };
        match devices {
            Devices::V1(rules) => Self::Rules(
                rules.iter().map(|rule| RuleView { file: file(rule.allow), value: &rule.text }).collect(),
            ),
            Devices::Program(program) => Self::Program(program.as_deref()),
        }
    }
}
