//! `masu image tag` and `masu image rm`: names.

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::Result;

use super::arguments::{self, Format};
use super::{choose, failure};
use crate::{Session, output};

/// The options of `tag`.
pub(super) fn tag_command() -> Command {
    let name = Arg::new("name").value_name("NAME").required(true).help("The name that it gets as well");
    Command::new("tag")
        .about("Give an image another name")
        .arg(arguments::image())
        .arg(name)
        .args(arguments::common())
}

/// The options of `rm`.
pub(super) fn remove_command() -> Command {
    Command::new("rm")
        .about("Take the names of images away")
        .before_help("What no other image uses is removed by masu image prune, and not before.")
        .arg(arguments::image().action(ArgAction::Append).num_args(1..))
        .args(arguments::common())
}

/// Gives a name.
pub(super) fn tag(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let store = arguments::store(matches)?;
    let image = choose::image(&store, text("image"))?;
    let name = arguments::reference(text("name"))?.to_string();
    let writer = store.writer().map_err(|error| failure(&error))?;
    writer.tag(&name, &image.descriptor).map_err(|error| failure(&error))?;
    tell(matches, &[name])
}

/// Takes names away: of all images, or, when one is not there, of none.
pub(super) fn remove(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    let given = matches.get_many::<String>("image").into_iter().flatten();
    let names: Vec<String> =
        given.map(|given| choose::image(&store, given).map(|image| image.name)).collect::<Result<_>>()?;
    let writer = store.writer().map_err(|error| failure(&error))?;
    for name in &names {
        writer.untag(name).map_err(|error| failure(&error))?;
    }
    tell(matches, &names)
}

fn tell(matches: &ArgMatches, names: &[String]) -> Result<()> {
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&names),
        Format::Table => output::print(&names.iter().map(|name| format!("{name}\n")).collect::<String>()),
        Format::Quiet => Ok(()),
    }
}
