//! What all cases of one run share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use super::command::Invocation;
use super::config::Config;
use super::{Check, Runtime, Surroundings, fail, roots};

/// The runtime, the scratch directory and the root file systems of this run.
#[derive(Debug)]
pub(crate) struct World {
    /// The runtime under test.
    pub(crate) runtime: Runtime,
    /// The directory of this run, below the system's temporary directory.
    pub(crate) scratch: PathBuf,
    /// What the machine and the caller have.
    pub(crate) surroundings: Surroundings,
    /// What `spec` writes; for an ordinary user, what `spec --rootless` does.
    pub(crate) default_config: Value,
    /// Whether every point is tried where a sample of them is tried otherwise.
    pub(crate) soak: bool,
    busybox: PathBuf,
    debian: OnceLock<Result<PathBuf, String>>,
    public: OnceLock<Result<PathBuf, String>>,
    counter: AtomicUsize,
    alone: Mutex<()>,
}

impl World {
    /// Prepares a run.
    pub(crate) fn new(runtime: Runtime, surroundings: Surroundings, soak: bool) -> Check<Self> {
        let scratch = std::env::temp_dir().join(format!("masu-tests-{}", std::process::id()));
        let busybox = scratch.join("busybox");
        fs::create_dir(&scratch)?;
        // The root of a user namespace of a container must be able to pass through here.
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
        masu_harness::busybox::make_root(&busybox)?;
        let default = scratch.join("default");
        fs::create_dir(&default)?;
        let options: &[&str] = if surroundings.is_root() { &[] } else { &["--rootless"] };
        Invocation::new(runtime.path.as_os_str(), scratch.join("spec"))
            .arg("spec")
            .args(options)
            .current_dir(&default)
            .succeeds()?;
        let mut default_config = Config(serde_json::from_slice(&fs::read(default.join("config.json"))?)?);
        surroundings.map_granted_ids(&mut default_config);
        let default_config = default_config.0;
        Ok(Self {
            runtime,
            scratch,
            surroundings,
            default_config,
            soak,
            busybox,
            debian: OnceLock::new(),
            public: OnceLock::new(),
            counter: AtomicUsize::new(0),
            alone: Mutex::new(()),
        })
    }

    /// The busybox root that bundles are copied from.
    pub(crate) fn busybox(&self) -> &PathBuf {
        &self.busybox
    }

    /// The Debian root, shared by all bundles that use it: it must stay read-only.
    pub(crate) fn debian(&self) -> Check<PathBuf> {
        let made = self.debian.get_or_init(|| roots::debian().map_err(|failure| format!("{failure:?}")));
        made.clone().map_err(fail)
    }

    /// A copy of the runtime that everybody can reach and execute.
    pub(crate) fn public_program(&self) -> Check<PathBuf> {
        let made = self.public.get_or_init(|| {
            let path = self.scratch.join("public");
            let copied = fs::create_dir(&path).and_then(|()| {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
                let file = path.join(self.runtime.path.file_name().unwrap_or_default());
                fs::copy(&self.runtime.path, &file)?;
                // masu-tools has its place beside masu.
                let companion = self.runtime.path.with_file_name("masu-tools");
                if self.runtime.is_masu() && companion.exists() {
                    fs::copy(companion, path.join("masu-tools"))?;
                }
                fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
                Ok(file)
            });
            copied.map_err(|error| format!("copy the runtime: {error}"))
        });
        made.clone().map_err(fail)
    }

    /// A name that no other test has, in this run or another, and that is not the beginning of another's.
    pub(crate) fn unique_name(&self) -> String {
        format!("masu-test-{}-{}t", std::process::id(), self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Held by the cases that load the machine, so that they run one after the other.
    pub(crate) fn alone(&self) -> Check<std::sync::MutexGuard<'_, ()>> {
        self.alone.lock().map_err(|_| fail("another heavy case panicked"))
    }

    /// Removes what the run has made.
    pub(crate) fn remove(&self) -> Check {
        self.remove_tree(&self.scratch)
    }

    /// Removes a directory of ours, with files that are a container's.
    pub(crate) fn remove_tree(&self, directory: &Path) -> Check {
        match fs::remove_dir_all(directory) {
            // Files of ids that are granted to us are ours in a user namespace of these ids alone.
            Err(error)
                if error.kind() == std::io::ErrorKind::PermissionDenied && !self.surroundings.is_root() =>
            {
                let options = ["--user", "--map-auto", "--map-root-user", "rm", "-rf"];
                Invocation::new(
                    "unshare".as_ref(),
                    std::env::temp_dir().join(format!("masu-rm-{}", std::process::id())),
                )
                .args(options)
                .arg(directory)
                .succeeds()?;
                Ok(())
            }
            removed => Ok(removed?),
        }
    }
}
