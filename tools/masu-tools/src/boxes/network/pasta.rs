//! pasta (<https://passt.top>): the box has the addresses of this machine, and what it sends is sent from here.

use std::path::{Path, PathBuf};

use masu_app::{Failure, Result};
use serde::{Deserialize, Serialize};

use super::namespace::Namespace;
use super::ports::{Port, Protocol};
use super::{Found, helper};

/// The program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Pasta {
    program: PathBuf,
}

impl Pasta {
    /// Its name.
    pub(super) const NAME: &str = "pasta";

    /// Looks for it.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub(super) fn find(is_root: bool) -> Result<Self> {
        helper::find(Self::NAME, "passt", "slirp4netns", is_root).map(|program| Self { program })
    }

    /// Starts it for the namespaces of a process. It goes into the background when all is there.
    ///
    /// # Errors
    ///
    /// Its own.
    pub(super) fn attach(&self, directory: &Path, pid: u32, ports: &[Port]) -> Result<Found> {
        let mut command = helper::command(&self.program, directory)?;
        command.args(["--config-net", "--quiet", "--ns-ifname", helper::INTERFACE]);
        // Neither this machine's own servers nor ports that nobody has asked for.
        command.args(["--no-map-gw", "--tcp-ns", "none", "--udp-ns", "none"]);
        for (protocol, option) in [(Protocol::Tcp, "--tcp-ports"), (Protocol::Udp, "--udp-ports")] {
            let mut specs = ports.iter().filter(|port| port.protocol == protocol).map(spec).peekable();
            if specs.peek().is_none() {
                command.args([option, "none"]);
            }
            for spec in specs {
                command.args([option, &spec]);
            }
        }
        // By files: pasta gives up the right to look into the container's process before it opens them.
        command.arg("--userns").arg(Namespace::User.bind(directory, pid)?);
        command.arg("--netns").arg(Namespace::Net.bind(directory, pid)?);
        command.arg("--pid").arg(mark(directory));
        let status = command.status();
        let status =
            status.map_err(|error| Failure::new(format!("run {}: {error}", self.program.display())))?;
        if !status.success() {
            return Err(helper::failed(Self::NAME, directory, &status));
        }
        Ok(Found { addresses: helper::addresses(pid), servers: None })
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// Where it cannot be ended.
    pub(super) fn detach(directory: &Path) -> Result<()> {
        helper::end(&mark(directory))?;
        Namespace::Net.release(directory)?;
        Namespace::User.release(directory)
    }
}

fn mark(directory: &Path) -> PathBuf {
    directory.join("pasta.pid")
}

fn spec(port: &Port) -> String {
    let address = port.address.map(|address| format!("{address}/")).unwrap_or_default();
    format!("{address}{}:{}", port.here, port.inside)
}
