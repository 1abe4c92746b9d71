//! What masu wants to reach, and whether it does.

use super::figures::{Figures, Spread};

/// What a figure of masu's is held against.
#[derive(Debug, Clone, Copy)]
enum Against {
    /// The same row of another runtime.
    Other(&'static str),
    /// Another row of masu's own.
    Row(&'static str),
    /// Nothing: a value in the row's own unit.
    Value,
}

/// At most so much.
#[derive(Debug)]
struct Aim {
    row: &'static str,
    at_most: f64,
    against: Against,
}

const fn of(row: &'static str, at_most: f64, other: &'static str) -> Aim {
    Aim { row, at_most, against: Against::Other(other) }
}

const fn of_row(row: &'static str, at_most: f64, other: &'static str) -> Aim {
    Aim { row, at_most, against: Against::Row(other) }
}

const fn value(row: &'static str, at_most: f64) -> Aim {
    Aim { row, at_most, against: Against::Value }
}

const AIMS: [Aim; 29] = [
    of("run, hot", 1.25, "floor"),
    of("run, hot", 0.45, "crun"),
    of("run, cold", 1.25, "floor"),
    of("run, cold", 0.25, "crun"),
    of("whole cycle, cold", 0.25, "crun"),
    of("whole cycle, cold", 0.1, "runc"),
    of("exec, hot", 0.2, "crun"),
    of("state, hot", 0.12, "crun"),
    of("state, cold", 0.12, "crun"),
    of("kill, hot", 0.12, "crun"),
    of("kill, cold", 0.12, "crun"),
    of("start, hot", 0.12, "crun"),
    of("start, cold", 0.12, "crun"),
    value("run, added by Docker's seccomp profile", 0.15),
    value("Docker's profile, compiled", 0.3),
    // crun's is libseccomp's.
    of("Docker's profile, compiled", 1.0, "crun"),
    of("64 runs at once", 0.4, "crun"),
    of("list of 1,000 containers, hot", 0.1, "crun"),
    of("peak memory of run", 0.5, "crun"),
    of("smallest memory limit for true", 1.0, "crun"),
    of("memory of an idle init", 0.15, "crun"),
    value("size of the runtime", 700.0),
    value("size of an idle init's program", 60.0),
    // Flat: what a tenth of a start hides is nothing that grows.
    of_row("run, added by 1,000 containers", 0.1, "run, hot"),
    of_row("run, added by 200 host mounts", 0.1, "run, hot"),
    // Linear: twice as many are at most twice the price, and what two medians are uncertain by.
    of_row("run, added by 50 bind mounts", 2.2, "run, added by 25 bind mounts"),
    of("run, added by 1,000 containers", 1.25, "floor"),
    of("run, added by 200 host mounts", 1.25, "floor"),
    of("run, added by 50 bind mounts", 1.0, "crun"),
];

/// One line for people.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) aim: String,
    pub(super) measured: String,
    pub(super) verdict: &'static str,
}

/// All aims whose rows were measured. By the figures of a noisy machine none is judged.
pub(super) fn lines(figures: &Figures) -> Vec<Line> {
    AIMS.iter().filter_map(|aim| line(aim, figures)).collect()
}

fn line(aim: &Aim, figures: &Figures) -> Option<Line> {
    let row = figures.row(aim.row)?;
    let own = row.value("masu")?;
    let of_own = |part: f64| {
        let rounds = &row.of("masu")?.rounds;
        Spread::of(rounds.iter().map(|own| own / part))
    };
    let (measured, spread, unit) = match aim.against {
        Against::Value => (own, of_own(1.0), format!(" {}", row.unit)),
        Against::Other(other) => (row.ratio(other)?, row.ratio_spread(other), format!(" × {other}")),
        Against::Row(other) => {
            let reference = figures.row(other)?.value("masu").filter(|value| *value > 0.0)?;
            (own / reference, of_own(reference), format!(" × {other}"))
        }
    };
    let shown = spread.map_or_else(String::new, |Spread { low, high }| format!(" ({low:.2} to {high:.2})"));
    Some(Line {
        aim: format!("{}: at most {}{unit}", aim.row, aim.at_most),
        measured: format!("{measured:.2}{shown}"),
        verdict: if figures.noise.is_empty() { judge(aim.at_most, measured, spread) } else { "not judged" },
    })
}

/// Where the rounds are on both sides of the aim, another run may say the opposite.
pub(super) fn judge(at_most: f64, measured: f64, spread: Option<Spread>) -> &'static str {
    let Spread { low, high } = spread.unwrap_or(Spread { low: measured, high: measured });
    match (low.min(measured) <= at_most, high.max(measured) <= at_most) {
        (true, true) => "met",
        (true, false) => "too close to tell",
        (false, _) => "missed",
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Row, Value};
    use super::*;

    fn figures(run: f64, noise: &[&str]) -> Figures {
        let values = [("masu", run), ("floor", 2.0), ("crun", 8.0)];
        let row =
            |name: &str| Row::new(name, "ms", values.map(|(name, value)| Value::exact(name, value)).to_vec());
        Figures {
            noise: noise.iter().map(|&text| text.to_owned()).collect(),
            rows: vec![row("run, hot"), row("run, added by 1,000 containers")],
            ..Figures::default()
        }
    }

    fn verdicts(figures: &Figures) -> Vec<(String, String, &'static str)> {
        lines(figures).into_iter().map(|line| (line.aim, line.measured, line.verdict)).collect()
    }

    #[test]
    fn what_was_measured_is_judged_and_nothing_else() {
        let line = |aim: &str, measured: &str, verdict| (aim.to_owned(), measured.to_owned(), verdict);
        assert_eq!(
            verdicts(&figures(3.2, &[])),
            [
                line("run, hot: at most 1.25 × floor", "1.60", "missed"),
                line("run, hot: at most 0.45 × crun", "0.40", "met"),
                line("run, added by 1,000 containers: at most 0.1 × run, hot", "1.00", "missed"),
                line("run, added by 1,000 containers: at most 1.25 × floor", "1.60", "missed"),
            ]
        );
    }

    #[test]
    fn what_another_run_may_say_otherwise_is_not_judged() {
        let spread = |low, high| Some(Spread { low, high });
        assert_eq!(judge(0.5, 0.4, spread(0.3, 0.45)), "met");
        assert_eq!(judge(0.5, 0.4, spread(0.3, 0.55)), "too close to tell");
        assert_eq!(judge(0.5, 0.6, spread(0.45, 0.7)), "too close to tell");
        assert_eq!(judge(0.5, 0.6, spread(0.55, 0.7)), "missed");
        assert_eq!(judge(0.5, 0.5, None), "met");
        assert_eq!(judge(0.5, 0.6, None), "missed");
    }

    #[test]
    fn on_a_noisy_machine_nothing_is_judged() {
        let verdicts = verdicts(&figures(2.4, &["others had the processors"]));
        assert!(verdicts.iter().all(|(_, _, verdict)| *verdict == "not judged"), "{verdicts:?}");
    }
}
