//! `cargo xtask bench images`: from a registry to layers on disk, by masu and by what people use for it, in one run.
//!
//! The registry is Debian's, on loopback: what is measured is the client. Every program begins with an empty store on a new
//! file system ([`disk`]), in rotating order, with what came before written back. All of it in a mount namespace.

mod contender;
mod disk;
mod memory;
mod registry;
mod report;

use super::content::{self, Content};
use super::figures::{Figures, Row, Value};
use super::{machine, namespace, noise};
use crate::setup::{self, Consent};
use crate::{build, project};
use anyhow::Result;
use contender::{CONTENDERS, Contender, World};
use registry::Registry;
use std::process::Command;
use std::time::Duration;

/// How often each contender pulls each image.
const ROUNDS: usize = 3;

/// Measures, and writes what came out.
pub(super) fn run() -> Result<()> {
    setup::debian_packages(&[setup::Need::Tests, setup::Need::Engines], Consent::new(false))?;
    let masu = build::companion()?;
    namespace::enter_private()?;
    let content = Content::open()?;
    let noise = noise::look_before()?.into_iter().collect();
    let world = World::create(masu, &content)?;
    let registry = Registry::start(&world.folder)?;
    for name in content::IMAGES {
        registry.fill(&content.layout, name)?;
    }
    let mut rows = Vec::new();
    for name in [content::DEBIAN, content::LARGE] {
        rows.push(time(&world, &registry, name, None)?);
        eprintln!("measuring: {name}: memory");
        let mut peaks = Vec::new();
        for contender in CONTENDERS {
            world.clean()?;
            let peak = memory::peak(|| world.run(contender, &registry, name))?;
            peaks.push(Value::exact(contender.name(), peak as f64 / 1024.0));
        }
        rows.push(Row::new(&format!("{name}: peak memory"), "MB", peaks));
    }
    rows.push(time(&world, &registry, content::SIBLING, Some(content::LARGE))?);
    let versions = versions()?;
    registry.stop()?;
    world.remove()?;
    let figures = Figures { machine: machine::describe()?, versions, noise, notes: Vec::new(), rows };
    print!("{}", report::table(&figures));
    report::write(&figures, &content)
}

/// How long each contender takes for an image, in a store that has nothing, or `before`.
fn time(world: &World, registry: &Registry, name: &str, before: Option<&str>) -> Result<Row> {
    let mut times = CONTENDERS.map(|contender| (contender, Vec::new()));
    for round in 0..ROUNDS {
        eprintln!("measuring: {name}: round {} of {ROUNDS}", round + 1);
        let first = round % times.len();
        times.rotate_left(first);
        for (contender, taken) in &mut times {
            taken.push(once(world, registry, *contender, name, before)?);
        }
        times.rotate_right(first);
    }
    let label = match before {
        Some(_) => format!("{name}: time"),
        None => format!("{name}: time, empty store"),
    };
    let values = times.map(|(contender, taken)| Value::of_times(contender.name(), taken));
    Ok(Row::new(&label, "ms", values.into()))
}

fn once(
    world: &World,
    registry: &Registry,
    contender: Contender,
    name: &str,
    before: Option<&str>,
) -> Result<Duration> {
    world.clean()?;
    if let Some(before) = before {
        world.run(contender, registry, before)?;
        world.settle()?;
    }
    let start = std::time::Instant::now();
    world.run(contender, registry, name)?;
    Ok(start.elapsed())
}

fn versions() -> Result<Vec<String>> {
    // The companion is of one version with everything here, and says none itself.
    let mut versions = vec![concat!("masu ", env!("CARGO_PKG_VERSION")).to_owned()];
    for program in ["podman", "skopeo", "umoci"] {
        let text = project::output(Command::new(program).arg("--version"))?;
        versions.push(text.lines().next().unwrap_or_default().to_owned());
    }
    Ok(versions)
}
