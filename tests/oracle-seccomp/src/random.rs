//! Random numbers and random profiles; the same seed gives the same profiles.

use mydocker_runtime::seccomp::Arch;
use mydocker_runtime::spec::{Seccomp, SeccompAction, SeccompArg, SeccompOperator, SeccompRule};

/// SplitMix64.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit as u64) as usize
    }

    /// One of a list.
    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

const DEFAULTS: [SeccompAction; 6] = [
    SeccompAction::Errno,
    SeccompAction::Kill,
    SeccompAction::KillProcess,
    SeccompAction::Trap,
    SeccompAction::Allow,
    SeccompAction::Log,
];
const ACTIONS: [SeccompAction; 9] = [
    SeccompAction::Kill,
    SeccompAction::KillThread,
    SeccompAction::KillProcess,
    SeccompAction::Trap,
    SeccompAction::Errno,
    SeccompAction::Trace,
    SeccompAction::Allow,
    SeccompAction::Log,
    SeccompAction::Notify,
];
const OPERATORS: [SeccompOperator; 7] = [
    SeccompOperator::NotEqual,
    SeccompOperator::LessThan,
    SeccompOperator::LessOrEqual,
    SeccompOperator::Equal,
    SeccompOperator::GreaterOrEqual,
    SeccompOperator::GreaterThan,
    SeccompOperator::MaskedEqual,
];
const VALUES: [u64; 12] = [
    0,
    1,
    2,
    8,
    0x40,
    0x7e02_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0001,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// How conflicting a profile's rules may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflicts {
    /// Each call is in at most one rule.
    None,
    /// Calls are in several rules, which all have one action, so that their order does not matter.
    OneAction,
    /// Anything.
    Any,
}

/// A random profile for `archs`, over `names`.
pub fn profile(random: &mut Random, archs: &[Arch], names: &[String], conflicts: Conflicts) -> Seccomp {
    let mut left = names.to_vec();
    let default_action = random.pick(&DEFAULTS);
    let mut syscalls = Vec::new();
    let few: Vec<String> = (0..4).map(|_| random.pick(names)).collect();
    let common = rule_action(random);
    for _ in 0..random.below(12) {
        let (action, errno_ret) =
            if conflicts == Conflicts::OneAction { common } else { rule_action(random) };
        let mut rule = SeccompRule { names: Vec::new(), action, errno_ret, args: args(random) };
        let count = if rule.args.is_empty() { 1 + random.below(40) } else { 1 + random.below(3) };
        for _ in 0..count {
            if conflicts == Conflicts::None {
                rule.names.push(left.swap_remove(random.below(left.len())));
            } else {
                rule.names.push(random.pick(&few));
            }
        }
        if action == SeccompAction::Notify {
            rule.names.retain(|name| name != "write");
        }
        if !rule.names.is_empty() {
            syscalls.push(rule);
        }
    }
    Seccomp {
        default_action,
        default_errno_ret: None,
        architectures: archs.iter().map(|arch| arch.name().to_owned()).collect(),
        flags: None,
        listener_path: "/run/agent.sock".to_owned(),
        listener_metadata: String::new(),
        syscalls,
    }
}

fn rule_action(random: &mut Random) -> (SeccompAction, Option<u32>) {
    let action = random.pick(&ACTIONS);
    let numbered = matches!(action, SeccompAction::Errno | SeccompAction::Trace) && random.below(2) == 0;
    (action, numbered.then(|| random.below(4096) as u32))
}

fn args(random: &mut Random) -> Vec<SeccompArg> {
    let count = [0, 0, 1, 1, 2, 3][random.below(6)];
    (0..count).map(|_| arg(random)).collect()
}

fn arg(random: &mut Random) -> SeccompArg {
    SeccompArg {
        index: random.below(6) as u32,
        value: value(random),
        value_two: value(random),
        op: random.pick(&OPERATORS),
    }
}

fn value(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.draw(),
        1 => random.draw() >> 32,
        _ => random.pick(&VALUES),
    }
}
