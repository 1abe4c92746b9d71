//! The global allocator of a short-lived program with one thread: a bump over mapped chunks.
//!
//! Memory is handed out from the start of a chunk to its end. The block that was handed out last can grow and
//! shrink where it is and can be given back, which is what building one string or vector does; any other
//! freed block stays lost until the process ends, which for the engine is milliseconds away. A program that
//! loops must therefore build and drop its values in the order of a stack.
//!
//! A chunk's pages cost memory only once they are touched, so that a generous chunk does not raise the peak.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use rustix::mm::{MapFlags, ProtFlags};

/// The first chunk in bytes; each later one is twice as large, up to [`CHUNK_MAX`].
const CHUNK_MIN: usize = 128 << 10;
const CHUNK_MAX: usize = 4 << 20;

#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: Bump = Bump::new();

/// The allocator. See the module's documentation for what it does not do.
struct Bump(UnsafeCell<Chunk>);

/// The unused rest of the current chunk.
struct Chunk {
    next: *mut u8,
    end: *mut u8,
    /// The size of the next chunk.
    size: usize,
}

// SAFETY: Sync needs that threads may share the value: there is one thread. masu-start's programs link no
// thread library, and masu-sys has no way to make one (CloneFlags cannot spell CLONE_THREAD or CLONE_VM).
unsafe impl Sync for Bump {}

impl Bump {
    const fn new() -> Self {
        Self(UnsafeCell::new(Chunk { next: null_mut(), end: null_mut(), size: CHUNK_MIN }))
    }
}

impl Chunk {
    /// Hands out a block, from a new chunk if this one has not the room. NULL when there is no memory.
    fn take(&mut self, layout: Layout) -> *mut u8 {
        if let Some(block) = self.take_here(layout) {
            return block;
        }
        if !self.replace(layout) {
            return null_mut();
        }
        self.take_here(layout).unwrap_or(null_mut())
    }

    fn take_here(&mut self, layout: Layout) -> Option<*mut u8> {
        let padding = self.next.addr().checked_next_multiple_of(layout.align())? - self.next.addr();
        let needed = padding.checked_add(layout.size())?;
        if self.next.is_null() || needed > self.end.addr() - self.next.addr() {
            return None;
        }
        let block = self.next.wrapping_add(padding);
        self.next = block.wrapping_add(layout.size());
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

    /// Whether the block is the one handed out last, so that it ends where the rest begins.
    fn is_last(&self, block: *mut u8, size: usize) -> bool {
        block.wrapping_add(size) == self.next
    }

    /// Resizes the last block where it is, if the chunk has the room.
    fn resize_last(&mut self, block: *mut u8, new_size: usize) -> bool {
        if new_size > self.end.addr() - block.addr() {
            return false;
        }
        self.next = block.wrapping_add(new_size);
        true
    }
}

// SAFETY: GlobalAlloc needs blocks that fit their layout and that nobody else has, and no unwinding: `take`
// hands out disjoint parts of mappings that are never unmapped, and nothing here panics.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the exclusive reference must be the only one: there is one thread, and no call in here
        // allocates.
        let chunk = unsafe { &mut *self.0.get() };
        chunk.take(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in alloc.
        let chunk = unsafe { &mut *self.0.get() };
        if chunk.is_last(block, layout.size()) {
            chunk.next = block;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as in alloc.
        let chunk = unsafe { &mut *self.0.get() };
        if chunk.is_last(block, layout.size()) && chunk.resize_last(block, new_size) {
            return block;
        }
        if new_size <= layout.size() {
            return block;
        }
        // The caller of realloc promises that new_size does not overflow when rounded up to the alignment.
        let Ok(wanted) = Layout::from_size_align(new_size, layout.align()) else { return null_mut() };
        let moved = chunk.take(wanted);
        if !moved.is_null() {
            // SAFETY: the copy needs two valid, disjoint ranges: the old block has layout.size() bytes by the
            // caller's promise, the new one more, and `take` never hands out what is in use.
            unsafe { block.copy_to_nonoverlapping(moved, layout.size()) };
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
        assert_eq!(alloc(&bump, 1, 1), block.wrapping_add(50_000));
    }

    #[test]
    fn a_block_that_is_not_the_last_moves_with_its_bytes() {
        let bump = Bump::new();
        let block = alloc(&bump, 4, 1);
        // SAFETY: the copy needs a writable range of four bytes, which the block is.
        unsafe { block.copy_from_nonoverlapping(b"masu".as_ptr(), 4) };
        let _other = alloc(&bump, 1, 1);
        // SAFETY: realloc needs a block of this allocator with that layout.
        let moved = unsafe { bump.realloc(block, layout(4, 1), 8) };
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
}
