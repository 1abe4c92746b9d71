//! The commands: one static each, and the list of all.

use crate::option::Opt;
use crate::options::*;

/// One command: a row of the table.
#[derive(Debug)]
pub struct Command {
    /// Which one it is, for an exhaustive `match`.
    pub verb: Verb,
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words without a final period.
    pub purpose: &'static str,
    /// What happens, in a few sentences.
    pub description: &'static str,
    /// The usage lines, each without the name of the program.
    pub usage: &'static [&'static str],
    /// The arguments in their order.
    pub args: &'static [Arg],
    /// The options, `--help` excepted, which every command has.
    pub options: &'static [&'static Opt],
    /// Where options may stand.
    pub order: Order,
    /// One example.
    pub example: Example,
}

/// An argument that is not an option.
#[derive(Debug, Clone, Copy)]
pub struct Arg {
    /// Its name in help texts.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether several may be given; true for the last one only.
    pub repeatable: bool,
}

/// An example: what it shows, and the command line.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What the example does.
    pub text: &'static str,
    /// The command line.
    pub line: &'static str,
}

/// Where the options of a command may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Anywhere; what looks like an option must be one.
    Anywhere,
    /// Anywhere; but after the first argument, what looks like an option and is none is an argument (`kill ID -9`).
    AnywhereOrArgument,
    /// Before the first argument; everything after it is an argument.
    BeforeFirstArgument,
}

/// Which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the command of its name")]
pub enum Verb {
    Create,
    Delete,
    Events,
    Exec,
    Features,
    Kill,
    List,
    Mounts,
    Pause,
    Ps,
    Resume,
    Run,
    Spec,
    Start,
    State,
    Update,
}

/// All commands, in the order of their names.
pub static COMMANDS: &[&Command] = &[
    &CREATE, &DELETE, &EVENTS, &EXEC, &FEATURES, &KILL, &LIST, &MOUNTS, &PAUSE, &PS, &RESUME, &RUN, &SPEC,
    &START, &STATE, &UPDATE,
];

/// Commands that engines call and that are not built yet: using one is an error that says so, where another
/// unknown name would go to masu-tools.
pub static PLANNED_COMMANDS: &[&str] = &["checkpoint", "restore"];

/// A command of masu-tools: what the engine tells of it.
#[derive(Debug, Clone, Copy)]
pub struct CompanionCommand {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words without a final period.
    pub purpose: &'static str,
}

/// The commands of masu-tools that work, in the order of their names.
pub static COMPANION_COMMANDS: &[CompanionCommand] = &[
    CompanionCommand { name: "box", purpose: "Run a program of an image in a container of its own" },
    CompanionCommand { name: "bundle", purpose: "Make bundles from images, for this and any other runtime" },
    CompanionCommand { name: "explain", purpose: "Show how a container would be made, step by step" },
    CompanionCommand { name: "image", purpose: "Fetch images and look after the store of them" },
    CompanionCommand { name: "logs", purpose: "Show what a box in the background has said" },
    CompanionCommand { name: "trace", purpose: "Show what a create, run or exec spends its time on" },
    CompanionCommand {
        name: "wait",
        purpose: "Wait for boxes in the background, and print their exit codes",
    },
];

/// The command of this name.
#[must_use]
pub fn find_command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().copied().find(|command| command.name == name)
}

const NEW_ID: Arg = Arg {
    name: "ID",
    help: "Name for the container, unused under --root: letters, digits and _ + - .",
    required: true,
    repeatable: false,
};
const ID: Arg = Arg { name: "ID", help: "Name of the container", required: true, repeatable: false };

static CREATE: Command = Command {
    verb: Verb::Create,
    name: "create",
    purpose: "Create a container and hold its process back until start",
    description: "Makes namespaces, cgroup and mounts as the bundle's config.json says. The process exists \
                  afterwards, but its program only runs after masu start.",
    usage: &["create [OPTIONS] ID"],
    args: &[NEW_ID],
    options: &[
        &BUNDLE.0,
        &PID_FILE.0,
        &PRESERVE_FDS.0,
        &NO_PIVOT.0,
        &NO_NEW_KEYRING.0,
        &CONSOLE_SOCKET.0,
        &PIDFD_SOCKET.0,
    ],
    order: Order::Anywhere,
    example: Example {
        text: "Create the container web from the bundle in /srv/web",
        line: "masu create --bundle /srv/web web",
    },
};

static START: Command = Command {
    verb: Verb::Start,
    name: "start",
    purpose: "Run the program of a created container",
    description: "Lets the process that masu create made go on to the program of config.json, and returns. \
                  A container can be started once.",
    usage: &["start ID"],
    args: &[ID],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Start the container that masu create made", line: "masu start web" },
};

