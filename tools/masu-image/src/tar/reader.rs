//! The loop over an archive's blocks.

use super::header::{BLOCK, Header, parse_sparse_block};
use super::pax::{self, Records};
use super::{Entry, Extent, Fault, Kind, Time, sparse};
use std::io::{BufRead, BufReader, Read};

/// What is asked of the source at once, in bytes.
const BUFFER: usize = 256 << 10;

/// The largest extended header: an attribute's value has 64 KiB at most (xattr(7)), and few have any.
const MAX_EXTENSION: u64 = 1 << 20;

/// Sizes up to here fit into the header's own field, so that a pax record has no reason to say another one.
const MAX_USTAR_SIZE: u64 = 0o77_777_777_777;

/// An archive that is being read.
#[derive(Debug)]
pub struct Reader<R> {
    source: BufReader<R>,
    /// Of the current member's content, in bytes.
    unread: u64,
    /// Behind the content, up to the next block.
    padding: u64,
    ended: bool,
}

/// The headers that say something about the member after them.
#[derive(Default)]
struct Extensions {
    pax: Option<Records>,
    path: Option<Vec<u8>>,
    link_path: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Reads from `source`, in large pieces.
    pub fn new(source: R) -> Self {
        Self { source: BufReader::with_capacity(BUFFER, source), unread: 0, padding: 0, ended: false }
    }

