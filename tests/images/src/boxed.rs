//! Boxes: what `masu box` is tested with.

use crate::{Masu, Outcome, World, run};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// A store, and busybox with two users as an image in a directory.
#[derive(Debug)]
pub struct Box {
    /// The store.
    pub masu: Masu,
    /// The image's name.
    pub image: String,
}

impl Box {
    /// A new one, whose boxes are made by who runs the test.
    #[must_use]
    pub fn new() -> Self {
        Self::of(Masu::new())
    }

    /// The same, but they are an ordinary user's. It takes root.
    #[must_use]
    pub fn of_a_user() -> Self {
        Self::of(Masu::of_a_user())
    }

    /// One whose boxes are made in a network of their own.
    #[must_use]
    pub fn within(world: World) -> Self {
        Self::of(Masu::new().within(world))
    }

    /// The same, but they are an ordinary user's.
    #[must_use]
    pub fn of_a_user_within(world: World) -> Self {
        Self::of(Masu::of_a_user().within(world))
    }

    /// One on a machine with the network of CNI `web`, and another one whose plugin is missing.
    #[must_use]
    pub fn with_cni() -> Self {
        let boxed = Self::within(World::new());
        let directory = boxed.masu.scratch.path("net.d");
        std::fs::create_dir(&directory).unwrap();
        let leases = boxed.masu.scratch.path("leases").display().to_string();
        let list = format!(
            r#"{{ "cniVersion": "1.0.0", "name": "web", "plugins": [
                {{ "type": "bridge", "bridge": "masu0", "isGateway": true, "ipMasq": true,
                   "ipam": {{ "type": "host-local", "subnet": "10.77.0.0/24", "dataDir": "{leases}",
                              "routes": [{{ "dst": "0.0.0.0/0" }}] }},
                   "dns": {{ "nameservers": ["192.0.2.53"] }} }},
                {{ "type": "portmap", "capabilities": {{ "portMappings": true }} }} ] }}"#
        );
        std::fs::write(directory.join("10-web.conflist"), list).unwrap();
        let other = r#"{ "name": "other", "type": "no-such-plugin" }"#;
        std::fs::write(directory.join("20-other.conf"), other).unwrap();
        boxed
    }

    fn of(masu: Masu) -> Self {
        let root = masu.scratch.path("root");
        for name in ["bin", "etc"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for tool in run("/bin/busybox", &["--list"]).lines().filter(|tool| *tool != "busybox") {
            symlink("busybox", root.join("bin").join(tool)).unwrap();
        }
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:/bin/sh\n").unwrap();
        let image = format!("rootfs:{}", root.display());
        Self { masu, image }
    }

    /// Calls `masu box` with these options and words.
    #[must_use]
    pub fn run(&self, options: &[&str], words: &[&str]) -> Outcome {
        self.masu.boxed(&[options, &[&self.image], words].concat())
    }

    /// What a shell's script says in a box.
    #[must_use]
    pub fn says(&self, options: &[&str], script: &str) -> String {
        self.run(options, &["sh", "-c", script]).good()
    }

    fn entries(&self, name: &str) -> usize {
        std::fs::read_dir(self.masu.scratch.path(name)).map_or(0, Iterator::count)
    }

    /// Leaves a shell's script in the background, and returns the name that is printed.
    #[must_use]
    pub fn leave(&self, options: &[&str], script: &str) -> String {
        let printed = self.says(&[&["-d"], options].concat(), script);
        printed.trim_end().to_owned()
    }

    /// Where a box is.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        self.masu.scratch.path("store/boxes").join(name)
    }

    /// Starts one, and waits until its script has said its first line.
    #[must_use]
    pub fn start(&self, script: &str) -> Child {
        let mut child = self.masu.start_box(&[&self.image, "sh", "-c", script]);
        let mut first = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        child
    }

    /// The bundles that the store knows of, and the directories of boxes.
    #[must_use]
    pub fn bundles(&self) -> BTreeSet<String> {
        let boxes = std::fs::read_dir(self.masu.scratch.path("store/boxes"));
        let boxes = boxes.into_iter().flatten().map(|entry| entry.unwrap().path());
        let leased = self.masu.store().leases().unwrap().into_iter().map(|lease| lease.holder);
        boxes.chain(leased).map(|path| path.display().to_string()).collect()
    }

    /// As [`Box::nothing_is_left`], for a box in the background that is about to be removed.
    pub fn nothing_is_left_of(&self, name: &str) {
        while !self.supervisors(name).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.nothing_is_left();
    }

    /// The processes of masu that work on this store.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes(&[&self.masu.scratch.path("state").display().to_string()])
    }

    /// The supervisor of a box.
    #[must_use]
    pub fn supervisors(&self, name: &str) -> Vec<u32> {
        processes(&[&self.masu.scratch.path("state").display().to_string(), &format!("\"name\":\"{name}\"")])
    }

    /// The programs that carry packets of its boxes.
    #[must_use]
    pub fn helpers(&self) -> Vec<u32> {
        let store = self.masu.scratch.path("store").display().to_string();
        ["pasta", "slirp4netns"].iter().flat_map(|name| processes(&[name, &store])).collect()
    }

    /// Kills all processes of masu that work on this store, and cleans up with the commands that a person has.
    pub fn kill_and_clean(&self) {
        loop {
            let left = self.processes();
            if left.is_empty() {
                break;
            }
            for pid in left {
                // It may have ended by now.
                Command::new("kill").args(["-KILL", &pid.to_string()]).output().unwrap();
            }
        }
        // Without any state there is nothing to list.
        for container in self.masu.engine(&["list", "--quiet"]).stdout.lines() {
            self.masu.engine(&["delete", "--force", container]).good();
        }
        for bundle in self.bundles() {
            self.masu.bundle(&["rm", &bundle]).good();
        }
        self.masu.call(&["prune"]).good();
        self.nothing_is_left();
    }

    /// No box, no lease, no container and no mount.
    pub fn nothing_is_left(&self) {
        assert_eq!(["store/boxes", "store/leases", "state"].map(|name| self.entries(name)), [0; 3]);
        let mounts = std::fs::read_to_string(self.masu.mounts()).unwrap();
        let own = self.masu.scratch.path("").display().to_string();
        let left: Vec<&str> = mounts.lines().filter(|line| line.contains(&own)).collect();
        assert_eq!(left, Vec::<&str>::new());
    }
}

/// The processes whose command line has all of these words.
fn processes(words: &[&str]) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_one = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        words.iter().all(|word| line.contains(word))
    };
    numbers.filter(is_one).collect()
}

/// What a test that failed leaves in the background goes with it.
impl Drop for Box {
    fn drop(&mut self) {
        if self.entries("state") == 0 {
            return;
        }
        for container in self.masu.engine(&["list", "--quiet"]).stdout.lines() {
            drop(self.masu.engine(&["delete", "--force", container]));
        }
        while !self.processes().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        for bundle in self.bundles() {
            drop(self.masu.bundle(&["rm", &bundle]));
        }
    }
}

impl Default for Box {
    fn default() -> Self {
        Self::new()
    }
}
