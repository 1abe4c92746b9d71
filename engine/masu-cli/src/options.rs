//! The options: one static each, shared by all commands that take it.

use crate::option::{Duration, Kind, Number, Numbers, Opt, Size, Switch, Text, Texts};

const NATURAL: Kind = Kind::Number { min: 0, max: i64::MAX };
const INTEGER: Kind = Kind::Number { min: i64::MIN, max: i64::MAX };
const FORMATS: Kind = Kind::Choice { works: &["table", "json"], planned: &[] };

/// The options before the command. `--help` belongs to every list and is in none.
pub static GLOBAL: &[&Opt] = &[
    &ROOT.0,
    &LOG.0,
    &LOG_FORMAT.0,
    &DEBUG.0,
    &ROOTLESS.0,
    &CGROUP_MANAGER.0,
    &SYSTEMD_CGROUP.0,
    &VERSION.0,
];

/// `-h`, `--help`: before the command and among the options of every command.
pub static HELP: Switch = Switch(Opt::switch("help", "Print this help").short('h'));
/// `-v`, `--version`.
pub static VERSION: Switch =
    Switch(Opt::switch("version", "Print the versions of masu and of the specification").short('v'));
/// `--root DIR`: where the state of the containers is kept. Empty is refused: falling back to the default, or to
/// the working directory as runc does, would act on other containers than those that were meant.
pub static ROOT: Text = Text(
    Opt::new(
        Kind::Nonempty,
        "root",
        "DIR",
        "Directory that keeps the state of the containers; should be on a tmpfs, so that it ends with the boot",
    )
    .default_described("/run/masu, or $XDG_RUNTIME_DIR/masu for an ordinary user"),
);
/// `--log PATH`.
pub static LOG: Text = Text(
    Opt::text("log", "PATH", "Append messages to this file instead of printing them")
        .default_described("standard error"),
);
/// `--log-format text|json`.
pub static LOG_FORMAT: Text = Text(
    Opt::new(
        Kind::Choice { works: &["text", "json"], planned: &[] },
        "log-format",
        "FORMAT",
        "How messages are written: text, or json with one object per line",
    )
    .default_value("text"),
);
/// `--debug`.
pub static DEBUG: Switch =
    Switch(Opt::switch("debug", "Log what is being done as well, not only what failed"));
/// `--systemd-cgroup`.
pub static SYSTEMD_CGROUP: Switch = Switch(Opt::switch(
    "systemd-cgroup",
    "Let systemd make the cgroup; cgroupsPath is then SLICE:PREFIX:NAME, as in system.slice:masu:web",
));
/// `--rootless true|false|auto`.
pub static ROOTLESS: Text = Text(
    Opt::new(
        Kind::BoolOrAuto,
        "rootless",
        "WHEN",
        "Whether a cgroup that may not be made or written is no error: true, false or auto, which means \
         true for an ordinary user and inside a user namespace",
    )
    .default_value("auto"),
);
/// `--cgroup-manager cgroupfs|systemd|disabled`, from crun.
pub static CGROUP_MANAGER: Text = Text(
    Opt::new(
        Kind::Choice { works: &["cgroupfs", "systemd", "disabled"], planned: &[] },
        "cgroup-manager",
        "NAME",
        "Who makes the cgroup: cgroupfs (masu itself), systemd (as --systemd-cgroup), or disabled (nobody: \
         no limits, and the container stays in the cgroup of its caller)",
    )
    .default_value("cgroupfs"),
);

/// `-b`, `--bundle DIR`.
pub static BUNDLE: Text = Text(
    Opt::text("bundle", "DIR", "Directory of the bundle, which holds config.json")
        .short('b')
        .default_described("the current directory"),
);
/// `--rootless` of `spec`.
pub static SPEC_ROOTLESS: Switch =
    Switch(Opt::switch("rootless", "Write a configuration that an ordinary user can run"));
/// `--console-socket PATH`.
pub static CONSOLE_SOCKET: Text = Text(Opt::text(
    "console-socket",
    "PATH",
    "Unix socket that receives the master side of the container's terminal",
));
/// `--pidfd-socket PATH`.
pub static PIDFD_SOCKET: Text =
    Text(Opt::text("pidfd-socket", "PATH", "Unix socket that receives a pidfd of the process"));
/// `--pid-file PATH`.
pub static PID_FILE: Text =
    Text(Opt::text("pid-file", "PATH", "Write the process ID, as this host sees it, to this file"));
