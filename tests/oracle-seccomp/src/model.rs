//! What a profile means, spelt out rule by rule, with the numbers from libseccomp's tables.

use crate::cause::{Comparison, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_OR_EQUAL};
use crate::interpreter::Call;
use crate::oracle::{Oracle, alternatives, ret};
use mydocker_runtime::seccomp::Arch;
use mydocker_runtime::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const ENOSYS: u32 = 0x0005_0026;
const X32_BIT: u32 = 0x4000_0000;
const ARM_PRIVATE: u32 = 0x000f_0000;

/// The first argument that selects a call of `socketcall` (linux/net.h) or `ipc` (linux/ipc.h).
const SELECTORS: [(&str, u32, u64); 32] = [
    ("socket", 102, 1),
    ("bind", 102, 2),
    ("connect", 102, 3),
    ("listen", 102, 4),
    ("accept", 102, 5),
    ("getsockname", 102, 6),
    ("getpeername", 102, 7),
    ("socketpair", 102, 8),
    ("send", 102, 9),
    ("recv", 102, 10),
    ("sendto", 102, 11),
    ("recvfrom", 102, 12),
    ("shutdown", 102, 13),
    ("setsockopt", 102, 14),
    ("getsockopt", 102, 15),
    ("sendmsg", 102, 16),
    ("recvmsg", 102, 17),
    ("accept4", 102, 18),
    ("recvmmsg", 102, 19),
    ("sendmmsg", 102, 20),
    ("semop", 117, 1),
    ("semget", 117, 2),
    ("semctl", 117, 3),
    ("semtimedop", 117, 4),
    ("msgsnd", 117, 11),
    ("msgrcv", 117, 12),
    ("msgget", 117, 13),
    ("msgctl", 117, 14),
    ("shmat", 117, 21),
    ("shmdt", 117, 22),
    ("shmget", 117, 23),
    ("shmctl", 117, 24),
];

/// A rule, and the selector where a multiplexer makes the call.
type Entry = (usize, Option<u64>);

/// A profile and the numbers of its architectures' calls.
pub struct Model<'a> {
    profile: &'a Seccomp,
    archs: Vec<Arch>,
    /// By architecture and number, in the order of the profile: the rule, and the selector of a multiplexer.
    entries: HashMap<(Arch, u32), Vec<Entry>>,
    /// The numbers that the profile names, sorted.
    named: HashMap<Arch, Vec<u32>>,
}

impl<'a> Model<'a> {
    /// A model with the numbers that the oracle knows.
    pub fn new(profile: &'a Seccomp, native: Arch, oracle: &mut Oracle) -> Self {
        let mut archs = vec![native];
        let listed = profile.architectures.iter().filter_map(|name| Arch::from_name(name));
        archs.extend(listed.filter(|arch| *arch != native));
        let mut model = Self { profile, archs, entries: HashMap::new(), named: HashMap::new() };
        for arch in model.archs.clone() {
            model.add(arch, &oracle.names(arch));
        }
        model
    }

    fn add(&mut self, arch: Arch, table: &BTreeMap<String, i64>) {
        let mut named = Vec::new();
        for (index, rule) in self.profile.syscalls.iter().enumerate() {
            for name in &rule.names {
                let direct = table.get(name).and_then(|nr| u32::try_from(*nr).ok()).map(|nr| (nr, None));
                let through = selector(name, arch, table).map(|(nr, selector)| (nr, Some(selector)));
                for (nr, selector) in direct.into_iter().chain(through) {
                    named.push(nr);
                    self.entries.entry((arch, nr)).or_default().push((index, selector));
                }
            }
        }
        named.sort_unstable();
        self.named.insert(arch, named);
    }

    /// The numbers whose verdict may depend on arguments.
    #[must_use]
    pub fn conditional_numbers(&self) -> BTreeSet<u32> {
        let conditional = |(rule, selector): &(usize, Option<u64>)| {
            selector.is_some() || !self.profile.syscalls[*rule].args.is_empty()
        };
        let entries = self.entries.iter().filter(|(_, entries)| entries.iter().any(conditional));
        entries.map(|((_, nr), _)| *nr).collect()
    }

