//! The bench on which one case works: names of its own for containers, which are removed at its end.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use masu_harness::command::{Invocation, Output, Running};
use masu_harness::{Check, ensure, ensure_eq, host};

use crate::engines::{containerd, docker, kubernetes, podman};
use crate::suite::Engine;
use crate::world::{IMAGE, World};

/// The surroundings of one case.
#[derive(Debug)]
pub(crate) struct Bench<'w> {
    pub(crate) world: &'w World,
    pub(crate) engine: Engine,
    tag: String,
    names: RefCell<Vec<String>>,
}

impl<'w> Bench<'w> {
    /// A new bench, with its engine running.
    pub(crate) fn new(world: &'w World, engine: Engine) -> Check<Self> {
        world.start(engine)?;
        let tag = format!("case{}", world.number());
        Ok(Self { world, engine, tag, names: RefCell::default() })
    }

    /// A name for a container, which is removed at the end.
    pub(crate) fn name(&self) -> String {
        let name = format!("{}-{}", self.tag, self.world.number());
        self.names.borrow_mut().push(name.clone());
        name
    }

    /// The name that was given last.
    pub(crate) fn last_name(&self) -> String {
        self.names.borrow().last().cloned().unwrap_or_default()
    }

    /// What all names of this case begin with.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// A directory that everybody may use.
    pub(crate) fn directory(&self) -> Check<PathBuf> {
        let path = self.world.dir.join(format!("{}-{}", self.tag, self.world.number()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok(path)
    }

    /// Takes AppArmor's profile away, where the engine has one: podman does not know the option where there is none.
    pub(crate) fn without_apparmor(&self) -> &'static [&'static str] {
        let enabled =
            || host::read_trimmed("/sys/module/apparmor/parameters/enabled").is_ok_and(|word| word == "Y");
        match self.engine {
            Engine::RootlessPodman => &[],
            Engine::Podman if !enabled() => &[],
            _ => &["--security-opt", "apparmor=unconfined"],
        }
    }

    /// The engine's own command line.
    pub(crate) fn call(&self, arguments: &[&str]) -> Invocation {
        match self.engine {
            Engine::Podman | Engine::RootlessPodman => podman::command(self.world, self.engine),
            Engine::Docker => docker::command(self.world),
            Engine::RootlessDocker => docker::of_user(self.world, "docker"),
            Engine::Containerd | Engine::Cri => containerd::command(self.world),
            Engine::Kubernetes => kubernetes::kubectl(self.world),
        }
        .args(arguments)
    }

    /// Whether the engine is a podman.
    pub(crate) fn is_podman(&self) -> bool {
        matches!(self.engine, Engine::Podman | Engine::RootlessPodman)
    }

    /// `run OPTIONS IMAGE COMMAND`, without a network unless the options say otherwise.
    pub(crate) fn run(&self, options: &[&str], command: &[&str]) -> Invocation {
        let quiet: &[&str] = if options.contains(&"--network") { &[] } else { &["--network", "none"] };
        let name = self.name();
        self.call(&["run", "--name", &name]).args(quiet).args(options).arg(IMAGE).args(command)
    }

    /// What `run --rm` of a script prints, which has to succeed.
    pub(crate) fn script(&self, options: &[&str], script: &str) -> Check<String> {
        let output = self.run(&[&["--rm"], options].concat(), &["sh", "-c", script]).succeeds()?;
        Ok(output.text().to_owned())
    }

    /// Starts a container in the background and gives its name.
    pub(crate) fn detached(&self, options: &[&str], command: &[&str]) -> Check<String> {
        self.run(&[&["--detach"], options].concat(), command).succeeds()?;
        Ok(self.last_name())
    }

    /// Starts a script in the background and gives the container's name.
    pub(crate) fn detached_script(&self, options: &[&str], script: &str) -> Check<String> {
        self.detached(options, &["sh", "-c", script])
    }

    /// Starts a container that waits to be ended, and ends at once when told to.
    pub(crate) fn sleeper(&self, options: &[&str]) -> Check<String> {
        self.detached_script(options, "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    }

    /// The engine's command, which has to succeed; gives what it prints.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> Check<String> {
        Ok(self.call(arguments).succeeds()?.text().to_owned())
    }

    /// What a script prints that is executed in a running container.
    pub(crate) fn exec(&self, name: &str, script: &str) -> Check<String> {
        self.succeeds(&["exec", name, "sh", "-c", script])
    }

    /// One value of `inspect`, by a template of Go.
    pub(crate) fn inspect(&self, name: &str, template: &str) -> Check<String> {
        self.succeeds(&["inspect", "--format", template, name])
    }

    /// Waits until a value of `inspect` is this one.
    pub(crate) fn until(&self, name: &str, template: &str, expected: &str) -> Check {
        let mut last = String::new();
        let outcome = host::until(template, || {
            last = self.inspect(name, template)?;
            Ok(last == expected)
        });
        if outcome.is_err() {
            ensure_eq!(last, expected, "{template} in the end");
        }
        outcome
    }

    /// Waits until a container's log has this text.
    pub(crate) fn until_logged(&self, name: &str, text: &str) -> Check {
        host::until(&format!("{text:?} in the log"), || {
            let output = self.call(&["logs", name]).succeeds()?;
            Ok(output.stdout.contains(text) || output.stderr.contains(text))
        })
    }

    /// Waits until a command has printed this text.
    pub(crate) fn until_printed(&self, command: &Running, text: &str) -> Check {
        host::until(&format!("{text:?} is printed"), || Ok(command.stdout_so_far()?.contains(text)))
    }

    /// A case's end: its containers go.
    pub(crate) fn finish(&self) -> Check {
        let names = self.names.take();
        match self.engine {
            Engine::Containerd => return containerd::remove_all(self, &names),
            Engine::Kubernetes => return kubernetes::remove_all(self, &names),
            _ => {}
        }
        // One that has gone is no error of `rm --force`: the other words of docker are not podman's.
        let gone = |output: &Output| {
            output.code == Some(0)
                || ["no such container", "No such container"].iter().any(|text| output.stderr.contains(text))
        };
        // Two of podman's processes that remove one container meet in its shm, whatever the runtime: both unmount it, and the
        // one whose directory is still covered gives up.
        let in_the_way = |output: &Output| output.stderr.contains("/userdata/shm: device or resource busy");
        for name in &names {
            let remove = || self.call(&["rm", "--force", "--volumes", name]).output();
            let mut output = remove()?;
            for _ in 0..5 {
                if gone(&output) || !in_the_way(&output) {
                    break;
                }
                output = remove()?;
            }
            ensure!(gone(&output), "a container stays: {output}");
        }
        Ok(())
    }
}
