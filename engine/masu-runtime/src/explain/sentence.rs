//! The sentences: one for each step, in one table. The subject of all of them is who takes the step.

use alloc::{format, string::String, vec::Vec};

use masu_program::{
    Access, Barrier, CText, CopyUp, DeviceSource, Entry, Fd, FileKind, Identity, Namespaces, Propagation,
    Source, Step, Texts,
};
use masu_spec::{HookKind, Hooks, NamespaceKind, NetDevice};

use super::{
    wanted,
    words::{self, capabilities, limit, list, quoted},
};
use crate::plan::{IdMap, MapWriter, Plan, TreeIdMap, TreeIds, TreePropagation, Want};

/// Name and sentence for what the engine opens.
pub(super) fn of_want(want: &Want) -> (&'static str, String) {
    match want {
        Want::Proc => ("OpenProc", "Opens the host's /proc, proven to be a procfs.".into()),
        Want::Namespace { path } => ("OpenNamespace", format!("Opens the namespace {path:?}.")),
        Want::Process => ("OpenProcess", "Opens the container's process, to join its namespaces.".into()),
        Want::Tasks { hierarchy } => {
            ("OpenTasks", format!("Opens the cgroup in the hierarchy {hierarchy} for the process to join."))
        }
        Want::UnifiedCgroup => (
            "OpenUnifiedCgroup",
            "Opens the cgroup in the unified hierarchy for the process to start in.".into(),
        ),
        Want::Tree { path, recursive, propagation, only_procfs, id_map } => {
            let below = if *recursive { " with all mounts below it" } else { "" };
            let apart = if *propagation != TreePropagation::Slave {
                ""
            } else {
                ", so that no later mount gets from it to the host"
            };
            let proven = if *only_procfs { "; it has to be a procfs" } else { "" };
            let mapped = id_map.as_ref().map(of_id_map).unwrap_or_default();
            ("CloneTree", format!("Clones the host's {path:?}{below}{apart}{proven}{mapped}."))
        }
        Want::Device { path, number: (major, minor) } => {
            ("CloneDevice", format!("Clones the host's device node {path:?}, proven to be {major}:{minor}."))
        }
        Want::Output { path } => {
            ("OpenOutput", format!("Opens {path:?}, to which what a hook says is appended."))
        }
        Want::Fifo => {
            ("MakeFifo", "Makes the fifo through which masu start lets the container begin.".into())
        }
    }
}

/// Through which ids the owners of a tree's files are seen. The ranges are those on the disk.
fn of_id_map(id_map: &TreeIdMap) -> String {
    let reach = if id_map.recursive { "there and below" } else { "there" };
    match &id_map.ids {
        TreeIds::Own { uid, gid } => {
            format!("; files {reach} get other owners: users {}, groups {}", ranges(uid), ranges(gid))
        }
        TreeIds::Namespace { path } => {
            format!("; files {reach} get other owners, by the ids of the user namespace {path:?}")
        }
    }
}

/// The sentence for the engine's clone3.
pub(super) fn of_clone(plan: &Plan) -> String {
    let namespaces = match plan.clone {
        none if none.is_empty() => "in the engine's namespaces".into(),
        new => format!("in {}", new_namespaces(new)),
    };
    let cgroup = if plan.into_cgroup { ", inside its cgroup of the unified hierarchy" } else { "" };
    format!("Makes the container's process {namespaces}{cgroup}; it executes masu-init at once.")
}

