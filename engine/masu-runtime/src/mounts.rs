//! Mounts that come into a container, and go, while it is there.

use alloc::vec::Vec;

use masu_cgroup::Join;
use masu_program::Namespaces;
use masu_spec::{Config, Mount, Status};
use rustix::fd::OwnedFd;

use crate::{
    acquire::{Held, acquire},
    create::cgroup_mounts,
    error::{Error, Result},
    host::{Host, open_proc},
    id_programs::IdPrograms,
    plan::{CreateInput, ExecInput, Plan, StartGate, plan_mount, plan_unmount},
    spawn::{Engine, Spawn, begin},
    state::{Container, not_running},
    trace::Trace,
};

/// Makes every mount of `config.mounts` in a container; `config` is its configuration with these mounts instead of its own.
/// All of them or none: where one fails, those before it are taken away again.
///
/// # Errors
/// When the container does not run, has no mount namespace, or a mount cannot be made.
pub fn add_mounts(container: &Container, config: &Config<'_>, init_image: &[u8]) -> Result<()> {
    let inside = Inside::enter(container, init_image)?;
    let host = &inside.host;
    let cgroup_mounts = cgroup_mounts(config, &container.cgroup(), host)?;
    let input = CreateInput {
        config,
        host,
        id: &container.id,
        bundle: &container.bundle,
        rootfs: &container.rootfs,
        hierarchies: &[],
        unified: false,
        cgroup_mounts: &cgroup_mounts,
        gate: StartGate::Open,
        no_pivot: false,
        host_views: &[],
        no_new_keyring: true,
        preserve_fds: 0,
    };
    let join = inside.join(config);
    let plans =
        config.mounts.iter().enumerate().map(|(index, mount)| plan_mount(&input, &join, index, mount));
    // Whatever can be known to be wrong is known before anything is made.
    let prepared = plans.map(|plan| inside.acquire(plan?)).collect::<Result<Vec<_>>>()?;
    for (index, (plan, descriptors)) in prepared.into_iter().enumerate() {
        if let Err(error) = inside.carry_out(&plan, descriptors) {
            for (index, mount) in config.mounts.iter().enumerate().take(index).rev() {
                // ignored: the error that led here is the one to report.
                let _ = inside.unmount(&join, index, mount);
            }
            return Err(error);
        }
    }
    Ok(())
}

/// Takes the mount at the destination of each of `config.mounts` away, the last one first.
///
/// # Errors
/// As for [`add_mounts`]; the mounts behind the one that fails are gone.
pub fn remove_mounts(container: &Container, config: &Config<'_>, init_image: &[u8]) -> Result<()> {
    let inside = Inside::enter(container, init_image)?;
    let join = inside.join(config);
    for (index, mount) in config.mounts.iter().enumerate().rev() {
        inside.unmount(&join, index, mount)?;
    }
    Ok(())
}

/// The way into a container.
struct Inside<'a> {
    container: &'a Container,
    init_image: &'a [u8],
    process: OwnedFd,
    proc: OwnedFd,
    host: Host,
}

impl<'a> Inside<'a> {
    fn enter(container: &'a Container, init_image: &'a [u8]) -> Result<Self> {
        if matches!(container.status()?, Status::Stopped | Status::Creating) {
            return Err(not_running());
        }
        if !container.namespaces().contains(Namespaces::MOUNT) {
            return Err(Error::Unsupported {
                field: "linux.namespaces".into(),
                reason: "the container has no mount namespace: its mounts would be the host's".into(),
                hint: None,
            });
        }
        let process = container.open_process()?.ok_or_else(not_running)?;
        let proc = open_proc()?;
        let host = Host::probe(&proc)?;
        Ok(Self { container, init_image, process, proc, host })
    }

    fn join<'b>(&'b self, config: &'b Config<'b>) -> ExecInput<'b> {
        ExecInput {
            process: &config.process,
            host: &self.host,
            namespaces: self.container.namespaces(),
            root: self.container.record.root,
            groups_forbidden: self.container.record.groups_forbidden,
            rootfs: &self.container.rootfs,
            hierarchies: &[],
            unified: false,
            keyring: None,
            seccomp: None,
            only_known_calls: false,
            keep_groups: false,
            personality: None,
            memory_policy: None,
            preserve_fds: 0,
        }
    }

    fn acquire(&self, plan: Plan) -> Result<(Plan, Vec<OwnedFd>)> {
        let again = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
        let (Ok(proc), Ok(process)) = (again(&self.proc), again(&self.process)) else {
            return Err(not_running());
        };
        let mut held = Held { proc, join: Join::default(), process: Some(process), fifo: None };
        let descriptors = acquire(&plan, &mut held)?;
        Ok((plan, descriptors))
    }

    fn unmount(&self, join: &ExecInput<'_>, index: usize, mount: &Mount<'_>) -> Result<()> {
        let (plan, descriptors) = self.acquire(plan_unmount(join, index, mount)?)?;
        self.carry_out(&plan, descriptors)
    }

    /// Runs a program of steps that ends with the barrier `Ready`; its process is gone afterwards.
    fn carry_out(&self, plan: &Plan, descriptors: Vec<OwnedFd>) -> Result<()> {
        let (id_programs, assembled) = (&IdPrograms::default(), &|_| Ok(()));
        let (proc, gate, trace) = (&self.proc, StartGate::Open, &Trace::default());
        let terminal = None;
        // No program is executed, and so none filtered.
        let listener = &|_, _| Ok(());
        let spawned =
            Spawn { plan, descriptors, proc, id_programs, gate, assembled, terminal, listener, trace };
        let begun = begin(plan, None, self.init_image, trace)?;
        // Dropped, and so reaped.
        Engine::start(begun, spawned, None)?.attend(|_| Ok(())).map(drop)
    }
}
