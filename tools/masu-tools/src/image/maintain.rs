//! `masu image prune` and `masu image verify`: the store itself.

use std::collections::BTreeSet;

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_image::rootless::Standing;
use masu_image::unpack::{Check, Checked};
use masu_image::{Digest, Store};
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
        .before_help(
            "Layers that are unpacked are unpacked once more and compared, file by file: there has to be room for the \
             largest of them.",
        )
        .arg(repair.help("Remove what is broken, so that the next pull brings it again"))
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
    let standing = enter(session)?;
    let verified =
        store.verify(|blob| session.log.debug(&format!("read {blob}"))).map_err(|error| failure(&error))?;
    let broken = verified.broken.iter().cloned().collect();
    let checked = check(session, &store, &standing, &broken)?;
    let problems = verified.problems.iter().chain(&checked.problems);
    let problems: Vec<String> = problems.map(ToString::to_string).collect();
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({
            "blobs": verified.blobs,
            "bytes": verified.bytes,
            "snapshots": checked.right,
            "problems": problems,
        }))?,
        Format::Table => {
            let lines = problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
            let (blobs, layers) = (verified.blobs, checked.right);
            let sum = table::size(verified.bytes);
            output::print(&format!("{lines}{blobs} blobs and {layers} unpacked layers are right: {sum}\n"))?;
        }
        Format::Quiet => {}
    }
    if problems.is_empty() {
        return Ok(());
    }
    let hint = if matches.get_flag("repair") {
        repair(&store, &verified.broken, &checked.damaged)?
    } else {
        "masu image verify --repair removes what is broken, and masu image pull brings it again".to_owned()
    };
    match problems.len() {
        1 => Err(Failure::with_hint("1 problem in the store", hint)),
        several => Err(Failure::with_hint(format!("{several} problems in the store"), hint)),
    }
}

/// Compares unpacked layers with their archives, for which they are unpacked again, beside.
fn check(
    session: &Session<'_>,
    store: &Store,
    standing: &Standing,
    broken: &BTreeSet<Digest>,
) -> Result<Checked> {
    if !store.path().exists() {
        return Ok(Checked::default());
    }
    let writer = match store.writer() {
        Ok(writer) => writer,
        Err(error) => {
            session.log.warning(&format!("unpacked layers are not looked at: {error}"));
            return Ok(Checked::default());
        }
    };
    let look = || {
        let mut check = Check::new(&writer, standing, broken);
        for image in writer.images()? {
            session.log.debug(&format!("compare the unpacked layers of {}", image.name));
            check.image(&image)?;
        }
        check.end()
    };
    look().map_err(|error| failure(&error))
}

/// Removes what is broken, and says what is to be done then.
fn repair(store: &Store, blobs: &[Digest], layers: &[Digest]) -> Result<String> {
    let kept = store.discard(blobs, layers).map_err(|error| failure(&error))?;
    Ok(match kept.first() {
        None => "masu image pull brings what was removed".to_owned(),
        Some((layer, bundle)) => format!(
            "the unpacked layer {layer} is in use: masu bundle rm {}, then masu image verify --repair",
            bundle.display()
        ),
    })
}
