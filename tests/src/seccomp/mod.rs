//! `linux.seccomp`, by what becomes of a program's system calls.

mod notify;

use serde_json::{Value, json};

use crate::harness::command::Output;
use crate::harness::config::Config;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("seccomp");
    actions(&mut suite);
    whole_profiles(&mut suite);
    strict_profiles(&mut suite);
    conditions(&mut suite);
    privileges(&mut suite);
    notify::add(&mut suite);
    suite
}

/// A filter that allows all but what `rules` say.
fn allow_but(rules: Value) -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": rules})
}

fn run(bench: &mut Bench<'_>, seccomp: Value, script: &str) -> Check<Output> {
    bench.script(script, |config| set(config, seccomp))
}

fn set(config: &mut Config, seccomp: Value) {
    config.set("/linux/seccomp", seccomp);
}

fn actions(suite: &mut Suite) {
    suite.case("SCMP_ACT_ERRNO makes a system call fail with EPERM", |bench| {
        let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]);
        let output = run(bench, allow_but(rules), "mkdir /dev/shm/x")?.exits_with(1)?;
        ensure!(output.stderr.ends_with("Operation not permitted\n"), "{}", output.stderr);
        Ok(())
    });
    suite.case("errnoRet says which errno", |bench| {
        let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]);
        let output = run(bench, allow_but(rules), "mkdir /dev/shm/x")?.exits_with(1)?;
        ensure!(output.stderr.ends_with("No space left on device\n"), "{}", output.stderr);
        Ok(())
    });
    suite.case("SCMP_ACT_KILL_PROCESS and SCMP_ACT_TRAP end the process with SIGSYS", |bench| {
        for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"] {
            let rules = json!([{"names": ["mkdir"], "action": action}]);
            let output = run(bench, allow_but(rules), "mkdir /dev/shm/x; echo $?")?.exits_with(0)?;
            ensure_eq!(output.text(), "159");
        }
        Ok(())
    });
    suite.case("SCMP_ACT_LOG lets a system call through", |bench| {
        let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_LOG"}]);
        run(bench, allow_but(rules), "mkdir /dev/shm/x && test -d /dev/shm/x")?.exits_with(0)?;
        Ok(())
    });
    suite.case("SCMP_ACT_TRACE without a tracer is ENOSYS", |bench| {
        let rules = json!([{"names": ["mkdir"], "action": "SCMP_ACT_TRACE"}]);
        let output = run(bench, allow_but(rules), "mkdir /dev/shm/x")?.exits_with(1)?;
        ensure!(output.stderr.ends_with("Function not implemented\n"), "{}", output.stderr);
        Ok(())
    });
}

fn whole_profiles(suite: &mut Suite) {
    suite.case("defaultAction meets what no rule names", |bench| {
        let seccomp = json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 13,
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": default_names(), "action": "SCMP_ACT_ALLOW"}],
        });
        let output = run(bench, seccomp, "echo in; mkdir /dev/shm/x")?.exits_with(1)?;
        ensure_eq!(output.text(), "in");
        ensure!(output.stderr.ends_with("Permission denied\n"), "{}", output.stderr);
        Ok(())
    });
    suite.case("a filter without action and rules is none", |bench| {
        let output =
            run(bench, json!({"architectures": ["SCMP_ARCH_X86_64"]}), "grep Seccomp: /proc/self/status")?;
        ensure_eq!(output.exits_with(0)?.text(), "Seccomp:\t0");
        Ok(())
    });
    suite.case("an unknown system call is left out of the filter", |bench| {
        let rules =
            json!([{"names": ["no_such_call", "mkdir", "arm_fadvise64_64"], "action": "SCMP_ACT_ERRNO"}]);
        let output = run(bench, allow_but(rules), "mkdir /dev/shm/x")?.exits_with(1)?;
        ensure!(output.stderr.contains("Operation not permitted\n"), "{}", output.stderr);
        if bench.world.runtime.is_masu() {
            let warning =
                "warning: linux.seccomp.syscalls: unknown system calls are left out: no_such_call\n";
            ensure!(output.stderr.contains(warning), "{}", output.stderr);
        }
        Ok(())
    });
}

fn strict_profiles(suite: &mut Suite) {
    suite.masu_only("run.oci.seccomp_fail_unknown_syscall makes an unknown system call an error", |bench| {
        let rules = json!([{"names": ["mkdir", "no_such_call"], "action": "SCMP_ACT_ERRNO"}]);
        let message = "masu: linux.seccomp.syscalls: unknown system calls: no_such_call\n";
        let annotations = json!({"run.oci.seccomp_fail_unknown_syscall": "1"});
        let output = bench.script("true", |config| {
            set(config, allow_but(rules));
            config.set("/annotations", annotations);
        })?;
        output.fails_with(1, &[message])?;
        Ok(())
    });
    suite.case("flags are taken, each by itself and all together", |bench| {
        let known =
            ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
        for flags in known.iter().map(std::slice::from_ref).chain([known.as_slice()]) {
            let mut seccomp = allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]));
            seccomp["flags"] = json!(flags);
            let output = run(bench, seccomp, "grep Seccomp: /proc/self/status")?.exits_with(0)?;
            ensure_eq!(output.text(), "Seccomp:\t2", "{flags:?}");
        }
        Ok(())
    });
}

