//! The trace for people: a line for each span, with a bar where it lies in time.

use super::document::{Document, Event};
use crate::output::Style;

/// ANSI codes: select graphic rendition, console_codes(4).
const BOLD: &str = "1";
const FAINT: &str = "2";
const CYAN: &str = "36";
const YELLOW: &str = "33";

/// Columns of the bars where there is no terminal, and the least on one.
const BARS: usize = 40;
const NARROWEST_BARS: usize = 16;

/// The container's own time, which is not ours: `Work::Wait` of the engine.
const WAIT: &str = "Wait";
/// The engine's time in which init works: `Work::Attend`.
const ATTEND: &str = "Attend";

/// The whole text.
pub(super) fn draw(document: &Document, style: Style) -> String {
    let mut events: Vec<&Event> = document.trace_events.iter().collect();
    events.sort_by(|one, other| one.ts.total_cmp(&other.ts));
    let names = events.iter().map(|event| event.name.len()).max().unwrap_or(0);
    let origins = events.iter().map(|event| event.args.origin.chars().count()).max().unwrap_or(0);
    // Two times of nine columns, whose row it is, and two spaces between each.
    let others = 9 + 2 + 9 + 2 + 2 + 6 + 2 + names + 2 + origins;
    let bars = style.width.map_or(BARS, |width| width.saturating_sub(others).max(NARROWEST_BARS));
    let scale = Scale::of(&events, bars);
    let mut text = style.paint(BOLD, &summary(&events)) + "\n\n";
    let head =
        format!("{:>9}  {:>9}  {:bars$}  {:6}  {:names$}  origin", "begin ms", "took ms", "", "who", "what");
    text += &style.paint(FAINT, &head);
    text.push('\n');
    for event in events {
        let bar = style.paint(if event.cat == "init" { YELLOW } else { CYAN }, &scale.bar(event));
        let padding = " ".repeat(bars - scale.bar_width(event));
        let (begin, took) = (milliseconds(event.ts), milliseconds(event.dur));
        let origin = style.paint(FAINT, &event.args.origin);
        let (who, what) = (&event.cat, &event.name);
        text += &format!("{begin:>9}  {took:>9}  {bar}{padding}  {who:6}  {what:names$}  {origin}\n");
    }
    text
}

/// How long it took until the program ran, or waits for its start.
fn summary(events: &[&Event]) -> String {
    let steps = events.iter().filter(|event| event.cat == "init").count();
    let begun = events.iter().find(|event| event.name == ATTEND);
    match begun {
        Some(attend) => {
            format!(
                "{} ms to the end of the start; steps of masu-init: {steps}",
                milliseconds(attend.ts + attend.dur)
            )
        }
        None => String::from("nothing was started"),
    }
}

fn milliseconds(microseconds: f64) -> String {
    format!("{:.3}", microseconds / 1000.0)
}

/// From time to columns.
struct Scale {
    columns: usize,
    /// Microseconds that all columns have.
    total: f64,
    /// The wait for the container's program: when it ends, and how much of it is left out.
    cut: (f64, f64),
}

impl Scale {
    /// A wait that is longer than a quarter of all else is drawn so long: the rest could not be seen beside it.
    fn of(events: &[&Event], columns: usize) -> Self {
        let end = events.iter().map(|event| event.ts + event.dur).fold(0.0, f64::max);
        let wait =
            events.iter().find(|event| event.name == WAIT).map_or((0.0, 0.0), |event| (event.ts, event.dur));
        let left_out = (wait.1 - (end - wait.1) / 4.0).max(0.0);
        Self { columns, total: (end - left_out).max(f64::MIN_POSITIVE), cut: (wait.0 + wait.1, left_out) }
    }

    /// The column of a time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "columns are few"
    )]
    fn column(&self, time: f64) -> usize {
        let (end, left_out) = self.cut;
        let drawn = if time >= end { time - left_out } else { time };
        ((drawn / self.total * self.columns as f64) as usize).min(self.columns)
    }

    /// The columns before the bar, and those of the bar: one at least.
    fn place(&self, event: &Event) -> (usize, usize) {
        let begin = self.column(event.ts).min(self.columns - 1);
        let end = self.column(event.ts + event.dur).max(begin + 1);
        (begin, end - begin)
    }

    fn bar_width(&self, event: &Event) -> usize {
        let (begin, width) = self.place(event);
        begin + width
    }

    fn bar(&self, event: &Event) -> String {
        let (begin, width) = self.place(event);
        let block = if matches!(event.name.as_str(), WAIT | ATTEND) { "░" } else { "█" };
        " ".repeat(begin) + &block.repeat(width)
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::document;
    use super::*;

    const PLAIN: Style = Style { width: Some(83), colours: false };

    #[test]
    fn every_span_has_a_bar_where_it_lies() {
        let document = document(&[
            ("engine", "Clone", 0.0, 500.0),
            ("engine", "Attend", 500.0, 500.0),
            ("init", "Unshare", 750.0, 250.0),
        ]);
        assert_eq!(
            draw(&document, PLAIN),
            "1.000 ms to the end of the start; steps of masu-init: 1\n\n\
             \x20begin ms    took ms                                    who     what     origin\n\
             \x20   0.000      0.500  ████████████████                  engine  Clone    of.Clone\n\
             \x20   0.500      0.500                  ░░░░░░░░░░░░░░░░  engine  Attend   of.Attend\n\
             \x20   0.750      0.250                          ████████  init    Unshare  of.Unshare\n"
        );
    }

    #[test]
    fn a_long_wait_is_cut_and_what_follows_moves_up() {
        let document = document(&[
            ("engine", "Attend", 0.0, 500.0),
            ("engine", "Wait", 500.0, 1e7),
            ("engine", "Delete", 500.0 + 1e7, 500.0),
        ]);
        let events: Vec<&Event> = document.trace_events.iter().collect();
        let scale = Scale::of(&events, 50);
        let places: Vec<_> = events.iter().map(|event| scale.place(event)).collect();
        assert_eq!(places, [(0, 20), (20, 10), (30, 20)]);
    }

    #[test]
    fn a_short_span_is_seen_even_at_the_end() {
        let document = document(&[("engine", "Attend", 0.0, 1000.0), ("init", "Execute", 1000.0, 0.0)]);
        let events: Vec<&Event> = document.trace_events.iter().collect();
        assert_eq!(Scale::of(&events, 20).place(events[1]), (19, 1));
    }
}
