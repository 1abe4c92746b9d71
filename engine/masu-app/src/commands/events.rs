//! `events`.

use alloc::{format, string::String};

use masu_cgroup::{Oom, Stats};
use masu_cli::{INTERVAL, Parsed, STATS};
use masu_runtime::{Container, Happening, Status, Watch, files};
use masu_sys::errno::Described;
use rustix::io::Errno;
use serde::Serialize;

use super::id;
use crate::{
    failure::{Failure, Result},
    log::Log,
    output,
    session::Session,
};

/// One line; the keys and their order are runc's.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Stats>,
}

/// Prints what the container uses and when it runs out of memory.
pub(super) fn events(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    let container = session.store.load(id(parsed))?;
    let interval = parsed.options.duration(&INTERVAL).unwrap_or(0);
    if interval <= 0 {
        return Err(Failure::with_hint(
            "--interval: duration interval must be greater than 0",
            "a duration such as 100ms, 5s or 1m30s",
        ));
    }
    if matches!(container.status()?, Status::Stopped | Status::Creating) {
        return Err(Failure::new(format!("container with id {} is not running", container.id)));
    }
    if parsed.options.flag(&STATS) {
        output::print(&stats_line(&container)?)?;
        return Ok(0);
    }
    let mut watch = Watch::open(&container, interval)?;
    if let Some(reason) = watch.blind() {
        session.log.warning(&format!("events: memory that runs out will not be noticed: {reason}"));
    }
    match follow(&container, &mut watch, session.log) {
        // Whoever read has had enough.
        Err(Ended::Unread) => Ok(0),
        Err(Ended::Failed(failure)) => Err(failure),
        Ok(()) => Ok(0),
    }
}

/// Why the loop ended early.
enum Ended {
    /// Nobody reads any more.
    Unread,
    Failed(Failure),
}

fn follow(container: &Container, watch: &mut Watch, log: &Log) -> core::result::Result<(), Ended> {
    loop {
        match watch.next(masu_sys::fd::stdout()).map_err(|error| Ended::Failed(error.into()))? {
            Happening::Interval => match stats_line(container) {
                Ok(line) => print(&line)?,
                // One sample less; runc goes on as well.
                Err(failure) => log.error(&failure),
            },
            Happening::Memory(Oom::Happened) => print(&oom_line(&container.id).map_err(Ended::Failed)?)?,
            Happening::Memory(Oom::None) => {}
            Happening::Memory(Oom::Gone) | Happening::Ended => return Ok(()),
            Happening::Unread => return Err(Ended::Unread),
        }
    }
}

fn print(line: &str) -> core::result::Result<(), Ended> {
    match files::write_all(masu_sys::fd::stdout(), line.as_bytes()) {
        Err(Errno::PIPE) => Err(Ended::Unread),
        outcome => outcome.map_err(|errno| {
            Ended::Failed(Failure::new(format!("write to standard output: {}", Described(errno))))
        }),
    }
}

fn stats_line(container: &Container) -> Result<String> {
    let stats = container.stats()?;
    line(&Event { kind: "stats", id: &container.id, data: Some(&stats) })
}

fn oom_line(id: &str) -> Result<String> {
    line(&Event { kind: "oom", id, data: None })
}

fn line(event: &Event<'_>) -> Result<String> {
    Ok(output::json(serde_json::to_string(event))? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_keys_of_runc_in_its_order() {
        assert_eq!(oom_line("web").unwrap(), "{\"type\":\"oom\",\"id\":\"web\"}\n");
        let stats = Stats::default();
        let text = line(&Event { kind: "stats", id: "web", data: Some(&stats) }).unwrap();
        let data = serde_json::to_string(&stats).unwrap();
        assert_eq!(text, format!("{{\"type\":\"stats\",\"id\":\"web\",\"data\":{data}}}\n"));
    }
}
