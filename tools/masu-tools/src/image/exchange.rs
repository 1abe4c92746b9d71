//! `masu image import` and `masu image export`: images in files.

use clap::{Arg, ArgMatches, Command};
use masu_app::{Failure, Result};
use masu_image::manifest::Platform;
use masu_image::reference::{Reference, Source};
use masu_image::store::Image;
use masu_image::{archive, unpack};
use serde_json::json;

use super::arguments::{self, Format};
use super::choose::{self, Opened};
use super::{failure, pull};
use crate::{Session, output};

const FORMS: &str = "oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:TAG], dir:DIR (skopeo's)";

/// The options of `import`.
pub(super) fn import_command() -> Command {
    let source = Arg::new("source").value_name("SOURCE").required(true);
    let name =
        Arg::new("name").value_name("NAME").help("What it is called in the store, if not as in its file");
    let platform = Arg::new("platform").long("platform").value_name("OS/ARCH[/VARIANT]");
    Command::new("import")
        .about("Take an image from a file, and unpack its layers")
        .before_help(format!(
            "SOURCE is {FORMS}, or rootfs:DIR|TAR for a root file system without a description."
        ))
        .after_help("Example:\n  Take what docker save wrote\n    masu image import docker-archive:app.tar")
        .arg(source.help("Where it is"))
        .arg(name)
        .arg(platform.help("For another machine than this"))
        .args(arguments::common())
}

/// The options of `export`.
pub(super) fn export_command() -> Command {
    let target = Arg::new("target").value_name("TARGET").required(true).help("Where to");
    Command::new("export")
        .about("Write an image to a file")
        .before_help(format!("TARGET is {FORMS}."))
        .after_help("Example:\n  For docker load\n    masu image export alpine docker-archive:alpine.tar")
        .arg(arguments::image())
        .arg(target)
        .args(arguments::common())
}

/// Takes an image from a file.
pub(super) fn import(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str);
    let given = text("source").unwrap_or_default();
    let source = in_a_file(given)?;
    let name = text("name").map(arguments::reference).transpose()?;
    let platform = arguments::platform(matches)?.unwrap_or_else(Platform::host);
    let store = arguments::store(matches)?;
    let standing = pull::enter(session)?;
    let writer = store.writer().map_err(|error| failure(&error))?;
    let imported = archive::import(&writer, &source, &platform).map_err(|error| failure(&error))?;
    // A layout calls its images by their tags alone: those are no names among many repositories.
    let own = imported.names.iter().filter(|name| name.contains(['/', ':']));
    let own = own.filter_map(|name| name.parse::<Reference>().ok());
    let names: Vec<Reference> = name.map_or_else(|| own.collect(), |name| vec![name]);
    if names.is_empty() {
        let hint = format!("masu image import {given} NAME");
        return Err(Failure::with_hint(format!("{given} does not say what its image is called"), hint));
    }
    let image = Image { name: given.to_owned(), descriptor: imported.descriptor };
    let opened = Opened::read(&store, image)?;
    let lost = |event| {
        if let unpack::Event::Lost(what) = event {
            session.log.warning(&what);
        }
    };
    unpack::snapshots(&writer, &opened.manifest, &opened.config, &standing, &lost)
        .map_err(|error| failure(&error))?;
    for name in &names {
        writer.tag(&name.to_string(), &opened.image.descriptor).map_err(|error| failure(&error))?;
    }
    let (digest, names) = (&opened.image.descriptor.digest, names.iter().map(ToString::to_string));
    match arguments::format(matches) {
        Format::Json => {
            arguments::print_json(&json!({ "names": names.collect::<Vec<_>>(), "digest": digest }))
        }
        Format::Table => output::print(&names.map(|name| format!("{name} {digest}\n")).collect::<String>()),
        Format::Quiet => output::print(&format!("{digest}\n")),
    }
}

/// Writes an image to a file.
pub(super) fn export(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let target = in_a_file(text("target"))?;
    let store = arguments::store(matches)?;
    // An ordinary user's blobs are readable to the root of that user's namespace.
    pull::enter(session)?;
    let image = choose::image(&store, text("image"))?;
    archive::export(&store, &image, &target).map_err(|error| failure(&error))?;
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({ "name": image.name, "target": text("target") })),
        Format::Table => output::print(&format!("{} {}\n", image.name, text("target"))),
        Format::Quiet => Ok(()),
    }
}

fn in_a_file(given: &str) -> Result<Source> {
    match arguments::source(given)? {
        Source::Registry(_) | Source::Host => {
            let hint = format!("{FORMS}; masu image pull fetches from a registry");
            Err(Failure::with_hint(format!("{given} is no image in a file"), hint))
        }
        source => Ok(source),
    }
}
