//! Why a filter of libseccomp (2.5.4) judges a call in another way than its profile says.
//!
//! Both causes lie in how `gen_bpf.c` follows what the accumulator holds, and both show in the run of the filter.

use crate::interpreter::Call;
use crate::model::Model;
use mydocker_sys::seccomp::Instruction;

/// `offsetof(struct seccomp_data, arch)`
const ARCH: u32 = 4;
/// `offsetof(struct seccomp_data, args)`
const ARGS: u32 = 16;

/// A defect of libseccomp that a run shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The number of the call is never loaded, so that the rules compare the architecture's token with their numbers
    /// and none applies. The load belongs to the first call of an architecture by priority, and is lost where that
    /// one is a pseudo call, a name that the architecture lacks, which is left out (`_gen_bpf_syscalls`: `acc_reset`
    /// is for `s_head` alone). Pseudo calls come first where all others have conditions.
    NumberNotLoaded,
    /// A condition looks at a word that an earlier one has loaded. Whether a block must load its word again is
    /// decided for the first jump to it that is found, not for all of them (`_gen_bpf_build_bpf`).
    StaleWord,
}

impl Cause {
    /// What the run of a filter for one call shows.
    #[must_use]
    pub fn find(program: &[Instruction], call: &Call, model: &Model<'_>) -> Option<Self> {
        let comparisons = comparisons(program, call);
        let token = |k: u32| model.archs().iter().any(|arch| arch.audit() == k);
        if comparisons.iter().any(|made| made.offset == ARCH && !token(made.k)) {
            return Some(Self::NumberNotLoaded);
        }
        let meant = model.comparisons(call);
        let stale = |comparison: &Comparison| comparison.offset >= ARGS && !meant.contains(comparison);
        comparisons.iter().any(stale).then_some(Self::StaleWord)
    }
}

/// A comparison of a word of `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Comparison {
    /// Where the word comes from.
    pub offset: u32,
    /// Its bits that are looked at.
    pub mask: u32,
    /// The instruction: `JUMP_*`.
    pub code: u16,
    /// What it is compared with.
    pub k: u32,
    /// For the low word of an argument: mask and value that its high word was found to have before, or zeroes.
    pub under: (u32, u32),
}

/// `BPF_JMP | BPF_JEQ | BPF_K`
pub const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`
pub const JUMP_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`
pub const JUMP_GREATER_OR_EQUAL: u16 = 0x35;

/// Every comparison that runs.
fn comparisons(program: &[Instruction], call: &Call) -> Vec<Comparison> {
    let (mut at, mut acc, mut offset, mut mask) = (0, 0, 0, u32::MAX);
    let (mut seen, mut under) = (Vec::new(), [(0, 0); 6]);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            0x06 => return seen,
            0x20 => {
                (acc, offset, mask) = (call.word(k), k, u32::MAX);
                continue;
            }
            0x54 => {
                (acc, mask) = (acc & k, mask & k);
                continue;
            }
            0x05 => {
                at += k as usize;
                continue;
            }
            JUMP_EQUAL => acc == k,
            JUMP_GREATER => acc > k,
            JUMP_GREATER_OR_EQUAL => acc >= k,
            _ => panic!("the operation {code:#x} is not among those of libseccomp"),
        };
        let arg = offset
            .checked_sub(ARGS)
            .map(|from| (from as usize / 8, from.is_multiple_of(8) == call.big_endian));
        match arg {
            Some((arg, true)) => {
                seen.push(Comparison { offset, mask, code, k, under: (0, 0) });
                if code == JUMP_EQUAL && holds {
                    under[arg] = (mask, k);
                }
            }
            _ => {
                let under = arg.map_or((0, 0), |(arg, _)| under[arg]);
                seen.push(Comparison { offset, mask, code, k, under });
            }
        }
        at += usize::from(if holds { jt } else { jf });
    }
}
