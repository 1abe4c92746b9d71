//! One block of 512 bytes: the header that every member has. pax(1), section "ustar Interchange Format", and
//! GNU tar's manual, "Basic Tar Format".

use super::{Extent, Fault};
use std::ops::Range;

/// Everything in an archive is padded to this.
pub(super) const BLOCK: usize = 512;

/// Where the checksum stands; it counts as spaces in itself.
const CHECKSUM: Range<usize> = 148..156;

/// Which of the old formats' extensions the header has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// None: before 1988.
    V7,
    /// POSIX: a prefix for the name.
    Ustar,
    /// GNU: sparse maps and other things where ustar has the prefix.
    Gnu,
}

/// A header, checked for its checksum alone.
#[derive(Debug)]
pub(super) struct Header<'a> {
    block: &'a [u8; BLOCK],
    format: Format,
}

impl<'a> Header<'a> {
    pub(super) fn parse(block: &'a [u8; BLOCK]) -> Result<Self, Fault> {
        let format = match block.get(257..265) {
            Some(b"ustar  \0") => Format::Gnu,
            Some([b'u', b's', b't', b'a', b'r', 0, ..]) => Format::Ustar,
            _ => Format::V7,
        };
        let header = Self { block, format };
        let stated = parse_number(header.field(CHECKSUM)).map_err(|_| Fault::Checksum)?;
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| i64::from(byte)).sum::<i64>();
        let unsigned = sum(block) - sum(header.field(CHECKSUM)) + i64::from(b' ') * 8;
        // Some of the oldest writers added the bytes up as signed ones.
        let negative = || {
            block.iter().zip(0..).filter(|(byte, at)| **byte >= 0x80 && !CHECKSUM.contains(at)).map(|_| 256)
        };
        if stated == unsigned || stated == unsigned - negative().sum::<i64>() {
            Ok(header)
        } else {
            Err(Fault::Checksum)
        }
    }

    fn field(&self, range: Range<usize>) -> &'a [u8] {
        self.block.get(range).unwrap_or_default()
    }

    fn text(&self, range: Range<usize>) -> &'a [u8] {
        until_nul(self.field(range))
    }

    fn number(&self, range: Range<usize>, name: &'static str) -> Result<i64, Fault> {
        parse_number(self.field(range)).map_err(|problem| Fault::field(name, problem))
    }

    fn unsigned(&self, range: Range<usize>, name: &'static str) -> Result<u64, Fault> {
        u64::try_from(self.number(range, name)?).map_err(|_| Fault::field(name, "negative"))
    }

    /// The byte that stands for the member's type.
    pub(super) fn kind(&self) -> u8 {
        self.block.get(156).copied().unwrap_or_default()
    }

    pub(super) fn path(&self) -> Vec<u8> {
        let (name, prefix) = (self.text(0..100), self.text(345..500));
        if self.format != Format::Ustar || prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(super) fn link_path(&self) -> Vec<u8> {
        self.text(157..257).to_vec()
    }

    /// The permission bits: some writers put the file's type in front of them.
    pub(super) fn mode(&self) -> Result<u32, Fault> {
        let mode = self.unsigned(100..108, "mode")? & 0o7777;
        u32::try_from(mode).map_err(|_| Fault::field("mode", "too large"))
    }

    pub(super) fn uid(&self) -> Result<u64, Fault> {
        self.unsigned(108..116, "uid")
    }

    pub(super) fn gid(&self) -> Result<u64, Fault> {
        self.unsigned(116..124, "gid")
    }

    /// What is stored of the member's content, in bytes.
    pub(super) fn size(&self) -> Result<u64, Fault> {
        self.unsigned(124..136, "size")
    }

    pub(super) fn modified(&self) -> Result<i64, Fault> {
        self.number(136..148, "mtime")
    }

    pub(super) fn device(&self) -> Result<(u32, u32), Fault> {
        if self.format == Format::V7 {
            return Err(Fault::field("devmajor", "missing: the header is of the oldest format"));
        }
        let part = |range, name| {
            u32::try_from(self.unsigned(range, name)?).map_err(|_| Fault::field(name, "too large"))
        };
        Ok((part(329..337, "devmajor")?, part(337..345, "devminor")?))
    }

    /// Of GNU's sparse member (type `S`): the length on disk, the first extents, and whether a block with more
    /// of them follows.
    pub(super) fn gnu_sparse(&self) -> Result<(u64, Vec<Extent>, bool), Fault> {
        if self.format != Format::Gnu {
            return Err(Fault::field("magic", "a sparse member without GNU's"));
        }
        let size = self.unsigned(483..495, "realsize")?;
        let extents = parse_extents(self.field(386..482))?;
        Ok((size, extents, self.field(482..483) != b"\0"))
    }
}

