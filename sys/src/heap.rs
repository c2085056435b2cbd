//! The heap of a program that lives for milliseconds.
//!
//! What such a program pays for memory is not the search for a free block but the pages: the kernel makes each one when it
//! is first touched, and after a fork again when it is first written to. So blocks lie one behind the other in one arena,
//! a freed block is the next of its size, and what comes after a fork lies on pages of its own. The C library's heap takes
//! what is large, what finds the arena full, and what other threads ask for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};

/// How much the arena holds; only what is touched of it is ever memory.
const ARENA: usize = 512 << 10;
/// Every block is a multiple of it and begins at one.
const GRAIN: usize = 16;
/// Up to this length blocks of each number of grains are kept apart; beyond it, those of each power of two.
const FINE: usize = 1 << FINE_BITS;
const FINE_BITS: usize = 10;
/// What is longer comes from the C library.
const LONGEST: usize = 32 << 10;
const CLASSES: usize = FINE / GRAIN + 5;

thread_local! {
    /// Whether this is the one thread that has the arena.
    static OWNER: Cell<bool> = const { Cell::new(false) };
}

/// The allocator for `#[global_allocator]`; [`entry_point!`](crate::entry_point) opens it.
pub struct ShortLived;

static HEAP: Heap = Heap::new();

/// Lets the calling thread use the arena of [`ShortLived`], unless another does.
pub fn open() {
    HEAP.open();
}

/// To be called in both processes after a fork: what was allocated before stays as it is, also when it is freed, and new
/// blocks begin on a page of their own. Otherwise each block that is freed and used again would cost the copy of the page
/// that it lies on.
pub(crate) fn begin_anew() {
    HEAP.with(State::begin_anew);
}

struct Heap {
    arena: Arena,
    state: UnsafeCell<State>,
    owned: AtomicBool,
}

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; ARENA]>);

struct State {
    /// Where the next new block begins on pages that nobody has touched.
    end: usize,
    /// What is left of a long block that was freed: the next new blocks, if they are not long, lie there.
    spare: Range<usize>,
    /// What lies before it was there before a fork, and stays as it is.
    old: usize,
    /// The first free block of each class; each holds the address of the next.
    free: [Option<NonNull<u8>>; CLASSES],
}

// SAFETY: the state is touched only by the thread whose OWNER is set, of which `open` makes one at the most, and the bytes
// of the arena only through the blocks that this thread gives out.
unsafe impl Sync for Heap {}

impl Heap {
    const fn new() -> Self {
        let state = State { end: 0, spare: 0..0, old: 0, free: [None; CLASSES] };
        let arena = Arena(UnsafeCell::new([0; ARENA]));
        Self { arena, state: UnsafeCell::new(state), owned: AtomicBool::new(false) }
    }

    fn open(&self) {
        if !self.owned.swap(true, Ordering::Relaxed) {
            OWNER.set(true);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        // SAFETY: this is the one thread that has the state, and no `act` allocates or leads back here.
        OWNER.get().then(|| act(unsafe { &mut *self.state.get() }))
    }

    fn take(&self, length: usize, class: usize) -> Option<NonNull<u8>> {
        match self.with(|state| state.take(length, class))?? {
            Taken::Freed(block) => Some(block),
            Taken::New(offset) => {
                // SAFETY: the block ends within the arena.
                NonNull::new(unsafe { self.arena.0.get().cast::<u8>().add(offset) })
            }
        }
    }

    /// Where in the arena a block begins; none for a block of the C library's heap.
    fn offset(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.arena.0.get().addr());
        (offset < ARENA).then_some(offset)
    }
}

/// A block that is the caller's from now on.
enum Taken {
    Freed(NonNull<u8>),
    /// It begins here in the arena.
    New(usize),
}

