//! What all parts of the store do with files.

use super::Store;
use crate::{Digest, Error, Result};
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Opens a file to be locked; makes it where it can.
pub(super) fn open_lock(path: &Path) -> Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    file.map_err(Error::file("open", path))
}

/// A path in `tmp` that nobody else uses.
pub(super) fn temporary(store: &Store, prefix: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    store.path().join("tmp").join(format!("{prefix}-{}-{number}", std::process::id()))
}

/// Replaces a file at once, and so that it survives a power cut: it is the one that names what there is.
pub(super) fn write_atomically(store: &Store, path: &Path, bytes: &[u8]) -> Result<()> {
    let new = temporary(store, "file");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|error| {
        // The first error is the one to tell.
        std::fs::remove_file(&new).ok();
        Error::file("write", path)(error)
    })
}

/// Whether an open file is still the one of that path: somebody may have renamed or removed it before it was locked.
pub(super) fn is_still_at(file: &File, path: &Path) -> Result<bool> {
    let own = file.metadata().map_err(Error::file("stat", path))?;
    Ok(path.symlink_metadata().is_ok_and(|there| (there.dev(), there.ino()) == (own.dev(), own.ino())))
}

/// Proves that these bytes have this digest.
pub(super) fn check_digest(bytes: &[u8], digest: &Digest, what: &str) -> Result<()> {
    let actual = digest.algorithm().digest(bytes);
    if actual == *digest {
        return Ok(());
    }
    Err(Error::Content {
        object: format!("{what} {digest}"),
        problem: format!("its content has the digest {actual}"),
    })
}

/// The entries of a directory; none when it is not there.
pub(crate) fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read", directory)(error)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths.collect::<std::io::Result<_>>().map_err(Error::file("read", directory))
}

/// Removes a tree, or a file. Directories that their own owner may not enter are opened up first: layers have them, and
/// an ordinary user is stopped by them.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let remove = |path: &Path| match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    match remove(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            remove(path)
        }
        other => other,
    }
    .map_err(Error::file("remove", path))
}

/// The same for what is known by its name: it has none before the first part of it goes, so that a kill leaves all of it,
/// or nothing but what `tmp` has.
pub(super) fn remove_whole(store: &Store, path: &Path) -> Result<()> {
    let nameless = temporary(store, "removed");
    std::fs::rename(path, &nameless).map_err(Error::file("remove", path))?;
    remove_tree(&nameless)
}

fn open_up(directory: &Path) -> Result<()> {
    std::fs::set_permissions(directory, Permissions::from_mode(0o700))
        .map_err(Error::file("chmod", directory))?;
    for entry in list(directory)? {
        if entry.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            open_up(&entry)?;
        }
    }
    Ok(())
}
