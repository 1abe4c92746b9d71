//! Archives made by hand, so that they can be wrong in every way.

/// An archive that grows.
#[derive(Default, Clone)]
pub(crate) struct Tar(Vec<u8>);

/// A header, before its checksum is made.
#[derive(Clone)]
pub(crate) struct Header([u8; 512]);

impl Header {
    pub(crate) fn new(kind: u8, path: &str) -> Self {
        let mut header = Self([0; 512]);
        header.put(0, path.as_bytes());
        header.put(257, b"ustar\x0000");
        header.octal(100, 8, if kind == b'5' { 0o755 } else { 0o644 });
        header.octal(108, 8, 0).octal(116, 8, 0).octal(124, 12, 0).octal(136, 12, 1_600_000_000);
        header.octal(329, 8, 0).octal(337, 8, 0);
        header.0[156] = kind;
        header
    }

    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn octal(&mut self, at: usize, width: usize, value: u64) -> &mut Self {
        self.put(at, format!("{value:0width$o}\0", width = width - 1).as_bytes())
    }

    pub(crate) fn mode(mut self, mode: u32) -> Self {
        self.octal(100, 8, mode.into());
        self
    }

    pub(crate) fn owner(mut self, uid: u32, gid: u32) -> Self {
        self.octal(108, 8, uid.into()).octal(116, 8, gid.into());
        self
    }

    pub(crate) fn size(mut self, size: u64) -> Self {
        self.octal(124, 12, size);
        self
    }

    pub(crate) fn time(mut self, seconds: u64) -> Self {
        self.octal(136, 12, seconds);
        self
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.put(157, target.as_bytes());
        self
    }

    pub(crate) fn device(mut self, major: u64, minor: u64) -> Self {
        self.octal(329, 8, major).octal(337, 8, minor);
        self
    }

    /// The finished block.
    pub(crate) fn block(mut self) -> [u8; 512] {
        self.put(148, b"        ");
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

impl Tar {
    /// A header as it is, and content padded to a block.
    pub(crate) fn raw(mut self, header: Header, content: &[u8]) -> Self {
        self.0.extend_from_slice(&header.block());
        self.bytes(content)
    }

    /// Bytes, padded to a block.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A pax header for the next member.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let content: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
        self.raw(Header::new(b'x', "PaxHeaders/x").size(content.len() as u64), &content)
    }

    pub(crate) fn add(self, header: Header) -> Self {
        self.raw(header, b"")
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.add(Header::new(b'5', path))
    }

    pub(crate) fn file(self, path: &str, content: &str) -> Self {
        self.raw(Header::new(b'0', path).size(content.len() as u64), content.as_bytes())
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.add(Header::new(b'2', path).mode(0o777).target(target))
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.add(Header::new(b'1', path).target(target))
    }

    /// With the two blocks that close it.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }

    /// Without them.
    pub(crate) fn open_end(self) -> Vec<u8> {
        self.0
    }
}

/// `LENGTH KEY=VALUE\n`.
pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body;
    while body + length.to_string().len() != length {
        length = body + length.to_string().len();
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}
