//! One profile, compiled by both, and what the filters say to calls.

use crate::cause::Cause;
use crate::interpreter::{Call, run};
use crate::model::Model;
use crate::oracle::Oracle;
use mydocker_runtime::seccomp::{Arch, Facts, compile};
use mydocker_runtime::spec::Seccomp;
use mydocker_sys::seccomp::Instruction;
use std::collections::BTreeSet;

/// Numbers at the borders of what belongs to an architecture.
const ODD_NUMBERS: [u32; 9] = [
    0x000e_ffff,
    0x000f_0000,
    0x3fff_ffff,
    0x4000_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xbfff_ffff,
    0xc000_0000,
    u32::MAX,
];

/// What is compared with what.
pub struct Comparison<'a> {
    /// The profile.
    pub profile: &'a Seccomp,
    /// What it means.
    pub model: Model<'a>,
    /// Our filter.
    pub ours: Vec<Instruction>,
    /// Absent where libseccomp refuses the profile, or its order of conflicting rules is its own.
    pub theirs: Option<Vec<Instruction>>,
}

impl<'a> Comparison<'a> {
    /// Compiles the profile with both.
    ///
    /// # Panics
    /// When ours refuses it.
    pub fn new(profile: &'a Seccomp, native: Arch, oracle: &mut Oracle) -> Self {
        let ours = compile(profile, &Facts { native })
            .unwrap_or_else(|error| panic!("{error}: {profile:?}"))
            .program;
        let theirs = oracle.compile(profile, native).ok();
        Self { profile, model: Model::new(profile, native, oracle), ours, theirs }
    }

    /// Demands that the filters say to the call what the profile means.
    ///
    /// # Panics
    /// When they do not.
    pub fn check(&self, call: &Call) {
        let ours = run(&self.ours, call).0;
        let wanted = self.model.verdict(call);
        assert_eq!(ours, wanted, "ours {ours:#x}, meant {wanted:#x} for {call:x?} in {:?}", self.profile);
        if let Some(theirs) = &self.theirs {
            // runc's own prologue comes before libseccomp's filter.
            let said = self.model.newer(call).unwrap_or_else(|| run(theirs, call).0);
            assert!(
                ours == said || Cause::find(theirs, call, &self.model).is_some(),
                "ours {ours:#x}, libseccomp {said:#x} for {call:x?} in {:?}",
                self.profile
            );
        }
    }

    /// Every number that any architecture of the profile has, with some arguments; those with conditions with all.
    ///
    /// # Panics
    /// When a filter says anything else than the profile means.
    pub fn check_all(&self, args: &[[u64; 6]]) {
        let archs: BTreeSet<(u32, bool)> =
            self.model.archs().iter().map(|arch| (arch.audit(), arch.is_big_endian())).collect();
        let conditional = self.model.conditional_numbers();
        for (arch, big_endian) in archs {
            for nr in numbers(self.model.archs()) {
                let some = if conditional.contains(&nr) { args } else { &args[..2] };
                for args in some {
                    self.check(&Call { nr, arch, args: *args, big_endian });
                }
            }
        }
        self.check(&Call { nr: 1, arch: 0x1234_5678, args: [0; 6], big_endian: false });
    }
}

/// The numbers of the architectures, and some that none has.
fn numbers(archs: &[Arch]) -> Vec<u32> {
    let bases: BTreeSet<u32> = archs
        .iter()
        .flat_map(|arch| match arch {
            Arch::X86_64 | Arch::X32 => vec![0, 0x4000_0000],
            Arch::Mips | Arch::Mipsel => vec![4000],
            Arch::Mips64 | Arch::Mipsel64 => vec![5000],
            Arch::Mips64N32 | Arch::Mipsel64N32 => vec![6000],
            _ => vec![0],
        })
        .collect();
    let mut numbers: Vec<u32> = bases.iter().flat_map(|base| *base..*base + 600).collect();
    if archs.contains(&Arch::Arm) {
        numbers.extend(0x000f_0000..0x000f_0010);
    }
    numbers.extend(ODD_NUMBERS);
    numbers
}

/// Arguments around every value of the profile: each value, its neighbours, with other high halves, everywhere alike.
#[must_use]
pub fn arguments(profile: &Seccomp) -> Vec<[u64; 6]> {
    let mut values = BTreeSet::from([0, 1, u64::MAX, 0xffff_ffff, 0x1_0000_0000]);
    for arg in profile.syscalls.iter().flat_map(|rule| &rule.args) {
        for value in [arg.value, arg.value_two, arg.value & arg.value_two] {
            values.extend([value, value.wrapping_add(1), value.wrapping_sub(1)]);
            values.extend([
                value ^ (1 << 32),
                value ^ (1 << 63),
                value & 0xffff_ffff,
                value | 0xffff_ffff_0000_0000,
            ]);
        }
    }
    values.extend(1..=24);
    values.into_iter().map(|value| [value; 6]).collect()
}
