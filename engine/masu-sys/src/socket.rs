//! Descriptors that go through a socket, for masu-init: rustix has both calls too, and with them the addresses of sockets,
//! which is more code than all of this.

use core::{
    cell::Cell,
    mem::{MaybeUninit, offset_of, size_of},
    ptr::{from_mut, from_ref, null_mut},
};

use rustix::{
    fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    io::{Errno, Result},
};

use crate::arch::{nr, result, syscall3};

/// The most descriptors that come with one message: `SCM_MAX_FD`, unix(7).
pub const DESCRIPTORS_AT_ONCE: usize = 253;

const MSG_NOSIGNAL: usize = 0x4000;
const MSG_CMSG_CLOEXEC: usize = 0x4000_0000;
const SOL_SOCKET: i32 = 1;
const SCM_RIGHTS: i32 = 1;

/// `struct iovec`
#[repr(C)]
struct Part {
    base: *mut u8,
    length: usize,
}

/// `struct msghdr`
#[repr(C)]
struct Message {
    name: *mut u8,
    name_length: u32,
    parts: *mut Part,
    part_count: usize,
    control: *mut Control,
    control_length: usize,
    flags: u32,
}

/// `struct cmsghdr` and its content
#[repr(C)]
struct Control {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [MaybeUninit<i32>; DESCRIPTORS_AT_ONCE],
}

impl Control {
    fn new(length: usize) -> Self {
        Self {
            length,
            level: SOL_SOCKET,
            kind: SCM_RIGHTS,
            descriptors: [MaybeUninit::uninit(); DESCRIPTORS_AT_ONCE],
        }
    }
}

impl Message {
    fn new(part: &mut Part, control: &mut Control, control_length: usize) -> Self {
        Self {
            name: null_mut(),
            name_length: 0,
            parts: from_mut(part),
            part_count: 1,
            control: from_mut(control),
            control_length,
            flags: 0,
        }
    }
}

/// `sendmsg(socket, {bytes, SCM_RIGHTS}, MSG_NOSIGNAL)`—A message, and a descriptor with it.
///
/// # Errors
///
/// `EPIPE` when nobody can receive it any more.
///
/// # References
///  - [Linux: sendmsg](https://man7.org/linux/man-pages/man2/sendmsg.2.html)
///  - [Linux: unix](https://man7.org/linux/man-pages/man7/unix.7.html)
#[doc(alias = "sendmsg")]
pub fn send_descriptor(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) -> Result<()> {
    let mut part = Part { base: bytes.as_ptr().cast_mut(), length: bytes.len() };
    let length = offset_of!(Control, descriptors) + size_of::<i32>();
    let mut control = Control::new(length);
    if let Some(first) = control.descriptors.first_mut() {
        first.write(descriptor.as_raw_fd());
    }
    // The kernel counts in whole words, CMSG_SPACE.
    let message = Message::new(&mut part, &mut control, length.next_multiple_of(size_of::<usize>()));
    let socket = usize::try_from(socket.as_raw_fd()).map_err(|_| Errno::BADF)?;
    // SAFETY: the call reads the message, the bytes and the control buffer, which are alive and as large as they say.
    result(unsafe { syscall3(nr::SENDMSG, socket, from_ref(&message) as usize, MSG_NOSIGNAL) }).map(drop)
}

/// `recvmsg(socket, {byte, SCM_RIGHTS}, MSG_CMSG_CLOEXEC)`—A message of one byte, and the descriptors that come with it,
/// each of which is close-on-exec. Returns the byte; `None` is the end of file.
///
/// They fill `places` from the first on; one that finds no place is closed.
///
/// # Errors
///
/// `EMFILE` when there were more descriptors than the process may have open.
///
/// # References
///  - [Linux: recvmsg](https://man7.org/linux/man-pages/man2/recvmsg.2.html)
///  - [Linux: unix](https://man7.org/linux/man-pages/man7/unix.7.html)
#[doc(alias = "recvmsg")]
pub fn receive_descriptors(socket: BorrowedFd<'_>, places: &[Cell<Option<OwnedFd>>]) -> Result<Option<u8>> {
    const MSG_CTRUNC: u32 = 8;
    let mut byte = 0;
    let mut part = Part { base: from_mut(&mut byte), length: 1 };
    let mut control = Control::new(0);
    let mut message = Message::new(&mut part, &mut control, size_of::<Control>());
    let socket = usize::try_from(socket.as_raw_fd()).map_err(|_| Errno::BADF)?;
    let address = from_mut(&mut message) as usize;
    // SAFETY: the call writes to the message, the byte and the control buffer, which are alive and as large as they say,
    // and it opens descriptors, which closes none.
    let received = result(unsafe { syscall3(nr::RECVMSG, socket, address, MSG_CMSG_CLOEXEC) })?;
    let has_rights = message.control_length >= offset_of!(Control, descriptors)
        && (control.level, control.kind) == (SOL_SOCKET, SCM_RIGHTS);
    let size = if has_rights { control.length } else { 0 };
    let count = size.saturating_sub(offset_of!(Control, descriptors)) / size_of::<i32>();
    let mut places = places.iter();
    for number in control.descriptors.iter().take(count) {
        // SAFETY: assume_init needs what has been written: the kernel has, as far as its length tells.
        let number = unsafe { number.assume_init() };
        // SAFETY: from_raw_fd needs an open descriptor without another owner: the kernel has just opened this number for
        // us, and each comes once.
        let open = unsafe { OwnedFd::from_raw_fd(number) };
        if let Some(place) = places.next() {
            place.set(Some(open));
        }
    }
    match message.flags & MSG_CTRUNC {
        0 => Ok((received > 0).then_some(byte)),
        _ => Err(Errno::MFILE),
    }
}
