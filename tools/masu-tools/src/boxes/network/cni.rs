//! Networks of CNI: lists of plugins, programs that attach a network namespace to something and take it away again
//! (<https://github.com/containernetworking/cni/blob/v1.0.1/SPEC.md>).
//!
//! The namespace is bound to a file of the box first. It outlives the container with that, so that the plugins find
//! interface and addresses when they are called to take them away: without them some leave rules of the firewall behind.
//! The file goes last, and as long as it is there something may be left.
//!
//! A plugin that is called when everything is killed works on for a moment. It holds a lock of the box with us ([`lock`]), so
//! that nobody takes away what is still being made.

use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use masu_app::{Failure, Result};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::namespace::Namespace;
use super::ports::{Port, Turn};
use super::{Found, RECORD, read, write};
use crate::boxes::random_name;

/// Where lists are; `NETCONFPATH` is another directory, as for cnitool.
const CONFIGURATIONS: &str = "/etc/cni/net.d";
/// Where plugins are: Debian's place, the upstream one and Fedora's; `CNI_PATH` has others.
const PROGRAMS: &str = "/usr/lib/cni:/opt/cni/bin:/usr/libexec/cni";
/// The interface in the container.
const INTERFACE: &str = "eth0";
/// What the plugins have said, in the box.
const RESULT: &str = "network-result.json";

/// A list of plugins, and what they are called with for this box.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Network {
    name: String,
    version: String,
    plugins: Vec<Plugin>,
    /// The box's name for plugins, which no other box of this machine has.
    container: String,
}

/// One plugin.
#[derive(Debug, Serialize, Deserialize)]
struct Plugin {
    kind: String,
    program: PathBuf,
    config: Value,
}

/// A list as it stands in a file.
#[derive(Debug, Deserialize)]
struct List {
    name: String,
    #[serde(rename = "cniVersion", default = "oldest")]
    version: String,
    plugins: Vec<Value>,
}

/// What a list without a version has.
fn oldest() -> String {
    "0.2.0".into()
}

impl Network {
    /// Looks for the network of this name, and for its plugins.
    ///
    /// # Errors
    ///
    /// When one of them is not there; when the caller is not root, whom no plugin works for.
    pub(super) fn find(name: &str, is_root: bool, publishes: bool) -> Result<Self> {
        let directory = std::env::var_os("NETCONFPATH").map_or_else(|| CONFIGURATIONS.into(), PathBuf::from);
        let (lists, problems) = read_lists(&directory);
        let names: Vec<String> = lists.iter().map(|list| list.name.clone()).collect();
        let Some(list) = lists.into_iter().find(|list| list.name == name) else {
            let mut message = format!("--net {name}: there is no such network");
            problems.iter().for_each(|problem| message.push_str(&format!("; {problem}")));
            let known =
                ["none", "host", "pasta", "slirp4netns"].map(ToOwned::to_owned).into_iter().chain(names);
            let known: Vec<String> = known.collect();
            let hint = format!("{}; those of CNI are files of {}", known.join(", "), directory.display());
            return Err(Failure::with_hint(message, hint));
        };
        if !is_root {
            let message = format!("--net {name}: only root can use networks of CNI");
            return Err(Failure::with_hint(message, "--net pasta"));
        }
        let path = std::env::var("CNI_PATH").unwrap_or_else(|_| PROGRAMS.into());
        let plugins = list.plugins.into_iter().map(|config| Plugin::find(name, config, &path));
        let plugins = plugins.collect::<Result<Vec<_>>>()?;
        if publishes && !plugins.iter().any(Plugin::publishes) {
            let message = format!("--publish: no plugin of the network {name} publishes ports");
            let hint =
                r#"{"type": "portmap", "capabilities": {"portMappings": true}} at the end of its list"#;
            return Err(Failure::with_hint(message, hint));
        }
        Ok(Self {
            name: list.name,
            version: list.version,
            plugins,
            container: format!("masu-{}", random_name()?),
        })
    }

