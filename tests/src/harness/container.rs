//! Bundles and containers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::command::{Invocation, Output, Running};
use super::config::Config;
use super::{Bench, Check, Driver, ensure_eq, fail, host};

/// A bundle: a directory with a root and a config.json, which is written when the container is made.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// Its directory.
    pub(crate) dir: PathBuf,
    /// The id its container gets, and its cgroup.
    pub(crate) name: String,
    /// Its config.json.
    pub(crate) config: Config,
}

impl Bundle {
    /// A path below its root.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        self.dir.join("rootfs").join(path.trim_start_matches('/'))
    }

    /// Writes a file below its root.
    pub(crate) fn file(&self, path: &str, content: &str, mode: u32) -> Check {
        let path = self.inside(path);
        fs::write(&path, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(())
    }

    /// Replaces what is at `path` below its root by a symbolic link.
    pub(crate) fn symlink(&self, path: &str, target: impl AsRef<Path>) -> Check {
        let path = self.inside(path);
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)?;
        } else if path.is_symlink() || path.exists() {
            fs::remove_file(&path)?;
        }
        std::os::unix::fs::symlink(target, &path)?;
        Ok(())
    }

    /// Writes its config.json.
    pub(crate) fn write(&self) -> Check {
        fs::write(self.dir.join("config.json"), serde_json::to_vec_pretty(&self.config.0)?)?;
        Ok(())
    }
}

/// A container, force-deleted when it is dropped.
#[derive(Debug)]
pub(crate) struct Container<'b> {
    bench: &'b Bench<'b>,
    /// Its bundle.
    pub(crate) bundle: Bundle,
    /// Its id.
    pub(crate) id: String,
    driver: Driver,
    cgroup: String,
}

impl<'b> Container<'b> {
    /// Writes the config.json of the bundle; creates nothing yet.
    pub(crate) fn new(bench: &'b Bench<'b>, bundle: Bundle) -> Check<Self> {
        Self::with_driver(bench, bundle, bench.world.surroundings.driver)
    }

    /// The same, for another driver than that of this run.
    pub(crate) fn with_driver(bench: &'b Bench<'b>, bundle: Bundle, driver: Driver) -> Check<Self> {
        bundle.write()?;
        let path = bundle.config.0["linux"]["cgroupsPath"].as_str().unwrap_or(&bundle.name);
        let cgroup = match driver {
            Driver::Cgroupfs => path.to_owned(),
            Driver::Systemd => bench.world.surroundings.unit_cgroup(path),
        };
        Ok(Self { bench, id: bundle.name.clone(), bundle, driver, cgroup })
    }

    /// The bench on which it is.
    pub(crate) fn bench(&self) -> &'b Bench<'b> {
        self.bench
    }

    /// `VERB OPTIONS --bundle DIR ID`.
    pub(crate) fn launch(&self, verb: &str, options: &[&str]) -> Invocation {
        self.bench
            .call_with(self.driver, &[verb])
            .args(options)
            .arg("--bundle")
            .arg(&self.bundle.dir)
            .arg(&self.id)
    }

    /// `VERB ID`.
    pub(crate) fn call(&self, verb: &str) -> Invocation {
        self.bench.call_with(self.driver, &[verb, &self.id])
    }

    /// `run` in the foreground.
    pub(crate) fn run(&self) -> Check<Output> {
        self.launch("run", &[]).output()
    }

    /// `run` in the foreground, not waited for.
    pub(crate) fn run_in_background(&self) -> Check<Running> {
        self.launch("run", &[]).spawn()
    }

    /// `run --detach`.
    pub(crate) fn run_detached(&self) -> Check<Output> {
        self.launch("run", &["--detach"]).succeeds()
    }

    /// `create`.
    pub(crate) fn create(&self) -> Check<Output> {
        self.launch("create", &[]).succeeds()
    }

    /// `start`.
    pub(crate) fn start(&self) -> Check<Output> {
        self.call("start").succeeds()
    }

    /// `exec OPTIONS ID ARGS`.
    pub(crate) fn exec_with(&self, options: &[&str], args: &[&str]) -> Invocation {
        self.bench.call_with(self.driver, &["exec"]).args(options).arg(&self.id).args(args)
    }

    /// The trimmed output of a script run by `exec`.
    pub(crate) fn exec(&self, script: &str) -> Check<String> {
        let output = self.exec_with(&[], &["sh", "-c", script]).succeeds()?;
        Ok(output.text().to_owned())
    }

    /// `state`, parsed.
    pub(crate) fn state(&self) -> Check<Value> {
        Ok(serde_json::from_str(&self.call("state").succeeds()?.stdout)?)
    }

    /// The `status` of `state`.
    pub(crate) fn status(&self) -> Check<String> {
        Ok(self.state()?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until `state` says this.
    pub(crate) fn until_status(&self, status: &str) -> Check {
        host::until(&format!("status {status}"), || Ok(self.status()? == status))
    }

    /// Its cgroup: that of `cgroupsPath`, or what the id makes of it.
    pub(crate) fn cgroup(&self) -> &str {
        &self.cgroup
    }

    /// The process of the container, as the host sees it.
    pub(crate) fn pid(&self) -> Check<i32> {
        let state = self.state()?;
        let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
        pid.filter(|pid| *pid > 0).ok_or_else(|| fail(format!("no pid in {state}")))
    }

    /// The process of the container once it executes its program: `run` may return a moment before.
    pub(crate) fn pid_of_program(&self) -> Check<i32> {
        let pid = self.pid()?;
        let args = self.bundle.config.0["process"]["args"].as_array().cloned().unwrap_or_default();
        let line: String = args.iter().filter_map(Value::as_str).map(|arg| format!("{arg}\0")).collect();
        host::until_program(pid, &line)?;
        Ok(pid)
    }

    /// `kill ID SIGNAL`.
    pub(crate) fn kill(&self, signal: &str) -> Check<Output> {
        self.call("kill").arg(signal).succeeds()
    }

    /// Kills it and waits until it is stopped.
    pub(crate) fn stop(&self) -> Check {
        self.kill("KILL")?;
        self.until_status("stopped")
    }

    /// `delete`, and nothing is left of it in the state directory.
    pub(crate) fn delete(&self) -> Check {
        self.call("delete").succeeds()?;
        ensure_eq!(self.bench.root.join(&self.id).exists(), false);
        Ok(())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.bench.call(&["delete", "--force", &self.id]).output().ok(); // ignored: the search for leaks tells
    }
}
