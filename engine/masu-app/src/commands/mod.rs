//! The commands: one module each.

mod create;
mod delete;
mod events;
mod exec;
mod features;
pub(crate) mod help;
mod kill;
mod list;
mod mounts;
mod pause;
mod ps;
mod spec;
mod start;
mod state;
pub(crate) mod unknown;
mod update;
pub(crate) mod version;

use masu_cli::{Parsed, Verb};

use crate::{failure::Result, session::Session};

/// Carries out a command and returns the exit code.
pub(crate) fn dispatch(session: &Session<'_>, parsed: &Parsed<'_>) -> Result<i32> {
    match parsed.command.verb {
        Verb::Create => create::create(session, parsed),
        Verb::Run => create::run(session, parsed),
        Verb::Start => start::start(session, parsed),
        Verb::Events => events::events(session, parsed),
        Verb::Exec => exec::exec(session, parsed),
        Verb::State => state::state(session, parsed),
        Verb::Kill => kill::kill(session, parsed),
        Verb::Delete => delete::delete(session, parsed),
        Verb::List => list::list(session, parsed),
        Verb::Ps => ps::ps(session, parsed),
        Verb::Mounts => mounts::mounts(session, parsed),
        Verb::Pause => pause::pause(session, parsed),
        Verb::Resume => pause::resume(session, parsed),
        Verb::Spec => spec::spec(parsed),
        Verb::Update => update::update(session, parsed),
        Verb::Features => features::features(),
    }
}

/// The container's ID: the first argument, which the table of commands requires.
fn id<'a>(parsed: &Parsed<'a>) -> &'a str {
    parsed.positional(0).unwrap_or_default()
}
