//! Kubernetes: etcd, the API server, and the kubelet of one node, which has containerd make its pods. A pod names the
//! node itself, so there is no scheduler.

use std::fs;
use std::path::PathBuf;

use masu_harness::command::Invocation;
use masu_harness::{Check, ensure_eq, fail, host};
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::engines::Daemon;
use crate::engines::cri::merge;
use crate::world::{IMAGE, World, has_systemd};

/// The class that pods ask for.
const RUNTIME_CLASS: &str = include_str!("../../../../deploy/kubernetes/runtimeclass.yaml");

const NODE: &str = "node";
/// The node's address: kubelet takes none of the loopback's.
const ADDRESS: &str = "10.91.0.1";
const LINK: &str = "ip link add node0 type bridge; ip addr add 10.91.0.1/24 dev node0; ip link set node0 up";
/// kubelet sets these to what it likes, and they are the whole machine's: it gets files of its own in their place.
const TUNABLES: &str = r#"
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
        kernel/keys/root_maxbytes; do
    own=$0/$(basename $name)
    cat /proc/sys/$name >"$own"
    mount --bind "$own" /proc/sys/$name
done
"#;

const TOKEN: &str = "of-the-tests";
/// kubelet for a machine without CAP_SYS_RESOURCE and with a full disk; who calls it is in the same world.
const KUBELET: &str = r#"
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
enforceNodeAllocatable: []
oomScoreAdj: 0
failSwapOn: false
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
resolvConf: /dev/null
"#;

/// Of [`KUBELET`]: containerd's has to be the same.
const CGROUP_DRIVER: &str = "cgroupDriver: cgroupfs";

/// Starts all three, and makes the class known.
pub(crate) fn start(world: &World) -> Check<Vec<Daemon>> {
    let cluster = directory(world);
    fs::create_dir(&cluster)?;
    let path = |name: &str| cluster.join(name).to_string_lossy().into_owned();
    world.succeeds("sh", &["-ec", LINK])?;
    fs::create_dir(cluster.join("sysctl"))?;
    world.succeeds("sh", &["-ec", TUNABLES, &path("sysctl")])?;
    world.succeeds("openssl", &["genrsa", "-out", &path("key"), "2048"])?;
    fs::write(cluster.join("tokens"), format!("{TOKEN},admin,1,\"system:masters\"\n"))?;
    fs::write(cluster.join("kubeconfig"), kubeconfig().to_string())?;
    let driver = if has_systemd() { "cgroupDriver: systemd" } else { CGROUP_DRIVER };
    fs::write(cluster.join("kubelet.yaml"), KUBELET.replace(CGROUP_DRIVER, driver))?;

    let etcd = Invocation::new("etcd".as_ref(), cluster.join("etcd.log")).args(["--data-dir", &path("etcd")]);
    let connected = "exec 3<>/dev/tcp/127.0.0.1/2379";
    let etcd =
        Daemon::start(etcd, || Invocation::new("bash".as_ref(), world.output()).args(["-c", connected]))?;

    let server = program(world, "kube-apiserver")?
        .args(["--etcd-servers", "http://127.0.0.1:2379", "--cert-dir", &path("certificates")])
        .args(["--bind-address", ADDRESS, "--advertise-address", ADDRESS, "--secure-port", "6443"])
        .args(["--token-auth-file", &path("tokens"), "--authorization-mode", "AlwaysAllow"])
        .args(["--service-account-issuer", "https://tests", "--service-account-key-file", &path("key")])
        .args(["--service-account-signing-key-file", &path("key")])
        .args(["--service-cluster-ip-range", "10.93.0.0/16", "--allow-privileged=true"])
        .args(["--disable-admission-plugins", "ServiceAccount"])
        .args(["--kubelet-preferred-address-types", "InternalIP"]);
    let server = Daemon::start(server, || kubectl(world).args(["get", "namespace", "default"]))?;
    let class = world.deployed(RUNTIME_CLASS);
    kubectl(world).args(["apply", "--filename", "-"]).stdin(class).succeeds()?;

    // The last is the one that may have to start once more.
    Ok(vec![etcd, server, start_kubelet(world)?])
}

/// kubelet alone: also once more, after its end.
pub(crate) fn start_kubelet(world: &World) -> Check<Daemon> {
    let cluster = directory(world);
    let kubelet = program(world, "kubelet")?
        .arg("--config")
        .arg(cluster.join("kubelet.yaml"))
        .arg("--kubeconfig")
        .arg(cluster.join("kubeconfig"))
        .args(["--container-runtime", "remote", "--hostname-override", NODE, "--node-ip", ADDRESS])
        .args(["--container-runtime-endpoint", "unix:///run/containerd/containerd.sock"]);
    let ready = ["wait", "--for", "condition=Ready", "--timeout", "1s", "node", NODE];
    Daemon::start(kubelet, || kubectl(world).args(ready))
}

fn directory(world: &World) -> PathBuf {
    world.dir.join("kubernetes")
}

