//! The loop: one step after the other.

use core::ffi::CStr;

use masu_hook::{Hook, Tail};
use masu_program::{Attributes, DeviceSource, EXECUTES, Fd, Frame, Part, Source, Step, Steps, Texts};
use masu_sys::{
    exec::{PointerBlock, execve},
    fd::inherited,
    memory::map_sealed,
    mount::MountSetattrFlags,
    process::{CloneArgs, CloneFlags, Forked, exit_group, fork},
    scheduling::{self, SchedAttr},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::Mode,
    io::Errno,
};

use crate::{
    channel::{Channel, failure_frame},
    device,
    failure::{At, Failure, Result, fail},
    filesystem,
    handed::Handed,
    hook,
    mask::Masks,
    passwd::Home,
    path::{self, Above},
    process::{self, Directory},
    record::Record,
    root,
    terminal::Terminal,
};

/// Exit status of an init that could not do its work: the container never began.
const FAILED: i32 = 1;

/// The number of the step in a failure that comes before the first one.
const NO_STEP: u32 = u32::MAX;

/// Carries out the program that begins in the descriptor of the first argument, and goes on over the channel that is the
/// second.
///
/// Returns only when it failed; the value is the exit status.
pub fn run<'a>(mut arguments: impl Iterator<Item = &'a CStr>) -> i32 {
    let (program, channel, record) = (arguments.nth(1), arguments.next(), arguments.next());
    // First the channel: without it nobody learns what else is wrong.
    let Ok(channel) = descriptor(channel) else { return FAILED };
    let mut init = Init::new(Channel(channel));
    let bytes = match begin(program) {
        Ok(bytes) => bytes,
        Err(failure) => {
            init.report(NO_STEP, &failure);
            return FAILED;
        }
    };
    let record = Record::open(record);
    init.steps = Steps::new(bytes);
    for number in 0.. {
        let Some(step) = init.steps.next() else { break };
        record.begin(number);
        let done = match step {
            Ok(step) => init.step(number, &step),
            Err(_) => Err(fail(Part::Decode, Errno::ILSEQ)),
        };
        if let Err(failure) = done {
            init.report(number, &failure);
            break;
        }
        record.end(number);
    }
    FAILED
}

/// What comes before the first step. Returns the program.
fn begin(program: Option<&CStr>) -> Result<&'static [u8]> {
    let program = descriptor(program).at(Part::Open)?;
    let bytes = map_sealed(program.as_fd()).at(Part::Read)?;
    // Before any step, for a process that never forks; a fork repeats it, for what goes on is its child.
    process::leave_session()?;
    // Files of the container get exactly the permissions that a step says; its own umask comes last.
    rustix::process::umask(Mode::empty());
    Ok(bytes)
}

pub(crate) fn descriptor(argument: Option<&CStr>) -> rustix::io::Result<OwnedFd> {
    let digits = argument.unwrap_or_default().to_bytes();
    let number = digits.iter().fold(0, |number: i32, digit| {
        number.wrapping_mul(10).wrapping_add(i32::from(*digit) - i32::from(b'0'))
    });
    inherited(number)
}

/// What one step leaves for later ones.
struct Init {
    steps: Steps<'static>,
    handed: Handed,
    /// The line to the engine; gone once the container waits for its start, and the engine for nothing.
    channel: Option<Channel>,
    proc: Option<OwnedFd>,
    exec_label: Option<OwnedFd>,
    root: Option<OwnedFd>,
    above: Above,
    masks: Masks,
    directory: Directory,
    home: Home,
    found: Option<&'static CStr>,
    said: Tail,
    starter: Option<Starter>,
    terminal: Terminal,
}

/// `masu start`, which listens at the fifo until the program runs.
struct Starter {
    fifo: OwnedFd,
    /// The first step after the wait for it.
    first: u32,
}

