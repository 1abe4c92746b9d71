//! A small client of rtnetlink(7): one request at a time, and its answer.

use alloc::{vec, vec::Vec};
use core::cell::Cell;

use rustix::{
    fd::OwnedFd,
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
};

/// Kinds of requests, `<linux/rtnetlink.h>`.
pub(crate) const RTM_NEWLINK: u16 = 16;
pub(crate) const RTM_GETLINK: u16 = 18;
pub(crate) const RTM_NEWADDR: u16 = 20;
pub(crate) const RTM_GETADDR: u16 = 22;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;

/// Length of a message's header, `struct nlmsghdr`.
const HEADER: usize = 16;
/// Larger than any answer in one piece: the kernel makes none above 32 KiB.
const BUFFER: usize = 32 << 10;
/// How often a list is asked for again that changed while the kernel wrote it.
const TRIES: u32 = 16;

/// A socket of rtnetlink, in the network namespace in which it was opened.
#[derive(Debug)]
pub(crate) struct Netlink {
    socket: OwnedFd,
    /// The number of the last request.
    sequence: Cell<u32>,
}

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// What the request names, and an acknowledgement.
    One,
    /// All there is.
    List,
}

impl Netlink {
    /// Opens one in the engine's present network namespace.
    pub(crate) fn open() -> rustix::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        // Protocol 0 is NETLINK_ROUTE.
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)
            .map(|socket| Self { socket, sequence: Cell::new(0) })
    }

    /// Carries a request out; gives what comes back before the acknowledgement.
    ///
    /// # Errors
    /// The kernel's errno for the request.
    pub(crate) fn request(&self, kind: u16, body: &Body) -> rustix::io::Result<Vec<Vec<u8>>> {
        self.ask(kind, Answer::One, body).map(|(messages, _)| messages)
    }

    /// A list, complete.
    pub(crate) fn list(&self, kind: u16, body: &Body) -> rustix::io::Result<Vec<Vec<u8>>> {
        for _ in 0..TRIES {
            if let (messages, true) = self.ask(kind, Answer::List, body)? {
                return Ok(messages);
            }
        }
        Err(Errno::INTR)
    }

    /// The messages of an answer, and whether nothing changed while they were written.
    fn ask(&self, kind: u16, answer: Answer, body: &Body) -> rustix::io::Result<(Vec<Vec<u8>>, bool)> {
        let more = if answer == Answer::One { NLM_F_ACK } else { NLM_F_DUMP };
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let request = encode(kind, NLM_F_REQUEST | more, sequence, &body.0)?;
        retry(|| rustix::net::send(&self.socket, &request, SendFlags::empty()))?;
        let (mut messages, mut whole) = (Vec::new(), true);
        let mut buffer = vec![0; BUFFER];
        loop {
            let (_, length) = retry(|| rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::TRUNC))?;
            // More than fits would be cut off, and then be read as another answer.
            let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            while let Some((header, payload, next)) = split(rest) {
                rest = next;
                if header.sequence != sequence {
                    // The answer to a request before, which could not be received.
                    continue;
                }
                whole &= header.flags & NLM_F_DUMP_INTR == 0;
                match header.kind {
                    NLMSG_DONE => return Ok((messages, whole)),
                    NLMSG_ERROR => return outcome(payload).map(|()| (messages, whole)),
                    _ => messages.push(payload.to_vec()),
                }
            }
        }
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            outcome => return outcome,
        }
    }
}

/// What an acknowledgement says: 0, or the negative errno.
fn outcome(payload: &[u8]) -> rustix::io::Result<()> {
    match payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(0) => Ok(()),
        Some(error) => Err(Errno::from_raw_os_error(error.wrapping_neg())),
        None => Err(Errno::BADMSG),
    }
}

/// The body of a request: a structure of the kernel, and attributes behind it.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    /// `struct ifinfomsg`: a device by its index, 0 for one that an attribute names, and flags to change.
    pub(crate) fn of_link(index: i32, flags: u32, change: u32) -> Self {
        let mut body = vec![0; 4];
        body.extend_from_slice(&index.to_ne_bytes());
        body.extend_from_slice(&flags.to_ne_bytes());
        body.extend_from_slice(&change.to_ne_bytes());
        Self(body)
    }

    /// `struct ifaddrmsg`: an address of the device `index`, or with zeros all of all.
    pub(crate) fn of_address(family: u8, prefix_length: u8, scope: u8, index: i32) -> Self {
        let mut body = vec![family, prefix_length, 0, scope];
        body.extend_from_slice(&index.to_ne_bytes());
        Self(body)
    }

    /// Adds an attribute, `struct rtattr`.
    pub(crate) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }
}

