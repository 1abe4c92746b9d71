//! The figures, for the terminal and for `docs/benchmarks-boxes.md`.

use super::Content;
use super::contender::CONTENDERS;
use super::content;
use crate::bench::aims::judge;
use crate::bench::figures::{Figures, Row, Spread};
use crate::bench::report::{with_unit, write_document};
use crate::project;
use anyhow::{Context, Result};

/// Of what the faster of the others takes.
const RATIO_MAX: f64 = 0.15;
/// In milliseconds, however large the image is.
const BUNDLE_MAX: f64 = 10.0;

/// For a terminal.
pub(super) fn table(figures: &Figures) -> String {
    let line = |cells: Vec<String>| {
        let (first, rest) = cells.split_first().map_or((String::new(), &[][..]), |(a, b)| (a.clone(), b));
        let rest: String = rest.iter().map(|cell| format!(" {cell:>12}")).collect();
        format!("{first:30}{rest}\n")
    };
    let mut text = line(head());
    text.extend(figures.rows.iter().map(|row| line(cells(row))));
    text.push('\n');
    for [aim, measured, verdict] in aims(figures) {
        text += &format!("{aim:60} {measured:>24}  {verdict}\n");
    }
    let noise = figures.noise.iter();
    noise.for_each(|noise| text += &format!("\nthe machine was too noisy to judge: {noise}\n"));
    text
}

fn head() -> Vec<String> {
    let names = CONTENDERS.map(|contender| contender.name().to_owned());
    let ratios = names.iter().skip(1).map(|name| format!("of {name}"));
    [String::new()].into_iter().chain(names.clone()).chain(ratios).collect()
}

fn cells(row: &Row) -> Vec<String> {
    let names = CONTENDERS.map(|contender| contender.name());
    let values =
        names.map(|name| row.value(name).map_or_else(String::new, |value| with_unit(value, &row.unit)));
    let ratios = names.iter().skip(1);
    let ratios = ratios.map(|name| row.ratio(name).map_or_else(String::new, |ratio| format!("{ratio:.2}")));
    [row.name.clone()].into_iter().chain(values).chain(ratios).collect()
}

/// Writes the figures below `target/bench` and, unless the machine was noisy, `docs/benchmarks-boxes.md`.
pub(super) fn write(figures: &Figures, content: &Content) -> Result<()> {
    let folder = project::target().join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let json = folder.join("boxes.json");
    figures.write(&json)?;
    println!("wrote {}", json.display());
    write_document("benchmarks-boxes.md", figures.noise.is_empty(), &markdown(figures, content)?)
}

/// What is wanted, what was measured, and whether it is enough. By the figures of a noisy machine nothing is judged.
fn aims(figures: &Figures) -> Vec<[String; 3]> {
    let is_noisy = !figures.noise.is_empty();
    let line = |aim: String, at_most, measured, spread: Option<Spread>, unit: &str| {
        let verdict = if is_noisy { "not judged" } else { judge(at_most, measured, spread) };
        let shown =
            spread.map_or_else(String::new, |Spread { low, high }| format!(" ({low:.2} to {high:.2})"));
        [aim, with_unit(measured, unit) + &shown, verdict.to_owned()]
    };
    let lines = figures.rows.iter().filter_map(|row| {
        let own = row.of("masu")?;
        let others =
            CONTENDERS.iter().skip(1).filter_map(|other| Some((other.name(), row.ratio(other.name())?)));
        match others.max_by(|one, two| one.1.total_cmp(&two.1)) {
            None => {
                let aim = format!("{}: at most {BUNDLE_MAX} ms", row.name);
                Some(line(aim, BUNDLE_MAX, own.value, Spread::of(own.rounds.iter().copied()), "ms"))
            }
            Some((other, ratio)) if row.name == "one box" => {
                let aim = format!("{}: at most {RATIO_MAX} × {other}, the best of the others", row.name);
                Some(line(aim, RATIO_MAX, ratio, row.ratio_spread(other), ""))
            }
            Some(_) => None,
        }
    });
    lines.collect()
}

fn markdown(figures: &Figures, content: &Content) -> Result<String> {
    let (debian, large) = (content.describe(content::DEBIAN)?, content.describe(content::LARGE)?);
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let head = head();
    let rule = format!("|---|{}\n", "--:|".repeat(head.len() - 1));
    let mut text = format!(
        "# Benchmarks of boxes\n\n\
         Written by `cargo xtask bench boxes`; do not edit.\n\n\
         {}. Compared: {}; all but masu are Debian bookworm's.\n\n\
         From an image that is unpacked already to a container that has ended: `masu box`, `podman run --rm` and `docker \
         run --rm`, all without a network, the last two with runc; dockerd runs already. The program is `true`, of `debian`: \
         mmdebstrap's minbase, {} MB of gzip in one layer. A bundle is `masu bundle create` alone; `large` is 30,000 files, \
         {} MB in {} layers. Medians of {} calls in blocks that take turns, the first of each left out; of {} rounds for the \
         {} at once, from the first call to the end of the last. Memory is what the processes have that are \
         there more while so many wait in the background (Pss), for each box.\n\n",
        figures.machine.join("; "),
        figures.versions.join(", "),
        debian.megabytes,
        large.megabytes,
        large.layers,
        super::BLOCKS * (super::BLOCK - 1),
        super::ROUNDS,
        super::MANY,
    );
    text += "## Aims\n\n| masu's | measured | |\n|---|--:|---|\n";
    for [aim, measured, verdict] in aims(figures) {
        text += &format!("| {aim} | {measured} | {verdict} |\n");
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
    fn an_aim_is_held_against_the_best_of_the_others() {
        let values = [("masu", 40.0), ("podman", 500.0), ("docker", 200.0)];
        let values = values.map(|(name, value)| Value::exact(name, value)).to_vec();
        let bundle = Row::new("bundle of debian", "ms", vec![Value::exact("masu", 9.0)]);
        let rows = vec![bundle, Row::new("one box", "ms", values.clone()), Row::new("other", "MB", values)];
        let lines = aims(&Figures { rows, ..Figures::default() });
        let lines: Vec<_> = lines.iter().map(|line| line.join(", ")).collect();
        let expected = [
            "bundle of debian: at most 10 ms, 9.00 ms, met",
            "one box: at most 0.15 × docker, the best of the others, 0.200, missed",
        ];
        assert_eq!(lines, expected);
    }
}
