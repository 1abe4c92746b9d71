//! The records of a pax extended header: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record.

use super::{Extent, Fault, Time, sparse};

/// What the records say about the member that follows. `None` where they say nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link_path: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) modified: Option<Time>,
    pub(super) accessed: Option<Time>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Sparse,
}

/// GNU's sparse files in pax archives, formats 0.0, 0.1 and 1.0 (its manual, "Storing Sparse Files").
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sparse {
    /// The member's own name: the header's is made up (0.1, 1.0).
    pub(super) name: Option<Vec<u8>>,
    /// The length on disk.
    pub(super) size: Option<u64>,
    /// The map, where it stands in the records (0.0, 0.1).
    pub(super) map: Vec<Extent>,
    /// An offset whose length has not come yet (0.0).
    offset: Option<u64>,
    /// Two numbers, of which the first is the one that matters.
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    /// Whether any of these records is there.
    pub(super) present: bool,
}

/// Reads all records of one extended header.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Records, Fault> {
    let mut records = Records::default();
    while !bytes.is_empty() {
        let (key, value, rest) = split_record(bytes).ok_or(Fault::Record)?;
        records.take(key, value)?;
        bytes = rest;
    }
    match records.sparse.offset {
        Some(_) => Err(Fault::field("GNU.sparse.numbytes", "missing after an offset")),
        None => Ok(records),
    }
}

/// Whether a record of a global header would change what the members after it are.
pub(super) fn changes_members(bytes: &[u8]) -> Result<bool, Fault> {
    Ok(parse(bytes)? != Records::default())
}

/// Key, value and what comes behind; `None` for a record that is malformed.
fn split_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(parse_decimal(bytes.get(..space)?)?).ok()?;
    let record = bytes.get(space.checked_add(1)?..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at_checked(equals)?;
    let valid = !key.is_empty() && !key.contains(&0);
    valid.then_some((key, value.get(1..)?, bytes.get(length..)?))
}

impl Records {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            self.xattrs.push((name.to_vec(), value.to_vec()));
            return Ok(());
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.take(key, value);
        }
        // An empty value takes back what a global header said (pax(1)); those are refused, so that it says nothing.
        if value.is_empty() {
            return Ok(());
        }
        match key {
            b"path" => self.path = Some(text("path", value)?),
            b"linkpath" => self.link_path = Some(text("linkpath", value)?),
            b"size" => self.size = Some(decimal("size", value)?),
            b"uid" => self.uid = Some(decimal("uid", value)?),
            b"gid" => self.gid = Some(decimal("gid", value)?),
            b"mtime" => self.modified = Some(time("mtime", value)?),
            b"atime" => self.accessed = Some(time("atime", value)?),
            // Names of owners, comments, character sets, other programs' own: nothing of it ends on the disk.
            _ => {}
        }
        Ok(())
    }
}

impl Sparse {
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.present = true;
        match key {
            b"name" => self.name = Some(text("GNU.sparse.name", value)?),
            b"size" | b"realsize" => self.size = Some(decimal("GNU.sparse.realsize", value)?),
            b"major" => self.major = Some(decimal("GNU.sparse.major", value)?),
            b"minor" => self.minor = Some(decimal("GNU.sparse.minor", value)?),
            b"map" => {
                let numbers: Vec<u64> = value
                    .split(|byte| *byte == b',')
                    .map(|number| decimal("GNU.sparse.map", number))
                    .collect::<Result<_, _>>()?;
                self.map = sparse::pairs(&numbers)?;
            }
            b"offset" => {
                let offset = decimal("GNU.sparse.offset", value)?;
                if self.offset.replace(offset).is_some() {
                    return Err(Fault::field("GNU.sparse.numbytes", "missing after an offset"));
                }
            }
            b"numbytes" => {
                let missing = Fault::field("GNU.sparse.offset", "missing before a length");
                let offset = self.offset.take().ok_or(missing)?;
                self.map.push(Extent { offset, length: decimal("GNU.sparse.numbytes", value)? });
            }
            // numblocks: the number of extents, which are counted.
            _ => {}
        }
        Ok(())
    }
}

