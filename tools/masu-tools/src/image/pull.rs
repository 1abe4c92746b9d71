//! `masu image pull`.

use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_image::manifest::Platform;
use masu_image::pull::Pull;
use masu_image::reference::{Reference, Source};
use masu_image::registry::{Client, Options};
use masu_image::rootless::{self, Standing};
use masu_image::store::Image;
use masu_image::{Store, archive};
use serde_json::json;

use super::arguments::{self, Format};
use super::choose;
use super::failure;
use super::progress::Progress;
use crate::{Session, output};

/// The options.
pub(super) fn command() -> Command {
    let image = Arg::new("image").value_name("IMAGE").required(true).help("Name of the image in a registry");
    Command::new("pull")
        .about("Fetch an image from a registry, and unpack its layers")
        .before_help(
            "What the store has already is not fetched again, and a download that was broken off is gone on with. \
             Everything is compared with its digest while it arrives.",
        )
        .after_help(
            "Example:\n  Fetch an image from a registry without TLS\n    \
             masu image pull --insecure 127.0.0.1:5000/test/busybox:1",
        )
        .arg(image)
        .args(options("always"))
        .args(arguments::common())
}

/// The options of whatever may have to fetch an image.
pub(crate) fn options(when: &'static str) -> Vec<Arg> {
    let platform = Arg::new("platform").long("platform").value_name("OS/ARCH[/VARIANT]");
    let policy = Arg::new("pull").long("pull").value_name("WHEN").default_value(when);
    let mut options = vec![
        platform.help("For another machine than this"),
        policy
            .value_parser(PossibleValuesParser::new(["always", "missing", "never"]))
            .help("Ask the registry always, when the store lacks the image, or never"),
    ];
    options.extend(arguments::registry());
    options
}

/// Fetches an image.
pub(super) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    arguments::reference(given(matches))?;
    let fetch = Fetch::prepare(session, matches)?;
    let standing = enter(session)?;
    tell(matches, &fetch.image(&standing)?)
}

fn given(matches: &ArgMatches) -> &str {
    matches.get_one::<String>("image").map(String::as_str).unwrap_or_default()
}

/// How an image is brought into the store. All that depends on who the user is, which the user namespace hides.
pub(crate) struct Fetch<'a> {
    session: &'a Session<'a>,
    matches: &'a ArgMatches,
    registry: Options,
    /// The store.
    pub(crate) store: Store,
}

impl<'a> Fetch<'a> {
    /// Reads the options.
    pub(crate) fn prepare(session: &'a Session<'a>, matches: &'a ArgMatches) -> Result<Self> {
        let (registry, store) = (arguments::registry_options(matches)?, arguments::store(matches)?);
        Ok(Self { session, matches, registry, store })
    }

    /// The image that was asked for: the store's, or what is fetched now, as `--pull` says.
    pub(crate) fn image(&self, standing: &Standing) -> Result<Image> {
        self.image_of(given(self.matches), standing)
    }

    /// The same for another image than the one that is given as such.
    pub(crate) fn image_of(&self, given: &str, standing: &Standing) -> Result<Image> {
        let reference = match arguments::source(given)? {
            Source::Registry(reference) => reference,
            Source::Host => {
                return Err(Failure::new("host is this machine's own root, and no image with layers"));
            }
            source => return self.import(given, &source),
        };
        let known = self.store.image(&reference.to_string()).map_err(|error| failure(&error))?;
        match (self.matches.get_one::<String>("pull").map(String::as_str), known) {
            (Some("missing" | "never"), Some(image)) => Ok(image),
            (Some("never"), None) => choose::image(&self.store, given),
            _ => self.pull(&reference, standing),
        }
    }

    /// An image in a file gets no name here: it is there for who asks for it by its file.
    fn import(&self, given: &str, source: &Source) -> Result<Image> {
        let writer = self.store.writer().map_err(|error| failure(&error))?;
        let platform = arguments::platform(self.matches)?.unwrap_or_else(Platform::host);
        let imported = archive::import(&writer, source, &platform).map_err(|error| failure(&error))?;
        Ok(Image { name: given.to_owned(), descriptor: imported.descriptor })
    }

    fn pull(&self, reference: &Reference, standing: &Standing) -> Result<Image> {
        let platform = arguments::platform(self.matches)?;
        let progress = Progress::new(self.matches.get_flag("quiet"));
        let notes = progress.clone();
        let client = Client::new(self.registry.clone(), Arc::new(move |text: &str| notes.note(text)));
        let client = Arc::new(client.map_err(|error| failure(&error))?);
        self.session.log.debug(&format!("pull {reference} into {}", self.store.path().display()));
        let writer = self.store.writer().map_err(|error| failure(&error))?;
        let (client, store, platform) = (&client, &writer, platform.as_ref());
        let image = Pull { client, store, reference, platform, standing }.run(&|event| progress.tell(&event));
        progress.end();
        image.map_err(|error| failure(&error))
    }
}

/// Enters the user namespace that an ordinary user's store is kept in. Before the first thread, and after all that
/// depends on who the user is.
pub(crate) fn enter(session: &Session<'_>) -> Result<Standing> {
    let standing = rootless::enter().map_err(|error| failure(&error))?;
    if let Some(reason) = &standing.single {
        session.log.warning(&format!("all files of images will belong to you: {reason}"));
    }
    Ok(standing)
}

/// Prints what an image is called now, and its digest.
pub(super) fn tell(matches: &ArgMatches, image: &Image) -> Result<()> {
    let digest = &image.descriptor.digest;
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({
            "name": image.name,
            "digest": digest,
            "platform": image.descriptor.platform,
        })),
        Format::Table => output::print(&format!("{} {digest}\n", image.name)),
        Format::Quiet => output::print(&format!("{digest}\n")),
    }
}
