//! The figures as tables: for the terminal, for `docs/benchmarks.md`, and against an earlier run.

use super::aims;
use super::chart;
use super::figures::{ANY, Figures, Row};
use crate::project;
use anyhow::{Context, Result};
use std::path::Path;

const RUNTIMES: [&str; 4] = ["masu", "floor", "crun", "runc"];
const OTHERS: [&str; 3] = ["floor", "crun", "runc"];
/// Those whose slowest in a hundred are told.
const WITH_P99: [&str; 2] = ["masu", "crun"];

/// What traces and profiles say of the figures, and why what is missed is. Written by hand: it is to be read again whenever they change.
const TIME: &str = include_str!("time.md");

/// For a terminal.
pub(super) fn table(figures: &Figures) -> String {
    let (runtimes, others) = columns(figures);
    let mut text = format!("{:44}", "");
    runtimes.iter().for_each(|name| text += &format!(" {name:>10}"));
    others.iter().for_each(|name| text += &format!(" {:>8}", format!("of {name}")));
    text.push('\n');
    for row in &figures.rows {
        text += &format!("{:44}", row.name);
        runtimes.iter().for_each(|name| text += &format!(" {:>10}", value(row, name)));
        others.iter().for_each(|name| text += &format!(" {:>8}", ratio(row, name)));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text + &remarks(figures)
}

/// Who has figures, and whom masu is held against.
fn columns(figures: &Figures) -> (Vec<&'static str>, Vec<&'static str>) {
    let has_any = |name: &&str| figures.rows.iter().any(|row| row.of(name).is_some());
    (RUNTIMES.into_iter().filter(has_any).collect(), OTHERS.into_iter().filter(has_any).collect())
}

fn value(row: &Row, runtime: &str) -> String {
    let value = row.value(runtime).or_else(|| row.value(ANY));
    value.map_or_else(String::new, |value| with_unit(value, &row.unit))
}

fn p99(row: &Row, runtime: &str) -> String {
    let p99 = row.of(runtime).or_else(|| row.of(ANY)).and_then(|value| value.p99);
    p99.map_or_else(String::new, |value| with_unit(value, &row.unit))
}

fn ratio(row: &Row, other: &str) -> String {
    // Of two differences near nothing a ratio says nothing.
    let shown = row.ratio(other).filter(|_| !row.name.contains(", added by "));
    shown.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn remarks(figures: &Figures) -> String {
    let mut text = String::new();
    if !figures.noise.is_empty() {
        text += "\nthe machine was too noisy to judge:\n";
    }
    figures.noise.iter().for_each(|noise| text += &format!("  {noise}\n"));
    figures.notes.iter().for_each(|note| text += &format!("note: {}\n", note.replace('\n', " ")));
    text
}

/// Three significant digits are what the medians repeat to.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    format!("{number} {unit}").trim_end().to_owned()
}

/// What a change did: masu's figures beside earlier ones, and how much of the change is the machine's, by its own
/// spawn and by the floor.
pub(super) fn comparison(baseline: &Figures, figures: &Figures) -> String {
    let mut text = format!("{:44} {:>10} {:>10} {:>8} {:>8}\n", "", "before", "now", "masu", "machine");
    for row in &figures.rows {
        let Some(old) = baseline.row(&row.name) else { continue };
        let change = |runtime| {
            Some((row.value(runtime)? / old.value(runtime).filter(|old| *old > 0.0)? - 1.0) * 100.0)
        };
        let percent =
            |change: Option<f64>| change.map_or_else(String::new, |change| format!("{change:+.1}%"));
        let (Some(before), Some(now)) = (old.value("masu"), row.value("masu")) else { continue };
        let machine = change("floor").or_else(|| change("crun"));
        text += &format!(
            "{:44} {:>10} {:>10} {:>8} {:>8}\n",
            row.name,
            with_unit(before, &row.unit),
            with_unit(now, &row.unit),
            percent(change("masu")),
            percent(machine)
        );
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text + "machine: the floor's change, or crun's where there is no floor: that much is none of masu's\n"
}

/// The aims for a terminal.
pub(super) fn aims(figures: &Figures) -> String {
    let line = |line: &aims::Line| format!("{:72} {:>22}  {}\n", line.aim, line.measured, line.verdict);
    aims::lines(figures).iter().map(line).collect()
}

/// Writes the figures below `target/bench`, and those of a whole run on a quiet machine into the documents.
pub(super) fn write(figures: &Figures, complete: bool) -> Result<()> {
    let folder = project::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    figures.write(&folder.join("bench.json"))?;
    println!("wrote {}", folder.join("bench.json").display());
    write_documents(figures, &folder)?;
    let docs = project::root().join("docs");
    let why_not = match (complete, figures.noise.is_empty()) {
        (true, true) => return write_documents(figures, &docs),
        (false, _) => "this was a part of the benchmark",
        (true, false) => "the machine was too noisy to judge",
    };
    println!("left {} as it is: {why_not}", docs.display());
    Ok(())
}

/// Writes a document of a part that is measured alone, if the machine was quiet.
pub(super) fn write_document(name: &str, is_quiet: bool, text: &str) -> Result<()> {
    let document = project::root().join("docs").join(name);
    if !is_quiet {
        println!("left {} as it is: the machine was too noisy to judge", document.display());
        return Ok(());
    }
    std::fs::write(&document, text).with_context(|| format!("write {}", document.display()))?;
    println!("wrote {}", document.display());
    Ok(())
}

fn write_documents(figures: &Figures, folder: &Path) -> Result<()> {
    for (name, text) in [("benchmarks.md", markdown(figures)), ("benchmarks.svg", chart::svg(&figures.rows))]
    {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

fn markdown(figures: &Figures) -> String {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; do not edit.\n\n\
         {}. Compared: {}. crun and runc are Debian's newest packages, and their caches are warm. The floor is \
         [bench/floor](../bench/floor/src/main.rs): the system calls that make the default container and nothing else, no \
         configuration, no state, no guard. It is what the kernel itself takes, and it is no runtime.\n\n",
        figures.machine.join("; "),
        figures.versions.join(", "),
    );
    if !figures.noise.is_empty() {
        text += "**The machine was too noisy to judge by these figures.**\n\n";
        figures.noise.iter().for_each(|noise| text += &format!("* {noise}\n"));
        text.push('\n');
    }
    text += "![masu, the floor, crun and runc](benchmarks.svg)\n\n\
             The container is what `masu spec` writes, with a libc-free program that ends at once, so that the runtime is \
             what is measured. Medians, and what the slowest in a hundred take; hot: all take turns in blocks of 20, the \
             first of each left out; cold: each after a second in which the machine did nothing else. All in a mount \
             namespace with the cgroup v1 hierarchies alone, since crun refuses a hybrid layout. `spawn` is an empty \
             program without a runtime: what no runtime can save. `added by` is the difference of two medians that were \
             measured in turns. In brackets behind a ratio is where the middle half of the rounds lies, each held against its \
             neighbours in time; an aim with rounds on both sides of it is too close to tell. Memory is the largest process of the runtime itself, by VmHWM; of an idle init, Rss.\n\n";
    text += "## Aims\n\n| masu's | measured | |\n|---|--:|---|\n";
    for line in aims::lines(figures) {
        text += &format!("| {} | {} | {} |\n", line.aim, line.measured, line.verdict);
    }
    text += "\n## Figures\n\n";
    text += &figures_table(figures);
    text + TIME
}

/// All rows, and what is to be said of them.
pub(super) fn figures_table(figures: &Figures) -> String {
    let (runtimes, others) = columns(figures);
    let mut head = vec![String::new()];
    for runtime in &runtimes {
        head.push((*runtime).to_owned());
        head.extend(WITH_P99.contains(runtime).then(|| "p99".to_owned()));
    }
    head.extend(others.iter().map(|other| format!("of {other}")));
    let rule = "|---|".to_owned() + &"--:|".repeat(head.len() - 1);
    let mut text = format!("|{} |\n{rule}\n", head.join(" | "));
    for row in &figures.rows {
        text += &format!("| {} |\n", cells(row, &runtimes, &others).join(" | "));
    }
    if !figures.notes.is_empty() {
        text.push('\n');
        figures.notes.iter().for_each(|note| text += &format!("* {}\n", note.replace('\n', " ")));
    }
    text
}

fn cells(row: &Row, runtimes: &[&str], others: &[&str]) -> Vec<String> {
    let mut cells = vec![row.name.clone()];
    for runtime in runtimes {
        cells.push(value(row, runtime));
        cells.extend(WITH_P99.contains(runtime).then(|| p99(row, runtime)));
    }
    cells.extend(others.iter().map(|other| ratio(row, other)));
    cells
}

#[cfg(test)]
mod tests {
    use super::super::figures::Value;
    use super::*;

    fn figures(masu: f64) -> Figures {
        let mut own = Value::exact("masu", masu);
        own.p99 = Some(masu * 2.0);
        let values =
            vec![own, Value::exact("floor", 2.0), Value::exact("crun", 6.0), Value::exact("runc", 24.0)];
        Figures { rows: vec![Row::new("run, hot", "ms", values)], ..Figures::default() }
    }

    #[test]
    fn a_row_has_all_values_and_masus_part_of_the_others() {
        let line = format!(
            "{:44}    2.40 ms    2.00 ms    6.00 ms    24.0 ms     1.20     0.40     0.10",
            "run, hot"
        );
        assert_eq!(table(&figures(2.4)).lines().nth(1), Some(line.as_str()));
        let markdown = markdown(&figures(2.4));
        let row = "| run, hot | 2.40 ms | 4.80 ms | 2.00 ms | 6.00 ms |  | 24.0 ms | 1.20 | 0.40 | 0.10 |\n";
        assert!(markdown.ends_with(&format!("{row}{TIME}")), "{markdown}");
        assert!(markdown.contains("| run, hot: at most 1.25 × floor | 1.20 | met |\n"), "{markdown}");
    }

    #[test]
    fn noise_is_the_first_thing_told_and_judges_nothing() {
        let noisy = Figures { noise: vec!["spawn, hot: varies".to_owned()], ..figures(2.4) };
        assert!(
            markdown(&noisy).contains(
                "**The machine was too noisy to judge by these figures.**\n\n* spawn, hot: varies\n"
            )
        );
        assert!(table(&noisy).ends_with("\nthe machine was too noisy to judge:\n  spawn, hot: varies\n"));
        assert!(aims(&noisy).lines().all(|line| line.ends_with("not judged")));
    }

    #[test]
    fn the_comparison_shows_masus_change_and_the_machines() {
        let text = comparison(&figures(2.0), &figures(2.5));
        let line = format!("{:44}    2.00 ms    2.50 ms   +25.0%    +0.0%", "run, hot");
        assert_eq!(text.lines().nth(1), Some(line.as_str()));
    }

    #[test]
    fn values_keep_three_digits() {
        let cases = [
            (0.0623, "0.062 ms"),
            (1.234, "1.23 ms"),
            (-12.34, "-12.3 ms"),
            (1234.5, "1234 ms"),
            (0.0, "0.000 ms"),
        ];
        for (value, text) in cases {
            assert_eq!(with_unit(value, "ms"), text);
        }
        assert_eq!(with_unit(312.0, ""), "312");
    }
}
