//! masu's exact words, by the sentence of the case. `DIR` is the directory of the case, `ROOT` its state directory,
//! `ID` the id of its container, `VERSION` the kernel's.

/// The sentence and the text of standard error.
pub(super) const MESSAGES: &[(&str, &str)] = &[
    (
        "a bundle without config.json",
        "masu: open DIR/0-empty/config.json: no such file or directory (ENOENT)\nhint: masu spec writes one; --bundle names the directory that it is in",
    ),
    (
        "a bundle that is not there",
        "masu: open /no/such/bundle/config.json: no such file or directory (ENOENT)\nhint: masu spec writes one; --bundle names the directory that it is in",
    ),
    ("a config.json that is a directory", "masu: open DIR/0-bundle/config.json: is a directory (EISDIR)"),
    ("an empty config.json", "masu: config.json: line 1, column 0: EOF while parsing a value"),
    ("a config.json that ends too early", "masu: config.json: line 4, column 0: EOF while parsing an object"),
    ("a config.json with a comma too many", "masu: config.json: line 3, column 29: trailing comma"),
    ("a config.json that is no object", "masu: config.json: expected an object, found an array"),
    (
        "a config.json with something behind its end",
        "masu: config.json: line 1, column 25: trailing characters",
    ),
    ("a string where process.args is a list", "masu: process.args: expected an array, found string \"sh\""),
    ("a number in process.args", "masu: process.args[1]: expected a string, found number 5"),
    (
        "a string where process.user.uid is a number",
        "masu: process.user.uid: expected an integer from 0 to 4294967295, found string \"root\"",
    ),
    (
        "a negative process.user.uid",
        "masu: process.user.uid: expected an integer from 0 to 4294967295, found number -1",
    ),
    ("a number as an option of a mount", "masu: mounts[1].options[1]: expected a string, found number 5"),
    (
        "an object where linux.namespaces is a list",
        "masu: linux.namespaces: expected an array, found an object",
    ),
    ("a number as hostname", "masu: hostname: expected a string, found number 5"),
    (
        "a string where root.readonly is a boolean",
        "masu: root.readonly: expected true or false, found string \"yes\"",
    ),
    (
        "a limit beyond 64 bits",
        "masu: linux.resources.memory.limit: expected an integer of 64 bits, found number 1e+30",
    ),
    (
        "an unknown namespace type",
        "masu: linux.namespaces[5].type: unknown namespace \"netz\"\nhint: the namespaces are cgroup, ipc, mount, network, pid, time, user and uts",
    ),
    ("a namespace type twice", "masu: linux.namespaces[5].type: uts is given already at linux.namespaces[3]"),
    ("an annotation without a key", "masu: annotations[\"\"]: the key is empty"),
    (
        "an unknown rlimit",
        "masu: process.rlimits[0].type: unknown resource limit \"RLIMIT_NOPE\"\nhint: the names are those of getrlimit(2), such as RLIMIT_NOFILE",
    ),
    (
        "an rlimit twice",
        "masu: process.rlimits[1].type: RLIMIT_NOFILE is given already at process.rlimits[0]",
    ),
    ("a soft rlimit above the hard one", "masu: process.rlimits[0].soft: 2000 is above the hard limit 1024"),
    (
        "an unknown propagation of the root",
        "masu: linux.rootfsPropagation: unknown propagation \"sideways\"\nhint: the modes are private, shared, slave and unbindable, each also with r in front",
    ),
    (
        "a root.path that is not there",
        "masu: root.path: open DIR/0-bundle/missing: no such file or directory (ENOENT)\nhint: root.path names the directory of the root file system, relative to the bundle",
    ),
    (
        "a root.path that is a file",
        "masu: root.path: open DIR/0-bundle/config.json: not a directory (ENOTDIR)\nhint: root.path names the directory of the root file system, relative to the bundle",
    ),
    ("a config without root", "masu: root: required, but missing"),
    ("a config without process", "masu: process: required, but missing"),
    ("empty process.args", "masu: process.args: is empty\nhint: the first element is the program to run"),
    ("a config without process.args", "masu: process.args: required, but missing"),
    ("a relative process.cwd", "masu: process.cwd: \"tmp\" is not an absolute path"),
    ("an empty process.cwd", "masu: process.cwd: \"\" is not an absolute path"),
    (
        "hostname without a uts namespace",
        "masu: hostname: needs the uts namespace, which linux.namespaces does not list\nhint: add {\"type\": \"uts\"} to linux.namespaces",
    ),
    (
        "an unknown type in the device rules",
        "masu: linux.resources.devices[1].type: unknown type \"z\"\nhint: the types are a (all), b (block) and c (character)",
    ),
    ("a NUL byte in process.args", "masu: process.args[1]: holds a NUL byte"),
    (
        "an unknown access in the device rules",
        "masu: linux.resources.devices[1].access: unknown access 'x'\nhint: access is made of r (read), w (write) and m (mknod)",
    ),
    (
        "a sysctl that is not there",
        "masu: linux.sysctl: write \"1\" to /proc/sys/net/no/such: open: no such file or directory (ENOENT)",
    ),
    ("an id map that overlaps itself", "masu: linux.uidMappings[1]: overlaps linux.uidMappings[0]"),
    ("an id map whose ranges overlap outside", "masu: linux.gidMappings[1]: overlaps linux.gidMappings[0]"),
    ("an id map of nothing", "masu: linux.uidMappings[0].size: is 0"),
    (
        "an id map beyond the last id",
        "masu: linux.uidMappings[0].hostID: 100000 and a size of 4294967295 pass the last ID",
    ),
    (
        "a user whom the id map leaves out",
        "masu: process.user.uid: 4000000 is not mapped by linux.uidMappings",
    ),
    (
        "a blockIO weight above the scale",
        "masu: linux.resources.blockIO.weight: write \"1001\" to blkio.weight of cgroup \"/ID\": numerical result out of range (ERANGE)\nhint: a weight is 10 to 1000 in the specification, and 1 to 1000 for the kernel",
    ),
    (
        "a blockIO weight beyond 16 bits",
        "masu: linux.resources.blockIO.weight: expected an integer from 0 to 65535, found number 70000",
    ),
    (
        "cpu shares below zero",
        "masu: linux.resources.cpu.shares: expected an integer from 0 to 18446744073709551615, found number -1",
    ),
    (
        "a cpu period that the kernel has not",
        "masu: linux.resources.cpu.period: write \"1\" to cpu.cfs_period_us of cgroup \"/ID\": invalid argument (EINVAL)\nhint: the period is 1000 to 1000000, quota at least 1000, both within the parent cgroup's, and the burst no larger than the quota",
    ),
    (
        "a CPU that is not there",
        "masu: linux.resources.cpu.cpus: write \"4095\" to cpuset.cpus of cgroup \"/ID\": numerical result out of range (ERANGE)\nhint: only CPUs and memory nodes that are online and that the parent cgroup has",
    ),
    (
        "a memory node that is not there",
        "masu: linux.resources.cpu.mems: write \"63\" to cpuset.mems of cgroup \"/ID\": invalid argument (EINVAL)\nhint: only CPUs and memory nodes that are online and that the parent cgroup has",
    ),
    (
        "a list of CPUs that is a word",
        "masu: linux.resources.cpu.cpus: write \"many\" to cpuset.cpus of cgroup \"/ID\": invalid argument (EINVAL)\nhint: only CPUs and memory nodes that are online and that the parent cgroup has",
    ),
    (
        "a throttle of a device that is not there",
        "masu: linux.resources.blockIO.throttleReadBpsDevice[0]: write \"4095:77 1\" to blkio.throttle.read_bps_device of cgroup \"/ID\": no such device (ENODEV)\nhint: no such block device, or only its whole disk can be limited",
    ),
    ("a device without a number", "masu: linux.devices[0].major: required, but missing"),
    ("a device beyond the kernel's numbers", "masu: linux.devices[0].major: 4096 is not within 0 to 4095"),
    (
        "a bound device that is not there",
        "masu: mounts[7]: open_tree \"/dev/no-such-device\": no such file or directory (ENOENT)",
    ),
    (
        "an unknown seccomp architecture",
        "masu: linux.seccomp.architectures[0]: unknown architecture \"SCMP_ARCH_NOPE\"; there are SCMP_ARCH_AARCH64, SCMP_ARCH_ARM, SCMP_ARCH_LOONGARCH64, SCMP_ARCH_M68K, SCMP_ARCH_MIPS, SCMP_ARCH_MIPS64, SCMP_ARCH_MIPS64N32, SCMP_ARCH_MIPSEL, SCMP_ARCH_MIPSEL64, SCMP_ARCH_MIPSEL64N32, SCMP_ARCH_PARISC, SCMP_ARCH_PARISC64, SCMP_ARCH_PPC, SCMP_ARCH_PPC64, SCMP_ARCH_PPC64LE, SCMP_ARCH_RISCV64, SCMP_ARCH_S390, SCMP_ARCH_S390X, SCMP_ARCH_SH, SCMP_ARCH_SHEB, SCMP_ARCH_X32, SCMP_ARCH_X86, SCMP_ARCH_X86_64\nhint: architectures have libseccomp's names, such as SCMP_ARCH_X86_64 for amd64",
    ),
    (
        "an unknown seccomp action",
        "masu: linux.seccomp.syscalls[0].action: unknown action \"SCMP_ACT_NOPE\"; there are SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, SCMP_ACT_TRAP\nhint: actions have libseccomp's names, such as SCMP_ACT_ERRNO",
    ),
    (
        "an unknown seccomp default action",
        "masu: linux.seccomp.defaultAction: unknown action \"SCMP_ACT_NOPE\"; there are SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, SCMP_ACT_KILL, SCMP_ACT_KILL_PROCESS, SCMP_ACT_KILL_THREAD, SCMP_ACT_LOG, SCMP_ACT_NOTIFY, SCMP_ACT_TRACE, SCMP_ACT_TRAP\nhint: actions have libseccomp's names, such as SCMP_ACT_ERRNO",
    ),
    (
        "an unknown seccomp flag",
        "masu: linux.seccomp.flags[0]: unknown flag \"SECCOMP_FILTER_FLAG_NOPE\"; there are SECCOMP_FILTER_FLAG_LOG, SECCOMP_FILTER_FLAG_SPEC_ALLOW, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\nhint: flags have the names of seccomp(2), such as SECCOMP_FILTER_FLAG_LOG",
    ),
    (
        "an unknown seccomp operator",
        "masu: linux.seccomp.syscalls[0].args[0].op: unknown operator \"SCMP_CMP_NOPE\"; there are SCMP_CMP_EQ, SCMP_CMP_GE, SCMP_CMP_GT, SCMP_CMP_LE, SCMP_CMP_LT, SCMP_CMP_MASKED_EQ, SCMP_CMP_NE\nhint: operators have libseccomp's names, such as SCMP_CMP_EQ for ==",
    ),
    (
        "a page size that is not there",
        "masu: linux.resources.hugepageLimits[0]: write \"0\" to hugetlb.3MB.max of cgroup \"/ID\": no such file or directory (ENOENT)\nhint: the page sizes of this host are in /sys/kernel/mm/hugepages",
    ),
    (
        "a limit without its controller",
        "masu: linux.resources.rdma[\"mlx5_1\"]: the rdma controller is not available: no hierarchy with it is mounted",
    ),
    (
        "a cgroup that cannot be written to",
        "masu: mkdir /sys/fs/cgroup/pids/ID: read-only file system (EROFS)\nhint: the cgroups are read-only here, as in a container without cgroups of its own: --rootless true does without them",
    ),
    (
        "a program that is not on PATH (create)",
        "masu: exec: \"no-such-program\": executable file not found in $PATH",
    ),
    (
        "a program that is not on PATH (run)",
        "masu: exec: \"no-such-program\": executable file not found in $PATH",
    ),
    (
        "a program that is not there (create)",
        "masu: exec: \"/no/such/program\": stat /no/such/program: no such file or directory",
    ),
    (
        "a program that is not there (run)",
        "masu: exec: \"/no/such/program\": stat /no/such/program: no such file or directory",
    ),
    ("a program that is not executable (create)", "masu: exec: \"/etc/passwd\": permission denied"),
    ("a program that is not executable (run)", "masu: exec: \"/etc/passwd\": permission denied"),
    ("a program that is a directory (create)", "masu: exec: \"/etc\": is a directory: permission denied"),
    ("a program that is a directory (run)", "masu: exec: \"/etc\": is a directory: permission denied"),
    (
        "a program whose interpreter is missing (run)",
        "masu: process.args: exec \"/opt/no-interpreter\": execve: no such file or directory (ENOENT)\nhint: the interpreter of the script, or the program's dynamic loader, is missing in the container",
    ),
    (
        "a program of an unknown format (run)",
        "masu: process.args: exec \"/opt/garbage\": execve: exec format error (ENOEXEC)\nhint: not a program of this machine's architecture, and no script",
    ),
    ("the illegal id \"\"", "masu: container id cannot be empty\nhint: give the container's ID"),
    (
        "the illegal id \".\"",
        "masu: invalid container ID format: \".\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"..\"",
        "masu: invalid container ID format: \"..\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"/etc\"",
        "masu: invalid container ID format: \"/etc\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"a/b\"",
        "masu: invalid container ID format: \"a/b\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"a\\tb\"",
        "masu: invalid container ID format: \"a\\tb\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"a b\"",
        "masu: invalid container ID format: \"a b\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "the illegal id \"café\"",
        "masu: invalid container ID format: \"café\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "an unknown id of `start`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `state`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `kill`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `delete`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `exec`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `pause`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `resume`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `events`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `ps`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "an unknown id of `update`",
        "masu: container does not exist: \"nobody\"\nhint: masu list shows the containers of this root directory",
    ),
    (
        "the illegal id \"a:b\"",
        "masu: invalid container ID format: \"a:b\"\nhint: an ID is made of the letters a-z and A-Z, digits, '_', '+', '-' and '.'",
    ),
    (
        "an id that exists",
        "masu: container with given ID already exists: \"ID\"\nhint: masu delete ID removes the old one, once it is stopped",
    ),
    (
        "an id that exists as a stopped container",
        "masu: container with given ID already exists: \"ID\"\nhint: masu delete ID removes the old one, once it is stopped",
    ),
    (
        "the unknown signal \"FOO\"",
        "masu: unknown signal \"FOO\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"SIGFOO\"",
        "masu: unknown signal \"SIGFOO\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"9x\"",
        "masu: unknown signal \"9x\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"0x9\"",
        "masu: unknown signal \"0x9\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"-1\"",
        "masu: unknown signal \"-1\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"\"",
        "masu: unknown signal \"\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    (
        "the unknown signal \"99999\"",
        "masu: unknown signal \"99999\"\nhint: a signal is a name such as KILL, SIGTERM or RTMIN+1, or a number from 0 to 64",
    ),
    ("`start` of a running container", "masu: cannot start an already running container"),
    ("`start` of a stopped container", "masu: cannot start a container that has stopped"),
    ("`exec` in a stopped container", "masu: cannot exec in a stopped container"),
    (
        "`exec` in a paused container",
        "masu: cannot exec in a paused container (use --ignore-paused to override)",
    ),
    (
        "`delete` of a container that runs",
        "masu: cannot delete container ID that is not stopped: running\nhint: masu kill ID KILL, or masu delete --force ID",
    ),
    ("`kill` of a stopped container", "masu: container not running"),
    (
        "`exec` of a program that is not on PATH",
        "masu: exec: \"no-such\": executable file not found in $PATH",
    ),
    (
        "`exec` of a program that is not there",
        "masu: exec: \"/no/such\": stat /no/such: no such file or directory",
    ),
    ("`exec` of a file that is not executable", "masu: exec: \"/etc/passwd\": permission denied"),
    (
        "a read-only `--root`",
        "masu: make DIR/2-read-only/ID: read-only file system (EROFS)\nhint: --root names a directory that masu may write to",
    ),
    (
        "a `--root` that is a file",
        "masu: make DIR/2-file/ID: not a directory (ENOTDIR)\nhint: --root names a directory that masu may write to",
    ),
    (
        "a kernel older than the floor",
        "masu: kernel: Linux VERSION is older than 5.14, the oldest that masu runs on\nhint: a newer kernel, or another runtime",
    ),
    (
        "a pid file in a directory that is not there",
        "masu: write the pid file \"/no/such/dir/pid\": no such file or directory (ENOENT)",
    ),
    (
        "a size that `update` does not understand",
        "masu: incorrect usage: --memory: \"much\" is not a size: bytes, perhaps with a suffix k, m, g, t or p, or -1\nusage: masu update [OPTIONS] ID\nusage: masu update --resources FILE ID\nhint: masu update --help",
    ),
    (
        "more `--preserve-fds` than there are",
        "masu: unable to stat preserved-fd 0 (of 40): descriptor 3 is not open\nhint: --preserve-fds takes the descriptors after standard error and $LISTEN_FDS, without a gap",
    ),
    (
        "two ids for `create`",
        "masu: incorrect usage: \"create\" requires exactly 1 argument\nusage: masu create [OPTIONS] ID\nhint: masu create --help",
    ),
    (
        "an unknown log format",
        "masu: incorrect usage: --log-format: \"xml\" is not one of text, json\nusage: masu [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS]\nhint: masu --help",
    ),
    (
        "a process file of `exec` that is not there",
        "masu: read --process /no/such/file: no such file or directory (ENOENT)",
    ),
];
