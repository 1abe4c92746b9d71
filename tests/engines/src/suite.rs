//! What the cases are put together with.

use masu_harness::Check;

use crate::bench::Bench;

/// An engine, or a way in which one is run. The order is that of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Engine {
    /// podman, run by root.
    Podman,
    /// podman, run by an ordinary user.
    RootlessPodman,
    /// dockerd and docker.
    Docker,
    /// dockerd in an ordinary user's namespaces, by rootlesskit.
    RootlessDocker,
    /// containerd and ctr.
    Containerd,
    /// containerd and Kubernetes' Container Runtime Interface.
    Cri,
    /// Kubernetes: its API server and kubelet, and containerd.
    Kubernetes,
}

impl Engine {
    /// All of them.
    pub(crate) const ALL: [Self; 7] = [
        Self::Podman,
        Self::RootlessPodman,
        Self::Docker,
        Self::RootlessDocker,
        Self::Containerd,
        Self::Cri,
        Self::Kubernetes,
    ];

    /// What it is called in the names of cases and in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::RootlessPodman => "podman rootless",
            Self::Docker => "docker",
            Self::RootlessDocker => "docker rootless",
            Self::Containerd => "containerd",
            Self::Cri => "cri",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// The podmans and dockers: their commands and flags are the same words.
pub(crate) const DOCKER_LIKE: &[Engine] =
    &[Engine::Podman, Engine::RootlessPodman, Engine::Docker, Engine::RootlessDocker];
/// Those of them that root runs: on cgroup v1 an ordinary user has no cgroups.
pub(crate) const WITH_CGROUPS: &[Engine] = &[Engine::Podman, Engine::Docker];
/// An ordinary user's, who gets cgroups of version 2 from systemd.
const WITH_CGROUPS_IN_MACHINE: &[Engine] = &[Engine::RootlessPodman, Engine::RootlessDocker];
/// The two podmans.
pub(crate) const PODMANS: &[Engine] = &[Engine::Podman, Engine::RootlessPodman];

/// What a case does.
pub(crate) type Run = fn(&Bench<'_>) -> Check;

/// A case with one engine: a sentence about behaviour, and its proof.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) engine: Engine,
    /// One of the rows of the table.
    pub(crate) subject: &'static str,
    sentence: &'static str,
    pub(crate) run: Run,
    pub(crate) place: Place,
    /// Whether no other case may run meanwhile.
    pub(crate) alone: bool,
}

/// Where a case can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Wherever its engine runs.
    Anywhere,
    /// In a machine whose systemd gives cgroups of version 2 to ordinary users.
    Machine,
}

impl Case {
    /// `engine: sentence`.
    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.engine.name(), self.sentence)
    }
}

/// Cases that are being put together.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    pub(crate) cases: Vec<Case>,
}

impl Suite {
    /// Adds a case with each of these engines.
    pub(crate) fn case(
        &mut self,
        engines: &[Engine],
        subject: &'static str,
        sentence: &'static str,
        run: Run,
    ) {
        self.add(engines, subject, sentence, run, Place::Anywhere);
    }

    /// Adds a case that needs what only the machine has.
    pub(crate) fn case_of_machine(
        &mut self,
        engines: &[Engine],
        subject: &'static str,
        sentence: &'static str,
        run: Run,
    ) {
        self.add(engines, subject, sentence, run, Place::Machine);
    }

    /// Adds a case of who has cgroups: root everywhere, and an ordinary user in the machine.
    pub(crate) fn case_with_cgroups(&mut self, subject: &'static str, sentence: &'static str, run: Run) {
        self.case(WITH_CGROUPS, subject, sentence, run);
        self.case_of_machine(WITH_CGROUPS_IN_MACHINE, subject, sentence, run);
    }

    /// Adds a case that takes away what others need.
    pub(crate) fn case_alone(
        &mut self,
        engine: Engine,
        subject: &'static str,
        sentence: &'static str,
        run: Run,
    ) {
        self.cases.push(Case { engine, subject, sentence, run, place: Place::Anywhere, alone: true });
    }

    fn add(
        &mut self,
        engines: &[Engine],
        subject: &'static str,
        sentence: &'static str,
        run: Run,
        place: Place,
    ) {
        let cases =
            engines.iter().map(|&engine| Case { engine, subject, sentence, run, place, alone: false });
        self.cases.extend(cases);
    }
}