impl Init {
    fn new(channel: Channel) -> Self {
        Self {
            steps: Steps::new(&[]),
            handed: Handed::new(),
            channel: Some(channel),
            proc: None,
            exec_label: None,
            root: None,
            above: Above::default(),
            masks: Masks::default(),
            directory: Directory::default(),
            home: Home::default(),
            found: None,
            said: Tail::default(),
            starter: None,
            terminal: Terminal::default(),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a flat list of steps, a line or two each")]
    fn step(&mut self, number: u32, step: &Step<'static>) -> Result<()> {
        // These see to it themselves.
        if !matches!(step, Step::Mount { .. } | Step::MakeDevice { .. } | Step::MakeSymlink { .. }) {
            self.above.forget();
        }
        match *step {
            Step::AwaitProgram => self.go_on()?,
            Step::HoldProc { proc } => self.proc = Some(self.take(proc)?),
            Step::ReleaseProc => self.proc = None,
            Step::HoldExecLabel { path } => {
                let file = process::open_below_proc(self.proc()?, path.as_c_str())?;
                self.exec_label = Some(file);
            }
            Step::AdjustOomScore { score } => {
                self.write_below_proc(c"self/oom_score_adj", score.as_c_str())?
            }
            Step::JoinNamespaces { fd, namespaces } => process::join(&self.take(fd)?, namespaces)?,
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
            Step::Barrier(barrier) => self.channel()?.wait_at(barrier)?,
            Step::AttachCgroup { tasks } => {
                rustix::io::write(self.take(tasks)?, b"0").at(Part::Write)?;
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
            Step::JoinKeyring { name, permissions } => process::join_keyring(name.as_c_str(), permissions)?,
            Step::SetHostPropagation(propagation) | Step::SetRootPropagation(propagation) => {
                root::set_propagation(propagation)?;
            }
            Step::OpenRoot { source, place } => {
                let tree = self.open_source(&source, Attributes::default())?;
                self.root = Some(root::attach(tree, place.as_c_str())?);
            }
            Step::StackRoot => root::stack(self.root()?)?,
            Step::HideFromRoot { path } => root::hide(path.as_c_str())?,
            Step::OpenRootDirectory { path } => self.root = Some(root::open(path.as_c_str())?),
            Step::Mount { source, target, attributes, recursive, propagation } => {
                let tree = self.open_source(&source, attributes)?;
                let root = root_of(&self.root)?;
                filesystem::mount(root, &mut self.above, &tree, &target, recursive, propagation)?;
            }
            Step::Unmount { path } => filesystem::unmount(self.root()?, path.as_c_str())?,
            Step::MountCopy { source, path, what, attributes, recursive, propagation } => {
                let tree = self.open_source(&source, filesystem::writable(attributes))?;
                let (path, attributes) = (path.as_c_str(), [attributes, recursive]);
                let (root, above) = (root_of(&self.root)?, &mut self.above);
                filesystem::mount_copy(root, above, &tree, path, what, attributes, propagation)?;
            }
            Step::ChangeMount { path, flags, parameters, attributes, recursive, propagation } => {
                let (options, attributes) = ([flags, parameters], [attributes, recursive]);
                filesystem::change(self.root()?, path.as_c_str(), options, attributes, propagation)?;
            }
            Step::MakeDevice { path, kind, mode, number, owner, source } => {
                let node = device::Node { kind, mode, number, owner };
                let path = path.as_c_str();
                match source {
                    DeviceSource::Tree(fd) => {
                        let tree = self.take(fd)?;
                        device::bind(root_of(&self.root)?, &mut self.above, path, tree.as_fd())?;
                    }
                    DeviceSource::Path(host) => {
                        let (root, above) = (root_of(&self.root)?, &mut self.above);
                        device::bind_path(root, above, path, &node, host.as_c_str())?;
                    }
                    DeviceSource::Node => {
                        device::make(root_of(&self.root)?, &mut self.above, path, &node)?;
                    }
                }
            }
            Step::MakeSymlink { target, path, replace } => {
                let (root, above) = (root_of(&self.root)?, &mut self.above);
                device::make_symlink(root, above, target.as_c_str(), path.as_c_str(), replace)?;
            }
            Step::MakeDirectory { path } => {
                path::make_directories(self.root()?, path.as_c_str(), path::IN_ROOT)?;
            }
            Step::MaskPath { path, parameters } => {
                self.masks.cover(root_of(&self.root)?, path.as_c_str(), parameters)?;
            }
            Step::SetFileLabel { path, label } => {
                filesystem::set_label(self.root()?, path.as_c_str(), label.as_c_str())?;
            }
            Step::ProtectPath { path } => filesystem::protect(self.root()?, path.as_c_str())?,
            Step::ProtectMount { path } => filesystem::protect_mount_at(self.root()?, path.as_c_str())?,
            Step::RunHook { .. } => self.run_hook(step)?,
            Step::OpenTerminal { uid, size } => {
                let root = root_of(&self.root)?;
                let channel = self.channel.as_ref().ok_or(fail(Part::Write, Errno::BADF))?;
                self.terminal.open(root, uid, size, channel)?;
            }
            Step::MountConsole => {
                self.terminal.mount_console(root_of(&self.root)?)?;
            }
            Step::TakeTerminal => self.terminal.take()?,
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
            Step::SetCpuAffinity { cpus } => {
                // As many as the largest kernel has; filled here, where a constant would be a kilobyte of the file.
                let all = [0xff; 1024];
                scheduling::sched_setaffinity(cpus.unwrap_or(&all)).at(Part::SetAffinity)?;
            }
            Step::SetScheduler { policy, flags, nice, priority, times: (runtime, deadline, period) } => {
                let attr = SchedAttr { policy, flags, nice, priority, runtime, deadline, period };
                scheduling::sched_setattr(&attr).at(Part::SetScheduler)?;
            }
            Step::SetIoPriority { value } => scheduling::ioprio_set(value).at(Part::SetIoPriority)?,
            Step::SetMemoryPolicy { mode, nodes } => {
                scheduling::set_mempolicy(mode, nodes).at(Part::SetMemoryPolicy)?;
            }
            Step::SetPersonality { domain } => scheduling::personality(domain).at(Part::SetPersonality)?,
            Step::SetUmask { mask } => {
                rustix::process::umask(Mode::from_bits_truncate(mask));
            }
            Step::ChangeDirectory { path, access } => self.directory.change(path.as_c_str(), access)?,
            Step::LimitCapabilities { bounding } => process::limit_capabilities(bounding)?,
            Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
                process::set_capabilities([effective, permitted, inheritable], ambient)?;
            }
            Step::SetExecLabel { label } => {
                let file = self.exec_label.take().ok_or(fail(Part::Open, Errno::BADF))?;
                process::write(&file, label.as_c_str().to_bytes())?;
            }
            Step::ForbidNewPrivileges => {
                rustix::thread::set_no_new_privs(true).at(Part::SetNoNewPrivileges)?
            }
            Step::FindHome { uid } => self.home.find(uid)?,
            Step::FindProgram { programs } => self.found = Some(process::find_program(programs)?),
            Step::AwaitStart { fifo, reporting } => {
                let fifo = self.take(fifo)?;
                self.channel = None;
                process::await_start(&fifo)?;
                self.starter = reporting.then_some(Starter { fifo, first: number + 1 });
            }
            Step::CloseDescriptors { preserve } => process::close_descriptors(preserve)?,
            Step::ResetSignals => process::reset_signals()?,
            Step::LoadFilter { program, flags } => {
                masu_sys::seccomp::set_filter(program, flags).at(Part::LoadFilter)?;
            }
            Step::LoadFilterWithListener { program, flags } => {
                let listener = masu_sys::seccomp::set_filter_with_listener(program, flags);
                let listener = listener.at(Part::LoadFilter)?;
                self.channel()?.send_descriptor(Frame::Listener, listener.as_fd())?;
            }
            Step::DropCapabilities { effective, permitted, inheritable } => {
                process::drop_capabilities([effective, permitted, inheritable])?;
            }
            Step::Execute { arguments, environment } => self.execute(arguments, environment)?,
        }
        Ok(())
    }

    /// Tells whoever waits for us that a step failed: the engine, or `start` once it has let us go on.
    fn report(&self, number: u32, failure: &Failure) {
        match &self.starter {
            Some(Starter { fifo, first }) => {
                let frame = failure_frame(number.wrapping_sub(*first), failure, &self.said);
                // ignored: a `start` that is gone learns nothing, and the process ends in any case.
                let _ = rustix::io::write(fifo, &frame.encode());
            }
            None => {
                if let Some(channel) = &self.channel {
                    channel.send_failure(failure_frame(number, failure, &self.said));
                }
            }
        }
    }

    fn run_hook(&mut self, step: &Step<'_>) -> Result<()> {
        let Step::RunHook { path, arguments, environment, with_home, outputs, timeout, state, state_end } =
            *step
        else {
            return Ok(());
        };
        let [output, error] = outputs;
        let take = |output: Option<Fd>| output.map(|fd| self.take(fd)).transpose();
        let (output, error) = (take(output)?, take(error)?);
        let home = self.home.variable().filter(|_| with_home);
        let environment = block(environment, home)?;
        let hook = Hook {
            program: path.as_c_str(),
            arguments: &block(arguments, None)?,
            environment: &environment,
            directory: self.root.as_ref().map(AsFd::as_fd),
            outputs: [output.as_ref().map(AsFd::as_fd), error.as_ref().map(AsFd::as_fd)],
            input: [state.as_c_str().to_bytes(), &[], state_end.as_c_str().to_bytes()],
            timeout,
            // An engine that dies is not there to kill us, or to hear how the hook ends; until `start` there is one.
            interrupt: self.channel.as_ref().map(|channel| channel.0.as_fd()),
        };
        hook::run(&hook, &mut self.said)
    }

    fn channel(&self) -> Result<&Channel> {
        self.channel.as_ref().ok_or(fail(Part::Write, Errno::BADF))
    }

    /// The rest of the program, in the place of what has been done.
    fn go_on(&mut self) -> Result<()> {
        let program = self.take(Fd::PROGRAM)?;
        self.steps = Steps::new(map_sealed(program.as_fd()).at(Part::Read)?);
        Ok(())
    }

    /// A descriptor of the host; it is closed when the step is done.
    fn take(&self, fd: Fd) -> Result<OwnedFd> {
        self.handed.take(fd, self.channel.as_ref())
    }

    /// The detached tree that a mount is made of, with these attributes.
    fn open_source(&self, source: &Source<'_>, attributes: Attributes) -> Result<OwnedFd> {
        match *source {
            Source::Filesystem { kind, flags, parameters } => {
                filesystem::make(kind.as_c_str(), flags, parameters, attributes)
            }
            Source::FilesystemOr { kind, flags, parameters, instead } => {
                filesystem::make_or_clone(kind.as_c_str(), flags, parameters, instead.as_c_str(), attributes)
            }
            Source::Tree { fd } => {
                let tree = self.take(fd)?;
                filesystem::set_attributes(tree.as_fd(), attributes, MountSetattrFlags::EMPTY_PATH)?;
                Ok(tree)
            }
            Source::Path { path, recursive } => {
                filesystem::clone_path(path.as_c_str(), recursive, attributes)
            }
        }
    }

    fn root(&self) -> Result<BorrowedFd<'_>> {
        root_of(&self.root)
    }

    fn write_below_proc(&self, path: &CStr, value: &CStr) -> Result<()> {
        process::write(&process::open_below_proc(self.proc()?, path)?, value.to_bytes())
    }

    fn proc(&self) -> Result<BorrowedFd<'_>> {
        self.proc.as_ref().map(AsFd::as_fd).ok_or(fail(Part::Open, Errno::BADF))
    }

