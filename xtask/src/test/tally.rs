//! How many tests passed, read from what test programs print.

use crate::project;
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

/// Numbers of tests, and who did not pass.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
    /// Names of failed tests.
    pub(super) failures: Vec<String>,
    /// What they said, in the order they are told of: the name, and below it the first lines.
    pub(super) messages: Vec<String>,
    /// Names of skipped tests, with the reason.
    pub(super) skips: Vec<String>,
}

impl Tally {
    /// A check that is no test program counts as one test.
    pub(super) const ONE: Self = Self::numbers(1, 0, 0);
    pub(super) const ONE_FAILURE: Self = Self::numbers(0, 1, 0);

    const fn numbers(passed: usize, failed: usize, skipped: usize) -> Self {
        Self { passed, failed, skipped, failures: Vec::new(), messages: Vec::new(), skips: Vec::new() }
    }

    pub(super) fn total(&self) -> usize {
        self.passed + self.failed + self.skipped
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
        self.messages.extend(other.messages);
        self.skips.extend(other.skips);
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
    let mut messages = Messages::default();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line.with_context(|| format!("read from {}", project::words(command)))?;
        // The console of a machine ends its lines with a carriage return too.
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(&line));
        println!("{line}");
        tally += parse_result(&line).unwrap_or_default();
        tally.failures.extend(parse_failure(&line));
        tally.skips.extend(parse_skip(&line));
        messages.read(&line);
    }
    tally.messages = messages.told;
    let status = child.wait().with_context(|| format!("wait for {}", project::words(command)))?;
    if !status.success() && tally.failed == 0 {
        bail!("{}: {status}", project::words(command));
    }
    Ok(tally)
}

/// What failed tests say, read line by line.
#[derive(Debug, Default)]
struct Messages {
    told: Vec<String>,
    /// How many lines of the last one may follow.
    left: usize,
}

impl Messages {
    /// Of each message.
    const LINES: usize = 12;

    /// `---- NAME ----`, or `---- NAME stdout ----`, and then the message until there is a list of names.
    fn read(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" ----"));
        if let Some(name) = heading {
            self.told.push(name.strip_suffix(" stdout").unwrap_or(name).to_owned());
            self.left = Self::LINES;
        } else if line == "failures:" {
            self.left = 0;
        } else if let Some(message) = self.told.last_mut()
            && self.left > 0
            && !line.trim().is_empty()
        {
            message.push_str("\n    ");
            message.push_str(line);
            self.left -= 1;
        }
    }
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

/// `test NAME   ... FAILED`, or with `--quiet` `NAME --- FAILED`.
fn parse_failure(line: &str) -> Option<String> {
    let line = line.strip_suffix("FAILED")?.trim_end();
    let name = line.strip_suffix("...").or_else(|| line.strip_suffix("---"))?.trim_end();
    Some(name.strip_prefix("test ").unwrap_or(name).to_owned())
}

/// `test NAME   ... ignored (REASON)`
fn parse_skip(line: &str) -> Option<String> {
    let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some(format!("{}{reason}", name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closing_lines_of_test_programs_count() {
        let cases = [
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
                Some(Tally::numbers(3, 0, 1)),
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
                Some(Tally::numbers(3, 2, 0)),
            ),
            ("test parse ... ok", None),
            ("3 passed, 2 failed, 0 skipped", None),
        ];
        for (line, tally) in cases {
            assert_eq!(parse_result(line), tally, "{line}");
        }
    }

    #[test]
    fn the_beginning_of_what_a_failed_test_says_is_kept() {
        let long: String = (0..20).map(|number| format!("line {number}\n")).collect();
        let output = format!(
            "test exec: a tty   ... FAILED\n\nfailures:\n\n---- exec: a tty ----\nnot one\n\nbut two\n\n\
             ---- plan::fits stdout ----\n{long}\nfailures:\n    exec: a tty\n\ntest result: FAILED. 1 passed"
        );
        let mut messages = Messages::default();
        output.lines().for_each(|line| messages.read(line));
        let [first, second] = messages.told.as_slice() else { panic!("{messages:?}") };
        assert_eq!(first, "exec: a tty\n    not one\n    but two");
        assert!(second.starts_with("plan::fits\n    line 0\n") && second.ends_with("line 11"), "{second}");
    }

    #[test]
    fn what_a_console_prints_is_read_like_what_a_program_prints() {
        for end in ["\n", "\r\n"] {
            let lines = [
                "test a ... FAILED",
                "---- a ----",
                "no",
                "failures:",
                "test result: FAILED. 0 passed; 1 failed",
                "",
            ];
            let tally = run_counting(Command::new("printf").args(["%s", &lines.join(end)])).unwrap();
            assert_eq!(
                (tally.failed, tally.failures, tally.messages),
                (1, vec!["a".into()], vec!["a\n    no".into()])
            );
        }
    }

    #[test]
    fn who_did_not_pass_is_known_by_name() {
        assert_eq!(parse_failure("test exec: a tty   ... FAILED").as_deref(), Some("exec: a tty"));
        assert_eq!(parse_failure("plan::a_step_fits --- FAILED").as_deref(), Some("plan::a_step_fits"));
        for line in ["test result: FAILED. 1 passed; 1 failed", "test exec: a tty ... ok", "FAILED"] {
            assert_eq!(parse_failure(line), None, "{line}");
        }
        let skipped = "test exec: a tty   ... ignored (later: no terminals)";
        assert_eq!(parse_skip(skipped).as_deref(), Some("exec: a tty (later: no terminals)"));
        assert_eq!(parse_skip("test exec: a tty ... ok"), None);
    }
}
