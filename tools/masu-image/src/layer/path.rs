//! Paths in a layer, as text: nothing is looked up.

use super::error::{Error, Reason};
use std::ops::Range;

/// Directories within each other. Removing a tree holds one descriptor for each, of 1024 that a process usually has.
pub(super) const MAX_DEPTH: usize = 512;

/// `PATH_MAX` and `NAME_MAX` of linux/limits.h.
const PATH_MAX: usize = 4096;
const NAME_MAX: usize = 255;

/// The path relative to the layer's root: without empty parts, `.`, and slashes at its ends. Empty for the root.
/// An absolute path is one below the root, as every unpacker takes it.
pub(super) fn parse(given: &[u8]) -> Result<Vec<u8>, Error> {
    let mut path = Vec::with_capacity(given.len());
    for component in given.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(Error::refused(given, Reason::ParentDirectory)),
            name => push(&mut path, name),
        }
    }
    check(&path).map(|()| path)
}

/// Whether the kernel and the tree's removal can do with it.
pub(super) fn check(path: &[u8]) -> Result<(), Error> {
    let mut components = path.split(|byte| *byte == b'/');
    if path.len() >= PATH_MAX || components.clone().any(|name| name.len() > NAME_MAX) {
        return Err(Error::refused(path, Reason::TooLong));
    }
    match components.nth(MAX_DEPTH) {
        Some(_) => Err(Error::refused(path, Reason::TooDeep)),
        None => Ok(()),
    }
}

/// Directory and name; the root has neither.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Some((path.get(..slash)?, path.get(slash + 1..)?)),
        None => Some((b"", path)),
    }
}

/// `directory/name`, where the root is the empty directory.
pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    push(&mut path, name);
    path
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The path itself and the directories above it, without the root.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| split(path).map(|(directory, _)| directory))
        .filter(|path| !path.is_empty())
}

/// In sorted paths, those below `directory`: `0` is what comes after the slash.
pub(super) fn range_below(directory: &[u8]) -> Range<Vec<u8>> {
    [directory, b"/"].concat()..[directory, b"0"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_root_whatever_they_look_like() {
        let cases: [(&[u8], &[u8]); 7] = [
            (b"a/b", b"a/b"),
            (b"./a//b/", b"a/b"),
            (b"/a/./b", b"a/b"),
            (b"./", b""),
            (b"/", b""),
            (b"", b""),
            (b"a/..b/c..", b"a/..b/c.."),
        ];
        for (given, path) in cases {
            assert_eq!(parse(given).unwrap(), path, "{}", given.escape_ascii());
        }
    }

    #[test]
    fn paths_that_lead_up_or_too_far_are_refused() {
        let (long, deep) = (vec![b'n'; 256], b"d/".repeat(513));
        let cases: [(&[u8], Reason); 6] = [
            (b"..", Reason::ParentDirectory),
            (b"a/../b", Reason::ParentDirectory),
            (b"/..", Reason::ParentDirectory),
            (&long, Reason::TooLong),
            (&b"name/".repeat(820), Reason::TooLong),
            (&deep, Reason::TooDeep),
        ];
        for (given, expected) in cases {
            let Err(Error::Refused { reason, .. }) = parse(given) else { panic!("{}", given.escape_ascii()) };
            assert_eq!(reason, expected);
        }
        assert_eq!(parse(&b"d/".repeat(512)).unwrap().len(), 1023);
    }

    #[test]
    fn directories_are_told_from_names() {
        assert_eq!(split(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split(b""), None);
        assert_eq!(join(b"", b"a"), b"a");
        assert_eq!(ancestors(b"a/b/c").collect::<Vec<_>>(), [&b"a/b/c"[..], b"a/b", b"a"]);
        let below = range_below(b"a");
        assert!(below.contains(&b"a/b".to_vec()) && !below.contains(&b"a-".to_vec()));
        assert!(!below.contains(&b"a".to_vec()) && !below.contains(&b"ab".to_vec()));
    }
}
