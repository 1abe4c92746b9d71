//! `differences.toml` and `skips.toml`: every case that a runtime is allowed not to pass, with the reason.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::runtime::parse_version;
use super::{Case, Check, Runtime, ensure, fail};

const DIFFERENCES: &str = include_str!("../../differences.toml");
const SKIPS: &str = include_str!("../../skips.toml");
const KINDS: [&str; 3] = ["masu only", "differs", "newer runc"];

/// One explained difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    case: String,
    runtime: String,
    versions: String,
    /// Whether the case still runs, and then must fail.
    pub(crate) run: bool,
    kind: String,
    reason: String,
}

impl Difference {
    fn applies_to(&self, case: &str, runtime: &Runtime) -> bool {
        self.case == case
            && (self.runtime == runtime.name || (self.runtime == "*" && !runtime.is_masu()))
            && self.versions.split(',').all(|bound| within(bound.trim(), runtime.version))
    }

    /// What it is, for the list of the run.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.kind, self.reason)
    }
}

fn within(bound: &str, version: [u32; 3]) -> bool {
    if let Some(limit) = bound.strip_prefix(">=") {
        version >= parse_version(limit.trim())
    } else if let Some(limit) = bound.strip_prefix('<') {
        version < parse_version(limit.trim())
    } else {
        bound.is_empty()
    }
}

/// Both files, checked against the cases.
#[derive(Debug)]
pub(crate) struct Ledger {
    differences: Vec<Difference>,
    skips: Vec<(String, String)>,
}

impl Ledger {
    /// Reads both files; an entry that names no case, or a case for masu only without one, is an error.
    pub(crate) fn read(cases: &[Case]) -> Check<Self> {
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        ensure!(names.len() == cases.len(), "two cases have the same name");
        let mut differences = Vec::new();
        for entry in tables(DIFFERENCES, "difference")? {
            differences.push(Difference {
                case: text(&entry, "case")?,
                runtime: text(&entry, "runtime")?,
                versions: text(&entry, "versions").unwrap_or_default(),
                run: entry.get("run").and_then(Value::as_bool).unwrap_or(true),
                kind: text(&entry, "kind")?,
                reason: text(&entry, "reason")?,
            });
        }
        let mut skips = Vec::new();
        for entry in tables(SKIPS, "skip")? {
            skips.push((text(&entry, "case")?, text(&entry, "reason")?));
        }
        for case in differences.iter().map(|one| &one.case).chain(skips.iter().map(|one| &one.0)) {
            ensure!(names.contains(case.as_str()), "no case is called {case:?}");
        }
        for one in &differences {
            ensure!(KINDS.contains(&one.kind.as_str()), "{:?}: kind {:?}", one.case, one.kind);
        }
        for case in cases.iter().filter(|case| case.masu_only) {
            let explained = differences.iter().any(|one| one.case == case.name && one.kind == "masu only");
            ensure!(explained, "{:?} is for masu only; differences.toml does not say why", case.name);
        }
        Ok(Self { differences, skips })
    }

    /// The difference that excuses this runtime from this case.
    pub(crate) fn difference(&self, case: &str, runtime: &Runtime) -> Option<&Difference> {
        self.differences.iter().find(|one| one.applies_to(case, runtime))
    }

    /// The listed reason for which this case may be skipped.
    pub(crate) fn skip(&self, case: &str) -> Option<&str> {
        self.skips.iter().find(|one| one.0 == case).map(|one| one.1.as_str())
    }
}

fn tables(document: &str, key: &str) -> Check<Vec<Table>> {
    let document: Table = toml::from_str(document)?;
    match document.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| one.as_table().cloned().ok_or_else(|| fail(format!("{key}: not a table"))))
            .collect(),
        Some(_) => Err(fail(format!("{key} is no list of tables"))),
    }
}

fn text(table: &Table, key: &str) -> Check<String> {
    table
        .get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| fail(format!("{key} is missing: {table:?}")))
}
