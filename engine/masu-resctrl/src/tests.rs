//! Against a stand-in of the tree: ordinary files, which the test fills where the kernel would fill them. Between `begin` and
//! `finish` it has its chance to.

use std::{
    fs,
    path::{Path, PathBuf},
};

use masu_spec::IntelRdt;

use super::{Error, Group, Resctrl, Result};

/// A tree of its own, which goes with it.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("masu-resctrl-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        let tree = Self(path);
        fs::create_dir(tree.0.join("info")).unwrap();
        fs::write(tree.0.join("info/last_cmd_status"), "ok\n").unwrap();
        tree.fill("");
        tree
    }

    /// What the kernel puts into a new class, and into a new group but for `schemata` and `mon_groups`.
    fn fill(&self, group: &str) {
        let path = self.0.join(group);
        fs::write(path.join("tasks"), "").unwrap();
        fs::write(path.join("schemata"), "").unwrap();
        fs::create_dir(path.join("mon_groups")).unwrap();
    }

    fn root(&self) -> Resctrl {
        Resctrl::at(self.0.to_str().unwrap()).unwrap()
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.0.join(path).exists()
    }

    /// Begins a class, lets the kernel fill it if it is new, and finishes it.
    fn make(&self, rdt: &IntelRdt<'_>) -> Result<Group> {
        let root = self.root();
        let begun = root.begin(rdt, "web")?;
        if begun.new {
            self.fill(begun.name);
        }
        begun.finish()
    }

    /// As the kernel does with its files when a directory goes.
    fn empty(&self, path: &str) {
        for entry in fs::read_dir(self.0.join(path)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn rdt() -> IntelRdt<'static> {
    IntelRdt::default()
}

fn named(name: &'static str) -> IntelRdt<'static> {
    IntelRdt { clos_id: Some(name.into()), ..rdt() }
}

#[test]
fn without_a_clos_id_the_containers_id_names_the_class_and_it_goes_with_the_container() {
    let tree = Tree::new("own");
    tree.make(&rdt()).unwrap().join(77).unwrap();
    assert_eq!((tree.read("web/tasks"), tree.read("web/schemata")), ("77\n".into(), String::new()));
    tree.empty("web");
    tree.root().remove_of(&rdt(), "web").unwrap();
    assert!(!tree.has("web"));
    // What is gone already is no error: a delete that was interrupted is done again.
    tree.root().remove_of(&rdt(), "web").unwrap();
}

#[test]
fn a_directory_of_the_containers_name_that_is_there_is_not_taken_over() {
    let tree = Tree::new("taken");
    fs::create_dir(tree.0.join("web")).unwrap();
    let path = tree.0.join("web");
    let error = tree.make(&rdt()).unwrap_err();
    assert_eq!(error.to_string(), format!("mkdir {}: file exists (EEXIST)", path.display()));
    assert!(tree.has("web"));
}

#[test]
fn a_class_that_is_missing_is_made_and_stays() {
    let tree = Tree::new("made");
    let rdt = IntelRdt { l3_cache_schema: Some("L3:0=f".into()), ..named("gold") };
    tree.make(&rdt).unwrap().join(5).unwrap();
    assert_eq!((tree.read("gold/tasks"), tree.read("gold/schemata")), ("5\n".into(), "L3:0=f\n".into()));
    tree.root().remove_of(&rdt, "web").unwrap();
    assert!(tree.has("gold/schemata"));
}

#[test]
fn a_clos_id_alone_has_to_be_there_and_its_shares_are_left_alone() {
    let tree = Tree::new("alone");
    assert_eq!(tree.make(&named("gold")).unwrap_err(), Error::NoClass { name: "gold".into() });
    assert!(!tree.has("gold"));
    fs::create_dir(tree.0.join("gold")).unwrap();
    tree.fill("gold");
    tree.make(&named("gold")).unwrap().join(5).unwrap();
    assert_eq!((tree.read("gold/tasks"), tree.read("gold/schemata")), ("5\n".into(), String::new()));
}

#[test]
fn a_class_that_is_there_has_to_have_the_same_shares() {
    let tree = Tree::new("same");
    fs::create_dir(tree.0.join("gold")).unwrap();
    tree.fill("gold");
    fs::write(tree.0.join("gold/schemata"), "    L3:0=0000f;1=fffff\n    MB:0=100;1=100\n").unwrap();
    let same = IntelRdt { l3_cache_schema: Some("L3:0=f".into()), ..named("gold") };
    tree.make(&same).unwrap();
    let others = IntelRdt { schemata: vec!["MB:1=100".into(), "L3:1=f".into()], ..named("gold") };
    let path = tree.0.join("gold").display().to_string();
    let error = tree.make(&others).unwrap_err();
    assert_eq!(error.to_string(), format!("{path} has other shares than \"L3:1=f\""));
    assert_eq!(tree.read("gold/schemata"), "    L3:0=0000f;1=fffff\n    MB:0=100;1=100\n");
}

#[test]
fn a_slash_is_the_default_class() {
    let tree = Tree::new("default");
    tree.make(&named("/")).unwrap().join(9).unwrap();
    assert_eq!(tree.read("tasks"), "9\n");
    tree.root().remove_of(&named("/"), "web").unwrap();
    assert!(tree.has("tasks"));
}

#[test]
fn the_l3_schema_is_written_first_and_schemata_last() {
    let all = IntelRdt {
        mem_bw_schema: Some("MB:0=20".into()),
        l3_cache_schema: Some("L3:0=f".into()),
        schemata: vec!["L2:0=3".into(), "L3:0=ff".into()],
        ..rdt()
    };
    assert_eq!(super::schemata::writes(&all), ["L3:0=f\n", "MB:0=20\n", "L2:0=3\nL3:0=ff\n"]);
    let bandwidth = IntelRdt { mem_bw_schema: Some("MB:0=20".into()), ..rdt() };
    assert_eq!(super::schemata::writes(&bandwidth), ["MB:0=20\n"]);
    assert_eq!(super::schemata::writes(&rdt()), [""; 0]);
}

#[test]
fn a_monitoring_group_has_the_containers_id_and_goes_with_it() {
    for class in ["/", "gold"] {
        let tree = Tree::new(if class == "/" { "monitor-default" } else { "monitor" });
        let below = if class == "/" { Path::new("").to_owned() } else { PathBuf::from(class) };
        if class != "/" {
            fs::create_dir(tree.0.join(class)).unwrap();
            tree.fill(class);
        }
        let rdt = IntelRdt { enable_monitoring: true, ..named(class) };
        let path = below.join("mon_groups/web").display().to_string();
        fs::write(tree.0.join(below.join("mon_groups")).join("other"), "").unwrap();
        let group = tree.make(&rdt).unwrap().make_monitor("web").unwrap();
        fs::write(tree.0.join(&path).join("tasks"), "").unwrap();
        group.join(8).unwrap();
        assert_eq!(tree.read(&format!("{path}/tasks")), "8\n");
        tree.empty(&path);
        tree.root().remove_of(&rdt, "web").unwrap();
        assert!(!tree.has(&path) && tree.has(&below.join("mon_groups/other").display().to_string()));
    }
}

#[test]
fn a_monitoring_group_that_cannot_be_made_is_an_error() {
    let tree = Tree::new("no-monitor");
    let class = tree.make(&named("/")).unwrap();
    fs::create_dir(tree.0.join("mon_groups/web")).unwrap();
    let path = tree.0.join("mon_groups/web");
    let error = class.make_monitor("web").unwrap_err();
    assert_eq!(error.to_string(), format!("mkdir {}: file exists (EEXIST)", path.display()));
}

#[test]
fn what_is_refused_leaves_no_class_and_has_the_kernels_words() {
    let tree = Tree::new("refused");
    fs::write(tree.0.join("info/last_cmd_status"), "Unknown resource\n").unwrap();
    let root = tree.root();
    let rdt = IntelRdt { l3_cache_schema: Some("L9:0=f".into()), ..named("gold") };
    // A kernel that fills nothing: `schemata` cannot be opened.
    let error = root.begin(&rdt, "web").unwrap().finish().unwrap_err();
    let path = tree.0.join("gold/schemata");
    let text = format!("open {}: no such file or directory (ENOENT): Unknown resource", path.display());
    assert_eq!(error.to_string(), text);
    assert!(!tree.has("gold"));
}

#[test]
fn other_shares_are_written_and_those_before_are_told() {
    let tree = Tree::new("change");
    fs::write(tree.0.join("schemata"), "    L3:0=ff\n").unwrap();
    let (root, class) = (tree.root(), tree.make(&named("/")).unwrap());
    let shares = IntelRdt { l3_cache_schema: Some("L3:0=00000f".into()), ..rdt() };
    assert_eq!(root.change(&class, &shares).unwrap(), "    L3:0=ff\n");
    assert_eq!(tree.read("schemata"), "L3:0=00000f\n");
    class.write_schemata(&["    L3:0=ff\n".into()]).unwrap();
    assert_eq!(tree.read("schemata"), "    L3:0=ff\n");
}

#[test]
fn figures_are_those_of_the_group_in_runcs_shape_and_what_is_lacking_is_left_out() {
    let tree = Tree::new("stats");
    let class = tree.make(&named("/")).unwrap();
    assert_eq!(tree.root().stats(&class, &class).unwrap(), super::Stats::default());
    fs::write(tree.0.join("schemata"), "    MB:0=100;1=100\n    L3:0=ff;1=f0\n").unwrap();
    for (path, text) in [
        ("info/L3/cbm_mask", "fffff"),
        ("info/L3/min_cbm_bits", "1"),
        ("info/L3/num_closids", "16"),
        ("info/MB/bandwidth_gran", "10"),
        ("info/MB/delay_linear", "1"),
        ("info/MB/min_bandwidth", "10"),
        ("info/MB/num_closids", "8"),
        ("mon_groups/web/mon_data/mon_L3_01/llc_occupancy", "Unavailable"),
        ("mon_groups/web/mon_data/mon_L3_00/llc_occupancy", "2048"),
        ("mon_groups/web/mon_data/mon_L3_00/mbm_total_bytes", "9"),
        ("mon_groups/web/mon_data/mon_L3_00/mbm_local_bytes", "7"),
    ] {
        let path = tree.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
    let stats = tree.root().stats(&class, &class.open_monitor("web").unwrap()).unwrap();
    let (l3, bandwidth) = ("L3:0=ff;1=f0".to_owned(), "MB:0=100;1=100".to_owned());
    let expected = super::Stats {
        l3_cache_info: Some(super::L3CacheInfo {
            cbm_mask: "fffff".into(),
            min_cbm_bits: 1,
            num_closids: 16,
        }),
        l3_cache_schema_root: l3.clone(),
        l3_cache_schema: l3.clone(),
        mem_bw_info: Some(super::MemBwInfo {
            bandwidth_gran: 10,
            delay_linear: 1,
            min_bandwidth: 10,
            num_closids: 8,
        }),
        mem_bw_schema_root: bandwidth.clone(),
        mem_bw_schema: bandwidth.clone(),
        schemata: vec![bandwidth, l3],
        mbm_stats: vec![super::MbmStats { mbm_total_bytes: 9, mbm_local_bytes: 7 }],
        cmt_stats: vec![super::CmtStats { llc_occupancy: 2048 }],
    };
    assert_eq!(stats, expected);
}

#[test]
fn only_a_resctrl_file_system_is_one() {
    for mountinfo in
        ["", "22 1 0:21 / /proc rw - proc proc rw\n", "22 1 0:21 / /proc rw - resctrl resctrl rw\n"]
    {
        assert_eq!(Resctrl::find(mountinfo).unwrap_err(), Error::NotMounted, "{mountinfo:?}");
    }
}
