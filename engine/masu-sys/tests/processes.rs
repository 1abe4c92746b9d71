//! Real calls that need a process of their own: each child ends by exec or exit_group.
//!
//! The test program has threads, so that a child calls only masu-sys and rustix, as `fork` demands.
#![expect(clippy::unwrap_used, reason = "the functions that tests share are tests as well")]

use masu_sys::exec::{PointerBlock, execve, execveat};
use masu_sys::process::{self, CloneArgs, CloneFlags, Forked, exit_group, fork};
use masu_sys::signal::{self, SignalSet};
use masu_sys::{fd, memory, mount, namespace};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags, Result};
use rustix::process::{WaitId, WaitIdOptions, waitid};

const SIGUSR1: i32 = 10;
const SIGCHLD: i32 = 17;
const SIGRTMAX: i32 = 64;

/// Runs `child` in a fork, and returns its exit status. A child that returns an errno exits with it.
fn status_of(flags: CloneFlags, child: impl FnOnce() -> Result<i32>) -> i32 {
    match fork(&CloneArgs { flags, cgroup: None }).unwrap() {
        Forked::Child => exit_group(child().unwrap_or_else(Errno::raw_os_error)),
        Forked::Parent { pidfd, .. } => exit_status(&pidfd),
    }
}

fn exit_status(pidfd: &OwnedFd) -> i32 {
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    status.exit_status().unwrap_or(-1)
}

fn open(path: &str) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

fn memfd(name: &str) -> OwnedFd {
    rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap()
}

#[test]
fn fork_gives_the_parent_a_pidfd_that_can_be_waited_for() {
    for code in [0, 7, 255] {
        assert_eq!(status_of(CloneFlags::empty(), || Ok(code)), code);
    }
}

#[test]
fn fork_makes_the_pidfd_close_on_exec_and_the_child_its_own_memory() {
    let mut number = 1;
    let Forked::Parent { pid, pidfd } = fork(&CloneArgs::default()).unwrap() else {
        number += 1;
        exit_group(number)
    };
    assert_eq!(rustix::io::fcntl_getfd(&pidfd), Ok(FdFlags::CLOEXEC));
    assert_ne!(pid, rustix::process::getpid());
    assert_eq!((exit_status(&pidfd), number), (2, 1));
}

#[test]
fn a_new_pid_namespace_numbers_its_first_process_1() {
    let status = status_of(CloneFlags::NEWPID | CloneFlags::NEWUSER, || {
        Ok(if rustix::process::getpid().as_raw_nonzero().get() == 1 { 0 } else { 99 })
    });
    assert_eq!(status, 0);
}

#[test]
fn a_sibling_has_the_same_parent() {
    // The middle process makes a sibling, which is then our child, and reports its pid by its own existence:
    // its exit is seen here.
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let tester = rustix::process::getpid();
    let middle = status_of(CloneFlags::empty(), || {
        match fork(&CloneArgs { flags: CloneFlags::PARENT, cgroup: None })? {
            Forked::Child => exit_group(if rustix::process::getppid() == Some(tester) { 5 } else { 6 }),
            Forked::Parent { pid, .. } => {
                rustix::io::write(&write, &pid.as_raw_nonzero().get().to_ne_bytes())?;
                Ok(0)
            }
        }
    });
    assert_eq!(middle, 0);
    let mut pid = [0; 4];
    assert_eq!(rustix::io::read(&read, &mut pid), Ok(4));
    let pid = rustix::process::Pid::from_raw(i32::from_ne_bytes(pid)).unwrap();
    // The exit signal is inherited from the middle process, so no __WALL is needed.
    let status = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(5));
}

#[test]
fn flags_that_exclude_each_other_are_einval() {
    assert_eq!(process::unshare(CloneFlags::PARENT), Err(Errno::INVAL));
}

#[test]
fn execve_passes_arguments_and_environment() {
    let cases = [("exit ${#}", 2), ("test \"$2\" = 'b c' || exit 9", 0), ("exit $MASU", 42)];
    for (script, expected) in cases {
        let script = std::ffi::CString::new(script).unwrap();
        let status = status_of(CloneFlags::empty(), || {
            let mut argv = PointerBlock::with_capacity(6)?;
            for argument in [c"sh", c"-c", &script, c"sh", c"a", c"b c"] {
                argv.push(argument)?;
            }
            let mut envp = PointerBlock::with_capacity(1)?;
            envp.push(c"MASU=42")?;
            Err(execve(c"/bin/sh", &argv, &envp))
        });
        assert_eq!(status, expected, "{script:?}");
    }
}

