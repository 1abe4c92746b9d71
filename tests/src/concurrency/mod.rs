//! Commands that get in each other's way: many rounds, each with a bounded wait, and whoever loses gets a proper message.

use serde_json::Value;

use crate::harness::command::{Invocation, Output};
use crate::harness::{Bench, Check, Container, Need, Suite, ensure, ensure_eq, host};

/// How often a race is run: rarely, and in a soak often.
const ROUNDS: usize = 12;
const ROUNDS_OF_A_SOAK: usize = 200;

/// Commands on one container, all started at once.
struct Race {
    name: &'static str,
    prepare: fn(&Container<'_>) -> Check,
    runners: &'static [Runner],
    /// How many of the first kind of command may succeed; 0: any number.
    winners: usize,
    needs: &'static [Need],
}

/// A command, how often it is started, and what a loser may say.
struct Runner {
    times: usize,
    call: fn(&Container<'_>) -> Invocation,
    /// The codes of one that was not too late, and the phrases of one that was.
    codes: &'static [i32],
    phrases: &'static [&'static str],
}

const GONE: &str = "container does not exist";
const NOT_RUNNING: &str = "container not running";
const ENDED: &str = "cannot exec in a stopped container";

const DELETE_BY_FORCE: Runner =
    Runner { times: 1, call: |container| container.call("delete").arg("--force"), codes: &[0], phrases: &[] };
const START: Runner = Runner {
    times: 1,
    call: |container| container.call("start"),
    codes: &[0],
    phrases: &[GONE, "cannot start a container that has stopped"],
};

const RACES: [Race; 11] = [
    Race {
        name: "`start` against `delete --force`",
        prepare: created,
        runners: &[START, DELETE_BY_FORCE],
        winners: 0,
        needs: &[],
    },
    Race {
        name: "`start` against `delete`",
        prepare: created,
        runners: &[
            START,
            Runner {
                times: 1,
                call: |container| container.call("delete"),
                codes: &[0],
                phrases: &["that is not stopped"],
            },
        ],
        winners: 0,
        needs: &[],
    },
    Race {
        name: "many `start`s",
        prepare: created,
        runners: &[Runner {
            times: 6,
            call: |container| container.call("start"),
            codes: &[0],
            phrases: &["cannot start an already running container"],
        }],
        winners: 1,
        needs: &[],
    },
    Race {
        name: "many `delete --force`s",
        prepare: running,
        runners: &[Runner { times: 4, ..DELETE_BY_FORCE }],
        winners: 0,
        needs: &[],
    },
    Race {
        name: "many `delete`s",
        prepare: stopped,
        runners: &[Runner {
            times: 4,
            call: |container| container.call("delete"),
            codes: &[0],
            phrases: &[GONE],
        }],
        winners: 1,
        needs: &[],
    },
    Race {
        name: "many `create`s of one id",
        prepare: |_| Ok(()),
        runners: &[Runner {
            times: 4,
            call: |container| container.launch("create", &[]),
            codes: &[0],
            phrases: &["container with given ID already exists"],
        }],
        winners: 1,
        needs: &[],
    },
    Race {
        name: "`create` against `delete --force`",
        prepare: |_| Ok(()),
        runners: &[
            Runner { times: 1, call: |container| container.launch("create", &[]), codes: &[0], phrases: &[] },
            Runner { times: 3, ..DELETE_BY_FORCE },
        ],
        winners: 0,
        needs: &[],
    },
    Race {
        name: "`kill` against `pause`",
        prepare: running,
        runners: &[
            Runner {
                times: 1,
                call: |container| container.call("kill").arg("KILL"),
                codes: &[0],
                phrases: &[NOT_RUNNING],
            },
            Runner {
                times: 2,
                call: |container| container.call("pause"),
                codes: &[0],
                phrases: &[NOT_RUNNING, "container is already paused"],
            },
        ],
        winners: 0,
        needs: &[Need::Cgroups],
    },
    Race {
        name: "`exec` against `delete --force`",
        prepare: running,
        runners: &[
            Runner {
                times: 3,
                call: |container| container.exec_with(&[], &["true"]),
                codes: &[0, 137],
                phrases: &[GONE, ENDED, NOT_RUNNING],
            },
            DELETE_BY_FORCE,
        ],
        winners: 0,
        needs: &[],
    },
    Race {
        name: "`pause` against `resume`",
        prepare: running,
        runners: &[
            Runner {
                times: 3,
                call: |container| container.call("pause"),
                codes: &[0],
                phrases: &["container is already paused"],
            },
            Runner {
                times: 3,
                call: |container| container.call("resume"),
                codes: &[0],
                phrases: &["container not paused"],
            },
        ],
        winners: 0,
        needs: &[Need::Cgroups],
    },
    Race {
        name: "`update` against `delete --force`",
        prepare: running,
        runners: &[
            Runner {
                times: 3,
                call: |container| container.bench().call(&["update", "--pids-limit", "50", &container.id]),
                codes: &[0],
                phrases: &[GONE, NOT_RUNNING],
            },
            DELETE_BY_FORCE,
        ],
        winners: 0,
        needs: &[Need::Cgroups],
    },
];

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("concurrency");
    suite.case("a hundred `exec`s at once in one container all run, and leave nothing", hundred_execs);
    for race in RACES {
        let name = format!("{}: every loser gets a message, and nothing is left", race.name);
        let needs = race.needs;
        suite.case(name, move |bench| run_rounds(bench, &race)).needs(needs);
    }
    suite.case("after `kill KILL` against `pause` the container ends", killed_for_good);
    suite.case("`state`, `list` and `ps` tell the truth while a container comes and goes", onlookers);
    suite
}

