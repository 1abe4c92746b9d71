//! A layer that is read while it is downloaded.
//!
//! ```text
//! Waiting ──begin──▶ Growing(file, bytes) ──end──▶ Complete(file) | Failed(error) | Told
//! ```

use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far a layer has come.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Its file, once there is one.
    file: Option<File>,
    /// How much of that is there.
    bytes: u64,
    /// How it ended.
    ended: Option<Result<()>>,
    /// Whether nobody wants it any more.
    abandoned: bool,
}

impl Arrival {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// There is a file.
    pub(crate) fn begin(&self, file: File) {
        self.change(|state| state.file = Some(file));
    }

    /// So much of it is there. False when nobody wants more.
    pub(crate) fn grow(&self, bytes: u64) -> bool {
        self.change(|state| state.bytes = bytes);
        !self.state().abandoned
    }

    /// All of it is there and right, or it never will be.
    pub(crate) fn end(&self, result: Result<()>) {
        self.change(|state| state.ended = Some(result));
    }

    /// Nobody wants it any more.
    pub(crate) fn abandon(&self) {
        self.change(|state| state.abandoned = true);
    }

    /// Waits for the end, and takes the error if there was one.
    pub(crate) fn result(&self) -> Result<()> {
        let mut state = self.state();
        loop {
            match state.ended.take() {
                Some(Ok(())) => {
                    state.ended = Some(Ok(()));
                    return Ok(());
                }
                Some(Err(error)) => {
                    let told = Error::Content { object: "layer".into(), problem: "it did not arrive".into() };
                    state.ended = Some(Err(told));
                    return Err(error);
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// The error that it ended with, if it did.
    pub(crate) fn failure(&self) -> Result<()> {
        let failed = matches!(self.state().ended, Some(Err(_)));
        if failed { self.result() } else { Ok(()) }
    }

    /// Reads it from its beginning, as far as it is there, and waits for more. The end of the file comes once its digest was
    /// found right; an error when it will never be complete.
    pub(crate) fn reader(&self) -> io::Result<impl Read> {
        let mut state = self.state();
        loop {
            if let Some(file) = &state.file {
                // `try_clone` would share the position with the next reader of this arrival; there is but one.
                return Ok(Follower { arrival: self, file: file.try_clone()?, position: 0 });
            }
            if matches!(state.ended, Some(Err(_))) {
                return Err(io::Error::other("it did not arrive"));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[derive(Debug)]
struct Follower<'a> {
    arrival: &'a Arrival,
    file: File,
    position: u64,
}

impl Read for Follower<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.arrival.state();
        let available = loop {
            match &state.ended {
                Some(Ok(())) => break u64::MAX,
                Some(Err(_)) => return Err(io::Error::other("it did not arrive")),
                None if state.bytes > self.position => break state.bytes - self.position,
                None => state = self.arrival.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        let length = buffer.len().min(usize::try_from(available).unwrap_or(usize::MAX));
        let read = self.file.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.position += u64::try_from(read).unwrap_or(0);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn a_reader_waits_for_what_is_not_there_yet() {
        let path = std::env::temp_dir().join(format!("masu-follow-{}", std::process::id()));
        let mut file = File::create(&path).unwrap();
        let arrival = Arrival::default();
        let mut text = String::new();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                arrival.reader().unwrap().read_to_string(&mut text).unwrap();
            });
            arrival.begin(File::open(&path).unwrap());
            for part in ["one ", "two ", "three"] {
                file.write_all(part.as_bytes()).unwrap();
                arrival.grow(file.stream_position().unwrap());
            }
            arrival.end(Ok(()));
            reader.join().unwrap();
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(text, "one two three");
        arrival.result().unwrap();
    }

    #[test]
    fn a_reader_of_what_never_comes_is_told() {
        let arrival = Arrival::default();
        arrival.end(Err(Error::Content { object: "blob".into(), problem: "gone".into() }));
        assert_eq!(arrival.reader().err().unwrap().to_string(), "it did not arrive");
        let error = arrival.failure().unwrap_err().to_string();
        assert_eq!(error, "blob: gone");
        assert_eq!(arrival.result().unwrap_err().to_string(), "layer: it did not arrive");
    }
}
