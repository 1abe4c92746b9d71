//! The crate against this machine's kernel: it needs root and a version 1 or hybrid layout, and says so where it has
//! neither. Every cgroup made has a name of its own and is gone at the end, also when a test fails.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside of #[test] functions, where clippy.toml's exceptions do not reach"
)]

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use masu_cgroup::{Cgroup, CgroupRecord, Error, FreezerState, Layout, Privilege, Request, parse_sub_cgroups};
use masu_spec::{DeviceAccess, DeviceRule, DeviceRuleKind, HugepageLimit, Resources, Str, ThrottleDevice};
use rustix::process::{Pid, Signal};

/// A name nobody else has, and proof at the end that nothing of it is left.
struct Fixture {
    layout: Layout,
    path: String,
}

impl Fixture {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        assert!(
            rustix::process::geteuid().is_root(),
            "tests/host.rs makes cgroups: run it as root (sudo -E cargo test -p masu-cgroup --test host)"
        );
        let layout = Layout::probe().expect("probe");
        assert!(
            matches!(layout, Layout::V1 { .. } | Layout::Hybrid { .. }),
            "tests/host.rs needs mounted version 1 hierarchies, this host has {layout:?}"
        );
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { layout, path: format!("/masu-test-{}-{number}", std::process::id()) }
    }

    fn create(&self, resources: &Resources<'_>) -> Result<Cgroup, Error> {
        Cgroup::create(&self.layout, &self.request(resources), None)
    }

    fn request<'a>(&'a self, resources: &'a Resources<'a>) -> Request<'a> {
        Request {
            id: "unused",
            cgroups_path: Some(&self.path),
            resources,
            device_paths: &[],
            privilege: Privilege::Full,
            delegated: None,
        }
    }

    fn mount_points(&self) -> Vec<&str> {
        self.layout.v1().iter().chain(self.layout.unified()).map(|h| h.mount_point.as_str()).collect()
    }

    fn dir(&self, controller: &str) -> PathBuf {
        let hierarchy = self.layout.v1().iter().find(|h| h.has(controller));
        let hierarchy =
            hierarchy.unwrap_or_else(|| panic!("this test needs a version 1 {controller} hierarchy"));
        PathBuf::from(format!("{}{}", hierarchy.mount_point, self.path))
    }

    fn read(&self, controller: &str, file: &str) -> String {
        fs::read_to_string(self.dir(controller).join(file)).expect(file).trim().to_string()
    }

    fn left_over(&self) -> Vec<PathBuf> {
        let dirs =
            self.mount_points().into_iter().map(|point| PathBuf::from(format!("{point}{}", self.path)));
        dirs.filter(|dir| dir.exists()).collect()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let left = self.left_over();
        for dir in &left {
            remove_tree(dir);
        }
        if !std::thread::panicking() {
            assert_eq!(left, [] as [PathBuf; 0], "cgroups left behind");
        }
    }
}

fn remove_tree(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_tree(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir); // ignored: the assertion that follows tells
}

/// A process that is killed and reaped at the end of its test.
struct Sleeper {
    child: Child,
    tasks: Vec<PathBuf>,
}

impl Sleeper {
    /// Started outside; attached by its own write of `0`, as masu-init does it.
    fn inside(cgroup: &Cgroup) -> Self {
        Self::inside_of(cgroup.open_tasks().expect("open tasks").len(), &tasks_of(cgroup, "tasks"))
    }

    fn inside_of(count: usize, tasks: &[PathBuf]) -> Self {
        assert_eq!(count, tasks.len());
        let mut child = Command::new("sh")
            .args(["-c", r#"for t; do echo 0 > "$t"; done; echo; exec sleep 1000"#, "sh"])
            .args(tasks)
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn sh");
        let mut line = [0];
        child.stdout.take().expect("stdout").read_exact(&mut line).expect("attached");
        Self { child, tasks: tasks.to_vec() }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid")).expect("a pid")
    }

    fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        for state in self.tasks.iter().map(|tasks| tasks.with_file_name("freezer.state")) {
            // Frozen it would not die. Only in the freezer's directory is there such a file.
            if state.exists() {
                let _ = fs::write(state, "THAWED"); // ignored: the cgroup may be gone
            }
        }
        let _ = self.child.kill(); // ignored: dead already is what we want
        let _ = self.child.wait(); // ignored: reaped already
    }
}

fn tasks_of(cgroup: &Cgroup, file: &str) -> Vec<PathBuf> {
    let members = cgroup.record().members;
    let v1 = members.iter().filter(|member| !member.version_2);
    v1.map(|member| PathBuf::from(format!("{}{}/{file}", member.mount_point, member.path))).collect()
}

fn memory(limit: i64, swap: i64) -> Resources<'static> {
    let mut resources = Resources::default();
    resources.memory.limit = Some(limit);
    resources.memory.swap = Some(swap);
    resources
}

