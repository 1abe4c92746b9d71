//! Options of a mount: words to flags, see mount(8), mount(2) and mount_setattr(2).
use alloc::format;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::error::ConfigError;
use crate::path::Path;
use crate::propagation::Propagation;
use crate::text::Str;

bitflags! {
    /// Attributes of one mount: `MOUNT_ATTR_*`. Access times are an [`Atime`], since they exclude each other.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountAttr: u64 {
        /// `MOUNT_ATTR_RDONLY`.
        const RDONLY = 0x1;
        /// `MOUNT_ATTR_NOSUID`.
        const NOSUID = 0x2;
        /// `MOUNT_ATTR_NODEV`.
        const NODEV = 0x4;
        /// `MOUNT_ATTR_NOEXEC`.
        const NOEXEC = 0x8;
        /// `MOUNT_ATTR_NODIRATIME`.
        const NODIRATIME = 0x80;
        /// `MOUNT_ATTR_NOSYMFOLLOW`, Linux 5.14.
        const NOSYMFOLLOW = 0x0020_0000;
    }

    /// Flags of the file system (the superblock): `MS_*` of mount(2). They do nothing to a bind mount.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct MountFlags: u32 {
        /// `MS_RDONLY`: set together with [`MountAttr::RDONLY`], as mount(2) does.
        const RDONLY = 1;
        /// `MS_SYNCHRONOUS`.
        const SYNCHRONOUS = 1 << 4;
        /// `MS_REMOUNT`: `remount` was asked for.
        const REMOUNT = 1 << 5;
        /// `MS_MANDLOCK`: nothing since Linux 5.15.
        const MANDLOCK = 1 << 6;
        /// `MS_DIRSYNC`.
        const DIRSYNC = 1 << 7;
        /// `MS_SILENT`.
        const SILENT = 1 << 15;
        /// `MS_I_VERSION`.
        const I_VERSION = 1 << 23;
        /// `MS_LAZYTIME`.
        const LAZYTIME = 1 << 25;
    }
}

/// When access times are written; the discriminants are the values within `MOUNT_ATTR__ATIME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atime {
    /// `MOUNT_ATTR_RELATIME`: the kernel's default.
    Relatime = 0x00,
    /// `MOUNT_ATTR_NOATIME`.
    Noatime = 0x10,
    /// `MOUNT_ATTR_STRICTATIME`.
    Strictatime = 0x20,
}

impl Atime {
    /// `MOUNT_ATTR__ATIME`: belongs into `attr_clr` whenever an access time mode is set.
    pub const MASK: u64 = 0x70;

    /// The value for `attr_set`.
    pub const fn attr(self) -> u64 {
        match self {
            Self::Relatime => 0x00,
            Self::Noatime => 0x10,
            Self::Strictatime => 0x20,
        }
    }
}

/// A change of attributes, as mount_setattr(2) wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttrChange {
    /// Attributes to set.
    pub set: MountAttr,
    /// Attributes to clear; never one that is in `set`.
    pub clear: MountAttr,
    /// The access time mode to set; `None` leaves it.
    pub atime: Option<Atime>,
}

impl AttrChange {
    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `attr_set` of `struct mount_attr`.
    pub fn attr_set(&self) -> u64 {
        self.set.bits() | self.atime.map_or(0, Atime::attr)
    }

    /// `attr_clr` of `struct mount_attr`.
    pub fn attr_clr(&self) -> u64 {
        self.clear.bits() | self.atime.map_or(0, |_| Atime::MASK)
    }
}

/// Whether a mount is a bind mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bind {
    /// A file system of its own.
    #[default]
    None,
    /// `bind`: the one mount at the source.
    Bind,
    /// `rbind`: with everything mounted below.
    Rbind,
}

/// Which mounts the id map of a bind mount is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdMapScope {
    /// `idmap`: the one mount.
    Mount,
    /// `ridmap`: those below it too.
    Tree,
}