fn encode(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> rustix::io::Result<Vec<u8>> {
    let length = u32::try_from(HEADER + body.len()).map_err(|_| Errno::MSGSIZE)?;
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    // The port: the kernel knows whose socket it is.
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(body);
    Ok(message)
}

#[derive(Debug, PartialEq, Eq)]
struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

/// The first message of several, its payload, and those behind it.
fn split(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let &[a, b, c, d, kind_0, kind_1, flags_0, flags_1, s_0, s_1, s_2, s_3] = bytes.first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes([a, b, c, d])).ok()?;
    let payload = bytes.get(HEADER..length)?;
    let rest = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    let (kind, flags) = (u16::from_ne_bytes([kind_0, kind_1]), u16::from_ne_bytes([flags_0, flags_1]));
    let sequence = u32::from_ne_bytes([s_0, s_1, s_2, s_3]);
    Some((Header { kind, flags, sequence }, payload, rest))
}

/// The attributes in `bytes`: kind and value.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let &[length_0, length_1, kind_0, kind_1] = bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([length_0, length_1]));
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([kind_0, kind_1]), value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_back() {
        let body = Body::of_link(7, 1, 1).with(3, b"eth0\0").with(28, &5_u32.to_ne_bytes());
        assert_eq!(body.0.len(), 16 + 12 + 8);
        let read: Vec<_> = attributes(&body.0[16..]).collect();
        assert_eq!(read, [(3, &b"eth0\0"[..]), (28, &5_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn messages_are_taken_apart_one_by_one() {
        let mut bytes = encode(RTM_NEWLINK, NLM_F_REQUEST, 7, &[1, 2, 3, 4]).unwrap();
        bytes.extend(encode(NLMSG_DONE, 0, 7, &[0; 4]).unwrap());
        let (header, payload, rest) = split(&bytes).unwrap();
        assert_eq!(
            (header, payload),
            (Header { kind: RTM_NEWLINK, flags: NLM_F_REQUEST, sequence: 7 }, &[1, 2, 3, 4][..])
        );
        let (header, _, rest) = split(rest).unwrap();
        assert_eq!((header.kind, rest), (NLMSG_DONE, &[][..]));
    }

    #[test]
    fn what_is_cut_off_or_says_a_wrong_length_is_no_message() {
        assert!(split(&[]).is_none());
        assert!(split(&[16, 0, 0, 0, 1, 0]).is_none());
        assert!(split(&[40, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        assert!(split(&[3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
        for bytes in [&[8, 0, 1, 0, 9][..], &[2, 0, 1, 0, 9, 9], &[4]] {
            assert_eq!(attributes(bytes).next(), None, "{bytes:?}");
        }
    }

    #[test]
    fn an_acknowledgement_is_zero_or_an_errno() {
        assert_eq!(outcome(&0_i32.to_ne_bytes()), Ok(()));
        assert_eq!(outcome(&(-17_i32).to_ne_bytes()), Err(Errno::EXIST));
        assert_eq!(outcome(&[0]), Err(Errno::BADMSG));
    }

    #[test]
    fn the_kernel_answers_about_loopback() {
        let netlink = Netlink::open().unwrap();
        let named = Body::of_link(0, 0, 0).with(3, b"lo\0");
        let answer = netlink.request(RTM_GETLINK, &named).unwrap();
        let index: [u8; 4] = answer[0][4..8].try_into().unwrap();
        assert_eq!(i32::from_ne_bytes(index), 1);
        let missing = Body::of_link(0, 0, 0).with(3, b"masu-none\0");
        assert_eq!(netlink.request(RTM_GETLINK, &missing), Err(Errno::NODEV));
        assert!(netlink.list(RTM_GETADDR, &Body::of_address(0, 0, 0, 0)).is_ok());
    }

    #[test]
    fn an_answer_that_nobody_took_is_not_that_of_the_next_request() {
        let netlink = Netlink::open().unwrap();
        let missing = Body::of_link(0, 0, 0).with(3, b"masu-none\0");
        let request = encode(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, 0, &missing.0).unwrap();
        rustix::net::send(&netlink.socket, &request, SendFlags::empty()).unwrap();
        let named = Body::of_link(0, 0, 0).with(3, b"lo\0");
        assert_eq!(netlink.request(RTM_GETLINK, &named).map(|messages| messages.len()), Ok(1));
    }
}
