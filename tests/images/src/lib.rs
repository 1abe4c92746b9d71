//! What the tests of `masu image` have in common: masu as a program, real registries, and a registry that does what a
//! test wants it to.
//!
//! A failure here is a failure of the test, which is what `unwrap` is for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::missing_panics_doc)]

mod boxed;
mod fake;
mod podman;
mod proxy;
mod real;
mod tokens;
mod world;

pub use boxed::Box;
pub use fake::{Fake, Image, Reply, Request};
pub use podman::{Podman, on_a_terminal, told};
pub use proxy::Proxy;
pub use real::{Real, Security};
pub use tokens::Tokens;
pub use world::World;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with its test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("masu-images-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Its name, which nothing else on the machine has.
    #[must_use]
    pub fn name(&self) -> String {
        self.0.file_name().unwrap().to_str().unwrap().to_owned()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The companion of the engine: `cargo xtask build` makes it.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
    target.join("masu/bin/masu-tools")
}

/// What a call of masu came to.
#[derive(Debug)]
pub struct Outcome {
    /// Whether it went well.
    pub ok: bool,
    /// The exit code; none of a call that a signal ended.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (ok, code) = (output.status.success(), output.status.code());
        Self { ok, code, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Standard output of a call that has to go well.
    pub fn good(self) -> String {
        assert!(self.ok, "{}", self.stderr);
        self.stdout
    }

    /// The message of a call that has to fail: what stands on standard error after `masu: `.
    pub fn bad(self) -> String {
        assert!(!self.ok, "{}", self.stdout);
        let lines = self.stderr.lines().filter(|line| !line.starts_with("masu: warning: "));
        let text = lines.collect::<Vec<_>>().join("\n");
        text.split_once("masu: ").map_or(self.stderr, |(_, message)| message.trim_end().to_owned())
    }
}

/// Who an ordinary user's tests are run as: `nobody`.
const USER: &str = "65534";

/// Calls masu on a store of its own.
#[derive(Debug)]
pub struct Masu {
    /// Where the store is, and whatever else a test needs.
    pub scratch: Scratch,
    variables: Vec<(&'static str, PathBuf)>,
    program: PathBuf,
    /// Not who runs the test, but an ordinary user.
    is_a_users: bool,
    /// The network that all of it happens in, if not this machine's.
    world: Option<World>,
}

impl Masu {
    /// With an empty store, and without any file of this machine's user.
    #[must_use]
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let home = scratch.path("home");
        std::fs::create_dir_all(&home).unwrap();
        let conf = scratch.path("registries.conf");
        std::fs::write(&conf, "").unwrap();
        let variables = vec![
            ("MASU_STORE", scratch.path("store")),
            ("HOME", home),
            ("REGISTRY_AUTH_FILE", scratch.path("auth.json")),
            ("CONTAINERS_REGISTRIES_CONF", conf),
        ];
        Self { scratch, variables, program: program(), is_a_users: false, world: None }
    }

    /// The same for an ordinary user. Nobody but root may have to reach the work tree: the programs are copied.
    #[must_use]
    pub fn of_a_user() -> Self {
        let masu = Self::new();
        let bin = masu.scratch.path("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in ["masu", "masu-tools"] {
            // By another process: a child that a neighbouring test starts meanwhile would hold our copy open for writing for
            // a moment, and what is open for writing cannot be executed (ETXTBSY, execve(2)).
            let paths = [program().with_file_name(name), bin.join(name)];
            run("cp", &paths.each_ref().map(|path| path.to_str().unwrap()));
        }
        let all = masu.scratch.path("").display().to_string();
        run("chown", &["-R", &format!("{USER}:{USER}"), &all]);
        Self { program: bin.join("masu-tools"), is_a_users: true, ..masu }
    }

    /// The same, with an environment variable for all its calls.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<PathBuf>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The same in a network of its own.
    #[must_use]
    pub fn within(mut self, world: World) -> Self {
        self.variables.push(("NETCONFPATH", self.scratch.path("net.d")));
        Self { world: Some(world), ..self }
    }

    /// The network of [`Masu::within`].
    #[must_use]
    pub fn world(&self) -> &World {
        self.world.as_ref().expect("a world")
    }

    /// The mounts that the programs see.
    fn mounts(&self) -> PathBuf {
        let process = self.world.as_ref().map_or_else(|| "self".into(), |world| world.pid().to_string());
        PathBuf::from(format!("/proc/{process}/mounts"))
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> masu_image::Store {
        masu_image::Store::open(self.scratch.path("store"))
    }

    /// `masu image` with these words, not yet started.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        self.verb("image", words)
    }

    /// Calls `masu bundle` with these words.
    #[must_use]
    pub fn bundle(&self, words: &[&str]) -> Outcome {
        Outcome::of(&self.verb("bundle", words).output().unwrap())
    }

    /// Calls `masu box` with these words.
    #[must_use]
    pub fn boxed(&self, words: &[&str]) -> Outcome {
        Outcome::of(&self.verb("box", words).output().unwrap())
    }

    /// `masu box` with these words, not yet started.
    #[must_use]
    pub fn box_command(&self, words: &[&str]) -> Command {
        self.verb("box", words)
    }

    /// The same by a caller that has a descriptor open, and does not close it on execve(2).
    #[must_use]
    pub fn boxed_with_descriptor_9(&self, words: &[&str]) -> Outcome {
        let inner = self.verb("box", words);
        let mut command = Command::new("sh");
        command.args(["-ec", "exec 9< /etc/passwd; exec \"$@\"", "sh"]).arg(inner.get_program());
        command.args(inner.get_args()).env_clear().stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Outcome::of(&command.output().unwrap())
    }

    /// Starts `masu box` with these words.
    #[must_use]
    pub fn start_box(&self, words: &[&str]) -> Child {
        self.verb("box", words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Calls another verb of masu.
    #[must_use]
    pub fn other(&self, verb: &str, words: &[&str]) -> Outcome {
        Outcome::of(&self.verb(verb, words).output().unwrap())
    }

    /// Another verb of masu, not yet started.
    #[must_use]
    pub fn other_command(&self, verb: &str, words: &[&str]) -> Command {
        self.verb(verb, words)
    }

    /// Starts another verb of masu.
    #[must_use]
    pub fn start_other(&self, verb: &str, words: &[&str]) -> Child {
        self.verb(verb, words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Calls the engine on the containers of these tests.
    #[must_use]
    pub fn engine(&self, words: &[&str]) -> Outcome {
        let mut engine = self.as_user(&self.program.with_file_name("masu"));
        engine.arg("--root").arg(self.scratch.path("state")).args(words).stdin(Stdio::null());
        Outcome::of(&engine.output().unwrap())
    }

    fn as_user(&self, program: &Path) -> Command {
        let as_user = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"];
        let mut words: Vec<OsString> = Vec::new();
        words.extend(self.world.iter().flat_map(World::enter).map(OsString::from));
        words.extend(as_user.iter().filter(|_| self.is_a_users).map(OsString::from));
        words.push(program.into());
        let mut words = words.into_iter();
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words);
        command
    }

    fn verb(&self, verb: &str, words: &[&str]) -> Command {
        assert!(self.program.exists(), "{} is missing: cargo xtask build", self.program.display());
        let mut command = self.as_user(&self.program);
        // Containers of its own, for whether a bundle is used.
        command.arg("--root").arg(self.scratch.path("state"));
        command.arg(verb).args(words).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Calls `masu image` with these words.
    #[must_use]
    pub fn call(&self, words: &[&str]) -> Outcome {
        Outcome::of(&self.command(words).output().unwrap())
    }

    /// The same in a mount namespace, after this shell script; `$STORE` is the store.
    #[must_use]
    pub fn call_after(&self, script: &str, words: &[&str]) -> Outcome {
        let inner = self.command(words);
        let mut command = Command::new("unshare");
        // Not root: only in a user namespace of its own.
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        command.args((!is_root).then_some("--map-root-user"));
        command.args(["--mount", "sh", "-ec", &format!("{script}\nexec \"$@\""), "sh"]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear().stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Outcome::of(&command.env("STORE", self.scratch.path("store")).output().unwrap())
    }

    /// The same on a terminal: all that is seen there, standard output and standard error.
    #[must_use]
    pub fn call_on_a_terminal(&self, words: &[&str]) -> String {
        let inner = self.command(words);
        let mut command = Command::new("script");
        // script(1) takes one text, for a shell.
        let line: Vec<_> = [inner.get_program()].into_iter().chain(inner.get_args()).collect();
        let line: Vec<_> = line.iter().map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let line = format!("stty cols 120; exec {}", line.join(" "));
        command
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env_clear()
            .stdin(Stdio::null());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        Outcome::of(&command.output().unwrap()).good()
    }

    /// Starts `masu image` with these words.
    #[must_use]
    pub fn start(&self, words: &[&str]) -> Child {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Default for Masu {
    fn default() -> Self {
        Self::new()
    }
}

/// The engine.
#[must_use]
pub fn engine() -> String {
    program().with_file_name("masu").display().to_string()
}

/// Runs another program, which has to go well, and returns its standard output.
pub fn run(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let outcome = Outcome::of(&output);
    assert!(outcome.ok, "{program} {words:?}: {}", outcome.stderr);
    outcome.stdout
}