    /// What the rules on a call may compare.
    #[must_use]
    pub fn comparisons(&self, call: &Call) -> BTreeSet<Comparison> {
        let Some(arch) = self.arch(call) else {
            return BTreeSet::new();
        };
        let entries = self.entries.get(&(arch, call.nr)).map_or(&[][..], Vec::as_slice);
        let conditions = |(rule, selector): &Entry| {
            let select = selector.map(|value| SeccompArg {
                index: 0,
                value,
                value_two: 0,
                op: SeccompOperator::Equal,
            });
            self.profile.syscalls[*rule].args.iter().copied().chain(select).collect::<Vec<_>>()
        };
        entries.iter().flat_map(conditions).flat_map(|arg| comparisons(&arg, arch)).collect()
    }

    /// The architectures of the profile.
    #[must_use]
    pub fn archs(&self) -> &[Arch] {
        &self.archs
    }

    /// What the filter must return.
    #[must_use]
    pub fn verdict(&self, call: &Call) -> u32 {
        if let Some(value) = self.newer(call) {
            return value;
        }
        let Some(arch) = self.arch(call) else {
            let skipped = call.arch == Arch::X86_64.audit() && call.nr == u32::MAX;
            return if skipped { self.default() } else { 0 };
        };
        let entries = self.entries.get(&(arch, call.nr)).map_or(&[][..], Vec::as_slice);
        let applying: Vec<(u32, bool)> = entries
            .iter()
            .filter_map(|(rule, selector)| self.applies(*rule, *selector, arch, call))
            .collect();
        let unconditional = applying.iter().find(|(_, conditional)| !conditional);
        unconditional.or(applying.first()).map_or(self.default(), |(action, _)| *action)
    }

    /// What runc's prologue returns: `ENOSYS` for a call newer than the profile. Unlike runc's, calls made through
    /// `socketcall` and `ipc` count as named, and the private calls of ARM are judged apart: runc would fail an
    /// allowed call of the first kind, and never see a newer call on ARM.
    #[must_use]
    pub fn newer(&self, call: &Call) -> Option<u32> {
        use SeccompAction::{Allow, Log, Trace};
        if matches!(self.profile.default_action, Allow | Log | Trace) {
            return None;
        }
        let x32 = call.arch == Arch::X32.audit() && call.nr & X32_BIT != 0;
        let arch =
            *self.archs.iter().find(|arch| arch.audit() == call.arch && (**arch == Arch::X32) == x32)?;
        let known = &self.named[&arch];
        known.last().filter(|nr| **nr != 0)?;
        let s390 = matches!(arch, Arch::S390 | Arch::S390X) && call.nr == 0;
        let private = known.iter().position(|nr| arch == Arch::Arm && *nr >= ARM_PRIVATE);
        let newer = match private {
            Some(first) if call.nr >= known[first] => call.nr > known[known.len() - 1],
            Some(first) => first > 0 && call.nr > known[first - 1],
            None => call.nr > known[known.len() - 1],
        };
        (newer || s390).then_some(ENOSYS)
    }

    fn default(&self) -> u32 {
        ret(self.profile.default_action, self.profile.default_errno_ret)
    }

    /// The architecture of a call, where the filter knows it.
    fn arch(&self, call: &Call) -> Option<Arch> {
        let has = |arch| self.archs.contains(&arch);
        if call.arch == Arch::X86_64.audit() {
            let arch = if call.nr >= X32_BIT { Arch::X32 } else { Arch::X86_64 };
            return has(arch).then_some(arch);
        }
        self.archs.iter().copied().find(|arch| arch.audit() == call.arch)
    }

