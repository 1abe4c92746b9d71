//! Taking turns. Machines differ from minute to minute, so what is compared is measured in rotating blocks: each begins
//! with one that is thrown away, for one-by-one interleaving would carry the neighbour's RCU state over, and flatter
//! whoever is faster.

use super::contender::Contender;
use super::figures::{Row, Value};
use super::noise;
use anyhow::{Context, Result};
use std::time::Duration;

pub(super) const BLOCK: usize = 20;

/// What is measured: a contender, and one of several things that it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) contender: &'a Contender,
    /// Which of the things.
    pub(super) what: usize,
}

/// Samples of each turn, block by block.
#[derive(Debug)]
pub(super) struct Samples<'a, T> {
    turns: Vec<Turn<'a>>,
    blocks: Vec<Vec<Vec<T>>>,
}

impl<'a, T> Samples<'a, T> {
    fn new(turns: Vec<Turn<'a>>) -> Self {
        let blocks = turns.iter().map(|_| Vec::new()).collect();
        Self { turns, blocks }
    }

    /// Each turn's blocks.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Turn<'a>, &[Vec<T>])> {
        self.turns.iter().copied().zip(self.blocks.iter().map(Vec::as_slice))
    }

    /// A row of one of the things, from a time of each sample.
    pub(super) fn row(&self, name: &str, what: usize, time: impl Fn(&T) -> Duration) -> Row {
        let values = self.iter().filter(|(turn, blocks)| turn.what == what && !blocks.is_empty());
        let values = values.map(|(turn, blocks)| {
            let blocks: Vec<Vec<_>> = blocks.iter().map(|block| block.iter().map(&time).collect()).collect();
            Value::of_blocks(turn.contender.name, &blocks)
        });
        Row::new(name, "ms", values.collect())
    }
}

/// All contenders for which `knows` holds, with one thing to do.
pub(super) fn turns(contenders: &[Contender], knows: impl Fn(&Contender) -> bool) -> Vec<Turn<'_>> {
    contenders
        .iter()
        .filter(|contender| knows(contender))
        .map(|contender| Turn { contender, what: 0 })
        .collect()
}

/// Hot: `rounds` blocks of each turn, another one first each time, and the first of each block left out.
pub(super) fn hot<'a, T>(
    turns: Vec<Turn<'a>>,
    rounds: usize,
    size: usize,
    mut sample: impl FnMut(Turn<'a>) -> Result<T>,
) -> Result<Samples<'a, T>> {
    let mut samples = Samples::new(turns);
    let count = samples.turns.len();
    for round in 0..rounds {
        for index in (0..count).map(|index| (index + round) % count) {
            let (Some(&turn), Some(blocks)) = (samples.turns.get(index), samples.blocks.get_mut(index))
            else {
                continue;
            };
            let mut block = Vec::new();
            for _ in 0..size {
                block.push(sample(turn).with_context(|| format!("measure {}", turn.contender.name))?);
            }
            if size > 1 {
                block.remove(0);
            }
            blocks.push(block);
        }
    }
    Ok(samples)
}

/// Cold: single samples, `count` of each turn, each after a rest in which nobody else worked. Those whose rest was
/// disturbed are measured again, as long as that is any use.
pub(super) fn cold<'a, T>(
    turns: Vec<Turn<'a>>,
    count: usize,
    noise: &mut Vec<String>,
    what: &str,
    mut sample: impl FnMut(Turn<'a>) -> Result<(T, bool)>,
) -> Result<Samples<'a, T>> {
    let mut samples = Samples::new(turns);
    let number = samples.turns.len();
    let mut disturbed = 0;
    for round in 0..count {
        for index in (0..number).map(|index| (index + round) % number) {
            let (Some(&turn), Some(blocks)) = (samples.turns.get(index), samples.blocks.get_mut(index))
            else {
                continue;
            };
            let measured = loop {
                let (measured, calm) =
                    sample(turn).with_context(|| format!("measure {}", turn.contender.name))?;
                disturbed += usize::from(!calm);
                // On a machine that is never quiet all are disturbed: then that is said, and what there is, kept.
                if calm || disturbed > count * number / 2 {
                    break measured;
                }
            };
            blocks.push(vec![measured]);
        }
    }
    if disturbed > count * number / 2 {
        noise.push(format!(
            "{what}: the machine had work in {disturbed} of the rests before its {} samples",
            count * number
        ));
    }
    Ok(samples)
}

/// A rest, and then what a command takes; whether the rest was undisturbed.
pub(super) fn after_rest<T>(sample: impl FnOnce() -> Result<T>) -> Result<(T, bool)> {
    let calm = noise::rest()?;
    Ok((sample()?, calm))
}
