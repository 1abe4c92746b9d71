//! The loop: one step after the other.

use core::ffi::CStr;

use masu_program::{Fd, Part, Step, Steps, Texts};
use masu_sys::{
    exec::PointerBlock,
    fd::inherited,
    memory::map_sealed,
    process::{CloneArgs, CloneFlags, Forked, exit_group, fork},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::Mode,
    io::Errno,
};

use crate::{
    channel::Channel,
    device,
    failure::{At, Result, fail},
    filesystem,
    mask::Masks,
    passwd::Home,
    path,
    process::{self, Directory},
    root,
};

/// Exit status of an init that could not do its work: the container never began.
const FAILED: i32 = 1;

/// Carries out the program whose descriptor is the first argument, over the channel that is the second.
///
/// Returns only when it failed; the value is the exit status.
pub fn run<'a>(mut arguments: impl Iterator<Item = &'a CStr>) -> i32 {
    let (Some(program), Some(channel)) = (descriptor(arguments.nth(1)), descriptor(arguments.next())) else {
        return FAILED;
    };
    let Ok(bytes) = map_sealed(program.as_fd()) else { return FAILED };
    drop(program);
    // Before any step, for a process that never forks; a fork repeats it, for what goes on is its child.
    if process::leave_session().is_err() {
        return FAILED;
    }
    // Files of the container get exactly the permissions that a step says; its own umask comes last.
    rustix::process::umask(Mode::empty());
    let mut init = Init::new(Channel(channel));
    for (number, step) in (0..).zip(Steps::new(bytes)) {
        let done = match step {
            Ok(step) => init.step(&step),
            Err(_) => Err(fail(Part::Decode, Errno::ILSEQ)),
        };
        if let Err(failure) = done {
            init.channel.send_failure(number, &failure);
            break;
        }
    }
    FAILED
}

fn descriptor(argument: Option<&CStr>) -> Option<OwnedFd> {
    inherited(argument?.to_str().ok()?.parse().ok()?).ok()
}

/// What one step leaves for later ones.
struct Init<'a> {
    channel: Channel,
    proc: Option<OwnedFd>,
    root: Option<OwnedFd>,
    masks: Masks,
    directory: Directory,
    home: Home,
    found: Option<&'a CStr>,
}