fn conditions(suite: &mut Suite) {
    suite.case("args compare an argument of the system call", |bench| {
        // The second argument of chmod(2) is the mode.
        let table = [
            (json!([{"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"}]), "777", "755"),
            (json!([{"index": 1, "value": 0o777, "op": "SCMP_CMP_NE"}]), "755", "777"),
            (json!([{"index": 1, "value": 0o600, "op": "SCMP_CMP_GT"}]), "601", "600"),
            (json!([{"index": 1, "value": 0o600, "op": "SCMP_CMP_GE"}]), "600", "577"),
            (json!([{"index": 1, "value": 0o600, "op": "SCMP_CMP_LT"}]), "577", "600"),
            (json!([{"index": 1, "value": 0o600, "op": "SCMP_CMP_LE"}]), "600", "601"),
            (
                json!([{"index": 1, "value": 0o4000, "valueTwo": 0o4000, "op": "SCMP_CMP_MASKED_EQ"}]),
                "4755",
                "2755",
            ),
        ];
        for (args, denied, allowed) in table {
            let rules = json!([{"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO", "args": args}]);
            let script =
                format!("touch /dev/shm/f; chmod {allowed} /dev/shm/f || exit 9; chmod {denied} /dev/shm/f");
            run(bench, allow_but(rules), &script)?.exits_with(1)?;
        }
        Ok(())
    });
    suite.case("several args for one argument are alternatives", |bench| {
        let args = json!([
            {"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"},
            {"index": 1, "value": 0o666, "op": "SCMP_CMP_EQ"},
        ]);
        let rules = json!([{"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "args": args}]);
        let script =
            "touch /dev/shm/f; for m in 777 666 755; do chmod $m /dev/shm/f 2>/dev/null; echo $?; done";
        ensure_eq!(run(bench, allow_but(rules), script)?.exits_with(0)?.text(), "1\n1\n0");
        Ok(())
    });
    suite.case("args for different arguments have to hold together", |bench| {
        let args = json!([
            {"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"},
            {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"},
        ]);
        let rules = json!([{"names": ["chmod"], "action": "SCMP_ACT_ERRNO", "args": args}]);
        run(bench, allow_but(rules), "touch /dev/shm/f; chmod 777 /dev/shm/f")?.exits_with(0)?;
        Ok(())
    });
}

fn privileges(suite: &mut Suite) {
    suite.case("the filter is loaded with and without noNewPrivileges", |bench| {
        for forbidden in [true, false] {
            let script = "grep -E '^(Seccomp|CapEff|CapPrm|NoNewPrivs):' /proc/self/status | tr -d ' \\t'";
            let output = bench.script(script, |config| {
                set(config, allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}])));
                config.set("/process/noNewPrivileges", forbidden);
                let sets = json!(["CAP_KILL"]);
                config.set(
                    "/process/capabilities",
                    json!({"bounding": sets, "effective": sets, "permitted": sets}),
                );
            })?;
            let expected = format!(
                "CapPrm:0000000000000020\nCapEff:0000000000000020\nNoNewPrivs:{}\nSeccomp:2",
                u8::from(forbidden)
            );
            ensure_eq!(output.exits_with(0)?.text(), expected);
        }
        Ok(())
    });
    suite
        .case("the filter is loaded for a user other than root, too", |bench| {
            for forbidden in [true, false] {
                let output = bench.script("grep Seccomp: /proc/self/status; id -u", |config| {
                    set(config, allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}])));
                    config
                        .set("/process/noNewPrivileges", forbidden)
                        .set("/process/user", json!({"uid": 7, "gid": 7}));
                })?;
                ensure_eq!(output.exits_with(0)?.text(), "Seccomp:\t2\n7");
            }
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("exec gets the container's filter", |bench| {
        let mut bundle = bench.bundle()?;
        set(
            &mut bundle.config,
            allow_but(json!([{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}])),
        );
        bundle.config.args(&["sleep", "1000"]);
        let container = bench.container(bundle)?;
        container.run_detached()?;
        let output = container.exec_with(&[], &["mkdir", "/dev/shm/x"]).output()?.exits_with(1)?;
        ensure!(output.stderr.ends_with("No space left on device\n"), "{}", output.stderr);
        Ok(())
    });
}

/// What a static shell needs to start, echo and fork, and runtimes between their filter and the program.
fn default_names() -> Value {
    NAMES.split_ascii_whitespace().collect()
}

const NAMES: &str = "\
    access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3 epoll_create1 \
    epoll_ctl epoll_pwait epoll_wait eventfd2 execve execveat exit exit_group faccessat faccessat2 fchdir \
    fchown fcntl fork fstat fstatfs futex getcwd getdents64 getegid geteuid getgid getgroups getpgrp getpid \
    getppid getrandom getrlimit gettid getuid ioctl kill lseek lstat madvise mmap mprotect munmap nanosleep \
    newfstatat open openat openat2 pipe pipe2 poll ppoll prctl pread64 prlimit64 read readlink readlinkat \
    recvfrom recvmsg rseq rt_sigaction rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield sendmsg \
    sendto set_robust_list set_tid_address setgid setgroups setpgid setresgid setresuid setsid setuid \
    sigaltstack stat statfs statx sysinfo tgkill time umask uname vfork wait4 waitid write writev";
