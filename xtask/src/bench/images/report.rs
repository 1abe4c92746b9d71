//! The figures, for the terminal and for `docs/benchmarks-images.md`.

use super::contender::CONTENDERS;
use crate::bench::content::{self, Content};
use crate::bench::figures::{Figures, Row};
use crate::bench::report::with_unit;
use crate::project;
use anyhow::{Context, Result};

/// Of what podman takes, and umoci alone.
const RATIO_MAX: f64 = 0.6;
/// In MB, whatever the image's size.
const MEMORY_MAX: f64 = 64.0;

/// For a terminal.
pub(super) fn table(figures: &Figures) -> String {
    let line = |cells: &[String]| {
        let (first, rest) = cells.split_first().map_or((String::new(), &[][..]), |(a, b)| (a.clone(), b));
        let rest: String = rest.iter().map(|cell| format!(" {cell:>13}")).collect();
        format!("{first:28}{rest}\n")
    };
    let mut text = line(&head());
    text.extend(figures.rows.iter().map(|row| line(&cells(row))));
    text.push('\n');
    for (aim, measured, met) in aims(figures) {
        text += &format!("{aim:60} {measured:>8}  {}\n", verdict(met));
    }
    figures
        .noise
        .iter()
        .for_each(|noise| text += &format!("\nthe machine was too noisy to judge: {noise}\n"));
    text
}

fn head() -> Vec<String> {
    let names = CONTENDERS.map(|contender| contender.name().to_owned());
    let ratios = names.iter().skip(1).map(|name| format!("of {name}"));
    [String::new()].into_iter().chain(names.clone()).chain(ratios).collect()
}

fn cells(row: &Row) -> Vec<String> {
    let names = CONTENDERS.map(|contender| contender.name());
    let values = names.map(|name| row.value(name).map_or_else(String::new, |value| shown(value, &row.unit)));
    let ratios = names.iter().skip(1);
    let ratios = ratios.map(|name| row.ratio(name).map_or_else(String::new, |ratio| format!("{ratio:.2}")));
    [row.name.clone()].into_iter().chain(values).chain(ratios).collect()
}

fn shown(value: f64, unit: &str) -> String {
    match unit {
        "ms" => with_unit(value / 1000.0, "s"),
        unit => with_unit(value, unit),
    }
}

/// Writes the figures below `target/bench`, and `docs/benchmarks-images.md`: there noise is the first thing told.
pub(super) fn write(figures: &Figures, content: &Content) -> Result<()> {
    let folder = project::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let (json, document) = (folder.join("images.json"), project::root().join("docs/benchmarks-images.md"));
    figures.write(&json)?;
    std::fs::write(&document, markdown(figures, content)?)
        .with_context(|| format!("write {}", document.display()))?;
    println!("wrote {}\nwrote {}", json.display(), document.display());
    Ok(())
}

/// What is wanted, and what was measured.
pub(super) fn aims(figures: &Figures) -> Vec<(String, String, bool)> {
    let mut lines = Vec::new();
    for row in &figures.rows {
        if row.unit == "MB" {
            let Some(memory) = row.value("masu") else { continue };
            let aim = format!("{}: below {MEMORY_MAX} MB", row.name);
            lines.push((aim, with_unit(memory, "MB"), memory < MEMORY_MAX));
            continue;
        }
        for other in ["podman", "umoci alone"] {
            let Some(ratio) = row.ratio(other) else { continue };
            let aim = format!("{}: at most {RATIO_MAX} × {other}", row.name);
            lines.push((aim, format!("{ratio:.2}"), ratio <= RATIO_MAX));
        }
    }
    lines
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

fn markdown(figures: &Figures, content: &Content) -> Result<String> {
    let (debian, large) = (content.describe(content::DEBIAN)?, content.describe(content::LARGE)?);
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = head();
    let rule = format!("|---|{}\n", "--:|".repeat(head.len() - 1));
    let mut text = format!(
        "# Benchmarks of images\n\n\
         Written by `cargo xtask bench images`; do not edit.\n\n\
         {}. Compared: {}; all but masu are Debian bookworm's.\n\n",
        figures.machine.join("; "),
        figures.versions.join(", "),
    );
    if !figures.noise.is_empty() {
        text += "**The machine was too noisy to judge by these figures.**\n\n";
        figures.noise.iter().for_each(|noise| text += &format!("* {noise}\n"));
        text.push('\n');
    }
    text += &format!(
        "From a registry (Debian's docker-registry, on loopback) to layers on disk: `masu image pull`, `podman pull`, \
         `skopeo copy` followed by `umoci unpack`, and `umoci unpack` alone, from a layout that is there. `debian` is \
         mmdebstrap's minbase, {} MB of gzip in one layer; `large` is 1 GB in 30,000 files, {} MB in {} layers; \
         `sibling` shares five of these, and is pulled into a store that has `large`. Medians of {} rounds in rotating \
         order, each into a new ext4 file system of its own on the same disk, with what came before written back: where files \
         were just deleted, ext4 is slow to make others. Memory is the sum of \
         VmHWM over the processes alive at the same time, in a run of its own.\n\n\
         masu gives a layer its name when all of it is on the disk (syncfs(2)), and compares every digest.\n\n",
        debian.megabytes,
        large.megabytes,
        large.layers,
        super::ROUNDS,
    );
    text += "## Aims\n\n| masu's | measured | |\n|---|--:|---|\n";
    for (aim, measured, met) in aims(figures) {
        text += &format!("| {aim} | {measured} | {} |\n", verdict(met));
    }
    text += &format!("\n## Figures\n\n{}{rule}", row(head));
    text.extend(figures.rows.iter().map(|figures| row(cells(figures))));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::super::figures::Value;
    use super::*;

    #[test]
    fn a_row_has_all_values_and_masus_part_of_the_others() {
        let values =
            [("masu", 600.0), ("podman", 2000.0), ("skopeo, umoci", 3000.0), ("umoci alone", 1500.0)];
        let values = values.map(|(name, value)| Value::exact(name, value)).to_vec();
        let row = Row::new("debian: time", "ms", values);
        let cells = cells(&row).join("|");
        assert_eq!(cells, "debian: time|0.600 s|2.00 s|3.00 s|1.50 s|0.30|0.20|0.40");
    }

    #[test]
    fn an_aim_is_met_or_not() {
        let values = [("masu", 70.0), ("podman", 100.0), ("umoci alone", 140.0)];
        let values = values.map(|(name, value)| Value::exact(name, value)).to_vec();
        let rows =
            vec![Row::new("large: time", "ms", values.clone()), Row::new("large: memory", "MB", values)];
        let lines: Vec<_> = aims(&Figures { rows, ..Figures::default() })
            .into_iter()
            .map(|(aim, measured, met)| format!("{aim}, {measured}, {}", verdict(met)))
            .collect();
        let expected = [
            "large: time: at most 0.6 × podman, 0.70, not met",
            "large: time: at most 0.6 × umoci alone, 0.50, met",
            "large: memory: below 64 MB, 70.0 MB, not met",
        ];
        assert_eq!(lines, expected);
    }
}