#[test]
fn execveat_runs_a_descriptor() {
    let program = open("/bin/true");
    let status = status_of(CloneFlags::empty(), || {
        let (mut argv, envp) = (PointerBlock::with_capacity(1)?, PointerBlock::with_capacity(0)?);
        argv.push(c"true")?;
        Err(execveat(program.as_fd(), c"", &argv, &envp, AtFlags::EMPTY_PATH))
    });
    assert_eq!(status, 0);
}

#[test]
fn exec_returns_the_errno() {
    let block = PointerBlock::with_capacity(0).unwrap();
    assert_eq!(execve(c"/nonexistent", &block, &block), Errno::NOENT);
    assert_eq!(execve(c"/", &block, &block), Errno::ACCESS);
    let root = open("/");
    assert_eq!(execveat(root.as_fd(), c"nonexistent", &block, &block, AtFlags::empty()), Errno::NOENT);
}

#[test]
fn a_pointer_block_refuses_more_than_its_capacity() {
    let mut block = PointerBlock::with_capacity(2).unwrap();
    assert!(block.is_empty());
    assert_eq!([block.push(c"a"), block.push(c"b"), block.push(c"c")], [Ok(()), Ok(()), Err(Errno::TOOBIG)]);
    assert_eq!(block.len(), 2);
    for capacity in [usize::MAX, usize::MAX / 8, usize::MAX / 16] {
        assert_eq!(PointerBlock::with_capacity(capacity).err(), Some(Errno::NOMEM), "{capacity}");
    }
}

#[test]
fn a_blocked_signal_is_read_from_the_signalfd() {
    let status = status_of(CloneFlags::empty(), || {
        let set = SignalSet::empty().add(SIGUSR1).add(SIGRTMAX);
        let old = signal::block(set)?;
        let fd = signal::signalfd(set)?;
        let pidfd =
            rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())?;
        if old.contains(SIGUSR1) || signal::read_signalfd(fd.as_fd())?.is_some() {
            return Ok(101);
        }
        for number in [SIGUSR1, SIGRTMAX] {
            process::pidfd_send_signal(pidfd.as_fd(), number)?;
            let Some(info) = signal::read_signalfd(fd.as_fd())? else { return Ok(102) };
            let me = rustix::process::getpid().as_raw_nonzero().get();
            if (info.signal, info.pid, info.code) != (number, me, 0) {
                return Ok(103);
            }
        }
        let during = signal::set_mask(old)?;
        Ok(if during.contains(SIGUSR1) && during.contains(SIGRTMAX) { 0 } else { 104 })
    });
    assert_eq!(status, 0);
}

#[test]
fn a_signalfd_tells_how_a_child_ended() {
    let status = status_of(CloneFlags::empty(), || {
        let set = SignalSet::empty().add(SIGCHLD);
        signal::block(set)?;
        let fd = signal::signalfd(set)?;
        let child = match fork(&CloneArgs::default())? {
            Forked::Child => exit_group(33),
            Forked::Parent { pid, .. } => pid.as_raw_nonzero().get(),
        };
        rustix::event::poll(&mut [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)], None)?;
        let Some(info) = signal::read_signalfd(fd.as_fd())? else { return Ok(102) };
        const CLD_EXITED: i32 = 1;
        Ok(if (info.pid, info.code, info.status) == (child, CLD_EXITED, 33) { 0 } else { 103 })
    });
    assert_eq!(status, 0);
}

#[test]
fn dispositions_go_back_to_their_defaults() {
    let sends_usr1_to_itself = |prepare: fn() -> Result<()>| {
        let Forked::Parent { pidfd, .. } = fork(&CloneArgs::default()).unwrap() else {
            let me = rustix::process::getpid();
            let ended =
                prepare().and_then(|()| rustix::process::kill_process(me, rustix::process::Signal::USR1));
            exit_group(ended.map_or_else(Errno::raw_os_error, |()| 0))
        };
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        (status.exit_status(), status.terminating_signal())
    };
    assert_eq!(sends_usr1_to_itself(|| signal::ignore(SIGUSR1)), (Some(0), None));
    let reset = || {
        signal::ignore(SIGUSR1)?;
        signal::reset_dispositions()
    };
    assert_eq!(sends_usr1_to_itself(reset), (None, Some(SIGUSR1)));
}

