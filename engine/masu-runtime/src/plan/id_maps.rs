//! The id maps of a new user namespace: what they say, and who may write them.
//!
//! The kernel's rule, user_namespaces(7): whoever has `CAP_SETUID` or `CAP_SETGID` where the engine is may write any map.
//! Everybody else may map one id, the own; and the own group only after setgroups(2) is forbidden in the new namespace,
//! since leaving a group may open what the group was shut out from. More ids an administrator grants by subuid(5) and
//! subgid(5), and newuidmap(1) and newgidmap(1), which have the privilege, write them.

use alloc::{format, string::String};

use masu_spec::{IdMapping, Linux};

use crate::host::Host;

/// The id maps of a new user namespace, user_namespaces(7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMaps {
    /// Users.
    pub uid: IdMap,
    /// Groups.
    pub gid: IdMap,
    /// Whether setgroups(2) has to be forbidden first, as for an engine without `CAP_SETGID` that writes the map itself.
    pub deny_setgroups: bool,
}

/// One of the two maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// Its lines: first id inside, first id outside, size.
    pub lines: String,
    /// Who writes it.
    pub writer: MapWriter,
}

/// Who writes an id map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapWriter {
    /// The engine, into `/proc/PID/uid_map` or `gid_map`.
    Engine,
    /// newuidmap(1) or newgidmap(1).
    Program,
}

/// Decides about both maps.
pub(super) fn id_maps(linux: &Linux<'_>, host: &Host) -> IdMaps {
    let uid = id_map(&linux.uid_mappings, host.may_set_users(), host.uid);
    // A namespace below one that forbids setgroups(2) forbids it too; CAP_SETGID is enough for the map all the same.
    let gid = id_map(&linux.gid_mappings, host.may_map_groups(), host.gid);
    let deny_setgroups = gid.writer == MapWriter::Engine && !host.may_set_groups();
    IdMaps { uid, gid, deny_setgroups }
}

fn id_map(mappings: &[IdMapping], privileged: bool, own: u32) -> IdMap {
    let single = matches!(mappings, [IdMapping { host_id, size: 1, .. }] if *host_id == own);
    let writer = if privileged || single { MapWriter::Engine } else { MapWriter::Program };
    IdMap { lines: lines(mappings), writer }
}

/// The mappings as the kernel takes them.
pub(super) fn lines(mappings: &[IdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

/// What to do about a map in the file `name` that the kernel does not let the engine write.
pub(crate) fn map_hint(name: &str, lines: &str) -> String {
    let outside = |line: &str| line.split(' ').nth(1).map(str::parse::<u32>);
    if name == "uid_map" && lines.lines().any(|line| outside(line) == Some(Ok(0))) {
        // A file capability that id 0 sets inside would count outside: Linux 5.12, commit db2e718a4798.
        return "mapping the user 0 that masu runs as takes CAP_SETFCAP: give it to the container that masu is in".into();
    }
    format!("only ids that the engine's own user namespace has can be mapped: see /proc/self/{name}")
}

#[cfg(test)]
mod tests {
    use core::cell::OnceCell;

    use super::*;

    const SETGID: u64 = 1 << 6;
    const SETUID: u64 = 1 << 7;

    fn host(capabilities: u64, setgroups_denied: bool) -> Host {
        let (uid, gid, in_user_namespace, cgroups) = (1000, 1001, setgroups_denied, OnceCell::new());
        Host { capabilities, uid, gid, in_user_namespace, setgroups_denied, foreign_mounts: false, cgroups }
    }

    fn map(container_id: u32, host_id: u32, size: u32) -> IdMapping {
        IdMapping { container_id, host_id, size }
    }

    #[test]
    fn the_writer_follows_from_the_map_and_the_privilege() {
        use MapWriter::{Engine, Program};
        let own_user = vec![map(0, 1000, 1)];
        let own_group = vec![map(0, 1001, 1)];
        let other = vec![map(0, 1000, 1), map(1, 100_000, 65_536)];
        let table = [
            // uids, gids, capabilities, setgroups denied above -> who writes uids, gids; deny setgroups
            (&own_user, &own_group, 0, false, Engine, Engine, true),
            (&other, &other, 0, false, Program, Program, false),
            (&own_user, &other, 0, false, Engine, Program, false),
            (&other, &own_group, 0, false, Program, Engine, true),
            // The gid of one is not the uid of the other.
            (&own_group, &own_user, 0, false, Program, Program, false),
            (&other, &other, SETUID | SETGID, false, Engine, Engine, false),
            (&other, &other, SETUID, false, Engine, Program, false),
            (&other, &other, SETGID, false, Program, Engine, false),
            (&other, &other, SETUID | SETGID, true, Engine, Engine, true),
        ];
        for (uids, gids, capabilities, denied, uid, gid, deny) in table {
            let linux = Linux { uid_mappings: uids.clone(), gid_mappings: gids.clone(), ..Linux::default() };
            let maps = id_maps(&linux, &host(capabilities, denied));
            let case = format!("{uids:?} {gids:?} {capabilities:x} {denied}");
            assert_eq!((maps.uid.writer, maps.gid.writer, maps.deny_setgroups), (uid, gid, deny), "{case}");
        }
    }

    #[test]
    fn the_hint_knows_what_mapping_root_takes() {
        let root = "mapping the user 0 that masu runs as takes CAP_SETFCAP: give it to the container that masu is in";
        let ids = |name| {
            format!("only ids that the engine's own user namespace has can be mapped: see /proc/self/{name}")
        };
        assert_eq!(map_hint("uid_map", "0 1000 1\n1 0 1\n"), root);
        assert_eq!(map_hint("uid_map", "0 1000 1\n"), ids("uid_map"));
        assert_eq!(map_hint("gid_map", "0 0 1\n"), ids("gid_map"));
    }

    #[test]
    fn a_map_is_a_line_for_each_range() {
        let lines = id_map(&[map(0, 100_000, 65_536), map(65_536, 5, 1)], true, 0).lines;
        assert_eq!(lines, "0 100000 65536\n65536 5 1\n");
    }
}