/// The checked `options` of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountOptions<'a> {
    /// Bind mount or file system.
    pub bind: Bind,
    /// The words about this mount alone: `ro`, `nosuid`, `noatime`, …
    pub attr: AttrChange,
    /// The words about this mount and all below it: `rro`, `rnosuid`, …
    pub recursive: AttrChange,
    /// The words about the file system: `ro`, `sync`, `lazytime`, …
    pub flags: MountFlags,
    /// Propagation, in the order given: each is applied after the mount is made.
    pub propagation: Vec<Propagation>,
    /// What the file system itself reads, `mode=755` and so on, in the order given. Empty for a bind mount.
    pub data: Vec<Str<'a>>,
    /// `tmpcopyup`: a new tmpfs starts with a copy of what the destination held.
    pub tmpcopyup: bool,
    /// `idmap` or `ridmap`: the owners of files are seen through an id map.
    pub id_map: Option<IdMapScope>,
}

/// What a word changes.
#[derive(Clone, Copy)]
enum Word {
    /// `defaults`: what is so anyway.
    Nothing,
    Bind(Bind),
    /// Sets or clears attributes of the one mount, or of all below too.
    Set(MountAttr),
    Clear(MountAttr),
    SetAll(MountAttr),
    ClearAll(MountAttr),
    /// Chooses an access time mode, or says that it is not this one.
    Atime(Atime),
    NotAtime(Atime),
    AtimeAll(Atime),
    NotAtimeAll(Atime),
    /// Sets or clears flags of the file system.
    Flag(MountFlags),
    NoFlag(MountFlags),
    IdMap(IdMapScope),
    CopyUp,
}

/// The words but those of propagation, in alphabetical order: they are searched by halves. `acl` and `noacl` are not
/// among them: `MS_POSIXACL` is not a flag that mount(2) takes, and file systems read the word themselves.
const WORDS: [(&str, Word); 53] = [
    ("async", Word::NoFlag(MountFlags::SYNCHRONOUS)),
    ("atime", Word::NotAtime(Atime::Noatime)),
    ("bind", Word::Bind(Bind::Bind)),
    ("defaults", Word::Nothing),
    ("dev", Word::Clear(MountAttr::NODEV)),
    ("diratime", Word::Clear(MountAttr::NODIRATIME)),
    ("dirsync", Word::Flag(MountFlags::DIRSYNC)),
    ("exec", Word::Clear(MountAttr::NOEXEC)),
    ("idmap", Word::IdMap(IdMapScope::Mount)),
    ("iversion", Word::Flag(MountFlags::I_VERSION)),
    ("lazytime", Word::Flag(MountFlags::LAZYTIME)),
    ("loud", Word::NoFlag(MountFlags::SILENT)),
    ("mand", Word::Flag(MountFlags::MANDLOCK)),
    ("noatime", Word::Atime(Atime::Noatime)),
    ("nodev", Word::Set(MountAttr::NODEV)),
    ("nodiratime", Word::Set(MountAttr::NODIRATIME)),
    ("noexec", Word::Set(MountAttr::NOEXEC)),
    ("noiversion", Word::NoFlag(MountFlags::I_VERSION)),
    ("nolazytime", Word::NoFlag(MountFlags::LAZYTIME)),
    ("nomand", Word::NoFlag(MountFlags::MANDLOCK)),
    ("norelatime", Word::NotAtime(Atime::Relatime)),
    ("nostrictatime", Word::NotAtime(Atime::Strictatime)),
    ("nosuid", Word::Set(MountAttr::NOSUID)),
    ("nosymfollow", Word::Set(MountAttr::NOSYMFOLLOW)),
    ("ratime", Word::NotAtimeAll(Atime::Noatime)),
    ("rbind", Word::Bind(Bind::Rbind)),
    ("rdev", Word::ClearAll(MountAttr::NODEV)),
    ("rdiratime", Word::ClearAll(MountAttr::NODIRATIME)),
    ("relatime", Word::Atime(Atime::Relatime)),
    ("remount", Word::Flag(MountFlags::REMOUNT)),
    ("rexec", Word::ClearAll(MountAttr::NOEXEC)),
    ("ridmap", Word::IdMap(IdMapScope::Tree)),
    ("rnoatime", Word::AtimeAll(Atime::Noatime)),
    ("rnodev", Word::SetAll(MountAttr::NODEV)),
    ("rnodiratime", Word::SetAll(MountAttr::NODIRATIME)),
    ("rnoexec", Word::SetAll(MountAttr::NOEXEC)),
    ("rnorelatime", Word::NotAtimeAll(Atime::Relatime)),
    ("rnostrictatime", Word::NotAtimeAll(Atime::Strictatime)),
    ("rnosuid", Word::SetAll(MountAttr::NOSUID)),
    ("rnosymfollow", Word::SetAll(MountAttr::NOSYMFOLLOW)),
    ("ro", Word::Set(MountAttr::RDONLY)),
    ("rrelatime", Word::AtimeAll(Atime::Relatime)),
    ("rro", Word::SetAll(MountAttr::RDONLY)),
    ("rrw", Word::ClearAll(MountAttr::RDONLY)),
    ("rstrictatime", Word::AtimeAll(Atime::Strictatime)),
    ("rsuid", Word::ClearAll(MountAttr::NOSUID)),
    ("rsymfollow", Word::ClearAll(MountAttr::NOSYMFOLLOW)),
    ("rw", Word::Clear(MountAttr::RDONLY)),
    ("silent", Word::Flag(MountFlags::SILENT)),
    ("strictatime", Word::Atime(Atime::Strictatime)),
    ("suid", Word::Clear(MountAttr::NOSUID)),
    ("symfollow", Word::Clear(MountAttr::NOSYMFOLLOW)),
    ("sync", Word::Flag(MountFlags::SYNCHRONOUS)),
];