static RUN: Command = Command {
    verb: Verb::Run,
    name: "run",
    purpose: "Create a container, start it and wait for its end",
    description: "Passes signals on to the container's process, exits with its status (128+N after signal \
                  N), and deletes the container. It takes a bundle, not an image.",
    usage: &["run [OPTIONS] ID"],
    args: &[NEW_ID],
    options: &[
        &BUNDLE.0,
        &DETACH.0,
        &KEEP.0,
        &PID_FILE.0,
        &PRESERVE_FDS.0,
        &NO_SUBREAPER.0,
        &NO_PIVOT.0,
        &NO_NEW_KEYRING.0,
        &CONSOLE_SOCKET.0,
        &PIDFD_SOCKET.0,
    ],
    order: Order::Anywhere,
    example: Example {
        text: "Run the bundle in the current directory under the name web",
        line: "masu run web",
    },
};

static EXEC: Command = Command {
    verb: Verb::Exec,
    name: "exec",
    purpose: "Run one more process inside a running container",
    description: "The process joins the namespaces and the cgroup of the container and gets its environment \
                  and capabilities. Exits with the status of the process, or with 255 when masu itself \
                  fails. Options stand before the ID; what follows it belongs to the command.",
    usage: &["exec [OPTIONS] ID COMMAND [ARG...]", "exec [OPTIONS] --process FILE ID"],
    args: &[
        ID,
        Arg { name: "COMMAND", help: "Program inside the container", required: false, repeatable: false },
        Arg { name: "ARG...", help: "Its arguments", required: false, repeatable: true },
    ],
    options: &[
        &CWD.0,
        &ENV.0,
        &USER.0,
        &ADDITIONAL_GIDS.0,
        &PROCESS.0,
        &DETACH.0,
        &PID_FILE.0,
        &NO_NEW_PRIVS.0,
        &CAP.0,
        &PRESERVE_FDS.0,
        &CGROUP.0,
        &IGNORE_PAUSED.0,
        &TTY.0,
        &CONSOLE_SOCKET.0,
        &PIDFD_SOCKET.0,
        &PROCESS_LABEL.0,
        &APPARMOR.0,
    ],
    order: Order::BeforeFirstArgument,
    example: Example {
        text: "List the processes of the container web as user 1000",
        line: "masu exec --user 1000 web ps aux",
    },
};

static STATE: Command = Command {
    verb: Verb::State,
    name: "state",
    purpose: "Print the state of a container as JSON",
    description: "The status is created, running, paused or stopped; the pid is 0 once it has stopped.",
    usage: &["state ID"],
    args: &[ID],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Show the status and process ID of web", line: "masu state web" },
};

static KILL: Command = Command {
    verb: Verb::Kill,
    name: "kill",
    purpose: "Send a signal to the process of a container",
    description: "KILL ends all processes of a container that shares its pid namespace with others; any \
                  other signal reaches its first process only.",
    usage: &["kill ID [SIGNAL]"],
    args: &[
        ID,
        Arg {
            name: "SIGNAL",
            help: "Name, with or without SIG, or number (default: what the annotation \
                   org.opencontainers.image.stopSignal names, or SIGTERM)",
            required: false,
            repeatable: false,
        },
    ],
    options: &[&ALL.0],
    order: Order::AnywhereOrArgument,
    example: Example { text: "End the container web at once", line: "masu kill web KILL" },
};

static DELETE: Command = Command {
    verb: Verb::Delete,
    name: "delete",
    purpose: "Remove a stopped container and all that it held",
    description: "Removes its cgroup and its state. A container that was created but never started is ended \
                  first; a running one is refused without --force.",
    usage: &["delete [OPTIONS] ID"],
    args: &[ID],
    options: &[&FORCE.0],
    order: Order::Anywhere,
    example: Example {
        text: "Remove the container web, whatever it is doing",
        line: "masu delete --force web",
    },
};

static LIST: Command = Command {
    verb: Verb::List,
    name: "list",
    purpose: "List the containers",
    description: "Shows all containers whose state is under --root, with process ID, status, bundle, time of \
                  creation and owner.",
    usage: &["list [OPTIONS]"],
    args: &[],
    options: &[&FORMAT.0, &QUIET.0],
    order: Order::Anywhere,
    example: Example { text: "List the containers for a program", line: "masu list --format json" },
};

