//! execve(2) without an allocator.

use crate::arch::{nr, result, syscall3, syscall6};
use core::ffi::{CStr, c_char};
use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::AtFlags;
use rustix::io::{Errno, Result};
use rustix::mm::{MapFlags, ProtFlags};

/// A `char *const[]` that ends with NULL: the argv and envp of [`execve`].
///
/// It lives in an anonymous mapping of its own, so that a program without an allocator can have one of
/// any length. The strings are borrowed.
#[derive(Debug)]
pub struct PointerBlock<'a> {
    /// `capacity + 1` pointers; those from `len` on are NULL.
    base: NonNull<*const c_char>,
    len: usize,
    capacity: usize,
    strings: PhantomData<&'a CStr>,
}

impl<'a> PointerBlock<'a> {
    /// `mmap(NULL, (capacity + 1) * sizeof(char *), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)`—
    /// An empty block with room for `capacity` strings.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # References
    ///  - [Linux](https://man7.org/linux/man-pages/man2/mmap.2.html)
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let bytes = Self::bytes(capacity).ok_or(Errno::NOMEM)?;
        // SAFETY: mmap needs that no existing mapping is replaced: the address is NULL, without MAP_FIXED.
        let base = unsafe {
            rustix::mm::mmap_anonymous(
                null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { base, len: 0, capacity, strings: PhantomData })
    }

    /// Adds a string.
    ///
    /// # Errors
    ///
    /// `E2BIG` when the block is full.
    pub fn push(&mut self, string: &'a CStr) -> Result<()> {
        if self.len == self.capacity {
            return Err(Errno::TOOBIG);
        }
        // SAFETY: `add` needs an offset inside the mapping: len < capacity, and it has capacity + 1 elements.
        let slot = unsafe { self.base.add(self.len) };
        // SAFETY: `write` needs an aligned, writable place: a page-aligned array of pointers, mapped writable,
        // that `&mut self` gives us alone. The last element is never written and stays NULL.
        unsafe { slot.write(string.as_ptr()) };
        self.len += 1;
        Ok(())
    }

    /// The number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no string.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of the mapping, if an address space can have it.
    fn bytes(capacity: usize) -> Option<usize> {
        capacity.checked_add(1)?.checked_mul(size_of::<*const c_char>())
    }
}

impl Drop for PointerBlock<'_> {
    fn drop(&mut self) {
        let Some(bytes) = Self::bytes(self.capacity) else { return };
        // SAFETY: munmap needs that nothing refers to the range: it is the mapping of with_capacity, which
        // only this value knows.
        let unmapped = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), bytes) };
        debug_assert_eq!(unmapped, Ok(()));
    }
}

/// `execve(path, argv, envp)`—Becomes another program. Returns only when it could not.
///
/// # Errors
///
/// The returned errno: `ENOENT` (also for the interpreter of a script), `EACCES`, `ENOEXEC`, `E2BIG`, `ELOOP`,
/// `ETXTBSY`, …
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/execve.2.html)
#[must_use = "it returns only on failure"]
pub fn execve(path: &CStr, argv: &PointerBlock<'_>, envp: &PointerBlock<'_>) -> Errno {
    let path = path.as_ptr() as usize;
    // SAFETY: execve reads a C string and two arrays of C strings that end with NULL. `CStr` and
    // `PointerBlock` are those, and the borrows keep the strings alive. On success nothing of us is left.
    failure(unsafe { syscall3(nr::EXECVE, path, argv.base.as_ptr() as usize, envp.base.as_ptr() as usize) })
}

/// `execveat(dirfd, path, argv, envp, flags)`—Becomes the program that a descriptor is, with
/// `AtFlags::EMPTY_PATH` and an empty path, or one below a directory. Returns only when it could not.
///
/// # Errors
///
/// The returned errno, as [`execve`]; `ENOENT` for a script on a close-on-exec descriptor.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/execveat.2.html)
#[must_use = "it returns only on failure"]
pub fn execveat(
    dirfd: BorrowedFd<'_>,
    path: &CStr,
    argv: &PointerBlock<'_>,
    envp: &PointerBlock<'_>,
    flags: AtFlags,
) -> Errno {
    let dirfd = dirfd.as_raw_fd().cast_unsigned() as usize;
    let (argv, envp) = (argv.base.as_ptr() as usize, envp.base.as_ptr() as usize);
    // SAFETY: as for execve: a C string and two arrays of C strings that end with NULL, alive through the call.
    failure(unsafe {
        syscall6(nr::EXECVEAT, dirfd, path.as_ptr() as usize, argv, envp, flags.bits() as usize, 0)
    })
}

/// The errno of a call that does not return when it succeeds.
fn failure(returned: isize) -> Errno {
    result(returned).err().unwrap_or(Errno::NOEXEC)
}
