//! containerd as kubelet calls it: through the CRI.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use masu_harness::command::{Invocation, Running};
use masu_harness::{Check, ensure, fail, host};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::world::{IMAGE, World, has_systemd};

const CLIENT: &str = include_str!("../cri.py");
/// The class that pods ask for, and its handler in the configuration of `deploy/`.
const RUNTIME_CLASS: &str = include_str!("../../../../deploy/kubernetes/runtimeclass.yaml");
/// What this machine needs of containerd beside the runtime: no registry to get a pause image from, no CAP_SYS_RESOURCE,
/// and Debian's place for CNI's programs.
const MACHINE: &str = r#"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:latest"
  restrict_oom_score_adj = true
  enable_unprivileged_ports = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
"#;
/// A bridge of the pods, in a directory of its own: containerd takes the first list that it finds, and that of podman's
/// package calls a plugin which fails where two pods make its chain of the firewall at once.
const NETWORK: &str = r#"{"cniVersion": "0.4.0", "name": "pods", "plugins": [
    {"type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}]}"#;

/// The configuration of containerd that this takes, and the network.
pub(crate) fn configure(world: &World, deployed: &str) -> Check<String> {
    let lists = world.dir.join("net.d");
    fs::create_dir(&lists)?;
    fs::write(lists.join("pods.conflist"), NETWORK)?;
    let mut config = format!("{deployed}{MACHINE}    conf_dir = \"{}\"\n", lists.display());
    for (name, path) in &world.beside {
        let table = format!("plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.{name}");
        let path = path.display();
        config += &format!("[{table}]\nruntime_type = \"io.containerd.runc.v2\"\n");
        config += &format!("[{table}.options]\nBinaryName = \"{path}\"\n");
    }
    Ok(config)
}

/// A conversation with the CRI.
#[derive(Debug)]
pub(crate) struct Cri<'b> {
    bench: &'b Bench<'b>,
    client: RefCell<(Running, usize)>,
    pods: RefCell<Vec<String>>,
}

impl<'b> Cri<'b> {
    /// With the containerd of all cases.
    pub(crate) fn new(bench: &'b Bench<'b>) -> Check<Self> {
        Self::at(bench, Path::new("/run/containerd/containerd.sock"))
    }

    /// With the containerd of this socket.
    pub(crate) fn at(bench: &'b Bench<'b>, socket: &Path) -> Check<Self> {
        let program = bench.directory()?.join("cri.py");
        fs::write(&program, CLIENT)?;
        let client = Invocation::new(bench.world.python.as_os_str(), bench.world.output())
            .arg(&program)
            .arg(format!("unix://{}", socket.display()))
            .stdin_pipe()
            .spawn()?;
        Ok(Self { bench, client: RefCell::new((client, 0)), pods: RefCell::default() })
    }

    /// Calls a method, and gives its answer or the text of its error.
    pub(crate) fn try_call(&self, method: &str, request: &Value) -> Check<Result<Value, String>> {
        let (client, answers) = &mut *self.client.borrow_mut();
        client.write(format!("{method} {request}\n").as_bytes())?;
        let mut line = String::new();
        host::until(&format!("an answer to {method} {request}"), || {
            ensure!(!client.has_ended()?, "the client of the CRI has ended: {}", client.stderr_so_far()?);
            let text = client.stdout_so_far()?;
            line = text.split_inclusive('\n').nth(*answers).unwrap_or_default().to_owned();
            Ok(line.ends_with('\n'))
        })?;
        *answers += 1;
        let mut answer: Value = serde_json::from_str(&line)?;
        match answer.get_mut("ok").map(Value::take) {
            Some(message) => Ok(Ok(message)),
            None => Ok(Err(text(&answer, "/error"))),
        }
    }

    /// Calls a method that has to succeed.
    pub(crate) fn call(&self, method: &str, request: &Value) -> Check<Value> {
        self.try_call(method, request)?.map_err(|error| fail(format!("{method} {request}: {error}")))
    }