/// `--no-pivot`.
pub static NO_PIVOT: Switch = Switch(Opt::switch(
    "no-pivot",
    "Change the root by moving a mount, not by pivot_root, which a root on a ramdisk does not allow; the old \
     root is then less well hidden",
));
/// `--no-new-keyring`.
pub static NO_NEW_KEYRING: Switch = Switch(Opt::switch(
    "no-new-keyring",
    "Keep the caller's session keyring, with the keys in it, instead of a new and empty one",
));
/// `--preserve-fds N`.
pub static PRESERVE_FDS: Number = Number(
    Opt::new(
        NATURAL,
        "preserve-fds",
        "N",
        "Pass N open file descriptors to the process, those after standard error",
    )
    .default_value("0"),
);
/// `-d`, `--detach`.
pub static DETACH: Switch = Switch(
    Opt::switch("detach", "Return as soon as the process runs, instead of waiting for its end").short('d'),
);
/// `--keep`.
pub static KEEP: Switch =
    Switch(Opt::switch("keep", "Keep the container when its process has ended, until masu delete"));
/// `--no-subreaper`.
pub static NO_SUBREAPER: Switch = Switch(Opt::switch(
    "no-subreaper",
    "Leave processes that lose their parent to the host's init, instead of collecting them here",
));

/// `--cwd DIR`.
pub static CWD: Text = Text(
    Opt::text("cwd", "DIR", "Working directory inside the container")
        .default_described("process.cwd of the container"),
);
/// `-e`, `--env NAME=VALUE`.
pub static ENV: Texts = Texts(
    Opt::text("env", "NAME=VALUE", "Set an environment variable, besides those of the container")
        .short('e')
        .repeatable(),
);
/// `-t`, `--tty`.
pub static TTY: Switch = Switch(Opt::switch("tty", "Give the process a terminal of its own").short('t'));
/// `-u`, `--user UID[:GID]`.
pub static USER: Text = Text(
    Opt::text("user", "UID[:GID]", "User and group, as numbers, that the process runs as")
        .short('u')
        .default_described("process.user of the container"),
);
/// `-g`, `--additional-gids GID`.
pub static ADDITIONAL_GIDS: Numbers = Numbers(
    Opt::new(
        Kind::Number { min: 0, max: u32::MAX as i64 },
        "additional-gids",
        "GID",
        "Add a group, as a number, besides the groups of the container's process",
    )
    .short('g')
    .repeatable(),
);
/// `-p`, `--process FILE`.
pub static PROCESS: Text = Text(
    Opt::text(
        "process",
        "FILE",
        "Read the whole process (args, env, cwd, user and so on) from this JSON file, in the form of process in \
         config.json",
    )
    .short('p'),
);
/// `--process-label LABEL`.
pub static PROCESS_LABEL: Text = Text(
    Opt::text("process-label", "LABEL", "SELinux label that the process runs under")
        .default_described("process.selinuxLabel of the container"),
);
/// `--apparmor PROFILE`.
pub static APPARMOR: Text = Text(
    Opt::text("apparmor", "PROFILE", "AppArmor profile that confines the process")
        .default_described("process.apparmorProfile of the container"),
);
/// `--no-new-privs`.
pub static NO_NEW_PRIVS: Switch = Switch(
    Opt::switch("no-new-privs", "Forbid the process to gain privileges by running a set-user-ID program")
        .default_described("process.noNewPrivileges of the container"),
);
/// `-c`, `--cap NAME`.
pub static CAP: Texts = Texts(
    Opt::text(
        "cap",
        "NAME",
        "Add a capability, such as CAP_NET_ADMIN: bounding, effective and permitted; ambient only where the \
         container has inheritable ones",
    )
    .short('c')
    .repeatable(),
);
/// `--cgroup [CONTROLLER[,CONTROLLER]:]PATH`.
pub static CGROUP: Texts = Texts(
    Opt::text(
        "cgroup",
        "[CONTROLLER,...:]PATH",
        "Put the process into this existing cgroup, relative to the container's; with controllers before \
         the colon on a host with cgroup v1",
    )
    .repeatable(),
);
/// `--ignore-paused`.
pub static IGNORE_PAUSED: Switch = Switch(Opt::switch(
    "ignore-paused",
    "Allow a paused container; the process then waits until masu resume",
));

/// `-a`, `--all`: hides "container not running", and nothing else, since runc 1.2.
pub static ALL: Switch =
    Switch(Opt::switch("all", "Do not fail when the container has stopped (obsolete)").short('a').hidden());
/// `-f`, `--force`.
pub static FORCE: Switch = Switch(
    Opt::switch("force", "Kill the container first when it still runs; a missing container is no error")
        .short('f'),
);
/// `-f`, `--format table|json`.
pub static FORMAT: Text = Text(
    Opt::new(FORMATS, "format", "FORMAT", "table for people, json for programs")
        .short('f')
        .default_value("table"),
);
/// `-q`, `--quiet`.
pub static QUIET: Switch = Switch(Opt::switch("quiet", "Print the IDs only, one a line").short('q'));

/// `--interval DURATION`.
pub static INTERVAL: Duration = Duration(
    Opt::new(Kind::Duration, "interval", "DURATION", "Time between two samples, such as 100ms, 5s or 1m30s")
        .default_value("5s"),
);
/// `--stats`.
pub static STATS: Switch = Switch(Opt::switch("stats", "Print one sample at once and end"));

