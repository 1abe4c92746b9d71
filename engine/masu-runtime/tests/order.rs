//! The laws of order: what is true of the plan of every configuration, each with its reason.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod common;
mod configurations;

use common::input;
use configurations::{Case, case};
use masu_cgroup::ContainerMounts;
use masu_program::{Access, Barrier, DeviceSource, Fd, Namespaces, Source, Step, Steps};
use masu_runtime::{ExecInput, Gate, Plan, explain_plan, plan_create, plan_exec};
use masu_spec::parse_config;
use proptest::prelude::*;

/// A plan to walk through.
struct Walk<'a> {
    plan: &'a Plan,
    steps: Vec<(String, Step<'a>)>,
    /// What the plan was made for.
    case: &'a Case,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, case: &'a Case) -> Self {
        let steps = Steps::new(&plan.program).zip(&plan.origins);
        let steps = steps.map(|(step, origin)| (origin.to_string(), step.expect("decodes"))).collect();
        Self { plan, steps, case }
    }

    /// The places of the steps of this kind.
    fn all(&self, kind: fn(&Step<'_>) -> bool) -> Vec<usize> {
        self.steps.iter().enumerate().filter(|(_, (_, step))| kind(step)).map(|(place, _)| place).collect()
    }

    fn count(&self, kind: fn(&Step<'_>) -> bool) -> usize {
        self.all(kind).len()
    }

    /// Whether every step of the first kind comes before every one of the second; true where one of them is missing.
    fn ordered(&self, first: fn(&Step<'_>) -> bool, then: fn(&Step<'_>) -> bool) -> bool {
        match (self.all(first).last(), self.all(then).first()) {
            (Some(first), Some(then)) => first < then,
            _ => true,
        }
    }

    /// Where the step of this kind is, of which there is exactly one.
    fn only(&self, kind: fn(&Step<'_>) -> bool) -> Option<usize> {
        match self.all(kind).as_slice() {
            [place] => Some(*place),
            _ => None,
        }
    }

    /// Where the process becomes the configuration's user.
    fn becomes_user(&self) -> Option<usize> {
        let places = self.all(|step| matches!(step, Step::ChangeIdentity(_)));
        let mut own = places.into_iter().filter(|place| self.origin(*place) == "process.user");
        own.next().filter(|_| own.next().is_none())
    }

    fn origin(&self, place: usize) -> &str {
        self.steps.get(place).map_or("", |(origin, _)| origin)
    }

    fn joined(&self) -> Namespaces {
        self.steps.iter().fold(Namespaces::empty(), |all, (_, step)| match step {
            Step::JoinNamespaces { namespaces, .. } => all | *namespaces,
            _ => all,
        })
    }
}

/// The descriptors that a step uses.
fn descriptors(step: &Step<'_>) -> Vec<Fd> {
    match *step {
        Step::HoldProc { proc: fd }
        | Step::JoinNamespaces { fd, .. }
        | Step::AttachCgroup { tasks: fd }
        | Step::OpenRoot { source: Source::Tree { fd }, .. }
        | Step::Mount { source: Source::Tree { fd }, .. }
        | Step::MakeDevice { source: DeviceSource::Tree(fd), .. }
        | Step::AwaitStart { fifo: fd, .. } => vec![fd],
        Step::Fork { cgroup, .. } => cgroup.into_iter().collect(),
        Step::RunHook { outputs, .. } => outputs.into_iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// A law: a sentence, and whether a plan obeys it.
type Law = (&'static str, fn(&Walk<'_>) -> bool);

/// For containers and for further processes in them.
const LAWS: &[Law] = &[
    // A descriptor that is used twice is closed when it is needed; one that is never used stays open in the container.
    ("every descriptor that the engine opens is used exactly once", |walk| {
        let mut used: Vec<i32> =
            walk.steps.iter().flat_map(|(_, step)| descriptors(step)).map(|fd| fd.0).collect();
        used.sort_unstable();
        used.iter().copied().eq((0..).take(walk.plan.wants.len()))
    }),
    // They come a message full at a time, and what a message brought is gone when the next one is there.
    ("no descriptor is used long after a later one", |walk| {
        let used = walk.steps.iter().flat_map(|(_, step)| descriptors(step)).map(|fd| fd.0);
        let mut latest = 0;
        used.into_iter().all(|fd| {
            latest = latest.max(fd);
            fd + 10 >= latest
        })
    }),
    // What init begins with is sent before anything of the host is open.
    ("init waits for its program once, and wants nothing before", |walk| {
        let awaited = walk.only(|step| matches!(step, Step::AwaitProgram));
        let before = walk.steps.iter().take(awaited.unwrap_or(usize::MAX));
        awaited.is_some() && before.flat_map(|(_, step)| descriptors(step)).next().is_none()
    }),
    ("every step has its origin", |walk| walk.plan.origins.len() == walk.steps.len()),
    ("the program ends with its one execve", |walk| {
        walk.only(|step| matches!(step, Step::Execute { .. })) == walk.steps.len().checked_sub(1)
    }),
    // Both sides walk the same list; the engine would wait for a barrier that never comes.
    ("the barriers come in their order, each once at most, and Ready always", |walk| {
        let places = [
            walk.all(|step| matches!(step, Step::Barrier(Barrier::Mapped))),
            walk.all(|step| matches!(step, Step::Barrier(Barrier::Assembled))),
            walk.all(|step| matches!(step, Step::Barrier(Barrier::Ready))),
        ];
        let once =
            places.iter().all(|places| places.len() <= 1) && places.last().is_some_and(|one| one.len() == 1);
        once && places.concat().is_sorted()
    }),
    // The state and the pid file tell of a process that is complete: whoever reads them may join it.
    ("after Ready there is only the gate, hooks, the filter and the execve with its preparation", |walk| {
        let ready = walk.only(|step| matches!(step, Step::Barrier(Barrier::Ready)));
        let mut after = walk.steps.iter().skip(ready.map_or(0, |place| place + 1));
        after.all(|(_, step)| {
            matches!(
                step,
                Step::AwaitStart { .. }
                    | Step::RunHook { .. }
                    | Step::CloseDescriptors { .. }
                    | Step::ResetSignals
                    | Step::LoadFilter { .. }
                    | Step::DropCapabilities { .. }
                    | Step::Execute { .. }
            )
        })
    }),
    // Written through a held descriptor, since the container's own /proc may be anything (CVE-2025-52881); let go
    // before paths of the container are walked, since it is the host's.
    (
        "the host's /proc is held first, and let go between the last write below it and the first path",
        |walk| {
            let awaited = walk.only(|step| matches!(step, Step::AwaitProgram));
            let held = walk.only(|step| matches!(step, Step::HoldProc { .. }));
            let held = held == awaited.map(|awaited| awaited + 1);
            let released = |step: &Step<'_>| matches!(step, Step::ReleaseProc);
            held && walk.count(released) == 1
                && walk.ordered(writes_below_proc, released)
                && walk.ordered(released, opens_root)
                && walk.ordered(released, is_below_root)
        },
    ),
    // CVE-2016-9962: a process inside could trace init and take its descriptors.
    ("init hides from tracers before anything of the container can see it", |walk| {
        let hides = |step: &Step<'_>| matches!(step, Step::HideFromTracers);
        // An engine without privilege writes the id maps of a process that it can trace, and of no other; in the new
        // user namespace there is nobody else yet.
        let early = !walk.case.maps_without_privilege() && !walk.ordered(hides, enters_further_namespaces);
        walk.count(hides) == 1
            && !early
            && walk.ordered(
                |step| matches!(step, Step::Barrier(Barrier::Mapped)),
                |step| matches!(step, Step::OpenRoot { .. }),
            )
            && walk.ordered(hides, |step| {
                opens_root(step)
                    || is_below_root(step)
                    || attaches(step)
                    || matches!(step, Step::RunHook { .. })
            })
    }),
    // A small pids.max also counts init's helpers.
    ("the cgroup is joined after the last fork", |walk| walk.ordered(forks, attaches)),
    // Its root is where the process is at that moment.
    ("the cgroup is joined before the cgroup namespace is made or joined", |walk| {
        walk.ordered(attaches, |step| match step {
            Step::Unshare { namespaces } => namespaces.contains(Namespaces::CGROUP),
            _ => false,
        })
    }),
    // Inside it takes CAP_SYS_RESOURCE of the first user namespace, which nobody has there.
    ("limits are raised before a user namespace is entered", |walk| {
        walk.ordered(|step| matches!(step, Step::RaiseResourceLimit { .. }), enters_user_namespace)
    }),
    // Dropping from the bounding set takes CAP_SETPCAP, which is gone after the last change; and the change of user would
    // clear what is set before it.
    ("the bounding set is limited, then the user changed, then the capabilities set", |walk| {
        let limited = walk.only(|step| matches!(step, Step::LimitCapabilities { .. }));
        let set = walk.only(|step| matches!(step, Step::SetCapabilities { .. }));
        limited.is_some() && limited < walk.becomes_user() && walk.becomes_user() < set
    }),
    // A cgroup changes them, and none can have what it has not.
    ("CPUs and memory nodes are chosen in the cgroup", |walk| {
        let chooses =
            |step: &Step<'_>| matches!(step, Step::SetCpuAffinity { .. } | Step::SetMemoryPolicy { .. });
        walk.ordered(attaches, chooses) && walk.ordered(forks, chooses)
    }),
    // In a user namespace nobody has the CAP_SYS_NICE that counts; a deadline task cannot fork, and what is reset by a fork
    // would be gone behind one.
    (
        "scheduling is set once: before a user namespace, or behind the last fork while init is privileged",
        |walk| {
            let sets = |step: &Step<'_>| matches!(step, Step::SetScheduler { .. });
            let late = |step: &Step<'_>| match step {
                Step::SetScheduler { policy, flags, .. } => *policy == 6 || flags & 1 == 1,
                _ => false,
            };
            let io = |step: &Step<'_>| matches!(step, Step::SetIoPriority { .. });
            let own = (walk.case.new | walk.case.joined).contains(Namespaces::USER);
            let early = own && walk.case.host.is_privileged();
            let before_user =
                |places: Vec<usize>| places.last().is_none_or(|last| Some(*last) < walk.becomes_user());
            walk.count(sets) == usize::from(walk.case.has("scheduler"))
                && walk.count(io) == usize::from(walk.case.has("ioPriority"))
                && walk.ordered(forks, late)
                && before_user(
                    walk.all(|step| matches!(step, Step::SetScheduler { .. } | Step::SetIoPriority { .. })),
                )
                && (!early || walk.ordered(io, enters_user_namespace))
                && (!early || walk.count(late) == 1 || walk.ordered(sets, enters_user_namespace))
        },
    ),
    ("limits are set while init is privileged", |walk| {
        let last = walk.all(|step| matches!(step, Step::SetResourceLimit { .. })).last().copied();
        last.is_none_or(|last| Some(last) < walk.becomes_user())
    }),
    // A directory that only root may enter, and one that only the user may; the proof (CVE-2024-21626) comes last.
    ("the directory is tried before the change of user, and proven after it", |walk| {
        let tried = walk.only(|step| matches!(step, Step::ChangeDirectory { access: Access::Attempted, .. }));
        let proven = walk.only(|step| matches!(step, Step::ChangeDirectory { access: Access::Required, .. }));
        let set = walk.only(|step| matches!(step, Step::SetCapabilities { .. }));
        tried.is_some() && tried < walk.becomes_user() && set < proven
    }),
    ("the root is entered before the directory is changed to and the user becomes another", |walk| {
        let entered = |step: &Step<'_>| matches!(step, Step::EnterRoot(_));
        walk.ordered(entered, |step| matches!(step, Step::ChangeDirectory { .. }))
            && walk.all(entered).iter().all(|entered| Some(*entered) < walk.becomes_user())
    }),
    // Whether a seccomp filter needs it depends on the capabilities, seccomp(2): it comes when these are set.
    ("no_new_privs is set after the capabilities, and when it is asked for", |walk| {
        let forbids = |step: &Step<'_>| matches!(step, Step::ForbidNewPrivileges);
        walk.count(forbids) == usize::from(walk.case.no_new_privileges)
            && walk.ordered(|step| matches!(step, Step::SetCapabilities { .. }), forbids)
    }),
    // The kernel takes a label from who opened the file alone; a procfs in the container may be none; no_new_privs forbids
    // a change; and whoever creates the container is to hear of a profile that is not there.
    (
        "a label is opened in the host's procfs behind the last fork, and written before no_new_privs",
        |walk| {
            let opens = |step: &Step<'_>| matches!(step, Step::HoldExecLabel { .. });
            let writes = |step: &Step<'_>| matches!(step, Step::SetExecLabel { .. });
            let labelled = usize::from(walk.case.has("apparmorProfile") != walk.case.has("selinuxLabel"));
            walk.count(opens) == labelled
                && walk.count(writes) == labelled
                && walk.ordered(forks, opens)
                && walk.ordered(opens, |step| matches!(step, Step::ReleaseProc))
                && walk.ordered(enters_user_namespace, opens)
                && walk.ordered(opens, is_below_root)
                && walk.ordered(writes, |step| matches!(step, Step::ForbidNewPrivileges))
                && walk.ordered(writes, |step| matches!(step, Step::Barrier(Barrier::Ready)))
        },
    ),
    // It need not allow what init does; and the capability that loading it took must not reach the program.
    // One with a listener comes while the engine is there to hand that on.
    (
        "the filter is loaded last, or last before Ready, and the capability for it given up behind it",
        |walk| {
            let found = walk.all(|step| {
                matches!(
                    step,
                    Step::LoadFilter { .. }
                        | Step::LoadFilterWithListener { .. }
                        | Step::DropCapabilities { .. }
                )
            });
            let expected = match (walk.case.filtered, walk.case.no_new_privileges) {
                (false, _) => 0,
                (true, true) => 1,
                (true, false) => 2,
            };
            let notified = walk.case.notified;
            let end = if notified {
                walk.only(|step| matches!(step, Step::Barrier(Barrier::Ready))).unwrap_or(0)
            } else {
                walk.steps.len() - 1
            };
            found == (end - expected..end).collect::<Vec<_>>()
                && found.first().and_then(|first| walk.steps.get(*first)).is_none_or(|(_, step)| match step {
                    Step::LoadFilter { .. } => !notified,
                    Step::LoadFilterWithListener { .. } => notified,
                    _ => false,
                })
        },
    ),
    ("no descriptor of masu is open in the program", |walk| {
        let closes = |step: &Step<'_>| matches!(step, Step::CloseDescriptors { .. });
        walk.count(closes) == 1 && walk.ordered(|step| matches!(step, Step::RunHook { .. }), closes)
    }),
    // Files of the container get exactly the permissions that a step says.
    ("the process's umask comes after the last file that is made", |walk| {
        let places = walk.all(|step| matches!(step, Step::SetUmask { .. }));
        let own = places.into_iter().find(|place| walk.origin(*place) == "process.user.umask");
        own.is_some() && walk.all(is_below_root).last().copied() < own
    }),
    // What the user may not execute is not found.
    ("the program is looked for as the user, before Ready", |walk| {
        let finds = |step: &Step<'_>| matches!(step, Step::FindProgram { .. });
        walk.count(finds) == 1
            && walk.ordered(|step| matches!(step, Step::SetCapabilities { .. }), finds)
            && walk.ordered(finds, |step| matches!(step, Step::Barrier(Barrier::Ready)))
    }),
];

/// For containers.
const LAWS_OF_CREATE: &[Law] = &[
    ("every namespace that is new is made once, and every one that is joined is joined once", |walk| {
        let made = walk.steps.iter().filter_map(|(_, step)| match step {
            Step::Unshare { namespaces } | Step::Fork { namespaces, .. } => Some(*namespaces),
            _ => None,
        });
        let mut all = walk.plan.clone;
        let mut once = true;
        for namespaces in made {
            once &= !all.intersects(namespaces);
            all |= namespaces;
        }
        let joins = walk.count(|step| matches!(step, Step::JoinNamespaces { .. }));
        once && all == walk.case.new
            && walk.joined() == walk.case.joined
            && joins == walk.case.joined.iter().count()
    }),
    ("the ids are mapped when a user namespace is new, before another user is become in it", |walk| {
        let mapped = |step: &Step<'_>| matches!(step, Step::Barrier(Barrier::Mapped));
        walk.count(mapped) == usize::from(walk.case.new.contains(Namespaces::USER))
            && walk.ordered(mapped, |step| matches!(step, Step::ChangeIdentity(_)))
            && (walk.count(mapped) == 0 || walk.ordered(forks, mapped))
            && walk.plan.id_maps.is_some() == (walk.count(mapped) == 1)
    }),
    // The root of its mqueue would be nobody's.
    ("in a user namespace a new ipc namespace is made by one of its users", |walk| {
        let in_user_namespace = (walk.case.new | walk.case.joined).contains(Namespaces::USER);
        let makes = |step: &Step<'_>| match step {
            Step::Unshare { namespaces } | Step::Fork { namespaces, .. } => {
                namespaces.contains(Namespaces::IPC)
            }
            _ => false,
        };
        let (becomes, makes) = (walk.all(|step| matches!(step, Step::ChangeIdentity(_))), walk.all(makes));
        !in_user_namespace
            || makes.first().is_none_or(|place| becomes.first().is_some_and(|first| first < place))
    }),
    // The clocks of a namespace with a process in it cannot be set, time_namespaces(7).
    ("the clocks of a time namespace are set between its making and the fork that enters it", |walk| {
        let makes = |step: &Step<'_>| match step {
            Step::Unshare { namespaces } => namespaces.contains(Namespaces::TIME),
            _ => false,
        };
        let sets = |step: &Step<'_>| matches!(step, Step::SetTimeOffsets { .. });
        walk.ordered(makes, sets) && walk.ordered(makes, forks) && walk.ordered(sets, forks)
    }),
    // They are those of the namespaces that the process is in.
    ("names and kernel parameters are set when all namespaces are entered", |walk| {
        walk.ordered(enters_namespaces, |step| {
            matches!(
                step,
                Step::SetHostname { .. }
                    | Step::SetDomainname { .. }
                    | Step::WriteSysctl { .. }
                    | Step::JoinKeyring { .. }
            )
        })
    }),
    // Each has its own, down.
    ("the loopback interface is brought up in a network namespace that is new, once", |walk| {
        let is_network = |step: &Step<'_>| {
            matches!(step, Step::Unshare { namespaces } | Step::Fork { namespaces, .. }
                if namespaces.contains(Namespaces::NETWORK))
        };
        let raised = walk.only(|step| matches!(step, Step::RaiseLoopback));
        match walk.only(is_network) {
            Some(made) => raised.is_some_and(|raised| made < raised),
            None => walk.count(|step| matches!(step, Step::RaiseLoopback)) == 0,
        }
    }),
    ("mounts stop travelling to the host before the root is attached", |walk| {
        walk.ordered(
            |step| matches!(step, Step::SetHostPropagation(_)),
            |step| matches!(step, Step::OpenRoot { .. }),
        )
    }),
    // Masks and read-only paths too come before the pivot, not after it as in runc: they are resolved in the root's
    // descriptor, where no symbolic link leads out, and the tree that the process enters is whole.
    ("what lies below the root is made, masked and protected between its opening and its entering", |walk| {
        let enters = |step: &Step<'_>| matches!(step, Step::EnterRoot(_));
        walk.count(opens_root) == 1
            && walk.count(enters) == 1
            && walk.ordered(opens_root, is_below_root)
            && walk.ordered(is_below_root, enters)
    }),
    ("the host's procfs and sysfs are hidden where chroot leaves them below a root of one's own", |walk| {
        let hides = |step: &Step<'_>| matches!(step, Step::HideFromRoot { .. });
        let attached = walk.count(|step| matches!(step, Step::OpenRoot { .. }));
        walk.count(hides) == if walk.case.no_pivot { attached } else { 0 }
            && walk.ordered(is_below_root, hides)
            && walk.ordered(hides, |step| matches!(step, Step::EnterRoot(_)))
    }),
    // A later mount may lie in an earlier one.
    ("mounts come in the order of the configuration", |walk| {
        let mounts = walk.all(|step| matches!(step, Step::Mount { .. }));
        let index = |place: &usize| {
            let origin = walk.origin(*place);
            origin.strip_prefix("mounts[").and_then(|rest| rest.strip_suffix(']')?.parse::<usize>().ok())
        };
        let indices: Vec<usize> = mounts.iter().filter_map(index).collect();
        indices.len() == mounts.len() && indices.is_sorted()
    }),
    // A mask below a mount that comes later would be covered by it, and a device cannot be made on a read-only root.
    ("nothing is mounted, made or run after the first mask or protected path", |walk| {
        let restricts = |step: &Step<'_>| matches!(step, Step::MaskPath { .. } | Step::ProtectPath { .. });
        walk.ordered(
            |step| {
                matches!(
                    step,
                    Step::Mount { .. }
                        | Step::MakeDevice { .. }
                        | Step::MakeDirectory { .. }
                        | Step::StackRoot
                )
            },
            restricts,
        ) && walk.ordered(|step| matches!(step, Step::Barrier(Barrier::Assembled)), restricts)
    }),
    // A mask may lie in a read-only path, and needs a directory to lie on.
    ("read-only paths come before masks, and the read-only root after both", |walk| {
        let protects = |step: &Step<'_>| matches!(step, Step::ProtectPath { .. });
        let masks = |step: &Step<'_>| matches!(step, Step::MaskPath { .. });
        let root = |step: &Step<'_>| match step {
            Step::ProtectMount { path } => path.as_c_str() == c"/",
            _ => false,
        };
        walk.ordered(protects, masks) && walk.ordered(protects, root) && walk.ordered(masks, root)
    }),
    // Init's hooks find them there, and whatever fails before leaves them on the host.
    ("network devices move when the tree is whole, before init's own hooks", |walk| {
        let moves = walk.case.config.pointer("/linux/netDevices").is_some();
        let assembled = |step: &Step<'_>| matches!(step, Step::Barrier(Barrier::Assembled));
        (!moves || walk.count(assembled) == 1)
            && walk.ordered(opens_root, assembled)
            && walk.ordered(assembled, |step| matches!(step, Step::RunHook { .. }))
    }),
    // They make mount points, and join the mount namespace at paths of the host.
    ("hooks see the mounts of the container and the files of the host", |walk| {
        let assembled = |step: &Step<'_>| matches!(step, Step::Barrier(Barrier::Assembled));
        let enters = |step: &Step<'_>| matches!(step, Step::EnterRoot(_));
        walk.ordered(|step| matches!(step, Step::Mount { .. }), assembled) && walk.ordered(assembled, enters)
    }),
    ("the gate stands between Ready and the execve, when there is one", |walk| {
        let waits = |step: &Step<'_>| matches!(step, Step::AwaitStart { .. });
        walk.count(waits) == usize::from(walk.case.gate == Gate::Fifo)
            && walk.ordered(|step| matches!(step, Step::Barrier(Barrier::Ready)), waits)
            && walk.ordered(waits, |step| matches!(step, Step::Execute { .. }))
    }),
    // Its default keyring would be the caller's, with the keys in it.
    ("a container has its own keyring, unless it is told otherwise", |walk| {
        walk.count(|step| matches!(step, Step::JoinKeyring { .. })) == usize::from(!walk.case.no_new_keyring)
    }),
];

