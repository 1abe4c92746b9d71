//! Writes archives that every reader takes alike: ustar headers, and pax records for what does not fit into them.

use super::header::BLOCK;
use super::{Entry, Kind, Time};
use std::io::{self, Error, ErrorKind, Write};

/// The largest number of an octal field of seven and of eleven digits.
const MAX_SEVEN: u64 = 0o7_777_777;
const MAX_ELEVEN: u64 = 0o77_777_777_777;

/// An archive that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    sink: W,
    /// Of the current member's content, in bytes.
    missing: u64,
    padding: usize,
}

impl<W: Write> Writer<W> {
    /// Writes to `sink`, in pieces as they come.
    pub fn new(sink: W) -> Self {
        Self { sink, missing: 0, padding: 0 }
    }

    /// Begins a member. A file's content has to follow, all of it.
    ///
    /// # Errors
    ///
    /// Those of the sink; `InvalidInput` for sparse files, for an attribute's name with `=` in it, and when content of
    /// the member before is missing.
    pub fn member(&mut self, entry: &Entry) -> io::Result<()> {
        self.end_member()?;
        let records = records(entry)?;
        if !records.is_empty() {
            let size = records.len() as u64;
            let mut header = header(b'x', b"PaxHeaders", size);
            header.time(entry.modified);
            self.sink.write_all(&header.finish())?;
            self.expect(size);
            self.content(&records)?;
            self.end_member()?;
        }
        let size = match &entry.kind {
            Kind::File { extents: Some(_), .. } => {
                return Err(Error::new(ErrorKind::InvalidInput, "sparse files are not written"));
            }
            Kind::File { size, .. } => *size,
            _ => 0,
        };
        self.sink.write_all(&member_header(entry, size))?;
        self.expect(size);
        Ok(())
    }

    /// Writes the next part of the current member's content.
    ///
    /// # Errors
    ///
    /// Those of the sink; `InvalidInput` when it is more than was said.
    pub fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.missing.checked_sub(bytes.len() as u64);
        self.missing =
            left.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "longer than it was before"))?;
        self.sink.write_all(bytes)
    }

    /// Ends the archive, and gives the sink back.
    ///
    /// # Errors
    ///
    /// As [`Writer::member`].
    pub fn finish(mut self) -> io::Result<W> {
        self.end_member()?;
        self.sink.write_all(&[0; 2 * BLOCK])?;
        Ok(self.sink)
    }

    fn expect(&mut self, size: u64) {
        self.missing = size;
        let block = BLOCK as u64;
        self.padding = usize::try_from(size.next_multiple_of(block) - size).unwrap_or_default();
    }

    fn end_member(&mut self) -> io::Result<()> {
        if self.missing != 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "shorter than it was before"));
        }
        let padding = std::mem::take(&mut self.padding);
        self.sink.write_all([0; BLOCK].get(..padding).unwrap_or_default())
    }
}

struct Block([u8; BLOCK]);

