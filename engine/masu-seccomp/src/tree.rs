//! From verdicts to instructions: a decision tree over the numbers, and below it comparisons of arguments.
//!
//! Jumps lead forward alone, and comparisons 255 instructions far. So the program is written from its end to its
//! beginning: whatever a jump leads to is there already, and what is too far away can be had nearer, by one more return
//! or jump. One return serves all ranges around it.

use alloc::vec::Vec;

use masu_spec::{Action, Condition, Operator};

use crate::{
    program::{
        AND, ARCHITECTURE, EQUAL, GREATER, GREATER_OR_EQUAL, Instruction, JUMP, LOAD, NUMBER, RETURN,
        returned,
    },
    verdicts::{Check, Group, Numbers, Verdict},
};

/// The whole program.
pub(crate) fn emit(groups: &[Group]) -> Vec<Instruction> {
    let mut code = Code::default();
    let mut next = code.put(RETURN, returned(Action::KillThread));
    for group in groups.iter().rev() {
        let entry = code.group(group);
        next = code.branch(EQUAL, group.audit, entry, next);
    }
    code.put(LOAD, ARCHITECTURE);
    code.backwards.reverse();
    code.backwards
}

/// An instruction, by how many follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(usize);

#[derive(Debug, Default)]
struct Code {
    /// The last instruction first.
    backwards: Vec<Instruction>,
    /// Where the last return of a value is, or the last jump to a check.
    leaves: Vec<(Verdict, Place)>,
    /// The checks of the group.
    checks: Vec<Place>,
}

/// A comparison reaches 255 instructions far; of its two ways the second may need one more instruction between.
const REACH: usize = 254;

/// So many numbers are told from those around them one by one: below a node, as fast as by halves, and with half of the
/// instructions.
const SINGLES: usize = 3;

impl Code {
    fn put(&mut self, code: u16, k: u32) -> Place {
        self.backwards.push(Instruction::new(code, k));
        Place(self.backwards.len() - 1)
    }

    /// How many instructions the next one has to skip to get there.
    fn distance(&self, to: Place) -> usize {
        self.backwards.len() - 1 - to.0
    }

    /// The place itself, or a jump to it, so that a comparison reaches it.
    fn near(&mut self, to: Place) -> Place {
        match self.distance(to) {
            ..REACH => to,
            far => self.put(JUMP, u32::try_from(far).unwrap_or(u32::MAX)),
        }
    }

    /// A comparison of what was loaded, and where it leads to.
    fn branch(&mut self, code: u16, k: u32, holds: Place, otherwise: Place) -> Place {
        let (holds, otherwise) = (self.near(holds), self.near(otherwise));
        let distance = |place| u8::try_from(self.distance(place)).unwrap_or(u8::MAX);
        self.backwards.push(Instruction::branch(code, k, distance(holds), distance(otherwise)));
        Place(self.backwards.len() - 1)
    }

    fn group(&mut self, group: &Group) -> Place {
        self.leaves.retain(|(verdict, _)| matches!(verdict, Verdict::Return(_)));
        self.checks.clear();
        for check in &group.checks {
            let place = self.check(check, group);
            self.checks.push(place);
        }
        let leaves = leaves(&group.ranges);
        let root = self.tree(&leaves);
        // One verdict for all numbers needs none, and may be there already, far from here.
        if self.distance(root) > 0 { root } else { self.put(LOAD, NUMBER) }
    }

    /// A return or a check, near enough for a comparison.
    fn verdict(&mut self, verdict: Verdict) -> Place {
        let known = self.leaves.iter().position(|(known, _)| *known == verdict);
        let near = known.and_then(|known| self.leaves.get(known)).map(|(_, place)| *place);
        if let Some(place) = near.filter(|place| self.distance(*place) < REACH) {
            return place;
        }
        let place = match verdict {
            Verdict::Return(value) => self.put(RETURN, value),
            Verdict::Check(index) => match self.checks.get(index) {
                Some(check) => self.near(*check),
                None => self.put(RETURN, returned(Action::KillThread)),
            },
        };
        match known.and_then(|known| self.leaves.get_mut(known)) {
            Some(leaf) => leaf.1 = place,
            None => self.leaves.push((verdict, place)),
        }
        place
    }