const MB: i64 = 1 << 20;

#[test]
fn a_cgroup_is_made_in_every_hierarchy_and_removed_by_drop() {
    let fixture = Fixture::new();
    let cgroup = fixture.create(&Resources::default()).expect("create");
    assert_eq!(fixture.left_over().len(), fixture.mount_points().len());
    assert_eq!(cgroup.open_tasks().expect("tasks").len(), fixture.layout.v1().len());
    assert_eq!(cgroup.unified_dir().expect("unified").is_some(), fixture.layout.unified().is_some());
    drop(cgroup);
    assert_eq!(fixture.left_over(), [] as [PathBuf; 0]);
}

#[test]
fn a_kept_cgroup_outlives_the_value_and_is_removed_by_its_record() {
    let fixture = Fixture::new();
    let mut cgroup = fixture.create(&Resources::default()).expect("create");
    let record = cgroup.record();
    cgroup.keep();
    drop(cgroup);
    let json = serde_json::to_string(&record).expect("serialize");
    let record: CgroupRecord = serde_json::from_str(&json).expect("deserialize");
    let mut cgroup = Cgroup::open(&record);
    assert_eq!(cgroup.record(), record);
    cgroup.remove().expect("remove");
    cgroup.remove().expect("remove again");
    assert_eq!(cgroup.processes().expect("no processes"), []);
    assert_eq!(cgroup.oom_kill_count().expect("no kills"), 0);
    assert_eq!(cgroup.freezer_state().expect("thawed"), FreezerState::Thawed);
}

#[test]
fn the_limits_are_in_the_files() {
    let fixture = Fixture::new();
    let mut resources = memory(64 * MB, 96 * MB);
    resources.memory.reservation = Some(32 * MB);
    resources.memory.swappiness = Some(7);
    resources.cpu.shares = Some(512);
    resources.cpu.period = Some(50_000);
    resources.cpu.quota = Some(25_000);
    resources.cpu.burst = Some(10_000);
    resources.cpu.cpus = Some(Str::from("0"));
    resources.cpu.mems = Some(Str::from("0"));
    resources.pids_limit = Some(20);
    let _cgroup = fixture.create(&resources).expect("create");
    let expected = [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.memsw.limit_in_bytes", "100663296"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("memory", "memory.swappiness", "7"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpu", "cpu.cfs_quota_us", "25000"),
        ("cpu", "cpu.cfs_burst_us", "10000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("cpuset", "cpuset.mems", "0"),
        ("pids", "pids.max", "20"),
    ];
    for (controller, file, value) in expected {
        assert_eq!(fixture.read(controller, file), value, "{file}");
    }
}

#[test]
fn a_cpuset_that_nobody_asked_for_is_the_parents() {
    let fixture = Fixture::new();
    let root = fixture.dir("cpuset").parent().expect("root").join("cpuset.cpus");
    let nested = Fixture { layout: fixture.layout.clone(), path: format!("{}/a/b", fixture.path) };
    let cgroup = nested.create(&Resources::default()).expect("create");
    let all = fs::read_to_string(root).expect("root cpus").trim().to_string();
    assert_eq!(nested.read("cpuset", "cpuset.cpus"), all);
    assert_eq!(fixture.read("cpuset", "cpuset.cpus"), all);
    drop(cgroup);
    assert_eq!(fixture.left_over(), [] as [PathBuf; 0], "parents that were made go too");
}

#[test]
fn parents_that_somebody_else_uses_or_made_stay() {
    let fixture = Fixture::new();
    let below =
        |name: &str| Fixture { layout: fixture.layout.clone(), path: format!("{}/{name}", fixture.path) };
    let (first, second) = (below("first"), below("second"));
    let one = first.create(&Resources::default()).expect("create");
    let mut two = second.create(&Resources::default()).expect("create");
    drop(one);
    assert!(second.dir("memory").exists());
    two.remove().expect("remove");
    assert!(fixture.dir("memory").exists(), "second found the parent and does not own it");
    for point in fixture.mount_points() {
        remove_tree(Path::new(&format!("{point}{}", fixture.path)));
    }
}

