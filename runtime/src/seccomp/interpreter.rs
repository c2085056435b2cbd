//! Runs a filter as the kernel would; for tests only (the comparison with libseccomp includes this file too).

use mydocker_sys::seccomp::Instruction;

/// What the kernel shows a filter (`struct seccomp_data`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The number of the call.
    pub nr: u32,
    /// `AUDIT_ARCH_*`.
    pub arch: u32,
    /// The arguments, as 64-bit words of the caller.
    pub args: [u64; 6],
    /// Whether the words of the arguments lie high half first.
    pub big_endian: bool,
}

impl Call {
    /// The word at an offset.
    ///
    /// # Panics
    /// Where the kernel allows no load.
    #[must_use]
    pub fn word(&self, offset: u32) -> u32 {
        match offset {
            0 => self.nr,
            4 => self.arch,
            16..64 if offset.is_multiple_of(4) => {
                let arg = self.args[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) == self.big_endian { (arg >> 32) as u32 } else { arg as u32 }
            }
            _ => panic!("a load from {offset}, where the kernel allows none"),
        }
    }
}

/// The value that the filter returns, and how many instructions ran.
///
/// # Panics
/// Where the kernel would refuse the program.
#[must_use]
pub fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let (mut at, mut acc, mut x, mut steps) = (0, 0u32, 0u32, 0);
    let mut memory = [0u32; 16];
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        steps += 1;
        let mut jump = |holds: bool| at += usize::from(if holds { jt } else { jf });
        match code {
            0x06 => return (k, steps),
            0x20 => acc = call.word(k),
            0x54 => acc &= k,
            0x05 => at += k as usize,
            0x15 => jump(acc == k),
            0x25 => jump(acc > k),
            0x35 => jump(acc >= k),
            0x45 => jump(acc & k != 0),
            0x02 => memory[k as usize] = acc,
            0x60 => acc = memory[k as usize],
            0x07 => x = acc,
            0x87 => acc = x,
            _ => panic!("the operation {code:#x} is not among those that a filter uses"),
        }
    }
}
