//! `masu explain`: how a container would be made, step by step, with the field of config.json that asks for each.
//!
//! The steps are those of the engine's own plan, and so are the sentences: this module lays them out.

mod text;

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command};
use masu_app::{Failure, Result, cgroup_driver};
use masu_cli::{BUNDLE, NO_NEW_KEYRING, NO_PIVOT, PRESERVE_FDS, ROOTLESS, parse_bool};
use masu_runtime::{ExplainOptions, Explanation, Store, explain_create};
use serde::Serialize;

use crate::Session;
use crate::options::from_table;
use crate::output::{self, Style};

/// The id of a container that has none, when the bundle's name cannot be one.
const DEFAULT_ID: &str = "container";

/// What `--json` prints: docs/explain.md describes it.
#[derive(Serialize)]
struct Document<'a> {
    id: &'a str,
    bundle: &'a str,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// The options.
pub(crate) fn command() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
    let json = json.help("Print one JSON document instead of text for people");
    let id = Arg::new("id").long("id").value_name("ID");
    let id = id.help("Name of the container (default: the name of the bundle's directory)");
    Command::new("explain")
        .about("Show how a container would be made, step by step")
        .before_help(
            "Each step of masu create and masu start is one sentence, with the field of config.json that asks for \
             it. The steps are those that the engine would take here and now. Nothing is made, and nobody has to be \
             root.",
        )
        .after_help(
            "Example:\n  Show which steps the mounts of the bundle in /srv/web lead to\n    \
             masu explain --bundle /srv/web | grep 'mounts\\['",
        )
        .args([from_table(&BUNDLE.0), json, id])
        .args([from_table(&NO_PIVOT.0), from_table(&NO_NEW_KEYRING.0), from_table(&PRESERVE_FDS.0)])
}

/// Explains a bundle.
pub(crate) fn run(session: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let bundle = matches.get_one::<String>(BUNDLE.0.long).map_or(".", String::as_str);
    let id = match matches.get_one::<String>("id") {
        Some(id) => id.clone(),
        None => id_of(Path::new(bundle)),
    };
    let preserve_fds = matches.get_one::<i64>(PRESERVE_FDS.0.long).copied().unwrap_or(0);
    let preserve_fds = u32::try_from(preserve_fds)
        .map_err(|_| Failure::new(format!("--preserve-fds {preserve_fds} is too large")))?;
    let options = ExplainOptions {
        id: &id,
        bundle,
        no_pivot: matches.get_flag(NO_PIVOT.0.long),
        no_new_keyring: matches.get_flag(NO_NEW_KEYRING.0.long),
        preserve_fds,
        cgroup_driver: cgroup_driver(&session.global, session.env),
        rootless: session.global.value(&ROOTLESS).and_then(parse_bool),
    };
    let explanation = explain_create(&Store::at(&session.root.path), &options)?;
    for warning in &explanation.warnings {
        session.log.warning(warning);
    }
    let document = Document { id: &id, bundle, explanation: &explanation };
    match matches.get_flag("json") {
        true => output::print(&json_text(&document)?),
        false => output::print(&text::render(&document, Style::of_stdout())),
    }
}

fn json_text(document: &Document<'_>) -> Result<String> {
    let text = serde_json::to_string_pretty(document);
    text.map(|text| text + "\n").map_err(|error| Failure::new(format!("write JSON: {error}")))
}

/// The name of the bundle's directory, where that can be the name of a container.
fn id_of(bundle: &Path) -> String {
    let name = bundle.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
    name.filter(|name| masu_spec::check_container_id(name).is_ok()).unwrap_or_else(|| DEFAULT_ID.into())
}