    /// The action of a rule that applies, and whether it does so on conditions.
    fn applies(&self, rule: usize, selector: Option<u64>, arch: Arch, call: &Call) -> Option<(u32, bool)> {
        let rule = &self.profile.syscalls[rule];
        let action = ret(rule.action, rule.errno_ret);
        let selected = selector.is_none_or(|selector| word(call.args[0], arch) == selector);
        if action == self.default() || !selected {
            return None;
        }
        let looked_at = |arg: &&SeccompArg| selector.is_none() || arg.index != 0;
        let alternatives = alternatives(&rule.args);
        let applying: Vec<bool> = alternatives
            .iter()
            .filter(|args| args.iter().filter(looked_at).all(|arg| holds(arg, arch, call)))
            .map(|args| selector.is_some() || args.iter().any(|arg| !always(arg, arch)))
            .collect();
        applying.iter().copied().min().map(|conditional| (action, conditional))
    }
}

/// Whether `socketcall` or `ipc` make the call on some architecture: then several rules meet on one number there.
#[must_use]
pub fn is_multiplexed(name: &str) -> bool {
    SELECTORS.iter().any(|(known, ..)| *known == name)
}

/// Whether this is a call that makes others.
#[must_use]
pub fn is_multiplexer(name: &str) -> bool {
    ["socketcall", "ipc"].contains(&name)
}

fn selector(name: &str, arch: Arch, table: &BTreeMap<String, i64>) -> Option<(u32, u64)> {
    let base = if matches!(arch, Arch::Mips | Arch::Mipsel) { 4000 } else { 0 };
    let (_, nr, selector) = SELECTORS.iter().find(|(known, ..)| *known == name)?;
    let multiplexer = if *nr == 102 { "socketcall" } else { "ipc" };
    table.contains_key(multiplexer).then_some((nr + base, *selector))
}

/// The comparisons, word by word, that a condition comes to.
fn comparisons(arg: &SeccompArg, arch: Arch) -> [Comparison; 3] {
    use SeccompOperator::{Equal, GreaterOrEqual, GreaterThan, LessOrEqual, LessThan, MaskedEqual, NotEqual};
    let (mask, value) = match arg.op {
        MaskedEqual => (arg.value, arg.value & arg.value_two),
        _ => (u64::MAX, arg.value),
    };
    let (above, below) = match arg.op {
        Equal | NotEqual | MaskedEqual => (JUMP_EQUAL, JUMP_EQUAL),
        GreaterThan | LessOrEqual => (JUMP_GREATER, JUMP_GREATER),
        GreaterOrEqual | LessThan => (JUMP_GREATER, JUMP_GREATER_OR_EQUAL),
    };
    let (low, high) = if arch.is_big_endian() { (4, 0) } else { (0, 4) };
    let offset = 16 + 8 * arg.index;
    let of_high = |code| Comparison {
        offset: offset + high,
        mask: (mask >> 32) as u32,
        code,
        k: (value >> 32) as u32,
        under: (0, 0),
    };
    let under = if arch.is_wide() { ((mask >> 32) as u32, (value >> 32) as u32) } else { (0, 0) };
    let of_low = Comparison { offset: offset + low, mask: mask as u32, code: below, k: value as u32, under };
    [of_high(above), of_high(JUMP_EQUAL), of_low]
}

fn word(value: u64, arch: Arch) -> u64 {
    if arch.is_wide() { value } else { value & 0xffff_ffff }
}

fn always(arg: &SeccompArg, arch: Arch) -> bool {
    arg.op == SeccompOperator::MaskedEqual && word(arg.value, arch) == 0
}

fn holds(arg: &SeccompArg, arch: Arch, call: &Call) -> bool {
    let given = word(call.args[arg.index as usize], arch);
    let (value, two) = (word(arg.value, arch), word(arg.value_two, arch));
    match arg.op {
        SeccompOperator::NotEqual => given != value,
        SeccompOperator::LessThan => given < value,
        SeccompOperator::LessOrEqual => given <= value,
        SeccompOperator::Equal => given == value,
        SeccompOperator::GreaterOrEqual => given >= value,
        SeccompOperator::GreaterThan => given > value,
        SeccompOperator::MaskedEqual => given & value == two & value,
    }
}
