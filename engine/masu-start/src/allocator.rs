//! The global allocator of a program with one thread: a bump over mapped chunks, and lists of what was freed.
//!
//! A new block is cut from the start of a chunk's rest. The block that was cut last can grow and shrink where it is, and
//! goes back to the rest when it is freed: that is what building one string or vector does, and all that a command which
//! ends after milliseconds needs. Any other freed block goes to the list of its class, from which the next request of that
//! class is served first, so that a loop over samples does not grow.
//!
//! ```text
//! class   0   1   2  …  64 │ 65    66    67  …
//! bytes   0   8  16  …  512 │ 1024  2048  4096 …      every size is rounded up to its class
//! ```
//! Nothing is split or merged: the most that is ever mapped is the sum over the classes of what each needed at its peak.
//! Only blocks of a larger alignment than a pointer's are always cut anew; the engine has none.
//!
//! A chunk's pages cost memory only once they are touched, so that a generous chunk does not raise the peak.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use rustix::mm::{MapFlags, ProtFlags};

/// The first chunk in bytes; each later one is twice as large, up to [`CHUNK_MAX`].
const CHUNK_MIN: usize = 128 << 10;
const CHUNK_MAX: usize = 4 << 20;

/// What every block is a multiple of: the size of a pointer, which a freed block holds.
const GRAIN: usize = 8;
/// Up to here the classes are multiples of the grain, above powers of two.
const SMALL_MAX: usize = 512;
const SMALL_CLASSES: usize = SMALL_MAX / GRAIN + 1;
/// The largest class is 1 GiB: what is larger is never asked for twice.
const CLASSES: usize = SMALL_CLASSES + 21;

#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: Bump = Bump::new();

/// The allocator. See the module's documentation for what it does not do.
struct Bump(UnsafeCell<Heap>);

/// The unused rest of the current chunk, and the freed blocks.
struct Heap {
    next: *mut u8,
    end: *mut u8,
    /// The size of the next chunk.
    size: usize,
    /// The first freed block of each class. It holds the address of the second, and so on.
    free: [*mut u8; CLASSES],
}

// SAFETY: Sync needs that threads may share the value: there is one thread. masu-start's programs link no
// thread library, and masu-sys has no way to make one (CloneFlags cannot spell CLONE_THREAD or CLONE_VM).
unsafe impl Sync for Bump {}

impl Bump {
    const fn new() -> Self {
        let free = [null_mut(); CLASSES];
        Self(UnsafeCell::new(Heap { next: null_mut(), end: null_mut(), size: CHUNK_MIN, free }))
    }
}

/// The class of a size and the bytes of its blocks; `None` for a size that has no class.
fn class_of(size: usize) -> Option<(usize, usize)> {
    if size <= SMALL_MAX {
        let class = size.div_ceil(GRAIN);
        return Some((class, class * GRAIN));
    }
    let bytes = size.checked_next_power_of_two()?;
    let class =
        usize::try_from(bytes.trailing_zeros() - SMALL_MAX.trailing_zeros()).ok()? + SMALL_CLASSES - 1;
    (class < CLASSES).then_some((class, bytes))
}

/// The bytes that a block of this size takes.
fn rounded(size: usize) -> Option<usize> {
    match class_of(size) {
        Some((_, bytes)) => Some(bytes),
        None => size.checked_next_multiple_of(GRAIN),
    }
}

impl Heap {
    /// Hands out a block: one that was freed, or a new one. NULL when there is no memory.
    fn take(&mut self, layout: Layout) -> *mut u8 {
        // Freed blocks are aligned to the grain alone; hardly anything asks for more.
        let listed = if layout.align() <= GRAIN { class_of(layout.size()) } else { None };
        if let Some((class, _)) = listed
            && let Some(block) = self.pop(class)
        {
            return block;
        }
        let bytes = rounded(layout.size());
        let Some(layout) = bytes.and_then(|bytes| Layout::from_size_align(bytes, layout.align()).ok()) else {
            return null_mut();
        };
        if let Some(block) = self.take_here(layout) {
            return block;
        }
        if !self.replace(layout) {
            return null_mut();
        }
        self.take_here(layout).unwrap_or(null_mut())
    }

    fn take_here(&mut self, layout: Layout) -> Option<*mut u8> {
        let align = layout.align().max(GRAIN);
        let padding = self.next.addr().checked_next_multiple_of(align)? - self.next.addr();
        let needed = padding.checked_add(layout.size())?;
        if self.next.is_null() || needed > self.end.addr() - self.next.addr() {
            return None;
        }
        let block = self.next.wrapping_add(padding);
        self.next = block.wrapping_add(layout.size());
        Some(block)
    }

    /// Takes a block of this size back.
    fn give(&mut self, block: *mut u8, size: usize) {
        if self.is_last(block, size) {
            self.next = block;
        } else if let Some((class, _)) = class_of(size)
            && let Some(first) = self.free.get_mut(class)
            && class > 0
        {
            // SAFETY: the write needs a writable, aligned place for a pointer that nobody else uses: the block was
            // freed, has the grain's size at least and begins at a multiple of it.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
        }
    }

