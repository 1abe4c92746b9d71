//! `linux.netDevices`: network devices of the host that move into the container's network namespace.
//!
//! The engine does it while init waits at `Assembled`: it may speak for both namespaces, and the container's is complete.
//! A namespace that ends destroys virtual devices and gives physical ones back to the first namespace, without a name or an
//! address of theirs; so if one of several cannot be moved, or the container is not going to be, all are taken back before.

use alloc::{ffi::CString, format, string::String, vec::Vec};
use core::cell::RefCell;

use masu_spec::{Config, NetDevice};
use masu_sys::process::{CloneFlags, setns};
use rustix::{
    fd::{AsFd, AsRawFd, OwnedFd},
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    error::{Doing, Error, Result},
    netlink::{Body, Netlink, RTM_GETADDR, RTM_GETLINK, RTM_NEWADDR, RTM_NEWLINK, attributes},
};

/// Attributes of a device, `<linux/if_link.h>`.
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
/// Linux 5.13.
const IFLA_NEW_IFINDEX: u16 = 49;
const IFF_UP: u32 = 1;

/// Attributes of an address, `<linux/if_addr.h>`.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// Length of `struct ifaddrmsg`.
const ADDRESS: usize = 8;

/// A network namespace, and a socket in it.
struct Place {
    namespace: OwnedFd,
    netlink: Netlink,
}

impl Place {
    /// Whether there is a device of this index, or nobody can tell.
    fn has(&self, index: i32) -> bool {
        self.netlink.request(RTM_GETLINK, &Body::of_link(index, 0, 0)) != Err(Errno::NODEV)
    }
}

/// A device as it was found.
struct Device<'a> {
    asked: &'a NetDevice<'a>,
    index: i32,
    up: bool,
    addresses: Vec<Address>,
}

/// An address that stays with its device.
struct Address {
    family: u8,
    prefix_length: u8,
    flags: u32,
    /// What is given again as it is: the address, its peer and its broadcast address.
    attributes: Vec<(u16, Vec<u8>)>,
}

/// The devices of a container in the making. Dropped before [`keep`](Self::keep), those that have moved go back to where they
/// were, with their addresses and their state.
pub(crate) struct NetDevices<'a> {
    asked: &'a [NetDevice<'a>],
    moved: RefCell<Option<Moved<'a>>>,
}

impl<'a> NetDevices<'a> {
    /// Those that the configuration asks for.
    pub(crate) fn of(config: &'a Config<'a>) -> Self {
        Self { asked: &config.linux.net_devices, moved: RefCell::new(None) }
    }

    /// Moves them into the network namespace of the process `pid`: all of them, or none.
    pub(crate) fn enter(&self, proc: &OwnedFd, pid: i32) -> Result<()> {
        if self.asked.is_empty() {
            return Ok(());
        }
        let (outside, inside) = open_places(proc, pid)?;
        let found = self.asked.iter().map(|device| find(device, &outside, &inside));
        // Whatever can be known to be wrong is known before anything moves.
        let found = found.collect::<Result<Vec<_>>>()?;
        let mut moved = Moved { outside, inside, devices: Vec::new() };
        for device in found {
            moved.enter(device)?;
        }
        self.moved.replace(Some(moved));
        Ok(())
    }

    /// They are the container's.
    pub(crate) fn keep(&self) {
        if let Some(mut moved) = self.moved.take() {
            moved.devices.clear();
        }
    }
}

/// Devices that have moved, which go back when this is dropped. It holds the container's namespace: with that the kernel
/// would destroy them.
struct Moved<'a> {
    outside: Place,
    inside: Place,
    /// In their order, each with its index inside.
    devices: Vec<(Device<'a>, i32)>,
}

impl<'a> Moved<'a> {
    /// Moves one device, gives it its addresses and brings it up.
    fn enter(&mut self, device: Device<'a>) -> Result<()> {
        let Self { outside, inside, devices } = self;
        let (asked, old) = (device.asked, device.index);
        let doing = |action: &str| format!("linux.netDevices[{:?}]: {action}", &*asked.host_name);
        let index = free_index(old, inside).doing(|| doing("look for a free index in the container"))?;
        let carried = carry(old, outside, index, asked.inside(), inside).map_err(|errno| Error::System {
            action: doing("move it to the container"),
            errno,
            hint: (errno == Errno::INVAL)
                .then(|| "a device of this kind stays in the network namespace that it was made in".into()),
        });
        // When the answer is lost it has moved all the same.
        if carried.is_err() && outside.has(old) {
            return carried;
        }
        let (device, _) = &*devices.push_mut((device, index));
        carried?;
        give_addresses(device, index, inside).doing(|| doing("give its addresses in the container"))?;
        bring_up(index, inside).doing(|| doing("bring it up in the container"))
    }
}

