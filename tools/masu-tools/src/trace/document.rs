//! The document that the engine writes: the trace-event format, as far as it uses it.

use std::fs;
use std::path::Path;

use masu_app::{Failure, Result};
use serde::{Deserialize, Serialize};

/// The whole document. What else somebody has put into it is not kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) trace_events: Vec<Event>,
    display_time_unit: String,
    other_data: Other,
}

#[derive(Debug, Deserialize, Serialize)]
struct Other {
    /// When the first event began, in nanoseconds since 1970.
    begin: u64,
}

/// One span, `ph: X`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Event {
    pub(super) name: String,
    /// Whose it is: `engine` or `init`.
    pub(super) cat: String,
    ph: String,
    /// When it began, in microseconds since the first one did.
    pub(super) ts: f64,
    /// How long it took, in microseconds.
    pub(super) dur: f64,
    pid: u32,
    tid: u32,
    pub(super) args: About,
}

/// What is told of a span.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct About {
    /// The field of config.json that asked for it.
    pub(super) origin: String,
    sentence: String,
    /// Its place in init's program.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u32>,
}

impl Document {
    /// Reads a file that was kept.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path);
        let text = text.map_err(|error| Failure::new(format!("read {}: {error}", path.display())))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads what the engine wrote.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| {
            Failure::with_hint(
                format!("{name}: {error}"),
                "it is to be a file of masu trace --output, or of MASU_TRACE",
            )
        })
    }

    /// Puts what came before the engine's first piece of work in front: its own start, from `begin` on, nanoseconds since 1970.
    pub(super) fn add_engine_start(&mut self, begin: u64) {
        let dur = microseconds(self.other_data.begin.saturating_sub(begin));
        for event in &mut self.trace_events {
            event.ts += dur;
        }
        let about = About {
            origin: "container".into(),
            sentence: "Starts the engine: fork, execve, and the command line.".into(),
            step: None,
        };
        let start = Event {
            name: "StartEngine".into(),
            cat: "engine".into(),
            ph: "X".into(),
            ts: 0.0,
            dur,
            pid: 1,
            tid: 1,
            args: about,
        };
        self.trace_events.insert(0, start);
        self.other_data.begin = begin;
    }

    /// Keeps it in a file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text =
            serde_json::to_string(self).map_err(|error| Failure::new(format!("write JSON: {error}")))?;
        fs::write(path, text).map_err(|error| Failure::new(format!("write {}: {error}", path.display())))
    }
}

/// What began a second ago is exact to the nanosecond.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

#[cfg(test)]
pub(super) fn document(spans: &[(&str, &str, f64, f64)]) -> Document {
    let event = |&(cat, name, ts, dur): &(&str, &str, f64, f64)| Event {
        name: name.into(),
        cat: cat.into(),
        ph: "X".into(),
        ts,
        dur,
        pid: 1,
        tid: 1,
        args: About { origin: format!("of.{name}"), sentence: "Does.".into(), step: None },
    };
    Document {
        trace_events: spans.iter().map(event).collect(),
        display_time_unit: "ns".into(),
        other_data: Other { begin: 1_000_000 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_of_the_engine_comes_before_everything() {
        let mut document = document(&[("engine", "Plan", 0.0, 5.0), ("init", "Unshare", 7.0, 1.0)]);
        document.add_engine_start(900_000);
        let spans: Vec<_> =
            document.trace_events.iter().map(|event| (event.name.as_str(), event.ts, event.dur)).collect();
        assert_eq!(spans, [("StartEngine", 0.0, 100.0), ("Plan", 100.0, 5.0), ("Unshare", 107.0, 1.0)]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let text = serde_json::to_string(&document(&[("engine", "Plan", 0.5, 5.25)])).expect("JSON");
        let read = Document::parse(&text, "it").expect("parses");
        assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
    }

    #[test]
    fn another_file_is_refused_by_name() {
        let failure = Document::parse("{}", "x.json").expect_err("no document");
        assert!(failure.message.starts_with("x.json: missing field `traceEvents`"), "{failure:?}");
    }
}