/// For further processes.
const LAWS_OF_EXEC: &[Law] = &[
    ("what is not shared with the host is joined, each kind once", |walk| {
        let joins = walk.steps.iter().filter_map(|(_, step)| match step {
            Step::JoinNamespaces { namespaces, .. } => Some(namespaces.iter().count()),
            _ => None,
        });
        let all = walk.case.new | walk.case.joined;
        walk.joined() == all && joins.sum::<usize>() == all.iter().count()
    }),
    // By the time that anything inside can see it, it is a child that cannot be traced.
    ("the pid namespace is joined alone, and then a child goes on", |walk| {
        let joins = walk.steps.iter().position(|(_, step)| match step {
            Step::JoinNamespaces { namespaces, .. } => namespaces.contains(Namespaces::PID),
            _ => false,
        });
        let Some(place) = joins else { return walk.count(forks) == 0 };
        let alone = matches!(
            walk.steps.get(place),
            Some((_, Step::JoinNamespaces { namespaces: Namespaces::PID, .. }))
        );
        alone && matches!(walk.steps.get(place + 1), Some((_, Step::Fork { .. })))
    }),
    ("nothing is made in a container that exists", |walk| {
        walk.count(|step| {
            matches!(
                step,
                Step::Unshare { .. }
                    | Step::Mount { .. }
                    | Step::MakeDevice { .. }
                    | Step::MaskPath { .. }
                    | Step::WriteSysctl { .. }
                    | Step::SetHostname { .. }
                    | Step::JoinKeyring { permissions: 1.., .. }
            )
        }) == 0
            && walk.plan.clone.is_empty()
    }),
];

