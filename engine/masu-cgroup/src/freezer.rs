//! Freezing: every process of the cgroup stops until it is thawed.

use rustix::io::Errno;

use crate::backoff::Backoff;
use crate::cgroup::Cgroup;
use crate::dir::OpenMounts;
use crate::error::{Error, Result};
use crate::events::{Event, Events};
use crate::member::Member;

/// What the freezer says (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreezerState {
    /// Running. Also when only a cgroup above is frozen: that is not this container's doing.
    Thawed,
    /// On the way: some task is not stopped yet.
    Freezing,
    /// All stopped.
    Frozen,
}

/// How often a freeze that stays at FREEZING is begun anew. Tasks that appear while a version 1 cgroup freezes can
/// keep it there for good; a short thaw lets the forks come to an end (runc's "pause with parallel exec").
const WRITES_BETWEEN_THAWS: u32 = 16;

impl Cgroup {
    /// Stops every process and returns when all have stopped. Freezing what is frozen is right.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreezer`]; [`Error::FreezeTimeout`] after about 2 s, and then the cgroup is thawed again: half
    /// frozen it would hang whoever waits for one of its processes.
    pub fn freeze(&self) -> Result<()> {
        let member = self.freezer()?;
        let frozen = reach_frozen(member);
        if frozen.is_err() {
            // Ignored: the error of freezing says more.
            let _ = set(member, false);
        }
        frozen
    }

    /// Lets every process run again.
    ///
    /// # Errors
    ///
    /// [`Error::NoFreezer`], [`Error::Io`].
    pub fn thaw(&self) -> Result<()> {
        set(self.freezer()?, false)
    }

    /// What the freezer says now. A container without a freezer is thawed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; a cgroup that is gone is thawed.
    pub fn freezer_state(&self) -> Result<FreezerState> {
        match self.freezer() {
            Ok(member) => state(member),
            Err(_) => Ok(FreezerState::Thawed),
        }
    }

    /// Is the container paused? Waits for a freeze that is under way to come to its end.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn is_frozen(&self) -> Result<bool> {
        let mut backoff = Backoff::for_freezing();
        loop {
            match self.freezer_state()? {
                FreezerState::Thawed => return Ok(false),
                FreezerState::Frozen => return Ok(true),
                // Told to freeze, and stuck on the way: no process may be started in it either way.
                FreezerState::Freezing if !backoff.wait() => return Ok(true),
                FreezerState::Freezing => (),
            }
        }
    }

    /// As [`is_frozen`](Self::is_frozen), for who looks at many cgroups.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn is_frozen_from(&self, mounts: &OpenMounts) -> Result<bool> {
        if let Ok(member) = self.freezer() {
            member.share_mount(mounts)?;
        }
        self.is_frozen()
    }

    /// The version 1 freezer, or the unified hierarchy, whose every cgroup has one (Linux 5.2).
    fn freezer(&self) -> Result<&Member> {
        self.member("freezer").or_else(|| self.member("")).ok_or(Error::NoFreezer)
    }
}

fn reach_frozen(member: &Member) -> Result<()> {
    let mut backoff = Backoff::for_freezing();
    if member.version_2 {
        // Whoever is forked or moved in while it freezes is frozen too: one write is enough.
        set(member, true)?;
        let failed = |errno| member.failed("read", "cgroup.events", errno);
        let events = Events::open(member.dir()?).map_err(failed)?;
        return match events.wait_for(Event::Frozen, &mut backoff).map_err(failed)? {
            true => Ok(()),
            false => Err(Error::FreezeTimeout(member.path.clone(), "frozen 0".into())),
        };
    }
    let mut writes = 0;
    loop {
        set(member, true)?;
        writes += 1;
        match state(member)? {
            FreezerState::Frozen => return Ok(()),
            _ if !backoff.wait() => {
                let text = member.read("freezer.state")?;
                return Err(Error::FreezeTimeout(member.path.clone(), text.trim().into()));
            }
            _ if writes % WRITES_BETWEEN_THAWS == 0 => set(member, false)?,
            _ => (),
        }
        // Freezing may have ended while this process slept; a second write would be lost time.
        if state(member)? == FreezerState::Frozen {
            return Ok(());
        }
    }
}

fn set(member: &Member, frozen: bool) -> Result<()> {
    let (file, value) = match (member.version_2, frozen) {
        (true, true) => ("cgroup.freeze", "1"),
        (true, false) => ("cgroup.freeze", "0"),
        (false, true) => ("freezer.state", "FROZEN"),
        (false, false) => ("freezer.state", "THAWED"),
    };
    member.dir()?.write(file, value).map_err(|errno| member.failed("write", file, errno))
}

/// What the freezer says. The cgroup may go at any time, as when systemd removes that of a container that was just killed.
fn state(member: &Member) -> Result<FreezerState> {
    match look(member) {
        Err(Error::Io { errno: Errno::NOENT | Errno::NODEV, .. }) => Ok(FreezerState::Thawed),
        outcome => outcome,
    }
}

fn look(member: &Member) -> Result<FreezerState> {
    let text = member.read_alone(if member.version_2 { "cgroup.freeze" } else { "freezer.state" })?;
    if member.version_2 {
        if text.trim() != "1" {
            return Ok(FreezerState::Thawed);
        }
        let failed = |errno| member.failed("read", "cgroup.events", errno);
        let frozen =
            Events::open(member.dir()?).and_then(|events| events.is(Event::Frozen)).map_err(failed)?;
        return Ok(if frozen { FreezerState::Frozen } else { FreezerState::Freezing });
    }
    match text.trim() {
        "THAWED" => Ok(FreezerState::Thawed),
        // Frozen itself, or only because a cgroup above is?
        "FROZEN" | "FREEZING"
            if member.read_optional("freezer.self_freezing")?.is_some_and(|text| text.trim() == "0") =>
        {
            Ok(FreezerState::Thawed)
        }
        "FROZEN" => Ok(FreezerState::Frozen),
        "FREEZING" => Ok(FreezerState::Freezing),
        _ => Err(Error::Malformed("freezer.state".into(), text)),
    }
}