impl<'a> Init<'a> {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            proc: None,
            root: None,
            masks: Masks::default(),
            directory: Directory::default(),
            home: Home::default(),
            found: None,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a flat list of steps, a line or two each")]
    fn step(&mut self, step: &Step<'a>) -> Result<()> {
        match *step {
            Step::HoldProc { proc } => self.proc = Some(adopt(proc)?),
            Step::ReleaseProc => self.proc = None,
            Step::AdjustOomScore { score } => {
                self.write_below_proc(c"self/oom_score_adj", score.as_c_str())?
            }
            Step::JoinNamespaces { fd, namespaces } => process::join(&adopt(fd)?, namespaces)?,
            Step::Unshare { namespaces } => {
                masu_sys::process::unshare(CloneFlags::from_bits_truncate(namespaces.bits()))
                    .at(Part::Unshare)?;
            }
            Step::SetTimeOffsets { offsets } => {
                self.write_below_proc(c"self/timens_offsets", offsets.as_c_str())?;
            }
            Step::Fork { namespaces, cgroup } => {
                self.fork(CloneFlags::from_bits_truncate(namespaces.bits()), cgroup)?;
            }
            Step::Barrier(barrier) => self.channel.wait_at(barrier)?,
            Step::AttachCgroup { tasks } => {
                rustix::io::write(adopt(tasks)?, b"0").at(Part::Write)?;
            }
            Step::ChangeIdentity(identity) => process::change_identity(&identity)?,
            Step::HideFromTracers => process::hide_from_tracers()?,
            Step::RaiseLoopback => masu_sys::network::raise_loopback().at(Part::RaiseLoopback)?,
            Step::SetHostname { name } => {
                rustix::system::sethostname(name.as_c_str().to_bytes()).at(Part::SetHostname)?;
            }
            Step::SetDomainname { name } => {
                rustix::system::setdomainname(name.as_c_str().to_bytes()).at(Part::SetDomainname)?;
            }
            Step::WriteSysctl { path, value } => self.write_below_proc(path.as_c_str(), value.as_c_str())?,
            Step::JoinKeyring { name } => process::join_keyring(name.as_c_str())?,
            Step::SetHostPropagation(propagation) | Step::SetRootPropagation(propagation) => {
                root::set_propagation(propagation)?;
            }
            Step::OpenRoot { source } => self.root = Some(root::attach(&source)?),
            Step::OpenRootDirectory { path } => self.root = Some(root::open(path.as_c_str())?),
            Step::Mount { source, target, attributes, recursive, propagation } => {
                filesystem::mount(self.root()?, &source, &target, [attributes, recursive], propagation)?;
            }
            Step::MakeDevice { path, kind, mode, number, owner, source } => {
                let node = device::Node { kind, mode, number, owner };
                device::make(self.root()?, path.as_c_str(), &node, source)?;
            }
            Step::MakeSymlink { target, path, replace } => {
                device::make_symlink(self.root()?, target.as_c_str(), path.as_c_str(), replace)?;
            }
            Step::MakeDirectory { path } => {
                path::make_directories(self.root()?, path.as_c_str(), path::IN_ROOT)?;
            }
            Step::MaskPath { path } => {
                let root = self.root.as_ref().ok_or(fail(Part::Open, Errno::BADF))?;
                self.masks.cover(root.as_fd(), path.as_c_str())?;
            }
            Step::ProtectPath { path } => filesystem::protect(self.root()?, path.as_c_str())?,
            Step::ProtectMount { path } => filesystem::protect_mount_at(self.root()?, path.as_c_str())?,
            Step::EnterRoot(entry) => {
                root::enter(self.root()?, entry)?;
                self.root = None;
                self.masks = Masks::default();
            }
            Step::RaiseResourceLimit { resource, soft, hard } => {
                process::raise_resource_limit(resource, soft, hard)?;
            }
            Step::SetResourceLimit { resource, soft, hard } => {
                process::set_resource_limit(resource, soft, hard)?
            }
            Step::SetUmask { mask } => {
                rustix::process::umask(Mode::from_bits_truncate(mask));
            }
            Step::ChangeDirectory { path, access } => self.directory.change(path.as_c_str(), access)?,
            Step::LimitCapabilities { bounding } => process::limit_capabilities(bounding)?,
            Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
                process::set_capabilities([effective, permitted, inheritable], ambient)?;
            }
            Step::ForbidNewPrivileges => {
                rustix::thread::set_no_new_privs(true).at(Part::SetNoNewPrivileges)?
            }
            Step::FindHome { uid } => self.home.find(uid)?,
            Step::FindProgram { programs } => self.found = Some(process::find_program(programs)?),
            Step::AwaitStart { fifo } => process::await_start(&adopt(fifo)?)?,
            Step::Execute { preserve, arguments, environment } => {
                self.execute(preserve, arguments, environment)?;
            }
        }
        Ok(())
    }

    fn root(&self) -> Result<BorrowedFd<'_>> {
        self.root.as_ref().map(AsFd::as_fd).ok_or(fail(Part::Open, Errno::BADF))
    }

    fn write_below_proc(&self, path: &CStr, value: &CStr) -> Result<()> {
        let proc = self.proc.as_ref().ok_or(fail(Part::Open, Errno::BADF))?;
        process::write_below_proc(proc.as_fd(), path, value.to_bytes())
    }

    /// Goes on in a child of the engine; the process so far ends here.
    fn fork(&self, flags: CloneFlags, cgroup: Option<Fd>) -> Result<()> {
        let cgroup = cgroup.map(adopt).transpose()?;
        let arguments =
            CloneArgs { flags: flags | CloneFlags::PARENT, cgroup: cgroup.as_ref().map(AsFd::as_fd) };
        match fork(&arguments).at(Part::Fork)? {
            Forked::Child => process::leave_session(),
            Forked::Parent { pid, .. } => {
                let sent = self.channel.send_forked(pid.as_raw_nonzero().get());
                exit_group(if sent.is_ok() { 0 } else { FAILED })
            }
        }
    }

    fn execute(&self, preserve: u32, arguments: Texts<'_>, environment: Texts<'_>) -> Result<()> {
        let program = self.found.ok_or(fail(Part::Execute, Errno::NOENT))?;
        let mut argv = PointerBlock::with_capacity(arguments.len()).at(Part::Allocate)?;
        for argument in arguments {
            argv.push(argument).at(Part::Allocate)?;
        }
        let mut envp = PointerBlock::with_capacity(environment.len() + 1).at(Part::Allocate)?;
        for variable in environment.chain(self.home.variable()) {
            envp.push(variable).at(Part::Allocate)?;
        }
        process::execute(program, &argv, &envp, preserve)
    }
}

/// Takes the descriptor that the engine left under this number; it is closed when the step is done.
fn adopt(fd: Fd) -> Result<OwnedFd> {
    inherited(fd.0).at(Part::Open)
}
