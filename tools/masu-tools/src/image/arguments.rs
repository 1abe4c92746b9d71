//! Options and arguments that several verbs have.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use masu_app::{Failure, Result};
use masu_image::Store;
use masu_image::manifest::Platform;
use masu_image::reference::{Reference, Source};
use masu_image::registry::{Credentials, Options, auth_files};
use masu_image::rootless::administers_mounts;
use serde::Serialize;

use super::failure;
use crate::output;

/// `--store`, `--format` and `--quiet`, which every verb has.
pub(super) fn common() -> [Arg; 3] {
    let format = Arg::new("format").long("format").value_name("FORMAT").default_value("table");
    let format = format.value_parser(PossibleValuesParser::new(["table", "json"]));
    [store_option(), format.help("Text for people, or JSON"), quiet_option()]
}

/// `--store`
pub(crate) fn store_option() -> Arg {
    let store = Arg::new("store").long("store").value_name("DIR");
    store.help("The store (default: $MASU_STORE, /var/lib/masu, or $XDG_DATA_HOME/masu without root)")
}

/// `--quiet`
pub(crate) fn quiet_option() -> Arg {
    let quiet = Arg::new("quiet").long("quiet").short('q').action(ArgAction::SetTrue);
    quiet.help("Print digests or names alone")
}

/// What verbs that speak to a registry have.
pub(super) fn registry() -> [Arg; 4] {
    let insecure = Arg::new("insecure").long("insecure").action(ArgAction::SetTrue);
    let creds = Arg::new("creds").long("creds").value_name("USER:PASSWORD");
    let authfile = Arg::new("authfile").long("authfile").value_name("FILE");
    let cert_dir = Arg::new("cert-dir").long("cert-dir").value_name("DIR");
    [
        insecure.help("Take plain HTTP and certificates that nobody vouches for"),
        creds.help("Who you are to the registry, instead of what files say"),
        authfile.help("Take credentials from this file instead of the usual ones"),
        cert_dir.help("Take certificates (*.crt, *.cert, *.key) from this directory instead of certs.d"),
    ]
}

/// An image of the store.
pub(super) fn image() -> Arg {
    Arg::new("image")
        .value_name("IMAGE")
        .required(true)
        .help("Name of the image, or the beginning of its digest")
}

/// The store that is meant.
pub(crate) fn store(matches: &ArgMatches) -> Result<Store> {
    let store = Store::open(store_path(matches)?);
    store.check_owner().map_err(|error| failure(&error))?;
    Ok(store)
}

fn store_path(matches: &ArgMatches) -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let given = matches.get_one::<String>("store").map(PathBuf::from).or_else(|| variable("MASU_STORE"));
    if let Some(path) = given {
        let path = std::path::absolute(&path)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        return Ok(path);
    }
    if administers_mounts() {
        return Ok(PathBuf::from("/var/lib/masu"));
    }
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    match data {
        Some(data) => Ok(data.join("masu")),
        None => {
            Err(Failure::with_hint("neither $XDG_DATA_HOME nor $HOME says where the store is", "--store DIR"))
        }
    }
}

/// How the registry is spoken to.
pub(super) fn registry_options(matches: &ArgMatches) -> Result<Options> {
    let path = |name| matches.get_one::<String>(name).map(PathBuf::from);
    let creds = matches.get_one::<String>("creds");
    let credentials =
        creds.map(|text| text.parse::<Credentials>()).transpose().map_err(|error| failure(&error))?;
    Ok(Options {
        insecure: matches.get_flag("insecure"),
        credentials,
        auth_files: auth_files(path("authfile")),
        cert_dir: path("cert-dir"),
        registries_conf: None,
    })
}

/// A name of an image in a registry, from an argument.
pub(super) fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|error| failure(&error))
}

/// An image in a registry, a file or a directory, from an argument.
pub(super) fn source(text: &str) -> Result<Source> {
    text.parse().map_err(|error| failure(&error))
}

/// `--platform`
pub(super) fn platform(matches: &ArgMatches) -> Result<Option<Platform>> {
    let given = matches.get_one::<String>("platform").map(|text| text.parse::<Platform>());
    given.transpose().map_err(|problem| Failure::new(format!("--platform: {problem}")))
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
    Quiet,
}

/// The format that was asked for; `--quiet` wins.
pub(super) fn format(matches: &ArgMatches) -> Format {
    match matches.get_one::<String>("format").map(String::as_str) {
        _ if matches.get_flag("quiet") => Format::Quiet,
        Some("json") => Format::Json,
        _ => Format::Table,
    }
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::new(format!("write JSON: {error}")))?;
    output::print(&(text + "\n"))
}
