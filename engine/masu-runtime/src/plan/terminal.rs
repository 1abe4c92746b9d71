//! The terminal of a process.

use masu_program::Step;
use masu_spec::Process;

use super::{Origin, Plan};
use crate::error::Result;

const ORIGIN: Origin = Origin::Field("process.terminal");

/// Plans the pair of terminals: while init is root in the container, which alone may give the slave away, and before
/// anything of the caller's is let go.
pub(super) fn plan_open(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    let Some(terminal) = process.terminal else { return Ok(()) };
    let size = terminal.size.map(|size| (size.height, size.width));
    plan.push(ORIGIN, &Step::OpenTerminal { uid: process.user.uid, size })
}

/// Plans the mount on `/dev/console`: before `/dev` becomes read-only.
pub(super) fn plan_console(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    if process.terminal.is_some() { plan.push(ORIGIN, &Step::MountConsole) } else { Ok(()) }
}

/// Plans the exchange of the caller's standard streams for the terminal: before the engine of `create` returns, whose
/// caller may wait for the end of what it reads.
pub(super) fn plan_take(plan: &mut Plan, process: &Process<'_>) -> Result<()> {
    if process.terminal.is_some() { plan.push(ORIGIN, &Step::TakeTerminal) } else { Ok(()) }
}
