//! Which process gets which namespaces, and when.
//!
//! Two shapes. **Direct**: one clone3(2) makes the process with its new namespaces but that of the network, which it makes
//! itself; what it joins, it joins itself. **Staged**: a first process joins, and goes on in a child (a `Fork` step) that
//! has the new namespaces. That is needed when
//! * a pid namespace is joined, or clocks are set: both count for children only, setns(2), time_namespaces(7);
//! * a user namespace is joined, since new namespaces have to belong to it;
//! * a user namespace is new: what is joined belongs to the host's, and can only be joined before; and the
//!   sealed init executes with the engine's privileges first, so that the exec needs no capabilities in a
//!   namespace whose ids are not mapped yet, capabilities(7).

use alloc::{format, string::String};

use masu_program::{Barrier, Identity, Namespaces, Step};
use masu_spec::{IdMapping, Linux, Namespace, NamespaceKind, TimeOffset};

use super::{CreateInput, Origin, Plan, Want, c_string, id_maps::id_maps};
use crate::{error::Result, host::Host};

/// The shape of a start, from the namespaces alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// New with the engine's own clone3.
    pub(super) clone: Namespaces,
    /// Joined by the first process before a user namespace is.
    pub(super) join_first: Namespaces,
    /// Joined after it.
    pub(super) join_last: Namespaces,
    /// New with the fork, if there is one.
    pub(super) fork: Option<Namespaces>,
    /// New behind it, when the process is root of its user namespace.
    pub(super) last: Namespaces,
}

/// Whether the engine has the privileges of the namespaces' owner, or gets them from the user namespace that it joins.
pub(super) fn shape(new: Namespaces, joined: Namespaces, privileged: bool) -> Shape {
    // The cgroup namespace has its root where the process is: it is made after the cgroup is joined. The
    // clocks of a time namespace are set before anything is in it.
    let new = new - Namespaces::CGROUP - Namespaces::TIME;
    let late = if privileged || !joined.contains(Namespaces::USER) { Namespaces::USER } else { joined };
    // The kernel makes the root of mqueue with an ipc namespace. It belongs to who makes that: in a user namespace to
    // nobody, as long as its maker is not one of its users.
    let user = (new | joined).contains(Namespaces::USER);
    let last = if user { new & Namespaces::IPC } else { Namespaces::empty() };
    let new = new - last;
    let shape = Shape { clone: new, join_first: joined - late, join_last: joined & late, fork: None, last };
    let staged = new.contains(Namespaces::USER) || joined.intersects(Namespaces::USER | Namespaces::PID);
    if staged { Shape { clone: Namespaces::empty(), fork: Some(new), ..shape } } else { shape }
}

/// The kinds in the order in which they are joined; the user namespace first among those joined last.
const ORDER: [NamespaceKind; 8] = [
    NamespaceKind::User,
    NamespaceKind::Pid,
    NamespaceKind::Network,
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
    NamespaceKind::Cgroup,
    NamespaceKind::Time,
    NamespaceKind::Mount,
];

/// The bit of a kind.
pub(super) fn bit(kind: NamespaceKind) -> Namespaces {
    Namespaces::from_bits_truncate(kind.clone_flag())
}

/// The kinds that are new, and those that are joined.
pub(super) fn sets(linux: &Linux<'_>) -> (Namespaces, Namespaces) {
    let mut sets = (Namespaces::empty(), Namespaces::empty());
    for (kind, entry) in linux.namespaces.iter() {
        match entry.namespace {
            Namespace::New => sets.0 |= bit(kind),
            Namespace::Join(_) => sets.1 |= bit(kind),
        }
    }
    sets
}

/// Plans the engine's clone3, and the one namespace that init makes itself: a network namespace takes the kernel as long as
/// a cgroup takes the engine, so that they are made at once, on two processors.
pub(super) fn begin(plan: &mut Plan, linux: &Linux<'_>, host: &Host, unified: bool) -> Result<()> {
    let shape = shape_of(linux, host);
    let network = shape.clone & Namespaces::NETWORK;
    plan.clone = shape.clone - network;
    plan.into_cgroup = unified && shape.fork.is_none();
    if !network.is_empty() {
        let origin = Origin::Field("linux.namespaces");
        plan.push(origin, &Step::Unshare { namespaces: network })?;
        plan.push(origin, &Step::RaiseLoopback)?;
    }
    Ok(())
}

fn shape_of(linux: &Linux<'_>, host: &Host) -> Shape {
    let (new, joined) = sets(linux);
    let mut shape = shape(new, joined, host.is_privileged());
    if new.contains(Namespaces::TIME) && shape.fork.is_none() {
        shape.fork = Some(core::mem::take(&mut shape.clone));
    }
    shape
}