impl Block {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (slot, byte) in self.0.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    }

    /// An octal number of `digits` digits; one that does not fit has a record.
    fn octal(&mut self, at: usize, digits: usize, value: u64) {
        self.put(at, format!("{value:0digits$o}\0").as_bytes());
    }

    fn time(&mut self, time: Time) {
        let seconds = u64::try_from(time.seconds).unwrap_or(0);
        self.octal(136, 11, seconds.min(MAX_ELEVEN));
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.put(148, b"        ");
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

fn header(kind: u8, path: &[u8], size: u64) -> Block {
    let mut block = Block([0; BLOCK]);
    block.put(0, path.get(..100).unwrap_or(path));
    block.octal(100, 7, 0o644);
    block.octal(108, 7, 0);
    block.octal(116, 7, 0);
    block.octal(124, 11, if size > MAX_ELEVEN { 0 } else { size });
    block.put(156, &[kind]);
    block.put(257, b"ustar\x0000");
    block
}

fn member_header(entry: &Entry, size: u64) -> [u8; BLOCK] {
    let (kind, target) = match &entry.kind {
        Kind::File { .. } => (b'0', &b""[..]),
        Kind::Link(target) => (b'1', target.as_slice()),
        Kind::Symlink(target) => (b'2', target.as_slice()),
        Kind::Device { block: false, .. } => (b'3', &b""[..]),
        Kind::Device { block: true, .. } => (b'4', &b""[..]),
        Kind::Directory => (b'5', &b""[..]),
        Kind::Fifo => (b'6', &b""[..]),
    };
    let mut block = header(kind, &entry.path, size);
    block.octal(100, 7, entry.mode.into());
    block.octal(108, 7, u64::from(entry.uid).min(MAX_SEVEN));
    block.octal(116, 7, u64::from(entry.gid).min(MAX_SEVEN));
    block.time(entry.modified);
    block.put(157, target.get(..100).unwrap_or(target));
    if let Kind::Device { major, minor, .. } = entry.kind {
        // The kernel's numbers have twelve and twenty bits.
        block.octal(329, 7, u64::from(major).min(MAX_SEVEN));
        block.octal(337, 7, u64::from(minor).min(MAX_SEVEN));
    }
    block.finish()
}

/// What the header has no room for.
fn records(entry: &Entry) -> io::Result<Vec<u8>> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| {
        let rest = key.len() + value.len() + 3;
        let mut length = rest;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        records.extend_from_slice(format!("{length} ").as_bytes());
        records.extend([key, b"=", value, b"\n"].concat());
    };
    if entry.path.len() > 100 {
        add(b"path", &entry.path);
    }
    match &entry.kind {
        Kind::Link(target) | Kind::Symlink(target) if target.len() > 100 => add(b"linkpath", target),
        Kind::File { size, .. } if *size > MAX_ELEVEN => add(b"size", size.to_string().as_bytes()),
        _ => {}
    }
    for (key, id) in [(&b"uid"[..], entry.uid), (b"gid", entry.gid)] {
        if u64::from(id) > MAX_SEVEN {
            add(key, id.to_string().as_bytes());
        }
    }
    let Time { seconds, nanoseconds } = entry.modified;
    if nanoseconds != 0 || u64::try_from(seconds).is_ok_and(|seconds| seconds > MAX_ELEVEN) || seconds < 0 {
        add(b"mtime", decimal(entry.modified).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        if name.contains(&b'=') {
            return Err(Error::new(ErrorKind::InvalidInput, "an extended attribute's name has '=' in it"));
        }
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    Ok(records)
}

/// As a pax record has it: the fraction of a time before 1970 counts away from it.
fn decimal(time: Time) -> String {
    let Time { seconds, nanoseconds } = time;
    match (seconds < 0, nanoseconds) {
        (_, 0) => seconds.to_string(),
        (false, _) => format!("{seconds}.{nanoseconds:09}"),
        (true, _) => {
            let whole = (seconds + 1).unsigned_abs();
            format!("-{whole}.{:09}", 1_000_000_000 - nanoseconds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::Reader;

    #[test]
    fn what_is_written_is_read_again() {
        let plain = Entry {
            path: b"file".to_vec(),
            kind: Kind::File { size: 3, extents: None },
            mode: 0o4755,
            uid: 1000,
            gid: 0,
            modified: Time { seconds: 1_700_000_000, nanoseconds: 0 },
            accessed: None,
            xattrs: Vec::new(),
        };
        let with = |kind| Entry { kind, ..plain.clone() };
        let entries = [
            plain.clone(),
            Entry { path: b"d/".repeat(200), ..with(Kind::Directory) },
            Entry { uid: 3_000_000, gid: u32::MAX - 1, ..with(Kind::Symlink(b"t".repeat(101))) },
            Entry { modified: Time { seconds: -2, nanoseconds: 750_000_000 }, ..with(Kind::Fifo) },
            Entry { modified: Time { seconds: -1, nanoseconds: 1 }, ..with(Kind::Link(b"file".to_vec())) },
            Entry {
                xattrs: vec![(b"user.a".to_vec(), b"\0=\n".to_vec()), (b"user.b".to_vec(), vec![1; 5000])],
                ..with(Kind::Device { block: true, major: 4095, minor: 1_048_575 })
            },
        ];
        let mut writer = Writer::new(Vec::new());
        for entry in &entries {
            writer.member(entry).unwrap();
            if matches!(entry.kind, Kind::File { .. }) {
                writer.content(b"a").unwrap();
                writer.content(b"bc").unwrap();
            }
        }
        let archive = writer.finish().unwrap();
        let mut reader = Reader::new(archive.as_slice());
        for entry in entries {
            assert_eq!(reader.next_entry().unwrap(), Some(entry));
        }
        assert_eq!(reader.next_entry().unwrap(), None);
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_ends_the_archive() {
        let entry = |size| Entry {
            path: b"file".to_vec(),
            kind: Kind::File { size, extents: None },
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: Time::default(),
            accessed: None,
            xattrs: Vec::new(),
        };
        let mut writer = Writer::new(Vec::new());
        writer.member(&entry(2)).unwrap();
        assert_eq!(writer.content(b"abc").unwrap_err().to_string(), "longer than it was before");
        writer.content(b"a").unwrap();
        assert_eq!(writer.finish().unwrap_err().to_string(), "shorter than it was before");
    }
}
