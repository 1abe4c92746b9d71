//! `masu image`: the store of images, one module for what belongs together.

pub(crate) mod arguments;
pub(crate) mod choose;
mod describe;
mod exchange;
mod list;
mod login;
mod maintain;
mod names;
mod progress;
pub(crate) mod pull;
mod push;
mod table;

use clap::{ArgMatches, Command};
use masu_app::{Failure, Result};

use crate::Session;

/// A verb below `masu image`.
struct Verb {
    name: &'static str,
    command: fn() -> Command,
    run: fn(&Session<'_>, &ArgMatches) -> Result<()>,
}

/// All of them, in the order in which people come to need them.
const VERBS: [Verb; 13] = [
    Verb { name: "pull", command: pull::command, run: pull::run },
    Verb { name: "import", command: exchange::import_command, run: exchange::import },
    Verb { name: "ls", command: list::command, run: list::run },
    Verb { name: "inspect", command: describe::inspect_command, run: describe::inspect },
    Verb { name: "history", command: describe::history_command, run: describe::history },
    Verb { name: "tag", command: names::tag_command, run: names::tag },
    Verb { name: "rm", command: names::remove_command, run: names::remove },
    Verb { name: "prune", command: maintain::prune_command, run: maintain::prune },
    Verb { name: "verify", command: maintain::verify_command, run: maintain::verify },
    Verb { name: "export", command: exchange::export_command, run: exchange::export },
    Verb { name: "push", command: push::command, run: push::run },
    Verb { name: "login", command: login::login_command, run: login::login },
    Verb { name: "logout", command: login::logout_command, run: login::logout },
];

/// The options.
pub(crate) fn command() -> Command {
    Command::new("image")
        .about("Fetch images and look after the store of them")
        .before_help(
            "IMAGE is [HOST[:PORT]/]REPO[:TAG][@DIGEST], as everywhere: docker.io without a host, latest without a tag. \
             The store is the directory of --store, of $MASU_STORE, or /var/lib/masu; for an ordinary user it is \
             $XDG_DATA_HOME/masu.",
        )
        .after_help("Example:\n  Fetch an image and see what it is\n    masu image pull alpine && masu image inspect alpine")
        .subcommand_required(true)
        .subcommand_value_name("VERB")
        .subcommands(VERBS.iter().map(|verb| (verb.command)()))
}

/// Does what the verb says.
pub(crate) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let found = matches.subcommand().and_then(|(name, matches)| {
        let verb = VERBS.iter().find(|verb| verb.name == name)?;
        Some((verb, matches))
    });
    match found {
        Some((verb, matches)) => (verb.run)(session, matches),
        None => Err(Failure::with_hint("no verb", "masu image --help")),
    }
}

/// An error of the library, which has its hint on a line of its own; where the kernel refuses something, what keeps it from
/// that is the better one.
pub(crate) fn failure(error: &masu_image::Error) -> Failure {
    let failure = Failure::from_text(&error.to_string());
    Failure { hint: refusal_hint(error).or(failure.hint), ..failure }
}

fn refusal_hint(error: &masu_image::Error) -> Option<String> {
    match error {
        masu_image::Error::At { source, .. } => refusal_hint(source),
        masu_image::Error::Namespace { errno, .. } => masu_runtime::user_namespace_hint(*errno),
        masu_image::Error::Mount { errno, .. } => masu_runtime::mount_hint(*errno),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_called_by_the_name_of_its_command() {
        for verb in &VERBS {
            assert_eq!((verb.command)().get_name(), verb.name);
        }
    }
}
