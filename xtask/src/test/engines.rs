//! The tests through engines: a row of the summary for each.

use super::tally::{Tally, run_counting};
use crate::{build, project, setup};
use anyhow::Result;
use std::path::Path;
use std::process::Command;

/// An engine, by the name it can be asked for.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// What the names of its cases begin with.
    filter: &'static str,
}

/// What only runs when it is asked for by this name: to build it takes minutes.
pub(super) const KUBERNETES: &str = "kubernetes";

const ALL: [Engine; 7] = [
    Engine { name: "podman", filter: "podman:" },
    Engine { name: "podman-rootless", filter: "podman rootless:" },
    Engine { name: "docker", filter: "docker:" },
    Engine { name: "docker-rootless", filter: "docker rootless:" },
    Engine { name: "containerd", filter: "containerd:" },
    Engine { name: "cri", filter: "cri:" },
    Engine { name: KUBERNETES, filter: "kubernetes:" },
];
/// All of them but Kubernetes, for who asks.
const EVERY: &str = "engines";

/// Engines and shims are many processes, and this machine may be at something else as well.
const PATIENCE: &str = "4";
/// Most of a case is waiting.
const THREADS: &str = "4";

/// The engines that are asked for, and the suites that are left. Nothing asked for means all, for root, who alone can
/// start them.
pub(super) fn select(suites: &[String]) -> (Vec<&'static Engine>, Vec<String>) {
    let all = suites.is_empty() && rustix::process::geteuid().is_root()
        || suites.iter().any(|suite| suite == EVERY);
    let is_asked_for =
        |engine: &Engine| all && !engine.is_kubernetes() || suites.iter().any(|suite| suite == engine.name);
    let is_engine = |suite: &String| suite == EVERY || ALL.iter().any(|engine| engine.name == suite.as_str());
    let left = suites.iter().filter(|suite| !is_engine(suite)).cloned().collect();
    (ALL.iter().filter(|engine| is_asked_for(engine)).collect(), left)
}

impl Engine {
    pub(super) fn is_kubernetes(&self) -> bool {
        self.name == KUBERNETES
    }

    /// Runs its cases with masu, or with the chosen runtime.
    pub(super) fn perform(&self, runtime: Option<&Path>) -> Result<Tally> {
        let masu = project::bin().join("masu");
        let mut tests = Command::new(build::tests_of_engines()?);
        tests.arg("--runtime").arg(runtime.unwrap_or(&masu)).args(["--patience", PATIENCE]);
        let client = setup::cri_client()?;
        tests.arg("--python").arg(&client.python).env("PYTHONPATH", &client.packages);
        if self.is_kubernetes() {
            tests.arg("--kubernetes").arg(setup::kubernetes()?);
        }
        run_counting(tests.args(["--test-threads", THREADS, self.filter]).current_dir(project::root()))
    }
}