#[test]
fn a_refused_limit_names_field_file_and_errno_and_leaves_nothing() {
    let fixture = Fixture::new();
    let mut resources = Resources::default();
    resources.cpu.quota = Some(5);
    let error = fixture.create(&resources).expect_err("the quota is too small");
    assert_eq!(
        error.to_string(),
        format!(
            "linux.resources.cpu.quota: write \"5\" to cpu.cfs_quota_us of cgroup {:?}: invalid argument (EINVAL)\nhint: the period is \
             1000 to 1000000, quota at least 1000, both within the parent cgroup's, and the burst no larger than the \
             quota",
            fixture.path
        )
    );
    assert_eq!(fixture.left_over(), [] as [PathBuf; 0]);
}

#[test]
fn shares_outside_the_kernels_range_are_an_error() {
    let fixture = Fixture::new();
    let mut resources = Resources::default();
    resources.cpu.shares = Some(1);
    let error = fixture.create(&resources).expect_err("too small");
    assert_eq!(error.to_string(), "linux.resources.cpu.shares: the minimum allowed cpu-shares is 2");
    resources.cpu.shares = Some(300_000);
    let error = fixture.create(&resources).expect_err("too large");
    assert_eq!(error.to_string(), "linux.resources.cpu.shares: the maximum allowed cpu-shares is 262144");
}

#[test]
fn a_cgroup_with_processes_is_refused_with_runcs_words_and_left_alone() {
    let fixture = Fixture::new();
    let cgroup = fixture.create(&Resources::default()).expect("create");
    let sleeper = Sleeper::inside(&cgroup);
    let before = fixture.read("cpuset", "cpuset.cpus");
    let mut resources = Resources::default();
    resources.cpu.cpus = Some(Str::from("0"));
    let error = fixture.create(&resources).expect_err("occupied");
    assert_eq!(fixture.read("cpuset", "cpuset.cpus"), before);
    assert_eq!(error.to_string(), "container's cgroup is not empty: 1 process(es) found");
    assert_eq!(cgroup.processes().expect("processes"), [sleeper.pid()]);
}

#[test]
fn who_lives_where_no_limit_is_set_is_left_alone() {
    let fixture = Fixture::new();
    let optional: Vec<PathBuf> = fixture
        .layout
        .unified()
        .map(|h| &h.mount_point)
        .into_iter()
        .chain(fixture.layout.v1().iter().filter(|h| h.has("name=systemd")).map(|h| &h.mount_point))
        .map(|point| PathBuf::from(format!("{point}{}", fixture.path)))
        .collect();
    assert!(!optional.is_empty(), "this test needs a unified hierarchy or one of systemd's");
    optional.iter().for_each(|dir| fs::create_dir(dir).expect("mkdir"));
    let procs: Vec<PathBuf> = optional.iter().map(|dir| dir.join("cgroup.procs")).collect();
    let mut bystander = Sleeper::inside_of(procs.len(), &procs);
    let mut cgroup = fixture.create(&Resources::default()).expect("create");
    assert!(cgroup.record().members.iter().all(|member| member.made > 0));
    cgroup.kill_all(Signal::KILL).expect("kill all");
    cgroup.remove().expect("remove");
    assert_eq!(bystander.child.try_wait().expect("wait"), None);
    assert_eq!(fixture.left_over().len(), optional.len());
    bystander.kill();
    optional.iter().for_each(|dir| fs::remove_dir(dir).expect("rmdir"));
}

