//! The device filter as an eBPF program of type `BPF_PROG_TYPE_CGROUP_DEVICE` (bpf-helpers(7), `struct
//! bpf_cgroup_dev_ctx`): it returns 1 to allow an access and 0 to deny it.
//!
//! The rules are asked from the last to the first, for the last one that speaks of an access decides on it. One
//! register holds the accesses that are still to be decided: an allowing rule takes its own away, a denying one ends
//! the program when any of its own is left.

use super::devices::{Access, DeviceFilter, Kind, Rule};
use mydocker_sys::bpf::Instruction;

/// The registers in use.
#[derive(Clone, Copy)]
enum Register {
    /// The return value, and room to compute in.
    Result = 0,
    /// The argument: the context.
    Context = 1,
    /// 1 for a block device, 2 for a character device.
    Kind = 2,
    /// The accesses still to be decided.
    Access = 3,
    /// The major number.
    Major = 4,
    /// The minor number.
    Minor = 5,
}

const LOAD_WORD: u8 = 0x61;
const MOVE_32: u8 = 0xbc;
const MOVE_IMMEDIATE: u8 = 0xb7;
const AND_32_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT_32: u8 = 0x74;
const JUMP_IF_EQUAL: u8 = 0x15;
const JUMP_IF_NOT_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

const BLOCK: i32 = 1;
const CHARACTER: i32 = 2;

/// Most programs have 11 rules of 6 instructions.
const USUAL_LENGTH: usize = 96;

/// The program of `filter`; `None` when it allows everything, which takes no program.
#[must_use]
pub fn program(filter: &DeviceFilter) -> Option<Vec<Instruction>> {
    let mut code = Vec::with_capacity(USUAL_LENGTH);
    code.extend([
        instruction(LOAD_WORD, Register::Kind, Register::Context, 0, 0),
        instruction(MOVE_32, Register::Access, Register::Kind, 0, 0),
        immediate(SHIFT_RIGHT_32, Register::Access, 0, 16),
        immediate(AND_32_IMMEDIATE, Register::Kind, 0, 0xffff),
        instruction(LOAD_WORD, Register::Major, Register::Context, 4, 0),
        instruction(LOAD_WORD, Register::Minor, Register::Context, 8, 0),
    ]);
    let mut denies = false;
    for rule in filter.rules.iter().rev() {
        denies |= !rule.allow;
        code.extend(block(rule));
        // Nothing gets past it, and the kernel refuses a program with instructions that nothing can reach.
        if rule.is_total() {
            return if denies { Some(code) } else { None };
        }
    }
    code.extend(answer(false));
    Some(code)
}

/// The instructions of one rule; its jumps lead behind its last one.
fn block(rule: &Rule) -> Vec<Instruction> {
    let mut decision = Vec::with_capacity(4);
    match (rule.allow, rule.access) {
        (_, Access::ALL) => {}
        (true, access) => {
            decision.push(immediate(
                AND_32_IMMEDIATE,
                Register::Access,
                0,
                i32::from(!access.0 & Access::ALL.0),
            ));
            decision.push(immediate(JUMP_IF_NOT_EQUAL, Register::Access, 2, 0));
        }
        (false, access) => {
            decision.push(instruction(MOVE_32, Register::Result, Register::Access, 0, 0));
            decision.push(immediate(AND_32_IMMEDIATE, Register::Result, 0, access.0.into()));
            decision.push(immediate(JUMP_IF_EQUAL, Register::Result, 2, 0));
        }
    }
    decision.extend(answer(rule.allow));
    let kind = match rule.kind {
        Kind::Any => None,
        Kind::Block => Some(BLOCK),
        Kind::Character => Some(CHARACTER),
    };
    let number = |number: Option<u32>| number.map(u32::cast_signed);
    let conditions = [
        (Register::Minor, number(rule.minor)),
        (Register::Major, number(rule.major)),
        (Register::Kind, kind),
    ];
    let mut code = decision;
    for (register, wanted) in conditions {
        if let Some(wanted) = wanted {
            let behind = i16::try_from(code.len()).unwrap_or(i16::MAX);
            code.insert(0, immediate(JUMP_IF_NOT_EQUAL, register, behind, wanted));
        }
    }
    code
}

fn answer(allow: bool) -> [Instruction; 2] {
    [immediate(MOVE_IMMEDIATE, Register::Result, 0, allow.into()), u64::from(EXIT)]
}

fn immediate(opcode: u8, destination: Register, offset: i16, value: i32) -> Instruction {
    instruction(opcode, destination, Register::Result, offset, value)
}

/// `struct bpf_insn`: opcode, destination and source register, offset, immediate value. With an immediate operand
/// the source must be 0, which [`Register::Result`] is.
#[cfg(target_endian = "little")]
fn instruction(opcode: u8, destination: Register, source: Register, offset: i16, value: i32) -> Instruction {
    u64::from(opcode)
        | (destination as u64) << 8
        | (source as u64) << 12
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(value.cast_unsigned()) << 32
}

/// The same for hosts that keep the high bits first: fields and registers trade places.
#[cfg(target_endian = "big")]
fn instruction(opcode: u8, destination: Register, source: Register, offset: i16, value: i32) -> Instruction {
    u64::from(opcode) << 56
        | (destination as u64) << 52
        | (source as u64) << 48
        | u64::from(offset.cast_unsigned()) << 32
        | u64::from(value.cast_unsigned())
}

#[cfg(test)]
#[path = "ebpf_tests.rs"]
mod tests;
