//! The architectures of the runtime-spec, and what a filter must know of each.

/// An architecture whose calls a filter can judge: the `SCMP_ARCH_*` names of config-linux.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Arch {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mips,
    Mips64,
    Mips64N32,
    Mipsel,
    Mipsel64,
    Mipsel64N32,
    Ppc,
    Ppc64,
    Ppc64Le,
    S390,
    S390X,
    Parisc,
    Parisc64,
    Riscv64,
    LoongArch64,
    M68k,
    Sh,
    ShEb,
}

/// The bit that marks the calls of x32 (`__X32_SYSCALL_BIT`).
pub(super) const X32_BIT: u32 = 0x4000_0000;
/// Where the private calls of 32-bit ARM begin (`__ARM_NR_BASE`).
pub(super) const ARM_PRIVATE: u32 = 0x000f_0000;

const BITS_64: u32 = 0x8000_0000;
const LITTLE: u32 = 0x4000_0000;
const MIPS_N32: u32 = 0x2000_0000;
const ELF_MIPS: u32 = 8;
const ELF_PPC64: u32 = 21;
const ELF_S390: u32 = 22;
const ELF_SH: u32 = 42;
const ELF_X86_64: u32 = 62;

/// Width, order and numbering of an architecture's calls.
struct Traits {
    name: &'static str,
    /// `AUDIT_ARCH_*` of linux/audit.h.
    audit: u32,
    /// The column of the table of numbers.
    column: u8,
    /// What is added to the numbers of the table.
    base: u32,
    /// Whether conditions look at all 64 bits of an argument.
    wide: bool,
    /// Whether the high half of an argument lies first.
    big_endian: bool,
    /// Whether socket and System V IPC calls can also be made through `socketcall` and `ipc`.
    multiplexed: bool,
}

const fn little(name: &'static str, audit: u32, column: u8, base: u32, wide: bool) -> Traits {
    Traits { name, audit: audit | LITTLE, column, base, wide, big_endian: false, multiplexed: false }
}

const fn big(name: &'static str, audit: u32, column: u8, base: u32, wide: bool) -> Traits {
    Traits { name, audit, column, base, wide, big_endian: true, multiplexed: false }
}

const fn multiplexed(traits: Traits) -> Traits {
    Traits { multiplexed: true, ..traits }
}

/// In the order of [`Arch`].
static TRAITS: [Traits; 23] = [
    multiplexed(little("SCMP_ARCH_X86", 3, 0, 0, false)),
    little("SCMP_ARCH_X86_64", ELF_X86_64 | BITS_64, 1, 0, true),
    little("SCMP_ARCH_X32", ELF_X86_64 | BITS_64, 2, X32_BIT, false),
    little("SCMP_ARCH_ARM", 40, 3, 0, false),
    little("SCMP_ARCH_AARCH64", 183 | BITS_64, 4, 0, true),
    multiplexed(big("SCMP_ARCH_MIPS", ELF_MIPS, 7, 4000, false)),
    big("SCMP_ARCH_MIPS64", ELF_MIPS | BITS_64, 8, 5000, true),
    big("SCMP_ARCH_MIPS64N32", ELF_MIPS | BITS_64 | MIPS_N32, 9, 6000, false),
    multiplexed(little("SCMP_ARCH_MIPSEL", ELF_MIPS, 7, 4000, false)),
    little("SCMP_ARCH_MIPSEL64", ELF_MIPS | BITS_64, 8, 5000, true),
    little("SCMP_ARCH_MIPSEL64N32", ELF_MIPS | BITS_64 | MIPS_N32, 9, 6000, false),
    multiplexed(big("SCMP_ARCH_PPC", 20, 12, 0, false)),
    multiplexed(big("SCMP_ARCH_PPC64", ELF_PPC64 | BITS_64, 13, 0, true)),
    multiplexed(little("SCMP_ARCH_PPC64LE", ELF_PPC64 | BITS_64, 13, 0, true)),
    multiplexed(big("SCMP_ARCH_S390", ELF_S390, 15, 0, false)),
    multiplexed(big("SCMP_ARCH_S390X", ELF_S390 | BITS_64, 16, 0, true)),
    big("SCMP_ARCH_PARISC", 15, 10, 0, false),
    big("SCMP_ARCH_PARISC64", 15 | BITS_64, 11, 0, true),
    little("SCMP_ARCH_RISCV64", 243 | BITS_64, 14, 0, true),
    little("SCMP_ARCH_LOONGARCH64", 258 | BITS_64, 5, 0, true),
    multiplexed(big("SCMP_ARCH_M68K", 4, 6, 0, false)),
    multiplexed(little("SCMP_ARCH_SH", ELF_SH, 17, 0, false)),
    multiplexed(big("SCMP_ARCH_SHEB", ELF_SH, 17, 0, false)),
];