#[test]
fn of_a_claim_that_somebody_lives_in_nothing_is_ours() {
    let fixture = Fixture::new();
    let mut theirs = fixture.create(&Resources::default()).expect("create");
    let procs: Vec<PathBuf> =
        fixture.left_over().into_iter().map(|cgroup| cgroup.join("cgroup.procs")).collect();
    let mut bystander = Sleeper::inside_of(procs.len(), &procs);
    let claim = Cgroup::record_before(&fixture.layout, &fixture.request(&Resources::default()), None);
    let claim = claim.expect("a record");
    let mut cgroup = Cgroup::open(&claim);
    cgroup.forget_inhabited();
    assert!(cgroup.is_none());
    cgroup.kill_all(Signal::KILL).expect("kill nobody");
    cgroup.remove().expect("remove nothing");
    assert_eq!(bystander.child.try_wait().expect("wait"), None);
    bystander.kill();
    let mut cgroup = Cgroup::open(&claim);
    cgroup.forget_inhabited();
    assert_eq!(cgroup.record(), claim);
    cgroup.remove().expect("remove what is empty");
    theirs.keep();
}

#[test]
fn an_empty_cgroup_that_was_there_is_used_and_outlives_a_failed_create() {
    let fixture = Fixture::new();
    let premade = fixture.create(&Resources::default()).expect("create");
    let mut resources = Resources::default();
    resources.cpu.quota = Some(5);
    fixture.create(&resources).expect_err("refused");
    assert_eq!(fixture.left_over().len(), fixture.mount_points().len());
    let mut second = fixture.create(&Resources::default()).expect("use it");
    second.remove().expect("remove");
    drop(premade);
}

#[test]
fn a_frozen_process_is_thawed_and_killed() {
    let fixture = Fixture::new();
    let mut cgroup = fixture.create(&Resources::default()).expect("create");
    let sleeper = Sleeper::inside(&cgroup);
    assert_eq!(cgroup.freezer_state().expect("state"), FreezerState::Thawed);
    cgroup.freeze().expect("freeze");
    cgroup.freeze().expect("freeze again");
    assert_eq!(cgroup.freezer_state().expect("state"), FreezerState::Frozen);
    assert!(cgroup.is_frozen().expect("state"));
    cgroup.thaw().expect("thaw");
    assert!(!cgroup.is_frozen().expect("state"));
    cgroup.freeze().expect("freeze");
    cgroup.kill_all(Signal::KILL).expect("kill");
    assert_eq!(cgroup.processes().expect("processes"), []);
    drop(sleeper);
    cgroup.remove().expect("remove");
}

#[test]
fn an_empty_frozen_cgroup_is_not_taken() {
    let fixture = Fixture::new();
    let premade = fixture.create(&Resources::default()).expect("create");
    premade.freeze().expect("freeze");
    let error = fixture.create(&Resources::default()).expect_err("frozen");
    let path = fixture.dir("freezer");
    assert_eq!(error.to_string(), format!("container's cgroup unexpectedly frozen: {}", path.display()));
}

#[test]
fn kill_reaches_cgroups_below_and_removal_takes_them_along() {
    let fixture = Fixture::new();
    let mut cgroup = fixture.create(&Resources::default()).expect("create");
    let outer = Sleeper::inside(&cgroup);
    for tasks in tasks_of(&cgroup, "") {
        fs::create_dir(tasks.join("sub")).expect("mkdir sub");
    }
    for file in ["cpuset.cpus", "cpuset.mems"] {
        fs::write(fixture.dir("cpuset").join("sub").join(file), "0").expect(file);
    }
    let subs = parse_sub_cgroups(["sub"]).expect("parse");
    let joined: Vec<String> = match cgroup.open_join(&subs) {
        Ok(join) => join.tasks.into_iter().map(|(name, _)| name).collect(),
        Err(error) => {
            // The unified hierarchy has no such cgroup.
            assert_eq!(error.to_string().rsplit(": ").next(), Some("no such file or directory (ENOENT)"));
            Vec::new()
        }
    };
    assert_eq!(joined.is_empty(), fixture.layout.unified().is_some());
    let subs = parse_sub_cgroups(["pids,devices:sub"]).expect("parse");
    assert_eq!(cgroup.open_join(&subs).expect("join").tasks.len(), fixture.layout.v1().len());
    let tasks = tasks_of(&cgroup, "sub/tasks");
    let inner = Sleeper::inside_of(tasks.len(), &tasks);
    let mut pids = cgroup.processes().expect("processes");
    pids.sort_by_key(|pid| pid.as_raw_pid());
    let mut expected = [outer.pid(), inner.pid()];
    expected.sort_by_key(|pid| pid.as_raw_pid());
    assert_eq!(pids, expected);
    cgroup.kill_all(Signal::KILL).expect("kill");
    cgroup.remove().expect("remove");
}

