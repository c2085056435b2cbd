//! From the name of a system call to its numbers.
//!
//! A name is looked up once for all architectures, in a hash table that the compiler (rustc) builds from the
//! generated rows. The names lie in one block without pointers: a program that is loaded at a random address, as one of a
//! debug build is, would otherwise relocate every one of them at each start, used or not.

use super::arch::{ARM_PRIVATE, Arch};
use super::table::{NONE, ROWS};

const COUNT: usize = ROWS.len();
const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;
/// The first of the table's short forms of ARM's private calls.
const ARM_PRIVATE_SHORT: u16 = 0xf000;

/// Half of the slots stay empty, so that a search ends soon.
const _: () = assert!(COUNT * 2 < SLOTS);

static NUMBERS: [[u16; 18]; COUNT] = numbers();
static TEXT: [u8; text_length()] = text();
static OFFSETS: [u16; COUNT + 1] = offsets();
static TABLE: [u16; SLOTS] = slots();
static THROUGH: [u8; COUNT] = multiplexed();

/// The names that `socketcall` takes, at the place of their call number (linux/net.h).
const SOCKET_CALLS: [&str; 21] = [
    "",
    "socket",
    "bind",
    "connect",
    "listen",
    "accept",
    "getsockname",
    "getpeername",
    "socketpair",
    "send",
    "recv",
    "sendto",
    "recvfrom",
    "shutdown",
    "setsockopt",
    "getsockopt",
    "sendmsg",
    "recvmsg",
    "accept4",
    "recvmmsg",
    "sendmmsg",
];
/// The names that `ipc` takes, at the place of their call number (linux/ipc.h).
const IPC_CALLS: [&str; 25] = [
    "",
    "semop",
    "semget",
    "semctl",
    "semtimedop",
    "",
    "",
    "",
    "",
    "",
    "",
    "msgsnd",
    "msgrcv",
    "msgget",
    "msgctl",
    "",
    "",
    "",
    "",
    "",
    "",
    "shmat",
    "shmdt",
    "shmget",
    "shmctl",
];
const IPC_MARK: u8 = 0x80;

/// A known system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Name(u16);

/// A second way to make a call, on architectures that have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Multiplexed {
    /// The number of `socketcall` or `ipc`.
    pub nr: u32,
    /// The first argument that selects the call.
    pub selector: u8,
}

impl Name {
    /// The call of that name; `None` where no architecture has one.
    pub fn find(name: &str) -> Option<Self> {
        let mut slot = hash(name.as_bytes()) as usize % SLOTS;
        while TABLE[slot] != EMPTY {
            let index = TABLE[slot];
            if text_of(index) == name.as_bytes() {
                return Some(Self(index));
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }

    /// The number of the call itself on an architecture.
    pub fn number(self, arch: Arch) -> Option<u32> {
        match NUMBERS[usize::from(self.0)][arch.column()] {
            NONE => None,
            short if short >= ARM_PRIVATE_SHORT => Some(ARM_PRIVATE + u32::from(short - ARM_PRIVATE_SHORT)),
            number => Some(u32::from(number) + arch.base()),
        }
    }

    /// The way through `socketcall` or `ipc`.
    pub fn multiplexed(self, arch: Arch) -> Option<Multiplexed> {
        let code = THROUGH[usize::from(self.0)];
        if code == 0 || !arch.is_multiplexed() {
            return None;
        }
        let nr = if code & IPC_MARK == 0 { 102 } else { 117 };
        Some(Multiplexed { nr: nr + arch.base(), selector: code & !IPC_MARK })
    }
}

fn text_of(index: u16) -> &'static [u8] {
    let index = usize::from(index);
    &TEXT[usize::from(OFFSETS[index])..usize::from(OFFSETS[index + 1])]
}

/// FNV-1a with its bits folded.
const fn hash(name: &[u8]) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash ^ (hash >> 15)
}

const fn numbers() -> [[u16; 18]; COUNT] {
    let mut numbers = [[NONE; 18]; COUNT];
    let mut row = 0;
    while row < COUNT {
        numbers[row] = ROWS[row].1;
        row += 1;
    }
    numbers
}

