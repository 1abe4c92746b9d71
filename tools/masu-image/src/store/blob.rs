//! Content on its way into the store.

use super::{Writer, files};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::{Descriptor, Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How much is read or written at once, in bytes.
const CHUNK: usize = 256 << 10;

/// A blob that is being written: hashed as it comes, and by its name only once it is complete and right.
///
/// Dropped half-way it stays in `partial`, where the next writer of the same blob goes on.
#[derive(Debug)]
pub struct BlobWriter {
    file: File,
    path: PathBuf,
    hasher: Hasher,
    written: u64,
    /// What it has to become.
    expected: Option<Descriptor>,
    blobs: PathBuf,
}

impl Writer {
    /// Begins to write a blob, or goes on with one. `None` when it is there already. While somebody else writes it,
    /// this waits.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what the file system refuses.
    pub fn blob(&self, expected: &Descriptor) -> Result<Option<BlobWriter>> {
        let digest = &expected.digest;
        let name = format!("{}-{}", digest.algorithm().name(), digest.hex());
        let path = self.path().join("partial").join(name);
        while !self.has_blob(expected) {
            let mut open = OpenOptions::new();
            open.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = open.open(&path).map_err(Error::file("open", &path))?;
            file.lock().map_err(Error::file("lock", &path))?;
            // The one before may have completed it, or given it up, while this one waited.
            if files::is_still_at(&file, &path)? && !self.has_blob(expected) {
                let blobs = self.path().join("blobs");
                let hasher = Hasher::new(digest.algorithm());
                let expected = Some(expected.clone());
                let mut writer = BlobWriter { file, path, hasher, written: 0, expected, blobs };
                writer.take_up()?;
                return Ok(Some(writer));
            }
        }
        Ok(None)
    }

    /// Begins to write a blob whose digest will be known when it is complete.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what the file system refuses.
    pub fn new_blob(&self) -> Result<BlobWriter> {
        let path = files::temporary(self, "blob");
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = open.open(&path).map_err(Error::file("open", &path))?;
        let (hasher, blobs) = (Hasher::new(Algorithm::Sha256), self.path().join("blobs"));
        Ok(BlobWriter { file, path, hasher, written: 0, expected: None, blobs })
    }

    /// Puts a whole document into the store, and says how it is called.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for what the file system refuses.
    pub fn add_blob(&self, bytes: &[u8]) -> Result<(Digest, u64)> {
        let mut blob = self.new_blob()?;
        blob.append(bytes)?;
        blob.commit()
    }
}

impl BlobWriter {
    /// Hashes what is there already.
    fn take_up(&mut self) -> Result<()> {
        let fail = Error::file("read", &self.path);
        let limit = self.expected.as_ref().map_or(u64::MAX, |expected| expected.size);
        let mut buffer = vec![0; CHUNK];
        let mut read = || -> std::io::Result<()> {
            loop {
                let length = self.file.read(&mut buffer)?;
                self.hasher.update(buffer.get(..length).unwrap_or_default());
                self.written += u64::try_from(length).unwrap_or(u64::MAX);
                if length == 0 || self.written > limit {
                    return Ok(());
                }
            }
        };
        read().map_err(fail)?;
        if self.written > limit { self.restart() } else { Ok(()) }
    }

    /// Opens it for reading, while it is written and afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be opened.
    pub fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(Error::file("open", &self.path))
    }

    /// How much there is so far, in bytes: from here on more is wanted.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Throws away what there is.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when the file cannot be cut.
    pub fn restart(&mut self) -> Result<()> {
        let cut = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        cut.map_err(Error::file("truncate", &self.path))?;
        let digest = self.expected.as_ref().map(|expected| &expected.digest);
        self.hasher = Hasher::new(digest.map_or(Algorithm::Sha256, Digest::algorithm));
        self.written = 0;
        Ok(())
    }

    /// Writes what comes next.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] when it is more than there should be, [`Error::File`] when it cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let total = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if let Some(expected) = &self.expected
            && total > expected.size
        {
            return Err(self.refuse(format!("more than the {} bytes that it should have", expected.size)));
        }
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(Error::file("write", &self.path))?;
        self.written = total;
        Ok(())
    }

    /// Writes all that a reader has, and says how much it was. `on_error` makes an error of what the reader fails with.
    ///
    /// # Errors
    ///
    /// As [`BlobWriter::append`], and those of the reader.
    pub fn append_all(
        &mut self,
        mut reader: impl Read,
        on_error: impl Fn(std::io::Error) -> Error,
    ) -> Result<u64> {
        let (mut buffer, before) = (vec![0; CHUNK], self.written);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(self.written - before),
                Ok(length) => self.append(buffer.get(..length).unwrap_or_default())?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(on_error(error)),
            }
        }
    }

    /// Gives the blob its name.
    ///
    /// # Errors
    ///
    /// [`Error::Content`] when it is too short, and can be gone on with, or has another digest, and is thrown away.
    pub fn commit(self) -> Result<(Digest, u64)> {
        let actual = self.hasher.clone().finish();
        if let Some(expected) = &self.expected {
            if self.written < expected.size {
                return Err(self.refuse(format!("ends after {} of {} bytes", self.written, expected.size)));
            }
            if actual != expected.digest {
                let error = self.refuse(format!("what arrived has the digest {actual}"));
                std::fs::remove_file(&self.path).map_err(Error::file("remove", &self.path))?;
                return Err(error);
            }
        }
        let target = self.blobs.join(actual.algorithm().name()).join(actual.hex());
        std::fs::rename(&self.path, &target).map_err(Error::file("rename to", &target))?;
        Ok((actual, self.written))
    }

    fn refuse(&self, problem: String) -> Error {
        let object = match &self.expected {
            Some(expected) => format!("blob {}", expected.digest),
            None => format!("blob {}", Path::new(self.path.file_name().unwrap_or_default()).display()),
        };
        Error::Content { object, problem }
    }
}