#[test]
fn a_controller_that_the_container_has_not_is_no_place_to_exec_in() {
    let fixture = Fixture::new();
    let cgroup = fixture.create(&Resources::default()).expect("create");
    let subs = parse_sub_cgroups(["nonesuch:sub"]).expect("parse");
    let error = cgroup.open_join(&subs).expect_err("unknown");
    assert_eq!(error.to_string(), "unknown controller nonesuch in SubCgroupPaths");
}

#[test]
fn removal_names_the_processes_that_stay() {
    let fixture = Fixture::new();
    let mut cgroup = fixture.create(&Resources::default()).expect("create");
    let sleeper = Sleeper::inside(&cgroup);
    let pid = sleeper.pid().as_raw_pid();
    match cgroup.remove() {
        Err(Error::Busy { path, pids }) => {
            assert!(path.ends_with(&fixture.path), "{path}");
            assert_eq!(pids, [pid]);
        }
        other => panic!("expected Busy, got {other:?}"),
    }
    sleeper.kill();
    cgroup.remove().expect("remove once it is gone");
}

#[test]
fn memory_can_be_raised_and_lowered_with_swap() {
    let fixture = Fixture::new();
    let cgroup = fixture.create(&memory(64 * MB, 64 * MB)).expect("create");
    for (limit, swap) in [(128, 256), (32, 48), (512, 512), (16, 16)] {
        cgroup.update(&memory(limit * MB, swap * MB)).expect("update");
        assert_eq!(fixture.read("memory", "memory.limit_in_bytes"), (limit * MB).to_string());
        assert_eq!(fixture.read("memory", "memory.memsw.limit_in_bytes"), (swap * MB).to_string());
    }
    let unlimited = Resources {
        memory: masu_spec::Memory { limit: Some(-1), ..Default::default() },
        ..Default::default()
    };
    cgroup.update(&unlimited).expect("update");
    assert_eq!(fixture.read("memory", "memory.memsw.limit_in_bytes"), "9223372036854771712");
}

#[test]
fn an_update_that_is_refused_changes_nothing() {
    let fixture = Fixture::new();
    let mut before = memory(64 << 20, 96 << 20);
    (before.pids_limit, before.cpu.shares, before.cpu.quota) = (Some(50), Some(512), Some(50_000));
    let cgroup = fixture.create(&before).expect("create");
    let files = [
        ("memory", "memory.limit_in_bytes"),
        ("memory", "memory.memsw.limit_in_bytes"),
        ("memory", "memory.soft_limit_in_bytes"),
        ("cpu", "cpu.shares"),
        ("cpu", "cpu.cfs_quota_us"),
        ("cpu", "cpu.cfs_period_us"),
        ("cpuset", "cpuset.cpus"),
        ("pids", "pids.max"),
    ];
    let all = || files.map(|(controller, file)| fixture.read(controller, file));
    let old = all();
    let mut after = memory(128 << 20, 256 << 20);
    after.memory.reservation = Some(16 << 20);
    (after.pids_limit, after.cpu.shares) = (Some(60), Some(256));
    (after.cpu.quota, after.cpu.period, after.cpu.cpus) = (Some(5_000), Some(20_000), Some("0".into()));
    // The last of all writes, and no device.
    after.block_io.throttle_write_iops_device = vec![ThrottleDevice { major: 4095, minor: 7, rate: 1 }];
    let error = cgroup.update(&after).expect_err("no such device").to_string();
    assert!(error.starts_with("linux.resources.blockIO.throttleWriteIOPSDevice[0]: "), "{error}");
    assert_eq!(all(), old);
    after.block_io = masu_spec::BlockIo::default();
    cgroup.update(&after).expect("update");
    assert_ne!(all(), old);
}

#[test]
fn a_period_below_what_the_old_quota_allows_is_set_with_the_new_quota() {
    let fixture = Fixture::new();
    let parent = {
        let mut resources = Resources::default();
        (resources.cpu.period, resources.cpu.quota) = (Some(100_000), Some(50_000));
        fixture.create(&resources).expect("create")
    };
    let nested = Fixture { layout: fixture.layout.clone(), path: format!("{}/inner", fixture.path) };
    let mut resources = Resources::default();
    (resources.cpu.period, resources.cpu.quota) = (Some(100_000), Some(50_000));
    let cgroup = nested.create(&resources).expect("create");
    (resources.cpu.period, resources.cpu.quota) = (Some(10_000), Some(4_000));
    cgroup.update(&resources).expect("update");
    assert_eq!(nested.read("cpu", "cpu.cfs_period_us"), "10000");
    assert_eq!(nested.read("cpu", "cpu.cfs_quota_us"), "4000");
    drop(cgroup);
    drop(parent);
}

