//! The figures as a bar chart. Each group is drawn to its own scale, the slowest runtime filling the width: what is
//! compared is the runtimes, not a start with a megabyte.

use super::figures::Row;
use super::report::with_unit;

/// Fill colours that differ in lightness too, for print and for the colour-blind.
const RUNTIMES: [(&str, &str); 4] =
    [("masu", "#b3472f"), ("floor", "#3f4a54"), ("crun", "#6f93b8"), ("runc", "#c3cbd4")];
/// The rows that tell the story; the table has all of them.
const ROWS: [&str; 10] = [
    "run, hot",
    "run, cold",
    "whole cycle, hot",
    "whole cycle, cold",
    "exec, hot",
    "list of 1,000 containers, hot",
    "64 runs at once",
    "run, CPU time",
    "peak memory of run",
    "memory of an idle init",
];

const WIDTH: usize = 760;
const LEFT: usize = 200;
const BAR_WIDTH: f64 = 450.0;
const BAR: usize = 16;
const GAP: usize = 18;
const TOP: usize = 44;

/// The chart, as the text of an SVG file.
pub(super) fn svg(rows: &[Row]) -> String {
    let groups: Vec<_> = ROWS.iter().filter_map(|name| rows.iter().find(|row| row.name == *name)).collect();
    let group_height = RUNTIMES.len() * BAR + GAP;
    let height = TOP + groups.len() * group_height;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n\
         <title>masu, the floor, crun and runc: less is better</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text += &legend();
    for (index, row) in groups.iter().enumerate() {
        text += &group(row, TOP + index * group_height);
    }
    text + "</svg>\n"
}

fn legend() -> String {
    let mut text = String::new();
    for (index, (name, colour)) in RUNTIMES.iter().enumerate() {
        let x = LEFT + index * 80;
        text += &format!("<rect x=\"{x}\" y=\"14\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n");
        text += &label(x + 18, 24, "start", name);
    }
    text + &label(WIDTH - 12, 24, "end", "less is better")
}

fn group(row: &Row, y: usize) -> String {
    let largest = row.values.iter().map(|value| value.value).fold(0.0, f64::max);
    let mut text = label(LEFT - 10, y + RUNTIMES.len() * BAR / 2 + 4, "end", &row.name);
    for (index, (name, colour)) in RUNTIMES.iter().enumerate() {
        let Some(value) = row.value(name).filter(|_| largest > 0.0) else { continue };
        let (top, length) = (y + index * BAR, value / largest * BAR_WIDTH);
        text += &format!(
            "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{}\" fill=\"#222222\">{}</text>\n",
            BAR - 2,
            LEFT as f64 + length + 6.0,
            top + 11,
            with_unit(value, &row.unit)
        );
    }
    text
}

fn label(x: usize, y: usize, anchor: &str, words: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"#222222\">{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::super::figures::Value;
    use super::*;

    #[test]
    fn the_slowest_bar_fills_the_width_and_the_others_are_to_scale() {
        let values =
            [("masu", 2.0), ("crun", 5.0), ("runc", 20.0)].map(|(name, value)| Value::exact(name, value));
        let chart = svg(&[Row::new("run, hot", "ms", values.to_vec())]);
        for bar in [
            "y=\"44\" width=\"45.0\" height=\"14\" fill=\"#b3472f\"",
            "y=\"76\" width=\"112.5\" height=\"14\" fill=\"#6f93b8\"",
            "y=\"92\" width=\"450.0\" height=\"14\" fill=\"#c3cbd4\"",
        ] {
            assert!(chart.contains(bar), "{bar} in {chart}");
        }
    }
}
