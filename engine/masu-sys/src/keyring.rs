//! The session keyring: a container gets its own, or it could read the keys of whoever started it.

use crate::arch::{nr, number, result, syscall3, syscall6};
use core::ffi::CStr;
use rustix::io::{Errno, Result};

const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
const KEYCTL_SETPERM: usize = 5;
const KEYCTL_DESCRIBE: usize = 6;

/// `KEY_USR_SEARCH`: processes of the keyring's uid may search it. runc adds it to a container's keyring.
pub const KEY_USR_SEARCH: u32 = 0x0008_0000;
/// `KEY_OTH_SEARCH`: any process may search it. runc adds it where a user namespace is new, as the ids differ.
pub const KEY_OTH_SEARCH: u32 = 0x0000_0008;

/// A type has at most 31 bytes and a description 4095, beside two ids and the permissions.
const DESCRIPTION_MAX: usize = 4096 + 32 + 48;

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`—Joins the session keyring of that name, or makes one. Returns
/// its serial number.
///
/// # Errors
///
/// `EACCES` when one of that name exists that we may not search, `EDQUOT`, `ENOMEM`; `ENOSYS` on a
/// kernel without keyrings.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/KEYCTL_JOIN_SESSION_KEYRING.2const.html)
pub fn join_session(name: &CStr) -> Result<i32> {
    // SAFETY: this operation reads one C string, which `CStr` is.
    number(result(unsafe { syscall3(nr::KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr() as usize, 0) })?)
}

/// `keyctl(KEYCTL_DESCRIBE, serial, buffer, sizeof(buffer))`—The permission bits of a key or keyring, from
/// its description `type;uid;gid;permissions;description`.
///
/// # Errors
///
/// `EACCES` without view permission, `ENOKEY`, `EKEYEXPIRED`, `EKEYREVOKED`; `EIO` for a description that
/// cannot be read.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/KEYCTL_DESCRIBE.2const.html)
pub fn permissions(serial: i32) -> Result<u32> {
    let mut buffer = [0_u8; DESCRIPTION_MAX];
    // SAFETY: this operation writes at most `len` bytes to the pointer; the array is ours, and that long.
    let length = result(unsafe {
        syscall6(
            nr::KEYCTL,
            KEYCTL_DESCRIBE,
            argument(serial),
            buffer.as_mut_ptr() as usize,
            buffer.len(),
            0,
            0,
        )
    })?;
    parse_permissions(buffer.get(..length).ok_or(Errno::IO)?).ok_or(Errno::IO)
}

/// `keyctl(KEYCTL_SETPERM, serial, permissions)`
///
/// # Errors
///
/// `EACCES` without setattr permission or ownership, `EINVAL` for unknown bits, `ENOKEY`.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man2/KEYCTL_SETPERM.2const.html)
pub fn set_permissions(serial: i32, permissions: u32) -> Result<()> {
    // SAFETY: this operation takes no pointer.
    result(unsafe { syscall3(nr::KEYCTL, KEYCTL_SETPERM, argument(serial), permissions as usize) }).map(drop)
}

/// A serial number as an argument: sign-extended, since special keyrings have negative ones.
fn argument(serial: i32) -> usize {
    (serial as isize).cast_unsigned()
}

/// The fourth field of a key's description, which is hexadecimal.
fn parse_permissions(description: &[u8]) -> Option<u32> {
    let field = description.split(|&byte| byte == b';').nth(3)?;
    u32::from_str_radix(core::str::from_utf8(field).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_permissions_of_a_description() {
        let cases: [(&[u8], Option<u32>); 5] = [
            (b"keyring;0;0;3f130000;_ses.x\0", Some(0x3f13_0000)),
            (b"keyring;1000;-1;3f1b0000;_ses;3\0", Some(0x3f1b_0000)),
            (b"keyring;0;0;;_ses\0", None),
            (b"keyring;0;0", None),
            (b"", None),
        ];
        for (description, expected) in cases {
            assert_eq!(parse_permissions(description), expected, "{description:?}");
        }
    }

    #[test]
    fn joins_a_keyring_and_widens_its_permissions() {
        // A thread of its own: the session keyring belongs to the thread, and ends with it.
        let permissions = std::thread::spawn(|| {
            let name = std::ffi::CString::new(format!("masu-sys-test-{}", std::process::id())).unwrap();
            let serial = join_session(&name)?;
            let before = permissions(serial)?;
            set_permissions(serial, before | KEY_OTH_SEARCH)?;
            Ok::<_, Errno>((before & KEY_OTH_SEARCH, permissions(serial)? & KEY_OTH_SEARCH))
        })
        .join()
        .unwrap();
        assert_eq!(permissions, Ok((0, KEY_OTH_SEARCH)));
    }
}
