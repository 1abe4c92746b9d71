//! Pieces of a stream between two threads: a fixed number of buffers, which go back and forth.

use std::io::Read;
use std::sync::mpsc;

const PIECE: usize = 256 << 10;
const PIECES: usize = 8;

/// The writing end.
#[derive(Debug)]
pub(super) struct Sender {
    full: mpsc::SyncSender<(Vec<u8>, usize)>,
    empty: mpsc::Receiver<Vec<u8>>,
}

/// The reading end. The end of the stream is that of the sender.
#[derive(Debug)]
pub(super) struct Receiver {
    full: mpsc::Receiver<(Vec<u8>, usize)>,
    empty: mpsc::Sender<Vec<u8>>,
    piece: Vec<u8>,
    length: usize,
    position: usize,
}

/// A pipe of 2 MB.
pub(super) fn new() -> (Sender, Receiver) {
    let (full_in, full_out) = mpsc::sync_channel(PIECES);
    let (empty_in, empty_out) = mpsc::channel();
    let receiver = Receiver { full: full_out, empty: empty_in, piece: Vec::new(), length: 0, position: 0 };
    (Sender { full: full_in, empty: empty_out }, receiver)
}

impl Sender {
    /// A buffer to fill.
    pub(super) fn piece(&self) -> Vec<u8> {
        self.empty.try_recv().unwrap_or_else(|_| vec![0; PIECE])
    }

    /// Sends the first `length` bytes of a buffer, when there is room for it. False when nobody reads any more.
    pub(super) fn send(&mut self, piece: Vec<u8>, length: usize) -> bool {
        self.full.send((piece, length)).is_ok()
    }
}

impl Read for Receiver {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.position == self.length {
            let Ok((piece, length)) = self.full.recv() else { return Ok(0) };
            let used = std::mem::replace(&mut self.piece, piece);
            if !used.is_empty() {
                // Nobody takes it back once all has been sent.
                self.empty.send(used).ok();
            }
            (self.length, self.position) = (length, 0);
        }
        let mut rest = self.piece.get(self.position..self.length).unwrap_or_default();
        let length = rest.read(buffer)?;
        self.position += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read_and_buffers_are_used_again() {
        let (mut sender, mut receiver) = new();
        let mut text = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..100_u8 {
                    let mut piece = sender.piece();
                    piece[..3].fill(number);
                    assert!(sender.send(piece, 3));
                }
            });
            receiver.read_to_end(&mut text).unwrap();
        });
        assert_eq!(text.len(), 300);
        assert!(
            text.chunks(3).enumerate().all(|(number, piece)| piece.iter().all(|b| usize::from(*b) == number))
        );
    }

    #[test]
    fn a_sender_learns_that_nobody_reads() {
        let (mut sender, receiver) = new();
        drop(receiver);
        assert!(!sender.send(vec![0], 1));
    }
}