    /// The next member; `None` at the archive's end. What is left of the content of the one before is skipped.
    ///
    /// # Errors
    ///
    /// A [`Fault`]. After it, nothing more is to be read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        self.skip_content()?;
        let mut extensions = Extensions::default();
        while let Some(block) = self.next_header()? {
            let header = Header::parse(&block)?;
            match header.kind() {
                b'x' => {
                    let records = pax::parse(&self.extension(&header, "a pax header")?)?;
                    set_once(&mut extensions.pax, records, "two pax headers for one member")?;
                }
                b'L' => {
                    let path = self.long_name(&header)?;
                    set_once(&mut extensions.path, path, "two long names for one member")?;
                }
                b'K' => {
                    let path = self.long_name(&header)?;
                    set_once(&mut extensions.link_path, path, "two long link names for one member")?;
                }
                b'g' => {
                    // git archive's has a comment. One with paths or sizes means something to GNU tar alone.
                    if pax::changes_members(&self.extension(&header, "a global pax header")?)? {
                        return Err(Fault::Ambiguous("a global pax header that changes members"));
                    }
                }
                _ => return self.member(&header, extensions).map(Some),
            }
        }
        match (extensions.pax, extensions.path, extensions.link_path) {
            (None, None, None) => Ok(None),
            _ => Err(Fault::Truncated("the headers of a member")),
        }
    }

    /// The next piece of the current member's content, without copying it; empty at its end.
    ///
    /// # Errors
    ///
    /// [`Fault::Read`] and [`Fault::Truncated`].
    pub fn content(&mut self) -> Result<&[u8], Fault> {
        if self.unread == 0 {
            return Ok(&[]);
        }
        let unread = usize::try_from(self.unread).unwrap_or(usize::MAX);
        let piece = loop {
            match self.source.fill_buf() {
                // The borrow checker does not let the piece itself out of the loop.
                Ok(piece) => break piece.len().min(unread),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        };
        if piece == 0 {
            return Err(Fault::Truncated("the content of a member"));
        }
        Ok(self.source.buffer().get(..piece).unwrap_or_default())
    }

    /// Takes `length` bytes of what [`Reader::content`] gave as read.
    pub fn consume(&mut self, length: usize) {
        self.source.consume(length);
        self.unread = self.unread.saturating_sub(length as u64);
    }

    /// Reads what stands behind the archive's end, at most `limit` bytes, so that whoever hashes the source has seen
    /// all of it. Returns its length.
    ///
    /// # Errors
    ///
    /// [`Fault::Read`]; [`Fault::TooLarge`] when there is more.
    pub fn drain(&mut self, limit: u64) -> Result<u64, Fault> {
        let mut rest = Read::by_ref(&mut self.source).take(limit.saturating_add(1));
        let length = std::io::copy(&mut rest, &mut std::io::sink()).map_err(Fault::Read)?;
        if length > limit {
            return Err(Fault::TooLarge { what: "what follows the archive's end", limit });
        }
        Ok(length)
    }

    fn skip_content(&mut self) -> Result<(), Fault> {
        loop {
            let length = self.content()?.len();
            if length == 0 {
                break;
            }
            self.consume(length);
        }
        self.unread = std::mem::take(&mut self.padding);
        if self.unread != 0 && self.is_at_end()? {
            // `umoci insert` closes no archive (0.4.7): the last member is whole, what would fill its block is not
            // there. Go's readers, which is those of all engines, take it; GNU tar does not.
            self.unread = 0;
            self.ended = true;
        }
        while self.unread != 0 {
            let length = self.content()?.len();
            self.consume(length);
        }
        Ok(())
    }

    /// Whether the source has nothing more.
    fn is_at_end(&mut self) -> Result<bool, Fault> {
        loop {
            match self.source.fill_buf() {
                Ok(piece) => return Ok(piece.is_empty()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        }
    }

    /// The content that the next header has, and the padding behind it.
    fn expect_content(&mut self, size: u64) {
        self.unread = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    /// The block of the next header; `None` at the end, which is two blocks of zeros, or just an end.
    fn next_header(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let first = self.block()?;
        match first {
            Some(block) if block != [0; BLOCK] => return Ok(Some(block)),
            _ => self.ended = true,
        }
        if first.is_some() && self.block()?.is_some_and(|block| block != [0; BLOCK]) {
            return Err(Fault::Ambiguous("members behind a block of zeros"));
        }
        Ok(None)
    }

    /// `None` when the source has ended before it.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Fault> {
        let mut block = [0; BLOCK];
        let mut source = Read::by_ref(&mut self.source).take(BLOCK as u64);
        let mut length = 0;
        while let Some(rest) = block.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match source.read(rest) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(Fault::Truncated("a header")),
                Ok(read) => length += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Read(error)),
            }
        }
        Ok(Some(block))
    }

    /// The content of a header that describes the next one. A pax record before it does not apply to it: that was
    /// the way into tokio-tar and its kin (CVE-2025-62518).
    fn extension(&mut self, header: &Header<'_>, what: &'static str) -> Result<Vec<u8>, Fault> {
        let size = header.size()?;
        if size > MAX_EXTENSION {
            return Err(Fault::TooLarge { what, limit: MAX_EXTENSION });
        }
        self.expect_content(size);
        let mut content = Vec::new();
        loop {
            let piece = self.content()?;
            let length = piece.len();
            if length == 0 {
                break;
            }
            content.extend_from_slice(piece);
            self.consume(length);
        }
        self.skip_content()?;
        Ok(content)
    }

    fn long_name(&mut self, header: &Header<'_>) -> Result<Vec<u8>, Fault> {
        let content = self.extension(header, "a long name")?;
        Ok(content.split(|byte| *byte == 0).next().unwrap_or_default().to_vec())
    }

    fn member(&mut self, header: &Header<'_>, extensions: Extensions) -> Result<Entry, Fault> {
        let mut pax = extensions.pax.unwrap_or_default();
        let path = choose(pax.path.take(), extensions.path, "a long name and a pax path")?;
        let path = path.unwrap_or_else(|| header.path());
        let link_path =
            choose(pax.link_path.take(), extensions.link_path, "a long link name and a pax linkpath")?;
        let link_path = || link_path.unwrap_or_else(|| header.link_path());
        let size = stored_size(header.size()?, pax.size)?;
        let kind = match header.kind() {
            b'0' | 0 | b'7' => {
                // The oldest archives have no type for directories.
                if header.kind() == 0 && path.ends_with(b"/") {
                    Kind::Directory
                } else if pax.sparse.present {
                    self.expect_content(size);
                    self.pax_sparse(&mut pax.sparse, size)?
                } else {
                    Kind::File { size, extents: None }
                }
            }
            b'S' => self.gnu_sparse(header, size)?,
            b'1' => Kind::Link(link_path()),
            b'2' => Kind::Symlink(link_path()),
            kind @ (b'3' | b'4') => {
                let (major, minor) = header.device()?;
                Kind::Device { block: kind == b'4', major, minor }
            }
            b'5' => Kind::Directory,
            b'6' => Kind::Fifo,
            other => return Err(Fault::Type(other)),
        };
        match &kind {
            Kind::File { extents: None, .. } => self.expect_content(size),
            Kind::File { extents: Some(extents), size } => sparse::check(extents, *size, self.unread)?,
            // Some readers skip this many bytes, others none.
            _ if size != 0 => return Err(Fault::Ambiguous("content behind a member that cannot have any")),
            _ => {}
        }
        let (uid, gid) = (id("uid", pax.uid, header.uid())?, id("gid", pax.gid, header.gid())?);
        let modified = match pax.modified {
            Some(time) => time,
            None => Time { seconds: header.modified()?, nanoseconds: 0 },
        };
        let path = pax.sparse.name.unwrap_or(path);
        let (mode, accessed, xattrs) = (header.mode()?, pax.accessed, pax.xattrs);
        Ok(Entry { path, kind, mode, uid, gid, modified, accessed, xattrs })
    }

    /// GNU's own format: the map starts in the header and goes on in blocks that `size` does not count.
    fn gnu_sparse(&mut self, header: &Header<'_>, stored: u64) -> Result<Kind, Fault> {
        let (size, mut extents, mut more) = header.gnu_sparse()?;
        while more {
            let block = self.block()?.ok_or(Fault::Truncated("a sparse map"))?;
            let (next, further) = parse_sparse_block(&block)?;
            extents.extend(next);
            check_count(&extents)?;
            more = further;
        }
        self.expect_content(stored);
        Ok(Kind::File { size, extents: Some(extents) })
    }

    /// GNU's formats within pax: the map stands in the records, or (1.0) in the content's first blocks.
    fn pax_sparse(&mut self, records: &mut pax::Sparse, stored: u64) -> Result<Kind, Fault> {
        let extents = match (records.major, records.minor) {
            (None | Some(0), _) => std::mem::take(&mut records.map),
            (Some(1), Some(0)) => self.sparse_map(stored)?,
            _ => return Err(Fault::field("GNU.sparse.major", "a format that is not known")),
        };
        check_count(&extents)?;
        let size = records.size.ok_or(Fault::field("GNU.sparse.realsize", "missing"))?;
        Ok(Kind::File { size, extents: Some(extents) })
    }

    /// Decimal numbers, each on a line: how many extents, then offsets and lengths. Padded to a block.
    fn sparse_map(&mut self, stored: u64) -> Result<Vec<Extent>, Fault> {
        let line = |bytes: &mut Vec<u8>| {
            let number = pax::parse_decimal(bytes).ok_or(Fault::field("sparse map", "not a decimal number"));
            bytes.clear();
            number
        };
        let mut numbers = Vec::new();
        let mut wanted = None;
        let mut digits = Vec::new();
        while wanted.is_none_or(|wanted| numbers.len() < wanted) {
            let piece = self.content()?;
            let Some(&byte) = piece.first() else { return Err(Fault::Truncated("a sparse map")) };
            self.consume(1);
            match byte {
                b'\n' if wanted.is_none() => {
                    let count = usize::try_from(line(&mut digits)?).unwrap_or(usize::MAX);
                    if count > sparse::MAX_EXTENTS {
                        return Err(too_many_extents());
                    }
                    wanted = Some(count * 2);
                }
                b'\n' => numbers.push(line(&mut digits)?),
                // 2^64 has twenty digits.
                _ if digits.len() < 20 => digits.push(byte),
                _ => return Err(Fault::field("sparse map", "not a decimal number")),
            }
        }
        let read = stored - self.unread;
        for _ in 0..read.next_multiple_of(BLOCK as u64) - read {
            if self.content()?.is_empty() {
                return Err(Fault::Truncated("a sparse map"));
            }
            self.consume(1);
        }
        sparse::pairs(&numbers)
    }
}

