//! Text in columns, and numbers for people.

/// Lines in columns, two spaces apart, the first line being their names.
pub(super) fn render(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A number of bytes, in the decimal units in which registries and disks are measured.
pub(super) fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "kB", "MB", "GB"] {
        if bytes < unit.saturating_mul(1000) || name == "GB" {
            let (whole, tenth) = (bytes / unit, bytes % unit * 10 / unit.max(1));
            return if unit == 1 { format!("{whole} B") } else { format!("{whole}.{tenth} {name}") };
        }
        unit *= 1000;
    }
    format!("{bytes} B")
}

/// A time of RFC 3339 to the minute.
pub(super) fn time(created: Option<&str>) -> String {
    let created = created.unwrap_or_default();
    created.get(..16).unwrap_or(created).replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let rows = [vec!["NAME".to_owned(), "SIZE".to_owned()], vec!["a".to_owned(), "1.0 MB".to_owned()]];
        assert_eq!(render(&rows), "NAME  SIZE\na     1.0 MB\n");
    }

    #[test]
    fn sizes_have_one_decimal_place() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1_999_999, "1.9 MB"),
            (5_000_000_000_000, "5000.0 GB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(time(Some("2024-05-06T07:08:09Z")), "2024-05-06 07:08");
        assert_eq!(time(None), "");
    }
}