fn writes_below_proc(step: &Step<'_>) -> bool {
    matches!(step, Step::AdjustOomScore { .. } | Step::WriteSysctl { .. } | Step::SetTimeOffsets { .. })
}

fn enters_namespaces(step: &Step<'_>) -> bool {
    matches!(step, Step::JoinNamespaces { .. } | Step::Unshare { .. } | Step::Fork { .. })
}

/// Those of its birth, to which the new network namespace belongs, have nobody else in them.
fn enters_further_namespaces(step: &Step<'_>) -> bool {
    enters_namespaces(step) && !matches!(step, Step::Unshare { namespaces: Namespaces::NETWORK })
}

fn enters_user_namespace(step: &Step<'_>) -> bool {
    match step {
        Step::JoinNamespaces { namespaces, .. } | Step::Fork { namespaces, .. } => {
            namespaces.contains(Namespaces::USER)
        }
        _ => false,
    }
}

fn forks(step: &Step<'_>) -> bool {
    matches!(step, Step::Fork { .. })
}

fn attaches(step: &Step<'_>) -> bool {
    matches!(step, Step::AttachCgroup { .. })
}

fn opens_root(step: &Step<'_>) -> bool {
    matches!(step, Step::OpenRoot { .. } | Step::OpenRootDirectory { .. })
}

