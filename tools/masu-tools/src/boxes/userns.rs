//! `--userns`: whose ids the container has.
//!
//! | | root | an ordinary user |
//! |---|---|---|
//! | `host` | this machine's: no user namespace | the caller is root inside, and granted ids are the others |
//! | `auto` | a range that no other box of the store has | |
//! | `keep-id` | | the caller has the same id inside, and granted ids are the others |
//!
//! With `auto` the layers are mounted with an id map. An ordinary user may map no mount, so that `keep-id` copies them.

use std::fs::File;

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_image::Store;
use masu_image::bundle::config::{IdMaps, Ids};
use masu_image::layer::IdRange;
use masu_image::rootless::{administers_mounts, ids_for_containers};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{getegid, geteuid};

use super::options::one;
use crate::image::failure;

/// How many ids `auto` takes, if it does not say: what an image of a distribution has.
const SIZE: u32 = 1 << 16;

/// What the option says.
pub(super) enum Choice {
    Host,
    Auto(u32),
    /// With the caller's ids.
    KeepId(u32, u32),
}

impl Choice {
    /// Reads it. Has to come before a user namespace is entered.
    ///
    /// # Errors
    ///
    /// For what is not for this caller.
    pub(super) fn read(matches: &ArgMatches, is_on_host: bool) -> Result<Self> {
        let Some(text) = one(matches, "userns") else { return Ok(Self::Host) };
        let wrong = |what: &str, hint: &str| Failure::with_hint(format!("--userns {text}: {what}"), hint);
        let (uid, gid) = (geteuid(), getegid());
        match (text.split_once(":size=").unwrap_or((text, "")), administers_mounts()) {
            (("host", ""), _) => Ok(Self::Host),
            (("auto", _), false) => {
                Err(wrong("it is for root", "an ordinary user's box has a user namespace without it"))
            }
            (("auto", _), true) if is_on_host => {
                Err(wrong("the files of this machine's own root are nobody's then", "an image"))
            }
            (("auto", size), true) => {
                let size = if size.is_empty() { Ok(SIZE) } else { size.parse() };
                let size = size.ok().filter(|size| *size > 0);
                size.map(Self::Auto)
                    .ok_or_else(|| wrong("it is no number of ids", "--userns auto:size=65536"))
            }
            (("keep-id", ""), true) => Err(wrong("it is for ordinary users", "--userns auto")),
            // Root of an unprivileged container is root inside as it is.
            (("keep-id", ""), false) if uid.is_root() => Ok(Self::Host),
            (("keep-id", ""), false) => Ok(Self::KeepId(uid.as_raw(), gid.as_raw())),
            _ => Err(wrong("it is not known", "host, auto, auto:size=NUMBER for root, keep-id for users")),
        }
    }

    /// Who runs the program, where nobody has said.
    pub(super) fn user(&self) -> Option<String> {
        match self {
            Self::KeepId(uid, gid) => Some(format!("{uid}:{gid}")),
            Self::Host | Self::Auto(_) => None,
        }
    }

    /// The ids of a box that is about to be made; `own` are those of an ordinary user's namespace.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(super) fn claim(&self, store: &Store, own: Option<&IdMaps>) -> Result<Option<Claim>> {
        match (self, own) {
            (Self::Auto(size), _) => Claim::free(store, *size).map(Some),
            (Self::KeepId(uid, gid), Some(own)) => {
                let (uids, gids) = (keep(&own.uids, *uid), keep(&own.gids, *gid));
                let (Some(uids), Some(gids)) = (uids, gids) else {
                    let message = "--userns keep-id: the container would have no root";
                    let hint = "a range of ids in /etc/subuid and /etc/subgid, and the package uidmap";
                    return Err(Failure::with_hint(message, hint));
                };
                Ok(Some(Claim { maps: IdMaps { uids, gids }, is_users: true, shifts: true, _lock: None }))
            }
            (_, Some(own)) => {
                Ok(Some(Claim { maps: own.clone(), is_users: true, shifts: false, _lock: None }))
            }
            (_, None) => Ok(None),
        }
    }
}

/// Ids that a box has. As long as this is there nobody else looks for free ones: it goes when the box's lease is written.
pub(super) struct Claim {
    pub(super) maps: IdMaps,
    is_users: bool,
    pub(super) shifts: bool,
    _lock: Option<File>,
}

