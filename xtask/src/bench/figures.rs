//! What was measured, and its file.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The runtime of a value that holds for all of them.
pub(super) const ANY: &str = "any";

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize, Default)]
pub(super) struct Figures {
    pub(super) machine: Vec<String>,
    pub(super) versions: Vec<String>,
    /// Why the machine was too noisy to judge by these figures; none when it was quiet.
    #[serde(default)]
    pub(super) noise: Vec<String>,
    /// What a runtime could not do, or not as often as wanted.
    #[serde(default)]
    pub(super) notes: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: String,
    /// By runtime.
    pub(super) values: Vec<Value>,
}

/// What one runtime took.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(super) struct Value {
    pub(super) runtime: String,
    /// The median of times; other figures are what they are.
    pub(super) value: f64,
    /// What one of a hundred is above, for times that were measured often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) p99: Option<f64>,
    /// How often it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) samples: Option<usize>,
    /// The same figure of each round by itself, where all took turns round by round.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<f64>,
}

impl Value {
    /// A figure that has no distribution.
    pub(super) fn exact(runtime: &str, value: f64) -> Self {
        Self { runtime: runtime.to_owned(), value, p99: None, samples: None, rounds: Vec::new() }
    }

    /// Milliseconds: the median and, of a hundred or more, what the slowest in a hundred take.
    pub(super) fn of_times(runtime: &str, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let milliseconds = |index: usize| times.get(index).map(|time| time.as_secs_f64() * 1e3);
        let count = times.len();
        Self {
            runtime: runtime.to_owned(),
            value: milliseconds(count / 2).unwrap_or_default(),
            p99: milliseconds(count * 99 / 100).filter(|_| count >= 100),
            samples: Some(count),
            rounds: Vec::new(),
        }
    }

    /// The same of several blocks, each of one round.
    pub(super) fn of_blocks(runtime: &str, blocks: &[Vec<Duration>]) -> Self {
        let rounds = blocks.iter().map(|block| median(block).as_secs_f64() * 1e3).collect();
        Self { rounds, ..Self::of_times(runtime, blocks.concat()) }
    }

    /// How much more it is than another one of the same runtime, that took turns with it.
    pub(super) fn added_to(&self, other: &Self) -> Self {
        let rounds = self.rounds.iter().zip(&other.rounds).map(|(more, less)| more - less).collect();
        Self { rounds, ..Self::exact(&self.runtime, self.value - other.value) }
    }
}

impl Row {
    pub(super) fn new(name: &str, unit: &str, values: Vec<Value>) -> Self {
        Self { name: name.to_owned(), unit: unit.to_owned(), values }
    }

    pub(super) fn of(&self, runtime: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.runtime == runtime)
    }

    pub(super) fn value(&self, runtime: &str) -> Option<f64> {
        self.of(runtime).map(|value| value.value)
    }

    /// masu's value as a part of another's.
    pub(super) fn ratio(&self, runtime: &str) -> Option<f64> {
        let other = self.value(runtime)?;
        // A difference of two medians can be nothing, or less.
        (other > 0.0).then_some(self.value("masu")? / other)
    }

    /// The middle half of what [`ratio`](Self::ratio) is in each round by itself. Neighbours in time are compared: what
    /// makes a whole round slow is in both.
    pub(super) fn ratio_spread(&self, runtime: &str) -> Option<Spread> {
        let (own, other) = (self.of("masu")?, self.of(runtime)?);
        Spread::of(own.rounds.iter().zip(&other.rounds).map(|(own, other)| own / other))
    }
}

/// Where the middle half of some figures lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Spread {
    /// Of four figures or more; of fewer nothing can be said.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.filter(|figure| figure.is_finite()).collect();
        figures.sort_unstable_by(f64::total_cmp);
        let last = figures.len().checked_sub(1).filter(|last| *last >= 3)?;
        Some(Self { low: *figures.get(last / 4)?, high: *figures.get(last - last / 4)? })
    }
}

impl Figures {
    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no bench.json", file.display()))
    }

    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("encode the figures")?;
        std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
    }
}

/// The middle of the sorted times; of an even number the upper one of the two.
pub(super) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_an_outlier_does_not_matter() {
        let times = [9, 1, 1000, 3, 4].map(Duration::from_millis);
        assert_eq!(median(&times), Duration::from_millis(4));
        assert_eq!(median(&[Duration::from_millis(1), Duration::from_millis(2)]), Duration::from_millis(2));
        assert_eq!(median(&[]), Duration::ZERO);
    }

    #[test]
    fn the_slowest_in_a_hundred_are_told_where_there_are_a_hundred() {
        let times = |count| (1..=count).map(Duration::from_millis).collect::<Vec<_>>();
        let value = Value::of_times("masu", times(200));
        assert_eq!((value.value, value.p99, value.samples), (101.0, Some(199.0), Some(200)));
        assert_eq!(Value::of_times("masu", times(99)).p99, None);
    }

    #[test]
    fn each_round_is_held_against_its_neighbour() {
        let block = |time| vec![Duration::from_millis(time); 3];
        let of = |runtime, times: [u64; 5]| Value::of_blocks(runtime, &times.map(block));
        // Both are slow in the fourth round; in the second masu alone is.
        let values = vec![of("masu", [2, 8, 2, 20, 2]), of("crun", [4, 4, 4, 40, 4])];
        let row = Row::new("run", "ms", values);
        assert_eq!(row.value("masu"), Some(2.0));
        assert_eq!(row.ratio_spread("crun"), Some(Spread { low: 0.5, high: 0.5 }));
        assert_eq!(row.ratio_spread("runc"), None);
        let added = row.of("crun").unwrap().added_to(row.of("masu").unwrap());
        assert_eq!((added.value, added.rounds), (2.0, vec![2.0, -4.0, 2.0, 20.0, 2.0]));
    }

    #[test]
    fn of_three_figures_no_half_is_the_middle() {
        assert_eq!(Spread::of([1.0, 2.0, 3.0].into_iter()), None);
        let eight = [8.0, 1.0, 7.0, 2.0, 6.0, 3.0, 5.0, 4.0, f64::NAN];
        assert_eq!(Spread::of(eight.into_iter()), Some(Spread { low: 2.0, high: 7.0 }));
    }

    #[test]
    fn a_ratio_is_masus_part_of_the_other() {
        let values = vec![Value::exact("masu", 2.0), Value::exact("crun", 8.0), Value::exact("runc", -1.0)];
        let row = Row::new("run", "ms", values);
        assert_eq!(row.ratio("crun"), Some(0.25));
        assert_eq!(row.ratio("runc"), None);
        assert_eq!(row.ratio("floor"), None);
    }
}