    /// Goes on in a child of the engine; the process so far ends here.
    fn fork(&self, flags: CloneFlags, cgroup: Option<Fd>) -> Result<()> {
        let cgroup = cgroup.map(|fd| self.take(fd)).transpose()?;
        let arguments =
            CloneArgs { flags: flags | CloneFlags::PARENT, cgroup: cgroup.as_ref().map(AsFd::as_fd) };
        match fork(&arguments).at(Part::Fork)? {
            Forked::Child => process::leave_session(),
            Forked::Parent { pid, .. } => {
                let sent = self.channel()?.send_forked(pid.as_raw_nonzero().get());
                exit_group(if sent.is_ok() { 0 } else { FAILED })
            }
        }
    }

    fn execute(&self, arguments: Texts<'_>, environment: Texts<'_>) -> Result<()> {
        let program = self.found.ok_or(fail(Part::Execute, Errno::NOENT))?;
        let argv = block(arguments, None)?;
        let envp = block(environment, self.home.variable())?;
        if let Some(Starter { fifo, .. }) = &self.starter {
            // ignored: a `start` that is gone learns nothing; the program runs all the same.
            let _ = rustix::io::write(fifo, &[EXECUTES]);
        }
        Err(fail(Part::Execute, execve(program, &argv, &envp)))
    }
}

/// The root, while other parts of [`Init`] change.
fn root_of(root: &Option<OwnedFd>) -> Result<BorrowedFd<'_>> {
    root.as_ref().map(AsFd::as_fd).ok_or(fail(Part::Open, Errno::BADF))
}

/// The texts, and perhaps one more, as execve(2) takes them.
fn block<'a>(texts: Texts<'a>, more: Option<&'a CStr>) -> Result<PointerBlock<'a>> {
    let mut block = PointerBlock::with_capacity(texts.len() + 1).at(Part::Allocate)?;
    for text in texts.chain(more) {
        block.push(text).at(Part::Allocate)?;
    }
    Ok(block)
}
