//! The cases, by what they are about.

mod builds;
mod containerd;
mod cri;
mod crowd;
mod ends;
mod exec;
mod killed;
mod kubernetes;
mod life;
mod limits;
mod network;
mod refusals;
mod storage;
mod swarm;
mod terminal;

use crate::suite::{Case, Suite};

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let mut suite = Suite::default();
    life::add(&mut suite);
    ends::add(&mut suite);
    exec::add(&mut suite);
    terminal::add(&mut suite);
    limits::add(&mut suite);
    storage::add(&mut suite);
    network::add(&mut suite);
    builds::add(&mut suite);
    containerd::add(&mut suite);
    cri::add(&mut suite);
    kubernetes::add(&mut suite);
    crowd::add(&mut suite);
    killed::add(&mut suite);
    refusals::add(&mut suite);
    swarm::add(&mut suite);
    suite.cases
}
