//! config.json, field by field, each observed from inside the container.

mod devices;
mod id_mapped;
mod mounts;
mod mounts_changed;
mod namespaces;
mod net_devices;
mod process;
mod root;
mod scheduling;

use crate::harness::Suite;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("config");
    process::add(&mut suite);
    scheduling::add(&mut suite);
    root::add(&mut suite);
    namespaces::add(&mut suite);
    mounts::add(&mut suite);
    mounts_changed::add(&mut suite);
    id_mapped::add(&mut suite);
    net_devices::add(&mut suite);
    devices::add(&mut suite);
    suite
}
