//! Tiny programs that make one system call and exit with its errno: what a seccomp filter is asked with.

/// How the call is made, which is what a filter sees as the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `syscall`, x86-64.
    Native,
    /// `int 0x80`, i386 numbers. Arguments have 32 bits.
    Compat,
}

/// Where the program lies in memory.
const BASE: u64 = 0x40_0000;
/// The length of the ELF header and of one program header.
const HEADERS: u64 = 64 + 56;

/// A static ELF program that makes the call `number` and exits with 0 when it returned 0, else with its errno.
///
/// `getuid` is a good call to ask with: it ignores its arguments, but a filter does not.
#[must_use]
pub fn program(entry: Entry, number: u32, args: [u64; 6]) -> Vec<u8> {
    let code = match entry {
        Entry::Native => native(number, args),
        Entry::Compat => compat(number, args),
    };
    let mut file = headers(HEADERS + code.len() as u64);
    file.extend(code);
    file
}

/// `mov reg, imm64` for rdi, rsi, rdx, r10, r8, r9, then the call.
fn native(number: u32, args: [u64; 6]) -> Vec<u8> {
    const MOVES: [[u8; 2]; 6] =
        [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xba], [0x49, 0xba], [0x49, 0xb8], [0x49, 0xb9]];
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes());
    for (mov, arg) in MOVES.iter().zip(args) {
        code.extend(mov);
        code.extend(arg.to_le_bytes());
    }
    code.extend([0x0f, 0x05]);
    code.extend(EXIT_WITH_ERRNO);
    code
}

/// `mov reg, imm32` for ebx, ecx, edx, esi, edi, then the call.
fn compat(number: u32, args: [u64; 6]) -> Vec<u8> {
    const MOVES: [u8; 5] = [0xbb, 0xb9, 0xba, 0xbe, 0xbf];
    let mut code = vec![0xb8];
    code.extend(number.to_le_bytes());
    for (mov, arg) in MOVES.iter().zip(args) {
        code.push(*mov);
        code.extend((arg as u32).to_le_bytes());
    }
    code.extend([0xcd, 0x80]);
    code.extend(EXIT_WITH_ERRNO);
    code
}

/// `neg eax; mov edi, eax; mov eax, 231; syscall`: exit_group with what the call returned, negated.
const EXIT_WITH_ERRNO: [u8; 11] = [0xf7, 0xd8, 0x89, 0xc7, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05];

/// An ELF header for x86-64, and one segment that loads the whole file of `length` bytes, readable and executable.
fn headers(length: u64) -> Vec<u8> {
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    let half = |head: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|v| head.extend(v.to_le_bytes()));
    let word = |head: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|v| head.extend(v.to_le_bytes()));
    let long = |head: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|v| head.extend(v.to_le_bytes()));
    half(&mut head, &[2, 62]);
    word(&mut head, &[1]);
    long(&mut head, &[BASE + HEADERS, 64, 0]);
    word(&mut head, &[0]);
    half(&mut head, &[64, 56, 1, 0, 0, 0]);
    word(&mut head, &[1, 5]);
    long(&mut head, &[0, BASE, BASE, length, length, 0x1000]);
    head
}

#[cfg(test)]
mod tests {
    use super::{Entry, program};
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    /// The exit status of the program on this host.
    fn ask(entry: Entry, number: u32, args: [u64; 6]) -> Option<i32> {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let path = dir.path().join("probe");
        fs::write(&path, program(entry, number, args)).expect("the scratch directory is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("an own file");
        Command::new(path).status().expect("it can be executed").code()
    }

    #[test]
    fn the_exit_status_is_the_errno_of_the_call() {
        // close(999): EBADF is 9. A call that nobody has: ENOSYS is 38.
        assert_eq!(ask(Entry::Native, 3, [999, 0, 0, 0, 0, 0]), Some(9));
        assert_eq!(ask(Entry::Compat, 6, [999, 0, 0, 0, 0, 0]), Some(9));
        assert_eq!(ask(Entry::Native, 4000, [0; 6]), Some(38));
    }
}