/// The sentence for a step of init.
#[expect(clippy::too_many_lines, reason = "a flat table, a line or two for each step")]
pub(super) fn of_step(plan: &Plan, step: &Step<'_>) -> String {
    match *step {
        Step::AwaitProgram => {
            "Waits for the rest of these steps, and what they need from the host: the engine makes the cgroup meanwhile.".into()
        }
        Step::HoldProc { .. } => "Keeps the host's /proc open for the steps that write below it.".into(),
        Step::ReleaseProc => {
            "Closes the host's /proc, so that nothing of the host is open when paths of the container are walked."
                .into()
        }
        Step::HoldExecLabel { path } => format!(
            "Opens /proc/{} for the label of the program, in the host's procfs.",
            words::plain(path.as_c_str().to_bytes())
        ),
        Step::AdjustOomScore { score } => {
            let score = words::plain(score.as_c_str().to_bytes());
            format!("Sets its oom_score_adj to {score}: the higher, the sooner it is killed when memory is short.")
        }
        Step::JoinNamespaces { fd, namespaces } => join(plan, fd, namespaces),
        Step::Unshare { namespaces } => format!("Leaves for {}.", new_namespaces(namespaces)),
        Step::SetTimeOffsets { offsets } => {
            let lines = String::from_utf8_lossy(offsets.as_c_str().to_bytes()).trim_end().replace('\n', ", ");
            format!("Sets the clocks of the new time namespace: {lines} (seconds and nanoseconds).")
        }
        Step::Fork { namespaces, cgroup } => fork(namespaces, cgroup.is_some()),
        Step::Barrier(barrier) => at_barrier(plan, barrier),
        Step::AttachCgroup { tasks } => match wanted(plan, tasks) {
            Some(Want::Tasks { hierarchy }) => format!("Joins the container's cgroup in the hierarchy {hierarchy}."),
            _ => "Joins the container's cgroup.".into(),
        },
        Step::ChangeIdentity(identity) => change_identity(&identity),
        Step::HideFromTracers => {
            "Makes itself undumpable: nothing in the container can trace it or read its descriptors.".into()
        }
        Step::RaiseLoopback => "Brings up the loopback interface of the new network namespace.".into(),
        Step::SetHostname { name } => format!("Sets the hostname to {}.", quoted(name)),
        Step::SetDomainname { name } => format!("Sets the domain name to {}.", quoted(name)),
        Step::WriteSysctl { path, value } => {
            let path = words::plain(path.as_c_str().to_bytes());
            let what = if path.starts_with("sys/") { "kernel parameter" } else { "label in" };
            format!("Sets the {what} /proc/{path} to {}.", quoted(value))
        }
        Step::JoinKeyring { name, .. } => {
            format!("Joins a new session keyring, {}: the caller's keys stay outside.", quoted(name))
        }
        Step::SetHostPropagation(propagation) => {
            format!("Makes {}, so that the mounts to come stay in the container.", propagates(propagation))
        }
        Step::OpenRoot { source, place } => open_root(plan, &source, place),
        Step::HideFromRoot { path } => {
            format!("Detaches or covers the host's {}, which chroot leaves below the root.", quoted(path))
        }
        Step::StackRoot => "Moves the root on top of /: no hook needs it at its own path any more.".into(),
        Step::RunHook { path, timeout, .. } => run_hook(path, timeout),
        Step::OpenRootDirectory { path } => {
            format!("Takes the directory {} as the root of all paths below.", quoted(path))
        }
        Step::Mount { .. } | Step::MountCopy { .. } => mount(plan, step),
        Step::Unmount { path } => format!("Takes the mount on {} away.", quoted(path)),
        Step::ChangeMount { .. } => change_mount(step),
        Step::MakeDevice { .. } => make_device(step),
        Step::MakeSymlink { target, path, replace } => {
            let there = if replace { ", in place of what is there" } else { ", unless there is one" };
            format!("Makes the symbolic link {} to {}{there}.", quoted(path), quoted(target))
        }
        Step::MakeDirectory { path } => format!("Makes the directory {}, unless there is one.", quoted(path)),
        Step::SetFileLabel { path, label } => {
            format!("Sets the SELinux label of {} to {}.", quoted(path), quoted(label))
        }
        Step::MaskPath { path, .. } => {
            format!("Hides {}, if there is one, below an empty directory or /dev/null.", quoted(path))
        }
        Step::ProtectPath { path } => {
            format!("Makes {}, if there is one, read-only with all that is below.", quoted(path))
        }
        Step::ProtectMount { path } => format!("Makes the mount on {} read-only.", quoted(path)),
        Step::OpenTerminal { uid, size } => {
            let size = size.map(|(rows, columns)| format!(", {rows} rows of {columns}"));
            let size = size.unwrap_or_default();
            format!("Makes a terminal{size} in the container's /dev/pts for user {uid}, and sends its master out.")
        }
        Step::MountConsole => "Mounts the terminal on /dev/console.".into(),
        Step::TakeTerminal => "Takes the terminal for its session and for its three standard streams.".into(),
        Step::EnterRoot(Entry::Pivot) => {
            "Makes the root its / with pivot_root and detaches the host's tree: nothing of it is in reach.".into()
        }
        Step::EnterRoot(Entry::Chroot) => "Makes the root its / with chroot.".into(),
        Step::SetRootPropagation(propagation) => format!("Makes {}.", propagates(propagation)),
        Step::RaiseResourceLimit { resource, soft, hard } => {
            let (name, soft, hard) = (words::resource(resource), limit(soft), limit(hard));
            format!("Raises {name} to at least {soft} (hard: {hard}) while it has the engine's privileges.")
        }
        Step::SetResourceLimit { resource, soft, hard } => {
            let (name, soft, hard) = (words::resource(resource), limit(soft), limit(hard));
            format!("Sets {name} to {soft} (hard: {hard}).")
        }
        Step::SetCpuAffinity { cpus: None } => {
            "Gives up the CPUs that masu's caller was confined to: it runs on all that its cgroup has.".into()
        }
        Step::SetCpuAffinity { cpus: Some(cpus) } => format!("Runs on the CPUs {} alone.", words::numbers(cpus)),
        Step::SetScheduler { .. } => set_scheduler(step),
        Step::SetIoPriority { value } => {
            let class = ["none", "real-time", "best-effort", "idle"].get(usize::from(value >> 13));
            format!("Sets its I/O priority to class {}, {}.", class.unwrap_or(&"unknown"), value & 0x1fff)
        }
        Step::SetMemoryPolicy { mode, nodes } => words::memory_policy(mode, nodes),
        Step::SetPersonality { domain: 0 } => "Sets its execution domain to Linux's own.".into(),
        Step::SetPersonality { .. } => "Sets its execution domain to 32-bit Linux: uname tells of such a machine.".into(),
        Step::SetUmask { mask } => format!("Sets the umask to {mask:04o}."),
        Step::ChangeDirectory { path, access: Access::Attempted } => {
            format!("Changes to the directory {}; if it may not, the container's user tries below.", quoted(path))
        }
        Step::ChangeDirectory { path, access: Access::Required } => {
            format!("Changes to the directory {} if the first try failed, and proves that it is inside the root.", quoted(path))
        }
        Step::LimitCapabilities { bounding } => {
            format!("Gives up for good every capability but these (bounding set): {}.", capabilities(bounding))
        }
        Step::SetCapabilities { .. } => set_capabilities(step),
        Step::SetExecLabel { label } => {
            let label = words::plain(label.as_c_str().to_bytes());
            match label.strip_prefix("exec ") {
                Some(profile) => format!("Lets the program run under the AppArmor profile {profile:?}."),
                None => format!("Lets the program run under the SELinux label {label:?}."),
            }
        }
        Step::ForbidNewPrivileges => {
            "Sets no_new_privs: no set-user-ID program gives more privileges from here on.".into()
        }
        Step::FindHome { uid } => {
            format!("Reads the home directory of user {uid} from the container's /etc/passwd for HOME.")
        }
        Step::FindProgram { programs } => find_program(programs),
        Step::AwaitStart { .. } => "Waits for masu start.".into(),
        Step::CloseDescriptors { preserve: 0 } => {
            "Lets every descriptor but the standard streams end with the exec.".into()
        }
        Step::CloseDescriptors { preserve } => {
            format!("Lets every descriptor end with the exec but the standard streams and the {preserve} after them.")
        }
        Step::ResetSignals => "Gives the signals back: none is blocked, none ignored.".into(),
        Step::LoadFilter { program, flags } => {
            let flags = if flags == 0 { String::new() } else { format!(", with the flags {flags:#x}") };
            let instructions = program.len() / masu_seccomp::INSTRUCTION_SIZE;
            format!("Filters system calls from here on: a program of {instructions} instructions{flags}.")
        }
        Step::LoadFilterWithListener { program, flags } => {
            let flags = if flags == 0 { String::new() } else { format!(", with the flags {flags:#x}") };
            let instructions = program.len() / masu_seccomp::INSTRUCTION_SIZE;
            format!(
                "Filters system calls from here on: a program of {instructions} instructions{flags}; masu hands its \
                 listener to linux.seccomp.listenerPath."
            )
        }
        Step::DropCapabilities { .. } => "Gives up CAP_SYS_ADMIN, which loading the filter took.".into(),
        Step::Execute { arguments, environment } => execute(arguments, environment),
    }
}

