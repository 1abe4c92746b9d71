//! From a bundle to a container that waits for its start, or runs.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::cell::Cell;

use masu_cgroup::{
    Cgroup, ContainerMounts, Instance, Join, PlannedUnit, Privilege, Request, container_mounts,
};
use masu_spec::{
    Config, DELEGATE_CGROUP, HookKind, Mount, MountAttr, NamespaceKind, PIDFD_RECEIVER, Status, Str,
    parse_config,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use serde::Serialize;

use crate::{
    acquire::{Held, acquire},
    clock,
    console::{Console, Receiver},
    descriptor_socket::PidfdReceivers,
    error::{Doing, Error, Result},
    files,
    hooks::{EngineHooks, Environment, HookOutputs, HookState},
    host::{Host, open_proc},
    host_views::host_views,
    id_programs::IdPrograms,
    intel_rdt::{Class, RdtRecord},
    lsm,
    net_devices::NetDevices,
    notify::{self, Notify},
    plan::{CreateInput, Plan, StartGate, begin_create, first_id, go_on_create},
    seccomp_agent::Agent,
    spawn::{self, Child, Engine, Spawn},
    state::{RECORD_VERSION, Record, start_time},
    store::{self, Directory, Store},
    terminal::Lent,
    trace::{Trace, Work},
};

/// When the container's process begins.
pub use crate::plan::StartGate as Gate;

/// Who makes the container's cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupDriver<'a> {
    /// masu.
    Cgroupfs,
    /// systemd: the system's for its root, and for others their own.
    Systemd {
        /// `XDG_RUNTIME_DIR`.
        runtime_dir: Option<&'a str>,
        /// `DBUS_SESSION_BUS_ADDRESS`.
        session_bus: Option<&'a str>,
    },
    /// Nobody: the container stays in its caller's.
    Disabled,
}

/// What `create` and `run` are told beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions<'a> {
    /// The name of the container.
    pub id: &'a str,
    /// The bundle's directory, as given.
    pub bundle: &'a str,
    /// When the process begins.
    pub gate: Gate,
    /// Who gets the terminal, if the process has one.
    pub console: Console<'a>,
    /// Where its pid is written.
    pub pid_file: Option<&'a str>,
    /// Whether the root is entered by chroot(2) instead of pivot_root(2).
    pub no_pivot: bool,
    /// Whether the container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors after standard error that the process gets.
    pub preserve_fds: u32,
    /// Whether cgroups that may not be made are no error; `None` is for the engine to decide.
    pub rootless: Option<bool>,
    /// The caller's environment, for hooks that have none of their own.
    pub environment: Environment<'a>,
    /// Sockets and descriptors beside the container's own.
    pub services: Services<'a>,
    /// Who makes the cgroup.
    pub cgroup_driver: CgroupDriver<'a>,
    /// The caller's `PATH`, where an ordinary user's newuidmap(1) and newgidmap(1) are.
    pub search_path: &'a str,
    /// Where it is kept what takes how long.
    pub trace: &'a Trace,
}

/// Sockets and descriptors beside the container's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Services<'a> {
    /// `--pidfd-socket`: who gets a pidfd of the process.
    pub pidfd_socket: Option<&'a str>,
    /// `NOTIFY_SOCKET`: the service manager that is told when the container is ready.
    pub notify_socket: Option<&'a str>,
    /// How many of the preserved descriptors are sockets of socket activation, sd_listen_fds(3).
    pub listen_fds: u32,
}

impl Services<'_> {
    /// Adds what the container's process must know of them.
    fn add_to(&self, config: &mut Config<'_>, store: &Store, id: &str) {
        if self.listen_fds > 0 {
            let env = &mut config.process.env;
            env.push(format!("LISTEN_FDS={}", self.listen_fds).into());
            env.push("LISTEN_PID=1".into());
        }
        if self.notify_socket.is_some() {
            notify::add_to(config, store, id);
        }
    }

    /// Makes the socket for the container: at once for one that begins at once, otherwise `start` does it.
    fn listen(&self, directory: &Directory, gate: Gate) -> Result<Option<Notify>> {
        let Some(manager) = self.notify_socket else { return Ok(None) };
        notify::make_directory(directory)?;
        (gate == Gate::Open).then(|| Notify::listen(directory, manager)).transpose()
    }
}

/// A process of ours in a container, and what was odd about the way there.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    /// Its terminal, if the engine is to lend its own.
    pub terminal: Option<Lent>,
    /// What deserves a line in the log.
    pub warnings: Vec<String>,
    /// The proxy of the container's `NOTIFY_SOCKET`.
    pub notify: Option<Notify>,
}