/// The length of the blocks that hold `layout`, and their class; none for what the arena does not take.
fn class(layout: Layout) -> Option<(usize, usize)> {
    if layout.align() > GRAIN || layout.size() > LONGEST {
        return None;
    }
    if layout.size() <= FINE {
        let grains = layout.size().div_ceil(GRAIN).max(1);
        return Some((grains * GRAIN, grains - 1));
    }
    let length = layout.size().next_power_of_two();
    Some((length, FINE / GRAIN + length.trailing_zeros() as usize - FINE_BITS - 1))
}

impl State {
    fn begin_anew(&mut self) {
        const PAGE: usize = 4096;
        self.end = self.end.next_multiple_of(PAGE).min(ARENA);
        self.old = self.end;
        self.spare = 0..0;
        self.free = [None; CLASSES];
    }

    fn take(&mut self, length: usize, class: usize) -> Option<Taken> {
        if let Some(block) = self.free[class] {
            // SAFETY: a block in the list is free, a grain long at least and aligned to it, and `give` has written there.
            self.free[class] = unsafe { block.cast::<Option<NonNull<u8>>>().read() };
            return Some(Taken::Freed(block));
        }
        let (next, limit) = if length <= FINE && length <= self.spare.len() {
            (&mut self.spare.start, self.spare.end)
        } else {
            (&mut self.end, ARENA)
        };
        let begin = *next;
        (begin + length <= limit).then(|| {
            *next += length;
            Taken::New(begin)
        })
    }

    fn give(&mut self, block: NonNull<u8>, offset: usize, length: usize, class: usize) {
        if offset < self.old {
            return;
        }
        if offset + length == self.end {
            self.end = offset;
        } else if length > FINE.max(self.spare.len()) {
            self.spare = offset..offset + length;
        } else {
            // SAFETY: the block was of this class and is nobody's now; a grain holds an address.
            unsafe { block.cast::<Option<NonNull<u8>>>().write(self.free[class]) };
            self.free[class] = Some(block);
        }
    }

    /// Makes the last block longer or shorter where it lies.
    fn resize(&mut self, offset: usize, length: usize, new: usize) -> bool {
        let fits = offset >= self.old && offset + length == self.end && offset + new <= ARENA;
        if fits {
            self.end = offset + new;
        }
        fits
    }
}

// SAFETY: a block is aligned to a grain, as long as its class says, and in nobody else's hands: `end` moves behind each
// that is made, and a free one leaves its list when it is taken. What the arena does not take is the C library's.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout).and_then(|(length, class)| self.take(length, class)) {
            Some(block) => block.as_ptr(),
            // SAFETY: the caller's promise about the layout.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match (self.offset(block), class(layout), NonNull::new(block)) {
            (Some(offset), Some((length, class)), Some(block)) => {
                // One that another thread frees is lost.
                self.with(|state| state.give(block, offset, length, class));
            }
            // SAFETY: it does not lie in the arena, so that the C library made it, with this layout.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset(block) else {
            // SAFETY: it does not lie in the arena, so that the C library made it, with this layout.
            return unsafe { System.realloc(block, layout, size) };
        };
        // SAFETY: the caller promises that the size fits this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        if let (Some((length, _)), Some((new, _))) = (class(layout), class(wanted))
            && (length == new || self.with(|state| state.resize(offset, length, new)) == Some(true))
        {
            return block;
        }
        // SAFETY: both blocks are at least as long as what is copied, and the new one is another one.
        unsafe {
            let other = self.alloc(wanted);
            if !other.is_null() {
                ptr::copy_nonoverlapping(block, other, layout.size().min(size));
                self.dealloc(block, layout);
            }
            other
        }
    }
}

// SAFETY: as of the heap that it is.
unsafe impl GlobalAlloc for ShortLived {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { HEAP.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { HEAP.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { HEAP.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// A heap that the test's thread has; too large for a stack.
    fn heap() -> Box<Heap> {
        // SAFETY: zeroes are what a new heap is made of: no free block, nothing in use.
        let heap = unsafe { Box::<Heap>::new_zeroed().assume_init() };
        heap.open();
        heap
    }

