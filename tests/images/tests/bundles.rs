//! From an image to a bundle, and from there to a container in any runtime.
#![allow(clippy::unwrap_used, missing_docs)]

use masu_image_tests::{Masu, Real, Security, engine, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};

/// A bundle of the registry's image, which is pulled for it.
struct Bundle {
    masu: Masu,
    registry: Real,
}

impl Bundle {
    fn create(options: &[&str]) -> Self {
        let this = Self { masu: Masu::new(), registry: Real::start(Security::Plain) };
        assert_eq!(this.create_another("bundle", options), format!("{}\n", this.path("bundle")));
        this
    }

    fn create_another(&self, name: &str, options: &[&str]) -> String {
        let (image, path) = (self.registry.name(), self.path(name));
        self.masu.bundle(&[&["create", "--insecure", &image, &path], options].concat()).good()
    }

    fn path(&self, name: &str) -> String {
        self.masu.scratch.path(name).display().to_string()
    }

    /// Runs a shell's script in a container of it, by a runtime.
    fn runs(&self, runtime: &str, name: &str, script: &str) -> String {
        let path = self.masu.scratch.path(name).join("config.json");
        let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let process = config.get_mut("process").unwrap();
        *process.get_mut("terminal").unwrap() = false.into();
        *process.get_mut("args").unwrap() = json!(["/bin/sh", "-c", script]);
        if runtime == CRUN {
            // Debian's knows no later one.
            *config.get_mut("ociVersion").unwrap() = "1.0.2".into();
        }
        std::fs::write(&path, config.to_string()).unwrap();
        // Not the bundle's name alone: other tests of this process have bundles of the same name, and the same cgroup.
        let id = format!("{}-{name}", self.masu.scratch.name());
        let words = ["--root", &self.path("state"), "run", "--bundle", &self.path(name), &id];
        if runtime == CRUN {
            // It works on no machine that has cgroup v2 beside v1.
            let alone = "umount /sys/fs/cgroup/unified 2>/dev/null; exec crun \"$@\"";
            return run("unshare", &[&["--mount", "sh", "-c", alone, "sh"], &words[..]].concat());
        }
        run(runtime, &words)
    }