    /// Starts a pod. `edit` is laid over the configuration.
    pub(crate) fn pod(&self, edit: &Value) -> Check<Pod<'_>> {
        let name = format!("pod{}", self.bench.world.number());
        let logs = self.bench.directory()?;
        let mut config = json!({
            "metadata": {"name": name, "uid": name, "namespace": "default"},
            "hostname": "podhost",
            "log_directory": logs,
            "linux": {"cgroup_parent": cgroup_parent(&name),
                      "security_context": {"namespace_options": {"pid": "CONTAINER"}}},
        });
        merge(&mut config, edit);
        let handler = self.bench.world.deployed(&handler()?);
        let run = json!({"config": config, "runtime_handler": handler});
        let id = text(&self.call("RunPodSandbox", &run)?, "/pod_sandbox_id");
        self.pods.borrow_mut().push(id.clone());
        Ok(Pod { cri: self, id, config, logs })
    }

    /// Removes the pods, with their containers.
    pub(crate) fn remove_pods(&self) -> Check {
        for id in self.pods.take() {
            self.call("StopPodSandbox", &json!({"pod_sandbox_id": id}))?;
            self.call("RemovePodSandbox", &json!({"pod_sandbox_id": id}))?;
        }
        Ok(())
    }
}

/// The cgroup of a pod, as kubelet names it by its path or in systemd's words.
fn cgroup_parent(pod: &str) -> String {
    if has_systemd() {
        format!("/masupods.slice/masupods-{pod}.slice")
    } else {
        format!("/masu-pods/{pod}/pod")
    }
}

/// The handler of the RuntimeClass of `deploy/`.
pub(crate) fn handler() -> Check<String> {
    let line = RUNTIME_CLASS.lines().find_map(|line| line.strip_prefix("handler: "));
    line.map(str::to_owned).ok_or_else(|| fail("deploy/kubernetes/runtimeclass.yaml has no handler"))
}

/// A pod.
#[derive(Debug)]
pub(crate) struct Pod<'c> {
    cri: &'c Cri<'c>,
    pub(crate) id: String,
    config: Value,
    pub(crate) logs: PathBuf,
}

impl Pod<'_> {
    /// Makes a container of it and starts it: a script. `edit` is laid over the configuration.
    pub(crate) fn container(&self, script: &str, edit: &Value) -> Check<String> {
        let id = self.create(script, edit)?;
        self.cri.call("StartContainer", &json!({"container_id": id}))?;
        Ok(id)
    }

    /// Makes a container of it.
    pub(crate) fn create(&self, script: &str, edit: &Value) -> Check<String> {
        let name = format!("c{}", self.cri.bench.world.number());
        let mut config = json!({
            "metadata": {"name": name},
            "image": {"image": IMAGE},
            "command": ["sh", "-c", script],
            "log_path": format!("{name}.log"),
            "linux": {"security_context": {"namespace_options": {"pid": "CONTAINER"}}},
        });
        merge(&mut config, edit);
        let create = json!({"pod_sandbox_id": self.id, "config": config, "sandbox_config": self.config});
        Ok(text(&self.cri.call("CreateContainer", &create)?, "/container_id"))
    }
}

impl Cri<'_> {
    /// One value of a container's status.
    pub(crate) fn status(&self, container: &str, pointer: &str) -> Check<String> {
        let status = self.call("ContainerStatus", &json!({"container_id": container}))?;
        Ok(text(&status, &format!("/status{pointer}")))
    }

    /// Waits for a container's end, and gives its exit code.
    pub(crate) fn wait(&self, container: &str) -> Check<String> {
        host::until("the container has ended", || {
            Ok(self.status(container, "/state")? == "CONTAINER_EXITED")
        })?;
        let code = self.status(container, "/exit_code")?;
        // A zero is left out.
        Ok(if code.is_empty() { "0".to_owned() } else { code })
    }

    /// What a script prints that is executed in a container, and its status.
    pub(crate) fn exec(&self, container: &str, script: &str) -> Check<(String, i64)> {
        let exec = json!({"container_id": container, "cmd": ["sh", "-c", script], "timeout": 60});
        let answer = self.call("ExecSync", &exec)?;
        let bytes = text(&answer, "/stdout");
        let code = answer.pointer("/exit_code").and_then(Value::as_i64).unwrap_or_default();
        Ok((decode_base64(&bytes).trim_end().to_owned(), code))
    }

    /// What a container has printed, without times and names of streams.
    pub(crate) fn log(&self, pod: &Pod<'_>, container: &str) -> Check<String> {
        let path = self.status(container, "/log_path")?;
        let text = host::read_trimmed(if path.is_empty() { pod.logs.clone() } else { path.into() })?;
        Ok(text.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).collect::<Vec<_>>().join("\n"))
    }
}

/// A value as text; one that is not there is empty.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Lays one object over another.
pub(crate) fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// JSON has bytes in base64, RFC 4648.
fn decode_base64(text: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for digit in text.bytes().filter_map(|byte| DIGITS.iter().position(|&digit| digit == byte)) {
        bits = (bits << 6) | u32::try_from(digit).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.extend(u8::try_from((bits >> count) & 0xff));
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