const fn text_length() -> usize {
    let (mut length, mut row) = (0, 0);
    while row < COUNT {
        length += ROWS[row].0.len();
        row += 1;
    }
    assert!(length <= u16::MAX as usize);
    length
}

const fn text() -> [u8; text_length()] {
    let mut text = [0; text_length()];
    let (mut end, mut row) = (0, 0);
    while row < COUNT {
        let name = ROWS[row].0.as_bytes();
        let mut at = 0;
        while at < name.len() {
            text[end] = name[at];
            end += 1;
            at += 1;
        }
        row += 1;
    }
    text
}

const fn offsets() -> [u16; COUNT + 1] {
    let mut offsets = [0; COUNT + 1];
    let mut row = 0;
    while row < COUNT {
        offsets[row + 1] = offsets[row] + ROWS[row].0.len() as u16;
        row += 1;
    }
    offsets
}

const fn slots() -> [u16; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut row = 0;
    while row < COUNT {
        let mut slot = hash(ROWS[row].0.as_bytes()) as usize % SLOTS;
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = row as u16;
        row += 1;
    }
    slots
}

const fn multiplexed() -> [u8; COUNT] {
    let mut codes = [0; COUNT];
    let mut row = 0;
    while row < COUNT {
        codes[row] = match (position(&SOCKET_CALLS, ROWS[row].0), position(&IPC_CALLS, ROWS[row].0)) {
            (0, 0) => 0,
            (0, ipc) => ipc | IPC_MARK,
            (socket, _) => socket,
        };
        row += 1;
    }
    codes
}

/// The place of `name` in a list whose first entry is no name; 0 where it is not there.
const fn position(list: &[&str], name: &str) -> u8 {
    let mut at = 1;
    while at < list.len() {
        if equal(list[at].as_bytes(), name.as_bytes()) {
            return at as u8;
        }
        at += 1;
    }
    0
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str, arch: Arch) -> Option<u32> {
        Name::find(name).expect(name).number(arch)
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for (index, (name, _)) in ROWS.iter().enumerate() {
            assert_eq!(Name::find(name), Some(Name(index as u16)), "{name}");
        }
        assert_eq!(Name::find("no_such_call"), None);
        assert_eq!(Name::find(""), None);
    }

    #[test]
    fn numbers_carry_the_base_of_their_architecture() {
        assert_eq!(number("read", Arch::X86_64), Some(0));
        assert_eq!(number("read", Arch::X32), Some(0x4000_0000));
        assert_eq!(number("ioctl", Arch::X32), Some(0x4000_0000 + 514));
        assert_eq!(number("read", Arch::Mips), Some(4003));
        assert_eq!(number("read", Arch::Mipsel64), Some(5000));
        assert_eq!(number("read", Arch::Mips64N32), Some(6000));
        assert_eq!(number("set_tls", Arch::Arm), Some(0x000f_0005));
        assert_eq!(number("set_tls", Arch::X86_64), None);
        assert_eq!(number("open", Arch::Aarch64), None);
    }

    #[test]
    fn socket_and_ipc_calls_have_a_second_way_where_the_kernel_has_one() {
        let socket = Name::find("socket").expect("socket");
        assert_eq!(socket.multiplexed(Arch::X86), Some(Multiplexed { nr: 102, selector: 1 }));
        assert_eq!(socket.multiplexed(Arch::Mipsel), Some(Multiplexed { nr: 4102, selector: 1 }));
        assert_eq!(socket.multiplexed(Arch::X86_64), None);
        let shmctl = Name::find("shmctl").expect("shmctl");
        assert_eq!(shmctl.multiplexed(Arch::S390X), Some(Multiplexed { nr: 117, selector: 24 }));
        let count =
            ROWS.iter().filter(|(name, _)| Name::find(name).expect(name).multiplexed(Arch::X86).is_some());
        assert_eq!(count.count(), 32);
    }

    #[test]
    fn no_call_of_s390_has_the_number_of_its_multiplexer() {
        for arch in [Arch::S390, Arch::S390X] {
            assert!(ROWS.iter().all(|(name, _)| number(name, arch) != Some(0)));
        }
    }
}