fn text(name: &'static str, value: &[u8]) -> Result<Vec<u8>, Fault> {
    if value.contains(&0) { Err(Fault::field(name, "contains a NUL")) } else { Ok(value.to_vec()) }
}

fn decimal(name: &'static str, value: &[u8]) -> Result<u64, Fault> {
    parse_decimal(value).ok_or(Fault::field(name, "not a decimal number"))
}

/// Digits alone: no sign, no spaces. Up to 63 bits, as the kernel's own sizes.
pub(super) fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    i64::try_from(value).is_ok().then_some(value)
}

/// `[-]SECONDS[.FRACTION]`; digits beyond the ninth of the fraction are cut off.
fn time(name: &'static str, value: &[u8]) -> Result<Time, Fault> {
    let wrong = || Fault::field(name, "not a time in seconds");
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (digits.get(..dot).unwrap_or_default(), digits.get(dot + 1..).unwrap_or_default()),
        None => (digits, &b""[..]),
    };
    let whole = parse_decimal(whole).and_then(|whole| i64::try_from(whole).ok()).ok_or_else(wrong)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    let padded = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = padded.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Ok(match (negative, nanoseconds) {
        (false, _) => Time { seconds: whole, nanoseconds },
        (true, 0) => Time { seconds: -whole, nanoseconds },
        // -1.25 is 0.75 after -2.
        (true, _) => Time { seconds: -whole - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &str) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body;
        while body + length.to_string().len() != length {
            length = body + length.to_string().len();
        }
        format!("{length} {key}={value}\n").into_bytes()
    }

    #[test]
    fn known_records_are_read_and_others_passed_over() {
        let bytes = [
            record("path", "a/long/path"),
            record("mtime", "1700000000.123456789123"),
            record("size", "8589934592"),
            record("uname", "nobody"),
            record("SCHILY.xattr.user.a=b", ""),
        ]
        .concat();
        let expected = Records {
            path: Some(b"a/long/path".to_vec()),
            modified: Some(Time { seconds: 1_700_000_000, nanoseconds: 123_456_789 }),
            size: Some(8_589_934_592),
            xattrs: vec![(b"user.a".to_vec(), b"b=".to_vec())],
            ..Records::default()
        };
        assert_eq!(parse(&bytes).unwrap(), expected);
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            &b"5 a=b"[..],
            b"6 a=bc",
            b"7 a=b\n",
            b"06 a=b\n\n",
            b"+6 a=b\n",
            b"3 \n",
            b"6 =ab\n",
            b"5 ab\n",
            b"99999999999999999999999 a=b\n",
            b"18446744073709551615 a=b\n",
            b"7 a\0=b\n",
        ] {
            assert!(matches!(parse(bytes), Err(Fault::Record)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn numbers_and_times_are_strict() {
        for (key, value, text) in [
            ("size", "-1", "size: not a decimal number"),
            ("size", " 1", "size: not a decimal number"),
            ("size", "9223372036854775808", "size: not a decimal number"),
            ("uid", "0x10", "uid: not a decimal number"),
            ("mtime", "1e9", "mtime: not a time in seconds"),
            ("mtime", "--1", "mtime: not a time in seconds"),
            ("path", "a\0b", "path: contains a NUL"),
        ] {
            assert_eq!(parse(&record(key, value)).unwrap_err().to_string(), text, "{key}={value}");
        }
        for (value, seconds, nanoseconds) in
            [("-1.25", -2, 750_000_000), ("-3", -3, 0), ("0.5", 0, 500_000_000), ("7.", 7, 0)]
        {
            assert_eq!(time("mtime", value.as_bytes()).unwrap(), Time { seconds, nanoseconds });
        }
    }
}
