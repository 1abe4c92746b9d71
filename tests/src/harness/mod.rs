//! The harness: everything the suites stand on. What suites of engines stand on as well is the crate masu-harness.

mod bench;
pub(crate) mod config;
#[cfg(test)]
mod conformance;
mod container;
mod ledger;
pub(crate) mod receiver;
mod roots;
pub(crate) mod setting;
mod surroundings;
pub(crate) mod terminal;
pub(crate) mod tracer;
pub(crate) mod user;
mod world;

pub(crate) use bench::Bench;
pub(crate) use container::{Bundle, Container};
pub(crate) use ledger::Ledger;
pub(crate) use masu_harness::{Check, Failure, Runtime, command, ensure, ensure_eq, fail, host, mountinfo};
pub(crate) use surroundings::{Driver, Need, Surroundings};
pub(crate) use world::World;

/// What a case does.
pub(crate) type Run = Box<dyn Fn(&mut Bench<'_>) -> Check + Send + Sync>;

/// One case: a sentence about behaviour, and its proof.
pub(crate) struct Case {
    /// `suite: sentence`.
    pub(crate) name: String,
    /// Whether no other runtime is asked; `differences.toml` has the reason.
    pub(crate) masu_only: bool,
    /// What it cannot do without; where that is lacking it is not run.
    pub(crate) needs: Vec<Need>,
    /// The proof.
    pub(crate) run: Run,
}

impl Case {
    /// Adds to what it cannot do without.
    pub(crate) fn needs(&mut self, needs: &[Need]) -> &mut Self {
        self.needs.extend(needs);
        self
    }
}

/// A suite that is being put together.
pub(crate) struct Suite {
    name: &'static str,
    needs: Vec<Need>,
    /// Its cases.
    pub(crate) cases: Vec<Case>,
}

impl Suite {
    /// An empty suite.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, needs: Vec::new(), cases: Vec::new() }
    }

    /// What the cases that are added from here on cannot do without.
    pub(crate) fn needs(&mut self, needs: &[Need]) {
        self.needs = needs.to_vec();
    }

    /// Adds a case for every runtime.
    pub(crate) fn case(
        &mut self,
        sentence: impl AsRef<str>,
        run: impl Fn(&mut Bench<'_>) -> Check + Send + Sync + 'static,
    ) -> &mut Case {
        self.add(sentence.as_ref(), false, Box::new(run))
    }

    /// Adds a case that only masu is asked; `differences.toml` must say why.
    pub(crate) fn masu_only(
        &mut self,
        sentence: impl AsRef<str>,
        run: impl Fn(&mut Bench<'_>) -> Check + Send + Sync + 'static,
    ) -> &mut Case {
        self.add(sentence.as_ref(), true, Box::new(run))
    }

    fn add(&mut self, sentence: &str, masu_only: bool, run: Run) -> &mut Case {
        let name = format!("{}: {sentence}", self.name);
        self.cases.push_mut(Case { name, masu_only, needs: self.needs.clone(), run })
    }
}