fn check_count(extents: &[Extent]) -> Result<(), Fault> {
    if extents.len() > sparse::MAX_EXTENTS { Err(too_many_extents()) } else { Ok(()) }
}

fn too_many_extents() -> Fault {
    Fault::field("sparse map", "more than 1048576 parts")
}

fn set_once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), Fault> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Fault::Ambiguous(what)),
    }
}

/// GNU's header, or pax', not both: readers differ in which of them wins.
fn choose(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>, what: &'static str) -> Result<Option<Vec<u8>>, Fault> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => Err(Fault::Ambiguous(what)),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}

/// A pax record overrides the header (pax(1)). Writers make one when the field is too small, and leave 0 or the
/// largest number there; anything else is made for a reader that looks at the field (CVE-2025-62518,
/// CVE-2026-33055).
fn stored_size(header: u64, pax: Option<u64>) -> Result<u64, Fault> {
    match pax {
        None => Ok(header),
        Some(size) if size == header => Ok(size),
        Some(size) if size > MAX_USTAR_SIZE && (header == 0 || header == MAX_USTAR_SIZE) => Ok(size),
        Some(_) => Err(Fault::Ambiguous("a size in the header and another one in a pax record")),
    }
}

fn id(name: &'static str, pax: Option<u64>, header: Result<u64, Fault>) -> Result<u32, Fault> {
    let id = match pax {
        Some(id) => id,
        None => header?,
    };
    // (uid_t)-1 means "leave it as it is" to chown(2): the file would be whoever unpacks it's.
    u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or(Fault::field(name, "not a valid id"))
}
