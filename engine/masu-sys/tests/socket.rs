//! Descriptors through a socket, between this process and itself.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use masu_sys::socket::{DESCRIPTORS_AT_ONCE, receive_descriptors, send_descriptor};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{Errno, FdFlags, IoSlice};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
    socketpair,
};
use std::cell::Cell;
use std::mem::MaybeUninit;

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn places() -> Vec<Cell<Option<OwnedFd>>> {
    (0..DESCRIPTORS_AT_ONCE).map(|_| Cell::default()).collect()
}

fn send(socket: &OwnedFd, byte: u8, descriptor: &OwnedFd, count: usize) {
    let descriptors = vec![descriptor.as_fd(); count];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_AT_ONCE))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(count == 0 || control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    sendmsg(socket, &[IoSlice::new(&[byte])], &mut control, SendFlags::NOSIGNAL).unwrap();
}

fn inode(descriptor: &OwnedFd) -> u64 {
    rustix::fs::fstat(descriptor).unwrap().st_ino
}

#[test]
fn descriptors_come_in_their_order_and_close_at_an_exec() {
    let (ours, theirs) = pair();
    for count in [0, 1, 2, DESCRIPTORS_AT_ONCE] {
        let places = places();
        send(&ours, u8::try_from(count).unwrap(), &theirs, count);
        assert_eq!(receive_descriptors(theirs.as_fd(), &places), Ok(Some(u8::try_from(count).unwrap())));
        let received: Vec<OwnedFd> = places.iter().map_while(Cell::take).collect();
        assert_eq!(received.len(), count);
        for descriptor in &received {
            assert_eq!(inode(descriptor), inode(&theirs));
            assert_eq!(rustix::io::fcntl_getfd(descriptor), Ok(FdFlags::CLOEXEC));
        }
    }
    drop(ours);
    assert_eq!(receive_descriptors(theirs.as_fd(), &places()), Ok(None));
}

#[test]
fn a_descriptor_without_a_place_is_closed() {
    let (ours, theirs) = pair();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    send(&ours, 7, &writer, 2);
    let places = [Cell::default()];
    assert_eq!(receive_descriptors(theirs.as_fd(), &places), Ok(Some(7)));
    drop((writer, places));
    assert_eq!(rustix::io::read(&reader, &mut [0; 1]), Ok(0), "nobody holds the other end");
}

#[test]
fn one_descriptor_goes_with_a_message() {
    let (ours, theirs) = pair();
    send_descriptor(ours.as_fd(), b"x", theirs.as_fd()).unwrap();
    let places = places();
    assert_eq!(receive_descriptors(theirs.as_fd(), &places), Ok(Some(b'x')));
    assert_eq!(
        places.iter().map_while(Cell::take).map(|fd| inode(&fd)).collect::<Vec<_>>(),
        [inode(&theirs)]
    );
    let (gone, ours) = (theirs, ours);
    drop((gone, places));
    assert_eq!(send_descriptor(ours.as_fd(), b"x", ours.as_fd()), Err(Errno::PIPE));
}