fn kubeconfig() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": format!("https://{ADDRESS}:6443"),
                                                   "insecure-skip-tls-verify": true}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
    })
}

/// One of Kubernetes' own programs, as a daemon.
fn program(world: &World, name: &str) -> Check<Invocation> {
    let programs =
        world.kubernetes.as_ref().ok_or_else(|| fail("--kubernetes says where its programs are"))?;
    Ok(Invocation::new(programs.join(name).as_os_str(), directory(world).join(format!("{name}.log"))))
}

/// kubectl.
pub(crate) fn kubectl(world: &World) -> Invocation {
    let programs = world.kubernetes.clone().unwrap_or_default();
    Invocation::new(programs.join("kubectl").as_os_str(), world.output())
        .arg("--kubeconfig")
        .arg(directory(world).join("kubeconfig"))
}

/// Removes the pods of a case, and waits until nothing is left of them.
pub(crate) fn remove_all(bench: &Bench<'_>, names: &[String]) -> Check {
    for name in names {
        bench.call(&["delete", "pod", "--ignore-not-found", "--now", name]).succeeds()?;
    }
    Ok(())
}

/// A container of a pod: a script in the image. `edit` is laid over it.
pub(crate) fn container(name: &str, script: &str, edit: &Value) -> Value {
    let command = ["sh", "-c", script];
    with(json!({"name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": command}), edit)
}

/// An object with another laid over it.
pub(crate) fn with(mut base: Value, over: &Value) -> Value {
    merge(&mut base, over);
    base
}

/// A pod of the RuntimeClass.
#[derive(Debug)]
pub(crate) struct Pod<'b> {
    bench: &'b Bench<'b>,
    pub(crate) name: String,
}

impl<'b> Pod<'b> {
    /// Asks for it. `spec` is laid over the specification.
    pub(crate) fn create(bench: &'b Bench<'b>, containers: &[Value], spec: &Value) -> Check<Self> {
        let name = bench.name();
        let base = json!({"runtimeClassName": bench.world.configured_name(), "nodeName": NODE,
                          "restartPolicy": "Never", "enableServiceLinks": false, "containers": containers});
        let spec = with(base, spec);
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
        bench.call(&["create", "--filename", "-"]).stdin(pod.to_string()).succeeds()?;
        Ok(Self { bench, name })
    }

    /// Asks for it, and waits until all its containers are ready.
    pub(crate) fn running(bench: &'b Bench<'b>, containers: &[Value], spec: &Value) -> Check<Self> {
        let pod = Self::create(bench, containers, spec)?;
        pod.until_is("{.status.conditions[?(@.type=='Ready')].status}", "True")?;
        Ok(pod)
    }

    /// What a pod of one container prints, which has to succeed.
    pub(crate) fn output(bench: &'b Bench<'b>, script: &str, edit: &Value, spec: &Value) -> Check<String> {
        let pod = Self::create(bench, &[container("main", script, edit)], spec)?;
        pod.until_is("{.status.phase}", "Succeeded")?;
        pod.logs(&[])
    }

    /// A part of what the API server knows of it.
    pub(crate) fn get(&self, path: &str) -> Check<String> {
        self.bench.succeeds(&["get", "pod", &self.name, "--output", &format!("jsonpath={path}")])
    }

    /// Waits until a part is this one.
    pub(crate) fn until_is(&self, path: &str, expected: &str) -> Check {
        let mut last = String::new();
        let outcome = host::until(path, || {
            last = self.get(path)?;
            Ok(last == expected)
        });
        if outcome.is_err() {
            ensure_eq!(last, expected, "{path} in the end of {}", self.get("{.status}")?);
        }
        outcome
    }

    /// The output of its container.
    pub(crate) fn logs(&self, options: &[&str]) -> Check<String> {
        self.bench.succeeds(&[&["logs", &self.name], options].concat())
    }

    /// `kubectl exec` of a script.
    pub(crate) fn exec(&self, options: &[&str], script: &str) -> Invocation {
        let exec = self.bench.call(&["exec", &self.name]).args(options);
        exec.args(["--", "sh", "-c", script])
    }

    /// What a script prints that is executed in it.
    pub(crate) fn says(&self, script: &str) -> Check<String> {
        Ok(self.exec(&[], script).succeeds()?.text().to_owned())
    }

    /// The first container's process, which the runtime itself tells.
    pub(crate) fn pid(&self) -> Check<i32> {
        let id = self.get("{.status.containerStatuses[0].containerID}")?;
        let id = id.trim_start_matches("containerd://");
        let world = self.bench.world;
        let state = Invocation::new(world.runtime.path.as_os_str(), world.output())
            .args(["--root", "/run/containerd/runc/k8s.io", "state", id])
            .succeeds()?;
        let state: Value = serde_json::from_str(&state.stdout)?;
        ensure_eq!(state.pointer("/status").and_then(Value::as_str), Some("running"));
        let pid = state.pointer("/pid").and_then(Value::as_i64).and_then(|pid| pid.try_into().ok());
        pid.ok_or_else(|| fail(format!("no process in {state}")))
    }
}
