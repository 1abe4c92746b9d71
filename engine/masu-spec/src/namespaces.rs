//! The eight kinds of namespaces, and which of them a container gets.
use crate::text::Str;

/// A kind of namespace, in the order in which [`NamespaceKind::ALL`] lists them: user first, since it owns the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamespaceKind {
    /// `CLONE_NEWUSER`.
    User,
    /// `CLONE_NEWPID`.
    Pid,
    /// `CLONE_NEWNS`.
    Mount,
    /// `CLONE_NEWNET`.
    Network,
    /// `CLONE_NEWIPC`.
    Ipc,
    /// `CLONE_NEWUTS`.
    Uts,
    /// `CLONE_NEWCGROUP`.
    Cgroup,
    /// `CLONE_NEWTIME`.
    Time,
}

impl NamespaceKind {
    /// All kinds.
    pub const ALL: [Self; 8] =
        [Self::User, Self::Pid, Self::Mount, Self::Network, Self::Ipc, Self::Uts, Self::Cgroup, Self::Time];

    /// The specification's name, as in `linux.namespaces[].type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Pid => "pid",
            Self::Mount => "mount",
            Self::Network => "network",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// The file's name in `/proc/PID/ns`, see namespaces(7).
    pub const fn proc_name(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Network => "net",
            _ => self.name(),
        }
    }

    /// The `CLONE_NEW…` flag for clone3, unshare and setns. `CLONE_NEWTIME` lies in the low byte, which is the exit
    /// signal of the old clone(2): it is for clone3 and unshare only.
    pub const fn clone_flag(self) -> u64 {
        match self {
            Self::User => 0x1000_0000,
            Self::Pid => 0x2000_0000,
            Self::Mount => 0x0002_0000,
            Self::Network => 0x4000_0000,
            Self::Ipc => 0x0800_0000,
            Self::Uts => 0x0400_0000,
            Self::Cgroup => 0x0200_0000,
            Self::Time => 0x0000_0080,
        }
    }

    /// The kind with the specification's name `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where a container's namespace of one kind comes from. A kind that the configuration does not list is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespace<'a> {
    /// A new one is created.
    New,
    /// The one at this absolute path of the caller's mount namespace is joined.
    Join(Str<'a>),
}

/// One checked element of `linux.namespaces`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceEntry<'a> {
    /// New or joined.
    pub namespace: Namespace<'a>,
    /// The index in `linux.namespaces`, for messages.
    pub index: usize,
}

/// `linux.namespaces`: at most one entry of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces<'a> {
    entries: [Option<NamespaceEntry<'a>>; 8],
}

impl<'a> Namespaces<'a> {
    /// The entry of `kind`; `None` when the container stays in the caller's.
    pub fn entry(&self, kind: NamespaceKind) -> Option<&NamespaceEntry<'a>> {
        self.entries.get(kind as usize).and_then(Option::as_ref)
    }

    /// The namespace of `kind`; `None` when the container stays in the caller's.
    pub fn get(&self, kind: NamespaceKind) -> Option<&Namespace<'a>> {
        self.entry(kind).map(|entry| &entry.namespace)
    }

    /// True when the configuration lists `kind`, new or joined.
    pub fn contains(&self, kind: NamespaceKind) -> bool {
        self.entry(kind).is_some()
    }

    /// True when a new namespace of `kind` is created.
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        matches!(self.get(kind), Some(Namespace::New))
    }

    /// The path of the namespace of `kind` that is joined.
    pub fn join_path(&self, kind: NamespaceKind) -> Option<&str> {
        match self.get(kind) {
            Some(Namespace::Join(path)) => Some(path),
            _ => None,
        }
    }

    /// What is configured, in the order of [`NamespaceKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (NamespaceKind, &NamespaceEntry<'a>)> {
        NamespaceKind::ALL.into_iter().filter_map(|kind| self.entry(kind).map(|entry| (kind, entry)))
    }

    /// The `CLONE_NEW…` flags of all that are new.
    pub fn new_flags(&self) -> u64 {
        NamespaceKind::ALL
            .into_iter()
            .filter(|kind| self.is_new(*kind))
            .fold(0, |flags, kind| flags | kind.clone_flag())
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The index of the entry of the same kind that is there already.
    pub(crate) fn insert(&mut self, kind: NamespaceKind, entry: NamespaceEntry<'a>) -> Result<(), usize> {
        if let Some(first) = self.entry(kind) {
            return Err(first.index);
        }
        if let Some(slot) = self.entries.get_mut(kind as usize) {
            *slot = Some(entry);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_sits_at_its_own_index() {
        for (index, kind) in NamespaceKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{kind:?}");
            assert_eq!(NamespaceKind::from_name(kind.name()), Some(kind));
        }
    }

    #[test]
    fn the_flags_of_new_namespaces_are_those_of_clone3() {
        let mut namespaces = Namespaces::default();
        let all = [("pid", None), ("mount", None), ("network", Some("/run/netns/a")), ("time", None)];
        for (index, (name, path)) in all.into_iter().enumerate() {
            let namespace = path.map_or(Namespace::New, |path: &str| Namespace::Join(path.into()));
            let kind = NamespaceKind::from_name(name).unwrap();
            namespaces.insert(kind, NamespaceEntry { namespace, index }).unwrap();
        }
        assert_eq!(namespaces.new_flags(), 0x2002_0080);
        assert_eq!(namespaces.join_path(NamespaceKind::Network), Some("/run/netns/a"));
        let order: Vec<_> = namespaces.iter().map(|(kind, entry)| (kind.name(), entry.index)).collect();
        assert_eq!(order, [("pid", 0), ("mount", 1), ("network", 2), ("time", 3)]);
    }
}
