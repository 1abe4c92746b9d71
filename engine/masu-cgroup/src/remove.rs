//! Taking the cgroup away again.

use rustix::io::Errno;

use crate::backoff::Backoff;
use crate::cgroup::Cgroup;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::member::Member;
use crate::systemd::Unit;

impl Cgroup {
    /// Removes the cgroup with those below it, in every hierarchy, waiting for processes that are about to leave.
    /// Directories above it that masu made go too when nobody else uses them. What is gone already is right.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] with the processes that stay, after about 2 s in all; [`Error::Io`]. Every hierarchy is
    /// tried, and the first error told.
    pub fn remove(&mut self) -> Result<()> {
        let stopped = self.unit.as_mut().map_or(Ok(()), Unit::stop);
        let mut backoff = Backoff::for_removal();
        let mut result = Ok(());
        for member in &mut self.members {
            result = result.and(member.remove(&mut backoff));
        }
        let result = match stopped {
            // What is gone needs nobody to remove it.
            Err(Error::NoSystemd(_)) if result.is_ok() => Ok(()),
            stopped => stopped.and(result),
        };
        if result.is_ok() {
            self.remove_on_drop = false;
        }
        result
    }
}

impl Member {
    /// The cgroup, whoever made it: runc too removes one that it found empty.
    fn remove(&mut self, backoff: &mut Backoff) -> Result<()> {
        let names = self.path.split('/').filter(|name| !name.is_empty()).count();
        self.remove_last(self.made.max(1).min(names), backoff)
    }

    /// What create made, and no more.
    pub(crate) fn remove_made(&mut self, backoff: &mut Backoff) -> Result<()> {
        let result = self.remove_last(self.made, backoff);
        if result.is_ok() {
            self.made = 0;
        }
        result
    }

    /// Removes the path's last `count` names, the last one in any case and with all below it, the ones above it
    /// only when they are empty.
    fn remove_last(&self, count: usize, backoff: &mut Backoff) -> Result<()> {
        let mut path = self.path.as_str();
        for step in 0..count {
            let Some((parent, name)) = path.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
                break; // never the hierarchy itself
            };
            let opened = Dir::open_mount(&self.mount_point, self.version_2).and_then(|mount| match parent {
                "" => Ok(mount),
                _ => mount.open(parent).map_err(|errno| self.failed("openat2", "", errno)),
            });
            let parent_dir = match opened {
                Ok(dir) => dir,
                Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) if step == 0 => {
                    path = parent;
                    continue;
                }
                Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => break,
                Err(error) => return Err(error),
            };
            match parent_dir.remove(name) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => (),
                Err(Errno::BUSY | Errno::NOTEMPTY) if step > 0 => break, // somebody else's by now
                Err(Errno::BUSY | Errno::NOTEMPTY) => self.remove_tree(&parent_dir, name, backoff)?,
                // A read-only mount says EROFS even of what does not exist.
                Err(errno) => match parent_dir.open(name) {
                    Err(Errno::NOENT) => (),
                    _ => return Err(self.failed("rmdir", "", errno)),
                },
            }
            path = parent;
        }
        Ok(())
    }

    /// Children first. A cgroup that still has tasks is tried again until the time is used up.
    fn remove_tree(&self, parent: &Dir, name: &str, backoff: &mut Backoff) -> Result<()> {
        let failed = |call, errno| self.failed(call, "", errno);
        loop {
            let dir = match parent.open(name) {
                Ok(dir) => dir,
                Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
                Err(errno) => return Err(failed("openat2", errno)),
            };
            for child in dir.children().map_err(|errno| failed("getdents64", errno))? {
                self.remove_tree(&dir, &child, backoff)?;
            }
            match parent.remove(name) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
                Err(Errno::BUSY | Errno::NOTEMPTY) if self.wait(&dir, backoff) => (),
                Err(Errno::BUSY | Errno::NOTEMPTY) => {
                    return Err(Error::Busy { path: self.path_for_message_only(), pids: self.processes()? });
                }
                Err(errno) => return Err(failed("rmdir", errno)),
            }
        }
    }
    /// Waits until the cgroup may be empty; false when the time is used up.
    fn wait(&self, dir: &Dir, backoff: &mut Backoff) -> bool {
        if !self.version_2 {
            return backoff.wait();
        }
        // One that is empty, and busy all the same, is about to be let go: that is told by nothing.
        let empty = Events::open(dir).and_then(|events| match events.is(Event::Empty)? {
            true => Ok(backoff.wait()),
            false => events.wait_for(Event::Empty, backoff),
        });
        empty.unwrap_or_else(|_| backoff.wait())
    }
}
