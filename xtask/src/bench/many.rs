//! Whether a cost grows: with the containers that there are, and with the host's mounts.

use super::blocks::{self, BLOCK, Turn};
use super::contender::{Contender, Live};
use super::figures::{Row, Value};
use super::run;
use super::section::{Field, Findings};
use super::variant::{PLAIN, WITHOUT_NETWORK};
use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::path::PathBuf;

const CONTAINERS: usize = 1000;
const LIST_ROUNDS: usize = 5;
const MOUNTS: usize = 200;

/// Created containers of every runtime, and what `list` and one more `run` take beside them. One runtime's at a time: those
/// of all together would be the machine's memory that is measured.
pub(super) fn containers(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let (mut list, mut added) = (Vec::new(), Vec::new());
    for contender in field.contenders.iter().filter(|contender| contender.is_runtime()) {
        // Beside the first one's containers the floor too: what more it takes, the kernel does.
        let floor = field.contenders.iter().find(|other| !other.is_runtime()).filter(|_| added.is_empty());
        let runs = || -> Result<Vec<_>> {
            let measured = std::iter::once(contender).chain(floor);
            measured.map(|each| Ok((each.name, run::median_run(each, &run::plain(each)?)?))).collect()
        };
        let alone = runs()?;
        let created = create_many(contender);
        let created = match created {
            Ok(created) => created,
            Err(error) => {
                findings.notes.push(format!("{}: no {CONTAINERS} containers: {error:#}", contender.name));
                continue;
            }
        };
        let turns = vec![Turn { contender, what: 0 }];
        let samples = blocks::hot(turns, 1, LIST_ROUNDS * BLOCK / 4, |_| {
            contender.time(&mut contender.command(&["list"])?)
        })?;
        list.extend(samples.row("", 0, |time| *time).values);
        for ((name, alone), (_, beside)) in alone.into_iter().zip(runs()?) {
            added.push(Value::exact(name, (beside.as_secs_f64() - alone.as_secs_f64()) * 1e3));
        }
        drop(created);
    }
    Ok(vec![
        Row::new("list of 1,000 containers, hot", "ms", list),
        Row::new("run, added by 1,000 containers", "ms", added),
    ])
}

/// Without a network namespace each: a thousand of those take the kernel minutes to remove.
fn create_many(contender: &Contender) -> Result<Vec<Live<'_>>> {
    let create = |number| {
        let bundle =
            contender.bundle(&format!("many-{number}"), &["/true", "wait"], WITHOUT_NETWORK.change)?;
        contender.live(&bundle, false)
    };
    (0..CONTAINERS).map(create).collect()
}

/// `run` on a host with many mounts, in turns with the same one without: the mounts come and go.
pub(super) fn host_mounts(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let mut with = Vec::new();
    let mut added = Vec::new();
    for contender in &field.contenders {
        let bundle = contender.bundle("plain", &["/true"], PLAIN.change)?;
        let before = run::median_run(contender, &bundle)?;
        let mounts = Mounts::make(&field.scratch.path)?;
        let turns = vec![Turn { contender, what: 0 }];
        let samples =
            blocks::hot(turns, 3, BLOCK, |turn| turn.contender.time(&mut turn.contender.run(&bundle)?))?;
        mounts.remove()?;
        let after = run::median_run(contender, &bundle)?;
        let value = samples.row("", 0, |time| *time).values.into_iter().next().context("no sample")?;
        let alone = (before + after).as_secs_f64() / 2.0 * 1e3;
        added.push(Value::exact(contender.name, value.value - alone));
        with.push(value);
    }
    Ok(vec![
        Row::new("run, 200 host mounts", "ms", with),
        Row::new("run, added by 200 host mounts", "ms", added),
    ])
}

/// Binds of an empty directory, in the benchmark's own mount namespace.
#[derive(Debug)]
struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn make(scratch: &std::path::Path) -> Result<Self> {
        let mut made = Self(Vec::new());
        for number in 0..MOUNTS {
            let place = scratch.join(format!("mounts/{number}"));
            std::fs::create_dir_all(&place).with_context(|| format!("create {}", place.display()))?;
            mount_bind(&place, &place).with_context(|| format!("bind {}", place.display()))?;
            made.0.push(place);
        }
        Ok(made)
    }

    fn remove(mut self) -> Result<()> {
        while let Some(place) = self.0.pop() {
            unmount(&place, UnmountFlags::DETACH).with_context(|| format!("unmount {}", place.display()))?;
        }
        Ok(())
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        // An error is on its way already, and the mounts end with our namespace.
        self.0.iter().for_each(|place| unmount(place, UnmountFlags::DETACH).unwrap_or(()));
    }
}