/// Makes a container. What its `poststop` hooks do wrong when it could not be made is added to `warnings`.
///
/// # Errors
/// For whatever stands in the way; then nothing of the container is left.
pub fn create(
    store: &Store,
    options: &CreateOptions<'_>,
    init_image: &[u8],
    warnings: &mut Vec<String>,
) -> Result<Started> {
    masu_spec::check_container_id(options.id)?;
    let bundle = absolute(options.bundle)?;
    let trace = options.trace;
    let json = trace.measure(Work::ReadConfig, || read_config(&bundle))?;
    let mut config = trace.measure(Work::ParseConfig, || parse_config(&json))?;
    lsm::check(&config.process, config.linux.mount_label.as_ref())?;
    options.services.add_to(&mut config, store, options.id);
    let state = HookState { id: options.id, bundle: &bundle, annotations: &config.annotations };
    let outputs = HookOutputs::find(|name| config.annotations.get(name).map(Str::as_str));
    let hooks = EngineHooks { hooks: &config.hooks, state, environment: options.environment, outputs };
    let has_begun = Cell::new(false);
    let made = make(store, options, init_image, &json, &hooks, &config, &has_begun);
    if made.is_err() && has_begun.get() {
        warnings.extend(hooks.run_poststop());
    }
    made
}

/// Makes the container of a configuration. `has_begun` tells whether anything was done in it.
fn make(
    store: &Store,
    options: &CreateOptions<'_>,
    init_image: &[u8],
    json: &[u8],
    hooks: &EngineHooks<'_, impl Serialize>,
    config: &Config<'_>,
    has_begun: &Cell<bool>,
) -> Result<Started> {
    let bundle = hooks.state.bundle;
    let mut console = options.console.receiver(config.process.terminal.is_some())?;
    let rootfs = find_rootfs(bundle, config)?;
    let annotation = |name: &str| config.annotations.get(name).map(Str::as_str);
    let receivers = PidfdReceivers::connect(options.services.pidfd_socket, annotation(PIDFD_RECEIVER))?;
    let agent = Agent::find(config.linux.seccomp.as_ref(), annotation, options.environment)?;
    let (trace, proc) = (options.trace, open_proc()?);
    let host = trace.measure(Work::ProbeHost, || probe_all(&proc))?;
    let request = request(options.id, config, &host, options.rootless);
    let directory = NewDirectory::make(store, options, json)?;
    let notify = options.services.listen(&directory.open, options.gate)?;
    let mut record = new_record(options, bundle, &rootfs, config);
    let mut cgroup = begin_cgroup(options, &host, &request, &directory.open, &mut record)?;
    let class = Class::make(config, options.id, &proc)?;
    let unified = cgroup.unified_dir()?;
    let mut plan = begin_create(config, &host, unified.is_some())?;
    let born_in = unified.as_ref().filter(|_| plan.into_cgroup);
    let begun = spawn::begin(&plan, born_in, init_image, trace)?;
    finish_cgroup(options, &host, &request, &directory.open, &mut cgroup, &mut record)?;
    let tasks = trace.measure(Work::OpenCgroup, || cgroup.open_tasks())?;
    let join = Join { tasks, unified };
    let cgroup_mounts = cgroup_mounts(config, &cgroup, &host)?;
    plan_rest(&mut plan, options, config, &host, [bundle, &rootfs], &join, &cgroup_mounts)?;
    plan.warnings.extend(request.warnings(&cgroup));
    record.groups_forbidden = plan.forbids_setgroups(&host);
    let fifo = (options.gate == StartGate::Fifo).then(|| directory.open.make_fifo()).transpose()?;
    let mut held = Held { proc, join, process: None, fifo };
    let descriptors = trace.measure(Work::Acquire, || acquire(&plan, &mut held))?;
    let id_programs = &IdPrograms::find(plan.id_maps.as_ref(), options.search_path)?;
    let (gate, proc, terminal) = (options.gate, &held.proc, console.as_mut());
    let devices = NetDevices::of(config);
    let assembled = &|pid| hooks.run_assembled(pid).and_then(|()| devices.enter(proc, pid));
    let listener = &|listener: OwnedFd, pid| {
        let state = hooks.state.with_pid(Status::Creating, pid);
        agent.as_ref().map_or(Ok(()), |agent| agent.send(&listener, pid, &state))
    };
    let spawned =
        Spawn { plan: &plan, descriptors, proc, id_programs, gate, assembled, terminal, listener, trace };
    has_begun.set(true);
    let engine = Engine::start(begun, spawned, None)?;
    let drafted = engine.meanwhile(|child| draft_record(&mut record, child.pid(), &directory.open))?;
    let mut child = engine.attend(|child| {
        cgroup.settle(child.pid())?;
        class.join(child.pid())?;
        if drafted.is_none() {
            draft_record(&mut record, child.pid(), &directory.open)?;
        }
        directory.open.publish_record()?;
        announce(child, options.pid_file, &receivers, "standard")
    })?;
    if options.gate == StartGate::Open {
        trace.measure(Work::RunPoststart, || hooks.run_poststart(child.pid()))?;
    }
    child.keep();
    devices.keep();
    class.keep();
    cgroup.keep();
    directory.keep();
    let terminal = console.and_then(Receiver::into_lent);
    Ok(Started { child, terminal, warnings: plan.warnings, notify })
}

