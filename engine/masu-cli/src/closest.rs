//! Which of some names was probably meant.

/// The candidate nearest to `name`, if one is near enough to be a slip of the fingers: at most one edit (insert,
/// remove, replace) for each three letters begun. The first of several equally near ones.
pub fn closest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = name.len().div_ceil(3);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((edit_distance(name, candidate)?, candidate)))
        .filter(|&(distance, candidate)| distance <= limit && distance < candidate.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// The longest name that is compared: longer than any of the table.
const LONGEST: usize = 31;

/// The Levenshtein distance in bytes; `None` when a name is longer than [`LONGEST`].
fn edit_distance(a: &str, b: &str) -> Option<usize> {
    if a.len() > LONGEST {
        return None;
    }
    // row[j]: the distance between the first j bytes of `b` and as many bytes of `a` as were seen.
    let mut row: [usize; LONGEST + 1] = core::array::from_fn(|j| j);
    let row = row.get_mut(..=b.len())?;
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in core::iter::once(None).chain(b.bytes().map(Some)).zip(row.iter_mut()) {
            let above = *cell;
            if let Some(y) = y {
                left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            }
            *cell = left;
            diagonal = above;
        }
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        for (a, b, distance) in [
            ("", "", Some(0)),
            ("", "abc", Some(3)),
            ("abc", "", Some(3)),
            ("kitten", "sitting", Some(3)),
            ("start", "strat", Some(2)),
            ("a", "0123456789012345678901234567890", Some(31)),
            ("a", "01234567890123456789012345678901", None),
            ("01234567890123456789012345678901", "a", None),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        let names = ["start", "state", "spec", "ps", "run"];
        for (name, found) in [
            ("strat", Some("start")),
            ("stat", Some("start")),
            ("stte", Some("state")),
            ("rum", Some("run")),
            ("image", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(closest(name, names), found, "{name}");
        }
    }
}
