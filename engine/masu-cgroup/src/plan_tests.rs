use masu_spec::{HugepageLimit, InterfacePriority, Str, WeightDevice};

use super::*;

fn places(v1: &[&str], v2: &[&str]) -> Places {
    let own = |names: &[&str]| names.iter().map(|name| String::from(*name)).collect();
    Places { v1: own(v1), v2: own(v2), denied: Vec::new() }
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
            files(&resources, &everything(), &Now { memory_limit }),
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
