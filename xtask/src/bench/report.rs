//! The figures as tables: for the terminal, for `docs/benchmarks.md`, and against an earlier run.

use super::chart;
use super::figures::{ANY, Figures, Row};
use crate::project;
use anyhow::{Context, Result};

const RUNTIMES: [&str; 3] = ["masu", "crun", "runc"];

/// For a terminal.
pub(super) fn table(figures: &Figures) -> String {
    let mut text = String::new();
    for row in &figures.rows {
        let [name, masu, crun, runc, of_crun, of_runc] = cells(row);
        text += &format!("{name:28} {masu:>10} {crun:>10} {runc:>10} {of_crun:>8} {of_runc:>8}\n");
    }
    let head =
        format!("{:28} {:>10} {:>10} {:>10} {:>8} {:>8}\n", "", "masu", "crun", "runc", "of crun", "of runc");
    head + &text
}

fn cells(row: &Row) -> [String; 6] {
    let value = |runtime| {
        let value = row.value(runtime).or_else(|| row.value(ANY));
        value.map_or_else(String::new, |value| with_unit(value, &row.unit))
    };
    let ratio = |runtime| row.ratio(runtime).map_or_else(String::new, |ratio| format!("{ratio:.2}"));
    let [masu, crun, runc] = RUNTIMES.map(value);
    [row.name.clone(), masu, crun, runc, ratio("crun"), ratio("runc")]
}

/// Three significant digits are what the medians repeat to.
pub(super) fn with_unit(value: f64, unit: &str) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3} {unit}"),
        value if value < 10.0 => format!("{value:.2} {unit}"),
        value if value < 100.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

/// masu now and then.
pub(super) fn comparison(before: &Figures, now: &Figures) -> String {
    let mut text =
        format!("{:28} {:>10} {:>10} {:>8}\n", "masu against the baseline", "before", "now", "change");
    for row in &now.rows {
        let Some(old) = before.rows.iter().find(|old| old.name == row.name).and_then(|old| old.value("masu"))
        else {
            continue;
        };
        let Some(new) = row.value("masu") else { continue };
        let (shown_old, shown_new) = (with_unit(old, &row.unit), with_unit(new, &row.unit));
        let change = (new / old - 1.0) * 100.0;
        text += &format!("{:28} {shown_old:>10} {shown_new:>10} {change:>+7.1}%\n", row.name);
    }
    text
}

/// `docs/benchmarks.md` and the chart that it shows.
pub(super) fn write_documents(figures: &Figures) -> Result<()> {
    for (name, text) in [("benchmarks.md", markdown(figures)), ("benchmarks.svg", chart::svg(&figures.rows))]
    {
        let file = project::root().join("docs").join(name);
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

fn markdown(figures: &Figures) -> String {
    let mut text = format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; do not edit.\n\n\
         {}. Compared: {}. crun and runc are Debian's newest packages.\n\n\
         ![masu, crun and runc](benchmarks.svg)\n\n\
         The container is what `spec` writes by default, with a libc-free program that ends at once, so that the \
         runtime is what is measured. Medians; hot: the runtimes take turns in blocks of 20, the first of each left \
         out; cold: each after 1.5 s of idleness. All in a mount namespace with the cgroup v1 hierarchies alone, \
         since crun refuses a hybrid layout. `spawn` is an empty program without a runtime: what no runtime can save. \
         Memory is the largest process of the runtime itself, by VmHWM.\n\n\
         | | masu | crun | runc | of crun | of runc |\n|---|--:|--:|--:|--:|--:|\n",
        figures.machine.join("; "),
        figures.versions.join(", "),
    );
    for row in &figures.rows {
        text += &format!("| {} |\n", cells(row).join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(masu: f64) -> Figures {
        let values = vec![("masu".to_owned(), masu), ("crun".to_owned(), 6.0), ("runc".to_owned(), 24.0)];
        let row = Row { name: "run, hot".to_owned(), unit: "ms".to_owned(), values };
        Figures { machine: Vec::new(), versions: Vec::new(), rows: vec![row] }
    }

    #[test]
    fn a_row_has_the_three_values_and_masus_part_of_the_others() {
        assert_eq!(
            table(&figures(2.4)).lines().nth(1),
            Some("run, hot                        2.40 ms    6.00 ms    24.0 ms     0.40     0.10")
        );
        assert!(
            markdown(&figures(2.4)).ends_with("| run, hot | 2.40 ms | 6.00 ms | 24.0 ms | 0.40 | 0.10 |\n")
        );
    }

    #[test]
    fn the_comparison_shows_masus_change() {
        let text = comparison(&figures(2.0), &figures(2.5));
        assert_eq!(text.lines().nth(1), Some("run, hot                        2.00 ms    2.50 ms   +25.0%"));
    }

    #[test]
    fn values_keep_three_digits() {
        let cases = [(0.0623, "0.062 ms"), (1.234, "1.23 ms"), (12.34, "12.3 ms"), (1234.5, "1234 ms")];
        for (value, text) in cases {
            assert_eq!(with_unit(value, "ms"), text);
        }
    }
}
