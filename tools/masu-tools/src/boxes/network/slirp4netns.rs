//! slirp4netns (<https://github.com/rootless-containers/slirp4netns>): the box is in a network of its own, 10.0.2.0/24, and
//! what it sends is sent from here.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use masu_app::{Failure, Result};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::namespace::Namespace;
use super::ports::Port;
use super::{Found, helper};

/// The box's address and the server of names, which the program has.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const SERVERS: &str = "nameserver 10.0.2.3\n";

/// The program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Slirp4netns {
    program: PathBuf,
}

impl Slirp4netns {
    /// Its name.
    pub(super) const NAME: &str = "slirp4netns";

    /// Looks for it.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub(super) fn find(is_root: bool) -> Result<Self> {
        helper::find(Self::NAME, "slirp4netns", "pasta", is_root).map(|program| Self { program })
    }

    /// Starts it for the namespaces of a process, and waits until all is there.
    ///
    /// # Errors
    ///
    /// Its own.
    pub(super) fn attach(&self, directory: &Path, pid: u32, ports: &[Port]) -> Result<Found> {
        let told = |error: std::io::Error| helper::failed(Self::NAME, directory, &error);
        let (ready, theirs) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| told(errno.into()))?;
        fcntl_setfd(&theirs, FdFlags::empty()).map_err(|errno| told(errno.into()))?;
        let mut command = helper::command(&self.program, directory)?;
        command.args(["--configure", "--mtu=65520", "--disable-host-loopback"]);
        command.args(["--netns-type", "path", "--userns-path"]).arg(Namespace::User.bind(directory, pid)?);
        command.arg(format!("--ready-fd={}", theirs.as_raw_fd()));
        command.arg("--api-socket").arg(mark(directory));
        command.arg(Namespace::Net.bind(directory, pid)?).arg(helper::INTERFACE);
        command.spawn().map_err(|error| Failure::new(format!("run {}: {error}", self.program.display())))?;
        drop(theirs);
        if !is_ready(ready) {
            return Err(helper::failed(Self::NAME, directory, &"it has ended"));
        }
        ports.iter().try_for_each(|port| publish(directory, port))?;
        Ok(Found { addresses: vec![IpAddr::from(ADDRESS)], servers: Some(SERVERS.into()) })
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
    directory.join("slirp.sock")
}

/// It writes one byte. An end of file is a "no".
fn is_ready(ready: OwnedFd) -> bool {
    matches!(std::fs::File::from(ready).read(&mut [0]), Ok(1))
}

/// Asks for a port by its socket: one request for each connection.
fn publish(directory: &Path, port: &Port) -> Result<()> {
    let told = |problem: &dyn std::fmt::Display| {
        Failure::new(format!("{}: publish port {}: {problem}", Slirp4netns::NAME, port.here))
    };
    let address = port.address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let request = json!({ "execute": "add_hostfwd", "arguments": {
        "proto": port.protocol.name(), "host_addr": address, "host_port": port.here,
        "guest_addr": ADDRESS, "guest_port": port.inside,
    }});
    let mut answer = String::new();
    let asked = UnixStream::connect(mark(directory)).and_then(|mut socket| {
        socket.write_all(request.to_string().as_bytes())?;
        socket.shutdown(Shutdown::Write)?;
        socket.read_to_string(&mut answer)
    });
    asked.map_err(|error| told(&error))?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| told(&error))?;
    match answer.pointer("/error/desc") {
        Some(words) => Err(told(words)),
        None => Ok(()),
    }
}
