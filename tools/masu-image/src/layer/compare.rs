//! Whether two unpacked layers are the same, in all that unpacking a layer sets.

use super::attributes;
use super::error::show;
use super::lower::{kind, names, open_below};
use super::path;
use rustix::fs::{AtFlags, FileType, OFlags, SeekFrom, Stat, readlinkat, seek, statat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// How much of a file is compared at once, in bytes.
const CHUNK: usize = 256 << 10;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Its path in the layer, without control characters.
    path: String,
    problem: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// Finds what in `actual` is not as in `expected`: names and types, content, owners, modes, times of modification,
/// extended attributes, and which names are hard links to the same file.
///
/// # Errors
///
/// Those of the file system, with the path.
pub(crate) fn compare(
    expected: BorrowedFd<'_>,
    actual: BorrowedFd<'_>,
) -> Result<Vec<Difference>, super::Error> {
    let mut comparison = Comparison { links: BTreeMap::new(), todo: vec![Vec::new()], found: Vec::new() };
    comparison.attributes(expected, actual, b"").map_err(super::Error::system("compare", b""))?;
    while let Some(directory) = comparison.todo.pop() {
        // Opened anew: a stack of open directories would be as deep as the tree.
        let open = |root| open_below(root, &directory, OFlags::RDONLY | OFlags::DIRECTORY);
        let both = open(expected).and_then(|expected| Ok((expected, open(actual)?)));
        both.and_then(|(expected, actual)| comparison.directory(&expected, &actual, &directory))
            .map_err(super::Error::system("compare", &directory))?;
    }
    Ok(comparison.found)
}

struct Comparison {
    /// The files that have several names: which is which.
    links: BTreeMap<u64, u64>,
    /// Directories that are in both, and whose content was not looked at.
    todo: Vec<Vec<u8>>,
    found: Vec<Difference>,
}

impl Comparison {
    fn tell(&mut self, path: &[u8], problem: impl Into<String>) {
        self.found.push(Difference { path: show(path), problem: problem.into() });
    }

    fn directory(
        &mut self,
        expected: &OwnedFd,
        actual: &OwnedFd,
        directory: &[u8],
    ) -> rustix::io::Result<()> {
        let (wanted, there): (BTreeSet<_>, BTreeSet<_>) =
            (names(expected)?.into_iter().collect(), names(actual)?.into_iter().collect());
        for name in wanted.union(&there) {
            let path = path::join(directory, name);
            match (wanted.contains(name), there.contains(name)) {
                (true, true) => self.entry(expected, actual, name, &path)?,
                (true, false) => self.tell(&path, "it is missing"),
                _ => self.tell(&path, "the layer has no such file"),
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        expected: &OwnedFd,
        actual: &OwnedFd,
        name: &[u8],
        path: &[u8],
    ) -> rustix::io::Result<()> {
        let places = [open_below(expected, name, OFlags::PATH)?, open_below(actual, name, OFlags::PATH)?];
        let [wanted, there] = &places;
        let Some(stats) = self.attributes(wanted.as_fd(), there.as_fd(), path)? else { return Ok(()) };
        let is_same_content = match kind(&stats[0]) {
            FileType::Directory => {
                self.todo.push(path.to_vec());
                true
            }
            FileType::Symlink => {
                let [wanted, there] = places.map(|place| readlinkat(place, "", Vec::new()));
                wanted? == there?
            }
            FileType::RegularFile if stats[0].st_size != stats[1].st_size => false,
            FileType::RegularFile => {
                let open = |directory| open_below(directory, name, OFlags::RDONLY).map(File::from);
                is_same_content(&open(expected)?, &open(actual)?, stats[0].st_size.unsigned_abs())?
            }
            FileType::CharacterDevice | FileType::BlockDevice => stats[0].st_rdev == stats[1].st_rdev,
            _ => true,
        };
        if !is_same_content {
            self.tell(path, "its content is not the layer's");
        }
        if kind(&stats[0]) != FileType::Directory && !self.is_same_link(&stats) {
            self.tell(path, "its hard links are not the layer's");
        }
        Ok(())
    }

    fn is_same_link(&mut self, [wanted, there]: &[Stat; 2]) -> bool {
        wanted.st_nlink == there.st_nlink
            && (wanted.st_nlink == 1
                || *self.links.entry(wanted.st_ino).or_insert(there.st_ino) == there.st_ino)
    }

    /// Compares all but the content. `None` when they are of different types, so that nothing else is worth telling.
    fn attributes(
        &mut self,
        expected: BorrowedFd<'_>,
        actual: BorrowedFd<'_>,
        path: &[u8],
    ) -> rustix::io::Result<Option<[Stat; 2]>> {
        let stats = [statat(expected, "", AtFlags::EMPTY_PATH)?, statat(actual, "", AtFlags::EMPTY_PATH)?];
        let [wanted, there] = &stats;
        if kind(wanted) != kind(there) {
            self.tell(path, "it is of another type");
            return Ok(None);
        }
        let mode = |stat: &Stat| stat.st_mode & 0o7777;
        if mode(wanted) != mode(there) {
            self.tell(path, format!("its mode is {:04o}, not {:04o}", mode(there), mode(wanted)));
        }
        let owner = |stat: &Stat| (stat.st_uid, stat.st_gid);
        let ((uid, gid), (old_uid, old_gid)) = (owner(there), owner(wanted));
        if (uid, gid) != (old_uid, old_gid) {
            self.tell(path, format!("it belongs to {uid}:{gid}, not {old_uid}:{old_gid}"));
        }
        if (wanted.st_mtime, wanted.st_mtime_nsec) != (there.st_mtime, there.st_mtime_nsec) {
            self.tell(path, "it was modified at another time");
        }
        if sorted_xattrs(expected)? != sorted_xattrs(actual)? {
            self.tell(path, "it has other extended attributes");
        }
        Ok(Some(stats))
    }
}

/// But for the label, which is this machine's own.
fn sorted_xattrs(place: BorrowedFd<'_>) -> rustix::io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let xattrs = attributes::xattrs(place)?.into_iter();
    Ok(xattrs.filter(|(name, _)| name != b"security.selinux").collect())
}

/// Compares two files of this size: all that is data in either, which leaves out common holes.
fn is_same_content(a: &File, b: &File, size: u64) -> rustix::io::Result<bool> {
    for (data_of, other) in [(a, b), (b, a)] {
        let (mut start, mut seen) = (0, 0);
        while start < size {
            let data = match seek(data_of, SeekFrom::Data(start)) {
                // Nothing but a hole up to the end: lseek(2).
                Err(Errno::NXIO) => break,
                other => other?,
            };
            start = seek(data_of, SeekFrom::Hole(data))?;
            if !is_same_range(data_of, other, data, start).map_err(errno)? {
                return Ok(false);
            }
            seen += start - data;
        }
        if seen == size {
            break;
        }
    }
    Ok(true)
}

fn is_same_range(a: &File, b: &File, mut start: u64, end: u64) -> std::io::Result<bool> {
    let mut buffers = [vec![0; CHUNK], vec![0; CHUNK]];
    while start < end {
        let length = usize::try_from(end - start).unwrap_or(CHUNK).min(CHUNK);
        let [left, right] = &mut buffers;
        let (Some(left), Some(right)) = (left.get_mut(..length), right.get_mut(..length)) else { break };
        a.read_exact_at(left, start)?;
        b.read_exact_at(right, start)?;
        if left != right {
            return Ok(false);
        }
        start += length as u64;
    }
    Ok(true)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};

    /// Two directories that are the same, and go with their test.
    struct Pair(PathBuf);

    impl Pair {
        fn new(name: &str) -> Self {
            let pair = Self(std::env::temp_dir().join(format!("masu-compare-{name}-{}", std::process::id())));
            for side in ["expected", "actual"] {
                let root = pair.0.join(side);
                std::fs::create_dir_all(root.join("d/e")).unwrap();
                for name in ["a", "d/b", "d/e/c"] {
                    std::fs::write(root.join(name), name.repeat(1000)).unwrap();
                }
                std::fs::hard_link(root.join("a"), root.join("d/a")).unwrap();
                symlink("a", root.join("link")).unwrap();
                let sparse = File::create(root.join("sparse")).unwrap();
                sparse.write_all_at(b"middle", 1 << 20).unwrap();
                sparse.set_len(1 << 40).unwrap();
                still(&root);
            }
            pair
        }

        fn actual(&self) -> PathBuf {
            self.0.join("actual")
        }

        fn differences(&self) -> Vec<String> {
            still(&self.actual());
            let [expected, actual] =
                ["expected", "actual"].map(|side| File::open(self.0.join(side)).unwrap());
            let found = compare(expected.as_fd(), actual.as_fd()).unwrap();
            found.iter().map(ToString::to_string).collect()
        }
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// Gives everything the same time.
    fn still(path: &Path) {
        let time = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 5 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        if path.is_dir() && !path.is_symlink() {
            std::fs::read_dir(path).unwrap().for_each(|entry| still(&entry.unwrap().path()));
        }
    }

    #[test]
    fn layers_that_are_the_same_have_no_differences() {
        assert_eq!(Pair::new("same").differences(), Vec::<String>::new());
    }

    #[test]
    fn content_is_compared_in_holes_too() {
        let pair = Pair::new("content");
        std::fs::write(pair.actual().join("d/b"), "d/c".repeat(1000)).unwrap();
        let sparse = File::options().write(true).open(pair.actual().join("sparse")).unwrap();
        sparse.write_all_at(b"!", 1 << 30).unwrap();
        std::fs::remove_file(pair.actual().join("link")).unwrap();
        symlink("b", pair.actual().join("link")).unwrap();
        std::fs::write(pair.actual().join("d/e/c"), "").unwrap();
        let told =
            ["link", "sparse", "d/b", "d/e/c"].map(|path| format!("{path}: its content is not the layer's"));
        assert_eq!(pair.differences(), told);
    }

    #[test]
    fn names_types_and_attributes_are_compared() {
        let pair = Pair::new("names");
        let actual = pair.actual();
        std::fs::remove_file(actual.join("link")).unwrap();
        std::fs::create_dir(actual.join("link")).unwrap();
        std::fs::write(actual.join("new"), "").unwrap();
        std::fs::remove_file(actual.join("sparse")).unwrap();
        std::fs::set_permissions(actual.join("d/b"), std::fs::Permissions::from_mode(0o4755)).unwrap();
        rustix::fs::setxattr(actual.join("d"), "user.a", b"b", rustix::fs::XattrFlags::empty()).unwrap();
        let told = [
            "d: it has other extended attributes",
            "link: it is of another type",
            "new: the layer has no such file",
            "sparse: it is missing",
            "d/b: its mode is 4755, not 0644",
        ];
        assert_eq!(pair.differences(), told);
    }

    #[test]
    fn times_and_hard_links_are_compared() {
        let pair = Pair::new("links");
        let actual = pair.actual();
        // The same content, which is no longer the same file.
        std::fs::remove_file(actual.join("d/a")).unwrap();
        std::fs::copy(actual.join("a"), actual.join("d/a")).unwrap();
        let told = ["a", "d/a"].map(|path| format!("{path}: its hard links are not the layer's"));
        assert_eq!(pair.differences(), told);
        let [expected, found] = ["expected", "actual"].map(|side| File::open(pair.0.join(side)).unwrap());
        let time = rustix::fs::Timespec { tv_sec: 1, tv_nsec: 6 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::futimens(&found, &times).unwrap();
        let first = compare(expected.as_fd(), found.as_fd()).unwrap().remove(0);
        assert_eq!(first.to_string(), "/: it was modified at another time");
    }
}
