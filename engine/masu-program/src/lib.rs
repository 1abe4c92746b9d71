//! What crosses the exec: the program of steps that makes a process a container.
//!
//! The engine takes every decision before anything is done in the container, and writes it down as a flat list
//! of [`Step`]s. `masu-init` decodes one step at a time and carries it out: it decides nothing, allocates
//! nothing and formats nothing. What comes back is a [`Frame`]: a barrier that was reached, or the step, the
//! part of it and the errno that failed. The engine, which kept the origin of every step, owns the words.
//!
//! # Terminology
//! * **program**: the encoded steps, in two sealed memfds: init begins with the first, and waits for the other
//!   ([`Step::AwaitProgram`]).
//! * **step**: one entry of the program; its number is its place in the list.
//! * **part**: the operation within a step (a step that mounts opens, configures, attaches …).
//! * **barrier**: a place where init stops until the engine has done its half ([`Barrier`]).
//! * **fd**: a descriptor that the engine opened and hands over with the program, by its place among them ([`Fd`]).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod frame;
pub mod record;
mod step;
mod text;

pub use frame::{Barrier, DETAIL_SIZE, EXECUTES, FRAME_SIZE, Frame, Part};
pub use step::{
    Access, Attributes, CopyUp, DeviceSource, Entry, Fd, FileKind, Identity, Namespaces, Propagation, Source,
    Step, Target,
};
pub use text::{CText, Texts};

/// Reads a program one step at a time, without allocating: every text is borrowed from `bytes`.
#[derive(Debug, Clone)]
pub struct Steps<'a> {
    rest: &'a [u8],
}

impl<'a> Steps<'a> {
    /// The steps encoded in `bytes`, one after the other.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Steps<'a> {
    type Item = Result<Step<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match postcard::take_from_bytes(self.rest) {
            Ok((step, rest)) => {
                self.rest = rest;
                Some(Ok(step))
            }
            Err(_) => {
                self.rest = &[];
                Some(Err(Malformed))
            }
        }
    }
}

/// The program is not one that this version's engine wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Appends the encoding of `step` to a program that is being written, through `extend`.
///
/// # Errors
/// [`Malformed`] when a text does not fit the encoding, which no checked configuration leads to.
pub fn encode<B: Extend<u8>>(step: &Step<'_>, buffer: B) -> Result<B, Malformed> {
    postcard::serialize_with_flavor(step, postcard::ser_flavors::ExtendFlavor::new(buffer))
        .map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_back_in_order_and_borrow_their_texts() {
        let steps = [
            Step::SetHostname { name: CText::new(c"masu") },
            Step::AdjustOomScore { score: CText::new(c"-3") },
            Step::AttachCgroup { tasks: Fd(7) },
            Step::Barrier(Barrier::Ready),
            Step::Execute {
                arguments: Texts::from_encoded(b"sh\0-c\0\0").expect("texts"),
                environment: Texts::from_encoded(b"").expect("texts"),
            },
        ];
        let mut program = Vec::new();
        for step in &steps {
            program = encode(step, program).expect("encodes");
        }
        let read: Vec<_> = Steps::new(&program).map(|step| step.expect("decodes")).collect();
        assert_eq!(read, steps);
    }

    #[test]
    fn a_damaged_program_ends_with_an_error() {
        let program = encode(&Step::SetHostname { name: CText::new(c"masu") }, Vec::new()).expect("encodes");
        let cut = &program[..program.len() - 1];
        assert_eq!(Steps::new(cut).collect::<Vec<_>>(), [Err(Malformed)]);
    }
}
