//! A program that becomes another file with the same content, without an `execve`.
//!
//! What a program is to others is `/proc/PID/exe`, and the files that its memory is mapped from. Both can be changed from
//! within: each segment is mapped from the other file, at the same place, and then the kernel is told which file the program
//! is, which it believes when nothing is mapped from the old one any more (`PR_SET_MM_MAP`, `prctl(2)`). An `execve` would
//! take down the address space, make a new one and touch all of it again: a twentieth of the CPU time of a whole `run`.
//!
//! It works for a program with fixed addresses that has changed nothing in its memory yet, as the kernel has mapped it. The
//! kernel has to have `CONFIG_CHECKPOINT_RESTORE`, which distributions' kernels have.

use super::call;

/// The size of a page, less one.
const WITHIN_PAGE: usize = 0xfff;

/// What the kernel has put on the stack for the first instruction.
pub(super) struct Start {
    /// The stack pointer.
    pub stack: *const usize,
    /// The words of the command line, with a null pointer behind the last.
    pub args: *const *const u8,
    /// The environment, with a null pointer behind the last.
    pub env: *const *const u8,
}

/// Becomes the file that `view` leads to, which was opened with `O_PATH` only, and closes `view`. `false`: the kernel refuses,
/// the program is what it was to others, and `view` is open.
///
/// # Safety
/// The file is the program's own; what `start` says is true; the program has fixed addresses, has changed nothing of itself
/// yet, and no other thread runs.
#[inline(always)]
pub(super) unsafe fn become_file(view: isize, start: &Start) -> bool {
    let path = PathOf::descriptor(view);
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC) as usize;
    // SAFETY: the path ends in NUL; the rest is the caller's promise.
    unsafe {
        let file = call(libc::SYS_open, [path.0.as_ptr().addr(), flags, 0, 0, 0, 0]);
        if file < 0 {
            return false;
        }
        let done = match map_all(file) {
            Some(extent) => declare(file, &extent, start),
            None => false,
        };
        // Mostly one number follows the other, and one call closes both.
        let first = if done && view + 1 == file { view } else { file };
        call(libc::SYS_close_range, [first as usize, file as usize, 0, 0, 0, 0]);
        if done && first == file {
            call(libc::SYS_close, [view as usize, 0, 0, 0, 0, 0]);
        }
        done
    }
}

/// `/proc/self/fd/N`.
struct PathOf([u8; 32]);

impl PathOf {
    #[inline(always)]
    fn descriptor(number: isize) -> Self {
        let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let (mut end, mut above) = (15, number / 10);
        while above > 0 {
            end += 1;
            above /= 10;
        }
        let mut rest = number;
        while end > 14 {
            end -= 1;
            path[end & 31] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        Self(path)
    }
}

/// Where the program's code and data are, as the kernel notes it of each program.
struct Extent {
    code: [u64; 2],
    data: [u64; 2],
}

/// Maps every segment of the program from `file`; none if the kernel refuses one, or the addresses are not fixed.
#[inline(always)]
unsafe fn map_all(file: isize) -> Option<Extent> {
    let mut extent = Extent { code: [u64::MAX, 0], data: [0, 0] };
    // SAFETY: the linker gives the address of the program's first header, which says where the others are.
    unsafe {
        let program = &raw const __ehdr_start;
        if (*program).e_type != libc::ET_EXEC {
            return None;
        }
        let first = program.cast::<u8>().add((*program).e_phoff as usize).cast::<libc::Elf64_Phdr>();
        let headers = std::slice::from_raw_parts(first, (*program).e_phnum as usize);
        for segment in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
            if !map(segment, file) {
                return None;
            }
            note(&mut extent, segment);
        }
    }
    Some(extent)
}

#[inline(always)]
fn note(extent: &mut Extent, segment: &libc::Elf64_Phdr) {
    let [start, end] = [segment.p_vaddr, segment.p_vaddr + segment.p_filesz];
    if segment.p_flags & libc::PF_X != 0 {
        extent.code = [start, end];
    }
    if start > extent.data[0] {
        extent.data = [start, end];
    }
}

/// Maps a segment from `file` where it is mapped from another of the same content.
#[inline(always)]
unsafe fn map(segment: &libc::Elf64_Phdr, file: isize) -> bool {
    let before = segment.p_vaddr as usize & WITHIN_PAGE;
    let start = segment.p_vaddr as usize - before;
    let length = before + segment.p_filesz as usize;
    let right = |has: u32, gives: libc::c_int| if segment.p_flags & has != 0 { gives as usize } else { 0 };
    let rights = right(libc::PF_R, libc::PROT_READ)
        | right(libc::PF_W, libc::PROT_WRITE)
        | right(libc::PF_X, libc::PROT_EXEC);
    let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as usize;
    let list = [start, length, rights, flags, file as usize, segment.p_offset as usize - before];
    // SAFETY: the same bytes come to the same place, this code among them; nothing of it has been changed.
    if unsafe { call(libc::SYS_mmap, list) } < 0 {
        return false;
    }
    // What follows in the file is not the variables that begin as zeros.
    if segment.p_memsz > segment.p_filesz {
        let mut at = start + length;
        while at & WITHIN_PAGE != 0 {
            // SAFETY: the last page of the segment, which can be written to.
            unsafe { std::ptr::with_exposed_provenance_mut::<u8>(at).write_volatile(0) };
            at += 1;
        }
    }
    true
}

/// `struct prctl_mm_map` of `linux/prctl.h`.
#[repr(C)]
struct MemoryMap {
    code: [u64; 2],
    data: [u64; 2],
    heap: [u64; 2],
    stack: u64,
    args: [u64; 2],
    env: [u64; 2],
    auxv: u64,
    auxv_size: u32,
    program: u32,
}

/// Tells the kernel that `file` is the program, and for the rest what it knows already.
#[inline(always)]
unsafe fn declare(file: isize, extent: &Extent, start: &Start) -> bool {
    // SAFETY: brk with 0 only asks; the lists are the caller's promise; the kernel reads map, of which the length is given.
    unsafe {
        let heap = call(libc::SYS_brk, [0; 6]) as u64;
        let args = extent_of(start.args, start.stack.addr() as u64);
        let map = MemoryMap {
            code: extent.code,
            data: extent.data,
            heap: [heap, heap],
            stack: start.stack.addr() as u64,
            args,
            env: extent_of(start.env, args[1]),
            auxv: 0,
            auxv_size: 0,
            program: file as u32,
        };
        let [option, set] = [libc::PR_SET_MM, libc::PR_SET_MM_MAP].map(|number| number as usize);
        call(libc::SYS_prctl, [option, set, (&raw const map).addr(), size_of::<MemoryMap>(), 0, 0]) == 0
    }
}

/// From the first string of a list to the end of the last, which lie one behind the other; nothing at `otherwise` for none.
#[inline(always)]
unsafe fn extent_of(list: *const *const u8, otherwise: u64) -> [u64; 2] {
    // SAFETY: the list ends in a null pointer, and the strings in NUL.
    unsafe {
        if (*list).is_null() {
            return [otherwise; 2];
        }
        let mut last = list;
        while !(*last.add(1)).is_null() {
            last = last.add(1);
        }
        let mut end = *last;
        while end.read_volatile() != 0 {
            end = end.add(1);
        }
        [(*list).addr() as u64, end.addr() as u64 + 1]
    }
}

unsafe extern "C" {
    /// The program's first header, by linkers' convention.
    static __ehdr_start: libc::Elf64_Ehdr;
}
