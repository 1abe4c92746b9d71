//! The plans of `mounts add` and `mounts remove`: one mount of a container that exists.

use masu_program::{Barrier, CText, Step};
use masu_spec::Mount;

use super::{CreateInput, ExecInput, Origin, Plan, c_string, exec, mounts, unsupported};
use crate::error::Result;

/// Plans a mount. It is the same step as at the container's start, below the root that the joined namespace brings along.
///
/// The process is in no cgroup of the container, which may be paused or full, and it ends with its last step.
pub(crate) fn plan_mount(
    create: &CreateInput<'_>,
    join: &ExecInput<'_>,
    index: usize,
    mount: &Mount<'_>,
) -> Result<Plan> {
    let origin = Origin::Entry("mounts", index);
    if mount.fs_type.is_none() && !join.host.is_privileged() {
        // The container's namespace cannot clone a tree of ours, and we may not clone one.
        return Err(unsupported(
            origin,
            "a tree of the host can be bound into a running container by root alone",
        ));
    }
    let mut plan = begin(join)?;
    mounts::plan_one(&mut plan, create, origin, mount, false)?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    Ok(plan)
}

/// Plans that a mount goes.
pub(crate) fn plan_unmount(join: &ExecInput<'_>, index: usize, mount: &Mount<'_>) -> Result<Plan> {
    let origin = Origin::Entry("mounts", index);
    let destination = mounts::clean(&mount.destination);
    if destination == "/" {
        return Err(unsupported(origin, "the mount on \"/\" is the root file system"));
    }
    let mut plan = begin(join)?;
    let path = c_string(origin, &destination)?;
    plan.push(origin, &Step::Unmount { path: CText::new(&path) })?;
    plan.push(Origin::Engine, &Step::Barrier(Barrier::Ready))?;
    Ok(plan)
}

/// Into all of the container's namespaces: a procfs is that of the pid namespace, a sysfs that of the network namespace.
fn begin(join: &ExecInput<'_>) -> Result<Plan> {
    let mut plan = exec::begin_exec(join.namespaces, None, join.unified)?;
    plan.push(Origin::Engine, &Step::HideFromTracers)?;
    exec::plan_namespaces(&mut plan, join)?;
    plan.push(Origin::Field("root.path"), &Step::OpenRootDirectory { path: CText::new(c"/") })?;
    Ok(plan)
}
