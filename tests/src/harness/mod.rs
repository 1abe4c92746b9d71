//! The harness: everything the suites stand on.

mod bench;
pub(crate) mod command;
pub(crate) mod config;
mod container;
mod failure;
pub(crate) mod host;
mod ledger;
pub(crate) mod mountinfo;
mod roots;
mod runtime;
mod world;

pub(crate) use bench::Bench;
pub(crate) use container::{Bundle, Container};
pub(crate) use failure::{Check, Failure, ensure, ensure_eq, fail};
pub(crate) use ledger::Ledger;
pub(crate) use runtime::Runtime;
pub(crate) use world::World;

/// What a case does.
pub(crate) type Run = Box<dyn Fn(&mut Bench<'_>) -> Check + Send + Sync>;

/// One case: a sentence about behaviour, and its proof.
pub(crate) struct Case {
    /// `suite: sentence`.
    pub(crate) name: String,
    /// Whether no other runtime is asked; `differences.toml` has the reason.
    pub(crate) masu_only: bool,
    /// The proof.
    pub(crate) run: Run,
}

/// A suite that is being put together.
pub(crate) struct Suite {
    name: &'static str,
    /// Its cases.
    pub(crate) cases: Vec<Case>,
}

impl Suite {
    /// An empty suite.
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, cases: Vec::new() }
    }

    /// Adds a case for every runtime.
    pub(crate) fn case(
        &mut self,
        sentence: impl AsRef<str>,
        run: impl Fn(&mut Bench<'_>) -> Check + Send + Sync + 'static,
    ) {
        self.add(sentence.as_ref(), false, Box::new(run));
    }

    /// Adds a case that only masu is asked; `differences.toml` must say why.
    pub(crate) fn masu_only(
        &mut self,
        sentence: impl AsRef<str>,
        run: impl Fn(&mut Bench<'_>) -> Check + Send + Sync + 'static,
    ) {
        self.add(sentence.as_ref(), true, Box::new(run));
    }

    fn add(&mut self, sentence: &str, masu_only: bool, run: Run) {
        self.cases.push(Case { name: format!("{}: {sentence}", self.name), masu_only, run });
    }
}