/// `tmpcopyup` is an extension, and kept apart as in runc's list.
const EXTENSIONS: [(&str, Word); 1] = [("tmpcopyup", Word::CopyUp)];

/// All words that masu acts on: for `features`, unsorted. The extensions are known, so that they are refused by name
/// and not left to a file system that ignores them.
pub(crate) fn known_words() -> impl Iterator<Item = &'static str> {
    let propagation = crate::propagation::PROPAGATION_NAMES.iter().map(|(name, _)| *name);
    WORDS.iter().map(|(name, _)| *name).chain(propagation)
}

fn word(option: &str) -> Option<Word> {
    let index = WORDS.binary_search_by(|(name, _)| (*name).cmp(option)).ok();
    let word = index.and_then(|index| WORDS.get(index));
    word.or_else(|| EXTENSIONS.iter().find(|(name, _)| *name == option)).map(|(_, word)| *word)
}

/// Reads `mounts[].options`. A later word overrides an earlier one that it contradicts; a word that is not known is for
/// the file system.
///
/// # Errors
/// A word for the file system on a bind mount, which the kernel would ignore in silence, and an id map for what is none.
pub(crate) fn parse<'a>(options: Vec<Str<'a>>, at: &Path<'_>) -> Result<MountOptions<'a>, ConfigError> {
    let mut parsed = MountOptions::default();
    let mut first_data = None;
    let mut id_map_at = None;
    for (index, option) in options.into_iter().enumerate() {
        let at = at.index(index);
        if let Some(word) = word(&option) {
            if let Word::IdMap(_) = word {
                id_map_at = Some(index);
            }
            apply(word, &mut parsed);
        } else if let Some(propagation) = Propagation::from_name(&option) {
            parsed.propagation.push(propagation);
        } else if !option.is_empty() {
            first_data.get_or_insert(index);
            parsed.data.push(at.c_string(option)?);
        }
    }
    if let (Bind::None, Some(index)) = (parsed.bind, id_map_at) {
        return Err(at.index(index).illegal(NO_ID_MAP));
    }
    match (parsed.bind, first_data, parsed.data.first()) {
        (Bind::Bind | Bind::Rbind, Some(index), Some(option)) => {
            let reason =
                format!("{:?} is an option of a file system, and this is a bind mount", option.as_str());
            Err(at.index(index).illegal(reason))
        }
        _ => Ok(parsed),
    }
}

