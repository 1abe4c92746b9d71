use masu_spec::{Cpu, DeviceRule, DeviceRuleKind, Memory, Resources};

use super::*;
use crate::layout::{Hierarchy, Layout};
use crate::plan::{Now, Places, plan_writes};

fn places(version_2: bool) -> Places {
    let controllers =
        ["cpuset", "cpu", "io", "blkio", "memory", "pids", "hugetlb"].map(String::from).to_vec();
    let hierarchy = Hierarchy { controllers, ..Hierarchy::default() };
    Places::of(&match version_2 {
        true => Layout::Unified { unified: hierarchy },
        false => Layout::V1 { hierarchies: vec![hierarchy] },
    })
}

fn limits_of(resources: &Resources<'_>, version_2: bool) -> Vec<Property> {
    limits(&plan_writes(resources, &places(version_2), &Now::default()).unwrap()).unwrap()
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Array("y".into(), bytes.iter().copied().map(Value::Byte).collect())
}

fn complete() -> Resources<'static> {
    let mut resources = Resources {
        memory: Memory { limit: Some(1000), swap: Some(1500), ..Memory::default() },
        cpu: Cpu {
            shares: Some(1024),
            quota: Some(25_000),
            period: Some(50_000),
            cpus: Some("0-2,9".into()),
            mems: Some("0".into()),
            ..Cpu::default()
        },
        pids_limit: Some(0),
        ..Resources::default()
    };
    resources.block_io.weight = Some(500);
    resources
}

#[test]
fn limits_are_properties_on_version_2() {
    let mut resources = complete();
    resources.memory.reservation = Some(-1);
    let expected = [
        ("AllowedCPUs", bytes(&[0b111, 0b10])),
        ("AllowedMemoryNodes", bytes(&[1])),
        ("CPUQuotaPerSecUSec", Value::Uint64(500_000)),
        ("CPUQuotaPeriodUSec", Value::Uint64(50_000)),
        ("CPUWeight", Value::Uint64(100)),
        ("IOWeight", Value::Uint64(4950)),
        ("MemoryLow", Value::Uint64(u64::MAX)),
        ("MemoryMax", Value::Uint64(1000)),
        ("MemorySwapMax", Value::Uint64(500)),
        ("TasksMax", Value::Uint64(1)),
    ];
    assert_eq!(limits_of(&resources, true), expected.map(|(name, value)| (name.into(), value)));
}

#[test]
fn limits_are_other_properties_on_version_1() {
    let expected = [
        ("AllowedCPUs", bytes(&[0b111, 0b10])),
        ("AllowedMemoryNodes", bytes(&[1])),
        ("BlockIOWeight", Value::Uint64(500)),
        ("CPUQuotaPerSecUSec", Value::Uint64(500_000)),
        ("CPUQuotaPeriodUSec", Value::Uint64(50_000)),
        ("CPUShares", Value::Uint64(1024)),
        ("MemoryLimit", Value::Uint64(1000)),
        ("TasksMax", Value::Uint64(1)),
    ];
    assert_eq!(limits_of(&complete(), false), expected.map(|(name, value)| (name.into(), value)));
}

#[test]
fn a_unified_key_is_the_same_property_and_the_last_word() {
    let mut resources = complete();
    for (key, value) in [
        ("memory.max", "max"),
        ("memory.high", "700"),
        ("cpu.max", "max 20000"),
        ("cpu.weight", "7"),
        ("io.weight", "default 42"),
        ("pids.max", "9"),
        ("hugetlb.2MB.max", "0"),
    ] {
        resources.unified.insert(key.into(), value.into());
    }
    let found = limits_of(&resources, true);
    let number = |name: &str| found.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    for (name, value) in [
        ("MemoryMax", u64::MAX),
        ("MemoryHigh", 700),
        ("CPUQuotaPerSecUSec", u64::MAX),
        ("CPUQuotaPeriodUSec", 20_000),
        ("CPUWeight", 7),
        ("IOWeight", 42),
        ("TasksMax", 9),
    ] {
        assert_eq!(number(name), Some(Value::Uint64(value)), "{name}");
    }
}

#[test]
fn an_idle_cgroup_has_the_weight_zero() {
    let mut resources = Resources::default();
    resources.cpu.idle = Some(1);
    assert_eq!(limits_of(&resources, true), [("CPUWeight".to_owned(), Value::Uint64(0))]);
    assert_eq!(limits_of(&Resources::default(), true), []);
}

#[test]
fn a_quota_is_the_next_hundredth_of_a_processor() {
    for (quota, period, expected) in [
        (100_000, 100_000, 1_000_000),
        (1000, 100_000, 10_000),
        (1001, 100_000, 20_000),
        (33_333, 100_000, 340_000),
        (INFINITY, 100_000, INFINITY),
        (u64::MAX / 2, 1, INFINITY),
        (5, 0, INFINITY),
    ] {
        assert_eq!(per_second(quota, period), expected, "{quota}/{period}");
    }
}

