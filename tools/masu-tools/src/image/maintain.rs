//! `masu image prune` and `masu image verify`: the store itself.

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result};
use serde_json::json;

use super::arguments::{self, Format};
use super::pull::enter;
use super::{failure, table};
use crate::{Session, output};

/// The options of `prune`.
pub(super) fn prune_command() -> Command {
    Command::new("prune")
        .about("Remove what no image and no bundle uses, and what was left half done")
        .args(arguments::common())
}

/// The options of `verify`.
pub(super) fn verify_command() -> Command {
    let repair = Arg::new("repair").long("repair").action(ArgAction::SetTrue);
    Command::new("verify")
        .about("Read everything again and compare it with its digests")
        .arg(repair.help("Remove what is broken, so that the next pull fetches it"))
        .args(arguments::common())
}

/// Removes what is not used.
pub(super) fn prune(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    // The files of layers belong to others, for an ordinary user too.
    enter(session)?;
    let pruned = store.prune().map_err(|error| failure(&error))?;
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({
            "blobs": pruned.blobs,
            "snapshots": pruned.snapshots,
            "unfinished": pruned.unfinished,
            "bytes": pruned.bytes,
        })),
        Format::Quiet => {
            output::print(&pruned.blobs.iter().map(|blob| format!("{blob}\n")).collect::<String>())
        }
        Format::Table => output::print(&format!(
            "removed {} blobs, {} unpacked layers and {} unfinished ones: {}\n",
            pruned.blobs.len(),
            pruned.snapshots.len(),
            pruned.unfinished,
            table::size(pruned.bytes)
        )),
    }
}

/// Reads everything again.
pub(super) fn verify(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    let verified =
        store.verify(|blob| session.log.debug(&format!("read {blob}"))).map_err(|error| failure(&error))?;
    let problems: Vec<String> = verified.problems.iter().map(ToString::to_string).collect();
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({
            "blobs": verified.blobs,
            "bytes": verified.bytes,
            "problems": problems,
        }))?,
        Format::Table => {
            let lines = problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
            let sum = format!("{} blobs are right: {}\n", verified.blobs, table::size(verified.bytes));
            output::print(&(lines + &sum))?;
        }
        Format::Quiet => {}
    }
    let repairs = matches.get_flag("repair") && !verified.broken.is_empty();
    if repairs {
        store.discard_blobs(&verified.broken).map_err(|error| failure(&error))?;
    }
    let hint = match repairs {
        true => "masu image pull fetches what was removed",
        false => "masu image verify --repair removes what is broken, and masu image pull fetches it again",
    };
    match problems.len() {
        0 => Ok(()),
        1 => Err(Failure::with_hint("1 problem in the store", hint)),
        several => Err(Failure::with_hint(format!("{several} problems in the store"), hint)),
    }
}
