//! The spans of one call, and the file that they end in.

use alloc::{format, string::String, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    sync::atomic::{AtomicU64, Ordering},
};

use masu_program::record;
use masu_sys::memory::map_words;
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags},
    io::Errno,
    time::{ClockId, clock_gettime},
};
use serde::Serialize;

use super::Work;
use crate::{
    error::{Doing, Result},
    explain::explain_plan,
    files,
    plan::Plan,
};

/// The row of the engine, and that of the container's process.
const ENGINE: u32 = 1;
const INIT: u32 = 2;

/// Now, on the clock of `masu_program::record`.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Realtime);
    record::nanoseconds(time.tv_sec, time.tv_nsec)
}

/// How many steps there is room for; what comes after has no time. Memory that is not written to is not there.
const STEPS: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Recording {
    path: String,
    spans: RefCell<Vec<Span>>,
    /// What init writes down.
    words: Cell<&'static [AtomicU64]>,
    /// What its numbers mean.
    plan: RefCell<Option<Plan>>,
}

#[derive(Debug)]
struct Span {
    work: Work,
    begin: u64,
    end: u64,
}

impl Recording {
    pub(super) fn to_file(path: &str) -> Self {
        Self {
            path: path.into(),
            spans: RefCell::default(),
            words: Cell::default(),
            plan: RefCell::default(),
        }
    }

    pub(super) fn keep(&self, work: Work, begin: u64) {
        self.spans.borrow_mut().push(Span { work, begin, end: now() });
    }

    pub(super) fn share(&self) -> Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let shared = rustix::fs::memfd_create(c"masu-trace", flags).and_then(|file| {
            rustix::fs::ftruncate(&file, record::size(STEPS))?;
            rustix::fs::fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW)?;
            Ok((map_words(file.as_fd())?, file))
        });
        let (words, file) = shared.doing(|| "make the record of masu-init".into())?;
        self.words.set(words);
        Ok(file)
    }

    pub(super) fn remember(&self, plan: &Plan) {
        *self.plan.borrow_mut() = Some(plan.clone());
    }

    pub(super) fn write(&self) -> Result<()> {
        let mut events = self.engine_events();
        if events.is_empty() {
            return Ok(());
        }
        if let Some(plan) = &*self.plan.borrow() {
            // What init did not end, as the call of execve(2), ended at the latest when the engine let go of it.
            let spans = self.spans.borrow();
            let attended =
                spans.iter().find(|span| span.work == Work::Attend).map_or_else(now, |span| span.end);
            events.extend(init_events(plan, self.words.get(), attended)?);
        }
        let origin = events.iter().map(|event| event.begin).min().unwrap_or_default();
        for event in &mut events {
            event.ts = microseconds(event.begin.saturating_sub(origin));
        }
        let document =
            Document { trace_events: &events, display_time_unit: "ns", other_data: Other { begin: origin } };
        let text = serde_json::to_vec(&document).map_err(|_| Errno::ILSEQ);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOCTTY | OFlags::CLOEXEC;
        let written = text.and_then(|text| {
            let file = rustix::fs::openat(CWD, self.path.as_str(), flags, Mode::from_bits_truncate(0o644))?;
            files::write_all(&file, &text)
        });
        written.doing(|| format!("MASU_TRACE: write {:?}", self.path))
    }

    fn engine_events(&self) -> Vec<Event> {
        let spans = self.spans.borrow();
        let mut events: Vec<Event> = spans
            .iter()
            .map(|span| {
                let (name, origin, sentence) = words(span.work);
                let about = About { origin: origin.into(), sentence: sentence.into(), step: None };
                Event::new(ENGINE, name.into(), [span.begin, span.end], about)
            })
            .collect();
        // They were kept when they ended: an outer one after those within.
        events.sort_by_key(|event| event.begin);
        events
    }
}

