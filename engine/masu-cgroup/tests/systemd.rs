//! The systemd driver on this machine's own hierarchies, with a stand-in for systemd: a thread that answers on a Unix
//! socket. It makes no cgroup, so that masu makes all of them, as it does on version 1 those that systemd does not know.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, outside of #[test] functions, where clippy.toml's exceptions do not reach"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use masu_cgroup::{
    Cgroup, CgroupRecord, Driver, Hierarchy, Instance, Layout, PlannedUnit, Privilege, Request,
};
use masu_spec::{Resources, Str};

const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;

/// What the stand-in has been called with: the name of each method, and the bytes of the message.
type Calls = Arc<Mutex<Vec<(&'static str, Vec<u8>)>>>;

const METHODS: [&str; 6] =
    ["StartTransientUnit", "SetUnitProperties", "ResetFailedUnit", "StopUnit", "Subscribe", "Get"];

struct StandIn {
    dir: PathBuf,
    name: String,
    calls: Calls,
}

impl StandIn {
    /// `result` is how its jobs end.
    fn new(result: &'static str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("masu-test-systemd-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir_all(dir.join("systemd")).expect("make a directory");
        let listener = UnixListener::bind(dir.join("systemd/private")).expect("listen");
        let calls = Calls::default();
        let (seen, control_group) = (Arc::clone(&calls), format!("/{name}"));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let (seen, control_group) = (Arc::clone(&seen), control_group.clone());
                std::thread::spawn(move || serve(stream, result, &control_group, &seen));
            }
        });
        Self { dir, name, calls }
    }

    fn find(&self) -> PlannedUnit {
        let runtime_dir = self.dir.to_str();
        let instance = Instance::User { runtime_dir, session_bus: None };
        PlannedUnit::find(instance, "web", Some(":masu:web"), &BTreeMap::new()).expect("find the unit")
    }

    fn create(&self, layout: &Layout, resources: &Resources<'_>) -> Result<Cgroup, masu_cgroup::Error> {
        let request = Request {
            id: "web",
            cgroups_path: Some(":masu:web"),
            resources,
            device_paths: &[],
            privilege: Privilege::Full,
            delegated: None,
        };
        let unit = self.find();
        let before = Cgroup::record_before(layout, &request, Some(&unit)).expect("a record");
        assert_eq!(before.driver, Driver::Systemd);
        assert!(before.members.iter().all(|member| member.path == self.path()), "{before:?}");
        Cgroup::create(layout, &request, Some(unit))
    }

    fn path(&self) -> String {
        format!("/{}/user.slice/masu-web.scope", self.name)
    }

    fn called(&self) -> Vec<&'static str> {
        self.calls.lock().expect("calls").iter().map(|(name, _)| *name).collect()
    }

    fn left(&self, layout: &Layout) -> Vec<PathBuf> {
        let points = layout.v1().iter().chain(layout.unified()).map(|hierarchy| &hierarchy.mount_point);
        points
            .map(|point| PathBuf::from(format!("{point}/{}", self.name)))
            .filter(|dir| dir.exists())
            .collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir); // ignored: it is in the directory of temporary files
    }
}

fn serve(mut stream: UnixStream, result: &str, control_group: &str, calls: &Calls) {
    let mut greeting = [0; 29];
    stream.read_exact(&mut greeting).expect("read the greeting");
    assert_eq!(&greeting, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
    stream.write_all(b"DATA\r\nOK 0123456789abcdef\r\n").expect("answer");
    let mut prefix = [0; 16];
    while stream.read_exact(&mut prefix).is_ok() {
        let number = |at: usize| u32::from_le_bytes(prefix[at..at + 4].try_into().expect("4 bytes"));
        let length = number(12).next_multiple_of(8) + number(4);
        let mut rest = vec![0; usize::try_from(length).expect("a length")];
        stream.read_exact(&mut rest).expect("read the message");
        let has = |name: &str| rest.windows(name.len()).any(|window| window == name.as_bytes());
        let method = METHODS.into_iter().find(|name| has(&format!("{name}\0"))).expect("a known method");
        calls.lock().expect("calls").push((method, rest.clone()));
        let serial = number(8);
        let answer = match method {
            "Get" => message(
                METHOD_RETURN,
                &reply_to(serial),
                "v",
                &[b"\x01s\0\0", &*text(control_group)].concat(),
            ),
            "StartTransientUnit" | "StopUnit" => {
                let job = message(METHOD_RETURN, &reply_to(serial), "o", &text("/job/1"));
                let mut body = 1_u32.to_le_bytes().to_vec();
                for part in ["/job/1", "masu-web.scope", result] {
                    body.resize(body.len().next_multiple_of(4), 0);
                    body.extend(text(part));
                }
                let member = [b"\x03\x01s\0", &*text("JobRemoved")].concat();
                // The signal may come before the answer that it belongs to.
                [message(SIGNAL, &member, "uoss", &body), job].concat()
            }
            "ResetFailedUnit" => {
                let name =
                    [&*reply_to(serial), b"\x04\x01s\0", &*text("org.freedesktop.systemd1.NoSuchUnit")];
                message(ERROR, &name.concat(), "s", &text("Unit masu-web.scope not loaded."))
            }
            _ => message(METHOD_RETURN, &reply_to(serial), "", b""),
        };
        stream.write_all(&answer).expect("answer");
    }
}

fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a length").to_le_bytes();
    [&length[..], text.as_bytes(), b"\0"].concat()
}

