//! The output of a box in the background, in a file: which stream, when, and what.
//!
//! ```text
//! 2026-11-23T21:38:13.123456789Z stdout F a whole line
//! 2026-11-23T21:38:13.123456789Z stderr P what came of a line so far
//! ```
//!
//! The form is that of the kubelet's logs, which podman (`k8s-file`) and its readers have too. When the file has grown to
//! its limit it becomes `output.log.1`, in place of what had that name: a box that says much keeps its last words.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where the output goes in the box.
pub(super) const CURRENT: &str = "output.log";
/// What was there before.
pub(super) const FORMER: &str = "output.log.1";

/// Where a program has said something. The output of a terminal is all `Out`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "stdout",
            Self::Err => "stderr",
        }
    }
}

/// The file.
pub(super) struct Writer {
    directory: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Writer {
    /// Makes it in the box.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    pub(super) fn create(directory: &Path, limit: u64) -> io::Result<Self> {
        Ok(Self { directory: directory.to_owned(), file: create(directory)?, size: 0, limit })
    }

    /// Writes what was read from a stream at one time.
    ///
    /// # Errors
    ///
    /// Those of write(2) and rename(2).
    pub(super) fn write(&mut self, stream: Stream, time: &str, bytes: &[u8]) -> io::Result<()> {
        let mut text = Vec::with_capacity(bytes.len() + 64);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, tag) = match piece.strip_suffix(b"\n") {
                Some(line) => (line, 'F'),
                None => (piece, 'P'),
            };
            let before = text.len();
            write!(text, "{time} {} {tag} ", stream.name())?;
            text.extend_from_slice(line);
            text.push(b'\n');
            if self.size + text.len() as u64 > self.limit && self.size + before as u64 > 0 {
                let last = text.split_off(before);
                self.append(&text)?;
                self.begin_anew()?;
                text = last;
            }
        }
        self.append(&text)
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.file.write_all(text)?;
        self.size += text.len() as u64;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        std::fs::rename(self.directory.join(CURRENT), self.directory.join(FORMER))?;
        (self.file, self.size) = (create(&self.directory)?, 0);
        Ok(())
    }
}

fn create(directory: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create_new(true).mode(0o600).open(directory.join(CURRENT))
}

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) time: &'a str,
    pub(super) stream: Stream,
    /// Whether the program's line ends here.
    pub(super) whole: bool,
    pub(super) text: &'a [u8],
}

/// Reads a line, without its end. `None` for what is none, as after a full disk.
pub(super) fn parse_record(line: &[u8]) -> Option<Record<'_>> {
    let mut fields = line.splitn(4, |byte| *byte == b' ');
    let mut word = || fields.next().and_then(|field| std::str::from_utf8(field).ok());
    let time = word()?;
    let stream = match word()? {
        "stdout" => Stream::Out,
        "stderr" => Stream::Err,
        _ => return None,
    };
    let whole = match word()? {
        "F" => true,
        "P" => false,
        _ => return None,
    };
    Some(Record { time, stream, whole, text: fields.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let directory = std::env::temp_dir().join(format!("masu-log-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let mut writer = Writer::create(&directory, 90).unwrap();
        let time = "2026-11-23T21:38:13.123456789Z";
        writer.write(Stream::Out, time, b"a b\n\xff").unwrap();
        writer.write(Stream::Err, time, b"\n").unwrap();
        let former = std::fs::read(directory.join(FORMER)).unwrap();
        let current = std::fs::read(directory.join(CURRENT)).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let record = |stream, whole, text| Some(Record { time, stream, whole, text });
        let read =
            |file: &'static [u8]| file.split(|byte| *byte == b'\n').map(parse_record).collect::<Vec<_>>();
        let expected = [record(Stream::Out, true, b"a b"), record(Stream::Out, false, b"\xff"), None];
        assert_eq!(read(former.leak()), expected);
        assert_eq!(read(current.leak()), [record(Stream::Err, true, b""), None]);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for line in ["", "time", "time stdin F x", "time stdout X x", "time stdout F"] {
            assert_eq!(parse_record(line.as_bytes()), None, "{line}");
        }
    }
}