impl Drop for Moved<'_> {
    fn drop(&mut self) {
        for (device, index) in self.devices.iter().rev() {
            // ignored: the error that led here is the one to report.
            let _ = take_back(device, *index, &self.inside, &self.outside);
        }
    }
}

/// The engine's network namespace and the container's.
fn open_places(proc: &OwnedFd, pid: i32) -> Result<(Place, Place)> {
    let field = "linux.netDevices";
    let open = |path: String| {
        rustix::fs::openat(proc, &*path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .doing(|| format!("{field}: open /proc/{path}"))
    };
    let (own, theirs) = (open("self/ns/net".into())?, open(format!("{pid}/ns/net"))?);
    let identity = |namespace: &OwnedFd| {
        let status = rustix::fs::fstat(namespace).doing(|| format!("{field}: stat a network namespace"));
        status.map(|status| (status.st_dev, status.st_ino))
    };
    if identity(&own)? == identity(&theirs)? {
        return Err(Error::Unsupported {
            field: field.into(),
            reason: "the container's network namespace is the one that the devices are in".into(),
            hint: None,
        });
    }
    let enter = |namespace: &OwnedFd| {
        setns(namespace.as_fd(), CloneFlags::NEWNET).doing(|| format!("{field}: join a network namespace"))
    };
    let socket = || Netlink::open().doing(|| format!("{field}: open a socket of rtnetlink"));
    let outside = socket()?;
    enter(&theirs)?;
    let inside = socket();
    // A socket stays where it was opened; we do not.
    enter(&own)?;
    Ok((Place { namespace: own, netlink: outside }, Place { namespace: theirs, netlink: inside? }))
}

/// Finds a device, and sees to it that its name inside is free.
fn find<'a>(asked: &'a NetDevice<'a>, outside: &Place, inside: &Place) -> Result<Device<'a>> {
    let doing = |action: &str| format!("linux.netDevices[{:?}]: {action}", &*asked.host_name);
    let link = outside.netlink.request(RTM_GETLINK, &named(&asked.host_name));
    let link = link.map_err(|errno| Error::System {
        action: doing("find the network device"),
        errno,
        hint: (errno == Errno::NODEV).then(|| "ip link shows those of the engine's network namespace".into()),
    })?;
    let link = link.first().and_then(|link| link.get(4..12)?.split_first_chunk::<4>());
    let (index, flags) = link.ok_or(Errno::BADMSG).doing(|| doing("find the network device"))?;
    let flags = flags.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    let index = i32::from_ne_bytes(*index);
    let free = match inside.netlink.request(RTM_GETLINK, &named(asked.inside())) {
        // A template: the kernel looks for a number.
        _ if asked.inside().contains('%') => Ok(()),
        Err(Errno::NODEV) => Ok(()),
        Err(errno) => Err(errno),
        Ok(_) => {
            let reason =
                format!("the container's network namespace has a device {:?} already", asked.inside());
            let hint =
                Some("another name can be given: \"name\": \"eth%d\" takes the first that is free".into());
            return Err(Error::Unsupported { field: doing("").trim_end_matches(": ").into(), reason, hint });
        }
    };
    free.doing(|| doing("look for its name in the container"))?;
    let addresses = outside.netlink.list(RTM_GETADDR, &Body::of_address(0, 0, 0, 0));
    let addresses = addresses.doing(|| doing("read its addresses"))?;
    let addresses = addresses.iter().filter_map(|message| read_address(message, index)).collect();
    Ok(Device { asked, index, up: flags & IFF_UP != 0, addresses })
}

/// An address of the device that is to stay with it: permanent and of global scope, as the specification has it.
fn read_address(message: &[u8], device: i32) -> Option<Address> {
    let (&[family, prefix_length, flags, scope, a, b, c, d], rest) =
        message.split_first_chunk::<ADDRESS>()?;
    let mut flags = u32::from(flags);
    let mut kept = Vec::new();
    for (kind, value) in attributes(rest) {
        match kind {
            IFA_FLAGS => flags = u32::from_ne_bytes(*value.first_chunk()?),
            IFA_ADDRESS | IFA_LOCAL | IFA_BROADCAST => kept.push((kind, value.to_vec())),
            _ => {}
        }
    }
    let stays = i32::from_ne_bytes([a, b, c, d]) == device && scope == 0 && flags & IFA_F_PERMANENT != 0;
    let flags = flags & (IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    stays.then_some(Address { family, prefix_length, flags, attributes: kept })
}

/// The way back, for a device of a container that is not going to be.
fn take_back(device: &Device<'_>, index: i32, inside: &Place, outside: &Place) -> rustix::io::Result<()> {
    let free = free_index(device.index, outside)?;
    carry(index, inside, free, &device.asked.host_name, outside)?;
    give_addresses(device, free, outside)?;
    if device.up { bring_up(free, outside) } else { Ok(()) }
}

/// The first index from this one on that nobody has. A device gets one that was chosen, since a name that the kernel chooses
/// tells nothing.
fn free_index(from: i32, place: &Place) -> rustix::io::Result<i32> {
    let mut free = from;
    loop {
        match place.netlink.request(RTM_GETLINK, &Body::of_link(free, 0, 0)) {
            Err(Errno::NODEV) => return Ok(free),
            outcome => outcome?,
        };
        free = free.checked_add(1).ok_or(Errno::NOSPC)?;
    }
}

/// Moves a device, with another index and name. The kernel takes it down and its addresses away.
fn carry(index: i32, from: &Place, free: i32, name: &str, to: &Place) -> rustix::io::Result<()> {
    let namespace = to.namespace.as_raw_fd().to_ne_bytes();
    let body = named_as(Body::of_link(index, 0, 0), name)
        .with(IFLA_NET_NS_FD, &namespace)
        .with(IFLA_NEW_IFINDEX, &free.to_ne_bytes());
    from.netlink.request(RTM_NEWLINK, &body).map(drop)
}

fn give_addresses(device: &Device<'_>, index: i32, place: &Place) -> rustix::io::Result<()> {
    for address in &device.addresses {
        let body = Body::of_address(address.family, address.prefix_length, 0, index);
        let body = body.with(IFA_FLAGS, &address.flags.to_ne_bytes());
        let body = address.attributes.iter().fold(body, |body, (kind, value)| body.with(*kind, value));
        place.netlink.request(RTM_NEWADDR, &body)?;
    }
    Ok(())
}

fn bring_up(index: i32, place: &Place) -> rustix::io::Result<()> {
    place.netlink.request(RTM_NEWLINK, &Body::of_link(index, IFF_UP, IFF_UP)).map(drop)
}

fn named(name: &str) -> Body {
    named_as(Body::of_link(0, 0, 0), name)
}

fn named_as(body: Body, name: &str) -> Body {
    // No name that was checked has a NUL.
    body.with(IFLA_IFNAME, CString::new(name).unwrap_or_default().as_bytes_with_nul())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message of RTM_GETADDR: an IPv4 address of the device.
    fn message(device: i32, scope: u8, short_flags: u8, flags: Option<u32>) -> Vec<u8> {
        let mut message = [2, 24, short_flags, scope].to_vec();
        message.extend(device.to_ne_bytes());
        let mut attribute = |kind: u16, value: [u8; 4]| {
            message.extend(8_u16.to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend(value);
        };
        attribute(IFA_ADDRESS, [10, 0, 0, 1]);
        attribute(3, *b"eth\0");
        if let Some(flags) = flags {
            attribute(IFA_FLAGS, flags.to_ne_bytes());
        }
        message
    }

    #[test]
    fn permanent_addresses_of_global_scope_stay_with_their_device() {
        for (device, scope, short_flags, flags, stays) in [
            (7, 0, 0x80, None, true),
            (7, 0, 0x80, Some(0x280), true),
            (8, 0, 0x80, None, false),
            (7, 253, 0x80, None, false),
            (7, 0, 0, None, false),
            // The long flags count where there are both.
            (7, 0, 0x80, Some(0), false),
            (7, 0, 0, Some(0x80), true),
        ] {
            let read = read_address(&message(device, scope, short_flags, flags), 7);
            assert_eq!(read.is_some(), stays, "{device} {scope} {short_flags:x} {flags:x?}");
        }
        let address = read_address(&message(7, 0, 0, Some(0x282)), 7).unwrap();
        assert_eq!((address.family, address.prefix_length, address.flags), (2, 24, 0x202));
        assert_eq!(address.attributes, [(IFA_ADDRESS, vec![10, 0, 0, 1])]);
    }

    #[test]
    fn what_is_too_short_is_no_address() {
        assert!(read_address(&[2, 24, 0x80], 0).is_none());
        let mut cut = message(7, 0, 0x80, Some(0x80));
        cut.truncate(cut.len() - 2);
        assert_eq!(read_address(&cut, 7).map(|address| address.attributes.len()), Some(1));
    }
}
