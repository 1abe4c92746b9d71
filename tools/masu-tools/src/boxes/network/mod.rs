//! Networks of boxes, one module for each kind.
//!
//! ```text
//! masu box ─▶ network.json, hooks ─▶ engine ─▶ createRuntime: attach ─▶ program ─▶ poststop: detach
//! ```
//!
//! What a box is to be attached to stands in its `network.json`, and the hooks of its config.json call this program, so that
//! whatever ends the container takes its network away too: the engine at the end, `masu delete --force` after a kill. `masu
//! bundle rm` detaches once more, which does nothing where it was done: so nothing stays of a box whose engine was killed
//! before it had written a state that `delete` could find.

mod cni;
mod helper;
mod namespace;
mod pasta;
mod ports;
mod slirp4netns;

use std::ffi::CStr;
use std::fs;
use std::io::Read;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use masu_app::{Failure, Result};
use masu_image::Store;
use masu_image::rootless::administers_mounts;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::names;
use super::options::{all, one};
use crate::Session;
use pasta::Pasta;
use ports::Port;
pub(super) use ports::Reserved;
use slirp4netns::Slirp4netns;

/// What this program is called with by the hooks. It is no verb of people's.
pub(crate) const VERB: &str = "box-network";

/// What the box is to be attached to, in its directory.
const RECORD: &str = "network.json";
/// Where programs of networks are, iptables and others that they call.
const SEARCH_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What `--net` says.
pub(super) enum Choice {
    /// A network of its own with lo alone.
    None,
    /// This machine's.
    Host,
    /// A network of its own that is attached to something, and has these ports.
    Attached(Kind, Vec<Port>),
}

/// What a network can be attached to.
#[derive(Serialize, Deserialize)]
pub(super) enum Kind {
    Cni(cni::Network),
    Pasta(Pasta),
    Slirp4netns(Slirp4netns),
}

/// `network.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    kind: Kind,
    ports: Vec<Port>,
    /// The box, by its absolute path.
    directory: PathBuf,
    /// The container's name for itself, if it has one.
    hostname: Option<String>,
}

impl Record {
    /// Whether something may take packets for it now without having a socket.
    fn is_attached(&self) -> bool {
        match &self.kind {
            Kind::Cni(_) => cni::Network::is_attached(&self.directory),
            Kind::Pasta(_) | Kind::Slirp4netns(_) => false,
        }
    }
}

/// What is known of a network when it is there.
#[derive(Default)]
struct Found {
    addresses: Vec<IpAddr>,
    /// The lines of resolv.conf, where the network has its own.
    servers: Option<String>,
}

/// Reads the option, and looks for what it names: before anything is made. Where a program lacks its device the box has no
/// network, which is told, unless it has ports that nothing would come to.
///
/// # Errors
///
/// For a network that is not there, or that is not for this caller.
pub(super) fn choose(session: &Session<'_>, matches: &ArgMatches) -> Result<Choice> {
    let is_root = administers_mounts();
    let ports = ports::parse_all(all(matches, "publish"))?;
    let kind = match one(matches, "net").unwrap_or("none") {
        "none" | "host" if !ports.is_empty() => {
            let message = "--publish: the box has no network of its own to publish ports of";
            return Err(Failure::with_hint(message, "--net pasta, or as root the name of a network of CNI"));
        }
        "none" => return Ok(Choice::None),
        "host" => return Ok(Choice::Host),
        Pasta::NAME => Kind::Pasta(Pasta::find(is_root)?),
        Slirp4netns::NAME => {
            refuse_version_6(&ports, |_| true, "slirp4netns knows IPv4 alone", "--net pasta")?;
            Kind::Slirp4netns(Slirp4netns::find(is_root)?)
        }
        name => {
            // IPv6 has no route_localnet, by which IPv4's get there.
            let is_loopback = |port: &Port| port.address == Some(Ipv6Addr::LOCALHOST.into());
            let problem = "packets of ::1 do not leave the machine, nor do they reach a bridge";
            refuse_version_6(&ports, is_loopback, problem, "another address of this machine")?;
            Kind::Cni(cni::Network::find(name, is_root, !ports.is_empty())?)
        }
    };
    let name = match kind {
        Kind::Cni(_) => return Ok(Choice::Attached(kind, ports)),
        Kind::Pasta(_) => Pasta::NAME,
        Kind::Slirp4netns(_) => Slirp4netns::NAME,
    };
    match helper::check_tun(name) {
        Ok(()) => Ok(Choice::Attached(kind, ports)),
        Err(missing) if !ports.is_empty() => Err(missing),
        Err(missing) => {
            let message = format!("{}: the box has lo alone", missing.message);
            session.log.tolerated(&Failure { message, ..missing });
            Ok(Choice::None)
        }
    }
}

