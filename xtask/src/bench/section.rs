//! The parts of the benchmark, each of which can be asked for by its name. A new one is a line here and a function that
//! gives rows.

use super::contender::{Contender, Probe};
use super::figures::Row;
use super::scratch::Scratch;
use super::{commands, filter, many, memory, run, variant};
use anyhow::Result;

/// Where it is measured.
#[derive(Debug)]
pub(super) struct Field {
    /// masu first, then the floor if there is one, then the peers.
    pub(super) contenders: Vec<Contender>,
    pub(super) probe: Probe,
    pub(super) scratch: Scratch,
    /// One of so many rounds is measured: 1, but for a machine that is slow.
    pub(super) one_round_of: usize,
}

impl Field {
    /// How many rounds are measured here of what are usually so many.
    pub(super) fn rounds(&self, usual: usize) -> usize {
        usual.div_ceil(self.one_round_of)
    }
}

/// What is to be said beside the rows.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Why the machine was too noisy.
    pub(super) noise: Vec<String>,
    /// What a runtime could not do.
    pub(super) notes: Vec<String>,
}

/// A part.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) measure: fn(&Field, &mut Findings) -> Result<Vec<Row>>,
}

pub(super) const ALL: [Section; 21] = [
    Section { name: "spawn", measure: run::spawn },
    Section { name: "run-hot", measure: run::hot },
    Section { name: "run-cold", measure: run::cold },
    Section { name: "run-busybox", measure: run::busybox },
    Section { name: "parallel", measure: run::parallel },
    Section { name: "cycle-hot", measure: commands::cycle_hot },
    Section { name: "cycle-cold", measure: commands::cycle_cold },
    Section { name: "exec", measure: commands::exec },
    Section { name: "pause-update", measure: commands::pause_update },
    Section {
        name: "host-network",
        measure: |field, out| run::variant(field, out, &variant::WITHOUT_NETWORK),
    },
    Section {
        name: "user-namespace",
        measure: |field, out| run::variant(field, out, &variant::USER_NAMESPACE),
    },
    Section { name: "seccomp", measure: |field, out| run::variant(field, out, &variant::SECCOMP) },
    Section { name: "seccomp-compile", measure: filter::compile },
    Section { name: "binds-25", measure: |field, out| run::variant(field, out, &variant::BINDS_25) },
    Section { name: "binds-50", measure: |field, out| run::variant(field, out, &variant::BINDS_50) },
    Section { name: "large-config", measure: |field, out| run::variant(field, out, &variant::LARGE) },
    Section { name: "host-mounts", measure: many::host_mounts },
    Section { name: "many-containers", measure: many::containers },
    Section { name: "calls-memory", measure: memory::traced },
    Section { name: "memory-limit", measure: memory::smallest_limit },
    Section { name: "idle-sizes", measure: memory::idle_and_sizes },
];

/// The parts whose names have one of the words in them; all of them without a word.
pub(super) fn select(words: &[String]) -> Result<Vec<&'static Section>> {
    for word in words {
        if !ALL.iter().any(|section| section.name.contains(word.as_str())) {
            let names: Vec<_> = ALL.iter().map(|section| section.name).collect();
            anyhow::bail!("no part of the benchmark is called {word:?}\nhint: {}", names.join(", "));
        }
    }
    let wanted = |section: &&Section| {
        words.is_empty() || words.iter().any(|word| section.name.contains(word.as_str()))
    };
    Ok(ALL.iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_chosen_by_a_part_of_their_name() {
        let names = |words: &[&str]| -> Result<Vec<&str>> {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            Ok(select(&words)?.iter().map(|section| section.name).collect())
        };
        assert_eq!(names(&["binds", "spawn"]).unwrap(), ["spawn", "binds-25", "binds-50"]);
        assert_eq!(names(&[]).unwrap().len(), ALL.len());
        let error = names(&["rum"]).unwrap_err().to_string();
        assert!(
            error.starts_with("no part of the benchmark is called \"rum\"\nhint: spawn, run-hot, "),
            "{error}"
        );
    }
}