/// `new pid and mount namespaces`
fn new_namespaces(namespaces: Namespaces) -> String {
    let kinds = NamespaceKind::ALL.into_iter().filter(|kind| namespaces.bits() & kind.clone_flag() != 0);
    let names: Vec<String> = kinds.map(|kind| kind.name().into()).collect();
    match names.as_slice() {
        [one] => format!("a new {one} namespace"),
        many => format!("new namespaces ({})", list(many)),
    }
}

fn join(plan: &Plan, fd: Fd, namespaces: Namespaces) -> String {
    let names = crate::message::namespace_names(namespaces);
    match wanted(plan, fd) {
        Some(Want::Namespace { path }) => format!("Joins {names} at {path:?}."),
        _ => format!("Joins {names} of the container."),
    }
}

/// The barrier `Ready` of a container whose process goes to a cgroup below its own.
pub(super) fn of_ready_to_move(path: &str) -> String {
    format!(
        "Waits until masu has moved it into the cgroup {path:?}, given that the controllers, and written the container's \
         state and the pid file."
    )
}

fn fork(namespaces: Namespaces, cgroup: bool) -> String {
    let new = match namespaces {
        none if none.is_empty() => String::new(),
        new => format!(", in {}", new_namespaces(new)),
    };
    let cgroup = if cgroup { ", inside the container's cgroup of the unified hierarchy" } else { "" };
    format!("Goes on in a child{new}{cgroup}; the process so far ends.")
}