fn refuse_version_6(
    ports: &[Port],
    is_meant: impl Fn(&Port) -> bool,
    problem: &str,
    hint: &str,
) -> Result<()> {
    match ports.iter().find(|port| port.is_version_6() && is_meant(port)) {
        Some(port) => Err(Failure::with_hint(format!("--publish: port {}: {problem}", port.name()), hint)),
        None => Ok(()),
    }
}

/// Refuses ports that something else on this machine has, and keeps them from others: but for programs that have sockets of
/// their own there.
///
/// # Errors
///
/// When one of them is taken.
pub(super) fn reserve_ports(choice: &Choice, store: &Store) -> Result<Reserved> {
    let Choice::Attached(kind, ports) = choice else { return Ok(Reserved::nothing()) };
    let reserved = Reserved::take(ports, &store.path().join("boxes"))?;
    match kind {
        Kind::Cni(_) => Ok(reserved),
        Kind::Pasta(_) | Kind::Slirp4netns(_) => Ok(Reserved::nothing()),
    }
}

/// Has the engine attach the box, and detach it.
///
/// # Errors
///
/// For a file that cannot be written.
pub(super) fn add(config: &mut Value, directory: &Path, kind: &Kind, ports: &[Port]) -> Result<()> {
    let directory = directory
        .canonicalize()
        .map_err(|error| Failure::new(format!("{}: {error}", directory.display())))?;
    let hostname = config.get("hostname").and_then(Value::as_str).map(ToOwned::to_owned);
    let record = json!({ "kind": kind, "ports": ports, "directory": directory, "hostname": hostname });
    write(&directory.join(RECORD), &record)?;
    let own = std::env::current_exe().map_err(|error| Failure::new(format!("/proc/self/exe: {error}")))?;
    let hook = |word: &str| {
        let args = json!(["masu-tools", VERB, word, directory]);
        json!([{ "path": own, "args": args, "env": [SEARCH_PATH] }])
    };
    if let Some(config) = config.as_object_mut() {
        let hooks = json!({ "createRuntime": hook("attach"), "poststop": hook("detach") });
        config.insert("hooks".into(), hooks);
    }
    Ok(())
}

/// What the hooks call: `attach DIR` and `detach DIR`, with the state of the container on standard input.
///
/// # Errors
///
/// When the network cannot be made or taken away.
pub(crate) fn run(words: &[&CStr]) -> Result<ExitCode> {
    let words: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["attach", directory] => attach(Path::new(directory)),
        ["detach", directory] => detach(Path::new(directory)),
        _ => Err(Failure::with_hint(format!("{VERB} is called by hooks of masu box"), "masu box --help")),
    }
    .map(|()| ExitCode::SUCCESS)
}

/// The part of the state that hooks are given.
#[derive(Deserialize)]
struct State {
    pid: u32,
}

fn attach(directory: &Path) -> Result<()> {
    let mut text = String::new();
    let told =
        |problem: &dyn std::fmt::Display| Failure::new(format!("the state of the container: {problem}"));
    std::io::stdin().read_to_string(&mut text).map_err(|error| told(&error))?;
    let state: State = serde_json::from_str(&text).map_err(|error| told(&error))?;
    let record: Record =
        read(&directory.join(RECORD))?.ok_or_else(|| Failure::new("the box has no network"))?;
    let (box_directory, pid, ports) = (&record.directory, state.pid, &record.ports);
    let found = match &record.kind {
        Kind::Cni(network) => network.attach(box_directory, pid, ports),
        Kind::Pasta(pasta) => pasta.attach(box_directory, pid, ports),
        Kind::Slirp4netns(slirp4netns) => slirp4netns.attach(box_directory, pid, ports),
    };
    // Half a network is none.
    let found = found.inspect_err(|_| {
        // ignored: the error that led here is the one to report, and masu bundle rm tries again.
        detach(directory).ok();
    })?;
    names::add_addresses(directory, record.hostname.as_deref(), &found.addresses)?;
    found.servers.map_or(Ok(()), |servers| names::set_servers(directory, &servers))
}

/// Takes the network of a box away. Where there is none, or none any more, nothing happens.
///
/// # Errors
///
/// When something of it is left.
pub(crate) fn detach(directory: &Path) -> Result<()> {
    let Some(record) = read::<Record>(&directory.join(RECORD))? else { return Ok(()) };
    match &record.kind {
        Kind::Cni(network) => network.detach(&record.directory, &record.ports),
        Kind::Pasta(_) => Pasta::detach(&record.directory),
        Kind::Slirp4netns(_) => Slirp4netns::detach(&record.directory),
    }
}

/// A document of the box; `None` where it is not there.
fn read<T: DeserializeOwned>(path: &PathBuf) -> Result<Option<T>> {
    let told = |problem: &dyn std::fmt::Display| Failure::new(format!("read {}: {problem}", path.display()));
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| told(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

fn write(path: &Path, document: &Value) -> Result<()> {
    // Under another name first: whoever cleans up after a kill reads it.
    let new = path.with_extension("new");
    fs::write(&new, document.to_string())
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| Failure::new(format!("write {}: {error}", path.display())))
}
