//! `masu logs`: what a box in the background has said, and goes on to say.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use masu_app::{Failure, Result};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use super::log::{CURRENT, FORMER, Record, Stream, parse_record};
use super::options::one;
use super::status::Watched;
use super::time::{Time, parse_rfc3339, parse_since};
use crate::Session;
use crate::image::arguments;

/// The options.
pub(crate) fn command() -> Command {
    let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
    let value = |name: &'static str, value: &'static str| Arg::new(name).long(name).value_name(value);
    Command::new("logs")
        .about("Show what a box in the background has said")
        .before_help(
            "Its standard output goes to standard output, and its standard error to standard error. A box goes when its \
             program has ended, and its output with it, unless masu box had --keep.",
        )
        .after_help("Example:\n  The last ten lines, and what comes after them\n    masu logs -f --tail 10 web")
        .arg(flag("follow").short('f').help("Go on until the box has ended"))
        .arg(
            value("tail", "NUMBER").short('n').value_parser(value_parser!(u64)).help("Only so many lines from the end"),
        )
        .arg(
            value("since", "TIME")
                .help("Only what was said since then: 90s, 10m, 1h30m ago, or a time as 2026-11-23T21:38:13Z"),
        )
        .arg(flag("timestamps").short('t').help("Put the time before each line"))
        .arg(Arg::new("box").value_name("BOX").required(true).help("Name of the box"))
        .arg(arguments::store_option())
}

/// Prints them.
pub(crate) fn run(_session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    let name = one(matches, "box").unwrap_or_default();
    let directory = super::find(&store, name)?;
    let told = |error: std::io::Error| Failure::new(format!("the output of box {name}: {error}"));
    let Some(watched) = Watched::open(&directory)? else {
        let message = format!("box {name} is not in the background: its output is nowhere kept");
        return Err(Failure::with_hint(message, "masu box -d"));
    };
    let mut show =
        Show { since: since(matches)?, timestamps: matches.get_flag("timestamps"), ..Show::default() };
    // Before the first line is read, so that none is missed.
    let notices = matches.get_flag("follow").then(|| Notices::watch(&directory)).transpose().map_err(told)?;
    let mut output = Output::open(&directory).map_err(told)?;
    if let Some(number) = matches.get_one::<u64>("tail") {
        show.skip = output.count().map_err(told)?.saturating_sub(*number);
    }
    let shown = follow(&mut output, &mut show, &watched, notices);
    match shown.and_then(|()| show.flush()) {
        // A reader that has seen enough, as `head` has, is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(told(error)),
        _ => Ok(()),
    }
}

fn since(matches: &ArgMatches) -> Result<Option<Time>> {
    let Some(text) = one(matches, "since") else { return Ok(None) };
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let time = parse_since(text, now).ok_or_else(|| {
        let hint = "90s, 10m, 1h30m, or a time as 2026-11-23T21:38:13Z";
        Failure::with_hint(format!("--since {text}: it is no time"), hint)
    });
    time.map(Some)
}

fn follow(
    output: &mut Output,
    show: &mut Show,
    watched: &Watched,
    notices: Option<Notices>,
) -> std::io::Result<()> {
    let Some(mut notices) = notices else { return output.read(show) };
    let mut has_ended = watched.has_ended();
    loop {
        output.read(show)?;
        show.flush()?;
        if has_ended {
            return Ok(());
        }
        // What was said last was said before the end.
        has_ended = notices.wait()? || watched.has_ended();
    }
}

/// The files of the output, the one that is written to last.
struct Output {
    directory: PathBuf,
    former: Option<BufReader<File>>,
    current: BufReader<File>,
    /// What there is so far of a line.
    rest: Vec<u8>,
}

impl Output {
    fn open(directory: &Path) -> std::io::Result<Self> {
        // In this order, a file that becomes the former one meanwhile is the same as the other, and none is missed.
        let current = File::open(directory.join(CURRENT))?;
        let former = match File::open(directory.join(FORMER)) {
            Ok(file) if file.metadata()?.ino() != current.metadata()?.ino() => Some(BufReader::new(file)),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => None,
        };
        let current = BufReader::new(current);
        Ok(Self { directory: directory.to_owned(), former, current, rest: Vec::new() })
    }