/// What the machine is, with its cgroups, which every container needs.
fn probe_all(proc: &OwnedFd) -> Result<Host> {
    let host = Host::probe(proc)?;
    host.layout()?;
    Ok(host)
}

/// Writes down whose container it is, where nobody looks for it yet.
fn draft_record(record: &mut Record, pid: i32, directory: &Directory) -> Result<()> {
    record.pid = pid;
    record.start_time = start_time(pid)?.ok_or(Errno::SRCH).doing(|| "find the process".into())?;
    directory.draft_record(record)
}

fn plan_rest(
    plan: &mut Plan,
    options: &CreateOptions<'_>,
    config: &Config<'_>,
    host: &Host,
    [bundle, rootfs]: [&str; 2],
    join: &Join,
    cgroup_mounts: &ContainerMounts,
) -> Result<()> {
    let hierarchies: Vec<String> = join.tasks.iter().map(|(name, _)| name.clone()).collect();
    let input = CreateInput {
        config,
        host,
        id: options.id,
        bundle,
        rootfs,
        hierarchies: &hierarchies,
        unified: join.unified.is_some(),
        cgroup_mounts,
        gate: options.gate,
        no_pivot: options.no_pivot,
        host_views: &host_views(config, options.no_pivot)?,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
    };
    options.trace.measure(Work::Plan, || go_on_create(plan, &input))
}

/// Tells the caller of a process: its pid, and its pidfd with runc's word for the kind of process.
pub(crate) fn announce(
    child: &Child,
    pid_file: Option<&str>,
    receivers: &PidfdReceivers,
    kind: &str,
) -> Result<()> {
    pid_file.map_or(Ok(()), |path| write_pid_file(path, child.pid()))?;
    receivers.send(child.as_fd(), kind)
}

/// Makes as much of the container's cgroup as has to be there before its process. The record is written before, as a claim:
/// whenever we end, `delete --force` knows where to look, and leaves alone whoever lived there before us.
fn begin_cgroup(
    options: &CreateOptions<'_>,
    host: &Host,
    request: &CgroupRequest<'_>,
    directory: &Directory,
    record: &mut Record,
) -> Result<Cgroup> {
    if options.cgroup_driver == CgroupDriver::Disabled {
        directory.make_record(record)?;
        return Ok(Cgroup::open(&record.cgroup));
    }
    let unit = request.plan_unit(options.cgroup_driver, host)?;
    record.cgroup = Cgroup::record_before(host.layout()?, &request.as_request(), unit.as_ref())?;
    directory.make_claim(record)?;
    let layout = host.layout()?;
    let cgroup =
        options.trace.measure(Work::BeginCgroup, || Cgroup::begin(layout, &request.as_request(), unit))?;
    if cgroup.is_complete() {
        directory.confirm_claim()?;
    }
    Ok(cgroup)
}

/// Makes the rest of it, while the process begins.
fn finish_cgroup(
    options: &CreateOptions<'_>,
    host: &Host,
    request: &CgroupRequest<'_>,
    directory: &Directory,
    cgroup: &mut Cgroup,
    record: &mut Record,
) -> Result<()> {
    if options.cgroup_driver == CgroupDriver::Disabled {
        return Ok(());
    }
    if !cgroup.is_complete() {
        let layout = host.layout()?;
        options.trace.measure(Work::MakeCgroup, || cgroup.finish(layout, &request.as_request()))?;
        directory.confirm_claim()?;
    }
    record.cgroup = cgroup.record();
    request.owner().map_or(Ok(()), |owner| Ok(cgroup.delegate(owner)?))
}