#[test]
fn devices_are_denied_but_for_the_defaults_and_the_configs_own() {
    let fixture = Fixture::new();
    let rule =
        |allow, kind, major, minor| DeviceRule { allow, kind, major, minor, access: DeviceAccess::all() };
    let resources = Resources {
        devices: vec![
            rule(false, DeviceRuleKind::All, None, None),
            rule(true, DeviceRuleKind::Char, Some(1), Some(11)),
        ],
        ..Default::default()
    };
    let cgroup = fixture.create(&resources).expect("create");
    let mut list: Vec<String> = fixture.read("devices", "devices.list").lines().map(String::from).collect();
    list.sort_unstable();
    assert_eq!(
        list,
        [
            "b *:* m",
            "c *:* m",
            "c 10:200 rwm",
            "c 136:* rwm",
            "c 1:11 rwm",
            "c 1:3 rwm",
            "c 1:5 rwm",
            "c 1:7 rwm",
            "c 1:8 rwm",
            "c 1:9 rwm",
            "c 5:0 rwm",
            "c 5:2 rwm"
        ]
    );
    drop(cgroup);
    let cgroup = fixture.create(&Resources::default()).expect("create");
    let opens = |device: &str| {
        let script = r#"echo 0 > "$1" && : < "$2""#;
        let output = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(fixture.dir("devices").join("tasks"))
            .arg(device)
            .output()
            .expect("sh");
        output.status.success()
    };
    assert!(opens("/dev/null"));
    assert!(!opens("/dev/kmsg"), "1:11 is no default device");
    drop(cgroup);
}

#[test]
fn throttling_a_device_that_is_not_there_names_it() {
    let fixture = Fixture::new();
    let mut resources = Resources::default();
    resources.block_io.throttle_read_bps_device = vec![ThrottleDevice { major: 4095, minor: 1, rate: 1000 }];
    let error = fixture.create(&resources).expect_err("no such device");
    assert_eq!(
        error.to_string(),
        format!(
            "linux.resources.blockIO.throttleReadBpsDevice[0]: write \"4095:1 1000\" to \
             blkio.throttle.read_bps_device of cgroup {:?}: no such device (ENODEV)\nhint: no such block device, or only its whole disk \
             can be limited",
            fixture.path
        )
    );
}

#[test]
fn huge_pages_are_limited_wherever_their_controller_is() {
    let fixture = Fixture::new();
    let Some(unified) = fixture.layout.unified().filter(|unified| unified.has("hugetlb")) else {
        // Version 1 hugetlb, or none: then the error must say which.
        let resources = Resources {
            hugepage_limits: vec![HugepageLimit { page_size: Str::from("2MB"), limit: 4 << 20 }],
            ..Default::default()
        };
        match fixture.create(&resources) {
            Ok(_cgroup) => assert_eq!(fixture.read("hugetlb", "hugetlb.2MB.limit_in_bytes"), "4194304"),
            Err(error) => assert_eq!(
                error.to_string(),
                "linux.resources.hugepageLimits[0]: the hugetlb controller is not available: no hierarchy with it is mounted"
            ),
        }
        return;
    };
    let control = format!("{}/cgroup.subtree_control", unified.mount_point);
    let before = fs::read_to_string(&control).expect("subtree_control");
    let resources = Resources {
        hugepage_limits: vec![HugepageLimit { page_size: Str::from("2MB"), limit: 4 << 20 }],
        ..Default::default()
    };
    let cgroup = fixture.create(&resources);
    let max = fs::read_to_string(format!("{}{}/hugetlb.2MB.max", unified.mount_point, fixture.path));
    let reserved =
        fs::read_to_string(format!("{}{}/hugetlb.2MB.rsvd.max", unified.mount_point, fixture.path));
    let stats = cgroup.as_ref().map(Cgroup::stats);
    let hugetlb = stats.expect("create").expect("stats").hugetlb;
    drop(cgroup);
    if !before.contains("hugetlb") {
        fs::write(&control, "-hugetlb").expect("restore subtree_control");
    }
    assert_eq!(max.expect("hugetlb.2MB.max"), "4194304\n");
    assert_eq!(reserved.expect("hugetlb.2MB.rsvd.max"), "4194304\n");
    assert_eq!(hugetlb.get("2MB").map(|entry| entry.failcnt), Some(0));
}

