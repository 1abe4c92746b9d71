//! The container's terminal: a pair made in the container's own devpts, so that its name is right inside and nothing of
//! the host's terminals is in reach.

use masu_program::{Frame, Part};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid},
    io::Errno,
    mount::OpenTreeFlags,
    pty::OpenptFlags,
    termios::Winsize,
};

use crate::{
    channel::Channel,
    failure::{At, Result, fail},
    filesystem::{attach, clone},
    path::{self, Above, IN_ROOT, NAMED},
};

/// `DEVPTS_SUPER_MAGIC`, statfs(2).
const DEVPTS_MAGIC: u64 = 0x1cd1;

/// The slave side, once there is one.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    slave: Option<OwnedFd>,
}

impl Terminal {
    /// Makes the pair in the devpts of `root`, and sends the master over the channel.
    pub(crate) fn open(
        &mut self,
        root: BorrowedFd<'_>,
        uid: u32,
        size: Option<(u16, u16)>,
        channel: &Channel,
    ) -> Result<()> {
        let master = open_master(root)?;
        rustix::pty::unlockpt(&master).at(Part::UnlockTerminal)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).at(Part::OpenSlave)?;
        if let Some((rows, columns)) = size {
            let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            rustix::termios::tcsetwinsize(&master, size).at(Part::ResizeTerminal)?;
        }
        if rustix::fs::fstat(&slave).at(Part::Stat)?.st_uid != uid {
            rustix::fs::fchown(&slave, Some(Uid::from_raw(uid)), None::<Gid>).at(Part::ChangeOwner)?;
        }
        channel.send_descriptor(Frame::Terminal, master.as_fd())?;
        self.slave = Some(slave);
        Ok(())
    }

    /// Mounts the slave on `/dev/console` of `root`: a clone of the very file, not of a path to it.
    pub(crate) fn mount_console(&self, root: BorrowedFd<'_>) -> Result<()> {
        let mut above = Above::default();
        let (above, name) = above.open(root, c"/dev/console", IN_ROOT)?;
        let place = match path::open(above, name, OFlags::PATH, NAMED) {
            Err(Errno::NOENT) => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(above, name, flags, Mode::RUSR | Mode::WUSR).at(Part::MakeFile)?
            }
            outcome => outcome.at(Part::OpenTarget)?,
        };
        attach(clone(self.slave()?, OpenTreeFlags::empty())?.as_fd(), place.as_fd())
    }

    /// Makes the slave the session's controlling terminal and the process's standard streams.
    pub(crate) fn take(&mut self) -> Result<()> {
        let slave = self.slave()?;
        rustix::process::ioctl_tiocsctty(slave).at(Part::ControlTerminal)?;
        rustix::stdio::dup2_stdin(slave).at(Part::Duplicate)?;
        rustix::stdio::dup2_stdout(slave).at(Part::Duplicate)?;
        rustix::stdio::dup2_stderr(slave).at(Part::Duplicate)?;
        self.slave = None;
        Ok(())
    }

    fn slave(&self) -> Result<BorrowedFd<'_>> {
        self.slave.as_ref().map(AsFd::as_fd).ok_or(fail(Part::Open, Errno::BADF))
    }
}

/// Opens `ptmx` in the devpts at `/dev/pts`. The directory is proven to be a devpts before anything in it is opened:
/// an image can bring any device node under any name, and opening some of them does harm.
fn open_master(root: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let devpts = path::open(root, c"dev/pts", flags, IN_ROOT).at(Part::FindDevpts)?;
    let magic = rustix::fs::fstatfs(&devpts).at(Part::FindDevpts)?.f_type;
    if u64::try_from(magic) != Ok(DEVPTS_MAGIC) {
        return Err(fail(Part::FindDevpts, Errno::NODEV));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master =
        path::open(devpts.as_fd(), c"ptmx", flags, NAMED | ResolveFlags::NO_XDEV).at(Part::OpenMaster)?;
    let status = rustix::fs::fstat(&master).at(Part::Stat)?;
    let character = FileType::from_raw_mode(status.st_mode) == FileType::CharacterDevice;
    if character && status.st_rdev == rustix::fs::makedev(5, 2) {
        Ok(master)
    } else {
        Err(fail(Part::WrongDevice, Errno::NODEV))
    }
}