fn at_barrier(plan: &Plan, barrier: Barrier) -> String {
    match barrier {
        Barrier::Mapped => {
            let Some(maps) = &plan.id_maps else { return "Waits until masu has mapped its users.".into() };
            let by = |map: &IdMap, program| match map.writer {
                MapWriter::Engine => ranges(&map.lines),
                MapWriter::Program => format!("{}, by {program}", ranges(&map.lines)),
            };
            let (users, groups) = (by(&maps.uid, "newuidmap"), by(&maps.gid, "newgidmap"));
            let denied = if maps.deny_setgroups { ", and has forbidden setgroups" } else { "" };
            format!("Waits until masu has mapped its users ({users}) and groups ({groups}){denied}.")
        }
        Barrier::Assembled => {
            "Waits until masu has run the prestart and createRuntime hooks and moved network devices.".into()
        }
        Barrier::Ready => "Waits until masu has written the container's state and the pid file.".into(),
    }
}

/// The sentence for the barrier at which the engine runs hooks and moves network devices.
pub(super) fn of_assembled(hooks: &Hooks<'_>, devices: &[NetDevice<'_>]) -> String {
    let mut done = Vec::new();
    let run = [HookKind::Prestart, HookKind::CreateRuntime].into_iter().flat_map(|kind| hooks.of(kind));
    let paths: Vec<String> = run.map(|hook| format!("{:?}", hook.path.as_str())).collect();
    if !paths.is_empty() {
        let noun = if paths.len() == 1 { "hook" } else { "hooks" };
        done.push(format!("run the {noun} {}", list(&paths)));
    }
    if !devices.is_empty() {
        let moved = devices.iter().map(|device| match &device.name {
            Some(name) => format!("{} (as {name})", &*device.host_name),
            None => device.host_name.as_str().into(),
        });
        let noun = if devices.len() == 1 { "device" } else { "devices" };
        let moved = list(&moved.collect::<Vec<_>>());
        done.push(format!("moved the network {noun} {moved} in, with addresses, and brought up"));
    }
    format!("Waits until masu has {}.", done.join(" and "))
}