fn reply_to(serial: u32) -> Vec<u8> {
    [b"\x05\x01u\0", &serial.to_le_bytes()[..]].concat()
}

/// `fields` are the header fields but the signature.
fn message(kind: u8, fields: &[u8], signature: &str, body: &[u8]) -> Vec<u8> {
    let mut fields = fields.to_vec();
    fields.resize(fields.len().next_multiple_of(8), 0);
    fields.extend(b"\x08\x01g\0");
    fields.push(u8::try_from(signature.len()).expect("a length"));
    fields.extend(signature.as_bytes());
    fields.push(0);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a length").to_le_bytes();
    let mut message = [b'l', kind, 0, 1].to_vec();
    message.extend(length(body));
    message.extend(1_u32.to_le_bytes());
    message.extend(length(&fields));
    message.extend(&fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    message
}

fn limited() -> Resources<'static> {
    let mut resources = Resources { pids_limit: Some(7), ..Resources::default() };
    resources.memory.limit = Some(64 << 20);
    resources.cpu.cpus = Some(Str::from("0"));
    resources
}

#[test]
fn a_scope_is_asked_for_with_its_limits_and_given_back() {
    let layout = Layout::probe().expect("probe");
    let systemd = StandIn::new("done");
    let mut cgroup = systemd.create(&layout, &limited()).expect("create");
    assert_eq!(systemd.called(), ["Get", "StartTransientUnit"]);
    let (_, start) = systemd.calls.lock().expect("calls")[1].clone();
    let names: &[&str] = match layout.v1().is_empty() {
        true => &["MemoryMax", "IOAccounting"],
        false => &["MemoryLimit", "BlockIOAccounting"],
    };
    let always = ["PIDs", "Delegate", "Slice", "TasksMax", "AllowedCPUs", "DevicePolicy", "CollectMode"];
    for name in always.iter().chain(names) {
        assert!(start.windows(name.len()).any(|window| window == name.as_bytes()), "no {name}");
    }
    let pids = layout.v1().iter().find(|hierarchy| hierarchy.has("pids")).or(layout.unified());
    let limit = PathBuf::from(format!("{}{}/pids.max", pids.expect("pids").mount_point, systemd.path()));
    let limit = || fs::read_to_string(&limit).expect("pids.max").trim().to_owned();
    assert_eq!(limit(), "8", "with room for the scope's first process");
    cgroup.settle(0).expect("settle");
    assert_eq!(limit(), "7");
    let mut resources = Resources { pids_limit: Some(9), ..Resources::default() };
    resources.cpu.shares = Some(512);
    cgroup.update(&resources).expect("update");
    assert_eq!(limit(), "9");
    let json = serde_json::to_string(&cgroup.record()).expect("serialize");
    cgroup.keep();
    drop(cgroup);
    // A later process, which knows the record alone.
    let record: CgroupRecord = serde_json::from_str(&json).expect("deserialize");
    Cgroup::open(&record).remove().expect("remove");
    let calls = ["Get", "StartTransientUnit", "SetUnitProperties", "StopUnit", "ResetFailedUnit"];
    assert_eq!(systemd.called(), calls);
    assert_eq!(systemd.left(&layout), [] as [PathBuf; 0]);
}

#[test]
fn a_job_that_fails_is_an_error_and_leaves_nothing() {
    let layout = Layout::probe().expect("probe");
    let systemd = StandIn::new("failed");
    let error = systemd.create(&layout, &limited()).expect_err("an error");
    assert_eq!(error.to_string(), "systemd: start unit \"masu-web.scope\": its job ended with \"failed\"");
    assert_eq!(systemd.called(), ["Get", "StartTransientUnit", "ResetFailedUnit"]);
    assert_eq!(systemd.left(&layout), [] as [PathBuf; 0]);
}

