//! The files as the specification writes them: every field optional, nothing checked but the JSON types.
//!
//! Fields are in the order of the specification's pages. Sections for other systems (`solaris`, `windows`, `vm`, `zos`,
//! `freebsd`) are not read.
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::json::object;
use crate::text::Str;

type Map<'a, T> = BTreeMap<Str<'a>, T>;

object! {
    /// config.md.
    Config<'a> {
        oci_version: Str<'a> = "ociVersion",
        root: Root<'a> = "root",
        mounts: Vec<Mount<'a>> = "mounts",
        process: Process<'a> = "process",
        hostname: Str<'a> = "hostname",
        domainname: Str<'a> = "domainname",
        hooks: Hooks<'a> = "hooks",
        annotations: Map<'a, Str<'a>> = "annotations",
        linux: Linux<'a> = "linux",
    }
}

object! {
    /// config.md, "Root".
    Root<'a> {
        path: Str<'a> = "path",
        readonly: bool = "readonly",
    }
}

object! {
    /// config.md, "Mounts".
    Mount<'a> {
        destination: Str<'a> = "destination",
        source: Str<'a> = "source",
        options: Vec<Str<'a>> = "options",
        fs_type: Str<'a> = "type",
        uid_mappings: Vec<IdMapping> = "uidMappings",
        gid_mappings: Vec<IdMapping> = "gidMappings",
    }
}

object! {
    /// config.md, "Process".
    Process<'a> {
        terminal: bool = "terminal",
        console_size: ConsoleSize = "consoleSize",
        cwd: Str<'a> = "cwd",
        env: Vec<Str<'a>> = "env",
        args: Vec<Str<'a>> = "args",
        rlimits: Vec<Rlimit<'a>> = "rlimits",
        apparmor_profile: Str<'a> = "apparmorProfile",
        capabilities: Capabilities<'a> = "capabilities",
        no_new_privileges: bool = "noNewPrivileges",
        oom_score_adj: i64 = "oomScoreAdj",
        scheduler: Scheduler<'a> = "scheduler",
        selinux_label: Str<'a> = "selinuxLabel",
        io_priority: IoPriority<'a> = "ioPriority",
        exec_cpu_affinity: CpuAffinity<'a> = "execCPUAffinity",
        user: User = "user",
    }
}

object! {
    /// config.md, "Process".
    ConsoleSize {
        height: u64 = "height",
        width: u64 = "width",
    }
}

object! {
    /// config.md, "POSIX process".
    Rlimit<'a> {
        name: Str<'a> = "type",
        soft: u64 = "soft",
        hard: u64 = "hard",
    }
}

object! {
    /// config.md, "Linux Process".
    Scheduler<'a> {
        policy: Str<'a> = "policy",
        nice: i64 = "nice",
        priority: i64 = "priority",
        flags: Vec<Str<'a>> = "flags",
        runtime: u64 = "runtime",
        deadline: u64 = "deadline",
        period: u64 = "period",
    }
}

object! {
    /// config.md, "Linux Process".
    IoPriority<'a> {
        class: Str<'a> = "class",
        priority: i64 = "priority",
    }
}

object! {
    /// config.md, "Linux Process".
    CpuAffinity<'a> {
        initial: Str<'a> = "initial",
        last: Str<'a> = "final",
    }
}

object! {
    /// config.md, "Linux Process".
    Capabilities<'a> {
        bounding: Vec<Str<'a>> = "bounding",
        effective: Vec<Str<'a>> = "effective",
        inheritable: Vec<Str<'a>> = "inheritable",
        permitted: Vec<Str<'a>> = "permitted",
        ambient: Vec<Str<'a>> = "ambient",
    }
}

object! {
    /// config.md, "POSIX-platform User".
    User {
        uid: u32 = "uid",
        gid: u32 = "gid",
        umask: u32 = "umask",
        additional_gids: Vec<u32> = "additionalGids",
    }
}

