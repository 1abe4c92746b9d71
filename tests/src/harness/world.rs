//! What all cases of one run share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use super::command::Invocation;
use super::{Check, Runtime, fail, roots};

/// The runtime, the scratch directory and the root file systems of this run.
#[derive(Debug)]
pub(crate) struct World {
    /// The runtime under test.
    pub(crate) runtime: Runtime,
    /// The directory of this run, below the system's temporary directory.
    pub(crate) scratch: PathBuf,
    /// What `spec` writes.
    pub(crate) default_config: Value,
    busybox: PathBuf,
    debian: OnceLock<Result<PathBuf, String>>,
    counter: AtomicUsize,
    alone: Mutex<()>,
}

impl World {
    /// Prepares a run.
    pub(crate) fn new(runtime: Runtime) -> Check<Self> {
        let scratch = std::env::temp_dir().join(format!("masu-tests-{}", std::process::id()));
        let busybox = scratch.join("busybox");
        fs::create_dir(&scratch)?;
        // The root of a user namespace of a container must be able to pass through here.
        fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755))?;
        roots::make_busybox(&busybox)?;
        let default = scratch.join("default");
        fs::create_dir(&default)?;
        Invocation::new(runtime.path.as_os_str(), scratch.join("spec"))
            .arg("spec")
            .current_dir(&default)
            .succeeds()?;
        let default_config = serde_json::from_slice(&fs::read(default.join("config.json"))?)?;
        Ok(Self {
            runtime,
            scratch,
            default_config,
            busybox,
            debian: OnceLock::new(),
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
        fs::remove_dir_all(&self.scratch)?;
        Ok(())
    }
}
