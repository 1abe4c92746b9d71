//! Whiteouts and opaque directories. They speak of the layers below alone: what this layer has is not touched,
//! whether it comes before or after them (image-spec, layer.md, "Whiteouts").

use super::error::Error;
use super::lower::{self, is_whiteout, names, open_below};
use super::path;
use super::tree::{Absent, Seen, Tree};
use rustix::fs::{AtFlags, Dev, FileType, Mode, OFlags, mknodat, statat};
use std::os::fd::{AsFd, BorrowedFd};

impl Tree<'_> {
    /// `given` of the layers below is gone.
    pub(super) fn whiteout(&mut self, given: &[u8]) -> Result<(), Error> {
        let Some((directory, name)) = path::split(given) else { return Ok(()) };
        // Where its directory is not, there is nothing to hide, and none is to be made for it.
        let parent = self.parent(directory, Absent::Leave)?;
        let Some(parent) = parent.filter(|_| self.is_upper()) else { return Ok(()) };
        let path = path::join(&parent.path, name);
        match self.look(&parent.fd, name, &path)? {
            Seen::Nothing | Seen::Whiteout => Ok(()),
            // Only where there is something: overlayfs lists a whiteout in a directory that has nothing below.
            Seen::Below(_) => self.make_whiteout(parent.fd.as_fd(), name, &path),
            Seen::Here(_) if self.copied.contains(&path) => {
                self.clear(parent.fd.as_fd(), name, &path)?;
                self.make_whiteout(parent.fd.as_fd(), name, &path)
            }
            Seen::Here(stat) if self.made.is_some() => self.remove_old(parent.fd.as_fd(), name, &path, &stat),
            Seen::Here(stat) if lower::kind(&stat) == FileType::Directory => self.hide_below(&path),
            Seen::Here(_) => Ok(()),
        }
    }

    fn make_whiteout(&mut self, directory: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), Error> {
        self.has_whiteouts = true;
        mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), Dev::default())
            .map_err(Error::system("mknodat", path))
    }

    /// What the layers below have in the directory `given` is gone.
    pub(super) fn opaque(&mut self, given: &[u8]) -> Result<(), Error> {
        let parent = self.parent(given, Absent::Leave)?;
        let Some(parent) = parent.filter(|_| self.is_upper()) else { return Ok(()) };
        if self.made.is_some() {
            return self.remove_old_in(parent.fd.as_fd(), &parent.path.clone());
        }
        if !parent.path.is_empty() {
            return self.hide_below(&parent.path.clone());
        }
        // overlayfs merges the roots of its layers whatever they are marked as.
        for name in self.lower.top_level()? {
            self.whiteout(&name)?;
        }
        Ok(())
    }

    /// Marks a directory as opaque. What is copied from below goes, and so do the whiteouts in it, which would now be
    /// listed as files.
    fn hide_below(&mut self, path: &[u8]) -> Result<(), Error> {
        self.opaque.insert(path.to_vec());
        // A directory comes before what is in it, and takes that along.
        while let Some(copy) = self.copied.range(path::range_below(path)).next().cloned() {
            let Some((directory, name)) = path::split(&copy) else { break };
            let directory = open_below(self.root, directory, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(Error::system("openat2", directory))?;
            self.clear(directory.as_fd(), name, &copy)?;
        }
        if self.has_whiteouts {
            let directory = open_below(self.root, path, OFlags::PATH | OFlags::DIRECTORY)
                .map_err(Error::system("openat2", path))?;
            remove_whiteouts(directory.as_fd()).map_err(Error::system("unlinkat", path))?;
        }
        Ok(())
    }

    /// Removes what earlier layers have merged into a directory that is there.
    fn remove_old_in(&mut self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<(), Error> {
        for name in names(directory).map_err(Error::system("read", path))? {
            let stat =
                statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::system("stat", path))?;
            self.remove_old(directory, &name, &path::join(path, &name), &stat)?;
        }
        Ok(())
    }

    fn remove_old(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        path: &[u8],
        stat: &rustix::fs::Stat,
    ) -> Result<(), Error> {
        let is_new = self.made.as_ref().is_none_or(|made| made.contains(path));
        match (is_new, lower::kind(stat)) {
            (false, _) => self.clear(directory, name, path),
            (true, FileType::Directory) => {
                let below = open_below(directory, name, OFlags::PATH | OFlags::DIRECTORY)
                    .map_err(Error::system("openat2", path))?;
                self.remove_old_in(below.as_fd(), path)
            }
            (true, _) => Ok(()),
        }
    }
}

fn remove_whiteouts(directory: BorrowedFd<'_>) -> rustix::io::Result<()> {
    for name in names(directory)? {
        let stat = statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if is_whiteout(&stat) {
            rustix::fs::unlinkat(directory, &name, AtFlags::empty())?;
        } else if lower::kind(&stat) == FileType::Directory {
            let below = open_below(directory, &name, OFlags::PATH | OFlags::DIRECTORY)?;
            remove_whiteouts(below.as_fd())?;
        }
    }
    Ok(())
}
