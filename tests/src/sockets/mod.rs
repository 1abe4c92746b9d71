//! Sockets and descriptors beside the container's own: `--pidfd-socket`, `LISTEN_FDS`, `NOTIFY_SOCKET`, and the keyring.

mod keyring;
mod listen;
mod notify;
mod pidfd;

use crate::harness::Suite;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("sockets");
    pidfd::add(&mut suite);
    listen::add(&mut suite);
    notify::add(&mut suite);
    keyring::add(&mut suite);
    suite
}