    fn entries(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.masu.scratch.path(name)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn remove(&self, name: &str) {
        assert_eq!(self.masu.bundle(&["rm", &self.path(name)]).good(), "");
        assert!(!self.masu.scratch.path(name).exists());
    }
}

const CRUN: &str = "crun";
const SCRIPT: &str = "echo written > /file && /bin/busybox ls / | /bin/busybox grep -c -e bin -e file";

#[test]
fn a_bundle_runs_in_masu_runc_and_crun_and_keeps_what_is_written() {
    let bundle = Bundle::create(&[]);
    for (runtime, name) in [(engine(), "bundle"), ("runc".to_owned(), "second"), (CRUN.to_owned(), "third")] {
        if name != "bundle" {
            bundle.create_another(name, &[]);
        }
        assert_eq!(bundle.runs(&runtime, name, SCRIPT), "2\n", "{runtime}");
        let written = bundle.masu.scratch.path(name).join("overlay/upper/file");
        assert_eq!(std::fs::read_to_string(written).unwrap(), "written\n");
    }
    // The layer has what it had, and a fourth bundle nothing of the three.
    bundle.create_another("fourth", &[]);
    assert_eq!(bundle.entries("fourth/rootfs"), ["bin"]);
    ["bundle", "second", "third", "fourth"].iter().for_each(|name| bundle.remove(name));
}

#[test]
fn a_flat_bundle_has_no_mount_and_the_same_content() {
    let bundle = Bundle::create(&["--flat"]);
    assert_eq!(bundle.entries("bundle"), ["config.json", "rootfs"]);
    assert_eq!(bundle.runs(&engine(), "bundle", SCRIPT), "2\n");
    assert_eq!(std::fs::read_to_string(bundle.masu.scratch.path("bundle/rootfs/file")).unwrap(), "written\n");
    bundle.remove("bundle");
}

#[test]
fn a_root_is_mounted_again_after_a_restart_of_the_machine() {
    let bundle = Bundle::create(&[]);
    bundle.runs(&engine(), "bundle", SCRIPT);
    let (path, rootfs) = (bundle.path("bundle"), bundle.path("bundle/rootfs"));
    run("umount", &[&rootfs]);
    assert_eq!(bundle.entries("bundle/rootfs"), Vec::<String>::new());
    for _ in 0..2 {
        assert_eq!(bundle.masu.bundle(&["mount", &path]).good(), "");
        assert!(Path::new(&rootfs).join("file").exists());
    }
    bundle.remove("bundle");
}

#[test]
fn what_a_bundle_uses_is_not_pruned() {
    let bundle = Bundle::create(&[]);
    bundle.masu.call(&["rm", &bundle.registry.name()]).good();
    assert!(bundle.masu.call(&["prune"]).good().starts_with("removed 0 "));
    assert_eq!(bundle.runs(&engine(), "bundle", SCRIPT), "2\n");
    bundle.remove("bundle");
    assert!(!bundle.masu.call(&["prune"]).good().starts_with("removed 0 "));
}

#[test]
fn a_bundle_of_a_container_is_not_removed_and_one_that_is_none_is_told() {
    let bundle = Bundle::create(&[]);
    let path = bundle.path("bundle");
    let id = format!("masu-bundle-{}-used", std::process::id());
    let state = bundle.path("state");
    let config = bundle.masu.scratch.path("bundle/config.json");
    let text = std::fs::read_to_string(&config).unwrap().replace("\"terminal\": true", "\"terminal\": false");
    std::fs::write(&config, text).unwrap();
    // It keeps the three streams, so they must not be pipes that somebody reads to their end.
    let mut create = Command::new(engine());
    create.args(["--root", &state, "create", "--bundle", &path, &id]).stdin(Stdio::null());
    assert!(create.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    let refused = bundle.masu.bundle(&["rm", &path]).bad();
    assert_eq!(refused, format!("bundle {path} is container {id}'s\nhint: masu delete {id} first"));
    run(&engine(), &["--root", &state, "delete", "--force", &id]);
    bundle.remove("bundle");
    let gone = bundle.masu.bundle(&["rm", &path]).bad();
    assert!(gone.starts_with(&format!("no bundle {path} of the store ")), "{gone}");
    let there = bundle.masu.scratch.path("there");
    std::fs::create_dir(&there).unwrap();
    let taken =
        bundle.masu.bundle(&["create", "--insecure", &bundle.registry.name(), &there.display().to_string()]);
    assert_eq!(taken.bad(), format!("create {}: EEXIST", there.display()));
}

#[test]
fn an_image_in_a_file_is_imported_exported_and_made_a_bundle_of() {
    let masu = Masu::new();
    let path = |name: &str| masu.scratch.path(name).display().to_string();
    let bin = masu.scratch.path("root/bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    let root = format!("rootfs:{}", path("root"));
    let nameless = masu.call(&["import", &root]).bad();
    assert_eq!(
        nameless,
        format!("{root} does not say what its image is called\nhint: masu image import {root} NAME")
    );
    let imported = masu.call(&["import", &root, "test/box:1"]).good();
    assert!(imported.starts_with("docker.io/test/box:1 sha256:"), "{imported}");
    let listed: Value = serde_json::from_str(&masu.call(&["ls", "--format", "json"]).good()).unwrap();
    let platform = listed.pointer("/0/platform").and_then(Value::as_str).unwrap();
    assert!(platform.starts_with("linux/"), "{platform}");
    let archive = format!("docker-archive:{}", path("box.tar"));
    assert_eq!(
        masu.call(&["export", "test/box:1", &archive]).good(),
        format!("docker.io/test/box:1 {archive}\n")
    );
    let inspected: Value = serde_json::from_str(&run("skopeo", &["inspect", &archive])).unwrap();
    assert_eq!(inspected.get("Os").unwrap(), "linux");
    masu.call(&["rm", "test/box:1"]).good();
    assert!(masu.call(&["import", &archive]).good().starts_with("docker.io/test/box:1 sha256:"));
    for (image, name) in [("test/box:1", "one"), (archive.as_str(), "two")] {
        assert_eq!(masu.bundle(&["create", image, &path(name)]).good(), format!("{}\n", path(name)));
        let copy = masu.scratch.path(name).join("rootfs/bin/busybox");
        assert_eq!(std::fs::read(copy).unwrap(), std::fs::read("/bin/busybox").unwrap());
        masu.bundle(&["rm", &path(name)]).good();
    }
    let no_file = masu.call(&["import", "test/box:1"]).bad();
    assert!(no_file.starts_with("test/box:1 is no image in a file\nhint: oci:DIR"), "{no_file}");
}

#[test]
fn an_image_whose_user_is_not_there_leaves_no_bundle() {
    let masu = Masu::new();
    let path = |name: &str| masu.scratch.path(name).display().to_string();
    let layout = path("layout");
    let image = format!("{layout}:odd");
    run("umoci", &["init", "--layout", &layout]);
    run("umoci", &["new", "--image", &image]);
    run("umoci", &["config", "--image", &image, "--config.user", "nobody-there"]);
    for flat in [&[][..], &["--flat"]] {
        let (source, target) = (format!("oci:{image}"), path("bundle"));
        let words = [&["create", &source, &target][..], flat].concat();
        let refused = masu.bundle(&words).bad();
        let problem = "user \"nobody-there\" is not in the image's /etc/passwd";
        assert!(refused.contains(problem), "{refused}");
        assert!(!masu.scratch.path("bundle").exists());
        assert_eq!(std::fs::read_dir(masu.scratch.path("store/leases")).unwrap().count(), 0);
    }
}

#[test]
fn a_store_that_takes_no_lease_leaves_no_directory() {
    let masu = Masu::new();
    let root = masu.scratch.path("root");
    std::fs::create_dir(&root).unwrap();
    let image = format!("rootfs:{}", root.display());
    masu.call(&["import", &image, "test/empty:1"]).good();
    let leases = masu.scratch.path("store/leases");
    if leases.exists() {
        std::fs::remove_dir(&leases).unwrap();
    }
    std::fs::write(&leases, "").unwrap();
    let bundle = masu.scratch.path("bundle");
    let refused = masu.bundle(&["create", "test/empty:1", &bundle.display().to_string()]).bad();
    assert!(refused.contains("leases"), "{refused}");
    assert!(!bundle.exists());
}