#[test]
fn what_fails_after_the_start_stops_the_unit() {
    let layout = Layout::probe().expect("probe");
    let systemd = StandIn::new("done");
    let mut resources = limited();
    resources.cpu.cpus = Some(Str::from("4000"));
    let error = systemd.create(&layout, &resources).expect_err("an error").to_string();
    assert!(error.contains("cpuset.cpus"), "{error}");
    assert_eq!(systemd.called(), ["Get", "StartTransientUnit", "StopUnit", "ResetFailedUnit"]);
    assert_eq!(systemd.left(&layout), [] as [PathBuf; 0]);
}

#[test]
fn a_systemd_that_is_not_there_is_told_with_the_place() {
    let instance = Instance::User { runtime_dir: Some("/nowhere"), session_bus: None };
    let error = PlannedUnit::find(instance, "web", None, &BTreeMap::new()).expect_err("an error");
    let text = "systemd cannot be reached: /nowhere/systemd/private: connect: no such file or directory (ENOENT); \
                /nowhere/bus: connect: no such file or directory (ENOENT)\n\
                hint: the systemd driver needs a running systemd, and for an ordinary user one of the user's own; \
                without --systemd-cgroup masu makes cgroups itself";
    assert_eq!(error.to_string(), text);
}

/// A layout in which nobody may write `cgroup.procs` above the engine and the unit.
fn out_of_reach() -> Layout {
    let unified = Hierarchy {
        mount_point: "/nowhere".into(),
        root: "/".into(),
        own: "/session".into(),
        ..Hierarchy::default()
    };
    Layout::Unified { unified }
}

#[test]
fn an_engine_outside_of_the_users_systemd_goes_into_a_scope_of_its_own() {
    let systemd = StandIn::new("done");
    systemd.find().come_within_reach(&out_of_reach()).expect("within reach");
    assert_eq!(systemd.called(), ["Get", "StartTransientUnit"]);
    let calls = systemd.calls.lock().expect("calls");
    let name = format!("masu-engine-{}.scope", std::process::id());
    for word in [name.as_bytes(), b"PIDs", &std::process::id().to_le_bytes()] {
        assert!(calls[1].1.windows(word.len()).any(|window| window == word), "{word:?}");
    }
}

#[test]
fn an_engine_that_may_write_above_both_stays_where_it_is() {
    let systemd = StandIn::new("done");
    // Root may, on whatever layout.
    systemd.find().come_within_reach(&Layout::probe().expect("probe")).expect("within reach");
    assert_eq!(systemd.called(), ["Get"]);
}

#[test]
fn a_scope_that_the_engine_cannot_enter_is_told_with_the_reason() {
    let systemd = StandIn::new("failed");
    let error = systemd.find().come_within_reach(&out_of_reach()).expect_err("an error").to_string();
    let name = format!("masu-engine-{}.scope", std::process::id());
    let text = format!(
        "systemd: start unit {name:?}: its job ended with \"failed\"\n\
         hint: out of cgroup \"/session\" the user's systemd moves masu by way of the system's, which takes a message bus"
    );
    assert_eq!(error, text);
}

#[test]
fn the_unit_of_a_claim_is_stopped_unless_somebody_lives_in_it() {
    let layout = Layout::probe().expect("probe");
    let systemd = StandIn::new("done");
    let request = Request {
        id: "web",
        cgroups_path: Some(":masu:web"),
        resources: &Resources::default(),
        device_paths: &[],
        privilege: Privilege::Full,
        delegated: None,
    };
    let mut claim = Cgroup::record_before(&layout, &request, Some(&systemd.find())).expect("a record");
    // As with crun's annotation for a cgroup below the unit's: whoever lives beside that lives in the unit.
    claim.members.iter_mut().for_each(|member| member.path += "/payload");
    let unit = PathBuf::from(format!("{}{}", claim.members[0].mount_point, systemd.path()));
    fs::create_dir_all(&unit).expect("mkdir");
    let mut sleeper = std::process::Command::new("sleep").arg("1000").spawn().expect("spawn");
    fs::write(unit.join("cgroup.procs"), sleeper.id().to_string()).expect("move");
    let open = || {
        let mut cgroup = Cgroup::open(&claim);
        cgroup.forget_inhabited();
        cgroup.remove().expect("remove");
    };
    open();
    assert_eq!(systemd.called(), ["Get"]);
    sleeper.kill().expect("kill");
    sleeper.wait().expect("wait");
    open();
    assert_eq!(systemd.called(), ["Get", "StopUnit", "ResetFailedUnit"]);
    for dir in unit.ancestors().take(3) {
        fs::remove_dir(dir).expect("rmdir");
    }
}