#[test]
fn signals_that_do_not_exist_cannot_be_sent() {
    let me = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
    let me = me.unwrap();
    for (number, expected) in [(0, Ok(())), (65, Err(Errno::INVAL)), (-1, Err(Errno::INVAL))] {
        assert_eq!(process::pidfd_send_signal(me.as_fd(), number), expected, "{number}");
    }
}

#[test]
fn a_range_becomes_close_on_exec_and_stays_open() {
    let status = status_of(CloneFlags::empty(), || {
        let file = rustix::fs::memfd_create("range", MemfdFlags::empty())?;
        fd::set_cloexec_range(3, u32::MAX)?;
        Ok(if rustix::io::fcntl_getfd(&file)? == FdFlags::CLOEXEC { 0 } else { 101 })
    });
    assert_eq!(status, 0);
    assert_eq!(fd::set_cloexec_range(4, 3), Err(Errno::INVAL));
}

#[test]
fn a_descriptor_is_adopted_once() {
    let passed = rustix::fs::memfd_create("passed", MemfdFlags::empty()).unwrap();
    let number = passed.as_raw_fd();
    // As an exec would: the number is open, and no value owns it.
    std::mem::forget(passed);
    assert!(fd::is_open(number));
    let adopted = fd::inherited(number).unwrap();
    assert_eq!(rustix::io::fcntl_getfd(&adopted), Ok(FdFlags::CLOEXEC));
    assert_eq!(fd::inherited(number).err(), Some(Errno::BUSY));
}

#[test]
fn descriptors_that_are_not_passed_cannot_be_adopted() {
    let own = memfd("own");
    let cases = [
        (0, Errno::INVAL),
        (2, Errno::INVAL),
        (-1, Errno::BADF),
        (i32::MAX, Errno::BADF),
        (own.as_raw_fd(), Errno::BUSY),
    ];
    for (number, expected) in cases {
        assert_eq!(fd::inherited(number).err(), Some(expected), "{number}");
    }
    assert!(!fd::is_open(-1) && !fd::is_open(i32::MAX));
}

#[test]
fn closed_standard_streams_are_opened_and_open_ones_kept() {
    let status = status_of(CloneFlags::empty(), || {
        let null = rustix::fs::stat("/dev/null")?.st_rdev;
        let error = rustix::fs::fstat(fd::stderr())?;
        for number in [1, 0] {
            // SAFETY: close needs that nobody uses the number any more: this child has no other code than this.
            unsafe { rustix::io::close(number) };
        }
        fd::open_standard_streams()?;
        let opened = [rustix::fs::fstat(fd::stdin())?.st_rdev, rustix::fs::fstat(fd::stdout())?.st_rdev];
        let kept = rustix::fs::fstat(fd::stderr())?;
        let flags = rustix::io::fcntl_getfd(fd::stdin())?;
        Ok(if opened == [null; 2] && kept.st_ino == error.st_ino && flags.is_empty() { 0 } else { 101 })
    });
    assert_eq!(status, 0);
}

#[test]
fn a_sealed_memfd_is_mapped_with_its_bytes() {
    let file = memfd("sealed");
    rustix::io::write(&file, b"steps").unwrap();
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
    assert_eq!(memory::map_sealed(file.as_fd()), Ok(b"steps".as_slice()));
}

#[test]
fn an_empty_sealed_memfd_is_an_empty_slice() {
    let file = memfd("empty");
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::SHRINK).unwrap();
    assert_eq!(memory::map_sealed(file.as_fd()), Ok([].as_slice()));
}

#[test]
fn what_could_still_change_is_not_mapped() {
    for seals in
        [SealFlags::empty(), SealFlags::WRITE, SealFlags::SHRINK, SealFlags::SHRINK | SealFlags::GROW]
    {
        let file = memfd("unsealed");
        rustix::io::write(&file, b"steps").unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        assert_eq!(memory::map_sealed(file.as_fd()), Err(Errno::PERM), "{seals:?}");
    }
    assert_eq!(memory::map_sealed(open("/proc/self/exe").as_fd()), Err(Errno::INVAL));
}

