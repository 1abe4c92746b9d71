//! What becomes of each system call number: the profile, turned round.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use masu_spec::{Action, Architecture, Condition, Rule, Seccomp};

use crate::{
    abi::{Abi, X32_BIT},
    names::{self, Name},
    program::returned,
};

/// All calls of one architecture, as the kernel tells them apart.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) audit: u32,
    pub(crate) wide: bool,
    pub(crate) big_endian: bool,
    /// From 0, without gaps and with no two equal neighbours.
    pub(crate) ranges: Vec<Numbers>,
    /// What the verdicts refer to.
    pub(crate) checks: Vec<Check>,
}

/// Numbers from `first` up to the next range's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
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

/// Turns the profile round for the architectures of `abis`; and the names in it that no architecture has, sorted.
pub(crate) fn collect<'a>(profile: &'a Seccomp<'_>, abis: &'a [Abi]) -> (Vec<Group>, Vec<String>) {
    let mut all: Vec<_> = abis.iter().map(Calls::new).collect();
    let mut unknown = Vec::new();
    for (index, rule) in profile.rules.iter().enumerate() {
        for name in &rule.names {
            let name = Name::new(name);
            let mut is_known = false;
            for calls in &mut all {
                is_known |= calls.name(&name, index, profile);
            }
            if !is_known && !names::is_elsewhere(&name) {
                unknown.push(name.text.into());
            }
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    let mut groups: Vec<Group> = Vec::new();
    for calls in all {
        let abi = calls.abi;
        let mut group = groups.pop_if(|group| group.audit == abi.audit).unwrap_or_else(|| Group::new(abi));
        group.append(calls, profile);
        if abi.architecture == Architecture::X86_64 {
            // Unless rules for x32 follow, its calls end their thread; -1 is no call of it, but what a tracer leaves
            // of a call that it suppresses.
            group.push(X32_BIT, Verdict::Return(returned(Action::KillThread)));
            group.push(u32::MAX, Verdict::Return(newer(profile.default_action)));
        }
        groups.push(group);
    }
    (groups, unknown)
}

/// What the rules say about the calls of one interface.
#[derive(Debug)]
struct Calls<'a> {
    abi: &'a Abi,
    /// The known numbers, and for each the action of the first rule without conditions.
    always: [(Range<u32>, Vec<Option<Action>>); 2],
    /// Numbers with each rule that has conditions for them.
    sometimes: Vec<(u32, usize)>,
}

impl<'a> Calls<'a> {
    fn new(abi: &'a Abi) -> Self {
        let always = abi.known().map(|range| (range.clone(), alloc::vec![None; range.len()]));
        Self { abi, always, sometimes: Vec::new() }
    }

    /// Takes down that a rule names a call; whether there is such a call.
    fn name(&mut self, name: &Name<'_>, rule: usize, profile: &Seccomp<'_>) -> bool {
        let Some(number) = self.abi.number(name) else { return false };
        let Some(Rule { action, conditions, .. }) =
            profile.rules.get(rule).filter(|rule| rule.action != profile.default_action)
        else {
            return true;
        };
        if !conditions.is_empty() {
            self.sometimes.push((number, rule));
            return true;
        }
        for (range, always) in &mut self.always {
            let place = number.checked_sub(range.start).and_then(|place| usize::try_from(place).ok());
            if let Some(always) = place.and_then(|place| always.get_mut(place)) {
                always.get_or_insert(*action);
            }
        }
        true
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

impl Group {
    fn new(abi: &Abi) -> Self {
        let Abi { audit, wide, big_endian, .. } = *abi;
        Self { audit, wide, big_endian, ranges: Vec::new(), checks: Vec::new() }
    }

    /// Appends the ranges of one interface.
    fn append(&mut self, mut calls: Calls<'_>, profile: &Seccomp<'_>) {
        self.ranges.retain(|range| range.first < calls.abi.first());
        calls.sometimes.sort_unstable();
        let mut rest = calls.sometimes.as_slice();
        for (range, always) in &calls.always {
            for (number, always) in range.clone().zip(always) {
                let these = rest.iter().take_while(|(same, _)| *same == number).count();
                let (rules, later) = rest.split_at(these);
                rest = later;
                let verdict = match always {
                    Some(action) => Verdict::Return(returned(*action)),
                    None if rules.is_empty() => Verdict::Return(returned(profile.default_action)),
                    None => self.check(profile, rules),
                };
                self.push(number, verdict);
            }
            if !range.is_empty() {
                self.push(range.end, Verdict::Return(newer(profile.default_action)));
            }
        }
    }

    /// Begins a range, unless the one before says the same.
    fn push(&mut self, first: u32, verdict: Verdict) {
        if let Some(last) = self.ranges.last_mut().filter(|last| last.first == first) {
            last.verdict = verdict;
        } else {
            self.ranges.push(Numbers { first, verdict });
        }
        if let [.., before, last] = self.ranges.as_slice()
            && before.verdict == last.verdict
        {
            self.ranges.pop();
        }
    }

    /// The verdict of these rules, each with its call's number: it depends on the arguments.
    fn check(&mut self, profile: &Seccomp<'_>, rules: &[(u32, usize)]) -> Verdict {
        let rules = rules.iter().filter_map(|(_, index)| profile.rules.get(*index));
        let alternatives = rules
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