/// As in runc: what a new file system holds has the owners that it is told to have.
pub(crate) const NO_ID_MAP: &str = "only a bind mount can have an id map";

fn apply(word: Word, options: &mut MountOptions<'_>) {
    match word {
        Word::Nothing => {}
        // "bind" beside "rbind" does not take the rest of the tree away again.
        Word::Bind(bind) if options.bind != Bind::Rbind => options.bind = bind,
        Word::Bind(_) => {}
        Word::Set(attr) => {
            options.attr.set(attr);
            options.flags.set(MountFlags::RDONLY, options.attr.set.contains(MountAttr::RDONLY));
        }
        Word::Clear(attr) => {
            options.attr.clear(attr);
            options.flags.set(MountFlags::RDONLY, options.attr.set.contains(MountAttr::RDONLY));
        }
        Word::SetAll(attr) => options.recursive.set(attr),
        Word::ClearAll(attr) => options.recursive.clear(attr),
        Word::Atime(atime) => options.attr.atime = Some(atime),
        Word::NotAtime(atime) => options.attr.not_atime(atime),
        Word::AtimeAll(atime) => options.recursive.atime = Some(atime),
        Word::NotAtimeAll(atime) => options.recursive.not_atime(atime),
        Word::Flag(flag) => options.flags.insert(flag),
        Word::NoFlag(flag) => options.flags.remove(flag),
        Word::IdMap(scope) => options.id_map = Some(scope),
        Word::CopyUp => options.tmpcopyup = true,
    }
}

impl AttrChange {
    fn set(&mut self, attr: MountAttr) {
        self.set.insert(attr);
        self.clear.remove(attr);
    }

    fn clear(&mut self, attr: MountAttr) {
        self.clear.insert(attr);
        self.set.remove(attr);
    }