#[test]
fn a_list_that_is_none_is_refused_with_its_field() {
    for list in ["", "a", "3-1", "1-", "-1", "0,x", "99999"] {
        let error = mask(list, "linux.resources.cpu.cpus").unwrap_err().to_string();
        assert_eq!(error, format!("linux.resources.cpu.cpus: {list:?} is no list such as 0-3,8"));
    }
}

fn rules(rules: Vec<DeviceRule>) -> Option<DeviceRules> {
    let resources = Resources { devices: rules, ..Resources::default() };
    crate::devices::device_rules(&resources, &[]).ok()
}

fn strings(property: &Property) -> Vec<(String, String)> {
    let Value::Array(signature, entries) = &property.1 else { panic!("{property:?}") };
    assert_eq!(signature, "(ss)");
    let pair = |entry: &Value| match entry {
        Value::Struct(fields) => match fields.as_slice() {
            [Value::String(device), Value::String(access)] => (device.clone(), access.clone()),
            _ => panic!("{entry:?}"),
        },
        _ => panic!("{entry:?}"),
    };
    entries.iter().map(pair).collect()
}

#[test]
fn device_rules_are_a_strict_list_where_systemd_can_say_it() {
    let rule = |allow, kind, major, minor, access| DeviceRule { allow, kind, major, minor, access };
    let (read, all) = (DeviceAccess::READ, DeviceAccess::all());
    let disk = rule(true, DeviceRuleKind::Block, Some(8), Some(0), read);
    let found = devices(rules(vec![disk]).as_ref(), true);
    assert_eq!(found[0], ("DevicePolicy".into(), Value::String("strict".into())));
    let list = strings(&found[1]);
    for (device, access) in [
        ("/dev/block/8:0", "r"),
        ("/dev/char/1:3", "rwm"),
        ("char-136", "rwm"),
        ("char-*", "m"),
        ("block-*", "m"),
    ] {
        assert!(list.contains(&(device.into(), access.into())), "{device}: {list:?}");
    }
    let everything = rule(true, DeviceRuleKind::All, None, None, all);
    let any_major = rule(true, DeviceRuleKind::Char, None, Some(3), all);
    let no_disk = rule(false, DeviceRuleKind::Block, Some(8), Some(0), all);
    for (config, version_2, policy) in [
        (vec![everything], true, "auto"),
        (vec![everything], false, "auto"),
        (vec![any_major], true, "auto"),
        (vec![any_major], false, "strict"),
        (vec![everything, no_disk], true, "auto"),
        (vec![everything, no_disk], false, "strict"),
    ] {
        let found = devices(rules(config.clone()).as_ref(), version_2);
        assert_eq!(found[0].1, Value::String(policy.into()), "{config:?} {version_2}");
        assert_eq!(strings(&found[1]), []);
    }
}

fn annotated_by(key: &str, value: &str) -> core::result::Result<Vec<Property>, String> {
    let annotations = BTreeMap::from([(key.into(), value.into()), ("run.oci.other".into(), "x".into())]);
    annotated(&annotations).map_err(|error| error.to_string())
}

#[test]
fn annotations_are_properties_and_seconds_become_microseconds() {
    let table = [
        ("TimeoutStopUSec", "uint64 10000000", "TimeoutStopUSec", Value::Uint64(10_000_000)),
        ("TimeoutStopSec", "10", "TimeoutStopUSec", Value::Uint64(10_000_000)),
        ("TimeoutStopSec", "1.5", "TimeoutStopUSec", Value::Uint64(1_500_000)),
        ("CPUQuotaPerSec", "uint32 2", "CPUQuotaPerUSec", Value::Uint64(2_000_000)),
        ("CollectMode", "'inactive'", "CollectMode", Value::String("inactive".into())),
        // The letter before is no small one: as runc, left as it is.
        ("XSec", "1", "XSec", Value::Int32(1)),
    ];
    for (key, text, name, value) in table {
        let found = annotated_by(&format!("org.systemd.property.{key}"), text);
        assert_eq!(found, Ok(vec![(name.into(), value)]), "{key}");
    }
}

#[test]
fn annotations_that_are_no_properties_are_refused() {
    let table = [
        ("Ab", "1", "\"Ab\" is no name of a property: at least three letters of ASCII"),
        ("A-b", "1", "\"A-b\" is no name of a property: at least three letters of ASCII"),
        ("Abc", "x", "\"x\" cannot be read: \"x\" is no value: a text needs quotes, as in 'x'"),
        ("TimeoutSec", "'x'", "\"'x'\" is no number of seconds"),
        ("TimeoutSec", "-1", "\"-1\" is no number of seconds"),
        ("TimeoutSec", "-1.0", "\"-1.0\" is no number of seconds"),
        (
            "TimeoutSec",
            "uint64 18446744073709551615",
            "\"uint64 18446744073709551615\" is no number of seconds",
        ),
    ];
    for (key, text, why) in table {
        let key = format!("org.systemd.property.{key}");
        assert_eq!(annotated_by(&key, text), Err(format!("annotations[{key:?}]: {why}")));
    }
}