/// A block that continues the sparse map of the block before it.
pub(super) fn parse_sparse_block(block: &[u8; BLOCK]) -> Result<(Vec<Extent>, bool), Fault> {
    let extents = parse_extents(block.get(..504).unwrap_or_default())?;
    Ok((extents, block.get(504) != Some(&0)))
}

/// Extents of two twelve-byte numbers each, up to the first empty one.
fn parse_extents(bytes: &[u8]) -> Result<Vec<Extent>, Fault> {
    let mut extents = Vec::new();
    for pair in bytes.chunks_exact(24) {
        let (offset, length) = pair.split_at(12);
        if offset.first() == Some(&0) {
            break;
        }
        let number = |field| {
            let value = parse_number(field).map_err(|problem| Fault::field("sparse map", problem))?;
            u64::try_from(value).map_err(|_| Fault::field("sparse map", "negative"))
        };
        extents.push(Extent { offset: number(offset)?, length: number(length)? });
    }
    Ok(extents)
}

/// A number of a header: octal digits, with spaces around and a NUL behind, or where the first bit is set a
/// big-endian number in two's complement (GNU's and star's "base-256").
fn parse_number(field: &[u8]) -> Result<i64, &'static str> {
    match field.split_first() {
        Some((&first, rest)) if first & 0x80 != 0 => parse_base_256(first, rest),
        _ => parse_octal(field),
    }
}

fn parse_base_256(first: u8, rest: &[u8]) -> Result<i64, &'static str> {
    // The second bit is the sign; it fills the first one's place.
    let start = if first & 0x40 == 0 { i64::from(first & 0x7f) } else { i64::from(first.cast_signed()) };
    rest.iter().try_fold(start, |value, &byte| {
        let shifted = value.checked_mul(256).ok_or("a number beyond 63 bits")?;
        Ok(shifted | i64::from(byte))
    })
}

fn parse_octal(field: &[u8]) -> Result<i64, &'static str> {
    let digits = until_nul(field).trim_ascii();
    if digits.iter().any(|digit| !matches!(digit, b'0'..=b'7')) {
        return Err("not an octal number");
    }
    // Twelve digits at most: 36 bits.
    Ok(digits.iter().fold(0, |value, digit| value << 3 | i64::from(digit & 7)))
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn numbers_are_octal_or_base_256() {
        let cases: [(&[u8], Result<i64, &str>); 13] = [
            (b"0000644\0", Ok(0o644)),
            (b" 644 \0\0\0", Ok(0o644)),
            (b"77777777777\0", Ok(0o77_777_777_777)),
            (b"777777777777", Ok(0o777_777_777_777)),
            (b"\0\0\0\0\0\0\0\0", Ok(0)),
            (b"        ", Ok(0)),
            (b"\x80\0\0\0\0\0\0\0\0\0\x01\x02", Ok(258)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Ok(i64::MAX)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", Ok(-2)),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", Err("a number beyond 63 bits")),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Err("a number beyond 63 bits")),
            (b"0000648\0", Err("not an octal number")),
            (b"-000644\0", Err("not an octal number")),
        ];
        for (field, value) in cases {
            assert_eq!(parse_number(field), value, "{}", field.escape_ascii());
        }
    }
}
