//! A directory tree with everything about it, as lines to compare.

use rustix::fs::{AtFlags, FileType, statat};
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Everything below `root`, one line each: path, type, mode, owner, and what the type adds. Hard links are told by
/// the first of their names.
pub(crate) fn read(root: &Path, times: bool) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    add(root, root, times, &mut HashMap::new(), &mut tree);
    tree
}

/// The lines that only one of two trees has, marked as diff(1) does.
pub(crate) fn difference(left: &BTreeMap<String, String>, right: &BTreeMap<String, String>) -> String {
    let only = |mark, one: &BTreeMap<String, String>, other: &BTreeMap<String, String>| -> String {
        let lines = one.iter().filter(|(path, line)| other.get(*path) != Some(line));
        lines.map(|(path, line)| format!("{mark} {path} {line}\n")).collect()
    };
    only('-', left, right) + &only('+', right, left)
}

fn add(
    root: &Path,
    path: &Path,
    times: bool,
    seen: &mut HashMap<u64, String>,
    tree: &mut BTreeMap<String, String>,
) {
    let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
    let stat = statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let kind = FileType::from_raw_mode(stat.st_mode);
    let mut line = match kind {
        FileType::RegularFile => {
            let content = std::fs::read(path).unwrap();
            match std::str::from_utf8(&content) {
                Ok(text) if text.len() < 40 => format!("file {text:?}"),
                _ => format!("file of {} bytes, hash {:x}", content.len(), hash(&content)),
            }
        }
        FileType::Directory => "dir".to_owned(),
        FileType::Symlink => format!("symlink {}", path.read_link().unwrap().display()),
        FileType::Fifo => "fifo".to_owned(),
        kind => {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            let letter = if kind == FileType::BlockDevice { 'b' } else { 'c' };
            format!("device {letter} {major}:{minor}")
        }
    };
    if kind != FileType::Symlink {
        line += &format!(" {:o}", stat.st_mode & 0o7777);
    }
    if (stat.st_uid, stat.st_gid) != (0, 0) {
        line += &format!(" {}:{}", stat.st_uid, stat.st_gid);
    }
    for (name, value) in xattrs(path) {
        line += &format!(" {name}={}", value.escape_ascii());
    }
    if times {
        line += &format!(" @{}.{:09}", stat.st_mtime, stat.st_mtime_nsec);
    }
    if kind != FileType::Directory && stat.st_nlink > 1 {
        match seen.get(&stat.st_ino) {
            Some(first) => line += &format!(" = {first}"),
            None => drop(seen.insert(stat.st_ino, name.clone())),
        }
    }
    tree.insert(name, line);
    if kind == FileType::Directory {
        let mut names: Vec<_> = path.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            add(root, &path.join(name), times, seen, tree);
        }
    }
}

fn xattrs(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names = vec![0; 4096];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(errno) => panic!("{}: {errno}", path.display()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0; 4096];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value[..]).unwrap();
        found.push((String::from_utf8_lossy(name).into_owned(), value[..length].to_vec()));
    }
    found.sort();
    found
}

fn hash(bytes: &[u8]) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}