#[test]
fn an_oom_kill_is_counted() {
    let fixture = Fixture::new();
    let cgroup = fixture.create(&memory(8 * MB, 8 * MB)).expect("create");
    assert_eq!(cgroup.oom_kill_count().expect("count"), 0);
    let script = r#"echo 0 > "$1"; head -c 100000000 /dev/zero | tail"#;
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(fixture.dir("memory").join("tasks"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    child.wait().expect("wait");
    assert_eq!(cgroup.oom_kill_count().expect("count"), 1);
}

#[test]
fn the_counters_have_the_shape_of_runcs_events() {
    let fixture = Fixture::new();
    let mut resources = memory(64 * MB, 64 * MB);
    resources.pids_limit = Some(9);
    let cgroup = fixture.create(&resources).expect("create");
    let _sleeper = Sleeper::inside(&cgroup);
    let stats = cgroup.stats().expect("stats");
    assert_eq!((stats.pids.current, stats.pids.limit), (1, 9));
    assert_eq!(stats.memory.usage.limit, 64 << 20);
    assert!(stats.memory.raw.contains_key("cache"), "{:?}", stats.memory.raw);
    assert!(stats.cpu.usage.total > 0);
    assert_eq!(stats.cpuset.cpus.len(), fixture.read("cpuset", "cpuset.effective_cpus").len().div_ceil(2));
    let json = serde_json::to_value(&stats).expect("serialize");
    let keys: Vec<&String> = json.as_object().expect("object").keys().collect();
    assert_eq!(
        keys,
        ["blkio", "cpu", "cpuset", "hugetlb", "intel_rdt", "memory", "network_interfaces", "pids"]
    );
    assert_eq!(json["pids"], serde_json::json!({"current": 1, "limit": 9}));
}

/// Runs itself again as an ordinary user, who may not make cgroups here.
#[test]
fn rootless_without_limits_has_no_cgroup_and_with_limits_an_error() {
    if !rustix::process::geteuid().is_root() {
        return rootless_inner();
    }
    let copy = std::env::temp_dir().join(format!("masu-test-host-{}", std::process::id()));
    fs::copy("/proc/self/exe", &copy).expect("copy the test program");
    let output = Command::new(&copy)
        .args(["--exact", "rootless_without_limits_has_no_cgroup_and_with_limits_an_error"])
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output();
    fs::remove_file(&copy).expect("remove the copy");
    let output = output.expect("run as an ordinary user");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
}

fn rootless_inner() {
    let layout = Layout::probe().expect("probe");
    let id = format!("masu-test-rootless-{}", std::process::id());
    let create = |resources: &Resources<'_>, path: Option<&str>, privilege| {
        let request =
            Request { id: &id, cgroups_path: path, resources, device_paths: &[], privilege, delegated: None };
        Cgroup::create(&layout, &request, None)
    };
    let none = create(&Resources::default(), None, Privilege::Rootless).expect("no cgroup");
    assert!(none.is_none());
    assert_eq!(none.open_tasks().expect("no tasks").len(), 0);
    let again = Cgroup::open(&none.record());
    let denied = "linux.resources.memory.limit: cannot set memory limit: container could not join or create cgroup\n\
                  hint: delegate a cgroup to this user, or remove the limit";
    assert_eq!(again.update(&memory(MB, MB)).expect_err("denied").to_string(), denied);
    let error = create(&memory(MB, MB), None, Privilege::Rootless).expect_err("denied");
    assert_eq!(error.to_string(), denied);
    for (path, privilege) in
        [(Some("/masu-test-named"), Privilege::Rootless), (None, Privilege::UserNamespace)]
    {
        let error = create(&Resources::default(), path, privilege).expect_err("an error");
        assert!(matches!(error, Error::Io { call: "mkdir", .. }), "{error:?}");
        assert!(error.to_string().ends_with(": permission denied (EACCES)"), "{error}");
    }
}
