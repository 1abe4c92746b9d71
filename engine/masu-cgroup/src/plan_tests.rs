use masu_spec::{HugepageLimit, InterfacePriority, Str, WeightDevice};

use super::*;

fn places(v1: &[&str], v2: &[&str]) -> Places {
    let own = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
    Places { v1: own(v1), v2: own(v2), denied: Vec::new(), alone: None }
}

fn everything() -> Places {
    places(&["cpuset", "memory", "cpu", "pids", "blkio", "hugetlb", "net_cls", "net_prio"], &[])
}

fn files(resources: &Resources<'_>, places: &Places, now: &Now) -> Vec<String> {
    let writes = plan_writes(resources, places, now).expect("plan");
    writes.into_iter().map(|write| format!("{}={}", write.file, write.value)).collect()
}

fn refusal(resources: &Resources<'_>, places: &Places) -> String {
    plan_writes(resources, places, &Now::default()).expect_err("refused").to_string()
}

#[test]
fn no_limits_are_no_writes_and_need_no_controller() {
    assert_eq!(files(&Resources::default(), &Places::default(), &Now::default()), [] as [&str; 0]);
}

#[test]
fn memory_and_swap_are_written_in_the_order_that_keeps_limit_below_memsw() {
    let limit = |value| format!("memory.limit_in_bytes={value}");
    let swap = |value| format!("memory.memsw.limit_in_bytes={value}");
    let cases = [
        // (limit, swap, present limit) -> order
        ((Some(100), Some(200), None), vec![limit(100), swap(200)]),
        ((Some(100), Some(-1), None), vec![swap(-1), limit(100)]),
        ((Some(100), Some(200), Some(50)), vec![swap(200), limit(100)]),
        ((Some(100), Some(200), Some(200)), vec![limit(100), swap(200)]),
        ((Some(50), Some(60), Some(100)), vec![limit(50), swap(60)]),
        ((Some(-1), None, Some(100)), vec![swap(-1), limit(-1)]),
        ((Some(100), None, Some(50)), vec![limit(100)]),
        ((None, Some(200), None), vec![swap(200)]),
    ];
    for ((limit, swap, memory_limit), expected) in cases {
        let mut resources = Resources::default();
        (resources.memory.limit, resources.memory.swap) = (limit, swap);
        assert_eq!(
            files(&resources, &everything(), &Now { memory_limit, ..Now::default() }),
            expected,
            "{limit:?} {swap:?} {memory_limit:?}"
        );
    }
}

#[test]
fn period_and_burst_come_again_only_beside_a_quota() {
    let mut resources = Resources::default();
    (resources.cpu.period, resources.cpu.burst, resources.cpu.realtime_period) = (Some(1), Some(2), Some(3));
    let rules = |resources: &Resources<'_>| -> Vec<_> {
        let writes = plan_writes(resources, &everything(), &Now::default()).expect("plan");
        writes.into_iter().map(|write| (write.file.into_owned(), write.on_refusal)).collect()
    };
    use OnRefusal::{Fail, Later, Missing, MissingOrLater};
    let rule = |file: &str, on_refusal| (String::from(file), on_refusal);
    assert_eq!(
        rules(&resources),
        [rule("cpu.cfs_period_us", Fail), rule("cpu.cfs_burst_us", Missing), rule("cpu.rt_period_us", Fail)]
    );
    (resources.cpu.quota, resources.cpu.realtime_runtime) = (Some(-1), Some(4));
    assert_eq!(
        rules(&resources),
        [
            rule("cpu.cfs_period_us", Later),
            rule("cpu.cfs_burst_us", MissingOrLater),
            rule("cpu.cfs_quota_us", Fail),
            rule("cpu.rt_period_us", Later),
            rule("cpu.rt_runtime_us", Fail),
        ]
    );
}

#[test]
fn a_pids_limit_of_zero_is_one_and_a_negative_is_none() {
    for (limit, expected) in [(7, "pids.max=7"), (0, "pids.max=1"), (-1, "pids.max=max")] {
        let resources = Resources { pids_limit: Some(limit), ..Resources::default() };
        assert_eq!(files(&resources, &everything(), &Now::default()), [expected]);
        assert_eq!(files(&resources, &places(&[], &["pids"]), &Now::default()), [expected]);
    }
}