/// `-r`, `--resources FILE`.
pub static RESOURCES: Text = Text(
    Opt::text(
        "resources",
        "FILE",
        "Read the new limits from this JSON file, in the form of linux.resources in config.json; - is \
         standard input. All other options but those of Intel RDT are then ignored",
    )
    .short('r'),
);
/// `--blkio-weight N`.
pub static BLKIO_WEIGHT: Number = Number(Opt::new(
    Kind::Number { min: 0, max: 1000 },
    "blkio-weight",
    "N",
    "Share of the disk time against other containers: 10 to 1000; 0 leaves it as it is",
));
/// `--cpu-period USEC`.
pub static CPU_PERIOD: Number = Number(Opt::new(
    NATURAL,
    "cpu-period",
    "USEC",
    "Length in microseconds of the period that --cpu-quota counts in; 0 leaves it as it is",
));
/// `--cpu-quota USEC`.
pub static CPU_QUOTA: Number = Number(Opt::new(
    INTEGER,
    "cpu-quota",
    "USEC",
    "CPU time in microseconds allowed per period, over all CPUs; -1 is no limit",
));
/// `--cpu-burst USEC`.
pub static CPU_BURST: Number = Number(Opt::new(
    NATURAL,
    "cpu-burst",
    "USEC",
    "Unused CPU time in microseconds that may be saved up and spent above the quota",
));
/// `--cpu-share N`.
pub static CPU_SHARE: Number = Number(Opt::new(
    NATURAL,
    "cpu-share",
    "N",
    "Weight against other containers when CPUs are scarce: 2 to 262144; a new cgroup has 1024",
));
/// `--cpu-rt-period USEC`.
pub static CPU_RT_PERIOD: Number = Number(Opt::new(
    NATURAL,
    "cpu-rt-period",
    "USEC",
    "Length in microseconds of the period that --cpu-rt-runtime counts in (cgroup v1)",
));
/// `--cpu-rt-runtime USEC`.
pub static CPU_RT_RUNTIME: Number = Number(Opt::new(
    INTEGER,
    "cpu-rt-runtime",
    "USEC",
    "CPU time in microseconds per period for realtime processes (cgroup v1)",
));
/// `--cpuset-cpus LIST`.
pub static CPUSET_CPUS: Text =
    Text(Opt::text("cpuset-cpus", "LIST", "CPUs the container may run on, such as 0-3,8"));
/// `--cpuset-mems LIST`.
pub static CPUSET_MEMS: Text =
    Text(Opt::text("cpuset-mems", "LIST", "Memory nodes the container may use, such as 0-1"));
/// `--cpu-idle 0|1`.
pub static CPU_IDLE: Number = Number(Opt::new(
    Kind::Number { min: 0, max: 1 },
    "cpu-idle",
    "0|1",
    "1 lets the container run only when nothing else wants the CPU, 0 ends that",
));
/// `--kernel-memory BYTES`: accepted and without effect, as in runc.
pub static KERNEL_MEMORY: Size =
    Size(Opt::new(Kind::Size, "kernel-memory", "BYTES", "Without effect (obsolete)").hidden());
/// `--kernel-memory-tcp BYTES`: accepted and without effect, as in runc.
pub static KERNEL_MEMORY_TCP: Size =
    Size(Opt::new(Kind::Size, "kernel-memory-tcp", "BYTES", "Without effect (obsolete)").hidden());
/// `--memory BYTES`.
pub static MEMORY: Size = Size(Opt::new(
    Kind::Size,
    "memory",
    "BYTES",
    "Limit of memory, in bytes or with a suffix k, m or g; -1 is no limit",
));
/// `--memory-reservation BYTES`.
pub static MEMORY_RESERVATION: Size = Size(Opt::new(
    Kind::Size,
    "memory-reservation",
    "BYTES",
    "Memory that is left to the container when the host runs short, in bytes or with a suffix",
));
/// `--memory-swap BYTES`.
pub static MEMORY_SWAP: Size = Size(Opt::new(
    Kind::Size,
    "memory-swap",
    "BYTES",
    "Limit of memory and swap together, in bytes or with a suffix; -1 is no limit",
));
/// `--pids-limit N`.
pub static PIDS_LIMIT: Number =
    Number(Opt::new(INTEGER, "pids-limit", "N", "Limit of processes and threads together; -1 is no limit"));
/// `--l3-cache-schema SCHEMA`.
pub static L3_CACHE_SCHEMA: Text =
    Text(Opt::text("l3-cache-schema", "SCHEMA", "Intel RDT: share of the L3 cache, such as L3:0=ff;1=ff"));
/// `--mem-bw-schema SCHEMA`.
pub static MEM_BW_SCHEMA: Text = Text(Opt::text(
    "mem-bw-schema",
    "SCHEMA",
    "Intel RDT: share of the memory bandwidth, such as MB:0=20;1=70",
));
