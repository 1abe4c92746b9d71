use super::read::{parse_blkio, parse_list, parse_page_size};
use super::unified::{parse_io_stat, parse_psi};
use super::*;

#[test]
fn nothing_used_is_printed_as_runc_prints_it() {
    let json = serde_json::to_string(&Stats::default()).expect("serialize");
    assert_eq!(
        json,
        concat!(
            r#"{"cpu":{},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"#,
            r#""memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"#,
            r#""sched_relax_domain_level":0},"memory":{},"pids":{},"blkio":{},"hugetlb":{},"intel_rdt":{},"#,
            r#""network_interfaces":null}"#
        )
    );
}

#[test]
fn the_names_of_a_networks_figures_are_runcs() {
    let interface =
        NetworkInterface { name: "eth0".into(), rx_bytes: 1, tx_dropped: 2, ..Default::default() };
    assert_eq!(
        serde_json::to_string(&interface).expect("serialize"),
        concat!(
            r#"{"Name":"eth0","RxBytes":1,"RxPackets":0,"RxErrors":0,"RxDropped":0,"#,
            r#""TxBytes":0,"TxPackets":0,"TxErrors":0,"TxDropped":2}"#
        )
    );
}

#[test]
fn the_names_are_runcs() {
    let mut stats = Stats::default();
    stats.cpu.usage.total = 1;
    stats.cpu.throttling.throttled_periods = 2;
    stats.memory.kernel_tcp.limit = 3;
    stats.blkio.io_queued_recursive = parse_blkio("8:0 Read 4\n");
    stats.blkio.io_service_bytes_recursive = parse_blkio("8:0 5\n");
    let json = serde_json::to_value(&stats).expect("serialize");
    assert_eq!(
        json["cpu"],
        serde_json::json!({"usage": {"total": 1, "kernel": 0, "user": 0}, "throttling": {"throttledPeriods": 2}})
    );
    assert_eq!(json["memory"], serde_json::json!({"kernelTCP": {"limit": 3, "failcnt": 0}}));
    assert_eq!(
        json["blkio"],
        serde_json::json!({
            "ioServiceBytesRecursive": [{"major": 8, "value": 5}],
            "ioQueueRecursive": [{"major": 8, "op": "Read", "value": 4}],
        })
    );
}

#[test]
fn block_device_lines_have_an_operation_or_not_and_a_total_is_left_out() {
    let entry = |op: &str, value| BlkioEntry { major: 254, minor: 0, op: op.into(), value };
    assert_eq!(
        parse_blkio("254:0 Read 10\n254:0 Total 12\nTotal 12\n254:0 7\n"),
        [entry("Read", 10), entry("Total", 12), entry("", 7)]
    );
}

#[test]
fn lists_of_cpus_are_ranges_and_numbers() {
    let cases: [(&str, &[u16]); 4] = [("0-2,7\n", &[0, 1, 2, 7]), ("3\n", &[3]), ("\n", &[]), ("5-4\n", &[])];
    for (text, expected) in cases {
        assert_eq!(parse_list(text), expected, "{text:?}");
    }
}

#[test]
fn page_sizes_are_spelled_as_the_controllers_files() {
    let cases = [
        ("hugepages-64kB", Some("64KB")),
        ("hugepages-2048kB", Some("2MB")),
        ("hugepages-1048576kB", Some("1GB")),
        ("hugepages-2048", None),
        ("other", None),
    ];
    for (name, expected) in cases {
        assert_eq!(parse_page_size(name).as_deref(), expected, "{name}");
    }
}

#[test]
fn io_stat_becomes_the_lists_of_version_1() {
    let stats =
        parse_io_stat("8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=7 dios=8\n254:0 rbytes=5\nnonsense\n");
    let entry = |major, minor, op: &str, value| BlkioEntry { major, minor, op: op.into(), value };
    assert_eq!(
        stats.io_service_bytes_recursive,
        [entry(8, 16, "Read", 10), entry(8, 16, "Write", 20), entry(254, 0, "Read", 5)]
    );
    assert_eq!(stats.io_serviced_recursive, [entry(8, 16, "Read", 1), entry(8, 16, "Write", 2)]);
}

#[test]
fn pressure_is_printed_as_runc_prints_it() {
    let text = "some avg10=0.00 avg60=1.50 avg300=12.34 total=12345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
    let psi = parse_psi(text).expect("psi");
    let json = serde_json::to_string(&psi).expect("serialize");
    assert_eq!(json, r#"{"some":{"avg10":0,"avg60":1.5,"avg300":12.34,"total":12345}}"#);
    for malformed in ["some avg10", "some avg10=1", "some total=x"] {
        assert_eq!(parse_psi(malformed), None, "{malformed}");
    }
}