    /// The halves of `leaves` below each other.
    fn tree(&mut self, leaves: &[Leaf<'_>]) -> Place {
        let (left, right) = leaves.split_at(leaves.len() / 2);
        match (left, right) {
            (_, []) => self.verdict(Verdict::Return(returned(Action::KillThread))),
            ([], [leaf, ..]) => self.leaf(leaf),
            (_, [middle, ..]) => {
                let above = self.tree(right);
                let below = self.tree(left);
                self.branch(GREATER_OR_EQUAL, middle.first, above, below)
            }
        }
    }

    fn leaf(&mut self, leaf: &Leaf<'_>) -> Place {
        let mut place = self.verdict(leaf.usual);
        for single in leaf.ranges.iter().rev().filter(|range| range.verdict != leaf.usual) {
            let verdict = self.verdict(single.verdict);
            place = self.branch(EQUAL, single.first, verdict, place);
        }
        place
    }

    /// The alternatives one after the other. Each has at most six conditions of five instructions.
    fn check(&mut self, check: &Check, group: &Group) -> Place {
        let mut next = self.verdict(Verdict::Return(check.otherwise));
        for alternative in check.alternatives.iter().rev() {
            let mut place = self.verdict(Verdict::Return(alternative.returned));
            for condition in alternative.conditions.iter().rev() {
                place = self.condition(condition, group, place, next);
            }
            next = place;
        }
        next
    }

    /// One comparison of an argument: of its lower half, if the upper one does not decide.
    fn condition(&mut self, condition: &Condition, group: &Group, holds: Place, fails: Place) -> Place {
        let Condition { index, operator, value } = *condition;
        let argument = 16 + 8 * u32::from(index);
        let (upper, lower) =
            if group.big_endian { (argument, argument + 4) } else { (argument + 4, argument) };
        let (high, low) = halves(value);
        if let Operator::MaskedEqual(mask) = operator {
            let (mask_high, mask_low) = halves(mask);
            self.branch(EQUAL, low, holds, fails);
            self.put(AND, mask_low);
            let place = self.put(LOAD, lower);
            if !group.wide || (mask_high, high) == (0, 0) {
                return place;
            }
            self.branch(EQUAL, high, place, fails);
            self.put(AND, mask_high);
            return self.put(LOAD, upper);
        }
        match operator {
            Operator::Equal | Operator::MaskedEqual(_) => self.branch(EQUAL, low, holds, fails),
            Operator::NotEqual => self.branch(EQUAL, low, fails, holds),
            Operator::Greater => self.branch(GREATER, low, holds, fails),
            Operator::GreaterOrEqual => self.branch(GREATER_OR_EQUAL, low, holds, fails),
            Operator::Less => self.branch(GREATER_OR_EQUAL, low, fails, holds),
            Operator::LessOrEqual => self.branch(GREATER, low, fails, holds),
        };
        let place = self.put(LOAD, lower);
        if !group.wide {
            return place;
        }
        match operator {
            Operator::Equal | Operator::MaskedEqual(_) => self.branch(EQUAL, high, place, fails),
            Operator::NotEqual => self.branch(EQUAL, high, place, holds),
            Operator::Greater | Operator::GreaterOrEqual => {
                let place = self.branch(EQUAL, high, place, fails);
                self.branch(GREATER, high, holds, place)
            }
            Operator::Less | Operator::LessOrEqual => {
                let place = self.branch(EQUAL, high, place, holds);
                self.branch(GREATER, high, fails, place)
            }
        };
        self.put(LOAD, upper)
    }
}

/// Neighbouring ranges of one verdict, but for a few single numbers among them.
#[derive(Debug)]
struct Leaf<'a> {
    /// Its lowest number.
    first: u32,
    usual: Verdict,
    ranges: &'a [Numbers],
}

/// Cuts the ranges into leaves, each as long as it can be.
fn leaves(mut ranges: &[Numbers]) -> Vec<Leaf<'_>> {
    let mut leaves = Vec::new();
    while let [Numbers { first, verdict }, ..] = *ranges {
        // That of the first, or, if that is a single one itself, of the second.
        let second = ranges.get(1).map_or(verdict, |second| second.verdict);
        let (usual, length) = match (length(ranges, verdict), length(ranges, second)) {
            (first, second) if first >= second => (verdict, first),
            (_, length) => (second, length),
        };
        let (leaf, rest) = ranges.split_at(length);
        leaves.push(Leaf { first, usual, ranges: leaf });
        ranges = rest;
    }
    leaves
}

/// How many of the ranges a leaf with this verdict may have.
fn length(ranges: &[Numbers], usual: Verdict) -> usize {
    let ends = ranges.iter().skip(1).map(|next| next.first).chain([u32::MAX]);
    let mut singles = 0;
    let fitting = ranges.iter().zip(ends).take_while(|(range, end)| {
        let is_usual = range.verdict == usual;
        singles += usize::from(!is_usual);
        is_usual || (end - range.first == 1 && singles <= SINGLES)
    });
    fitting.count()
}

fn halves(value: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let low = value as u32;
    ((value >> 32) as u32, low)
}
