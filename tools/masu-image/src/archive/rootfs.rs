//! A directory, as the archive of a layer.

use crate::store::BlobWriter;
use crate::tar::{Entry, Kind, Time, Writer};
use crate::{Error, Result};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, open, statat};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Writes all of `directory` that is on its own file system, sorted by name. Sockets are left out: no archive has them.
pub(super) fn write(directory: &Path, blob: &mut BlobWriter) -> Result<()> {
    let mut sink = Sink { blob, error: None };
    let root = statat(CWD, directory, AtFlags::empty())
        .map_err(|errno| Error::file("stat", directory)(errno.into()))?;
    let device = root.st_dev;
    let mut walk = Walk { writer: Writer::new(&mut sink), device, links: HashMap::new() };
    let result = walk.add(directory, b"").and_then(|()| {
        let end = walk.writer.finish().map(drop);
        end.map_err(Error::file("write", directory))
    });
    match sink.error {
        // What the store said, rather than what became of it on the way through io::Error.
        Some(error) => Err(error),
        None => result,
    }
}

/// The store's own errors, kept.
struct Sink<'a> {
    blob: &'a mut BlobWriter,
    error: Option<Error>,
}

impl Write for &mut Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.blob.append(bytes).map_err(|error| {
            let text = io::Error::other(error.to_string());
            self.error = Some(error);
            text
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Walk<W> {
    writer: Writer<W>,
    device: u64,
    /// The first names of files that have several.
    links: HashMap<u64, Vec<u8>>,
}

impl<W: Write> Walk<W> {
    /// Adds `path`, called `name` in the archive.
    fn add(&mut self, path: &Path, name: &[u8]) -> Result<()> {
        let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| Error::file("stat", path)(errno.into()))?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let Some(kind) = self.kind(path, name, &stat, file_type)? else { return Ok(()) };
        let is_content = matches!(kind, Kind::File { .. });
        let is_link = matches!(kind, Kind::Link(_));
        let entry = Entry {
            path: if name.is_empty() { b"./".to_vec() } else { name.to_vec() },
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: Time {
                seconds: stat.st_mtime,
                nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            },
            accessed: None,
            xattrs: if is_link { Vec::new() } else { xattrs(path).map_err(Error::file("getxattr", path))? },
        };
        self.writer.member(&entry).map_err(Error::file("archive", path))?;
        if is_content {
            self.content(path).map_err(Error::file("archive", path))?;
        }
        if file_type == FileType::Directory {
            for below in sorted(path)? {
                let file_name = below.file_name().unwrap_or_default().as_bytes();
                let below_name =
                    if name.is_empty() { file_name.to_vec() } else { [name, b"/", file_name].concat() };
                self.add(&below, &below_name)?;
            }
        }
        Ok(())
    }

    /// What the file is in the archive; `None` for what has no place in one.
    fn kind(&mut self, path: &Path, name: &[u8], stat: &Stat, file_type: FileType) -> Result<Option<Kind>> {
        if file_type != FileType::Directory && stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&stat.st_ino) {
                return Ok(Some(Kind::Link(first.clone())));
            }
            self.links.insert(stat.st_ino, name.to_vec());
        }
        let device = |block| {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            Kind::Device { block, major, minor }
        };
        Ok(Some(match file_type {
            // A mount point's own content is on another file system.
            FileType::Directory if stat.st_dev != self.device => return Ok(None),
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => {
                Kind::File { size: u64::try_from(stat.st_size).unwrap_or_default(), extents: None }
            }
            FileType::Symlink => {
                let target = path.read_link().map_err(Error::file("readlink", path))?;
                Kind::Symlink(target.as_os_str().as_bytes().to_vec())
            }
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => device(false),
            FileType::BlockDevice => device(true),
            _ => return Ok(None),
        }))
    }

    fn content(&mut self, path: &Path) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(open(path, flags, Mode::empty())?);
        let mut buffer = vec![0; CHUNK];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                length => self.writer.content(buffer.get(..length).unwrap_or_default())?,
            }
        }
    }
}

fn sorted(directory: &Path) -> Result<Vec<PathBuf>> {
    let read =
        || directory.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = read().map_err(Error::file("read", directory))?;
    paths.sort();
    Ok(paths)
}

fn xattrs(path: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = open(path, flags, Mode::empty())?;
    let mut xattrs = crate::layer::xattrs(std::os::fd::AsFd::as_fd(&place))?;
    xattrs.retain(|(name, _)| name != b"security.selinux");
    Ok(xattrs)
}
