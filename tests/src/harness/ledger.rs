//! `differences.toml` and `skips.toml`: every case that a runtime is allowed not to pass, with the reason.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::{Case, Check, Runtime, Surroundings, ensure, fail};
use masu_harness::runtime::parse_version;

const DIFFERENCES: &str = include_str!("../../differences.toml");
const SKIPS: &str = include_str!("../../skips.toml");
const KINDS: [&str; 3] = ["masu only", "differs", "newer runc"];

/// The name of a case, or the beginning of several, with an asterisk behind it.
#[derive(Debug, Clone)]
pub(super) struct Pattern(String);

impl Pattern {
    #[cfg(test)]
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn covers(&self, case: &str) -> bool {
        self.0.strip_suffix('*').map_or(self.0 == case, |beginning| case.starts_with(beginning))
    }
}

/// One explained difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    case: Pattern,
    runtime: String,
    versions: String,
    place: Place,
    /// Whether the case still runs, and then must fail.
    pub(crate) run: bool,
    kind: String,
    reason: String,
}

impl Difference {
    fn applies_to(&self, case: &str, runtime: &Runtime, surroundings: &Surroundings) -> bool {
        self.case.covers(case)
            && self.place.is_here(surroundings)
            && (self.runtime == runtime.name || (self.runtime == "*" && !runtime.is_masu()))
            && self.versions.split(',').all(|bound| within(bound.trim(), runtime.version))
    }

    /// What it is, for the list of the run.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}", self.kind, self.reason)
    }
}

/// Where a difference shows.
#[derive(Debug, Clone, Copy)]
enum Place {
    Everywhere,
    /// Where an ordinary user runs the tests.
    User,
    /// On a host with version 1 hierarchies, alone or beside the unified one.
    V1,
    /// On a host with cgroup v2 alone.
    V2,
}

impl Place {
    fn parse(table: &Table) -> Check<Self> {
        match table.get("where").map(|place| place.as_str().unwrap_or_default()) {
            None => Ok(Self::Everywhere),
            Some("user") => Ok(Self::User),
            Some("v1") => Ok(Self::V1),
            Some("v2") => Ok(Self::V2),
            Some(other) => Err(fail(format!("where is user, v1 or v2, not {other:?}"))),
        }
    }

    fn is_here(self, surroundings: &Surroundings) -> bool {
        match self {
            Self::Everywhere => true,
            Self::User => !surroundings.is_root(),
            Self::V1 => !surroundings.unified,
            Self::V2 => surroundings.unified,
        }
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
    skips: Vec<(Pattern, String)>,
}

impl Ledger {
    /// Reads both files; an entry that names no case, or a case for masu only without one, is an error.
    pub(crate) fn read(cases: &[Case]) -> Check<Self> {
        let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
        ensure!(names.len() == cases.len(), "two cases have the same name");
        let mut differences = Vec::new();
        for entry in tables(DIFFERENCES, "difference")? {
            differences.push(Difference {
                case: Pattern(text(&entry, "case")?),
                runtime: text(&entry, "runtime")?,
                versions: text(&entry, "versions").unwrap_or_default(),
                place: Place::parse(&entry)?,
                run: entry.get("run").and_then(Value::as_bool).unwrap_or(true),
                kind: text(&entry, "kind")?,
                reason: text(&entry, "reason")?,
            });
        }
        let mut skips = Vec::new();
        for entry in tables(SKIPS, "skip")? {
            skips.push((Pattern(text(&entry, "case")?), text(&entry, "reason")?));
        }
        for pattern in differences.iter().map(|one| &one.case).chain(skips.iter().map(|one| &one.0)) {
            ensure!(names.iter().any(|name| pattern.covers(name)), "no case is called {:?}", pattern.0);
        }
        for one in &differences {
            ensure!(KINDS.contains(&one.kind.as_str()), "{:?}: kind {:?}", one.case.0, one.kind);
        }
        for case in cases.iter().filter(|case| case.masu_only) {
            let explained =
                differences.iter().any(|one| one.case.covers(&case.name) && one.kind == "masu only");
            ensure!(explained, "{:?} is for masu only; differences.toml does not say why", case.name);
        }
        Ok(Self { differences, skips })
    }

    /// The difference that excuses this runtime from this case.
    pub(crate) fn difference(
        &self,
        case: &str,
        runtime: &Runtime,
        surroundings: &Surroundings,
    ) -> Option<&Difference> {
        self.differences.iter().find(|one| one.applies_to(case, runtime, surroundings))
    }

    /// The listed reason for which this case may be skipped.
    pub(crate) fn skip(&self, case: &str) -> Option<&str> {
        self.skips.iter().find(|one| one.0.covers(case)).map(|one| one.1.as_str())
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