/// Writes a pid where an engine waits for it: whole, by a rename.
fn write_pid_file(path: &str, pid: i32) -> Result<()> {
    let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
    let directory = if directory.is_empty() { "/" } else { directory };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let written = rustix::fs::openat(CWD, directory, flags, Mode::empty()).and_then(|directory| {
        use rustix::fd::AsFd;
        files::replace(directory.as_fd(), name, format!("{pid}").as_bytes(), 0o644)
    });
    written.doing(|| format!("write the pid file {path:?}"))
}

/// The directory of a container in the making: removed, unless it is kept.
struct NewDirectory<'a> {
    store: &'a Store,
    id: &'a str,
    open: Directory,
    kept: Cell<bool>,
}

impl<'a> NewDirectory<'a> {
    /// Makes it, with a copy of config.json.
    fn make(store: &'a Store, options: &CreateOptions<'a>, json: &[u8]) -> Result<Self> {
        options.trace.measure(Work::MakeStateDirectory, || {
            let made = Self { store, id: options.id, open: store.make(options.id)?, kept: false.into() };
            made.open.make_file(store::CONFIG, json)?;
            Ok(made)
        })
    }

    fn keep(&self) {
        self.kept.set(true);
    }
}

impl Drop for NewDirectory<'_> {
    fn drop(&mut self) {
        if !self.kept.get() {
            // ignored: the error that led here is the one to report; `delete --force` removes the rest.
            let _ = self.store.remove(self.id, &self.open);
        }
    }
}

pub(crate) fn absolute(path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(trimmed(path));
    }
    let cwd = rustix::process::getcwd(Vec::new()).doing(|| "getcwd".into())?;
    let cwd = cwd.into_string().map_err(|_| Errno::ILSEQ).doing(|| "getcwd".into())?;
    let path = path.strip_prefix("./").unwrap_or(path);
    Ok(trimmed(&if matches!(path, "" | ".") { cwd } else { format!("{cwd}/{path}") }))
}

fn trimmed(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() { "/".into() } else { path.into() }
}

pub(crate) fn read_config(bundle: &str) -> Result<Vec<u8>> {
    let path = format!("{bundle}/config.json");
    files::read(&path).map_err(|errno| Error::System {
        action: format!("open {path}"),
        errno,
        hint: (errno == Errno::NOENT)
            .then(|| "masu spec writes one; --bundle names the directory that it is in".into()),
    })
}

pub(crate) fn find_rootfs(bundle: &str, config: &Config<'_>) -> Result<String> {
    let path = config.root.path.as_str();
    let path = if path.starts_with('/') { trimmed(path) } else { trimmed(&format!("{bundle}/{path}")) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, &*path, flags, Mode::empty()).map_err(|errno| Error::System {
        action: format!("root.path: open {path}"),
        errno,
        hint: Some("root.path names the directory of the root file system, relative to the bundle".into()),
    })?;
    Ok(path)
}

/// The cgroup that is asked for.
pub(crate) struct CgroupRequest<'a> {
    id: &'a str,
    config: &'a Config<'a>,
    device_paths: Vec<&'a str>,
    privilege: Privilege,
}

impl<'a> CgroupRequest<'a> {
    pub(crate) fn as_request(&'a self) -> Request<'a> {
        Request {
            id: self.id,
            cgroups_path: self.config.linux.cgroups_path.as_deref(),
            resources: &self.config.linux.resources,
            device_paths: &self.device_paths,
            privilege: self.privilege,
            delegated: self.config.annotations.get(DELEGATE_CGROUP).map(|text| &**text),
        }
    }
}

impl CgroupRequest<'_> {
    /// The unit that systemd will be asked for, if it is to be asked.
    pub(crate) fn plan_unit(&self, driver: CgroupDriver<'_>, host: &Host) -> Result<Option<PlannedUnit>> {
        let CgroupDriver::Systemd { runtime_dir, session_bus } = driver else { return Ok(None) };
        let is_system = host.uid == 0 && !host.in_user_namespace;
        // A systemd in a container is the system's to root in there, and says so by having no user's place.
        let has_user = runtime_dir.is_some() || session_bus.is_some();
        let instance = match is_system || (host.uid == 0 && !has_user) {
            true => Instance::System,
            false => Instance::User { runtime_dir, session_bus },
        };
        let Config { linux, annotations, .. } = self.config;
        let path = linux.cgroups_path.as_deref();
        let unit = PlannedUnit::find(instance, self.id, path, annotations)?;
        unit.come_within_reach(host.layout()?)?;
        Ok(Some(unit))
    }

