//! `explain`: the plan of a bundle, before anything is touched.

use super::bundle;
use super::report::failed;
use super::{Outcome, print};
use crate::cli::{Context, ExplainArgs, PlanFormat};
use crate::host::HostFacts;
use crate::plan::{self, CreateOptions, Plan, Step};
use std::path::Path;

/// The id in a plan that is only shown.
const ID: &str = "container";

/// `explain`: prints the ordered steps by which the container of a bundle would be made. Needs no privilege.
///
/// # Errors
/// If the bundle is wrong.
pub fn explain(args: &ExplainArgs, context: &Context) -> Outcome {
    let host = HostFacts::probe().map_err(failed("host"))?;
    let directory = args.bundle.as_deref().or(args.dir.as_deref().map(Path::new));
    let bundle = bundle::load(directory, ID, &host, &context.log)?;
    let options = CreateOptions {
        id: ID,
        cgroup: &bundle.cgroup,
        await_start: true,
        no_pivot: false,
        no_new_keyring: false,
        preserve_fds: 0,
        // The plan of the host's root is shown to whoever asks.
        euid: 0,
    };
    let plan = plan::create(&bundle.spec, &options);
    plan::lint(&plan).map_err(failed("bad-plan"))?;
    print(&match args.format {
        PlanFormat::Text => plan_text(&plan),
        PlanFormat::Json => {
            let mut text = serde_json::to_string_pretty(&plan).map_err(failed("bad-plan"))?;
            text.push('\n');
            text
        }
    })
}

/// The steps in lines, under their phases.
fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let new = &plan.parent.new_namespaces;
    let names: Vec<_> = new.iter().map(|kind| kind.name()).collect();
    if !plan.prelude.is_empty() {
        text.push_str("prelude (a process that only prepares)\n");
        plan.prelude.iter().for_each(|step| text.push_str(&format!("  {step}\n")));
    }
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    text.push_str(&format!("clone (new namespaces: {names})\n"));
    let mut phase = None;
    for step in &plan.steps {
        if phase != Some(step.phase()) {
            phase = Some(step.phase());
            text.push_str(&format!("{}\n", phase_name(step)));
        }
        text.push_str(&format!("  {step}\n"));
    }
    text
}

fn phase_name(step: &Step) -> String {
    serde_json::to_value(step.phase())
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
