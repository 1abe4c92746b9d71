//! Whether a cost grows: with the containers that there are, and with the host's mounts.

use super::blocks::{self, BLOCK, Turn};
use super::contender::{Contender, Live};
use super::figures::{Row, Value};
use super::run;
use super::section::{Field, Findings};
use super::variant::WITHOUT_NETWORK;
use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::path::PathBuf;

const CONTAINERS: usize = 1000;
const LIST_ROUNDS: usize = 5;
const MOUNTS: usize = 200;
/// Blocks of each, with and without.
const ROUNDS: usize = 5;

/// Created containers of every runtime, and what `list` and one more `run` take beside them. One runtime's at a time: those
/// of all together would be the machine's memory that is measured.
pub(super) fn containers(field: &Field, findings: &mut Findings) -> Result<Vec<Row>> {
    let (mut list, mut added) = (Vec::new(), Vec::new());
    for contender in field.contenders.iter().filter(|contender| contender.is_runtime()) {
        // Beside the first one's containers the floor too: what more it takes, the kernel does.
        let floor = field.contenders.iter().find(|other| !other.is_runtime()).filter(|_| added.is_empty());
        let measured: Vec<_> = std::iter::once(contender).chain(floor).collect();
        let alone = runs(&measured)?;
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
        added.extend(added_to(&alone, &runs(&measured)?));
        drop(created);
    }
    Ok(vec![
        Row::new("list of 1,000 containers, hot", "ms", list),
        Row::new("run, added by 1,000 containers", "ms", added),
    ])
}

/// Default containers of these, in turns.
fn runs(contenders: &[&Contender]) -> Result<Row> {
    let turns = contenders.iter().map(|&contender| Turn { contender, what: 0 }).collect();
    let samples = blocks::hot(turns, ROUNDS, BLOCK, |turn| {
        turn.contender.time(&mut turn.contender.run(&run::plain(turn.contender)?)?)
    })?;
    Ok(samples.row("", 0, |time| *time))
}

/// How much more each takes than before.
fn added_to(before: &Row, after: &Row) -> Vec<Value> {
    after.values.iter().filter_map(|value| Some(value.added_to(before.of(&value.runtime)?))).collect()
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

/// `run` on a host with many mounts, and how much more that is than without.
pub(super) fn host_mounts(field: &Field, _: &mut Findings) -> Result<Vec<Row>> {
    let contenders: Vec<_> = field.contenders.iter().collect();
    let alone = runs(&contenders)?;
    let mounts = Mounts::make(&field.scratch.path)?;
    let beside = runs(&contenders)?;
    mounts.remove()?;
    let added = added_to(&alone, &beside);
    Ok(vec![
        Row::new("run, 200 host mounts", "ms", beside.values),
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
