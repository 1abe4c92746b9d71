//! Terminals: a container's own, who gets it, and the engine's in the foreground.

mod attacks;
mod bad_input;
mod foreground;
mod jobs;
mod socket;

use crate::harness::Suite;

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("terminal");
    socket::add(&mut suite);
    foreground::add(&mut suite);
    jobs::add(&mut suite);
    attacks::add(&mut suite);
    bad_input::add(&mut suite);
    suite
}