    /// The lines of the program that are there, and goes back to the first.
    fn count(&mut self) -> std::io::Result<u64> {
        let (mut lines, mut is_within) = (0, false);
        let mut line = Vec::new();
        for file in self.former.iter_mut().chain([&mut self.current]) {
            while file.read_until(b'\n', &mut line)? > 0 {
                is_within = parse_record(&line).is_some_and(|record| !record.whole);
                lines += u64::from(!is_within);
                line.clear();
            }
            file.rewind()?;
        }
        Ok(lines + u64::from(is_within))
    }

    /// Shows all that there is.
    fn read(&mut self, show: &mut Show) -> std::io::Result<()> {
        if let Some(mut former) = self.former.take() {
            read_lines(&mut former, &mut self.rest, show)?;
        }
        loop {
            // Asked before the last line is read: nothing is added to what has another name.
            let newer = match File::open(self.directory.join(CURRENT)) {
                Ok(file) if file.metadata()?.ino() != self.current.get_ref().metadata()?.ino() => Some(file),
                // NotFound: the box is gone, or its file is about to be made.
                _ => None,
            };
            read_lines(&mut self.current, &mut self.rest, show)?;
            match newer {
                Some(file) => self.current = BufReader::new(file),
                None => return Ok(()),
            }
        }
    }
}

fn read_lines(file: &mut BufReader<File>, rest: &mut Vec<u8>, show: &mut Show) -> std::io::Result<()> {
    while file.read_until(b'\n', rest)? > 0 {
        if let Some(line) = rest.strip_suffix(b"\n") {
            if let Some(record) = parse_record(line) {
                show.record(&record)?;
            }
            rest.clear();
        }
    }
    Ok(())
}

/// What is shown, and how.
#[derive(Default)]
struct Show {
    since: Option<Time>,
    timestamps: bool,
    /// Lines that are passed over first.
    skip: u64,
    /// What was not printed yet, all of one stream: together they may be one terminal.
    buffer: Vec<u8>,
    is_error: bool,
    /// Whether a line of standard output, and one of standard error, has begun.
    within: [bool; 2],
}

impl Show {
    fn record(&mut self, record: &Record<'_>) -> std::io::Result<()> {
        if self.skip > 0 {
            self.skip -= u64::from(record.whole);
            return Ok(());
        }
        if self.since.is_some_and(|since| parse_rfc3339(record.time).is_some_and(|time| time < since)) {
            return Ok(());
        }
        let is_error = record.stream == Stream::Err;
        // A terminal's lines end where a person reads them, not at the end of a buffer of some size.
        if is_error != self.is_error || self.buffer.len() > 64 << 10 {
            self.flush()?;
            self.is_error = is_error;
        }
        let [out, err] = &mut self.within;
        let within = if is_error { err } else { out };
        if self.timestamps && !*within {
            self.buffer.extend_from_slice(record.time.as_bytes());
            self.buffer.push(b' ');
        }
        *within = !record.whole;
        self.buffer.extend_from_slice(record.text);
        if record.whole {
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.is_error {
            std::io::stderr().write_all(&self.buffer)?;
        } else {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(&self.buffer)?;
            stdout.flush()?;
        }
        self.buffer.clear();
        Ok(())
    }
}

/// Tells when there is something to be looked at.
struct Notices {
    inotify: OwnedFd,
    /// The watch of the status, which is open for writing until the supervisor ends.
    status: i32,
}

impl Notices {
    fn watch(directory: &Path) -> std::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC)?;
        inotify::add_watch(&inotify, directory, WatchFlags::MODIFY | WatchFlags::CREATE)?;
        // By itself, as the box's directory goes before its supervisor.
        let status = inotify::add_watch(&inotify, directory.join(Watched::NAME), WatchFlags::CLOSE_WRITE)?;
        Ok(Self { inotify, status })
    }

    /// Waits for the next; whether it is the end. The kernel tells it shortly before it lets go of the lock.
    fn wait(&mut self) -> std::io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut space);
        let mut has_ended = false;
        loop {
            let event = reader.next()?;
            has_ended |= event.wd() == self.status && event.events().contains(ReadFlags::CLOSE_WRITE);
            if reader.is_buffer_empty() {
                return Ok(has_ended);
            }
        }
    }
}