    /// `atime`, `norelatime`, `nostrictatime`: back to the kernel's default, which is relatime, unless another mode was
    /// chosen before. The default cannot be switched off but by another mode.
    fn not_atime(&mut self, atime: Atime) {
        if self.atime.is_none_or(|chosen| chosen == atime) {
            self.atime = Some(Atime::Relatime);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&'static str]) -> MountOptions<'static> {
        parse(words.iter().map(|word| Str::from(*word)).collect(), &Path::Root.field("options")).unwrap()
    }

    #[test]
    fn the_words_are_in_order_so_that_each_is_found() {
        assert!(WORDS.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn words_about_one_mount_become_attributes() {
        // (words, attr_set, attr_clr) as mount_setattr(2) takes them.
        let table: [(&[&str], u64, u64); 18] = [
            (&["ro"], 0x1, 0),
            (&["rw"], 0, 0x1),
            (&["ro", "rw"], 0, 0x1),
            (&["rw", "ro"], 0x1, 0),
            (&["nosuid", "nodev", "noexec"], 0xe, 0),
            (&["suid", "dev", "exec"], 0, 0xe),
            (&["nodiratime"], 0x80, 0),
            (&["diratime"], 0, 0x80),
            (&["nosymfollow"], 0x20_0000, 0),
            (&["symfollow"], 0, 0x20_0000),
            (&["noatime"], 0x10, 0x70),
            (&["strictatime"], 0x20, 0x70),
            (&["relatime"], 0, 0x70),
            (&["noatime", "atime"], 0, 0x70),
            (&["strictatime", "atime"], 0x20, 0x70),
            (&["noatime", "norelatime", "nostrictatime"], 0x10, 0x70),
            (&["strictatime", "nostrictatime"], 0, 0x70),
            (&["defaults", ""], 0, 0),
        ];
        for (words, set, clear) in table {
            let parsed = options(words);
            assert_eq!((parsed.attr.attr_set(), parsed.attr.attr_clr()), (set, clear), "{words:?}");
            assert_eq!(parsed.flags.contains(MountFlags::RDONLY), set & 1 == 1, "{words:?}");
            assert!(parsed.recursive.is_empty() && parsed.data.is_empty(), "{words:?}");
        }
    }

    #[test]
    fn words_with_r_are_about_the_whole_tree() {
        let table: [(&str, u64, u64); 18] = [
            ("rro", 0x1, 0),
            ("rrw", 0, 0x1),
            ("rnosuid", 0x2, 0),
            ("rsuid", 0, 0x2),
            ("rnodev", 0x4, 0),
            ("rdev", 0, 0x4),
            ("rnoexec", 0x8, 0),
            ("rexec", 0, 0x8),
            ("rnodiratime", 0x80, 0),
            ("rdiratime", 0, 0x80),
            ("rnosymfollow", 0x20_0000, 0),
            ("rsymfollow", 0, 0x20_0000),
            ("rnoatime", 0x10, 0x70),
            ("ratime", 0, 0x70),
            ("rstrictatime", 0x20, 0x70),
            ("rnostrictatime", 0, 0x70),
            ("rrelatime", 0, 0x70),
            ("rnorelatime", 0, 0x70),
        ];
        for (word, set, clear) in table {
            let parsed = options(&[word]);
            assert_eq!((parsed.recursive.attr_set(), parsed.recursive.attr_clr()), (set, clear), "{word}");
            assert!(parsed.attr.is_empty() && parsed.flags.is_empty() && parsed.data.is_empty(), "{word}");
        }
    }

    #[test]
    fn words_about_the_file_system_become_flags() {
        let table: [(&[&str], u32); 15] = [
            (&["sync"], 1 << 4),
            (&["remount"], 1 << 5),
            (&["mand"], 1 << 6),
            (&["dirsync"], 1 << 7),
            (&["silent"], 1 << 15),
            (&["iversion"], 1 << 23),
            (&["lazytime"], 1 << 25),
            (&["ro", "sync"], 1 | 1 << 4),
            (&["sync", "async"], 0),
            (&["mand", "nomand"], 0),
            (&["silent", "loud"], 0),
            (&["iversion", "noiversion"], 0),
            (&["lazytime", "nolazytime"], 0),
            (&["ro", "rw"], 0),
            (&["async", "sync"], 1 << 4),
        ];
        for (words, flags) in table {
            assert_eq!(options(words).flags.bits(), flags, "{words:?}");
        }
    }

    #[test]
    fn propagation_keeps_its_order_and_unknown_words_are_data() {
        let parsed = options(&["mode=755", "rprivate", "tmpcopyup", "acl", "shared", "size=64k,uid=1"]);
        let modes: Vec<_> = parsed.propagation.iter().map(|p| (p.mode.flag(), p.recursive)).collect();
        assert_eq!(modes, [(1 << 18, true), (1 << 20, false)]);
        assert_eq!(parsed.data, ["mode=755", "acl", "size=64k,uid=1"]);
        assert!(parsed.tmpcopyup);
    }

    #[test]
    fn the_last_word_says_which_mounts_the_id_map_is_for() {
        assert_eq!(options(&["bind"]).id_map, None);
        assert_eq!(options(&["rbind", "ridmap", "idmap"]).id_map, Some(IdMapScope::Mount));
        assert_eq!(options(&["idmap", "bind", "ridmap"]).id_map, Some(IdMapScope::Tree));
    }

    #[test]
    fn rbind_is_stronger_than_bind() {
        for words in [["bind", "rbind"], ["rbind", "bind"]] {
            assert_eq!(options(&words).bind, Bind::Rbind, "{words:?}");
        }
        assert_eq!(options(&["bind"]).bind, Bind::Bind);
        assert_eq!(options(&["ro"]).bind, Bind::None);
    }
}
