//! The text of `schemata`: a line for each resource, `L3:0=ff;1=f0`, with a share for each domain.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use masu_spec::IntelRdt;

/// What is written to a class, in this order, each piece by one write(2). The kernel wants a line feed behind each line.
pub(crate) fn writes(rdt: &IntelRdt<'_>) -> Vec<String> {
    let single = [&rdt.l3_cache_schema, &rdt.mem_bw_schema].into_iter().flatten();
    let mut writes: Vec<String> = single.map(|schema| format!("{schema}\n")).collect();
    if !rdt.schemata.is_empty() {
        writes.push(rdt.schemata.iter().map(|line| format!("{line}\n")).collect());
    }
    writes
}

/// Whether `found`, as the kernel shows it, has every share of a line. Domains that the line leaves out may have any.
pub(crate) fn has(found: &str, line: &str) -> bool {
    let Some((resource, wanted)) = split(line) else { return false };
    let shares =
        found.lines().filter_map(split).find(|(name, _)| *name == resource).map(|(_, shares)| shares);
    shares.is_some_and(|shares| wanted.iter().all(|share| shares.contains(share)))
}

/// The resource of a line, and its shares by domain. They are compared as numbers are written, without zeros in front.
fn split(line: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (resource, shares) = line.split_once(':')?;
    let plain = |number: &str| match number.trim().trim_start_matches('0') {
        "" => "0".to_string(),
        number => number.to_ascii_lowercase(),
    };
    let share = |share: &str| share.split_once('=').map(|(domain, value)| (plain(domain), plain(value)));
    let shares = shares.split(';').map(share).collect::<Option<_>>()?;
    Some((resource.trim(), shares))
}

#[cfg(test)]
mod tests {
    use super::has;

    const FOUND: &str = "    MB:0=100;1= 50\nL3CODE:0=00fff;1=00fff\n    L3:0=fffff;1=00ff0\n";

    #[test]
    fn shares_are_compared_by_resource_and_domain() {
        for (line, expected) in [
            ("L3:0=fffff;1=ff0", true),
            ("L3:1=0FF0", true),
            ("MB:0=100", true),
            ("MB:1=50;0=100", true),
            ("L3CODE:0=fff", true),
            ("L3:0=ffff", false),
            ("L3:2=fffff", false),
            ("MB:0=50", false),
            ("L2:0=f", false),
            ("L3", false),
            ("L3:0", false),
        ] {
            assert_eq!(has(FOUND, line), expected, "{line}");
        }
    }
}
