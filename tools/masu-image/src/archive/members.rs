//! An archive's files, put into the store in one pass: whatever their order, and from a pipe as well. What no image turns
//! out to need is pruned like any other blob.

use crate::manifest::MAX_DOCUMENT;
use crate::store::Writer;
use crate::tar::{Kind, Reader};
use crate::{Descriptor, Digest, Error, Result};
use std::collections::HashMap;
use std::io::Read;

/// More files than an archive of images has.
const MAX_MEMBERS: usize = 100_000;

/// By the paths in the archive.
#[derive(Debug)]
pub(super) struct Members(HashMap<String, Member>);

#[derive(Debug, Clone)]
enum Member {
    Blob {
        digest: Digest,
        size: u64,
    },
    /// Old versions of `docker save` write a layer once, and links to it.
    Alias(String),
}

impl Members {
    /// Reads all of an archive; `name` is how messages call it.
    pub(super) fn read(store: &Writer, archive: impl Read, name: &str) -> Result<Self> {
        let refuse = |problem: String| Error::Content { object: name.to_owned(), problem };
        let mut reader = Reader::new(archive);
        let mut members = HashMap::new();
        while let Some(entry) = reader.next_entry().map_err(|fault| refuse(fault.to_string()))? {
            if members.len() == MAX_MEMBERS {
                return Err(refuse(format!("more than {MAX_MEMBERS} files")));
            }
            let path = normalise("", &String::from_utf8_lossy(&entry.path));
            let member = match entry.kind {
                Kind::File { extents: None, .. } => {
                    let mut blob = store.new_blob()?;
                    loop {
                        let piece = reader.content().map_err(|fault| refuse(fault.to_string()))?;
                        let length = piece.len();
                        if length == 0 {
                            break;
                        }
                        blob.append(piece)?;
                        reader.consume(length);
                    }
                    let (digest, size) = blob.commit()?;
                    Member::Blob { digest, size }
                }
                Kind::Link(target) => Member::Alias(normalise("", &String::from_utf8_lossy(&target))),
                Kind::Symlink(target) => {
                    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                    Member::Alias(normalise(directory, &String::from_utf8_lossy(&target)))
                }
                _ => continue,
            };
            members.insert(path, member);
        }
        Ok(Self(members))
    }

    /// Digest and size of a file.
    pub(super) fn find(&self, path: &str) -> Option<(&Digest, u64)> {
        let mut path = normalise("", path);
        // A link to a link to …: nobody writes more than one.
        for _ in 0..8 {
            match self.0.get(&path)? {
                Member::Blob { digest, size } => return Some((digest, *size)),
                Member::Alias(target) => path.clone_from(target),
            }
        }
        None
    }

    /// The content of a document.
    pub(super) fn document(&self, store: &Writer, path: &str, object: &str) -> Result<Vec<u8>> {
        let refuse = |problem: String| Error::Content { object: object.to_owned(), problem };
        let (digest, size) = self.find(path).ok_or_else(|| refuse(format!("it has no {path}")))?;
        if size > MAX_DOCUMENT {
            return Err(refuse(format!("{path} has {size} bytes; {MAX_DOCUMENT} is the limit")));
        }
        store.read_document(digest)
    }

    /// Proves that the archive had this blob.
    pub(super) fn expect(&self, store: &Writer, descriptor: &Descriptor, object: &str) -> Result<()> {
        let path = super::blob_name(&descriptor.digest);
        let problem = match self.find(&path) {
            None if store.has_blob(descriptor) => return Ok(()),
            None => format!("it has no {path}"),
            Some((digest, _)) if *digest != descriptor.digest => format!("{path} has the digest {digest}"),
            Some((_, size)) if size != descriptor.size => {
                format!("{path} has {size} bytes, not {}", descriptor.size)
            }
            Some(_) => return Ok(()),
        };
        Err(Error::Content { object: object.to_owned(), problem })
    }
}

/// The path from the archive's root, with nothing left of `.` and `..`: a name in a table, no file.
fn normalise(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let directory = if path.starts_with('/') { "" } else { directory };
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[test]
    fn paths_in_an_archive_are_names() {
        for (directory, path, name) in [
            ("", "./a//b", "a/b"),
            ("a/b", "../c/layer.tar", "a/c/layer.tar"),
            ("a", "/b", "b"),
            ("a", "../../../b", "b"),
        ] {
            assert_eq!(normalise(directory, path), name);
        }
    }
}
