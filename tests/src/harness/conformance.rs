//! `docs/conformance.md`: each requirement of the specification beside the tests that show it. This keeps the page true:
//! a test that is renamed or removed takes its name along.

use std::fs;
use std::path::Path;

use super::ledger::Pattern;

const PAGE: &str = include_str!("../../../docs/conformance.md");
/// What a cell begins with that names no test, and then says why.
const REASONS: [&str; 2] = ["not shown: ", "not built: "];

/// One requirement.
struct Row {
    requirement: &'static str,
    level: &'static str,
    shown: &'static str,
}

impl Row {
    fn is_shown(&self) -> bool {
        !REASONS.iter().any(|reason| self.shown.starts_with(reason))
    }
}

fn rows() -> Vec<Row> {
    let is_head = |line: &&str| line.starts_with("| requirement ") || line.starts_with("|---");
    PAGE.lines().filter(|line| line.starts_with('|')).filter(|line| !is_head(line)).map(row).collect()
}

fn row(line: &'static str) -> Row {
    let mut cells = line.trim_matches('|').splitn(3, " | ").map(str::trim);
    let mut next = || cells.next().filter(|cell| !cell.is_empty());
    let (Some(requirement), Some(level), Some(shown)) = (next(), next(), next()) else {
        panic!("three cells in {line:?}");
    };
    Row { requirement, level, shown }
}

/// What a cell has between backticks, one or two on each side.
fn names(mut cell: &str) -> Vec<&str> {
    let mut names = Vec::new();
    while let Some(start) = cell.find('`') {
        cell = &cell[start..];
        let mark = if cell.starts_with("``") { "``" } else { "`" };
        let (name, rest) = cell[mark.len()..].split_once(mark).unwrap_or_else(|| panic!("{cell:?} is open"));
        names.push(name.trim());
        cell = rest;
    }
    names
}

/// Whether a file of the repository, with its path from its root or from that of the engine, has this test.
fn has_test(path: &str, function: &str) -> bool {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let text =
        ["", "engine"].iter().find_map(|root| fs::read_to_string(repository.join(root).join(path)).ok());
    // The attributes of a function stand between it and the empty line before.
    let is_test = |text: String| {
        let above = text.split_once(&format!("fn {function}("))?.0.rsplit("\n\n").next()?.to_owned();
        Some(above.contains("#[test]"))
    };
    text.and_then(is_test).unwrap_or(false)
}

#[test]
fn every_test_that_the_page_names_exists() {
    let cases = crate::all_cases();
    let exists = |name: &str| match name.split_once(".rs::") {
        Some((path, function)) => has_test(&format!("{path}.rs"), function),
        None => cases.iter().any(|case| Pattern::new(name).covers(&case.name)),
    };
    let rows = rows();
    let named = rows.iter().filter(|row| row.is_shown()).flat_map(|row| names(row.shown));
    let lost: Vec<_> = named.filter(|name| !exists(name)).collect();
    assert!(lost.is_empty(), "docs/conformance.md names what is not there: {lost:#?}");
}

#[test]
fn every_requirement_has_a_test_or_a_reason() {
    for row in rows() {
        let levels = ["MUST", "MUST NOT", "REQUIRED", "SHOULD", "SHOULD NOT"];
        assert!(levels.contains(&row.level), "{}: {}", row.requirement, row.level);
        assert!(!row.is_shown() || !names(row.shown).is_empty(), "{}: {}", row.requirement, row.shown);
    }
}

#[test]
fn the_sums_of_the_page_are_those_of_its_tables() {
    let rows = rows();
    let shown = rows.iter().filter(|row| row.is_shown()).count();
    let sums = format!("**{} requirements: {shown} shown, {} not.**", rows.len(), rows.len() - shown);
    assert!(PAGE.contains(&sums), "docs/conformance.md lacks: {sums}");
}
