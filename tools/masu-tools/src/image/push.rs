//! `masu image push`.

use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use masu_app::Result;
use masu_image::push::Push;
use masu_image::registry::Client;
use masu_image::store::Image;

use super::arguments;
use super::choose;
use super::failure;
use super::progress::Progress;
use super::pull;
use crate::Session;

/// The options.
pub(super) fn command() -> Command {
    let target = Arg::new("target").value_name("TARGET");
    Command::new("push")
        .about("Send an image to a registry")
        .before_help(
            "Layers that the registry has, also in another repository that the store knows an image of, are not sent. \
             Without TARGET the image's own name says where to.",
        )
        .after_help(
            "Example:\n  Send an image to a registry without TLS\n    \
             masu image push --insecure alpine 127.0.0.1:5000/test/alpine:1",
        )
        .arg(arguments::image())
        .arg(target.help("Name that it gets in a registry"))
        .args(arguments::registry())
        .args(arguments::common())
}

/// Sends an image.
pub(super) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str);
    let target = text("target").map(arguments::reference).transpose()?;
    let (options, store) = (arguments::registry_options(matches)?, arguments::store(matches)?);
    // An ordinary user's blobs are readable to the root of that user's namespace.
    pull::enter(session)?;
    let image = choose::image(&store, text("image").unwrap_or_default())?;
    let target = target.map_or_else(|| arguments::reference(&image.name), Ok)?;
    let progress = Progress::new(matches.get_flag("quiet"));
    let notes = progress.clone();
    let client = Client::new(options, Arc::new(move |text: &str| notes.note(text)));
    let client = Arc::new(client.map_err(|error| failure(&error))?);
    session.log.debug(&format!("push {target} from {}", store.path().display()));
    let push = Push { client: &client, store: &store, image: &image, target: &target };
    let pushed = push.run(&|event| progress.tell_push(&event));
    progress.end();
    pushed.map_err(|error| failure(&error))?;
    pull::tell(matches, &Image { name: target.to_string(), ..image })
}
