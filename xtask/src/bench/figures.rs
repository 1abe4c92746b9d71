//! What was measured, and its file.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// The runtime of a value that holds for all of them.
pub(super) const ANY: &str = "any";

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) machine: Vec<String>,
    pub(super) versions: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) unit: String,
    /// By runtime, in the order of the table's columns.
    pub(super) values: Vec<(String, f64)>,
}

impl Row {
    /// Milliseconds.
    pub(super) fn of_time(name: &str, values: impl IntoIterator<Item = (&'static str, Duration)>) -> Self {
        let values = values.into_iter().map(|(name, time)| (name.to_owned(), time.as_secs_f64() * 1e3));
        Self { name: name.to_owned(), unit: "ms".to_owned(), values: values.collect() }
    }

    pub(super) fn value(&self, runtime: &str) -> Option<f64> {
        self.values.iter().find(|(name, _)| name == runtime).map(|&(_, value)| value)
    }

    /// masu's value as a part of another's.
    pub(super) fn ratio(&self, runtime: &str) -> Option<f64> {
        Some(self.value("masu")? / self.value(runtime)?)
    }
}

impl Figures {
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
pub(super) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_an_outlier_does_not_matter() {
        let times = [9, 1, 1000, 3, 4].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(4));
        assert_eq!(
            median(vec![Duration::from_millis(1), Duration::from_millis(2)]),
            Duration::from_millis(2)
        );
        assert_eq!(median(Vec::new()), Duration::ZERO);
    }

    #[test]
    fn a_ratio_is_masus_part_of_the_other() {
        let values = [("masu", Duration::from_millis(2)), ("crun", Duration::from_millis(8))];
        let row = Row::of_time("run", values);
        assert_eq!(row.ratio("crun"), Some(0.25));
        assert_eq!(row.ratio("runc"), None);
    }
}
