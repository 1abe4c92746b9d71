//! Debian's registry, on a port of loopback.

use crate::project;
use anyhow::{Context, Result, bail};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Registry {
    host: String,
    server: Child,
}

impl Registry {
    /// Starts one that keeps its data in `folder`.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("bind a port of loopback")?;
        let host = listener.local_addr().context("ask for the port")?.to_string();
        drop(listener);
        let file = folder.join("registry.yml");
        let data = folder.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {host}}}\n",
            data.display()
        );
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))?;
        let mut serve = Command::new("docker-registry");
        serve.arg("serve").arg(&file);
        serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = serve.spawn().context("start docker-registry")?;
        let this = Self { host, server };
        let start = Instant::now();
        while TcpStream::connect(&this.host).is_err() {
            if start.elapsed() > Duration::from_secs(30) {
                bail!("docker-registry does not listen on {}", this.host);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(this)
    }

    /// Copies an image of a layout into it.
    pub(super) fn fill(&self, layout: &Path, name: &str) -> Result<()> {
        let (from, to) = (format!("oci:{}:{name}", layout.display()), self.name_of(name));
        let mut copy = Command::new("skopeo");
        copy.args(["copy", "--quiet", "--dest-tls-verify=false", &from, &format!("docker://{to}")]);
        project::output(&mut copy).map(drop)
    }

    /// What clients call an image.
    pub(super) fn name_of(&self, name: &str) -> String {
        format!("{}/bench/{name}:1", self.host)
    }

    /// Ends it.
    pub(super) fn stop(mut self) -> Result<()> {
        self.server.kill().context("end docker-registry")?;
        self.server.wait().context("wait for docker-registry").map(drop)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // An error is on its way, or it has been stopped.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