#[test]
fn a_namespace_tells_its_type_and_its_owner() {
    let cases = [
        ("mnt", CloneFlags::NEWNS),
        ("pid", CloneFlags::NEWPID),
        ("net", CloneFlags::NEWNET),
        ("user", CloneFlags::NEWUSER),
        ("cgroup", CloneFlags::NEWCGROUP),
        ("time", CloneFlags::NEWTIME),
    ];
    for (name, expected) in cases {
        let namespace = open(&format!("/proc/self/ns/{name}"));
        assert_eq!(namespace::ns_get_nstype(namespace.as_fd()), Ok(expected), "{name}");
    }
    let owner = namespace::ns_get_userns(open("/proc/self/ns/mnt").as_fd()).unwrap();
    assert_eq!(namespace::ns_get_nstype(owner.as_fd()), Ok(CloneFlags::NEWUSER));
    assert_eq!(namespace::ns_get_nstype(open("/").as_fd()), Err(Errno::NOTTY));
}

#[test]
fn setns_checks_the_type_and_unshare_can_be_undone() {
    let status = status_of(CloneFlags::empty(), || {
        let open = |path| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let before = open(c"/proc/thread-self/ns/uts")?;
        process::unshare(CloneFlags::NEWUTS)?;
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| stat.st_ino);
        if inode(&open(c"/proc/thread-self/ns/uts")?)? == inode(&before)? {
            return Ok(101);
        }
        if process::setns(before.as_fd(), CloneFlags::NEWNET) != Err(Errno::INVAL) {
            return Ok(102);
        }
        process::setns(before.as_fd(), CloneFlags::NEWUTS)?;
        Ok(if inode(&open(c"/proc/thread-self/ns/uts")?)? == inode(&before)? { 0 } else { 103 })
    });
    assert_eq!(status, 0);
}

#[test]
fn mount_attributes_are_set_on_a_detached_mount() {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    rustix::mount::fsconfig_create(context.as_fd()).unwrap();
    let tree =
        rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
            .unwrap();
    let attr = mount::MountAttr {
        set: MountAttrFlags::MOUNT_ATTR_RDONLY,
        propagation: Some(mount::Propagation::Private),
        ..mount::MountAttr::default()
    };
    let flags = mount::MountSetattrFlags::EMPTY_PATH | mount::MountSetattrFlags::RECURSIVE;
    assert_eq!(mount::mount_setattr(tree.as_fd(), c"", flags, &attr), Ok(()));
    let made = rustix::fs::mkdirat(&tree, "x", Mode::RWXU);
    assert_eq!(made, Err(Errno::ROFS));
}

#[test]
fn credentials_refuse_the_number_that_means_leave_it() {
    for (real, effective, saved) in [(u32::MAX, 0, 0), (0, u32::MAX, 0), (0, 0, u32::MAX)] {
        assert_eq!(process::setresuid(real, effective, saved), Err(Errno::INVAL));
        assert_eq!(process::setresgid(real, effective, saved), Err(Errno::INVAL));
    }
}

#[test]
fn credentials_change_for_good() {
    let status = status_of(CloneFlags::empty(), || {
        process::setgroups(&[7, 8])?;
        process::setresgid(5, 5, 5)?;
        process::setresuid(6, 6, 6)?;
        let ids = (rustix::process::getuid().as_raw(), rustix::process::getegid().as_raw());
        if ids != (6, 5) || process::setresuid(0, 0, 0) != Err(Errno::PERM) {
            return Ok(101);
        }
        Ok(if process::setgroups(&[]) == Err(Errno::PERM) { 0 } else { 102 })
    });
    assert_eq!(status, 0, "this test needs root");
}

#[test]
fn the_working_directory_is_the_kernels() {
    let mut buffer = [0; 4096];
    let expected = std::env::current_dir().unwrap();
    assert_eq!(process::getcwd(&mut buffer).unwrap().to_str(), Ok(expected.to_str().unwrap()));
    assert_eq!(process::getcwd(&mut [0; 1]), Err(Errno::RANGE));
}

#[test]
fn more_descriptors_than_a_process_may_have_are_an_error() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let status = status_of(CloneFlags::empty(), || {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        masu_sys::socket::send_descriptor(ours.as_fd(), b"x", theirs.as_fd())?;
        // Every number is taken.
        let limit = u64::from(ours.as_raw_fd().cast_unsigned());
        setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..getrlimit(Resource::Nofile) })?;
        let received = masu_sys::socket::receive_descriptors(theirs.as_fd(), &[core::cell::Cell::default()]);
        Ok(i32::from(received != Err(Errno::MFILE)))
    });
    assert_eq!(status, 0);
}