    /// Calls the plugins for the network namespace of a process.
    ///
    /// # Errors
    ///
    /// Those of the plugins.
    pub(super) fn attach(&self, directory: &Path, pid: u32, ports: &[Port]) -> Result<Found> {
        let _lock = lock(directory)?;
        let turn = Turn::take(ports, directory.parent().unwrap_or(directory))?;
        let namespace = Namespace::Net.bind(directory, pid)?;
        drop(turn);
        let mut result = None;
        for plugin in &self.plugins {
            let config = self.config_of(plugin, result.as_ref(), ports);
            let said = self.call("ADD", plugin, &config, &namespace)?;
            let said = serde_json::from_slice(&said)
                .map_err(|error| self.failed(plugin, &format!("its result: {error}")))?;
            write(&directory.join(RESULT), &said)?;
            result = Some(said);
        }
        let found = result.as_ref().map(found).unwrap_or_default();
        // portmap says nothing of a port that no packet will come to.
        let lost =
            ports.iter().find(|port| port.is_version_6() && !found.addresses.iter().any(IpAddr::is_ipv6));
        match lost {
            Some(port) => {
                let problem = format!("port {}: the box has no address of IPv6", port.name());
                Err(Failure::new(format!("network {}: {problem}", self.name)))
            }
            None => Ok(found),
        }
    }

    /// Calls the plugins in the opposite order.
    ///
    /// # Errors
    ///
    /// The first of the plugins; the others are called all the same.
    pub(super) fn detach(&self, directory: &Path, ports: &[Port]) -> Result<()> {
        let file = Namespace::Net.file(directory);
        if !file.exists() {
            return Ok(());
        }
        let _lock = lock(directory)?;
        // Without a namespace they take away what they have elsewhere: addresses (CNI_NETNS is optional for DEL).
        let namespace = if Namespace::Net.is_bound(directory) { file } else { PathBuf::new() };
        let result: Option<Value> = read(&directory.join(RESULT))?;
        let calls = self.plugins.iter().rev();
        let calls = calls.map(|plugin| {
            let config = self.config_of(plugin, result.as_ref(), ports);
            self.call("DEL", plugin, &config, &namespace).map(drop)
        });
        // All of them, whatever one of them says.
        let outcomes: Vec<Result<()>> = calls.collect();
        outcomes.into_iter().collect::<Result<()>>()?;
        Namespace::Net.release(directory)
    }

    /// Whether plugins may have been called for a box.
    pub(super) fn is_attached(directory: &Path) -> bool {
        Namespace::Net.file(directory).exists()
    }

    /// What one plugin reads.
    fn config_of(&self, plugin: &Plugin, previous: Option<&Value>, ports: &[Port]) -> Value {
        let mut config = plugin.config.clone();
        let mut set = |name: &str, value: Value| {
            if let Some(config) = config.as_object_mut() {
                config.insert(name.into(), value);
            }
        };
        set("name", json!(self.name));
        set("cniVersion", json!(self.version));
        if let Some(previous) = previous {
            set("prevResult", previous.clone());
        }
        if plugin.publishes() && !ports.is_empty() {
            let ports: Vec<Value> = ports.iter().map(mapping).collect();
            set("runtimeConfig", json!({ "portMappings": ports }));
        }
        config
    }

    /// Calls one plugin; what it has written to standard output.
    fn call(&self, command: &str, plugin: &Plugin, config: &Value, namespace: &Path) -> Result<Vec<u8>> {
        let directory = plugin.program.parent().unwrap_or(Path::new("/"));
        let mut program = Command::new(&plugin.program);
        program
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &self.container)
            .env("CNI_NETNS", namespace);
        // Plugins call others, those for addresses.
        program.env("CNI_IFNAME", INTERFACE).env("CNI_PATH", directory);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let told = |error: std::io::Error| self.failed(plugin, &error.to_string());
        let mut child = program.spawn().map_err(told)?;
        if let Some(mut input) = child.stdin.take() {
            // ignored: what it says is more than that it did not read.
            input.write_all(config.to_string().as_bytes()).ok();
        }
        let output = child.wait_with_output().map_err(told)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said: Option<Value> = serde_json::from_slice(&output.stdout).ok();
        let words = said.as_ref().and_then(|said| said.get("msg")).and_then(Value::as_str);
        let words =
            words.map_or_else(|| String::from_utf8_lossy(&output.stderr).trim().to_owned(), Into::into);
        Err(self.failed(plugin, if words.is_empty() { "it failed" } else { &words }))
    }

    fn failed(&self, plugin: &Plugin, words: &str) -> Failure {
        Failure::new(format!("network {}: {}: {words}", self.name, plugin.kind))
    }
}

/// Waits for whoever attaches or detaches this box. The lock is handed on to the programs that are called with it.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join(RECORD);
    let told = |error: std::io::Error| Failure::new(format!("lock {}: {error}", path.display()));
    let file = File::open(&path).map_err(told)?;
    flock(&file, FlockOperation::LockExclusive).map_err(|errno| told(errno.into()))?;
    fcntl_setfd(&file, FdFlags::empty()).map_err(|errno| told(errno.into()))?;
    Ok(file)
}

