//! When each step began and ended, for `masu trace`.
//!
//! Only the engine of `masu trace` embeds an init that writes it (the feature `trace`); in every other one nothing is
//! left of this module.

use core::ffi::CStr;

#[cfg(feature = "trace")]
use {
    core::sync::atomic::{AtomicU64, Ordering},
    masu_program::record,
    rustix::{
        fd::AsFd,
        time::{ClockId, clock_gettime},
    },
};

/// Memory shared with the engine, as `masu_program::record` has it. Without it nothing is written.
pub(crate) struct Record {
    #[cfg(feature = "trace")]
    words: &'static [AtomicU64],
}

#[cfg(feature = "trace")]
impl Record {
    /// Maps the descriptor of an argument. A start without its record is a start all the same.
    pub(crate) fn open(argument: Option<&CStr>) -> Self {
        let file = crate::run::descriptor(argument);
        let words = file.and_then(|file| masu_sys::memory::map_words(file.as_fd()));
        Self { words: words.unwrap_or_default() }
    }

    pub(crate) fn begin(&self, step: u32) {
        self.write(record::begin(step));
    }

    pub(crate) fn end(&self, step: u32) {
        self.write(record::end(step));
    }

    fn write(&self, index: usize) {
        if let Some(word) = self.words.get(index) {
            let time = clock_gettime(ClockId::Realtime);
            word.store(record::nanoseconds(time.tv_sec, time.tv_nsec), Ordering::Relaxed);
        }
    }
}

#[cfg(not(feature = "trace"))]
impl Record {
    pub(crate) const fn open(_: Option<&CStr>) -> Self {
        Self {}
    }

    pub(crate) const fn begin(&self, _: u32) {}

    pub(crate) const fn end(&self, _: u32) {}
}
