//! What black-box tests stand on, whether they call a runtime themselves or through an engine: commands with a
//! deadline, terminals, what the host shows of a container, and how a case fails.

pub mod busybox;
pub mod command;
mod failure;
pub mod host;
pub mod mountinfo;
pub mod runtime;
pub mod terminal;

pub use failure::{Check, Failure, fail};
pub use runtime::Runtime;
