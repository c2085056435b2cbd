//! From rules by name to verdicts by number: per architecture, sorted ranges of numbers that get the same verdict.

use super::arch::{ARM_PRIVATE, Arch, X32_BIT};
use super::profile::{ERRNO_ENOSYS, KILL_THREAD, Profile, Rule};
use crate::spec::{SeccompArg, SeccompOperator};

/// The calls that share one `AUDIT_ARCH_*`.
pub(super) struct Group {
    pub audit: u32,
    /// Sorted by their start, the first at 0; each ends where the next begins, neighbours differ.
    pub ranges: Vec<Range>,
    /// What [`Verdict::Leaf`] refers to.
    pub leaves: Vec<Leaf>,
}

/// Numbers from `start` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub start: u32,
    pub verdict: Verdict,
}

/// What a number gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Always the same.
    Return(u32),
    /// What the arguments say: an index into the leaves.
    Leaf(usize),
}

/// Conditions on arguments, and what follows from them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// The first whose checks all hold decides.
    pub cases: Vec<Case>,
    /// The verdict where no case applies.
    pub otherwise: u32,
    /// Whether checks look at 64 bits.
    pub wide: bool,
    /// Whether the high half of an argument lies first.
    pub big_endian: bool,
}

/// Some checks that must hold together; at least one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub checks: Vec<Check>,
    pub action: u32,
}

/// `(argument & mask) comparison value`, or its contrary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check {
    pub arg: u32,
    pub mask: u64,
    pub comparison: Comparison,
    pub value: u64,
    pub negated: bool,
}

/// The three from which, with their contraries, all operators come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
}

/// A rule that concerns a number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    nr: u32,
    /// The index of the rule: the profile's order.
    rule: u32,
    /// The first argument of `socketcall` and `ipc`.
    selector: Option<u8>,
}

/// The calls of one architecture that the profile judges.
struct Calls {
    /// Sorted by number.
    judged: Vec<(u32, Verdict)>,
    /// The largest number that the profile names, whatever it says of it.
    newest: Option<u32>,
}

/// The verdicts of a profile, for its own architectures.
pub(super) fn lower(profile: &Profile) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::with_capacity(profile.archs.len());
    for arch in &profile.archs {
        if groups.iter().any(|group| group.audit == arch.audit()) {
            continue;
        }
        let mut group = Group { audit: arch.audit(), ranges: Vec::new(), leaves: Vec::new() };
        match arch {
            Arch::X86_64 | Arch::X32 => group.lower_x86_64(profile),
            _ => group.lower_plain(profile, *arch),
        }
        groups.push(group);
    }
    groups
}

impl Group {
    fn lower_plain(&mut self, profile: &Profile, arch: Arch) {
        let mut calls = self.calls(profile, arch);
        let newer = calls.newer(profile);
        // setup(2), long gone, is the number that s390 shows for a call whose number does not fit an instruction and
        // that the kernel does not know.
        if matches!(arch, Arch::S390 | Arch::S390X) && calls.has_newer(profile) {
            calls.judged.insert(0, (0, Verdict::Return(ERRNO_ENOSYS)));
        }
        // The private calls of ARM lie far above the others: they must not make every newer call look old.
        let ordinary = calls.judged.partition_point(|(nr, _)| arch != Arch::Arm || *nr < ARM_PRIVATE);
        let private = calls.judged.split_off(ordinary);
        let newest_private = calls.newest.filter(|nr| arch == Arch::Arm && *nr >= ARM_PRIVATE);
        if newest_private.is_none() {
            return self.section(0, profile.default, &calls.judged, calls.newest, newer);
        }
        let (ordinary, named): (Vec<u32>, Vec<u32>) =
            numbers(profile, arch).partition(|nr| *nr < ARM_PRIVATE);
        self.section(0, profile.default, &calls.judged, ordinary.into_iter().max(), newer);
        // Named calls that get the default action are not among the judged ones.
        if let Some(first) = named.into_iter().min() {
            self.section(first, profile.default, &private, newest_private, newer);
        }
    }

    /// x32 shares its token with x86-64 and marks its numbers with bit 30. Bit 31 belongs to neither; -1 is what a
    /// tracer leaves of a call that is to be skipped, so it must not kill.
    fn lower_x86_64(&mut self, profile: &Profile) {
        let has = |arch| profile.archs.contains(&arch);
        let (mut other, mut beyond) = (KILL_THREAD, KILL_THREAD);
        if has(Arch::X32) {
            other = profile.default;
            beyond = profile.default;
        }
        if has(Arch::X86_64) {
            let calls = self.calls(profile, Arch::X86_64);
            self.section(0, profile.default, &calls.judged, calls.newest, calls.newer(profile));
            if calls.has_newer(profile) {
                other = ERRNO_ENOSYS;
            }
        } else {
            self.push(0, Verdict::Return(KILL_THREAD));
        }
        if has(Arch::X32) {
            let calls = self.calls(profile, Arch::X32);
            self.section(X32_BIT, profile.default, &calls.judged, calls.newest, calls.newer(profile));
            beyond = calls.newer(profile);
        } else {
            self.push(X32_BIT, Verdict::Return(KILL_THREAD));
        }
        self.push(1 << 31, Verdict::Return(other));
        self.push(1 << 31 | X32_BIT, Verdict::Return(beyond));
        let skipped = if has(Arch::X32) { beyond } else { profile.default };
        self.push(u32::MAX, Verdict::Return(skipped));
    }