    /// The user whom a cgroup of version 2 is to belong to, as the host counts users, if that is another than root: the
    /// container's own, where it has a cgroup namespace and may write to its cgroups. runtime-spec, config-linux.md,
    /// "Cgroup ownership".
    fn owner(&self) -> Option<u32> {
        let Config { linux, mounts, process, .. } = self.config;
        let may_give = matches!(self.privilege, Privilege::Full | Privilege::UserNamespace);
        let is_writable = |mount: &Mount<'_>| {
            mount.destination.as_str() == "/sys/fs/cgroup"
                && is_cgroup(mount)
                && !mount.options.attr.set.contains(MountAttr::RDONLY)
        };
        if !may_give || !linux.namespaces.is_new(NamespaceKind::Cgroup) || !mounts.iter().any(is_writable) {
            return None;
        }
        let uid = process.user.uid;
        let owner = match linux.namespaces.contains(NamespaceKind::User) {
            true => linux.uid_mappings.iter().find_map(|mapping| mapping.to_host(uid))?,
            false => uid,
        };
        (owner != 0).then_some(owner)
    }

    /// What the cgroup that was made lacks, in sentences for the log.
    fn warnings(&self, cgroup: &Cgroup) -> Vec<String> {
        let mut warnings = cgroup.ignored(&self.config.linux.resources);
        if self.privilege == Privilege::Tolerant && !cgroup.has_devices() {
            let text = "linux.resources.devices: no cgroup could be made for them: the container may use the devices \
                        that its caller may use";
            warnings.push(text.into());
        }
        if cgroup.is_none() && !self.config.linux.namespaces.contains(NamespaceKind::Pid) {
            let text = "linux.namespaces: the container has neither a cgroup nor a pid namespace: of its processes \
                        only the first can be found, killed and deleted";
            warnings.push(text.into());
        }
        warnings
    }
}

pub(crate) fn request<'a>(
    id: &'a str,
    config: &'a Config<'a>,
    host: &Host,
    rootless: Option<bool>,
) -> CgroupRequest<'a> {
    let system = host.uid == 0 && host.is_privileged() && !host.in_user_namespace;
    // Whether a cgroup can be made is not known before it is tried, in a user namespace as for an ordinary user.
    let privilege = match rootless.unwrap_or(!system) {
        true if system => Privilege::Tolerant,
        true => Privilege::Rootless,
        false if host.in_user_namespace => Privilege::UserNamespace,
        false => Privilege::Full,
    };
    let device_paths = config.linux.devices.iter().map(|device| device.path.as_str()).collect();
    CgroupRequest { id, config, device_paths, privilege }
}

fn is_cgroup(mount: &Mount<'_>) -> bool {
    matches!(mount.fs_type.as_deref(), Some("cgroup" | "cgroup2"))
}

pub(crate) fn cgroup_mounts(config: &Config<'_>, cgroup: &Cgroup, host: &Host) -> Result<ContainerMounts> {
    if config.mounts.iter().any(is_cgroup) {
        let namespace = config.linux.namespaces.contains(NamespaceKind::Cgroup);
        Ok(container_mounts(cgroup, host.layout()?, namespace))
    } else {
        Ok(ContainerMounts::default())
    }
}

fn new_record(options: &CreateOptions<'_>, bundle: &str, rootfs: &str, config: &Config<'_>) -> Record {
    let linux = &config.linux;
    let namespaces = linux.namespaces.iter().fold(0, |bits, (kind, _)| bits | kind.clone_flag());
    Record {
        version: RECORD_VERSION,
        id: options.id.into(),
        bundle: bundle.into(),
        rootfs: rootfs.into(),
        created: clock::now(),
        owner: rustix::process::geteuid().as_raw(),
        annotations: config
            .annotations
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect::<BTreeMap<_, _>>(),
        pid: 0,
        start_time: 0,
        namespaces,
        own_pid_namespace: linux.namespaces.is_new(NamespaceKind::Pid),
        keyring: !options.no_new_keyring,
        root: (first_id(&linux.uid_mappings), first_id(&linux.gid_mappings)),
        groups_forbidden: false,
        hooks_at_start: config.hooks.any(&[HookKind::StartContainer, HookKind::Poststart]),
        hooks_at_end: config.hooks.any(&[HookKind::Poststop]),
        cgroup: masu_cgroup::CgroupRecord::default(),
        intel_rdt: RdtRecord::of(config),
        is_claim: false,
    }
}
