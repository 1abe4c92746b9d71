//! memcpy, memmove, memset, memcmp, bcmp and strlen: what compiled code calls and a C library would bring.
//!
//! Up to 64 bytes are moved by loads and stores that overlap in the middle, without a loop; more by `rep movsb`
//! and `rep stosb`, which x86_64 processors have fast paths for, or by words elsewhere.
//!
//! The danger of these functions is that the compiler recognises what a loop does and replaces it by a call of
//! the very function that it is in. So every loop over memory has a barrier that it cannot see through, and
//! `tests/memory_calls.rs` disassembles the linked program. For the same reason the workspace compiles this
//! crate with optimisation in the dev profile too: unoptimised code may copy by calling memcpy.

#[cfg(target_arch = "x86_64")]
use core::arch::asm;
use core::ffi::{c_char, c_int};

/// Two words, which one instruction loads where the processor has 16-byte registers.
type Pair = [u64; 2];

/// `memcpy(dest, src, n)`
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes, and they must not overlap.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcpy(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    if n <= 64 {
        // SAFETY: the caller's promise is the callee's requirement.
        unsafe { copy_short(dest, src, n) };
    } else {
        // SAFETY: as above; ranges that do not overlap can be copied forwards.
        unsafe { copy_forwards(dest, src, n) };
    }
    dest
}

/// `memmove(dest, src, n)`
///
/// # Safety
/// `src` must be readable and `dest` writable for `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memmove(dest: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    if n <= 64 {
        // SAFETY: the caller's promise is the callee's requirement, which allows an overlap.
        unsafe { copy_short(dest, src, n) };
    } else if dest.addr().wrapping_sub(src.addr()) >= n {
        // SAFETY: dest is below src or beyond its end, so that writing forwards never hits what is still to be read.
        unsafe { copy_forwards(dest, src, n) };
    } else {
        // SAFETY: dest is inside of src, so that writing backwards never hits what is still to be read.
        unsafe { copy_backwards(dest, src, n) };
    }
    dest
}

/// `memset(dest, byte, n)`
///
/// # Safety
/// `dest` must be writable for `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memset(dest: *mut u8, byte: c_int, n: usize) -> *mut u8 {
    // The C standard converts to unsigned char, which is the lowest byte.
    let [byte, ..] = byte.to_le_bytes();
    if n <= 64 {
        // SAFETY: the caller's promise is the callee's requirement.
        unsafe { fill_short(dest, byte, n) };
    } else {
        // SAFETY: as above.
        unsafe { fill_long(dest, byte, n) };
    }
    dest
}

/// `memcmp(a, b, n)`
///
/// # Safety
/// `a` and `b` must be readable for `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { compare(a, b, n) }
}

/// `bcmp(a, b, n)`: zero if the bytes are equal.
///
/// # Safety
/// `a` and `b` must be readable for `n` bytes.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> c_int {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { compare(a, b, n) }
}

