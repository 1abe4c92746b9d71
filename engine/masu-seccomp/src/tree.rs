//! From verdicts to instructions: a decision tree over the numbers, and below it comparisons of arguments.

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
    code.push(LOAD, ARCHITECTURE);
    for group in groups {
        code.branch(EQUAL, group.audit, 1, 0);
        let next = code.hole();
        code.group(group);
        code.fill(next);
    }
    code.push(RETURN, returned(Action::KillThread));
    code.instructions
}

#[derive(Debug, Default)]
struct Code {
    instructions: Vec<Instruction>,
}

/// The place of a jump whose target is not known yet.
#[derive(Debug, Clone, Copy)]
struct Hole(usize);

/// Which side of a comparison leaves the conditions: it is patched when their end is known.
#[derive(Debug, Clone, Copy)]
enum Exit {
    True(Hole),
    False(Hole),
}

impl Code {
    fn push(&mut self, code: u16, k: u32) {
        self.instructions.push(Instruction::new(code, k));
    }

    fn branch(&mut self, code: u16, k: u32, jt: u8, jf: u8) {
        self.instructions.push(Instruction::branch(code, k, jt, jf));
    }

    /// A jump to be filled.
    fn hole(&mut self) -> Hole {
        self.push(JUMP, 0);
        Hole(self.instructions.len() - 1)
    }

    /// How many instructions lie between a jump and this place.
    fn distance(&self, from: Hole) -> usize {
        self.instructions.len() - from.0 - 1
    }

    /// Makes the jump lead here.
    fn fill(&mut self, hole: Hole) {
        let distance = u32::try_from(self.distance(hole)).unwrap_or(u32::MAX);
        if let Some(jump) = self.instructions.get_mut(hole.0) {
            jump.k = distance;
        }
    }

    fn group(&mut self, group: &Group) {
        self.push(LOAD, NUMBER);
        let mut checks = Vec::new();
        self.tree(&group.ranges, &mut checks);
        for (index, check) in group.checks.iter().enumerate() {
            for (_, hole) in checks.iter().filter(|(wanted, _)| *wanted == index) {
                self.fill(*hole);
            }
            self.check(check, group);
        }
    }

    /// The halves of `ranges` below each other; `checks` collects the jumps to comparisons.
    fn tree(&mut self, ranges: &[Numbers], checks: &mut Vec<(usize, Hole)>) {
        let (left, right) = ranges.split_at(ranges.len() / 2);
        match (left, right) {
            (_, []) => {}
            ([], [leaf, ..]) => match leaf.verdict {
                Verdict::Return(value) => self.push(RETURN, value),
                Verdict::Check(index) => {
                    let hole = self.hole();
                    checks.push((index, hole));
                }
            },
            (_, [middle, ..]) => {
                // A comparison reaches 255 instructions far. How long the left half becomes is known only behind
                // it: where it is too long, a jump is put between.
                let near = left.len() <= NEAR;
                let comparison = Hole(self.instructions.len());
                self.branch(GREATER_OR_EQUAL, middle.first, 0, u8::from(!near));
                let far = (!near).then(|| self.hole());
                self.tree(left, checks);
                match far {
                    Some(far) => self.fill(far),
                    None => self.reach(comparison),
                }
                self.tree(right, checks);
            }
        }
    }

    /// Makes a near comparison lead here when it holds.
    fn reach(&mut self, comparison: Hole) {
        let distance = u8::try_from(self.distance(comparison)).unwrap_or(u8::MAX);
        if let Some(branch) = self.instructions.get_mut(comparison.0) {
            branch.jt = distance;
        }
    }

    fn check(&mut self, check: &Check, group: &Group) {
        for alternative in &check.alternatives {
            let mut exits = Vec::new();
            for condition in &alternative.conditions {
                self.condition(condition, group, &mut exits);
            }
            self.push(RETURN, alternative.returned);
            self.leave(&exits);
        }
        self.push(RETURN, check.otherwise);
    }

    /// Patches the exits to lead here. A condition has five instructions, and there are at most six in a row.
    fn leave(&mut self, exits: &[Exit]) {
        for exit in exits {
            let (Exit::True(place) | Exit::False(place)) = *exit;
            let distance = u8::try_from(self.distance(place)).unwrap_or(u8::MAX);
            match (exit, self.instructions.get_mut(place.0)) {
                (Exit::True(_), Some(branch)) => branch.jt = distance,
                (Exit::False(_), Some(branch)) => branch.jf = distance,
                (_, None) => {}
            }
        }
    }

    /// One comparison: goes on below when it holds, and takes an exit otherwise.
    fn condition(&mut self, condition: &Condition, group: &Group, exits: &mut Vec<Exit>) {
        let Condition { index, operator, value } = *condition;
        let argument = 16 + 8 * u32::from(index);
        let (upper, lower) =
            if group.big_endian { (argument, argument + 4) } else { (argument + 4, argument) };
        let (high, low) = halves(value);
        let low_code = match operator {
            Operator::Equal | Operator::NotEqual | Operator::MaskedEqual(_) => EQUAL,
            Operator::Greater | Operator::LessOrEqual => GREATER,
            Operator::GreaterOrEqual | Operator::Less => GREATER_OR_EQUAL,
        };
        if let Operator::MaskedEqual(mask) = operator {
            let (mask_high, mask_low) = halves(mask);
            if group.wide && (mask_high, high) != (0, 0) {
                self.push(LOAD, upper);
                self.push(AND, mask_high);
                self.exit_unless(EQUAL, high, exits);
            }
            self.push(LOAD, lower);
            self.push(AND, mask_low);
            return self.exit_unless(EQUAL, low, exits);
        }
        let holds_when_true =
            matches!(operator, Operator::Equal | Operator::Greater | Operator::GreaterOrEqual);
        if group.wide {
            self.push(LOAD, upper);
            match operator {
                Operator::Equal => self.exit_unless(EQUAL, high, exits),
                // Over the two instructions of the lower half.
                Operator::NotEqual => self.branch(EQUAL, high, 0, 2),
                Operator::Greater | Operator::GreaterOrEqual => {
                    self.branch(GREATER, high, 3, 0);
                    self.exit_unless(EQUAL, high, exits);
                }
                Operator::Less | Operator::LessOrEqual => {
                    self.exit_if(GREATER, high, exits);
                    self.branch(EQUAL, high, 0, 2);
                }
                Operator::MaskedEqual(_) => {}
            }
        }
        self.push(LOAD, lower);
        if holds_when_true {
            self.exit_unless(low_code, low, exits)
        } else {
            self.exit_if(low_code, low, exits)
        }
    }

    fn exit_unless(&mut self, code: u16, k: u32, exits: &mut Vec<Exit>) {
        exits.push(Exit::False(Hole(self.instructions.len())));
        self.branch(code, k, 0, 0);
    }

    fn exit_if(&mut self, code: u16, k: u32, exits: &mut Vec<Exit>) {
        exits.push(Exit::True(Hole(self.instructions.len())));
        self.branch(code, k, 0, 0);
    }
}

/// So many ranges need at most 255 instructions: a leaf and a comparison each, and no jump between.
const NEAR: usize = 127;

fn halves(value: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    let low = value as u32;
    ((value >> 32) as u32, low)
}
