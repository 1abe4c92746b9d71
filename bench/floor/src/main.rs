//! `floor ROOT NAME HIERARCHIES PROGRAM [ARG…]`: the container of `masu spec`, by the fewest system calls that make it
//! one, and no decision on the way. It's what the kernel takes: no runtime that does as much can be faster by more
//! than it finds to do at once on a second processor.
//!
//! ROOT has `proc`, `dev` and `sys`, and no symbolic link among them. NAME is the cgroup's. HIERARCHIES are names of mount
//! points in `/sys/fs/cgroup`, joined by colons: version 1 with one controller each, and `unified` for the other half of
//! a hybrid layout.
//!
//! What a runtime does and this does not: read a configuration, remember a state, guard against the root's symbolic
//! links and against a swapped `/dev/null`, pass signals on, say what went wrong in words of the configuration, keep its
//! own image out of the container's reach. It is no runtime.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod cgroup;
mod container;
mod failure;
mod path;

use cgroup::Cgroups;
use container::Container;
use core::ffi::CStr;
use failure::{At, Failure, Result};
use masu_start::{Arguments, Environment};
use masu_sys::process::{CloneArgs, CloneFlags, Forked, fork};
use rustix::fd::AsFd;
use rustix::process::{WaitOptions, waitpid};

masu_start::entry!(main);

/// Exit status of whoever could not make the container.
const FAILED: i32 = 125;

/// The namespaces of `masu spec`. The network namespace is the largest of all steps.
const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWNET);

fn main(arguments: Arguments, _: Environment) -> i32 {
    match run(arguments) {
        Ok(status) => status,
        Err(failure) => {
            failure.tell();
            FAILED
        }
    }
}

fn run(mut arguments: Arguments) -> Result<i32> {
    let mut next = || arguments.next().ok_or(Failure::USAGE);
    let (_, root, name, hierarchies) = (next()?, next()?, next()?, next()?);
    let cgroups = Cgroups { name, hierarchies };
    let unified = cgroups.make()?;
    let status = start(root, &cgroups, unified.as_ref().map(AsFd::as_fd), arguments);
    // Whatever became of the container, nothing is left of it.
    let removed = cgroups.remove();
    let status = status?;
    removed?;
    Ok(status)
}

/// Runs the program in the container and gives its exit status.
fn start(
    root: &CStr,
    cgroups: &Cgroups<'_>,
    unified: Option<rustix::fd::BorrowedFd<'_>>,
    program: Arguments,
) -> Result<i32> {
    match fork(&CloneArgs { flags: NAMESPACES, cgroup: unified }).at("clone3")? {
        Forked::Child => Err(Container { root, cgroups }.become_program(program)),
        Forked::Parent { pid, .. } => {
            let ended = waitpid(Some(pid), WaitOptions::empty()).at("wait4")?;
            let status = ended.map(|(_, status)| status);
            Ok(status.and_then(|status| status.exit_status()).unwrap_or(FAILED))
        }
    }
}
