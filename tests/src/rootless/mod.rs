//! Without privilege: everything that an ordinary user can do with a runtime, and what it says about the rest.

mod ids;
mod life;
mod mounts;
mod nesting;

use crate::harness::{Need, Suite};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("rootless");
    suite.needs(&[Need::Root]);
    life::add(&mut suite);
    ids::add(&mut suite);
    mounts::add(&mut suite);
    nesting::add(&mut suite);
    suite
}