/// Plans the rest of the way into the namespaces, up to a process that is in all of them but the cgroup namespace.
pub(super) fn plan(plan: &mut Plan, input: &CreateInput<'_>) -> Result<()> {
    let linux = &input.config.linux;
    let (new, joined) = sets(linux);
    let shape = shape_of(linux, input.host);
    let cgroup = match input.unified && shape.fork.is_some() {
        true => Some(plan.want(Origin::Field("linux.cgroupsPath"), Want::UnifiedCgroup)?),
        false => None,
    };
    join(plan, linux, shape.join_first)?;
    join(plan, linux, shape.join_last)?;
    if new.contains(Namespaces::TIME) {
        plan_time(plan, linux)?;
    }
    let origin = Origin::Field("linux.namespaces");
    if let Some(namespaces) = shape.fork {
        plan.push(origin, &Step::Fork { namespaces, cgroup })?;
    }
    if new.contains(Namespaces::USER) {
        plan.push(Origin::Field("linux.uidMappings"), &Step::Barrier(Barrier::Mapped))?;
        plan.id_maps = Some(id_maps(linux, input.host));
    }
    if (new | joined).contains(Namespaces::USER) {
        become_root(plan, &linux.uid_mappings, &linux.gid_mappings)?;
    }
    if !shape.last.is_empty() {
        plan.push(origin, &Step::Unshare { namespaces: shape.last })?;
    }
    if shape.fork.is_some_and(|namespaces| namespaces.contains(Namespaces::NETWORK)) {
        plan.push(origin, &Step::RaiseLoopback)?;
    }
    Ok(())
}

/// Becomes the user that owns what init makes: root of the user namespace, or its first user.
fn become_root(plan: &mut Plan, uids: &[IdMapping], gids: &[IdMapping]) -> Result<()> {
    let identity = Identity { uid: first_id(uids), gid: first_id(gids), groups: None };
    plan.push(Origin::Field("linux.uidMappings"), &Step::ChangeIdentity(identity))
}

/// Root where it is mapped, or nothing is known of the map because the namespace is joined.
pub(crate) fn first_id(mappings: &[IdMapping]) -> u32 {
    if mappings.iter().any(|mapping| mapping.to_host(0).is_some()) {
        return 0;
    }
    mappings.iter().map(|mapping| mapping.container_id).min().unwrap_or(0)
}

fn join(plan: &mut Plan, linux: &Linux<'_>, kinds: Namespaces) -> Result<()> {
    for kind in ORDER {
        let Some(entry) = linux.namespaces.entry(kind).filter(|_| kinds.contains(bit(kind))) else {
            continue;
        };
        let Namespace::Join(path) = &entry.namespace else { continue };
        let origin = Origin::Entry("linux.namespaces", entry.index);
        let fd = plan.want(origin, Want::Namespace { path: path.as_str().into() })?;
        plan.push(origin, &Step::JoinNamespaces { fd, namespaces: bit(kind) })?;
    }
    Ok(())
}

fn plan_time(plan: &mut Plan, linux: &Linux<'_>) -> Result<()> {
    let origin = Origin::Field("linux.timeOffsets");
    plan.push(origin, &Step::Unshare { namespaces: Namespaces::TIME })?;
    let line = |clock, offset: Option<TimeOffset>| {
        offset.map_or_else(String::new, |offset| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
    };
    let offsets = &linux.time_offsets;
    let text = line("monotonic", offsets.monotonic) + &line("boottime", offsets.boottime);
    if text.is_empty() {
        return Ok(());
    }
    let text = c_string(origin, &text)?;
    plan.push(origin, &Step::SetTimeOffsets { offsets: masu_program::CText::new(&text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: Namespaces = Namespaces::NETWORK;
    const USER: Namespaces = Namespaces::USER;
    const PID: Namespaces = Namespaces::PID;
    const MOUNT: Namespaces = Namespaces::MOUNT;
    const IPC: Namespaces = Namespaces::IPC;
    const NONE: Namespaces = Namespaces::empty();

    #[test]
    fn the_shape_follows_from_what_is_new_and_what_is_joined() {
        let cgroup = Namespaces::CGROUP;
        let table = [
            // new, joined, privileged -> clone, join first, join last, fork, last
            (PID | MOUNT | NET | cgroup, NONE, true, PID | MOUNT | NET, NONE, NONE, None, NONE),
            (PID | MOUNT, NET, true, PID | MOUNT, NET, NONE, None, NONE),
            (MOUNT, NET | PID, true, NONE, NET | PID, NONE, Some(MOUNT), NONE),
            (USER | PID | MOUNT, NONE, true, NONE, NONE, NONE, Some(USER | PID | MOUNT), NONE),
            (USER | PID | MOUNT, NET, true, NONE, NET, NONE, Some(USER | PID | MOUNT), NONE),
            (PID | MOUNT, USER | NET, true, NONE, NET, USER, Some(PID | MOUNT), NONE),
            (PID | MOUNT, USER | NET, false, NONE, NONE, USER | NET, Some(PID | MOUNT), NONE),
            (NONE, NONE, true, NONE, NONE, NONE, None, NONE),
            (USER | MOUNT | IPC, NONE, true, NONE, NONE, NONE, Some(USER | MOUNT), IPC),
            (PID | IPC, USER, true, NONE, NONE, USER, Some(PID), IPC),
            (PID | IPC, NONE, true, PID | IPC, NONE, NONE, None, NONE),
        ];
        for (new, joined, privileged, clone, join_first, join_last, fork, last) in table {
            let expected = Shape { clone, join_first, join_last, fork, last };
            assert_eq!(shape(new, joined, privileged), expected, "{new:?} {joined:?} {privileged}");
        }
    }

    #[test]
    fn root_is_the_first_user_where_it_is_mapped() {
        let map = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        assert_eq!(first_id(&[map(1, 100_000, 10), map(0, 5, 1)]), 0);
        assert_eq!(first_id(&[map(1000, 1000, 1), map(500, 7, 2)]), 500);
        assert_eq!(first_id(&[]), 0);
    }
}