fn created(container: &Container<'_>) -> Check {
    container.create().map(drop)
}

fn running(container: &Container<'_>) -> Check {
    container.run_detached()?;
    container.pid_of_program().map(drop)
}

fn stopped(container: &Container<'_>) -> Check {
    container.run_detached()?;
    container.stop()
}

fn rounds(bench: &Bench<'_>) -> usize {
    if bench.world.soak { ROUNDS_OF_A_SOAK } else { ROUNDS }
}

fn run_rounds(bench: &mut Bench<'_>, race: &Race) -> Check {
    let container = bench.container(bench.bundle()?)?;
    for round in 0..rounds(bench) {
        (race.prepare)(&container)?;
        let winners = run_once(race, &container, round)?;
        ensure!(race.winners == 0 || winners == race.winners, "round {round}: {winners} succeeded");
        let left = container.call("delete").arg("--force").succeeds()?;
        ensure!(left.stderr.is_empty(), "round {round}: {left}");
        ensure!(!bench.root.join(&container.id).exists(), "round {round}: the state directory is left");
        let cgroups = host::cgroups_of(&container.id)?;
        ensure!(cgroups.is_empty(), "round {round}: {cgroups:?} are left");
        host::until("its processes leave", || Ok(host::processes_of(&container.id)?.is_empty()))?;
    }
    Ok(())
}

/// Starts everything at once, the last first in every other round. Returns how many of the first runner succeeded.
fn run_once(race: &Race, container: &Container<'_>, round: usize) -> Check<usize> {
    let mut all: Vec<(usize, &Runner)> = Vec::new();
    for (index, runner) in race.runners.iter().enumerate() {
        all.extend((0..runner.times).map(|_| (index, runner)));
    }
    if round % 2 == 1 {
        all.reverse();
    }
    let mut started = Vec::new();
    for (index, runner) in all {
        started.push((index, runner, (runner.call)(container).spawn()?));
    }
    let mut winners = 0;
    for (index, runner, one) in started {
        let output = one.wait()?;
        let succeeded = output.code.is_some_and(|code| runner.codes.contains(&code));
        ensure!(succeeded || lost(&output, runner), "round {round}: {output}");
        winners += usize::from(succeeded && index == 0);
    }
    Ok(winners)
}

