//! podman, beside masu: with the same image, in the same world.

use crate::{Box, run};
use std::io::Write;
use std::process::{Command, Stdio};

/// podman raises limits by default, which takes CAP_SYS_RESOURCE: root does not have it everywhere. And Debian's gives a
/// container three capabilities that podman itself has not any more, nor has masu. Its networks are CNI's, and the same.
const CONFIGURATION: &str = "[containers]\ndefault_capabilities = [\"CHOWN\", \"DAC_OVERRIDE\", \"FOWNER\", \"FSETID\", \
    \"KILL\", \"NET_BIND_SERVICE\", \"SETFCAP\", \"SETGID\", \"SETPCAP\", \"SETUID\", \"SYS_CHROOT\"]\ndefault_ulimits = [\"nofile=1024:20000\", \"nproc=32768:32768\"]\n\
    [engine]\nevents_logger = \"file\"\n\
    [network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/usr/lib/cni\"]\n";

/// podman with a store of its own, in the same world as the boxes.
#[derive(Debug)]
pub struct Podman<'a>(&'a Box);

impl<'a> Podman<'a> {
    /// With an image of this name in the store.
    #[must_use]
    pub fn new(boxed: &'a Box, name: &str) -> Self {
        let scratch = &boxed.masu.scratch;
        boxed.masu.world().grant(scratch, "containers:2000000:100000\n");
        // What it keeps for all of its stores.
        let own = "mkdir -p /var/lib/containers; mount -t tmpfs tmpfs /var/lib/containers; mount -t tmpfs tmpfs /dev/shm";
        assert_eq!(boxed.masu.world().inside(own), "");
        let networks = format!("network_config_dir = {:?}\n", scratch.path("net.d"));
        std::fs::write(scratch.path("containers.conf"), format!("{CONFIGURATION}{networks}")).unwrap();
        let [archive, root] = ["root.tar", "root"].map(|name| scratch.path(name).display().to_string());
        run("tar", &["-C", &root, "-cf", &archive, "."]);
        let podman = Self(boxed);
        assert_eq!(told(podman.command(&["import", "--quiet", &archive, name])).1, Some(0));
        podman
    }

    /// `podman run` of the image with these options and words.
    #[must_use]
    pub fn run(&self, options: &[&str], words: &[&str]) -> (String, Option<i32>) {
        told(self.run_command(options, words))
    }

    /// The same, not yet started.
    #[must_use]
    pub fn run_command(&self, options: &[&str], words: &[&str]) -> Command {
        let parent = format!("/{}", self.0.masu.scratch.name());
        let mut all = vec!["run", "--cgroup-parent", &parent];
        all.extend((!options.contains(&"--rm")).then_some("--rm"));
        all.extend((!options.contains(&"--net")).then_some("--net=none"));
        self.command(&[all.as_slice(), options, words].concat())
    }

    /// Waits until no container is left of those that remove themselves, in the background too, and has podman's store
    /// unmounted, which is not always done with the last of them.
    pub fn settle(&self) {
        while !told(self.command(&["ps", "--all", "--quiet"])).0.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let store = self.0.masu.scratch.path("podman/overlay").display().to_string();
        drop(self.0.masu.world().inside(&format!("umount {store} 2> /dev/null || true")));
    }

    /// podman with these words, not yet started.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let path = |name: &str| self.0.masu.scratch.path(name).display().to_string();
        let target = self.0.masu.world().pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["--target", &target, "--net", "--mount", "podman"]);
        command.args(["--root", &path("podman"), "--runroot", &path("run"), "--storage-driver", "overlay"]);
        command.args(["--cgroup-manager", "cgroupfs", "--runtime", "runc"]).args(words);
        command.env("CONTAINERS_CONF", path("containers.conf"));
        command
    }
}

/// The cgroup that all of its containers were in stays otherwise. conmon is in it as well, and may still be at what follows the
/// end of the last of them.
impl Drop for Podman<'_> {
    fn drop(&mut self) {
        let own = format!("*/{}*", self.0.masu.scratch.name());
        let words = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &own, "-exec", "rmdir", "{}", "+"];
        for _ in 0..100 {
            if Command::new("find")
                .args(words)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
            {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        run("find", &words);
    }
}

/// The same on a terminal of 33 lines and 111 columns, without what is typed there: that is echoed once more if it comes
/// before the terminal has been made a raw one.
#[must_use]
pub fn on_a_terminal(inner: &Command) -> (String, Option<i32>) {
    // script(1) takes one text, for a shell.
    let words = [inner.get_program()].into_iter().chain(inner.get_args());
    let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
    let words: Vec<String> = words.map(|word| quoted(word.to_str().unwrap())).collect();
    let line = format!("stty rows 33 cols 111; exec {}", words.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let (text, code) = told(command);
    (text.lines().filter(|line| *line != "typed").map(|line| format!("{line}\n")).collect(), code)
}

/// Standard output and standard error, and the exit code, with something on standard input.
#[must_use]
pub fn told(mut command: Command) -> (String, Option<i32>) {
    let mut child = command
        .env("HERE", "here")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may not be read.
    child.stdin.take().unwrap().write_all(b"typed\n").ok();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (text.concat(), output.status.code())
}
