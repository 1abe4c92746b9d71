//! How many tests passed, read from what test programs print.

use crate::project;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

/// Numbers of tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

impl Tally {
    /// A check that is no test program counts as one test.
    pub(super) const ONE: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(super) const ONE_FAILURE: Self = Self { passed: 0, failed: 1, skipped: 0 };

    pub(super) fn total(self) -> usize {
        self.passed + self.failed + self.skipped
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Runs test programs that close as Rust's do, shows what they print, and adds up.
///
/// # Errors
///
/// When they fail and yet count no failure: they did not compile, or died.
pub(super) fn run_counting(command: &mut Command) -> Result<Tally> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", project::words(command)))?;
    let stdout = child.stdout.take().context("take the child's output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.with_context(|| format!("read from {}", project::words(command)))?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally += parse_result(&line).unwrap_or_default();
    }
    let status = child.wait().with_context(|| format!("wait for {}", project::words(command)))?;
    if !status.success() && tally.failed == 0 {
        bail!("{}: {status}", project::words(command));
    }
    Ok(tally)
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn parse_result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for count in counts.split("; ") {
        let (number, what) = count.split_once(' ')?;
        match what {
            "passed" => tally.passed = number.parse().ok()?,
            "failed" => tally.failed = number.parse().ok()?,
            "ignored" => tally.skipped = number.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closing_lines_of_test_programs_count() {
        let cases = [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
                Some(Tally { passed: 3, failed: 0, skipped: 1 }),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
                Some(Tally { passed: 3, failed: 2, skipped: 0 }),
            ),
            ("test parse ... ok", None),
            ("3 passed, 2 failed, 0 skipped", None),
        ];
        for (line, tally) in cases {
            assert_eq!(parse_result(line), tally, "{line}");
        }
    }
}
