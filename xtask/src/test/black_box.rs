//! The black-box suites: against which runtime, run by whom, on which machine.

use super::Arguments;
use super::tally::{Tally, run_counting};
use crate::open_folder::{OpenFolder, as_nobody};
use crate::{build, project, setup};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One run of the suites, and a row of the summary.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) name: &'static str,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// As whoever runs this, against this runtime.
    Here { runtime: PathBuf, is_ours: bool },
    /// Against masu, as an ordinary user of this machine who is granted no ids.
    HereAsNobody,
    /// In one of the machines, against the program that is at this path there.
    Vm { machine: Machine, runtime: String },
}

/// How a machine is started, and who works in it in which way.
#[derive(Debug, Clone, Copy)]
enum Machine {
    /// As root, on cgroup v2.
    Root,
    /// The same, with the cgroups made by systemd.
    Systemd,
    /// As an ordinary user.
    User,
    /// The same, with the cgroups made by the user's own systemd.
    UserOfSystemd,
    /// As root in the machine that has what the others' kernels cannot have beside: SELinux, net_cls and net_prio.
    Bare,
}

impl Machine {
    /// All of them, by the name of their row.
    const ALL: [(&str, Self); 5] = [
        ("... in the VM", Self::Root),
        ("... with systemd in the VM", Self::Systemd),
        ("... as a user in the VM", Self::User),
        ("... as a user with systemd in the VM", Self::UserOfSystemd),
        ("... in the bare VM", Self::Bare),
    ];

    /// The options of `vm`.
    fn start(self) -> &'static [&'static str] {
        match self {
            Self::Root | Self::Systemd => &["--user", "root"],
            Self::User | Self::UserOfSystemd => &["--user", "tester"],
            Self::Bare => &["--bare"],
        }
    }

    /// The options of the tests.
    fn driver(self) -> &'static [&'static str] {
        match self {
            Self::Systemd | Self::UserOfSystemd => &["--systemd-cgroup"],
            Self::Root | Self::User | Self::Bare => &[],
        }
    }

    /// What the cases need and this machine is made to have: one that lacks it would leave them out in silence.
    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Root | Self::Systemd => {
                &["root", "cgroup v2", "systemd", "a user's systemd", "apparmor_parser"]
            }
            Self::User | Self::UserOfSystemd => &["granted ids", "cgroup v2", "systemd"],
            Self::Bare => &["root", "cgroup v1", "net_cls and net_prio", "a kernel with SELinux"],
        }
    }

    /// The cases when nothing is asked for.
    fn suites(self) -> &'static [&'static str] {
        match self {
            Self::Root => &VM_SUITES,
            Self::Systemd | Self::UserOfSystemd => &VM_SUITES_OF_SYSTEMD,
            Self::User => &VM_SUITES_OF_USER,
            Self::Bare => &VM_SUITES_OF_BARE,
        }
    }
}

impl Run {
    /// Whether it is masu that is tested: what it skips is to be seen.
    pub(super) fn is_of_masu(&self) -> bool {
        match &self.place {
            Place::Here { is_ours, .. } => *is_ours,
            Place::HereAsNobody => true,
            Place::Vm { runtime, .. } => runtime == VM_MASU,
        }
    }

    /// Runs the cases whose names contain one of `filters`, or all of them.
    pub(super) fn perform(&self, filters: &[String]) -> Result<Tally> {
        match &self.place {
            Place::Here { runtime, .. } => self.trying_again(filters, |filters| here(runtime, filters)),
            Place::HereAsNobody => here_as_nobody(filters),
            Place::Vm { machine, runtime } => {
                self.trying_again(filters, |filters| in_vm(*machine, runtime, &or(filters, machine.suites())))
            }
        }
    }

    /// What fails with somebody else's runtime is tried once more, alone: a race of theirs is not ours to mend, and what
    /// differs for good fails again.
    fn trying_again(&self, filters: &[String], run: impl Fn(&[String]) -> Result<Tally>) -> Result<Tally> {
        let mut tally = run(filters)?;
        if !self.is_of_masu() && !tally.failures.is_empty() {
            println!("\ntrying again: {}", tally.failures.join(", "));
            let again = run(&tally.failures)?;
            tally.passed += tally.failed.saturating_sub(again.failed);
            tally.failed = again.failed;
            tally.failures = again.failures;
            tally.messages = again.messages;
        }
        Ok(tally)
    }
}