object! {
    /// config.md, "POSIX-platform Hooks".
    Hooks<'a> {
        prestart: Vec<Hook<'a>> = "prestart",
        create_runtime: Vec<Hook<'a>> = "createRuntime",
        create_container: Vec<Hook<'a>> = "createContainer",
        start_container: Vec<Hook<'a>> = "startContainer",
        poststart: Vec<Hook<'a>> = "poststart",
        poststop: Vec<Hook<'a>> = "poststop",
    }
}

object! {
    /// config.md, "POSIX-platform Hooks": an entry of any of its lists.
    Hook<'a> {
        path: Str<'a> = "path",
        args: Vec<Str<'a>> = "args",
        env: Vec<Str<'a>> = "env",
        timeout: i64 = "timeout",
    }
}

object! {
    /// config-linux.md, "Intel RDT".
    IntelRdt<'a> {
        clos_id: Str<'a> = "closID",
        l3_cache_schema: Str<'a> = "l3CacheSchema",
        mem_bw_schema: Str<'a> = "memBwSchema",
        schemata: Vec<Str<'a>> = "schemata",
        enable_monitoring: bool = "enableMonitoring",
    }
}

object! {
    /// config-linux.md.
    Linux<'a> {
        namespaces: Vec<Namespace<'a>> = "namespaces",
        uid_mappings: Vec<IdMapping> = "uidMappings",
        gid_mappings: Vec<IdMapping> = "gidMappings",
        time_offsets: Map<'a, TimeOffset> = "timeOffsets",
        devices: Vec<Device<'a>> = "devices",
        net_devices: Map<'a, NetDevice<'a>> = "netDevices",
        cgroups_path: Str<'a> = "cgroupsPath",
        resources: Resources<'a> = "resources",
        intel_rdt: IntelRdt<'a> = "intelRdt",
        memory_policy: MemoryPolicy<'a> = "memoryPolicy",
        sysctl: Map<'a, Str<'a>> = "sysctl",
        seccomp: Seccomp<'a> = "seccomp",
        rootfs_propagation: Str<'a> = "rootfsPropagation",
        masked_paths: Vec<Str<'a>> = "maskedPaths",
        readonly_paths: Vec<Str<'a>> = "readonlyPaths",
        mount_label: Str<'a> = "mountLabel",
        personality: Personality<'a> = "personality",
    }
}

object! {
    /// config-linux.md, "Memory policy".
    MemoryPolicy<'a> {
        mode: Str<'a> = "mode",
        nodes: Str<'a> = "nodes",
        flags: Vec<Str<'a>> = "flags",
    }
}

object! {
    /// config-linux.md, "Personality".
    Personality<'a> {
        domain: Str<'a> = "domain",
        flags: Vec<Str<'a>> = "flags",
    }
}

object! {
    /// config-linux.md, "Namespaces".
    Namespace<'a> {
        kind: Str<'a> = "type",
        path: Str<'a> = "path",
    }
}

object! {
    /// config-linux.md, "User namespace mappings".
    IdMapping {
        container_id: u32 = "containerID",
        host_id: u32 = "hostID",
        size: u32 = "size",
    }
}

object! {
    /// config-linux.md, "Offset for Time Namespace".
    TimeOffset {
        secs: i64 = "secs",
        nanosecs: u32 = "nanosecs",
    }
}

object! {
    /// config-linux.md, "Devices".
    Device<'a> {
        kind: Str<'a> = "type",
        path: Str<'a> = "path",
        major: i64 = "major",
        minor: i64 = "minor",
        file_mode: u32 = "fileMode",
        uid: u32 = "uid",
        gid: u32 = "gid",
    }
}

object! {
    /// config-linux.md, "Network Devices".
    NetDevice<'a> {
        name: Str<'a> = "name",
    }
}

object! {
    /// config-linux.md, "Seccomp".
    Seccomp<'a> {
        default_action: Str<'a> = "defaultAction",
        default_errno_ret: u32 = "defaultErrnoRet",
        architectures: Vec<Str<'a>> = "architectures",
        flags: Vec<Str<'a>> = "flags",
        listener_path: Str<'a> = "listenerPath",
        listener_metadata: Str<'a> = "listenerMetadata",
        syscalls: Vec<Syscall<'a>> = "syscalls",
    }
}

