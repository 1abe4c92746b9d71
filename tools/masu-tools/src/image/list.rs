//! `masu image ls`.

use clap::{ArgMatches, Command};
use masu_app::Result;
use serde::Serialize;

use super::arguments::{self, Format};
use super::choose::Opened;
use super::{failure, table};
use crate::{Session, output};

/// An image, as `--format json` has it.
#[derive(Serialize)]
struct Row {
    name: String,
    digest: String,
    platform: Option<String>,
    created: Option<String>,
    /// In bytes, as downloaded.
    size: u64,
}

/// The options.
pub(super) fn command() -> Command {
    Command::new("ls").about("List the images of the store").args(arguments::common())
}

/// Lists them, by name.
pub(super) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let store = arguments::store(matches)?;
    let mut rows = Vec::new();
    for image in store.images().map_err(|error| failure(&error))? {
        let (name, digest) = (image.name.clone(), image.descriptor.digest.to_string());
        let platform = image.descriptor.platform.as_ref().map(ToString::to_string);
        // One that is broken is listed all the same: its owner wants to know its name.
        let (created, size) = match Opened::read(&store, image) {
            Ok(opened) => (opened.config.created.clone(), opened.size()),
            Err(failure) => {
                session.log.warning(&failure.message);
                (None, 0)
            }
        };
        rows.push(Row { name, digest, platform, created, size });
    }
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&rows),
        Format::Quiet => {
            output::print(&rows.iter().map(|row| format!("{}\n", row.digest)).collect::<String>())
        }
        Format::Table => output::print(&render(&rows)),
    }
}

fn render(rows: &[Row]) -> String {
    let mut lines = vec![["NAME", "DIGEST", "PLATFORM", "CREATED", "SIZE"].map(ToOwned::to_owned).to_vec()];
    for row in rows {
        let short = row.digest.split(':').nth(1).and_then(|hex| hex.get(..12)).unwrap_or_default();
        let platform = row.platform.clone().unwrap_or_default();
        let created = table::time(row.created.as_deref());
        lines.push(vec![row.name.clone(), short.to_owned(), platform, created, table::size(row.size)]);
    }
    table::render(&lines)
}
