//! From verdicts by number to instructions.
//!
//! The program is written from its end to its beginning: jumps go forwards only, so that every target exists when a
//! jump to it is written, and its distance is known. A conditional jump reaches 255 instructions; a farther target
//! gets a long jump right behind it, or for a plain verdict a second return.
//!
//! The kernel runs the program once for every call number when it is loaded, to learn which calls are always allowed
//! (Linux 5.11), and at every other call after that: hence a binary search over ranges of numbers, and arguments
//! only at its leaves.

use super::lower::{Case, Check, Comparison, Group, Leaf, Range, Verdict};
use super::profile::KILL_THREAD;
use mydocker_sys::seccomp::Instruction;

/// `BPF_LD | BPF_W | BPF_ABS`
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u16 = 0x54;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;
/// `BPF_JMP | BPF_JA`
const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`
const JUMP_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
const JUMP_SET: u16 = 0x45;

/// `offsetof(struct seccomp_data, nr)`
const NR: u32 = 0;
/// `offsetof(struct seccomp_data, arch)`
const ARCH: u32 = 4;
/// `offsetof(struct seccomp_data, args)`
const ARGS: u32 = 16;

/// The farthest that a conditional jump goes.
const REACH: usize = 255;

/// Where a jump goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// To a return of this value, wherever one is near.
    Return(u32),
    /// To an instruction, counted from the end of the program.
    At(usize),
}

/// A program under construction.
#[derive(Default)]
struct Assembler {
    /// The instructions, the last one first.
    backwards: Vec<Instruction>,
    /// The nearest return of each value.
    returns: Vec<(u32, usize)>,
}

/// The program that judges these groups; any other architecture kills the thread.
pub(super) fn emit(groups: &[Group]) -> Vec<Instruction> {
    let mut assembler = Assembler::default();
    let bodies: Vec<_> = groups.iter().rev().map(|group| (group.audit, assembler.group(group))).collect();
    let mut next = Target::Return(KILL_THREAD);
    for (audit, body) in bodies {
        next = assembler.branch(JUMP_EQUAL, audit, body, next);
    }
    assembler.push(LOAD, ARCH);
    assembler.backwards.reverse();
    assembler.backwards
}

impl Assembler {
    fn group(&mut self, group: &Group) -> Target {
        let mut leaves = vec![None; group.leaves.len()];
        let root = self.search(&group.ranges, group, &mut leaves);
        match group.ranges.len() {
            1 => root,
            _ => self.push(LOAD, NR),
        }
    }

    /// A binary search for the range of the number in the accumulator.
    fn search(&mut self, ranges: &[Range], group: &Group, leaves: &mut [Option<usize>]) -> Target {
        match ranges {
            [] => Target::Return(KILL_THREAD),
            [range] => self.verdict(range.verdict, group, leaves),
            [before, one, after]
                if before.verdict == after.verdict && one.start.checked_add(1) == Some(after.start) =>
            {
                let outside = self.verdict(before.verdict, group, leaves);
                let inside = self.verdict(one.verdict, group, leaves);
                self.branch(JUMP_EQUAL, one.start, inside, outside)
            }
            _ => {
                let (low, high) = ranges.split_at(ranges.len() / 2);
                let above = self.search(high, group, leaves);
                let below = self.search(low, group, leaves);
                self.branch(JUMP_GREATER_OR_EQUAL, high[0].start, above, below)
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict, group: &Group, leaves: &mut [Option<usize>]) -> Target {
        match verdict {
            Verdict::Return(value) => Target::Return(value),
            Verdict::Leaf(index) => {
                let at = leaves[index].unwrap_or_else(|| self.leaf(&group.leaves[index]));
                leaves[index] = Some(at);
                Target::At(at)
            }
        }
    }

    /// The cases of a leaf, each falling to the next.
    fn leaf(&mut self, leaf: &Leaf) -> usize {
        let mut next = Target::Return(leaf.otherwise);
        let mut rest = &leaf.cases[..];
        while let Some((last, before)) = rest.split_last() {
            let family = 1 + before.iter().rev().take_while(|case| is_family(case, last, leaf.wide)).count();
            let (earlier, cases) = rest.split_at(rest.len() - family);
            next = Target::At(if family > 1 {
                self.one_of(cases, leaf, next)
            } else {
                self.case(last, leaf, next)
            });
            rest = earlier;
        }
        match next {
            Target::At(at) => at,
            Target::Return(value) => self.push_return(value),
        }
    }

    fn case(&mut self, case: &Case, leaf: &Leaf, otherwise: Target) -> usize {
        let mut then = Target::Return(case.action);
        for check in case.checks.iter().rev() {
            then = Target::At(self.check(check, leaf, then, otherwise));
        }
        match then {
            Target::At(at) => at,
            Target::Return(value) => self.push_return(value),
        }
    }

    /// One argument compared with several values: its words are loaded once.
    fn one_of(&mut self, cases: &[Case], leaf: &Leaf, otherwise: Target) -> usize {
        let then = Target::Return(cases[0].action);
        let mut next = otherwise;
        for case in cases.iter().rev() {
            next = self.branch(JUMP_EQUAL, case.checks[0].value as u32, then, next);
        }
        let check = cases[0].checks[0];
        self.push(LOAD, low_word(check.arg, leaf));
        if leaf.wide {
            let low = Target::At(self.here());
            self.branch(JUMP_EQUAL, (check.value >> 32) as u32, low, otherwise);
            self.push(LOAD, high_word(check.arg, leaf));
        }
        self.here()
    }

    /// One condition; gives the place of its first instruction.
    fn check(&mut self, check: &Check, leaf: &Leaf, then: Target, otherwise: Target) -> usize {
        let (yes, no) = if check.negated { (otherwise, then) } else { (then, otherwise) };
        match check.comparison {
            Comparison::Equal => self.equal(check, leaf, yes, no),
            Comparison::Greater => self.order(JUMP_GREATER, check, leaf, yes, no),
            Comparison::GreaterOrEqual => self.order(JUMP_GREATER_OR_EQUAL, check, leaf, yes, no),
        }
    }

    /// Both words must be equal; a word outside the mask is not looked at.
    fn equal(&mut self, check: &Check, leaf: &Leaf, yes: Target, no: Target) -> usize {
        let mut then = yes;
        let (mask, value) = (check.mask as u32, check.value as u32);
        if mask != 0 {
            then = Target::At(self.equal_word(low_word(check.arg, leaf), mask, value, then, no));
        }
        let (mask, value) = ((check.mask >> 32) as u32, (check.value >> 32) as u32);
        if mask != 0 {
            self.equal_word(high_word(check.arg, leaf), mask, value, then, no);
        }
        self.here()
    }

    fn equal_word(&mut self, word: u32, mask: u32, value: u32, yes: Target, no: Target) -> usize {
        if mask != u32::MAX && value == 0 {
            self.branch(JUMP_SET, mask, no, yes);
        } else {
            self.branch(JUMP_EQUAL, value, yes, no);
            if mask != u32::MAX {
                self.push(AND, mask);
            }
        }
        self.push(LOAD, word);
        self.here()
    }

    /// The high words decide unless they are equal.
    fn order(&mut self, jump: u16, check: &Check, leaf: &Leaf, yes: Target, no: Target) -> usize {
        self.branch(jump, check.value as u32, yes, no);
        self.push(LOAD, low_word(check.arg, leaf));
        if leaf.wide {
            let low = Target::At(self.here());
            let high = (check.value >> 32) as u32;
            let equal = self.branch(JUMP_EQUAL, high, low, no);
            self.branch(JUMP_GREATER, high, yes, equal);
            self.push(LOAD, high_word(check.arg, leaf));
        }
        self.here()
    }

    /// A conditional jump. Where both ways lead to the same place it does nothing but keep the accumulator's order.
    fn branch(&mut self, code: u16, k: u32, yes: Target, no: Target) -> Target {
        // Each of the two may cost one instruction, which moves the other one farther away.
        let yes = self.within_reach(yes, 2);
        let no = self.within_reach(no, 1);
        let next = self.backwards.len();
        // The distances are at most REACH, so they fit.
        let (jt, jf) = ((next - 1 - yes) as u8, (next - 1 - no) as u8);
        self.backwards.push(Instruction { code, jt, jf, k });
        Target::At(self.here())
    }

    /// A place that a jump written after at most `more - 1` further instructions reaches.
    fn within_reach(&mut self, target: Target, more: usize) -> usize {
        let near = |at: usize, len: usize| len + more - 2 - at <= REACH;
        match target {
            Target::Return(value) => {
                let known = self.returns.iter().find(|(known, _)| *known == value).map(|(_, at)| *at);
                match known {
                    Some(at) if near(at, self.backwards.len()) => at,
                    _ => self.push_return(value),
                }
            }
            Target::At(at) if near(at, self.backwards.len()) => at,
            Target::At(at) => {
                let distance = self.backwards.len() - 1 - at;
                // A program of more than 2^32 instructions would need as many rules.
                self.push(JUMP, distance as u32);
                self.here()
            }
        }
    }

    fn push_return(&mut self, value: u32) -> usize {
        self.push(RETURN, value);
        let here = self.here();
        match self.returns.iter_mut().find(|(known, _)| *known == value) {
            Some((_, at)) => *at = here,
            None => self.returns.push((value, here)),
        }
        here
    }

    fn push(&mut self, code: u16, k: u32) -> Target {
        self.backwards.push(Instruction { code, jt: 0, jf: 0, k });
        Target::At(self.here())
    }

    /// The place of the instruction written last, which is the first to run.
    fn here(&self) -> usize {
        self.backwards.len() - 1
    }
}

/// Whether two cases compare the same argument with values that differ in their low words only, for the same verdict.
fn is_family(case: &Case, other: &Case, wide: bool) -> bool {
    let ([a], [b]) = (&case.checks[..], &other.checks[..]) else {
        return false;
    };
    let plain = |check: &Check| {
        let mask = if wide { u64::MAX } else { u64::from(u32::MAX) };
        check.comparison == Comparison::Equal && !check.negated && check.mask == mask
    };
    plain(a) && plain(b) && a.arg == b.arg && a.value >> 32 == b.value >> 32 && case.action == other.action
}

fn low_word(arg: u32, leaf: &Leaf) -> u32 {
    ARGS + 8 * arg + if leaf.big_endian { 4 } else { 0 }
}

fn high_word(arg: u32, leaf: &Leaf) -> u32 {
    ARGS + 8 * arg + if leaf.big_endian { 0 } else { 4 }
}