impl Plugin {
    /// Whether it says that it takes ports.
    fn publishes(&self) -> bool {
        self.config.pointer("/capabilities/portMappings").and_then(Value::as_bool) == Some(true)
    }

    fn find(network: &str, config: Value, path: &str) -> Result<Self> {
        let kind = config.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let is_name = !kind.is_empty() && !kind.contains('/') && kind != "..";
        let found =
            path.split(':').map(|directory| Path::new(directory).join(&kind)).find(|file| file.is_file());
        match found.filter(|_| is_name) {
            Some(program) => Ok(Self { kind, program, config }),
            None => Err(Failure::with_hint(
                format!("network {network}: the plugin {kind:?} is in none of {path}"),
                "install the package containernetworking-plugins, or set CNI_PATH",
            )),
        }
    }
}

/// A port as `runtimeConfig` has it.
fn mapping(port: &Port) -> Value {
    let mut mapping =
        json!({ "hostPort": port.here, "containerPort": port.inside, "protocol": port.protocol.name() });
    if let (Some(mapping), Some(address)) = (mapping.as_object_mut(), port.address) {
        mapping.insert("hostIP".into(), json!(address));
    }
    mapping
}

/// The lists of a directory by the names of their files, and what is wrong with other files.
fn read_lists(directory: &Path) -> (Vec<List>, Vec<String>) {
    let files = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_one = |path: &PathBuf| {
        path.extension().is_some_and(|kind| ["conflist", "conf", "json"].iter().any(|known| kind == *known))
    };
    let mut files: Vec<PathBuf> = files.filter(is_one).collect();
    files.sort();
    let (mut lists, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match fs::read_to_string(&file).map_err(|error| error.to_string()).and_then(|text| parse_list(&text))
        {
            Ok(list) => lists.push(list),
            Err(problem) => problems.push(format!("{}: {problem}", file.display())),
        }
    }
    (lists, problems)
}

/// A list, or one plugin, which is a list too.
fn parse_list(text: &str) -> std::result::Result<List, String> {
    let mut document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if document.get("plugins").is_none() {
        let plugin = document.clone();
        if let Some(document) = document.as_object_mut() {
            document.insert("plugins".into(), json!([plugin]));
        }
    }
    serde_json::from_value(document).map_err(|error| error.to_string())
}

/// What a result says.
fn found(result: &Value) -> Found {
    let array = |pointer: &str| result.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    let address =
        |ip: &Value| -> Option<IpAddr> { ip.get("address")?.as_str()?.split('/').next()?.parse().ok() };
    let addresses = array("/ips").filter_map(address).collect();
    let mut lines = String::new();
    for server in array("/dns/nameservers").filter_map(Value::as_str) {
        lines.push_str(&format!("nameserver {server}\n"));
    }
    let search: Vec<&str> = array("/dns/search").filter_map(Value::as_str).collect();
    let has_servers = !lines.is_empty();
    if !search.is_empty() {
        lines.push_str(&format!("search {}\n", search.join(" ")));
    }
    Found { addresses, servers: has_servers.then_some(lines) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_one_plugin_is_a_list() {
        let list = parse_list(r#"{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]}"#).unwrap();
        assert_eq!((list.name.as_str(), list.version.as_str(), list.plugins.len()), ("a", "1.0.0", 1));
        let one = parse_list(r#"{"name":"b","type":"ptp"}"#).unwrap();
        assert_eq!((one.name.as_str(), one.version.as_str()), ("b", "0.2.0"));
        assert_eq!(one.plugins, [json!({ "name": "b", "type": "ptp" })]);
        assert_eq!(parse_list("{}").unwrap_err(), "missing field `name`");
    }

    #[test]
    fn a_result_has_addresses_and_servers() {
        let result = json!({
            "ips": [{ "address": "10.1.0.2/16" }, { "address": "fd00::2/64" }, { "address": "?" }],
            "dns": { "nameservers": ["10.1.0.1"], "search": ["a", "b"] },
        });
        let told = found(&result);
        assert_eq!(told.addresses, ["10.1.0.2", "fd00::2"].map(|text| text.parse::<IpAddr>().unwrap()));
        assert_eq!(told.servers.unwrap(), "nameserver 10.1.0.1\nsearch a b\n");
        assert_eq!(found(&json!({})).servers, None);
    }
}
