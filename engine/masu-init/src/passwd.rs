//! The home directory of a user, from the container's `/etc/passwd`.

use core::ffi::CStr;

use masu_program::Part;
use rustix::{
    fd::OwnedFd,
    fs::{CWD, FileType, Mode, OFlags},
};

use crate::{
    failure::{At, Result},
    path::Buffer,
};

/// As much of the file is read, in bytes: an image could bring one that never ends.
const SIZE_MAX: usize = 4 << 20;

/// The variable `HOME` for a configuration that does not set it.
#[derive(Debug, Default)]
pub(crate) struct Home {
    variable: Option<Buffer>,
}

impl Home {
    /// Looks up the home directory of `uid`; `/` when there is none.
    pub(crate) fn find(&mut self, uid: u32) -> Result<()> {
        let mut search = Search::new(uid);
        if let Ok(file) = open_passwd() {
            let mut chunk = [0; 1024];
            let mut total = 0;
            while let Ok(length @ 1..) = rustix::io::read(&file, &mut chunk) {
                chunk.iter().take(length).for_each(|byte| search.take(*byte));
                total += length;
                if total >= SIZE_MAX {
                    break;
                }
            }
        }
        let mut variable = Buffer::new();
        variable.append(b"HOME=").at(Part::Allocate)?;
        variable.append(search.finish()).at(Part::Allocate)?;
        self.variable = Some(variable);
        Ok(())
    }

    /// `HOME=…`, when it was looked up.
    pub(crate) fn variable(&self) -> Option<&CStr> {
        self.variable.as_ref().map(Buffer::as_c_str)
    }
}

/// Opens the file when it is a regular one: a fifo in its place would stop us for ever.
fn open_passwd() -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, c"/etc/passwd", flags, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(rustix::io::Errno::INVAL),
    }
}

/// Takes the file byte by byte, up to the first line of the user that names a home.
#[derive(Debug)]
struct Search {
    uid: u32,
    line: [u8; 1024],
    length: usize,
    found: bool,
}

impl Search {
    fn new(uid: u32) -> Self {
        Self { uid, line: [0; 1024], length: 0, found: false }
    }

    fn take(&mut self, byte: u8) {
        if self.found {
            return;
        }
        if byte == b'\n' {
            self.found = self.home().is_some();
            self.length = if self.found { self.length } else { 0 };
            return;
        }
        // A line that is too long keeps its length, and so is no line of the user's.
        if let Some(slot) = self.line.get_mut(self.length) {
            *slot = byte;
        }
        self.length += 1;
    }

    fn finish(&self) -> &[u8] {
        self.home().unwrap_or(b"/")
    }

    /// The home in the current line, `name:password:uid:gid:comment:home:shell`, if it is the user's.
    fn home(&self) -> Option<&[u8]> {
        let mut fields = self.line.get(..self.length)?.split(|byte| *byte == b':');
        let uid = str::from_utf8(fields.nth(2)?).ok()?;
        let home = fields.nth(2)?;
        (uid.parse() == Ok(self.uid) && !home.is_empty()).then_some(home)
    }
}

#[cfg(test)]
mod tests {
    use super::Search;

    #[test]
    fn the_home_of_the_first_line_with_the_uid_is_found() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\nagain:x:33:33::/no:/x\n\
                      bad:x:12a:1::/bad:/x\nempty:x:::c:/empty:/x\nnohome:x:7:7:::/x\nshort:x:8:8\n\
                      huge:x:4294967296:0::/huge:/x\nlast:x:1000:1000:a,b:/home/last";
        let table = [
            (0, "/root"),
            (33, "/var/www"),
            (12, "/"),
            (7, "/"),
            (8, "/"),
            (5, "/"),
            (1000, "/home/last"),
            (4_294_967_295, "/"),
        ];
        for (uid, home) in table {
            let mut search = Search::new(uid);
            passwd.bytes().for_each(|byte| search.take(byte));
            assert_eq!(search.finish(), home.as_bytes(), "uid {uid}");
        }
    }

    #[test]
    fn a_home_longer_than_any_path_is_none() {
        let mut search = Search::new(1);
        format!("a:x:1:1::/{}:/x\n", "h".repeat(2000)).bytes().for_each(|byte| search.take(byte));
        assert_eq!(search.finish(), b"/");
    }
}
