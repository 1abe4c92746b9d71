//! From a bundle to a container that waits for its start, or runs.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};

use masu_cgroup::{Cgroup, ContainerMounts, Privilege, Request, container_mounts};
use masu_spec::{Config, NamespaceKind, Status, parse_config};
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};

use crate::{
    acquire::{Held, acquire},
    clock,
    error::{Doing, Error, Result},
    files,
    host::{Host, open_proc},
    plan::{CreateInput, StartGate, first_id, plan_create},
    spawn::{Child, Spawn, spawn},
    state::{RECORD_VERSION, Record, start_time},
    store::{self, Directory, Store},
};

/// When the container's process begins.
pub use crate::plan::StartGate as Gate;

/// What `create` and `run` are told beside the configuration.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions<'a> {
    /// The name of the container.
    pub id: &'a str,
    /// The bundle's directory, as given.
    pub bundle: &'a str,
    /// When the process begins.
    pub gate: Gate,
    /// Where its pid is written.
    pub pid_file: Option<&'a str>,
    /// Whether the root is entered by chroot(2) instead of pivot_root(2).
    pub no_pivot: bool,
    /// Whether the container keeps the caller's session keyring.
    pub no_new_keyring: bool,
    /// Descriptors after standard error that the process gets.
    pub preserve_fds: u32,
    /// Whether the container stays in the caller's cgroups.
    pub no_cgroup: bool,
}

/// A process of ours in a container, and what was odd about the way there.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    /// What deserves a line in the log.
    pub warnings: Vec<String>,
}

/// Makes a container.
///
/// # Errors
/// For whatever stands in the way; then nothing of the container is left.
pub fn create(store: &Store, options: &CreateOptions<'_>, init_image: &[u8]) -> Result<Started> {
    masu_spec::check_container_id(options.id)?;
    let bundle = absolute(options.bundle)?;
    let json = read_config(&bundle)?;
    let config = parse_config(&json)?;
    let rootfs = find_rootfs(&bundle, &config)?;
    let proc = open_proc()?;
    let host = Host::probe(&proc)?;
    let request = request(options.id, &config, &host);
    let directory = NewDirectory::make(store, options.id)?;
    directory.open.write(store::CONFIG, &json)?;
    let mut record = new_record(options.id, &bundle, &rootfs, &config);
    if !options.no_cgroup {
        record.cgroup = Cgroup::record_before(&host.cgroups, &request.as_request())?;
    }
    // Before the cgroup exists: whenever we end, `delete --force` knows where to look.
    directory.open.write_record(&record)?;
    let mut cgroup = match options.no_cgroup {
        true => Cgroup::open(&record.cgroup),
        false => Cgroup::create(&host.cgroups, &request.as_request())?,
    };
    record.cgroup = cgroup.record();
    let join = cgroup.open_join(&[])?;
    let hierarchies: Vec<String> = join.tasks.iter().map(|(name, _)| name.clone()).collect();
    let cgroup_mounts = cgroup_mounts(&config, &cgroup);
    let plan = plan_create(&CreateInput {
        config: &config,
        host: &host,
        id: options.id,
        bundle: &bundle,
        rootfs: &rootfs,
        hierarchies: &hierarchies,
        unified: join.unified.is_some(),
        cgroup_mounts: &cgroup_mounts,
        gate: options.gate,
        no_pivot: options.no_pivot,
        no_new_keyring: options.no_new_keyring,
        preserve_fds: options.preserve_fds,
    })?;
    record.groups_forbidden = plan.forbids_setgroups(&host);
    let fifo = (options.gate == StartGate::Fifo).then(|| directory.open.make_fifo()).transpose()?;
    let held = Held { proc, join, process: None, fifo };
    let descriptors = acquire(&plan, &held)?;
    let Held { proc, .. } = held;
    let spawned = Spawn { plan: &plan, descriptors, proc: &proc, init_image, gate: options.gate };
    let mut child = spawn(spawned, |child| {
        record.pid = child.pid();
        record.start_time =
            start_time(child.pid())?.ok_or(Errno::SRCH).doing(|| "find the process".into())?;
        directory.open.write_record(&record)?;
        options.pid_file.map_or(Ok(()), |path| write_pid_file(path, child.pid()))
    })?;
    child.keep();
    cgroup.keep();
    directory.keep();
    Ok(Started { child, warnings: plan.warnings })
}

