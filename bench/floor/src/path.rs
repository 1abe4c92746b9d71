//! Paths in a buffer on the stack.

use crate::failure::{Failure, Result};
use core::ffi::CStr;
use rustix::io::Errno;

/// Room for a path below `/sys/fs/cgroup`.
#[derive(Debug)]
pub(crate) struct Path {
    bytes: [u8; 256],
}

impl Path {
    /// The parts, one after the other.
    pub(crate) fn of<const N: usize>(parts: [&[u8]; N]) -> Result<Self> {
        let mut bytes = [0; 256];
        let mut used = 0;
        for part in parts {
            let end = used + part.len();
            // One less than there is: the NUL.
            let room = bytes.get_mut(used..end).filter(|_| end < 256);
            room.ok_or(Failure::new("a path", Errno::NAMETOOLONG))?.copy_from_slice(part);
            used = end;
        }
        Ok(Self { bytes })
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}