/// All that are asked for. masu has to pass everywhere, and its cases are held against Debian's newest runc; an older
/// one, or crun, is a matter of `--runtime`, and those of the machines one of `--vm-runtime`.
pub(super) fn runs(arguments: &Arguments) -> Result<Vec<Run>> {
    let here = |name, runtime, is_ours| Run { name, place: Place::Here { runtime, is_ours } };
    let in_vms = |runtime: &str| {
        Machine::ALL
            .map(|(name, machine)| Run { name, place: Place::Vm { machine, runtime: runtime.to_owned() } })
    };
    if let Some(runtime) = &arguments.vm_runtime {
        return Ok(in_vms(runtime).into());
    }
    if let Some(path) = &arguments.runtime {
        let path = path.canonicalize().with_context(|| format!("find {}", path.display()))?;
        return Ok(vec![here("black-box chosen runtime", path, false)]);
    }
    let mut runs = vec![here("black-box masu", project::bin().join("masu"), true)];
    if rustix::process::geteuid().is_root() {
        runs.push(Run { name: "... as a user", place: Place::HereAsNobody });
    }
    if !arguments.no_vm {
        runs.extend(in_vms(VM_MASU));
    }
    runs.push(here("black-box newest runc", setup::newest_runtimes()?.runc, false));
    Ok(runs)
}

fn here(runtime: &Path, filters: &[String]) -> Result<Tally> {
    let mut tests = Command::new(build::tests()?);
    tests.env(project::TESTS_CACHE, project::cache());
    let tally = run_counting(tests.arg("--runtime").arg(runtime).args(filters).current_dir(project::root()))?;
    if tally.total() == 0 {
        bail!("no case has a name with {}", filters.join(" or "));
    }
    Ok(tally)
}

fn here_as_nobody(filters: &[String]) -> Result<Tally> {
    let open = OpenFolder::create()?;
    let masu = project::bin().join("masu");
    for companion in build::companions(&masu) {
        open.copy(&companion)?;
    }
    let (masu, tests) = (open.copy(&masu)?, open.copy(&build::tests()?)?);
    run_counting(as_nobody(&tests).arg("--runtime").arg(masu).args(filters))
}

/// Where masu is in the machines.
const VM_MASU: &str = "/usr/local/bin/masu";
/// What everything takes longer in the machine, at most.
const VM_PATIENCE: &str = "10";
/// Two virtual processors wait for their disk and each other less when a third case is ready.
const VM_THREADS: &str = "3";
/// A limit for a machine that hangs.
const VM_SECONDS: &str = "900";

/// What runs in the machine when nothing is asked for. A case takes half a second of processor time there: so the suites
/// run that cgroup v2, systemd and a newer kernel make a difference to. The others are run here as root and as nobody.
const VM_SUITES: [&str; 12] = [
    "cgroup:",
    "death: every label of",
    "events:",
    "exec:",
    "foreground:",
    "hooks:",
    "lifecycle:",
    "lsm:",
    "seccomp:",
    "sockets:",
    "systemd:",
    "terminal:",
];
/// The same for its ordinary user, to whom ids and cgroups are granted. Not `config`: systemd's /tmp is nosuid and nodev,
/// which no ordinary user may take from a bind mount, and nobody runs that suite here.
const VM_SUITES_OF_USER: [&str; 8] =
    ["cgroup:", "events:", "exec:", "foreground:", "hooks:", "lifecycle:", "systemd:", "terminal:"];

/// What the driver of the run makes a difference to: where a container's cgroup is, what is set, counted and frozen there,
/// and who removes it. The rest is the same program behind the same cgroup, and the suite `systemd` asks for the driver by
/// itself. A call takes a second longer with systemd behind it, so this is to stay a list of what is worth that.
const VM_SUITES_OF_SYSTEMD: [&str; 11] = [
    "cgroup:",
    "events:",
    "exec: `--cgroup",
    "lifecycle: `delete",
    "lifecycle: `kill KILL`",
    "lifecycle: `pause",
    "lifecycle: `ps",
    "lifecycle: `run",
    "lifecycle: `update",
    "lifecycle: a name",
    "lifecycle: a paused",
];

/// What the bare machine has that the others have not.
const VM_SUITES_OF_BARE: [&str; 3] = ["cgroup: the network's", "death: every label of", "lsm:"];

/// What was asked for, or without that the default.
fn or<'a>(filters: &'a [String], default: &[&'a str]) -> Vec<&'a str> {
    match filters {
        [] => default.to_vec(),
        filters => filters.iter().map(String::as_str).collect(),
    }
}

fn in_vm(machine: Machine, runtime: &str, filters: &[&str]) -> Result<Tally> {
    let mut vm = Command::new(std::env::current_exe().context("find xtask's own file")?);
    vm.arg("vm").args(machine.start()).args(["--timeout", VM_SECONDS, "--", "masu-tests"]);
    vm.args(["--runtime", runtime, "--patience", VM_PATIENCE, "--test-threads", VM_THREADS]);
    vm.args(machine.features().iter().flat_map(|feature| ["--expect", *feature]));
    vm.args(machine.driver()).args(filters);
    // An emulated machine that dies on the way has counted no failure and says nothing about the runtime: it gets one more
    // try.
    run_counting(&mut vm).or_else(|error| {
        println!("\ntrying again: {error:#}");
        run_counting(&mut vm)
    })
}