#[test]
fn block_io_lines_are_device_and_value() {
    let mut resources = Resources::default();
    let io = &mut resources.block_io;
    (io.weight, io.leaf_weight) = (Some(500), Some(300));
    io.weight_device = vec![WeightDevice { major: 8, minor: 0, weight: Some(10), leaf_weight: Some(20) }];
    io.throttle_read_bps_device = vec![ThrottleDevice { major: 8, minor: 1, rate: 1 }];
    io.throttle_write_bps_device = vec![ThrottleDevice { major: 8, minor: 2, rate: 2 }];
    io.throttle_read_iops_device = vec![ThrottleDevice { major: 8, minor: 3, rate: 3 }];
    io.throttle_write_iops_device = vec![ThrottleDevice { major: 8, minor: 4, rate: 0 }];
    assert_eq!(
        files(&resources, &everything(), &Now::default()),
        [
            "blkio.weight=500",
            "blkio.leaf_weight=300",
            "blkio.weight_device=8:0 10",
            "blkio.leaf_weight_device=8:0 20",
            "blkio.throttle.read_bps_device=8:1 1",
            "blkio.throttle.write_bps_device=8:2 2",
            "blkio.throttle.read_iops_device=8:3 3",
            "blkio.throttle.write_iops_device=8:4 0",
        ]
    );
}

#[test]
fn huge_pages_and_network_go_where_their_controllers_are() {
    let mut resources = Resources {
        hugepage_limits: vec![HugepageLimit { page_size: Str::from("2MB"), limit: 9 }],
        ..Resources::default()
    };
    let v1 = ["hugetlb.2MB.limit_in_bytes=9", "hugetlb.2MB.rsvd.limit_in_bytes=9"];
    assert_eq!(files(&resources, &everything(), &Now::default()), v1);
    let hybrid = places(&["memory"], &["hugetlb"]);
    assert_eq!(files(&resources, &hybrid, &Now::default()), ["hugetlb.2MB.max=9", "hugetlb.2MB.rsvd.max=9"]);
    assert_eq!(v2_controllers(&resources, &hybrid), ["hugetlb"]);
    assert_eq!(v2_controllers(&resources, &everything()), [] as [&str; 0]);
    resources.hugepage_limits.clear();
    resources.network.class_id = Some(0x10_0001);
    resources.network.priorities = vec![InterfacePriority { name: Str::from("eth0"), priority: 5 }];
    assert_eq!(
        files(&resources, &everything(), &Now::default()),
        ["net_cls.classid=1048577", "net_prio.ifpriomap=eth0 5"]
    );
}

#[test]
fn a_limit_without_its_controller_names_the_field() {
    let mut resources = Resources::default();
    resources.cpu.shares = Some(5);
    assert_eq!(
        refusal(&resources, &places(&["memory"], &[])),
        "linux.resources.cpu.shares: the cpu controller is not available: no hierarchy with it is mounted"
    );
    let denied = Places { denied: vec!["cpu".into()], ..everything() };
    assert_eq!(
        refusal(&resources, &denied),
        "linux.resources.cpu.shares: cannot set cpu limit: container could not join or create cgroup\n\
         hint: delegate a cgroup to this user, or remove the limit"
    );
}

#[test]
fn unified_settings_are_for_controllers_of_the_unified_hierarchy() {
    let mut resources = Resources::default();
    resources.unified.insert(Str::from("hugetlb.2MB.max"), Str::from("0"));
    let hybrid = places(&["memory"], &["hugetlb"]);
    assert_eq!(files(&resources, &hybrid, &Now::default()), ["hugetlb.2MB.max=0"]);
    assert_eq!(v2_controllers(&resources, &hybrid), ["hugetlb"]);
    assert_eq!(
        refusal(&resources, &everything()),
        "linux.resources.unified[\"hugetlb.2MB.max\"]: invalid configuration: cannot use unified on cgroup v1"
    );
}

/// A host with version 2 alone.
fn alone(controllers: &[&str]) -> Places {
    Places { alone: Some("/box".into()), ..places(&[], controllers) }
}

