//! What becomes of each system call number: the profile, turned round.

use alloc::vec::Vec;

use masu_spec::{Action, Architecture, Condition, Seccomp};

use crate::{
    abi::{Abi, X32_BIT},
    program::returned,
};

/// All calls of one architecture, as the kernel tells them apart.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) audit: u32,
    pub(crate) wide: bool,
    pub(crate) big_endian: bool,
    /// From 0, without gaps and with no two equal neighbours.
    pub(crate) ranges: Vec<Range>,
    /// What the verdicts refer to.
    pub(crate) checks: Vec<Check>,
}

/// Numbers from `first` up to the next range's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What the filter returns.
    Return(u32),
    /// It depends on the arguments: an index of the group's checks.
    Check(usize),
}

/// Conditions in the order in which they are tried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) alternatives: Vec<Alternative>,
    /// What the filter returns when none holds.
    pub(crate) otherwise: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alternative {
    /// All of them have to hold.
    pub(crate) conditions: Vec<Condition>,
    pub(crate) returned: u32,
}

/// Turns the profile round for the architectures of `abis`.
pub(crate) fn collect(profile: &Seccomp<'_>, abis: &[Abi]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for abi in abis {
        let mut group = match groups.pop_if(|group| group.audit == abi.audit) {
            Some(group) => group,
            None => Group {
                audit: abi.audit,
                wide: abi.wide,
                big_endian: abi.big_endian,
                ranges: Vec::new(),
                checks: Vec::new(),
            },
        };
        fill(&mut group, profile, abi);
        if abi.architecture == Architecture::X86_64 {
            // Unless rules for x32 follow, its calls end their thread; -1 is no call of it, but what a tracer leaves
            // of a call that it suppresses.
            group.push(X32_BIT, Verdict::Return(returned(Action::KillThread)));
            group.push(u32::MAX, Verdict::Return(newer(profile.default_action)));
        }
        groups.push(group);
    }
    groups
}

/// Appends the ranges of one interface.
fn fill(group: &mut Group, profile: &Seccomp<'_>, abi: &Abi) {
    let known = abi.known();
    let default = Verdict::Return(returned(profile.default_action));
    let newer = Verdict::Return(newer(profile.default_action));
    let unnamed =
        |number: u32| if known.iter().any(|range| range.contains(&number)) { default } else { newer };
    let mut borders =
        known.iter().filter(|range| !range.is_empty()).flat_map(|range| [range.start, range.end]).peekable();
    group.ranges.retain(|range| range.first < abi.first());
    let mut rest = numbered(profile, abi).into_iter().peekable();
    while let Some((number, rule)) = rest.next() {
        let mut rules = alloc::vec![rule];
        while let Some((_, rule)) = rest.next_if(|(same, _)| *same == number) {
            rules.push(rule);
        }
        while let Some(border) = borders.next_if(|border| *border <= number) {
            group.push(border, unnamed(border));
        }
        let verdict = group.verdict(profile, &rules);
        group.push(number, verdict);
        group.push(number + 1, unnamed(number + 1));
    }
    for border in borders {
        group.push(border, unnamed(border));
    }
}

/// What a call gets that is newer than the profile: ENOSYS, so that the C library takes the older way, where it would
/// otherwise fail with an errno that says nothing of the kind (as runc does).
fn newer(default: Action) -> u32 {
    const ENOSYS: u16 = 38;
    match default {
        Action::Allow | Action::Log | Action::Trace(_) | Action::Notify => returned(default),
        Action::Errno(_) | Action::Trap | Action::KillThread | Action::KillProcess => {
            returned(Action::Errno(ENOSYS))
        }
    }
}

/// Each call that rules name, with the index of the rule, sorted.
fn numbered(profile: &Seccomp<'_>, abi: &Abi) -> Vec<(u32, usize)> {
    let rules = profile.rules.iter().enumerate();
    let mut numbered: Vec<_> = rules
        .filter(|(_, rule)| rule.action != profile.default_action)
        .flat_map(|(index, rule)| rule.names.iter().map(move |name| (name, index)))
        .filter_map(|(name, index)| abi.number(name).map(|number| (number, index)))
        .collect();
    numbered.sort_unstable();
    numbered
}

impl Group {
    /// Begins a range, unless the one before says the same.
    fn push(&mut self, first: u32, verdict: Verdict) {
        if let Some(last) = self.ranges.last_mut().filter(|last| last.first == first) {
            last.verdict = verdict;
        } else {
            self.ranges.push(Range { first, verdict });
        }
        if let [.., before, last] = self.ranges.as_slice()
            && before.verdict == last.verdict
        {
            self.ranges.pop();
        }
    }

    fn verdict(&mut self, profile: &Seccomp<'_>, rules: &[usize]) -> Verdict {
        let rules = || rules.iter().filter_map(|index| profile.rules.get(*index));
        if let Some(always) = rules().find(|rule| rule.conditions.is_empty()) {
            return Verdict::Return(returned(always.action));
        }
        let alternatives = rules()
            .flat_map(|rule| {
                let returned = returned(rule.action);
                split(&rule.conditions)
                    .into_iter()
                    .map(move |conditions| Alternative { conditions, returned })
            })
            .collect();
        let check = Check { alternatives, otherwise: returned(profile.default_action) };
        let known = self.checks.iter().position(|known| *known == check);
        Verdict::Check(known.unwrap_or_else(|| {
            self.checks.push(check);
            self.checks.len() - 1
        }))
    }
}

/// Several conditions for one argument are alternatives, as in runc: a profile says so that a flag has one of several
/// values. Otherwise all have to hold together.
fn split(conditions: &[Condition]) -> Vec<Vec<Condition>> {
    let repeated = conditions.iter().enumerate().any(|(position, condition)| {
        conditions.iter().take(position).any(|earlier| earlier.index == condition.index)
    });
    if repeated {
        conditions.iter().map(|condition| alloc::vec![*condition]).collect()
    } else {
        alloc::vec![conditions.to_vec()]
    }
}