/// `strlen(string)`
///
/// # Safety
/// `string` must be a C string.
#[cfg_attr(not(test), unsafe(no_mangle))]
unsafe extern "C" fn strlen(string: *const c_char) -> usize {
    let mut length = 0;
    // SAFETY: read needs a readable byte: all up to the first that is zero are. It is volatile, since LLVM
    // makes a call of strlen of a loop that looks like one.
    while unsafe { string.wrapping_add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// Reads a `T` from any address.
///
/// # Safety
/// `src + offset` must be readable for a `T`, which must be a type of plain numbers.
#[inline(always)]
unsafe fn load<T: Copy>(src: *const u8, offset: usize) -> T {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { src.wrapping_add(offset).cast::<T>().read_unaligned() }
}

/// Writes a `T` to any address.
///
/// # Safety
/// `dest + offset` must be writable for a `T`.
#[inline(always)]
unsafe fn store<T: Copy>(dest: *mut u8, offset: usize, value: T) {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { dest.wrapping_add(offset).cast::<T>().write_unaligned(value) }
}

/// What the compiler must assume to read and write all memory: it keeps a loop a loop.
#[inline(always)]
fn barrier() {
    // SAFETY: asm needs code that does what it declares; there is none.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) }
}

/// Copies `size_of::<T>()..=2 * size_of::<T>()` bytes: both ends, loaded before either is stored.
///
/// # Safety
/// As [`memmove`], with that many bytes.
#[inline(always)]
unsafe fn copy_ends<T: Copy>(dest: *mut u8, src: *const u8, n: usize) {
    let tail = n - size_of::<T>();
    // SAFETY: load needs a readable T: n has at least its size.
    let first: T = unsafe { load(src, 0) };
    // SAFETY: as above; the tail ends where n does.
    let last: T = unsafe { load(src, tail) };
    // SAFETY: store needs a writable T: n has at least its size.
    unsafe { store(dest, 0, first) };
    // SAFETY: as above; the tail ends where n does.
    unsafe { store(dest, tail, last) };
}

/// Copies up to 64 bytes that may overlap.
///
/// # Safety
/// As [`memmove`], with at most 64 bytes.
#[inline(always)]
unsafe fn copy_short(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY, for every arm: its lengths are those that the callee needs; the ranges are the caller's promise.
    match n {
        0 => {}
        // SAFETY: as above.
        1 => unsafe { copy_ends::<u8>(dest, src, n) },
        // SAFETY: as above.
        2..4 => unsafe { copy_ends::<u16>(dest, src, n) },
        // SAFETY: as above.
        4..8 => unsafe { copy_ends::<u32>(dest, src, n) },
        // SAFETY: as above.
        8..16 => unsafe { copy_ends::<u64>(dest, src, n) },
        // SAFETY: as above.
        16..32 => unsafe { copy_ends::<Pair>(dest, src, n) },
        // SAFETY: as above.
        _ => unsafe { copy_ends::<[Pair; 2]>(dest, src, n) },
    }
}

/// Copies bytes in ascending order.
///
/// # Safety
/// As [`memmove`], and `dest` must not be inside of `src`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn copy_forwards(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: `rep movsb` reads n bytes from rsi and writes them to rdi, which the caller has promised. It goes
    // upwards, as the ABI has the direction flag clear. All registers that change are declared.
    unsafe {
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") dest => _, inout("rsi") src => _,
            options(nostack, preserves_flags));
    }
}

/// Copies more than 64 bytes in ascending order.
///
/// # Safety
/// As [`memmove`], and `dest` must not be inside of `src`.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn copy_forwards(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { copy_words_forwards(dest, src, n) }
}

/// Copies at least 8 bytes by words in ascending order.
///
/// # Safety
/// As [`memmove`], and `dest` must not be inside of `src`.
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
unsafe fn copy_words_forwards(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: load needs a readable word; n is at least 8. Before the loop, which may overwrite it.
    let last: u64 = unsafe { load(src, n - 8) };
    let mut done = 0;
    while done + 8 <= n {
        // SAFETY: load needs a readable word, and this one ends within n.
        let word: u64 = unsafe { load(src, done) };
        // SAFETY: store needs a writable word, and this one ends within n.
        unsafe { store(dest, done, word) };
        barrier();
        done += 8;
    }
    // SAFETY: store needs a writable word; n is at least 8.
    unsafe { store(dest, n - 8, last) };
}

/// Copies at least 8 bytes by words in descending order.
///
/// # Safety
/// As [`memmove`], and `src` must not be inside of `dest`.
#[inline(always)]
unsafe fn copy_backwards(dest: *mut u8, src: *const u8, n: usize) {
    // SAFETY: load needs a readable word; n is at least 8. Before the loop, which may overwrite it.
    let first: u64 = unsafe { load(src, 0) };
    let mut left = n;
    while left >= 8 {
        left -= 8;
        // SAFETY: load needs a readable word, and this one ends within n.
        let word: u64 = unsafe { load(src, left) };
        // SAFETY: store needs a writable word, and this one ends within n.
        unsafe { store(dest, left, word) };
        barrier();
    }
    // SAFETY: store needs a writable word; n is at least 8.
    unsafe { store(dest, 0, first) };
}

/// Fills `size_of::<T>()..=2 * size_of::<T>()` bytes with copies of a value.
///
/// # Safety
/// As [`memset`], with that many bytes.
#[inline(always)]
unsafe fn fill_ends<T: Copy>(dest: *mut u8, value: T, n: usize) {
    // SAFETY: store needs a writable T: n has at least its size.
    unsafe { store(dest, 0, value) };
    // SAFETY: as above; the tail ends where n does.
    unsafe { store(dest, n - size_of::<T>(), value) };
}

