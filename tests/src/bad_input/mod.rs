//! Bad input: each with its exit code, the phrase that every runtime has in common, and masu's exact message.

mod commands;
mod configs;
mod messages;
mod state_files;

use crate::harness::command::{Invocation, Output};
use crate::harness::{Bench, Check, Need, Suite, ensure_eq, fail};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("bad_input");
    // What an ordinary user is told differs; the suite `rootless` has that.
    suite.needs(&[Need::Root]);
    configs::add(&mut suite);
    commands::add(&mut suite);
    state_files::add(&mut suite);
    suite
}

/// Runs a failing command, and asks masu for its exact words: `messages.rs` has them by the same sentence.
fn refused(bench: &Bench<'_>, sentence: &str, call: Invocation, code: i32, phrases: &[&str]) -> Check {
    let output = call.output()?.fails_with(code, phrases)?;
    if !bench.runtime().is_masu() {
        return Ok(());
    }
    let actual = anonymous(bench, &output);
    let expected = messages::MESSAGES.iter().find(|(name, _)| *name == sentence).map(|(_, text)| *text);
    let expected =
        expected.ok_or_else(|| fail(format!("messages.rs has no text for this case; it is: {actual:?}")))?;
    ensure_eq!(actual, expected, "the message");
    Ok(())
}

/// Standard error with the names that differ from run to run replaced.
fn anonymous(bench: &Bench<'_>, output: &Output) -> String {
    let mut text = output.stderr.trim_end().replace(&*bench.root.to_string_lossy(), "ROOT");
    if let Some(version) =
        text.split_once("Linux ").and_then(|(_, tail)| tail.split_once(' ')).map(|(word, _)| word)
    {
        text = text.replace(&version.to_owned(), "VERSION");
    }
    let mut words = String::new();
    let mut rest = text.replace(&*bench.dir.to_string_lossy(), "DIR");
    // The numbers of the case are different every time: masu-test-PID-Nt-Mc is ID.
    while let Some(start) = rest.find(&bench.tag) {
        words.push_str(rest.get(..start).unwrap_or_default());
        words.push_str("ID");
        let after = rest.get(start + bench.tag.len()..).unwrap_or_default();
        let number = after.strip_prefix('-').and_then(|tail| tail.split_once('c'));
        rest = match number {
            Some((digits, tail)) if digits.chars().all(|c| c.is_ascii_digit()) => tail.to_owned(),
            _ => after.to_owned(),
        };
    }
    words.push_str(&rest);
    words
}
