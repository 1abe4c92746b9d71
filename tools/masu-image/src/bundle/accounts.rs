//! The image's own passwd(5) and group(5): files of a stranger.

use super::user::Accounts;
use crate::{Error, Result};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use rustix::io::Errno;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A file that has more to say is no list of a container's users.
const LIMIT: u64 = 4 << 20;

/// Reads both, within the root and through no magic link; what is missing, or not for the caller, is empty.
///
/// # Errors
///
/// [`Error::File`] for what cannot be read, or is no regular file: a fifo would be waited for, for ever.
pub(super) fn read(rootfs: &Path) -> Result<Accounts> {
    Ok(Accounts { passwd: read_one(rootfs, "etc/passwd")?, group: read_one(rootfs, "etc/group")? })
}

fn read_one(rootfs: &Path, name: &str) -> Result<String> {
    let path = rootfs.join(name);
    let file = Error::file("read", &path);
    let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        open(rootfs, directory, Mode::empty()).map_err(|errno| Error::file("open", rootfs)(errno.into()))?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(&root, name, flags, Mode::empty(), resolve) {
        // On the root that an ordinary user is in, some are not to be read: podman 4 gives a container such a group file.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => return Ok(String::new()),
        opened => opened,
    };
    let read = || -> std::io::Result<String> {
        let opened = opened?;
        if FileType::from_raw_mode(fstat(&opened)?.st_mode) != FileType::RegularFile {
            return Err(std::io::Error::other("it is no regular file"));
        }
        let mut bytes = Vec::new();
        File::from(opened).take(LIMIT).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_leads_nowhere_outside_and_a_fifo_is_not_waited_for() {
        let root = std::env::temp_dir().join(format!("masu-accounts-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        assert_eq!(read(&root).unwrap().passwd, "");
        symlink("/etc/hostname", root.join("etc/passwd")).unwrap();
        assert_eq!(read(&root).unwrap().passwd, "", "the host's file was read");
        symlink("../../../own", root.join("etc/group")).unwrap();
        std::fs::write(root.join("own"), "own:x:5:").unwrap();
        assert_eq!(read(&root).unwrap().group, "own:x:5:");
        std::fs::remove_file(root.join("etc/group")).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, root.join("etc/group"), FileType::Fifo, mode, 0).unwrap();
        let error = read(&root).unwrap_err().to_string();
        std::fs::remove_dir_all(&root).unwrap();
        assert!(error.ends_with("etc/group: it is no regular file"), "{error}");
    }
}