/// Fills up to 64 bytes.
///
/// # Safety
/// As [`memset`], with at most 64 bytes.
#[inline(always)]
unsafe fn fill_short(dest: *mut u8, byte: u8, n: usize) {
    let word = u64::from_ne_bytes([byte; 8]);
    // SAFETY, for every arm: its lengths are those that the callee needs; the range is the caller's promise.
    match n {
        0 => {}
        // SAFETY: as above.
        1 => unsafe { fill_ends(dest, byte, n) },
        // SAFETY: as above.
        2..4 => unsafe { fill_ends(dest, [byte; 2], n) },
        // SAFETY: as above.
        4..8 => unsafe { fill_ends(dest, [byte; 4], n) },
        // SAFETY: as above.
        8..16 => unsafe { fill_ends(dest, word, n) },
        // SAFETY: as above.
        16..32 => unsafe { fill_ends(dest, [word; 2], n) },
        // SAFETY: as above.
        _ => unsafe { fill_ends(dest, [[word; 2]; 2], n) },
    }
}

/// Fills bytes.
///
/// # Safety
/// As [`memset`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn fill_long(dest: *mut u8, byte: u8, n: usize) {
    // SAFETY: `rep stosb` writes al to n bytes at rdi, which the caller has promised, upwards, as the ABI has the
    // direction flag clear. All registers that change are declared.
    unsafe {
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") dest => _, in("al") byte,
            options(nostack, preserves_flags));
    }
}

/// Fills more than 64 bytes.
///
/// # Safety
/// As [`memset`].
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn fill_long(dest: *mut u8, byte: u8, n: usize) {
    // SAFETY: the caller's promise is the callee's requirement.
    unsafe { fill_words(dest, byte, n) }
}

/// Fills at least 8 bytes by words.
///
/// # Safety
/// As [`memset`].
#[cfg(any(test, not(target_arch = "x86_64")))]
#[inline(always)]
unsafe fn fill_words(dest: *mut u8, byte: u8, n: usize) {
    let word = u64::from_ne_bytes([byte; 8]);
    let mut done = 0;
    while done + 8 <= n {
        // SAFETY: store needs a writable word, and this one ends within n.
        unsafe { store(dest, done, word) };
        barrier();
        done += 8;
    }
    // SAFETY: store needs a writable word; n is at least 8.
    unsafe { store(dest, n - 8, word) };
}

/// Compares as [`memcmp`] does.
///
/// # Safety
/// As [`memcmp`].
#[inline(always)]
unsafe fn compare(a: *const u8, b: *const u8, n: usize) -> c_int {
    let mut done = 0;
    while n - done >= 8 {
        // SAFETY: both are readable for n bytes, and this word ends within them.
        let order = unsafe { compare_word(a, b, done) };
        if order != 0 {
            return order;
        }
        done += 8;
    }
    if done == n {
        return 0;
    }
    if n >= 8 {
        // The last word again from its end; what overlaps is equal.
        // SAFETY: both are readable for n bytes, and the last word ends with them.
        return unsafe { compare_word(a, b, n - 8) };
    }
    while done < n {
        // SAFETY: load needs a readable byte, and this one is within n.
        let x: u8 = unsafe { load(a, done) };
        // SAFETY: as above.
        let y: u8 = unsafe { load(b, done) };
        if x != y {
            return c_int::from(x) - c_int::from(y);
        }
        barrier();
        done += 1;
    }
    0
}

/// Compares the eight bytes at an offset.
///
/// # Safety
/// Both must be readable there.
#[inline(always)]
unsafe fn compare_word(a: *const u8, b: *const u8, offset: usize) -> c_int {
    // SAFETY: the caller's promise is the callee's requirement.
    let x: u64 = unsafe { load(a, offset) };
    // SAFETY: as above.
    let y: u64 = unsafe { load(b, offset) };
    // The first byte decides, so it must be the most significant one.
    match u64::from_be(x).cmp(&u64::from_be(y)) {
        core::cmp::Ordering::Less => -1,
        core::cmp::Ordering::Equal => 0,
        core::cmp::Ordering::Greater => 1,
    }
}

#[cfg(test)]
mod tests;
