//! `masu wait`: the exit codes of boxes in the background.

use clap::{Arg, ArgMatches, Command};
use masu_app::{Failure, Result};

use super::options::all;
use super::status::Watched;
use crate::image::arguments;
use crate::{Session, output};

/// The options.
pub(crate) fn command() -> Command {
    let name = Arg::new("box").value_name("BOX").required(true).num_args(1..);
    Command::new("wait")
        .about("Wait for boxes in the background, and print their exit codes")
        .before_help(
            "A box goes when its program has ended, unless masu box had --keep: its exit code is for who waits by then. \
             128 and the number of the signal, for a program that a signal has ended.",
        )
        .after_help("Example:\n  The exit code of a program in the background\n    masu wait $(masu box -d alpine sleep 5)")
        .arg(name.help("Name of the box"))
        .arg(arguments::store_option())
}

/// Waits for all of them.
pub(crate) fn run(_session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    // Opened before the first is waited for: the others may be gone by then.
    let watched = all(matches, "box").map(|name| {
        let directory = super::find(&store, name)?;
        let watched = Watched::open(&directory)?.ok_or_else(|| {
            let message = format!("box {name} is not in the background");
            Failure::with_hint(message, "the exit code of masu box itself is its program's")
        });
        Ok((name, watched?))
    });
    let watched: Vec<(&str, Watched)> = watched.collect::<Result<_>>()?;
    for (name, watched) in watched {
        let code = watched.wait()?.ok_or_else(|| {
            let directory = store.path().join("boxes").join(name);
            let hint = format!("masu delete --force {name}, then masu bundle rm {}", directory.display());
            Failure::with_hint(format!("box {name} has lost its supervisor, and its exit code with it"), hint)
        })?;
        output::print(&format!("{code}\n"))?;
    }
    Ok(())
}
