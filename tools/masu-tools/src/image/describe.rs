//! `masu image inspect` and `masu image history`: what an image is, and how it came to be.

use clap::{ArgMatches, Command};
use masu_app::Result;
use masu_image::manifest::RunConfig;
use serde_json::json;

use super::arguments::{self, Format};
use super::choose::{self, Opened};
use super::table;
use crate::{Session, output};

/// The options of `inspect`.
pub(super) fn inspect_command() -> Command {
    Command::new("inspect").about("Show what an image is").arg(arguments::image()).args(arguments::common())
}

/// The options of `history`.
pub(super) fn history_command() -> Command {
    Command::new("history")
        .about("Show how each layer of an image came to be, the topmost first")
        .arg(arguments::image())
        .args(arguments::common())
}

fn open(matches: &ArgMatches) -> Result<Opened> {
    let store = arguments::store(matches)?;
    let given = matches.get_one::<String>("image").map(String::as_str).unwrap_or_default();
    Opened::read(&store, choose::image(&store, given)?)
}

/// Shows an image.
pub(super) fn inspect(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let opened = open(matches)?;
    let Opened { image, manifest, config } = &opened;
    match arguments::format(matches) {
        Format::Json => arguments::print_json(&json!({
            "name": image.name,
            "digest": image.descriptor.digest,
            "platform": image.descriptor.platform,
            "size": opened.size(),
            "manifest": manifest,
            "config": config,
        })),
        Format::Quiet => output::print(&format!("{}\n", image.descriptor.digest)),
        Format::Table => output::print(&table::render(&facts(&opened))),
    }
}

/// Lines of a name and a value; what an image does not have is left out.
fn facts(opened: &Opened) -> Vec<Vec<String>> {
    let Opened { image, manifest, config } = opened;
    let none = RunConfig::default();
    let run = config.config.as_ref().unwrap_or(&none);
    let words = |words: &Option<Vec<String>>| words.as_ref().map(|words| format!("{words:?}"));
    let keys = |map: Option<Vec<String>>| map.filter(|keys| !keys.is_empty()).map(|keys| keys.join(", "));
    let mut facts = vec![
        ("name", Some(image.name.clone())),
        ("digest", Some(image.descriptor.digest.to_string())),
        ("configuration", Some(manifest.config.digest.to_string())),
        ("platform", image.descriptor.platform.as_ref().map(ToString::to_string)),
        ("created", config.created.clone()),
        ("author", config.author.clone()),
        ("size", Some(table::size(opened.size()))),
        ("user", run.user.clone().filter(|user| !user.is_empty())),
        ("entrypoint", words(&run.entrypoint)),
        ("command", words(&run.cmd)),
        ("directory", run.working_dir.clone().filter(|directory| !directory.is_empty())),
        ("stop signal", run.stop_signal.clone()),
        ("ports", keys(run.exposed_ports.as_ref().map(|ports| ports.keys().cloned().collect()))),
        ("volumes", keys(run.volumes.as_ref().map(|volumes| volumes.keys().cloned().collect()))),
    ];
    facts.extend(run.env.iter().flatten().map(|entry| ("environment", Some(entry.clone()))));
    facts.extend(run.labels.iter().flatten().map(|(name, value)| ("label", Some(format!("{name}={value}")))));
    let layers = manifest.layers.iter();
    facts
        .extend(layers.map(|layer| ("layer", Some(format!("{} {}", layer.digest, table::size(layer.size))))));
    let given = facts.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), visible(&value?)]));
    given.collect()
}

/// Shows how an image came to be.
pub(super) fn history(_: &Session<'_>, matches: &ArgMatches) -> Result<()> {
    let opened = open(matches)?;
    let history = opened.config.history.unwrap_or_default();
    let mut layers = opened.manifest.layers.iter();
    let mut steps: Vec<_> = history
        .into_iter()
        .map(|step| {
            let layer = if step.empty_layer { None } else { layers.next() };
            (step, layer)
        })
        .collect();
    steps.reverse();
    match arguments::format(matches) {
        Format::Json => {
            let told = steps.iter().map(|(step, layer)| {
                json!({
                    "created": step.created,
                    "created_by": step.created_by,
                    "comment": step.comment,
                    "layer": layer.map(|layer| &layer.digest),
                    "size": layer.map_or(0, |layer| layer.size),
                })
            });
            arguments::print_json(&told.collect::<Vec<_>>())
        }
        Format::Quiet => {
            let layers = steps.iter().filter_map(|(_, layer)| Some(format!("{}\n", layer.as_ref()?.digest)));
            output::print(&layers.collect::<String>())
        }
        Format::Table => {
            let mut lines = vec![["CREATED", "SIZE", "CREATED BY"].map(ToOwned::to_owned).to_vec()];
            lines.extend(steps.iter().map(|(step, layer)| {
                let size = table::size(layer.map_or(0, |layer| layer.size));
                let by = step.created_by.as_deref().or(step.comment.as_deref()).unwrap_or_default();
                vec![table::time(step.created.as_deref()), size, visible(by)]
            }));
            output::print(&table::render(&lines))
        }
    }
}

/// A stranger's words, for a terminal: without control characters.
fn visible(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
