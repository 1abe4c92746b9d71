//! What a call spends its time on, for `masu trace`.
//!
//! [`Trace`] goes with the options through the whole of a call, and [`Trace::measure`] is around each piece of the engine's
//! own [`Work`]; masu-init writes down the steps in memory that the two share. All of it is in a second build of the
//! engine (the feature `trace`, docs/decisions/0027): in the one that engines call, `measure` is the call that it is
//! given, and nothing else is left.

#[cfg(feature = "trace")]
mod recording;

use rustix::fd::OwnedFd;

#[cfg(feature = "trace")]
use self::recording::Recording;
use crate::{error::Result, plan::Plan};

/// A piece of the engine's work, in the order of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// The state of a container, for `exec`.
    LoadContainer,
    /// config.json, as bytes.
    ReadConfig,
    /// config.json, as types.
    ParseConfig,
    /// What the machine has.
    ProbeHost,
    /// The state directory, with a copy of config.json.
    MakeStateDirectory,
    /// The cgroup, as far as it has to be there before the process.
    BeginCgroup,
    /// The rest of the cgroup, and its limits.
    MakeCgroup,
    /// The descriptors through which init joins it.
    OpenCgroup,
    /// The list of steps.
    Plan,
    /// What the steps need from the host.
    Acquire,
    /// The beginning of the program and masu-init, as sealed files.
    Seal,
    /// The rest of the program.
    SealProgram,
    /// clone3(2), as the engine sees it.
    Clone,
    /// From then on until the program runs, or waits for its start.
    Attend,
    /// The engine's half of the barrier `Mapped`.
    WriteIdMaps,
    /// The engine's half of the barrier `Assembled`.
    Assemble,
    /// The engine's half of the barrier `Ready`.
    Record,
    /// Hooks of the kind `poststart`.
    RunPoststart,
    /// The container's program, as long as the engine waits for it.
    Wait,
    /// The removal of all that is left.
    Delete,
}

/// Where the spans of one call are kept. It writes nothing unless it was made by `Trace::to_file`.
#[derive(Debug, Default)]
pub struct Trace {
    #[cfg(feature = "trace")]
    recording: Option<Recording>,
}

#[cfg(not(feature = "trace"))]
impl Trace {
    /// Does the work.
    #[inline(always)]
    pub fn measure<T>(&self, _: Work, act: impl FnOnce() -> T) -> T {
        act()
    }

    /// Nothing: this engine's init writes nothing down.
    #[inline(always)]
    pub(crate) const fn share(&self) -> Result<Option<OwnedFd>> {
        Ok(None)
    }

    /// Nothing: there is no record that it would explain.
    #[inline(always)]
    pub(crate) const fn remember(&self, _: &Plan) {}
}

#[cfg(feature = "trace")]
impl Trace {
    /// A trace that [`Trace::write`] puts into the file `path`.
    #[must_use]
    pub fn to_file(path: &str) -> Self {
        Self { recording: Some(Recording::to_file(path)) }
    }

    /// Does the work, and keeps when it began and ended.
    pub fn measure<T>(&self, work: Work, act: impl FnOnce() -> T) -> T {
        let begin = recording::now();
        let done = act();
        if let Some(recording) = &self.recording {
            recording.keep(work, begin);
        }
        done
    }

    /// The memory in which init writes down its steps; `None` when nothing is recorded.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(crate) fn share(&self) -> Result<Option<OwnedFd>> {
        self.recording.as_ref().map(Recording::share).transpose()
    }

    /// What the numbers mean that init writes down.
    pub(crate) fn remember(&self, plan: &Plan) {
        if let Some(recording) = &self.recording {
            recording.remember(plan);
        }
    }

    /// Writes the file anew: a trace-event document, which Perfetto opens and `masu trace` draws. A call that does nothing
    /// of note, as `start` and `state` that an engine makes after `create`, leaves the file as it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self) -> Result<()> {
        self.recording.as_ref().map_or(Ok(()), Recording::write)
    }
}
