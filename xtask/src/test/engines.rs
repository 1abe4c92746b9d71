//! The tests through engines: a row of the summary for each.

use super::tally::{Tally, run_counting};
use crate::open_folder::OpenFolder;
use crate::{build, project, setup};
use anyhow::{Context, Result};
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
/// All of them that the machine with cgroup v2 has, for who asks.
const IN_VM: &str = "engines-vm";

/// What runs in the machine when nothing is asked for: limits by systemd's cgroups through each engine, and what no
/// ordinary user has on version 1. A command of an engine takes seconds there.
const VM_CASES: [&str; 8] = [
    "podman: limits are in force",
    "podman rootless: limits are in force",
    "podman rootless: a container that is out of memory",
    "podman rootless: stats",
    "podman rootless: a paused",
    "docker: limits are in force",
    "containerd: limits are in force",
    "cri: limits are in force",
];
/// Where masu is in there.
const VM_MASU: &str = "/usr/local/bin/masu";
/// The Python that it has.
const VM_PYTHON: &str = "3.13";
/// What everything takes longer there, at most.
const VM_PATIENCE: &str = "20";
/// It has two processors, and each case keeps one busy.
const VM_THREADS: &str = "2";
/// A limit for a machine that hangs.
const VM_SECONDS: &str = "5400";

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
    let is_engine = |suite: &String| {
        [EVERY, IN_VM].contains(&suite.as_str()) || ALL.iter().any(|engine| engine.name == suite.as_str())
    };
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

/// The cases to run in the machine with cgroup v2, if any: no filter means all. Who asks for it by its name means its
/// cases by parts of names, which are taken from those of the black-box cases.
pub(super) fn select_in_vm(suites: &[String], cases: &mut Option<Vec<String>>) -> Option<Vec<String>> {
    if suites.iter().any(|suite| suite == IN_VM) {
        return Some(cases.take().unwrap_or_default());
    }
    let is_for_all = suites.is_empty() && rustix::process::geteuid().is_root();
    is_for_all.then(|| VM_CASES.map(str::to_owned).to_vec())
}

/// Runs cases in the machine, with masu or with the runtime at this path there.
pub(super) fn perform_in_vm(runtime: Option<&str>, filters: &[String]) -> Result<Tally> {
    let share = OpenFolder::create()?;
    share.copy(&build::tests_of_engines()?)?;
    let client = setup::cri_client_for(VM_PYTHON)?;
    project::run(
        Command::new("cp")
            .args(["--recursive", "--no-target-directory"])
            .arg(client)
            .arg(share.path().join("cri")),
    )?;
    let with_kubernetes = filters.iter().any(|filter| filter.starts_with(KUBERNETES));
    if with_kubernetes {
        let programs = setup::kubernetes()?;
        for program in std::fs::read_dir(&programs).with_context(|| format!("read {}", programs.display()))? {
            share.copy(&program.context("read the folder of Kubernetes")?.path())?;
        }
    }
    let mut vm = Command::new(std::env::current_exe().context("find xtask's own file")?);
    vm.args(["vm", "--timeout", VM_SECONDS, "--share"]).arg(share.path()).arg("--");
    vm.args([
        "env",
        "PYTHONPATH=/share/cri",
        "./masu-engine-tests",
        "--machine",
        "--runtime",
        runtime.unwrap_or(VM_MASU),
    ]);
    if with_kubernetes {
        vm.args(["--kubernetes", "/share"]);
    }
    vm.args(["--patience", VM_PATIENCE, "--test-threads", VM_THREADS]).args(filters);
    run_counting(&mut vm)
}