fn is_below_root(step: &Step<'_>) -> bool {
    matches!(
        step,
        Step::Mount { .. }
            | Step::MakeDevice { .. }
            | Step::MakeSymlink { .. }
            | Step::MakeDirectory { .. }
            | Step::MaskPath { .. }
            | Step::ProtectPath { .. }
            | Step::ProtectMount { .. }
            | Step::OpenTerminal { .. }
    )
}

/// Whether the plan obeys, and reads well.
fn obeys(plan: &Plan, case: &Case, laws: &[&[Law]]) -> Result<(), TestCaseError> {
    let walk = Walk::new(plan, case);
    for (sentence, law) in laws.iter().copied().flatten() {
        prop_assert!(law(&walk), "{sentence}: {:#?}", walk.steps);
    }
    let explained = explain_plan(plan, None).expect("explains");
    // Beside the steps and what they want: the clone, two seals, and a cgroup to be born in.
    let own = 3 + usize::from(plan.into_cgroup);
    prop_assert_eq!(explained.steps.len(), plan.wants.len() + own + walk.steps.len());
    for step in explained.steps {
        let sentence = &step.sentence;
        let one =
            sentence.ends_with('.') && !sentence.contains('\n') && sentence.starts_with(char::is_uppercase);
        prop_assert!(one, "{sentence:?}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_of_every_container_obeys_the_laws_of_order(case in case()) {
        let json = case.config.to_string();
        let config = parse_config(json.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error} {json}")))?;
        let mounts = ContainerMounts::default();
        let views = if case.no_pivot { vec!["/proc".to_owned()] } else { Vec::new() };
        let mut input = input(&config, &case.host, &case.hierarchies, &mounts);
        input.unified = case.unified;
        input.gate = case.gate;
        input.no_pivot = case.no_pivot;
        input.host_views = &views;
        input.no_new_keyring = case.no_new_keyring;
        let plan = plan_create(&input).map_err(|error| TestCaseError::fail(format!("{error} {json}")))?;
        prop_assert_eq!(&plan, &plan_create(&input).expect("plans again"), "the plan is pure");
        obeys(&plan, &case, &[LAWS, LAWS_OF_CREATE])?;
    }

    #[test]
    fn the_plan_of_every_further_process_obeys_them_too(case in case()) {
        let json = case.config.to_string();
        let config = parse_config(json.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error} {json}")))?;
        let input = ExecInput {
            process: &config.process,
            host: &case.host,
            namespaces: case.new | case.joined,
            root: (0, 0),
            groups_forbidden: case.host.setgroups_denied,
            seccomp: config.linux.seccomp.as_ref(),
            only_known_calls: false,
            keep_groups: false,
            personality: config.linux.personality,
            memory_policy: config.linux.memory_policy.as_ref(),
            rootfs: "/bundle/rootfs",
            hierarchies: &case.hierarchies,
            unified: case.unified,
            keyring: Some("mydebian"),
            preserve_fds: 0,
        };
        let plan = plan_exec(&input).map_err(|error| TestCaseError::fail(format!("{error} {json}")))?;
        prop_assert_eq!(&plan, &plan_exec(&input).expect("plans again"), "the plan is pure");
        obeys(&plan, &case, &[LAWS, LAWS_OF_EXEC])?;
    }
}