/// One line with one of the phrases, and a hint perhaps.
fn lost(output: &Output, runner: &Runner) -> bool {
    let mut lines = output.stderr.lines();
    let line = lines.next().unwrap_or_default();
    let hinted = lines.all(|line| line.starts_with("hint: "));
    matches!(output.code, Some(1 | 255))
        && hinted
        && runner.phrases.iter().any(|phrase| line.contains(phrase))
}

fn hundred_execs(bench: &mut Bench<'_>) -> Check {
    let _alone = bench.world.alone()?;
    let container = bench.sleeper(|_| {})?;
    let pid = container.pid_of_program()?;
    let mut started = Vec::new();
    for number in 0..100 {
        let script = format!("echo {number} && cat /proc/self/cgroup | wc -l");
        started.push(container.exec_with(&[], &["sh", "-c", &script]).spawn()?);
    }
    let hierarchies = std::fs::read_to_string("/proc/self/cgroup")?.lines().count();
    for (number, one) in started.into_iter().enumerate() {
        let output = one.wait()?.exits_with(0)?;
        ensure_eq!(output.text(), format!("{number}\n{hierarchies}"), "{output}");
        ensure!(output.stderr.is_empty(), "{output}");
    }
    let json = bench.call(&["ps", "--format", "json", &container.id]).succeeds()?;
    ensure_eq!(json.text(), format!("[{pid}]"));
    container.stop()?;
    container.delete()
}

/// `kill` promises the end of the container, and a frozen process does not die of SIGKILL on version 1.
fn killed_for_good(bench: &mut Bench<'_>) -> Check {
    let container = bench.container(bench.bundle()?)?;
    for _ in 0..rounds(bench) {
        running(&container)?;
        let pause = container.call("pause").spawn()?;
        let kill = container.call("kill").arg("KILL").spawn()?;
        pause.wait()?;
        let killed = kill.wait()?.exits_with(0)?;
        container
            .until_status("stopped")
            .map_err(|failure| crate::harness::fail(format!("{killed}\n{failure:?}")))?;
        container.delete()?;
    }
    Ok(())
}

fn onlookers(bench: &mut Bench<'_>) -> Check {
    let container = bench.container(bench.bundle()?)?;
    for _ in 0..rounds(bench) {
        let create = container.launch("create", &[]).spawn()?;
        look(bench, &container)?;
        create.wait()?.exits_with(0)?;
        let start = container.call("start").spawn()?;
        look(bench, &container)?;
        start.wait()?.exits_with(0)?;
        let delete = container.call("delete").arg("--force").spawn()?;
        look(bench, &container)?;
        delete.wait()?.exits_with(0)?;
    }
    Ok(())
}

fn look(bench: &Bench<'_>, container: &Container<'_>) -> Check {
    for _ in 0..3 {
        let state = container.call("state").output()?;
        match state.code {
            Some(0) => {
                let state: Value = serde_json::from_str(&state.stdout)?;
                let status = state["status"].as_str().unwrap_or_default();
                ensure!(["creating", "created", "running", "stopped"].contains(&status), "{state}");
                ensure_eq!(
                    state["pid"].as_u64() == Some(0),
                    ["creating", "stopped"].contains(&status),
                    "{state}"
                );
            }
            _ => drop(state.fails_with(1, &[GONE])?),
        }
        let list = bench.call(&["list", "--format", "json"]).succeeds()?;
        ensure!(list.stderr.is_empty(), "{list}");
        let list: Value = serde_json::from_str(&list.stdout)?;
        for one in list.as_array().into_iter().flatten() {
            ensure_eq!(one["id"], container.id.as_str());
        }
        let ps = bench.call(&["ps", "--format", "json", &container.id]).output()?;
        match ps.code {
            Some(0) => drop(serde_json::from_str::<Value>(&ps.stdout)?),
            _ => drop(ps.fails_with(1, &[GONE])?),
        }
    }
    Ok(())
}