fn v2_files(resources: &Resources<'_>, now: &Now) -> Vec<String> {
    files(resources, &alone(&["cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma"]), now)
}

#[test]
fn version_2_limits_swap_by_itself() {
    let everything = alone(&["memory"]);
    type Case<'a> = (Option<i64>, Option<i64>, Option<u64>, &'a [&'a str]);
    let cases: [Case<'_>; 9] = [
        // limit, swap, present limit -> writes
        (Some(100), Some(150), None, &["memory.swap.max=50", "memory.max=100"]),
        (Some(100), Some(100), None, &["memory.swap.max=0", "memory.max=100"]),
        (Some(100), Some(-1), None, &["memory.swap.max=max", "memory.max=100"]),
        (Some(-1), None, None, &["memory.swap.max=max", "memory.max=max"]),
        (Some(-1), Some(50), None, &["memory.swap.max=50", "memory.max=max"]),
        (Some(-1), Some(-1), None, &["memory.swap.max=max", "memory.max=max"]),
        (Some(100), None, Some(70), &["memory.max=100"]),
        (None, Some(100), Some(70), &["memory.swap.max=30"]),
        (None, Some(-1), None, &["memory.swap.max=max"]),
    ];
    for (limit, swap, memory_limit, expected) in cases {
        let mut resources = Resources::default();
        (resources.memory.limit, resources.memory.swap) = (limit, swap);
        let now = Now { memory_limit, ..Now::default() };
        assert_eq!(files(&resources, &everything, &now), expected, "{limit:?} {swap:?} {memory_limit:?}");
    }
    for (limit, why) in [
        (None, "unable to set swap limit without memory limit"),
        (Some(101), "memory+swap limit should be >= memory limit"),
    ] {
        let mut resources = Resources::default();
        (resources.memory.limit, resources.memory.swap) = (limit, Some(100));
        assert_eq!(refusal(&resources, &everything), format!("linux.resources.memory.swap: {why}"));
    }
}

#[test]
fn a_limit_below_the_use_is_refused_where_that_is_asked_for() {
    let now = Now { memory_usage: Some(80), ..Now::default() };
    let mut resources = Resources::default();
    resources.memory.limit = Some(80);
    assert_eq!(v2_files(&resources, &now), ["memory.max=80"]);
    resources.memory.check_before_update = true;
    let error = plan_writes(&resources, &alone(&["memory"]), &now).expect_err("too small");
    assert_eq!(error.to_string(), "linux.resources.memory.limit: rejecting memory limit 80 <= usage 80");
    resources.memory.limit = Some(81);
    assert_eq!(v2_files(&resources, &now), ["memory.max=81"]);
}

#[test]
fn quota_and_period_are_one_file_and_what_is_not_given_stays() {
    let old = Now { cpu_max: Some(("20000".into(), "50000".into())), ..Now::default() };
    let cases = [
        (Some(10), Some(20), &old, "cpu.max=10 20"),
        (Some(10), None, &old, "cpu.max=10 50000"),
        (None, Some(20), &old, "cpu.max=20000 20"),
        (Some(-1), None, &old, "cpu.max=max 50000"),
        (Some(10), None, &Now::default(), "cpu.max=10 100000"),
        (None, Some(20), &Now::default(), "cpu.max=max 20"),
    ];
    for (quota, period, now, expected) in cases {
        let mut resources = Resources::default();
        (resources.cpu.quota, resources.cpu.period) = (quota, period);
        assert_eq!(v2_files(&resources, now), [expected], "{quota:?} {period:?}");
    }
}

#[test]
fn every_resource_has_its_version_2_file() {
    let mut resources = Resources { pids_limit: Some(0), ..Resources::default() };
    (resources.cpu.shares, resources.cpu.burst, resources.cpu.idle) = (Some(1024), Some(5), Some(0));
    (resources.cpu.cpus, resources.cpu.mems) = (Some(Str::from("0-1")), Some(Str::from("0")));
    resources.memory.reservation = Some(-1);
    resources.block_io.weight = Some(500);
    resources.block_io.weight_device =
        vec![WeightDevice { major: 8, minor: 0, weight: Some(10), leaf_weight: Some(20) }];
    let throttle = |rate| vec![ThrottleDevice { major: 8, minor: 16, rate }];
    resources.block_io.throttle_read_bps_device = throttle(7);
    resources.block_io.throttle_write_iops_device = throttle(0);
    resources.hugepage_limits = vec![HugepageLimit { page_size: Str::from("2MB"), limit: 9 }];
    resources.rdma.insert(Str::from("mlx5"), masu_spec::Rdma { hca_handles: Some(2), hca_objects: Some(3) });
    resources.unified.insert(Str::from("io.max"), Str::from("8:0 rbps=1\n8:16 rbps=2\n"));
    resources.unified.insert(Str::from("cgroup.max.depth"), Str::from("3"));
    resources.unified.insert(Str::from("cpuset.cpus"), Str::from(""));
    assert_eq!(
        v2_files(&resources, &Now::default()),
        [
            "cpuset.cpus=0-1",
            "cpuset.mems=0",
            "memory.low=max",
            "cpu.idle=0",
            "cpu.weight=100",
            "cpu.max.burst=5",
            "pids.max=1",
            "io.bfq.weight=500",
            "io.bfq.weight=8:0 10",
            "io.max=8:16 rbps=7",
            "io.max=8:16 wiops=max",
            "hugetlb.2MB.max=9",
            "hugetlb.2MB.rsvd.max=9",
            "rdma.max=mlx5 hca_handle=2 hca_object=3",
            "cgroup.max.depth=3",
            "cpuset.cpus=",
            "io.max=8:0 rbps=1",
            "io.max=8:16 rbps=2",
        ]
    );
}

#[test]
fn what_version_2_lacks_is_told_or_refused() {
    let mut resources = Resources::default();
    (resources.memory.swappiness, resources.memory.kernel_tcp) = (Some(1), Some(2));
    resources.memory.disable_oom_killer = true;
    resources.network.class_id = Some(3);
    assert_eq!(v2_files(&resources, &Now::default()), [] as [&str; 0]);
    let told: Vec<_> =
        ["memory.kernelTCP", "memory.swappiness", "memory.disableOOMKiller", "network.classID"]
            .map(|field| {
                format!("linux.resources.{field}: ignored: version 2 of control groups has no such setting")
            })
            .into();
    assert_eq!(ignored(&resources), told);
    assert_eq!(ignored(&Resources::default()), [] as [&str; 0]);
    let mut resources = Resources::default();
    resources.cpu.realtime_period = Some(1);
    assert_eq!(
        refusal(&resources, &alone(&["cpu"])),
        "linux.resources.cpu.realtimePeriod: version 2 of control groups has no real-time runtime to give out"
    );
    let resources = Resources { pids_limit: Some(1), ..Resources::default() };
    assert_eq!(
        refusal(&resources, &alone(&["cpu"])),
        "linux.resources.pids.limit: the pids controller is not available in cgroup \"/box\""
    );
}

#[test]
fn a_weight_that_version_2_cannot_have_is_refused() {
    for weight in [9, 1001] {
        let mut resources = Resources::default();
        resources.block_io.weight = Some(weight);
        let reason = format!("{weight} is not within 10 to 1000");
        assert_eq!(refusal(&resources, &alone(&["io"])), format!("linux.resources.blockIO.weight: {reason}"));
        let device = WeightDevice { major: 8, minor: 0, weight: Some(weight), leaf_weight: None };
        resources = Resources::default();
        resources.block_io.weight_device = vec![device];
        let field = "linux.resources.blockIO.weightDevice[0].weight";
        assert_eq!(refusal(&resources, &alone(&["io"])), format!("{field}: {reason}"));
    }
}

#[test]
fn the_controllers_of_a_unified_hierarchy_are_those_that_the_writes_are_for() {
    let mut resources = Resources { pids_limit: Some(1), ..Resources::default() };
    resources.memory.limit = Some(1);
    resources.unified.insert(Str::from("hugetlb.2MB.max"), Str::from("1"));
    let both = places(&["memory", "cpu"], &["hugetlb", "pids", "io"]);
    assert_eq!(v2_controllers(&resources, &both), ["hugetlb", "pids"]);
}