    #[test]
    fn every_length_has_a_class_that_holds_it() {
        let mut last = (0, 0);
        for size in 0..=LONGEST {
            let (length, class) = class(layout(size)).unwrap();
            assert!(length >= size.max(GRAIN) && length.is_multiple_of(GRAIN) && class < CLASSES, "{size}");
            assert!(length == last.0 && class == last.1 || length > last.0 && (class > last.1 || size == 0));
            last = (length, class);
        }
        assert_eq!(last, (LONGEST, CLASSES - 1));
        assert_eq!(class(layout(LONGEST + 1)), None);
        assert_eq!(class(Layout::from_size_align(8, 64).unwrap()), None);
    }

    #[test]
    fn blocks_do_not_overlap_and_keep_what_is_written() {
        let heap = heap();
        let mut blocks = Vec::new();
        // More than the arena holds, and lengths on both sides of every limit.
        for round in 0..3000_usize {
            let layout = layout(round * 37 % (LONGEST + 100) + 1);
            // SAFETY: layouts are those that the blocks were made with, and what is read and written lies in them.
            unsafe {
                let block = heap.alloc(layout);
                ptr::write_bytes(block, round as u8, layout.size());
                blocks.push((block, layout, round as u8));
                if round % 3 == 0 {
                    let (block, layout, fill) = blocks.swap_remove(round * 7 % blocks.len());
                    let size = layout.size() * 3 / 2;
                    let block = heap.realloc(block, layout, size);
                    let kept = std::slice::from_raw_parts(block, layout.size());
                    assert!(kept.iter().all(|byte| *byte == fill));
                    heap.dealloc(block, Layout::from_size_align(size, 8).unwrap());
                }
            }
        }
        for (block, layout, fill) in blocks {
            // SAFETY: as above.
            unsafe {
                assert!(std::slice::from_raw_parts(block, layout.size()).iter().all(|byte| *byte == fill));
                heap.dealloc(block, layout);
            }
        }
    }

    #[test]
    fn a_freed_block_is_used_again_but_not_after_a_fork() {
        let heap = heap();
        let size = layout(100);
        // SAFETY: layouts are those that the blocks were made with.
        unsafe {
            let (first, second) = (heap.alloc(size), heap.alloc(size));
            heap.dealloc(first, size);
            assert_eq!(heap.alloc(size), first);
            let long = heap.alloc(layout(2 * FINE));
            let _behind = heap.alloc(size);
            heap.dealloc(long, layout(2 * FINE));
            assert_eq!(heap.alloc(size), long);
            heap.with(State::begin_anew);
            heap.dealloc(first, size);
            let third = heap.alloc(size);
            assert!(third.addr() >= second.addr() + size.size() && third.addr().is_multiple_of(4096));
            heap.dealloc(second, size);
            heap.dealloc(third, size);
            assert_eq!(heap.alloc(size), third);
        }
    }

    #[test]
    fn the_last_block_grows_where_it_lies() {
        let heap = heap();
        // SAFETY: layouts are those that the blocks were made with.
        unsafe {
            let block = heap.alloc(layout(10));
            assert_eq!(heap.realloc(block, layout(10), 5000), block);
            let next = heap.alloc(layout(10));
            assert!(next.addr() >= block.addr() + 5000);
            assert_ne!(heap.realloc(block, layout(5000), 20_000), block);
        }
    }

    #[test]
    fn other_threads_get_what_the_c_library_has() {
        let heap = heap();
        let other = std::thread::scope(|scope| {
            // SAFETY: the layout is that of the block.
            let work = scope.spawn(|| unsafe {
                heap.open();
                let block = heap.alloc(layout(10));
                let inside = heap.offset(block).is_some();
                heap.dealloc(block, layout(10));
                inside
            });
            work.join().unwrap()
        });
        assert!(!other);
    }
}