fn open_root(plan: &Plan, source: &Source<'_>, place: CText<'_>) -> String {
    let where_hooks_look = match place.as_c_str() {
        top if top == c"/" => String::new(),
        _ => format!(" at {}, where hooks find it,", quoted(place)),
    };
    format!("Attaches {}{where_hooks_look} as the root of all paths below.", tree(plan, source))
}

fn run_hook(path: CText<'_>, timeout: Option<u32>) -> String {
    let limit = timeout.map_or_else(String::new, |seconds| format!(", at most {seconds} s"));
    format!(
        "Runs the hook {} with the container's state as its input, and waits for its end{limit}.",
        quoted(path)
    )
}

/// `0-65535 are 100000-165535 outside`
fn ranges(map: &str) -> String {
    let ranges = map.lines().map(|line| {
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        let (inside, outside, size) = (next(), next(), next());
        let range = |first: u64| match size {
            0 | 1 => format!("{first}"),
            size => format!("{first}-{}", first + size - 1),
        };
        let are = if size > 1 { "are" } else { "is" };
        format!("{} {are} {} outside", range(inside), range(outside))
    });
    list(&ranges.collect::<Vec<_>>())
}

fn change_identity(identity: &Identity<'_>) -> String {
    let groups = match identity.groups {
        None => ", keeping its further groups".into(),
        Some([]) => " with no further groups".into(),
        Some(bytes) => {
            let groups = bytes.as_chunks().0.iter().map(|group| format!("{}", u32::from_ne_bytes(*group)));
            format!(" with the further groups {}", list(&groups.collect::<Vec<_>>()))
        }
    };
    format!("Becomes user {} and group {}{groups}.", identity.uid, identity.gid)
}

fn propagates(propagation: Propagation) -> String {
    let which = if propagation.recursive { "/ and all mounts below it" } else { "/" };
    format!("{which} {}", words::propagation(propagation).trim_start_matches('r'))
}

fn tree(plan: &Plan, source: &Source<'_>) -> String {
    match source {
        Source::Tree { fd } => match wanted(plan, *fd) {
            Some(Want::Tree { path, .. }) => format!("the clone of {path:?}"),
            _ => "the clone".into(),
        },
        Source::Path { path, recursive } => {
            let below = if *recursive { " with all mounts below it" } else { "" };
            format!("the host's {}{below}", quoted(*path))
        }
        Source::Filesystem { kind, .. } => format!("a new {}", words::plain(kind.as_c_str().to_bytes())),
        Source::FilesystemOr { kind, instead, .. } => {
            let kind = words::plain(kind.as_c_str().to_bytes());
            format!(
                "a new {kind}, or where the kernel refuses it the host's {} with all mounts below it",
                quoted(*instead)
            )
        }
    }
}

fn mount(plan: &Plan, step: &Step<'_>) -> String {
    let (source, path, attributes, recursive, propagation, copy) = match step {
        Step::Mount { source, target, attributes, recursive, propagation } => {
            (source, target.path, attributes, recursive, propagation, "")
        }
        Step::MountCopy { source, path, what, attributes, recursive, propagation } => {
            let copy = match what {
                CopyUp::Content | CopyUp::Directory => ", filled with a copy of what is there",
                CopyUp::Permissions => ", with the permissions of a directory that is there",
            };
            (source, *path, attributes, recursive, propagation, copy)
        }
        _ => return String::new(),
    };
    let mut options = words::attributes(*attributes, "");
    options.extend(words::attributes(*recursive, "r"));
    options.extend(propagation.iter().flatten().map(|change| words::propagation(*change).into()));
    if let Source::Filesystem { flags, parameters, .. } | Source::FilesystemOr { flags, parameters, .. } =
        source
    {
        options.extend(words::parameters(*flags, *parameters));
    }
    let options = if options.is_empty() { String::new() } else { format!(" ({})", options.join(", ")) };
    format!("Mounts {} on {}{options}{copy}.", tree(plan, source), quoted(path))
}

