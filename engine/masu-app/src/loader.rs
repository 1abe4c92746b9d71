//! The dynamic loader that a program names. Where it is missing execve(2) says ENOENT, as if the program were not there.

use alloc::{
    string::{String, ToString},
    vec,
};

use rustix::{
    fd::AsFd,
    fs::{Access, AtFlags, CWD, Mode, OFlags},
};

/// The header of an ELF file of 64 bits, elf(5).
const HEADER: usize = 64;
/// One of its program headers.
const ENTRY: usize = 56;
/// The type of the one that names the loader.
const PT_INTERP: [u8; 4] = 3u32.to_le_bytes();
/// More of them, or a longer name, than any program has.
const MAX_ENTRIES: u16 = 64;
const MAX_NAME: u64 = 4096;

/// The loader of the program at `path`, if the program is there and its loader is not.
pub(crate) fn missing(path: &str) -> Option<String> {
    let loader = read(path)?;
    let is_there = rustix::fs::accessat(CWD, loader.as_str(), Access::EXISTS, AtFlags::empty()).is_ok();
    (!is_there).then_some(loader)
}

fn read(path: &str) -> Option<String> {
    let file = rustix::fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut header = [0; HEADER];
    read_at(&file, &mut header, 0)?;
    let (start, count) = parse_header(&header)?;
    for number in 0..count.min(MAX_ENTRIES) {
        let mut entry = [0; ENTRY];
        read_at(&file, &mut entry, start.checked_add(u64::from(number) * ENTRY as u64)?)?;
        if let Some((offset, length)) = parse_entry(&entry) {
            let mut name = vec![0; usize::try_from(length.min(MAX_NAME)).ok()?];
            read_at(&file, &mut name, offset)?;
            let name = name.split(|byte| *byte == 0).next()?;
            return core::str::from_utf8(name).ok().map(ToString::to_string);
        }
    }
    None
}

/// Fills `bytes` from a place in a file; `None` where it has not so many.
fn read_at(file: impl AsFd, bytes: &mut [u8], offset: u64) -> Option<()> {
    let length = rustix::io::pread(file, &mut *bytes, offset).ok()?;
    (length == bytes.len()).then_some(())
}

/// Where a program's headers begin, and how many there are.
fn parse_header(header: &[u8; HEADER]) -> Option<(u64, u16)> {
    // 64 bits, the lower byte first.
    if !header.starts_with(b"\x7fELF\x02\x01") || number(header, 54, 2)? != ENTRY as u64 {
        return None;
    }
    Some((number(header, 32, 8)?, u16::try_from(number(header, 56, 2)?).ok()?))
}

/// Where the loader's name is, and how long, if this header says that.
fn parse_entry(entry: &[u8; ENTRY]) -> Option<(u64, u64)> {
    if !entry.starts_with(&PT_INTERP) {
        return None;
    }
    Some((number(entry, 8, 8)?, number(entry, 32, 8)?))
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_headers_are_found() {
        let mut header = [0; HEADER];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[32] = 64;
        header[54] = 56;
        header[56] = 13;
        assert_eq!(parse_header(&header), Some((64, 13)));
        header[4] = 1;
        assert_eq!(parse_header(&header), None);
    }

    #[test]
    fn the_loaders_name_is_found() {
        let mut entry = [0; ENTRY];
        entry[0] = 3;
        entry[8..10].copy_from_slice(&[0x50, 0x03]);
        entry[32] = 28;
        assert_eq!(parse_entry(&entry), Some((0x350, 28)));
        entry[0] = 1;
        assert_eq!(parse_entry(&entry), None);
    }
}