/// Lets a created container's process begin.
///
/// # Errors
/// When it is not in the state for it.
pub fn start(store: &Store, id: &str) -> Result<()> {
    let container = store.load(id)?;
    // Two starts at once: the second finds the fifo gone.
    container.directory.lock()?;
    match container.status()? {
        Status::Created => {}
        Status::Running => return Err(state_error("cannot start an already running container")),
        Status::Stopped | Status::Creating => {
            return Err(state_error("cannot start a container that has stopped"));
        }
        Status::Paused => return Err(state_error("cannot start a paused container")),
    }
    let Some(fifo) = container.open_fifo()? else {
        return Err(state_error("cannot start an already running container"));
    };
    rustix::io::write(&fifo, &[0]).doing(|| format!("start container {id:?}"))?;
    rustix::fs::unlinkat(&container.directory.fd, store::FIFO, rustix::fs::AtFlags::empty())
        .doing(|| "remove the start fifo".into())
}

fn state_error(message: &str) -> Error {
    Error::State { message: message.into(), hint: None }
}

/// Writes a pid where an engine waits for it: whole, by a rename.
pub(crate) fn write_pid_file(path: &str, pid: i32) -> Result<()> {
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
    kept: core::cell::Cell<bool>,
}

impl<'a> NewDirectory<'a> {
    fn make(store: &'a Store, id: &'a str) -> Result<Self> {
        Ok(Self { store, id, open: store.make(id)?, kept: false.into() })
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

fn absolute(path: &str) -> Result<String> {
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

fn read_config(bundle: &str) -> Result<Vec<u8>> {
    let path = format!("{bundle}/config.json");
    files::read(&path).map_err(|errno| Error::System {
        action: format!("open {path}"),
        errno,
        hint: (errno == Errno::NOENT)
            .then(|| "masu spec writes one; --bundle names the directory that it is in".into()),
    })
}

fn find_rootfs(bundle: &str, config: &Config<'_>) -> Result<String> {
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
struct CgroupRequest<'a> {
    id: &'a str,
    config: &'a Config<'a>,
    device_paths: Vec<&'a str>,
    privilege: Privilege,
}

impl<'a> CgroupRequest<'a> {
    fn as_request(&'a self) -> Request<'a> {
        Request {
            id: self.id,
            cgroups_path: self.config.linux.cgroups_path.as_deref(),
            resources: &self.config.linux.resources,
            device_paths: &self.device_paths,
            privilege: self.privilege,
        }
    }
}

fn request<'a>(id: &'a str, config: &'a Config<'a>, host: &Host) -> CgroupRequest<'a> {
    let privilege = match (host.uid == 0 && host.is_privileged(), host.in_user_namespace) {
        (true, false) => Privilege::Full,
        _ => Privilege::Rootless,
    };
    let device_paths = config.linux.devices.iter().map(|device| device.path.as_str()).collect();
    CgroupRequest { id, config, device_paths, privilege }
}

fn cgroup_mounts(config: &Config<'_>, cgroup: &Cgroup) -> ContainerMounts {
    if config.mounts.iter().any(|mount| mount.fs_type.as_deref() == Some("cgroup")) {
        container_mounts(cgroup, config.linux.namespaces.contains(NamespaceKind::Cgroup))
    } else {
        ContainerMounts::default()
    }
}

fn new_record(id: &str, bundle: &str, rootfs: &str, config: &Config<'_>) -> Record {
    let linux = &config.linux;
    let namespaces = linux.namespaces.iter().fold(0, |bits, (kind, _)| bits | kind.clone_flag());
    Record {
        version: RECORD_VERSION,
        id: id.into(),
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
        root: (first_id(&linux.uid_mappings), first_id(&linux.gid_mappings)),
        groups_forbidden: false,
        cgroup: masu_cgroup::CgroupRecord::default(),
    }
}
