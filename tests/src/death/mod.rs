//! Death at any point: every system call of the engine and of init fails in its turn, and at every one of them somebody is
//! killed. The list of steps that init carries out is read from its program, and every one of them has to have been hit.

mod configurations;
mod engine;
mod forced;
mod killed;
mod neighbour;
mod points;
mod rows;
mod tolerated;

use std::fs;

use crate::harness::{Bench, Check, Need, Suite, ensure, host};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("death");
    suite.needs(&[Need::Root, Need::CgroupV1]);
    killed::add(&mut suite);
    engine::add(&mut suite);
    neighbour::add(&mut suite);
    forced::add(&mut suite);
    suite
}

/// Looks for what could be left of a container where it could be: quicker than the search of everything, which ends
/// the case.
fn nothing_is_left(bench: &Bench<'_>, id: &str, pids: &[i32]) -> Check {
    ensure!(!bench.root.join(id).exists(), "the state directory of {id} is left");
    for hierarchy in fs::read_dir(host::CGROUPS)? {
        // On version 2 alone these are cgroups themselves.
        let path = hierarchy?.path();
        let cgroup = if path.ends_with(id) { path } else { path.join(id) };
        ensure!(!cgroup.exists(), "{} is left", cgroup.display());
    }
    no_process_is_left(pids)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(!mounts.contains(id), "a mount is left");
    Ok(())
}

fn no_process_is_left(pids: &[i32]) -> Check {
    host::until("its processes end", || Ok(!pids.iter().any(|pid| host::is_alive(*pid))))
}
