//! The order rules that every plan keeps, checked on the plan itself: each stands for a past hole or a deadlock.

#[cfg(test)]
mod tests;

use super::{MountKind, Opener, Phase, Plan, Step};

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {index} ({step}) breaks a rule of order: {rule}")]
pub struct Violation {
    /// The step's place, from 0: among the first process's steps, or for a join among the prelude's and those.
    pub index: usize,
    /// The step, as `explain` tells it.
    pub step: String,
    /// The rule.
    pub rule: &'static str,
}

/// Checks a plan against all rules.
///
/// # Errors
/// The first violation.
pub fn lint(plan: &Plan) -> Result<(), Violation> {
    let rules: [Rule; 8] = [
        phases_in_order,
        cgroups_before_questions,
        ready_before_confinement,
        filter_and_capabilities,
        nothing_privileged_after_the_drop,
        masks_after_pivot,
        procfs_before_its_users,
        exec_is_last,
    ];
    if let Some((index, step)) = joins_in_the_open(plan) {
        let rule = "a process hides from tracers before it joins a namespace of others";
        return Err(Violation { index, step: step.to_string(), rule });
    }
    rules.iter().try_for_each(|rule| match rule(&plan.steps) {
        Some((index, rule)) => Err(Violation { index, step: plan.steps[index].to_string(), rule }),
        None => Ok(()),
    })
}

/// A rule returns the first step that breaks it.
type Rule = fn(&[Step]) -> Option<(usize, &'static str)>;

fn position(steps: &[Step], matches: impl Fn(&Step) -> bool) -> Option<usize> {
    steps.iter().position(matches)
}

/// The first join that is not hidden (CVE-2016-9962). What an ordinary user writes into the files of its process in
/// procfs has to come before hiding, which gives these files to root.
fn joins_in_the_open(plan: &Plan) -> Option<(usize, &Step)> {
    let steps = || plan.prelude.iter().chain(&plan.steps);
    let joins = |step: &Step| matches!(step, Step::JoinNamespace { .. } | Step::JoinContainer { .. });
    let (index, join) = steps().enumerate().find(|(_, step)| joins(step))?;
    let mut until_hidden = steps().take_while(|step| **step != Step::HideFromTracers);
    let hidden = steps().position(|step| *step == Step::HideFromTracers);
    let excused = hidden.is_some()
        && until_hidden.any(|step| matches!(step, Step::AwaitIdMaps | Step::SetTimeOffsets { .. }));
    (hidden.is_none_or(|hidden| hidden > index) && !excused).then_some((index, join))
}

fn phases_in_order(steps: &[Step]) -> Option<(usize, &'static str)> {
    let back = steps.windows(2).position(|pair| pair[1].phase() < pair[0].phase())?;
    Some((back + 1, "phases never go back"))
}

/// What leads into the cgroups is the parent's first word, and nothing that can be seen in them comes before it.
fn cgroups_before_questions(steps: &[Step]) -> Option<(usize, &'static str)> {
    let enter = position(steps, |step| matches!(step, Step::EnterCgroups { .. }))?;
    let early = position(&steps[..enter], |step| match step {
        Step::AwaitUnit { .. } | Step::AwaitIdMaps => true,
        Step::Mount(mount) => match &mount.what {
            MountKind::CgroupV1 { .. } | MountKind::CgroupV2 { .. } => true,
            MountKind::Bind { opener, .. } => *opener != Opener::Child,
            _ => false,
        },
        other => other.phase() > Phase::Mounts || matches!(other, Step::OpenTerminal { .. }),
    })?;
    Some((early, "the cgroups are entered before anything is asked of the parent or shows them"))
}

fn ready_before_confinement(steps: &[Step]) -> Option<(usize, &'static str)> {
    let confined = position(steps, |step| step.phase() == Phase::Confine)?;
    let ready = position(steps, |step| *step == Step::Ready);
    (ready.is_none_or(|ready| ready > confined))
        .then_some((confined, "the parent is told before a filter can forbid it"))
}

fn filter_and_capabilities(steps: &[Step]) -> Option<(usize, &'static str)> {
    let filter = position(steps, |step| *step == Step::LoadSeccomp)?;
    let drop = position(steps, |step| matches!(step, Step::SetCapabilities { .. }))?;
    let no_new_privileges = position(steps, |step| *step == Step::SetNoNewPrivileges);
    match no_new_privileges {
        None if filter > drop => {
            Some((filter, "without no-new-privileges the filter loads before the capabilities go"))
        }
        Some(at) if filter < at || filter < drop => {
            Some((filter, "with no-new-privileges the filter loads as late as possible"))
        }
        _ => None,
    }
}

fn nothing_privileged_after_the_drop(steps: &[Step]) -> Option<(usize, &'static str)> {
    let drop = position(steps, |step| matches!(step, Step::SetCapabilities { .. }))?;
    let harmless = |step: &Step| {
        matches!(step, Step::LoadSeccomp | Step::AwaitStart | Step::RunHooks { .. } | Step::Exec { .. })
    };
    let bad = steps[drop + 1..].iter().position(|step| !harmless(step))?;
    Some((drop + 1 + bad, "nothing that needs privilege comes after the capabilities have gone"))
}

fn masks_after_pivot(steps: &[Step]) -> Option<(usize, &'static str)> {
    let mask = position(steps, |step| matches!(step, Step::MaskPath { .. } | Step::ReadonlyPath { .. }))?;
    let pivot = position(steps, |step| matches!(step, Step::Pivot { .. } | Step::MoveRoot | Step::Chroot));
    pivot.is_none_or(|pivot| pivot > mask).then_some((mask, "paths are masked after the pivot"))
}

fn procfs_before_its_users(steps: &[Step]) -> Option<(usize, &'static str)> {
    let user = position(steps, |step| matches!(step, Step::SetSysctl { .. } | Step::SetLabel { .. }))?;
    let open = position(steps, |step| *step == Step::OpenProcfs);
    open.is_none_or(|open| open > user)
        .then_some((user, "kernel parameters and labels are written through the private procfs"))
}

fn exec_is_last(steps: &[Step]) -> Option<(usize, &'static str)> {
    let exec = position(steps, |step| matches!(step, Step::Exec { .. }))?;
    (exec + 1 != steps.len()).then_some((exec, "nothing comes after the program"))
}