static PS: Command = Command {
    verb: Verb::Ps,
    name: "ps",
    purpose: "List the processes of a container, as this host sees them",
    description: "Runs the host's ps(1) and keeps the lines of the container's processes. The json format is \
                  the plain list of process IDs. Options stand before the ID.",
    usage: &["ps [OPTIONS] ID [PS-OPTION...]"],
    args: &[
        ID,
        Arg {
            name: "PS-OPTION...",
            help: "Options for ps(1) (default: -ef)",
            required: false,
            repeatable: true,
        },
    ],
    options: &[&FORMAT.0],
    order: Order::BeforeFirstArgument,
    example: Example { text: "Show the processes of web in ps's BSD style", line: "masu ps web aux" },
};

static EVENTS: Command = Command {
    verb: Verb::Events,
    name: "events",
    purpose: "Print what a container uses, again and again, and when it runs out of memory",
    description: "One JSON object a line: \"stats\" with the figures of the container's cgroup every \
                  --interval, and \"oom\" as soon as the kernel kills a process for want of memory. Ends with \
                  the container.",
    usage: &["events [OPTIONS] ID"],
    args: &[ID],
    options: &[&INTERVAL.0, &STATS.0],
    order: Order::Anywhere,
    example: Example { text: "Print one sample of the container web", line: "masu events --stats web" },
};

static MOUNTS: Command = Command {
    verb: Verb::Mounts,
    name: "mounts",
    purpose: "Add mounts to a container that is there, or remove them",
    description: "FILE is a JSON list in the form of mounts in config.json. add makes them all, or none. remove \
                  needs their destinations alone; it follows no symbolic links, and takes the last one away first.",
    usage: &["mounts add ID FILE", "mounts remove ID FILE"],
    args: &[
        Arg { name: "add|remove", help: "What to do", required: true, repeatable: false },
        ID,
        Arg { name: "FILE", help: "The mounts", required: true, repeatable: false },
    ],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Mount what data.json says in web", line: "masu mounts add web data.json" },
};

static PAUSE: Command = Command {
    verb: Verb::Pause,
    name: "pause",
    purpose: "Stop all processes of a container until resume",
    description: "The freezer of the container's cgroup stops them, whatever they do; they do not notice.",
    usage: &["pause ID"],
    args: &[ID],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Pause the container web", line: "masu pause web" },
};

static RESUME: Command = Command {
    verb: Verb::Resume,
    name: "resume",
    purpose: "Let the processes of a paused container run again",
    description: "The opposite of masu pause.",
    usage: &["resume ID"],
    args: &[ID],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Let the container web go on", line: "masu resume web" },
};

static SPEC: Command = Command {
    verb: Verb::Spec,
    name: "spec",
    purpose: "Write a config.json to start from",
    description: "It runs sh on a read-only root filesystem in the directory rootfs beside it. An existing \
                  config.json is never overwritten.",
    usage: &["spec [OPTIONS]"],
    args: &[],
    options: &[&BUNDLE.0, &SPEC_ROOTLESS.0],
    order: Order::Anywhere,
    example: Example {
        text: "Make a bundle of a root filesystem in /srv/web/rootfs",
        line: "masu spec --bundle /srv/web",
    },
};

static UPDATE: Command = Command {
    verb: Verb::Update,
    name: "update",
    purpose: "Change the resource limits of a container",
    description: "Takes effect at once, also while the container runs. Limits that are not named stay as they \
                  are. Sizes are in bytes, or with a suffix k, m or g (powers of 1024).",
    usage: &["update [OPTIONS] ID", "update --resources FILE ID"],
    args: &[ID],
    options: &[
        &RESOURCES.0,
        &MEMORY.0,
        &MEMORY_RESERVATION.0,
        &MEMORY_SWAP.0,
        &PIDS_LIMIT.0,
        &CPU_QUOTA.0,
        &CPU_PERIOD.0,
        &CPU_BURST.0,
        &CPU_SHARE.0,
        &CPU_IDLE.0,
        &CPU_RT_RUNTIME.0,
        &CPU_RT_PERIOD.0,
        &CPUSET_CPUS.0,
        &CPUSET_MEMS.0,
        &BLKIO_WEIGHT.0,
        &KERNEL_MEMORY.0,
        &KERNEL_MEMORY_TCP.0,
        &L3_CACHE_SCHEMA.0,
        &MEM_BW_SCHEMA.0,
    ],
    order: Order::Anywhere,
    example: Example {
        text: "Allow the container web 512 MiB of memory and one and a half CPUs",
        line: "masu update --memory 512m --cpu-period 100000 --cpu-quota 150000 web",
    },
};

static FEATURES: Command = Command {
    verb: Verb::Features,
    name: "features",
    purpose: "Print what this masu can do as JSON",
    description: "The features structure of the OCI runtime specification: namespaces, capabilities, mount \
                  options, cgroups and so on. What is not in it does not work.",
    usage: &["features"],
    args: &[],
    options: &[],
    order: Order::Anywhere,
    example: Example { text: "Show the features", line: "masu features" },
};