impl Arch {
    /// Every architecture.
    pub const ALL: [Self; 23] = [
        Self::X86,
        Self::X86_64,
        Self::X32,
        Self::Arm,
        Self::Aarch64,
        Self::Mips,
        Self::Mips64,
        Self::Mips64N32,
        Self::Mipsel,
        Self::Mipsel64,
        Self::Mipsel64N32,
        Self::Ppc,
        Self::Ppc64,
        Self::Ppc64Le,
        Self::S390,
        Self::S390X,
        Self::Parisc,
        Self::Parisc64,
        Self::Riscv64,
        Self::LoongArch64,
        Self::M68k,
        Self::Sh,
        Self::ShEb,
    ];

    /// The architecture that this program was built for; `None` where Rust or seccomp does not know it.
    pub const BUILD: Option<Self> = if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Aarch64)
    } else if cfg!(target_arch = "riscv64") {
        Some(Self::Riscv64)
    } else if cfg!(target_arch = "s390x") {
        Some(Self::S390X)
    } else if cfg!(all(target_arch = "powerpc64", target_endian = "little")) {
        Some(Self::Ppc64Le)
    } else if cfg!(target_arch = "powerpc64") {
        Some(Self::Ppc64)
    } else if cfg!(target_arch = "loongarch64") {
        Some(Self::LoongArch64)
    } else if cfg!(target_arch = "x86") {
        Some(Self::X86)
    } else if cfg!(target_arch = "arm") {
        Some(Self::Arm)
    } else {
        None
    };

    /// The architecture of an `SCMP_ARCH_*` name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name)
    }

    /// The `SCMP_ARCH_*` name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.traits().name
    }

    /// The kernel's token (`AUDIT_ARCH_*`); x32 shares that of x86-64.
    #[must_use]
    pub fn audit(self) -> u32 {
        self.traits().audit
    }

    /// Whether the high half of an argument lies first.
    #[must_use]
    pub fn is_big_endian(self) -> bool {
        self.traits().big_endian
    }

    /// Whether conditions look at all 64 bits of an argument. The others look at the low 32: the kernel may have
    /// extended an argument's sign into the high half, which the callee never sees.
    #[must_use]
    pub fn is_wide(self) -> bool {
        self.traits().wide
    }

    pub(super) fn is_multiplexed(self) -> bool {
        self.traits().multiplexed
    }

    pub(super) fn column(self) -> usize {
        usize::from(self.traits().column)
    }

    pub(super) fn base(self) -> u32 {
        self.traits().base
    }

    fn traits(self) -> &'static Traits {
        &TRAITS[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_the_order_of_the_enumeration() {
        for (index, arch) in Arch::ALL.into_iter().enumerate() {
            assert_eq!(arch as usize, index);
            assert_eq!(Arch::from_name(arch.name()), Some(arch));
        }
    }

    #[test]
    fn tokens_are_those_of_the_kernel() {
        assert_eq!(Arch::X86.audit(), 0x4000_0003);
        assert_eq!(Arch::X86_64.audit(), 0xc000_003e);
        assert_eq!(Arch::X32.audit(), 0xc000_003e);
        assert_eq!(Arch::Arm.audit(), 0x4000_0028);
        assert_eq!(Arch::Aarch64.audit(), 0xc000_00b7);
        assert_eq!(Arch::S390X.audit(), 0x8000_0016);
        assert_eq!(Arch::Mipsel64N32.audit(), 0xe000_0008);
        assert_eq!(Arch::LoongArch64.audit(), 0xc000_0102);
    }

    #[test]
    fn a_name_without_its_prefix_is_unknown() {
        assert_eq!(Arch::from_name("X86_64"), None);
        assert_eq!(Arch::from_name("scmp_arch_x86_64"), None);
    }
}
