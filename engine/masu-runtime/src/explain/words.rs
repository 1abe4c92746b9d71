//! Numbers and flags in the words of the specification.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::fmt::Write;

use masu_cgroup::MemberRecord;
use masu_program::{Attributes, CText, Propagation, Texts};
use masu_spec::{Atime, MountAttr, PROPAGATION_NAMES, RLIMIT_NAMES, capability_name};

/// The name of the variant that a Debug text begins with.
pub(super) fn variant(debug: &str) -> String {
    debug.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// The last name of a path.
pub(super) fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// A text in quotation marks; what a terminal would act on is escaped.
pub(super) fn quoted(text: CText<'_>) -> String {
    format!("{:?}", String::from_utf8_lossy(text.as_c_str().to_bytes()))
}

/// A text as it is, but for what a terminal would act on.
pub(super) fn plain(bytes: &[u8]) -> String {
    let quoted = format!("{:?}", String::from_utf8_lossy(bytes));
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().into()
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(words: &[String]) -> String {
    match words {
        [] => "none".into(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The hierarchies of these members.
pub(super) fn hierarchies<'a>(members: impl Iterator<Item = &'a MemberRecord>) -> String {
    let (mut names, mut unified) = (Vec::new(), false);
    for member in members {
        match member.version_2 {
            true => unified = true,
            false => names.push(last_name(&member.mount_point).to_owned()),
        }
    }
    match (names.as_slice(), unified) {
        ([], _) => "the unified hierarchy".into(),
        ([one], false) => format!("the hierarchy {one}"),
        (many, false) => format!("the hierarchies {}", list(many)),
        ([one], true) => format!("the hierarchy {one} and the unified one"),
        (many, true) => format!("the hierarchies {} and the unified one", many.join(", ")),
    }
}

/// The capabilities of a set.
pub(super) fn capabilities(set: u64) -> String {
    let names = (0..64).filter(|number| set >> number & 1 == 1);
    let names: Vec<String> =
        names.map(|number| capability_name(number).map_or(format!("{number}"), Into::into)).collect();
    list(&names)
}

/// A limit's name.
pub(super) fn resource(number: u32) -> String {
    let name = usize::try_from(number).ok().and_then(|number| RLIMIT_NAMES.get(number));
    name.map_or_else(|| format!("limit {number}"), |name| (*name).into())
}

/// `1024`, or `unlimited`.
pub(super) fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".into() } else { format!("{value}") }
}

/// The words of attributes, as options of a mount have them; those of `recursive` begin with `r`.
pub(super) fn attributes(changes: Attributes, prefix: &str) -> Vec<String> {
    const NAMES: [(MountAttr, &str, &str); 6] = [
        (MountAttr::RDONLY, "ro", "rw"),
        (MountAttr::NOSUID, "nosuid", "suid"),
        (MountAttr::NODEV, "nodev", "dev"),
        (MountAttr::NOEXEC, "noexec", "exec"),
        (MountAttr::NODIRATIME, "nodiratime", "diratime"),
        (MountAttr::NOSYMFOLLOW, "nosymfollow", "symfollow"),
    ];
    let mut words = Vec::new();
    for (flag, set, cleared) in NAMES {
        if changes.set & flag.bits() != 0 {
            words.push(format!("{prefix}{set}"));
        } else if changes.clear & flag.bits() != 0 {
            words.push(format!("{prefix}{cleared}"));
        }
    }
    let atime = match changes.set & Atime::MASK {
        value if value == Atime::Noatime.attr() => Some("noatime"),
        value if value == Atime::Strictatime.attr() => Some("strictatime"),
        _ if changes.clear & Atime::MASK != 0 => Some("relatime"),
        _ => None,
    };
    words.extend(atime.map(|word| format!("{prefix}{word}")));
    words
}

/// The word of a propagation.
pub(super) fn propagation(propagation: Propagation) -> &'static str {
    let word = PROPAGATION_NAMES
        .iter()
        .find(|(_, known)| known.mode.flag() == propagation.mode && known.recursive == propagation.recursive);
    word.map_or("private", |(name, _)| name)
}

/// Parameters of a file system: names, and names with values.
pub(super) fn parameters(flags: Texts<'_>, parameters: Texts<'_>) -> Vec<String> {
    let mut words = Vec::new();
    let mut pairs = parameters;
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        // What /proc/mounts shows as the device says nothing about the file system.
        if name != c"source" {
            words.push(format!("{}={}", plain(name.to_bytes()), plain(value.to_bytes())));
        }
    }
    // `none` in front of a name with a value belongs to how cgroup hierarchies are mounted.
    words.extend(flags.map(|flag| plain(flag.to_bytes())));
    words
}

/// The numbers of the bits that are set: `0-3,7`.
pub(super) fn numbers(bits: &[u8]) -> String {
    let is_set = |number: usize| bits.get(number / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for number in (0..bits.len() * 8).filter(|number| is_set(*number)) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let text = |(first, last): &(usize, usize)| {
        if first == last { format!("{first}") } else { format!("{first}-{last}") }
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Where memory comes from, set_mempolicy(2).
pub(super) fn memory_policy(mode: u32, nodes: &[u8]) -> String {
    let modes =
        ["default", "preferred", "bind", "interleave", "local", "preferred-many", "weighted-interleave"];
    let name = usize::try_from(mode & 0xff).ok().and_then(|mode| modes.get(mode)).unwrap_or(&"unknown");
    let flags = [(1 << 13, "NUMA balancing"), (1 << 14, "relative nodes"), (1 << 15, "static nodes")];
    let flags: Vec<_> = flags.iter().filter(|(flag, _)| mode & flag != 0).map(|(_, name)| *name).collect();
    let nodes = if nodes.is_empty() { String::new() } else { format!(", nodes {}", numbers(nodes)) };
    let flags = if flags.is_empty() { String::new() } else { format!(" ({})", flags.join(", ")) };
    format!("Sets where its memory comes from: {name}{nodes}{flags}.")
}

/// A command as it would be typed, shortened when it is long.
pub(super) fn command(arguments: Texts<'_>) -> String {
    const LONGEST: usize = 120;
    let mut text = String::new();
    for argument in arguments {
        let argument = plain(argument.to_bytes());
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
        let gap = if text.is_empty() { "" } else { " " };
        let bare = !argument.is_empty() && argument.chars().all(safe);
        // ignored: writing to a String cannot fail.
        let _ = match bare {
            true => write!(text, "{gap}{argument}"),
            false => write!(text, "{gap}'{argument}'"),
        };
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