impl Claim {
    pub(super) fn ids(&self) -> Ids<'_> {
        Ids { maps: &self.maps, is_users: self.is_users, shifts: self.shifts }
    }

    /// The first so many that no other box of the store has, of those that root's containers are granted.
    fn free(store: &Store, size: u32) -> Result<Self> {
        let [users, groups] = ids_for_containers().ok_or_else(|| {
            let hint = "a line containers:2147483647:2147483648 in both, as for podman";
            Failure::with_hint("--userns auto: /etc/subuid and /etc/subgid grant nothing to containers", hint)
        })?;
        let boxes = store.path().join("boxes");
        let told = |error: std::io::Error| Failure::new(format!("lock {}: {error}", boxes.display()));
        let lock = File::open(&boxes).map_err(told)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| told(errno.into()))?;
        let taken = store.leases().map_err(|error| failure(&error))?;
        let taken: Vec<IdMaps> = taken.into_iter().filter_map(|lease| lease.ids).collect();
        let find = |grant, taken: Vec<&IdRange>| {
            first_free(grant, &taken, size).ok_or_else(|| {
                let message = format!("--userns auto: no {size} ids are free in /etc/subuid and /etc/subgid");
                Failure::with_hint(
                    message,
                    "auto:size=NUMBER with fewer, or more of them granted to containers",
                )
            })
        };
        let uids = vec![find(users, taken.iter().flat_map(|maps| &maps.uids).collect())?];
        let gids = vec![find(groups, taken.iter().flat_map(|maps| &maps.gids).collect())?];
        Ok(Self { maps: IdMaps { uids, gids }, is_users: false, shifts: true, _lock: Some(lock) })
    }
}

/// A range begins with the grant, or behind one that is taken.
fn first_free((first, count): (u32, u32), taken: &[&IdRange], size: u32) -> Option<IdRange> {
    let end = |start: u32, count: u32| u64::from(start) + u64::from(count);
    let is_free = |start: u32| {
        let fits = start >= first && end(start, size) <= end(first, count);
        fits && taken.iter().all(|range| {
            end(range.outside, range.count) <= start.into() || end(start, size) <= range.outside.into()
        })
    };
    let behind = taken.iter().filter_map(|range| u32::try_from(end(range.outside, range.count)).ok());
    let start = behind.chain([first]).filter(|start| is_free(*start)).min()?;
    Some(IdRange { inside: 0, outside: start, count: size })
}

/// The caller's own id, which is root in its namespace, at its number, and the others around it in their order.
fn keep(own: &[IdRange], id: u32) -> Option<Vec<IdRange>> {
    let [IdRange { inside: 0, count: 1, .. }, IdRange { inside: 1, count: others, .. }] = *own else {
        return None;
    };
    let below = id.min(others);
    let mut ranges =
        vec![IdRange { inside: 0, outside: 1, count: below }, IdRange { inside: id, outside: 0, count: 1 }];
    if others > below {
        ranges.push(IdRange { inside: id.checked_add(1)?, outside: below + 1, count: others - below });
    }
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(inside: u32, outside: u32, count: u32) -> IdRange {
        IdRange { inside, outside, count }
    }

    #[test]
    fn a_range_is_the_first_that_nobody_has() {
        let find = |taken: &[IdRange]| {
            let taken: Vec<&IdRange> = taken.iter().collect();
            first_free((1000, 300), &taken, 100).map(|range| range.outside)
        };
        assert_eq!(find(&[]), Some(1000));
        assert_eq!(find(&[range(0, 1000, 100)]), Some(1100));
        assert_eq!(find(&[range(0, 1150, 100), range(0, 999, 2)]), Some(1001));
        assert_eq!(find(&[range(0, 1050, 100), range(0, 1150, 100)]), None);
        assert_eq!(find(&[range(0, 1200, 100), range(0, 1000, 50)]), Some(1050));
    }

    #[test]
    fn the_caller_is_at_its_own_number_and_nobody_is_lost() {
        let own = [range(0, 1000, 1), range(1, 100_000, 65_536)];
        let kept = keep(&own, 1000).unwrap();
        assert_eq!(kept, [range(0, 1, 1000), range(1000, 0, 1), range(1001, 1001, 64_536)]);
        let kept = keep(&[range(0, 70_000, 1), range(1, 100_000, 10)], 70_000).unwrap();
        assert_eq!(kept, [range(0, 1, 10), range(70_000, 0, 1)]);
        assert_eq!(keep(&[range(0, 1000, 1)], 1000), None);
    }
}