    /// Appends the judged calls from `start` on, with the default between them and `newer` behind the newest.
    fn section(
        &mut self,
        start: u32,
        default: u32,
        judged: &[(u32, Verdict)],
        newest: Option<u32>,
        newer: u32,
    ) {
        self.push(start, Verdict::Return(default));
        for (nr, verdict) in judged {
            self.push(*nr, *verdict);
            self.push(nr + 1, Verdict::Return(default));
        }
        if let Some(newest) = newest {
            self.push(newest + 1, Verdict::Return(newer));
        }
    }

    /// Appends a range; an empty one before it vanishes.
    fn push(&mut self, start: u32, verdict: Verdict) {
        if self.ranges.last().is_some_and(|range| range.start == start) {
            self.ranges.pop();
        }
        if self.ranges.last().is_none_or(|range| range.verdict != verdict) {
            self.ranges.push(Range { start, verdict });
        }
    }

    fn calls(&mut self, profile: &Profile, arch: Arch) -> Calls {
        let (entries, newest) = entries(profile, arch);
        let mut judged = Vec::with_capacity(entries.len());
        for entries in entries.chunk_by(|a, b| a.nr == b.nr) {
            judged.push((entries[0].nr, self.verdict(profile, arch, entries)));
        }
        // The kernel's number 0 alone does not make a profile know its architecture, as in runc.
        Calls { judged, newest: newest.filter(|nr| *nr != 0) }
    }

    /// What the rules on one number come to.
    fn verdict(&mut self, profile: &Profile, arch: Arch, entries: &[Entry]) -> Verdict {
        let rule = |entry: &Entry| &profile.rules[entry.rule as usize];
        let unconditional = |entry: &&Entry| {
            let rule = rule(entry);
            entry.selector.is_none()
                && rule.alternatives.iter().any(|args| checks(args, arch).next().is_none())
        };
        if let Some(entry) = entries.iter().find(unconditional) {
            return Verdict::Return(rule(entry).action);
        }
        let cases = entries.iter().flat_map(|entry| cases(rule(entry), arch, entry.selector)).collect();
        let (wide, big_endian) = (arch.is_wide(), arch.is_big_endian());
        self.leaf(Leaf { cases, otherwise: profile.default, wide, big_endian })
    }

    /// Equal leaves are one.
    fn leaf(&mut self, leaf: Leaf) -> Verdict {
        let known = self.leaves.iter().position(|known| *known == leaf);
        Verdict::Leaf(known.unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.leaves.len() - 1
        }))
    }
}

impl Calls {
    /// Whether calls behind the newest that the profile names are told from others.
    fn has_newer(&self, profile: &Profile) -> bool {
        profile.newer_is_enosys && self.newest.is_some()
    }

    /// The verdict on calls behind the newest that the profile names.
    fn newer(&self, profile: &Profile) -> u32 {
        if self.has_newer(profile) { ERRNO_ENOSYS } else { profile.default }
    }
}

/// The rules by number, sorted, and the largest number named.
fn entries(profile: &Profile, arch: Arch) -> (Vec<Entry>, Option<u32>) {
    let count = profile.rules.iter().map(|rule| rule.names.len()).sum();
    let mut entries = Vec::with_capacity(count);
    let mut newest = None;
    for (index, rule) in profile.rules.iter().enumerate() {
        for name in &rule.names {
            let direct = name.number(arch).map(|nr| (nr, None));
            let through = name.multiplexed(arch).map(|through| (through.nr, Some(through.selector)));
            for (nr, selector) in direct.into_iter().chain(through) {
                newest = newest.max(Some(nr));
                if !rule.redundant {
                    entries.push(Entry { nr, rule: index as u32, selector });
                }
            }
        }
    }
    entries.sort_unstable();
    (entries, newest)
}

/// The numbers of the names of a profile, unsorted.
fn numbers(profile: &Profile, arch: Arch) -> impl Iterator<Item = u32> {
    profile.rules.iter().flat_map(|rule| &rule.names).filter_map(move |name| name.number(arch))
}

/// The cases of a rule on a call made directly, or by way of a multiplexer's `selector`.
fn cases(rule: &Rule, arch: Arch, selector: Option<u8>) -> impl Iterator<Item = Case> {
    rule.alternatives.iter().map(move |args| {
        let select = selector.map(|selector| Check {
            arg: 0,
            mask: if arch.is_wide() { u64::MAX } else { u64::from(u32::MAX) },
            comparison: Comparison::Equal,
            value: u64::from(selector),
            negated: false,
        });
        let rest = checks(args, arch).filter(|check| selector.is_none() || check.arg != 0);
        Case { checks: select.into_iter().chain(rest).collect(), action: rule.action }
    })
}

/// The conditions in the form of the filter, without those that always hold.
fn checks(args: &[SeccompArg], arch: Arch) -> impl Iterator<Item = Check> {
    let width = if arch.is_wide() { u64::MAX } else { u64::from(u32::MAX) };
    args.iter().filter_map(move |arg| {
        let (comparison, negated) = match arg.op {
            SeccompOperator::Equal | SeccompOperator::MaskedEqual => (Comparison::Equal, false),
            SeccompOperator::NotEqual => (Comparison::Equal, true),
            SeccompOperator::GreaterThan => (Comparison::Greater, false),
            SeccompOperator::LessOrEqual => (Comparison::Greater, true),
            SeccompOperator::GreaterOrEqual => (Comparison::GreaterOrEqual, false),
            SeccompOperator::LessThan => (Comparison::GreaterOrEqual, true),
        };
        let (mask, value) = match arg.op {
            SeccompOperator::MaskedEqual => (arg.value & width, arg.value_two),
            _ => (width, arg.value),
        };
        (mask != 0).then_some(Check { arg: arg.index, mask, comparison, value: value & mask, negated })
    })
}
