//! The explanation for people: a heading for each phase, and below it number, origin and sentence in columns.

use masu_runtime::{ExplainedStep, Phase};

use super::Document;
use crate::output::Style;

/// ANSI codes: select graphic rendition, console_codes(4).
const BOLD: &str = "1";
const FAINT: &str = "2";
const CYAN: &str = "36";

/// The whole text.
pub(super) fn render(document: &Document<'_>, style: Style) -> String {
    let steps = &document.explanation.steps;
    let columns = Columns::of(steps, style);
    let title =
        format!("{} steps make the container {} of the bundle {}", steps.len(), document.id, document.bundle);
    let mut text = style.paint(BOLD, &title) + "\n";
    let mut phase = None;
    for step in steps {
        if phase.replace(step.phase) != Some(step.phase) {
            text += &format!("\n{}\n", style.paint(BOLD, heading(step.phase)));
        }
        columns.write(&mut text, step, style);
    }
    text
}

fn heading(phase: Phase) -> &'static str {
    match phase {
        Phase::Engine => "masu, before there is a process:",
        Phase::Clone => "masu, with clone3:",
        Phase::Meanwhile => "masu, meanwhile:",
        Phase::Init => "masu-init, in the container's process:",
        Phase::Barrier => "masu-init, at a barrier:",
        Phase::Execve => "masu-init, with execve:",
        Phase::After => "masu, when the program runs:",
    }
}

/// Where the columns are.
struct Columns {
    number: usize,
    origin: usize,
    /// How wide a sentence may be; `None` for as wide as it is.
    sentence: Option<usize>,
}

/// The least room for a sentence beside its origin; with less, it stands below.
const NARROWEST_SENTENCE: usize = 32;

impl Columns {
    fn of(steps: &[ExplainedStep], style: Style) -> Self {
        let number = steps.len().to_string().len();
        let origin = steps.iter().map(|step| step.origin.chars().count()).max().unwrap_or(0);
        let rest = |taken: usize| style.width.map(|width| width.saturating_sub(taken));
        match rest(number + origin + 6) {
            Some(left) if left < NARROWEST_SENTENCE => Self { number, origin: 0, sentence: rest(number + 4) },
            sentence => Self { number, origin, sentence },
        }
    }

    fn write(&self, text: &mut String, step: &ExplainedStep, style: Style) {
        let number = style.paint(FAINT, &format!("{:>width$}", step.number, width = self.number));
        let padding = " ".repeat(self.origin.saturating_sub(step.origin.chars().count()));
        let origin = style.paint(CYAN, &step.origin);
        let below = " ".repeat(self.number + 4);
        let beside = " ".repeat(self.number + self.origin + 6);
        let (start, indent) = match self.origin {
            0 => (format!("  {number}  {origin}\n{below}"), below.as_str()),
            _ => (format!("  {number}  {origin}{padding}  "), beside.as_str()),
        };
        *text += &start;
        for (index, line) in wrap(&step.sentence, self.sentence).iter().enumerate() {
            if index > 0 {
                *text += indent;
            }
            *text += line;
            text.push('\n');
        }
    }
}

/// The lines of a text, none wider than `width` but for words that are.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split(' ') {
        let needed = word.chars().count();
        match lines.last_mut() {
            Some(line) if used + 1 + needed <= width => {
                line.push(' ');
                line.push_str(word);
                used += 1 + needed;
            }
            _ => {
                lines.push(word.to_owned());
                used = needed;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use masu_runtime::Explanation;

    use super::*;

    fn rendered(width: Option<usize>, colours: bool) -> String {
        let step = |number, phase, origin: &str, sentence: &str| ExplainedStep {
            number,
            index: None,
            phase,
            step: "Step".into(),
            origin: origin.into(),
            sentence: sentence.into(),
        };
        let steps = vec![
            step(1, Phase::Clone, "linux.namespaces", "Makes the container's process in new namespaces."),
            step(2, Phase::Init, "mounts[10]", "Mounts a new tmpfs on \"/dev/shm\"."),
        ];
        let explanation = Explanation { warnings: Vec::new(), steps };
        render(
            &Document { id: "web", bundle: "/srv/web", explanation: &explanation },
            Style { width, colours },
        )
    }

    #[test]
    fn outside_of_a_terminal_each_step_is_one_line() {
        assert_eq!(
            rendered(None, false),
            "2 steps make the container web of the bundle /srv/web\n\n\
             masu, with clone3:\n  \
             1  linux.namespaces  Makes the container's process in new namespaces.\n\n\
             masu-init, in the container's process:\n  \
             2  mounts[10]        Mounts a new tmpfs on \"/dev/shm\".\n"
        );
    }

    #[test]
    fn sentences_are_wrapped_beside_their_origin_where_there_is_room() {
        let text = rendered(Some(55), false);
        let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(
            steps,
            [
                "  1  linux.namespaces  Makes the container's process in",
                "                       new namespaces.",
                "  2  mounts[10]        Mounts a new tmpfs on",
                "                       \"/dev/shm\".",
            ]
        );
    }

    #[test]
    fn in_a_narrow_terminal_sentences_stand_below_their_origin() {
        let text = rendered(Some(40), false);
        let steps: Vec<&str> = text.lines().filter(|line| line.starts_with("  ")).collect();
        assert_eq!(
            steps,
            [
                "  1  linux.namespaces",
                "     Makes the container's process in",
                "     new namespaces.",
                "  2  mounts[10]",
                "     Mounts a new tmpfs on \"/dev/shm\".",
            ]
        );
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let mut text = rendered(Some(55), true);
        assert!(text.contains("\x1b[36mlinux.namespaces\x1b[0m  Makes"), "{text:?}");
        for code in ["\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[0m"] {
            text = text.replace(code, "");
        }
        assert_eq!(text, rendered(Some(55), false));
    }

    #[test]
    fn a_word_that_is_wider_than_the_line_stays_whole() {
        assert_eq!(wrap("a bcdefgh ij", Some(4)), ["a", "bcdefgh", "ij"]);
        assert_eq!(wrap("", Some(4)), [""]);
    }
}
