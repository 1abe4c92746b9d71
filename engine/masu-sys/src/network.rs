//! The loopback interface of a network namespace.

use crate::arch::{nr, result, syscall3};
use rustix::fd::AsRawFd;
use rustix::io::Result;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// `SIOCSIFFLAGS` of `<linux/sockios.h>`, the same on every architecture that masu knows.
const SIOCSIFFLAGS: usize = 0x8914;
/// `IFF_UP | IFF_RUNNING`
const FLAGS_UP: u16 = 0x41;

/// `struct ifreq`, with the flags of its union.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// `ioctl(socket(AF_INET, SOCK_DGRAM), SIOCSIFFLAGS, &(struct ifreq){"lo", IFF_UP | IFF_RUNNING})`—Brings the
/// loopback interface of our network namespace up; the kernel gives it its addresses.
///
/// # Errors
///
/// `EPERM` without CAP_NET_ADMIN in the user namespace that owns the network namespace; `EAFNOSUPPORT` on a
/// kernel without IPv4.
///
/// # References
///  - [Linux](https://man7.org/linux/man-pages/man7/netdevice.7.html)
pub fn raise_loopback() -> Result<()> {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut request = InterfaceRequest { name: [0; 16], flags: FLAGS_UP, rest: [0; 22] };
    request.name.iter_mut().zip(*b"lo").for_each(|(to, from)| *to = from);
    let socket = socket.as_raw_fd().cast_unsigned() as usize;
    // SAFETY: SIOCSIFFLAGS reads one ifreq of 40 bytes, which `request` is, and writes nothing.
    result(unsafe { syscall3(nr::IOCTL, socket, SIOCSIFFLAGS, (&raw const request) as usize) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_size_of_the_kernels() {
        assert_eq!(size_of::<InterfaceRequest>(), 40);
    }
}