object! {
    /// config-linux.md, "Seccomp".
    Syscall<'a> {
        names: Vec<Str<'a>> = "names",
        action: Str<'a> = "action",
        errno_ret: u32 = "errnoRet",
        args: Vec<SyscallArg<'a>> = "args",
    }
}

object! {
    /// config-linux.md, "Seccomp".
    SyscallArg<'a> {
        index: u32 = "index",
        value: u64 = "value",
        value_two: u64 = "valueTwo",
        op: Str<'a> = "op",
    }
}

object! {
    /// config-linux.md, "Control groups".
    Resources<'a> {
        devices: Vec<DeviceRule<'a>> = "devices",
        memory: Memory = "memory",
        cpu: Cpu<'a> = "cpu",
        block_io: BlockIo = "blockIO",
        hugepage_limits: Vec<HugepageLimit<'a>> = "hugepageLimits",
        network: Network<'a> = "network",
        pids: Pids = "pids",
        rdma: Map<'a, Rdma> = "rdma",
        unified: Map<'a, Str<'a>> = "unified",
    }
}

object! {
    /// config-linux.md, "Allowed Device list".
    DeviceRule<'a> {
        allow: bool = "allow",
        kind: Str<'a> = "type",
        major: i64 = "major",
        minor: i64 = "minor",
        access: Str<'a> = "access",
    }
}

object! {
    /// config-linux.md, "Memory".
    Memory {
        limit: i64 = "limit",
        reservation: i64 = "reservation",
        swap: i64 = "swap",
        kernel: i64 = "kernel",
        kernel_tcp: i64 = "kernelTCP",
        swappiness: u64 = "swappiness",
        disable_oom_killer: bool = "disableOOMKiller",
        use_hierarchy: bool = "useHierarchy",
        check_before_update: bool = "checkBeforeUpdate",
    }
}

object! {
    /// config-linux.md, "CPU".
    Cpu<'a> {
        shares: u64 = "shares",
        quota: i64 = "quota",
        burst: u64 = "burst",
        period: u64 = "period",
        realtime_runtime: i64 = "realtimeRuntime",
        realtime_period: u64 = "realtimePeriod",
        cpus: Str<'a> = "cpus",
        mems: Str<'a> = "mems",
        idle: i64 = "idle",
    }
}

object! {
    /// config-linux.md, "Block IO".
    BlockIo {
        weight: u16 = "weight",
        leaf_weight: u16 = "leafWeight",
        weight_device: Vec<WeightDevice> = "weightDevice",
        throttle_read_bps_device: Vec<ThrottleDevice> = "throttleReadBpsDevice",
        throttle_write_bps_device: Vec<ThrottleDevice> = "throttleWriteBpsDevice",
        throttle_read_iops_device: Vec<ThrottleDevice> = "throttleReadIOPSDevice",
        throttle_write_iops_device: Vec<ThrottleDevice> = "throttleWriteIOPSDevice",
    }
}

object! {
    /// config-linux.md, "Block IO".
    WeightDevice {
        major: i64 = "major",
        minor: i64 = "minor",
        weight: u16 = "weight",
        leaf_weight: u16 = "leafWeight",
    }
}

object! {
    /// config-linux.md, "Block IO".
    ThrottleDevice {
        major: i64 = "major",
        minor: i64 = "minor",
        rate: u64 = "rate",
    }
}

object! {
    /// config-linux.md, "RDMA".
    Rdma {
        hca_handles: u32 = "hcaHandles",
        hca_objects: u32 = "hcaObjects",
    }
}

object! {
    /// config-linux.md, "Huge page limits".
    HugepageLimit<'a> {
        page_size: Str<'a> = "pageSize",
        limit: u64 = "limit",
    }
}

object! {
    /// config-linux.md, "Network".
    Network<'a> {
        class_id: u32 = "classID",
        priorities: Vec<InterfacePriority<'a>> = "priorities",
    }
}

object! {
    /// config-linux.md, "Network".
    InterfacePriority<'a> {
        name: Str<'a> = "name",
        priority: u32 = "priority",
    }
}

object! {
    /// config-linux.md, "PIDs".
    Pids {
        limit: i64 = "limit",
    }
}
