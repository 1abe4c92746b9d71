//! Whose the files of a layer are on this machine.

use super::error::{Error, show};
use serde::{Deserialize, Serialize};

/// How the ids in a layer become those of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// They are the same: root, or a user namespace that has ids of its own for all of them.
    Identity,
    /// For containers of root that get a user namespace later.
    Mapped {
        /// Of users.
        uids: Vec<IdRange>,
        /// Of groups.
        gids: Vec<IdRange>,
    },
    /// Everything is the caller's, who has no other id. What it should be is written down in the attribute
    /// `user.rootlesscontainers` of files and directories that are not root's, for programs that pretend
    /// (rootlesscontaine.rs; umoci and fakeroot's kin read it).
    Single,
}

/// As a line of /proc/PID/uid_map (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first id in the layer.
    pub inside: u32,
    /// What it is outside.
    pub outside: u32,
    /// How many there are.
    pub count: u32,
}

/// The attribute that keeps what [`IdMap::Single`] cannot.
pub(super) const ROOTLESS: &[u8] = b"user.rootlesscontainers";

impl IdMap {
    /// The owner on this machine, or none; `xattrs` are adjusted to it.
    pub(super) fn place(
        &self,
        path: &[u8],
        uid: u32,
        gid: u32,
        xattrs: &mut Vec<(Vec<u8>, Vec<u8>)>,
    ) -> Result<Option<(u32, u32)>, Error> {
        match self {
            Self::Identity => Ok(Some((uid, gid))),
            Self::Single => {
                if (uid, gid) != (0, 0) {
                    xattrs.push((ROOTLESS.to_vec(), encode_owner(uid, gid)));
                }
                Ok(None)
            }
            Self::Mapped { uids, gids } => {
                let place = |ranges, id, kind| {
                    outside_of(ranges, id).ok_or_else(|| Error::Unmapped { path: show(path), kind, id })
                };
                let root = place(uids, 0, "uid")?;
                for (name, value) in xattrs {
                    if name == b"security.capability" {
                        give_capabilities_a_root(value, root);
                    }
                }
                Ok(Some((place(uids, uid, "uid")?, place(gids, gid, "gid")?)))
            }
        }
    }
}

pub(crate) fn outside_of(ranges: &[IdRange], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let offset = id.checked_sub(range.inside).filter(|offset| *offset < range.count)?;
        range.outside.checked_add(offset)
    })
}

/// File capabilities of version 2 hold in the initial user namespace. Version 3 names the namespace's root behind
/// them (capabilities(7), "File capability extended attribute versioning").
fn give_capabilities_a_root(value: &mut Vec<u8>, root: u32) {
    if let (20, [_, _, _, version]) = (value.len(), value.first_chunk_mut::<4>().unwrap_or(&mut [0; 4])) {
        *version = 3;
        value.extend_from_slice(&root.to_le_bytes());
    }
}

/// The message `Resource { uint32 uid = 1; uint32 gid = 2; }` of protobuf, which leaves zeros out.
fn encode_owner(uid: u32, gid: u32) -> Vec<u8> {
    let mut message = Vec::new();
    for (tag, mut id) in [(0x08, uid), (0x10, gid)] {
        if id == 0 {
            continue;
        }
        message.push(tag);
        while id >= 0x80 {
            message.push(id.to_le_bytes()[0] | 0x80);
            id >>= 7;
        }
        message.push(id.to_le_bytes()[0]);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_written_down_as_protobuf() {
        assert_eq!(encode_owner(1000, 0), [0x08, 0xe8, 0x07]);
        assert_eq!(encode_owner(0, 42), [0x10, 42]);
        assert_eq!(encode_owner(1, u32::MAX - 1), [0x08, 1, 0x10, 0xfe, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn ids_are_found_in_ranges_and_capabilities_follow_root() {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        let ids = IdMap::Mapped {
            uids: vec![range(0, 100_000, 1000), range(1000, 5000, 1)],
            gids: vec![range(0, 200_000, 1000)],
        };
        let capability = b"\x01\0\0\x02\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        let mut xattrs = vec![(b"security.capability".to_vec(), capability)];
        assert_eq!(ids.place(b"ping", 1000, 999, &mut xattrs).unwrap(), Some((5000, 200_999)));
        assert_eq!(xattrs[0].1, b"\x01\0\0\x03\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa0\x86\x01\0");
        let error = ids.place(b"a", 0, 1000, &mut vec![]).unwrap_err();
        assert_eq!(error.to_string(), "layer: a: gid 1000 has no id on this machine");
    }
}