fn init_events(plan: &Plan, words: &[AtomicU64], attended: u64) -> Result<Vec<Event>> {
    let explanation = explain_plan(plan, None)?;
    let word = |index: usize| words.get(index).map_or(0, |word| word.load(Ordering::Relaxed));
    let steps = explanation.steps.into_iter().filter_map(|step| Some((step.index?, step)));
    Ok(steps
        .filter_map(|(index, step)| {
            let number = u32::try_from(index).ok()?;
            let begin = word(record::begin(number));
            // Not reached, or not in the time that the engine was there.
            (begin != 0).then(|| {
                let end =
                    Some(word(record::end(number))).filter(|end| *end != 0).unwrap_or(attended.max(begin));
                let about = About { origin: step.origin, sentence: step.sentence, step: Some(number) };
                Event::new(INIT, step.step, [begin, end], about)
            })
        })
        .collect())
}

/// The trace-event format's document, in which times are microseconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    trace_events: &'a [Event],
    display_time_unit: &'static str,
    other_data: Other,
}

#[derive(Serialize)]
struct Other {
    /// When the first event began, in nanoseconds since 1970.
    begin: u64,
}

/// A complete event, `ph: X`.
#[derive(Serialize)]
struct Event {
    name: String,
    cat: &'static str,
    ph: &'static str,
    ts: f64,
    dur: f64,
    pid: u32,
    tid: u32,
    args: About,
    #[serde(skip)]
    begin: u64,
}

#[derive(Serialize)]
struct About {
    origin: String,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
}

impl Event {
    fn new(row: u32, name: String, [begin, end]: [u64; 2], args: About) -> Self {
        let cat = if row == ENGINE { "engine" } else { "init" };
        let dur = microseconds(end.saturating_sub(begin));
        Self { name, cat, ph: "X", ts: 0.0, dur, pid: 1, tid: row, args, begin }
    }
}

/// One call takes seconds at most, or hours in the foreground: far from where a double loses a nanosecond.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// The name of a piece of work, the field that asks for it, and what it is.
const fn words(work: Work) -> (&'static str, &'static str, &'static str) {
    match work {
        Work::LoadContainer => ("LoadContainer", "container", "Reads the state of the container."),
        Work::ReadConfig => ("ReadConfig", "container", "Reads config.json."),
        Work::ParseConfig => ("ParseConfig", "container", "Checks config.json, and makes types of it."),
        Work::ProbeHost => {
            ("ProbeHost", "container", "Looks what the machine has: cgroups, ids, the kernel.")
        }
        Work::MakeStateDirectory => {
            ("MakeStateDirectory", "container", "Makes the directory that keeps the container's state.")
        }
        Work::BeginCgroup => (
            "BeginCgroup",
            "linux.cgroupsPath",
            "Makes the cgroup in which the process is born, if it has one.",
        ),
        Work::MakeCgroup => ("MakeCgroup", "linux.cgroupsPath", "Makes the cgroup, and sets its limits."),
        Work::OpenCgroup => {
            ("OpenCgroup", "container", "Opens the files through which init joins the cgroup.")
        }
        Work::Plan => ("Plan", "container", "Takes every decision, and writes it down as a list of steps."),
        Work::Acquire => ("Acquire", "container", "Opens what the steps need from the host."),
        Work::Seal => ("Seal", "container", "Seals the first steps and masu-init into two files in memory."),
        Work::SealProgram => ("SealProgram", "container", "Seals the other steps into a file in memory."),
        Work::Clone => {
            ("Clone", "linux.namespaces", "Makes the process, in its new namespaces, by clone3(2).")
        }
        Work::Attend => ("Attend", "container", "Waits for masu-init, and does its half of every barrier."),
        Work::WriteIdMaps => {
            ("WriteIdMaps", "linux.uidMappings", "Writes the id maps of the user namespace.")
        }
        Work::Assemble => {
            ("Assemble", "hooks", "Runs the hooks before the root is entered, and moves the network devices.")
        }
        Work::Record => {
            ("Record", "container", "Writes the state, the pid file, and what else is told of the process.")
        }
        Work::RunPoststart => ("RunPoststart", "hooks.poststart", "Runs the hooks after the start."),
        Work::Wait => ("Wait", "process.args", "Waits for the end of the container's program."),
        Work::Delete => ("Delete", "container", "Removes the cgroup, and the state."),
    }
}