    /// The first freed block of a class.
    fn pop(&mut self, class: usize) -> Option<*mut u8> {
        let first = self.free.get_mut(class).filter(|first| !first.is_null())?;
        let block = *first;
        // SAFETY: the read needs an initialised, aligned pointer: `give` wrote one when it listed the block, and
        // nobody has had the block since.
        *first = unsafe { block.cast::<*mut u8>().read() };
        Some(block)
    }

    /// Maps a chunk that has room for `layout`.
    fn replace(&mut self, layout: Layout) -> bool {
        // Chunks begin at a page; only a larger alignment needs room for padding.
        let Some(needed) = layout.size().checked_add(layout.align()) else { return false };
        let Some(size) = needed.max(self.size).checked_next_multiple_of(CHUNK_MIN) else { return false };
        // SAFETY: mmap needs that no existing mapping is replaced: the address is NULL, without MAP_FIXED.
        let mapped = unsafe {
            rustix::mm::mmap_anonymous(
                null_mut(),
                size,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        let Ok(base) = mapped else { return false };
        self.next = base.cast();
        self.end = self.next.wrapping_add(size);
        self.size = (self.size * 2).min(CHUNK_MAX);
        true
    }

    /// Whether the block is the one cut last, so that it ends where the rest begins.
    fn is_last(&self, block: *mut u8, size: usize) -> bool {
        rounded(size).is_some_and(|bytes| block.wrapping_add(bytes) == self.next)
    }

    /// Resizes a block where it is: one whose class stays, or the last, if the chunk has the room.
    fn resize(&mut self, block: *mut u8, size: usize, new_size: usize) -> bool {
        let Some(bytes) = rounded(new_size) else { return false };
        if rounded(size) == Some(bytes) {
            return true;
        }
        if !self.is_last(block, size) || bytes > self.end.addr() - block.addr() {
            return false;
        }
        self.next = block.wrapping_add(bytes);
        true
    }
}

// SAFETY: GlobalAlloc needs blocks that fit their layout and that nobody else has, and no unwinding: `take`
// hands out disjoint parts of mappings that are never unmapped, or what was given back, and nothing here panics.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the exclusive reference must be the only one: there is one thread, and no call in here
        // allocates.
        let heap = unsafe { &mut *self.0.get() };
        heap.take(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in alloc.
        let heap = unsafe { &mut *self.0.get() };
        heap.give(block, layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in alloc.
        let heap = unsafe { &mut *self.0.get() };
        if heap.resize(block, layout.size(), new_size) {
            return block;
        }
        // The caller of realloc promises that new_size does not overflow when rounded up to the alignment.
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return null_mut() };
        let moved = heap.take(wanted);
        if !moved.is_null() {
            // SAFETY: the copy needs two valid, disjoint ranges of this length: the old block has layout.size() bytes
            // by the caller's promise, the new one new_size, and `take` never hands out what is in use.
            unsafe { block.copy_to_nonoverlapping(moved, layout.size().min(new_size)) };
            heap.give(block, layout.size());
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn alloc(bump: &Bump, size: usize, align: usize) -> *mut u8 {
        // SAFETY: alloc needs a size that is not zero; the tests give none.
        unsafe { bump.alloc(layout(size, align)) }
    }

    #[test]
    fn blocks_are_aligned_disjoint_and_writable() {
        let bump = Bump::new();
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        for (size, align) in
            [(1, 1), (3, 8), (40, 16), (5, 4096), (1, 1), (CHUNK_MIN, 8), (9, 65536), (700_000, 2)]
        {
            let block = alloc(&bump, size, align);
            assert_eq!(block.addr() % align, 0, "({size}, {align})");
            // SAFETY: write_bytes needs a writable range, which a block of this size is.
            unsafe { block.write_bytes(0xff, size) };
            for &(start, length) in &blocks {
                assert!(block.addr() + size <= start || start + length <= block.addr(), "({size}, {align})");
            }
            blocks.push((block.addr(), size));
        }
    }

    #[test]
    fn the_last_block_grows_and_shrinks_where_it_is() {
        let bump = Bump::new();
        let block = alloc(&bump, 10, 1);
        for (old, new) in [(10, 1000), (1000, 20), (20, 50_000)] {
            // SAFETY: realloc needs a block of this allocator with that layout; it is the only one.
            assert_eq!(unsafe { bump.realloc(block, layout(old, 1), new) }, block, "{old} -> {new}");
        }
        assert_eq!(alloc(&bump, 1, 1), block.wrapping_add(65_536));
    }

    #[test]
    fn a_block_that_is_not_the_last_moves_with_its_bytes() {
        let bump = Bump::new();
        let block = alloc(&bump, 4, 1);
        // SAFETY: the copy needs a writable range of four bytes, which the block is.
        unsafe { block.copy_from_nonoverlapping(b"masu".as_ptr(), 4) };
        let _other = alloc(&bump, 1, 1);
        // SAFETY: realloc needs a block of this allocator with that layout.
        let moved = unsafe { bump.realloc(block, layout(4, 1), 9) };
        assert_ne!(moved, block);
        // SAFETY: the slice needs four initialised bytes: those that were copied.
        assert_eq!(unsafe { core::slice::from_raw_parts(moved, 4) }, b"masu");
    }

    #[test]
    fn blocks_given_back_in_the_order_of_a_stack_are_used_again() {
        let bump = Bump::new();
        let first = alloc(&bump, 16, 8);
        let second = alloc(&bump, 16, 8);
        // SAFETY: dealloc needs a block of this allocator with that layout.
        unsafe { bump.dealloc(second, layout(16, 8)) };
        // SAFETY: as above.
        unsafe { bump.dealloc(first, layout(16, 8)) };
        assert_eq!(alloc(&bump, 16, 8), first);
    }

    #[test]
    fn a_size_beyond_the_address_space_is_null() {
        let bump = Bump::new();
        for size in [isize::MAX.cast_unsigned() & !0xfff, 1 << 60] {
            assert!(alloc(&bump, size, 1).is_null(), "{size:#x}");
        }
        assert!(!alloc(&bump, 1, 1).is_null());
    }

    #[test]
    fn a_class_holds_its_size_and_is_that_of_its_own_blocks() {
        for size in (0..5000).chain([1 << 20, (1 << 20) + 1, 1 << 30]) {
            let (class, bytes) = class_of(size).unwrap();
            assert!(bytes >= size && class < CLASSES, "{size}");
            assert_eq!(class_of(bytes), Some((class, bytes)), "{size}");
        }
        assert_eq!(class_of((1 << 30) + 1), None);
        assert_eq!(class_of(usize::MAX), None);
    }

    #[test]
    fn a_block_freed_in_the_middle_serves_the_next_request_of_its_class() {
        let bump = Bump::new();
        let (first, second) = (alloc(&bump, 20, 8), alloc(&bump, 600, 1));
        let _last = alloc(&bump, 1, 1);
        for (block, size, again) in [(first, 20, 24), (second, 600, 513)] {
            // SAFETY: dealloc needs a block of this allocator with that layout.
            unsafe { bump.dealloc(block, layout(size, 1)) };
            assert_eq!(alloc(&bump, again, 1), block, "{size}");
        }
    }

    /// A generator of Marsaglia's (xorshift), so that the test needs nothing and repeats itself.
    fn next_random(state: &mut u64) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        usize::try_from(*state >> 33).unwrap()
    }

    /// What a program might do for long: blocks of all sizes, aligned and resized, of which few live at a time.
    #[test]
    fn whatever_is_asked_for_blocks_keep_their_bytes_and_the_memory_stays_bounded() {
        let bump = Bump::new();
        let mut state = 0x9e37_79b9_7f4a_7c15;
        let mut live: Vec<(*mut u8, usize, usize, u8)> = Vec::new();
        let (mut chunk, mut chunks) = (null_mut(), 0);
        for round in 0..200_000_u32 {
            let size = 1 + next_random(&mut state) % [16, 300, 5000][next_random(&mut state) % 3];
            let align = 1 << (next_random(&mut state) % 4);
            if live.len() < 40 {
                let (block, mark) = (alloc(&bump, size, align), round.to_le_bytes()[0]);
                assert_eq!(block.addr() % align, 0);
                // SAFETY: write_bytes needs a writable range, which a block of this size is.
                unsafe { block.write_bytes(mark, size) };
                live.push((block, size, align, mark));
            } else {
                let index = next_random(&mut state) % live.len();
                let (block, old, align, mark) = live.swap_remove(index);
                // SAFETY: the slice needs initialised bytes: all were written.
                let bytes = unsafe { core::slice::from_raw_parts(block, old) };
                assert!(bytes.iter().all(|byte| *byte == mark), "round {round}");
                if next_random(&mut state).is_multiple_of(4) {
                    // SAFETY: realloc needs a block of this allocator with that layout.
                    let moved = unsafe { bump.realloc(block, layout(old, align), size) };
                    // SAFETY: the slice needs initialised bytes: those that were copied.
                    let bytes = unsafe { core::slice::from_raw_parts(moved, old.min(size)) };
                    assert!(bytes.iter().all(|byte| *byte == mark), "round {round}");
                    // SAFETY: as above.
                    unsafe { moved.write_bytes(mark, size) };
                    live.push((moved, size, align, mark));
                } else {
                    // SAFETY: dealloc needs a block of this allocator with that layout.
                    unsafe { bump.dealloc(block, layout(old, align)) };
                }
            }
            // SAFETY: the reference must be the only one: no other is alive here.
            let end = unsafe { &*bump.0.get() }.end;
            chunks += u32::from(end != chunk);
            chunk = end;
        }
        // 40 blocks of every class, were they all needed once, are less than the first four chunks.
        assert!(chunks <= 4, "{chunks} chunks");
    }
}
