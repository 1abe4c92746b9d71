//! config.json, field by field, each observed from inside the container.

mod devices;
mod mounts;
mod namespaces;
mod process;
mod root;

use crate::harness::Suite;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("config");
    process::add(&mut suite);
    root::add(&mut suite);
    namespaces::add(&mut suite);
    mounts::add(&mut suite);
    devices::add(&mut suite);
    suite
}