fn change_mount(step: &Step<'_>) -> String {
    let Step::ChangeMount { path, flags, parameters, attributes, recursive, propagation } = step else {
        return String::new();
    };
    let mut options = words::attributes(*attributes, "");
    options.extend(words::attributes(*recursive, "r"));
    options.extend(propagation.iter().flatten().map(|change| words::propagation(*change).into()));
    options.extend(words::parameters(*flags, *parameters));
    format!("Changes the mount on {}: {}.", quoted(*path), options.join(", "))
}

fn make_device(step: &Step<'_>) -> String {
    let Step::MakeDevice { path, kind, mode, number: (major, minor), owner: (uid, gid), source } = step
    else {
        return String::new();
    };
    let kind = match kind {
        FileKind::Character => format!("the character device {major}:{minor}"),
        FileKind::Block => format!("the block device {major}:{minor}"),
        FileKind::Fifo => "a fifo".into(),
    };
    match source {
        DeviceSource::Node => {
            let owner =
                if (*uid, *gid) == (0, 0) { String::new() } else { format!(", owned by {uid}:{gid}") };
            format!("Makes {} {kind}, with mode {mode:04o}{owner}.", quoted(*path))
        }
        DeviceSource::Tree(_) => format!("Mounts the clone of the host's {kind} on {}.", quoted(*path)),
        DeviceSource::Path(from) => {
            format!("Mounts the host's {}, {kind}, on {}.", quoted(*from), quoted(*path))
        }
    }
}

fn set_capabilities(step: &Step<'_>) -> String {
    let &Step::SetCapabilities { effective, permitted, inheritable, ambient } = step else {
        return String::new();
    };
    let mut sets: Vec<(&str, u64)> = [("effective", effective), ("permitted", permitted)].into();
    sets.extend([("inheritable", inheritable), ("ambient", ambient)]);
    // Sets that are alike are told once, in the order in which they first come.
    let mut told: Vec<(Vec<String>, u64)> = Vec::new();
    for (name, set) in sets {
        match told.iter_mut().find(|(_, known)| *known == set) {
            Some((names, _)) => names.push(name.into()),
            None => told.push(([name.into()].into(), set)),
        }
    }
    let told = told.iter().map(|(names, set)| format!("{}: {}", list(names), capabilities(*set)));
    format!("Sets its capabilities; {}.", told.collect::<Vec<_>>().join("; "))
}

fn set_scheduler(step: &Step<'_>) -> String {
    let &Step::SetScheduler { policy, flags, nice, priority, times: (runtime, deadline, period) } = step
    else {
        return String::new();
    };
    let flags = if flags == 0 { String::new() } else { format!(", with the flags {flags:#x}") };
    let parameters = match policy {
        1 | 2 => format!("priority {priority}"),
        6 => format!("{runtime} ns within {deadline} ns, every {period} ns"),
        _ => format!("nice {nice}"),
    };
    let policies = ["other", "fifo", "rr", "batch", "iso", "idle", "deadline"];
    let policy = usize::try_from(policy).ok().and_then(|policy| policies.get(policy)).unwrap_or(&"unknown");
    format!("Sets its scheduling policy to {policy}, {parameters}{flags}.")
}

fn find_program(programs: Texts<'_>) -> String {
    let programs: Vec<String> = programs.map(|program| quoted(CText::new(program))).collect();
    match programs.as_slice() {
        [one] => format!("Makes sure that {one} is there and may be executed."),
        many => format!("Takes the first of these that is there and may be executed: {}.", many.join(", ")),
    }
}

fn execute(arguments: Texts<'_>, environment: Texts<'_>) -> String {
    let variables = match environment.len() {
        1 => "1 variable".into(),
        count => format!("{count} variables"),
    };
    format!("Becomes {}, with {variables} in its environment.", words::command(arguments))
}
