//! Capabilities: from names to bit masks (config.md, Linux Process).
//!
//! What cannot be granted is a warning and never a refusal, as the specification has it.

use super::Facts;
use super::report::{At, Report};
use crate::spec;
use caps::Capability;

/// The five sets, bit n for capability n. Each is what the kernel will grant: `effective` lies within `permitted`,
/// `inheritable` within `bounding`, `ambient` within `permitted` and `inheritable`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilityMasks {
    /// What no execve may exceed.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What a file with inheritable capabilities may keep.
    pub inheritable: u64,
    /// What may be made effective.
    pub permitted: u64,
    /// What an execve of an ordinary file keeps.
    pub ambient: u64,
}

/// Reads the sets of the process at `at`; none given: none held.
pub(super) fn check(
    report: &mut Report,
    at: At<'_>,
    sets: Option<&spec::Capabilities>,
    facts: &Facts,
) -> CapabilityMasks {
    let Some(sets) = sets else { return CapabilityMasks::default() };
    let at = at.key("capabilities");
    let known = |report: &mut Report, key, names| known(report, at.key(key), names, facts.last_capability);
    let mut masks = CapabilityMasks {
        bounding: known(report, "bounding", &sets.bounding),
        effective: known(report, "effective", &sets.effective),
        inheritable: known(report, "inheritable", &sets.inheritable),
        permitted: known(report, "permitted", &sets.permitted),
        ambient: known(report, "ambient", &sets.ambient),
    };
    let mut within = |key, mask: &mut u64, limit, why| limit_to(report, at.key(key), mask, limit, why);
    let held = "the runtime does not hold them itself";
    within("permitted", &mut masks.permitted, facts.permitted, held);
    within("inheritable", &mut masks.inheritable, facts.permitted, held);
    within("inheritable", &mut masks.inheritable, masks.bounding, "they are not in the bounding set");
    within("effective", &mut masks.effective, masks.permitted, "they are not permitted");
    // The kernel takes only these. No warning: runc's own default configuration asks for more.
    masks.ambient &= masks.permitted & masks.inheritable;
    masks
}

/// The names that this kernel knows, as a mask; a warning for each other.
fn known(report: &mut Report, at: At<'_>, names: &[String], last: u8) -> u64 {
    let mut mask = 0;
    for (index, name) in names.iter().enumerate() {
        match name.parse::<Capability>() {
            Ok(capability) if capability.index() <= last => mask |= capability.bitmask(),
            _ => report.warn(at.index(index), format!("ignored: this kernel has no capability {name:?}")),
        }
    }
    mask
}

fn limit_to(report: &mut Report, at: At<'_>, mask: &mut u64, limit: u64, why: &str) {
    let beyond = *mask & !limit;
    if beyond != 0 {
        report.warn(at, format!("ignored: {}: {why}", names(beyond)));
        *mask &= limit;
    }
}

fn names(mask: u64) -> String {
    let mut all: Vec<Capability> = caps::all().into_iter().filter(|c| mask & c.bitmask() != 0).collect();
    all.sort_unstable_by_key(Capability::index);
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
