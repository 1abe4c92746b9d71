//! The memo's walk: what a person does by hand with runc, `unshare` and `chroot`, step by step.

use std::fs;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::{
    Bench, Bundle, Check, Container, Need, Suite, ensure, ensure_eq, fail, host, mountinfo,
};

/// The suite.
pub(crate) fn suite() -> Suite {
    let mut suite = Suite::new("walk");
    suite
        .case("`spec -b` and `run -b` show the os-release of a Debian root", debian_os_release)
        .needs(&[Need::Debian]);
    suite
        .case("`spec -b` and `run -b` list the root directory of a busybox root", busybox_ls)
        .needs(&[Need::Root]);
    suite
        .case("in a Debian root `sh` is PID 1 and ps shows no process of the host", |bench| {
            let bundle = bench.debian_bundle()?;
            only_own_processes(bench, bundle, "ps axo pid,comm; true")
        })
        .needs(&[Need::Debian]);
    suite
        .case("in a busybox root `sh` is PID 1 and ps shows no process of the host", |bench| {
            let bundle = bench.bundle()?;
            only_own_processes(bench, bundle, "ps -o pid,comm; true")
        })
        .needs(&[Need::Root]);
    suite.case("`kill ID KILL` from the host ends the container and `run` returns 137", killed_from_the_host);
    suite
        .case("a procfs mounted by hand inside is not among the host's mounts", |bench| {
            procfs_by_hand(bench, |_| {})
        })
        .needs(&[Need::Root]);
    suite
        .case(
            "with pid, uts and mount namespaces alone a procfs mounted by hand shows only the container",
            |bench| {
                procfs_by_hand(bench, |config| {
                    config
                        .set("/mounts", json!([]))
                        .set("/linux/maskedPaths", json!([]))
                        .set("/linux/readonlyPaths", json!([]));
                })
            },
        )
        .needs(&[Need::Root]);
    suite.case("a sleep has one PID inside and another outside", two_pids).needs(&[Need::Root]);
    suite
        .case("uid 1000 of a user namespace is an ordinary user outside", ordinary_user_outside)
        .needs(&[Need::Ids]);
    suite.case("taskset beyond the last CPU fails", taskset_beyond_the_last).needs(&[Need::Debian]);
    suite
        .case("a cpuset of CPU 0 at create refuses CPU 1 and leaves the host alone", cpuset_at_create)
        .needs(&[Need::Debian, Need::CgroupV1]);
    suite
        .case("a cpuset of CPU 0 by `update` refuses CPU 1 and leaves the host alone", cpuset_by_update)
        .needs(&[Need::Debian, Need::CgroupV1]);
    suite
}

/// A bundle whose config.json is what `spec -b` wrote there, only without a terminal.
fn specified<'b>(bench: &'b Bench<'_>, mut bundle: Bundle, args: &[&str]) -> Check<Container<'b>> {
    bench.call(&["spec", "-b"]).arg(&bundle.dir).succeeds()?;
    let mut config = Config(serde_json::from_slice(&fs::read(bundle.dir.join("config.json"))?)?);
    config.set("/root/path", bundle.config.0["root"]["path"].clone());
    config.set("/linux/cgroupsPath", bundle.config.0["linux"]["cgroupsPath"].clone());
    config.set("/process/terminal", false).args(args);
    bundle.config = config;
    bench.container(bundle)
}

fn debian_os_release(bench: &mut Bench<'_>) -> Check {
    let container = specified(bench, bench.debian_bundle()?, &["cat", "/etc/os-release"])?;
    let output = bench.call(&["run", "-b"]).arg(&container.bundle.dir).arg(&container.id).succeeds()?;
    ensure!(output.stdout.contains("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"), "{output}");
    Ok(())
}

fn busybox_ls(bench: &mut Bench<'_>) -> Check {
    let container = specified(bench, bench.bundle()?, &["ls", "/"])?;
    let output = bench.call(&["run", "-b"]).arg(&container.bundle.dir).arg(&container.id).succeeds()?;
    let names: Vec<_> = output.stdout.split_whitespace().collect();
    ensure_eq!(
        names,
        ["bin", "dev", "etc", "home", "mnt", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var"]
    );
    Ok(())
}

fn only_own_processes(bench: &Bench<'_>, bundle: Bundle, script: &str) -> Check {
    let container = specified(bench, bundle, &["sh", "-c", script])?;
    let output = container.run()?.exits_with(0)?;
    let lines: Vec<Vec<&str>> = output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    ensure_eq!(lines.get(1), Some(&vec!["1", "sh"]), "{output}");
    for line in lines.iter().skip(1) {
        let name = line.last().copied().unwrap_or_default();
        ensure!(["sh", "ps"].contains(&name), "a foreign process {line:?} in {output}");
    }
    Ok(())
}

fn killed_from_the_host(bench: &mut Bench<'_>) -> Check {
    let container = bench.container(bench.bundle()?)?;
    let running = container.run_in_background()?;
    until_running(bench, &container)?;
    container.kill("KILL")?;
    running.wait()?.exits_with(137)?;
    Ok(())
}

/// `state` fails until the container exists.
fn until_running(bench: &Bench<'_>, container: &Container<'_>) -> Check {
    host::until("the container runs", || {
        let output = bench.call(&["state", &container.id]).output()?;
        Ok(output.stdout.contains("\"status\": \"running\""))
    })
}

fn procfs_by_hand(bench: &Bench<'_>, edit: impl FnOnce(&mut Config)) -> Check {
    let mut bundle = bench.bundle()?;
    let config = &mut bundle.config;
    config.set("/linux/namespaces", json!([{"type": "pid"}, {"type": "uts"}, {"type": "mount"}]));
    config.without_mount("/sys").without_mount("/dev/mqueue").capabilities(&["CAP_SYS_ADMIN"]);
    config.shell("mount -t proc by-hand /mnt && cat /mnt/1/comm && echo mounted && sleep 1000; true");
    edit(config);
    let container = bench.container(bundle)?;
    let running = container.run_in_background()?;
    let mut running = running;
    host::until("procfs is mounted", || {
        Ok(running.stdout_so_far()?.contains("mounted") || running.has_ended()?)
    })?;
    let seen = running.stdout_so_far()?;
    if seen != "sh\nmounted\n" {
        return Err(fail(format!("the mount inside failed: {}", running.wait()?)));
    }
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid()?))?;
    ensure_eq!(mountinfo::mount_at(&inside, "/mnt")?.source, "by-hand");
    let outside = mountinfo::host_mounts()?;
    ensure!(!outside.iter().any(|mount| mount.source == "by-hand"), "the host sees the mount: {outside:?}");
    container.kill("KILL")?;
    running.wait()?.exits_with(137)?;
    Ok(())
}

fn two_pids(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.shell("sleep 12345; true");
    })?;
    let inside = std::cell::RefCell::new(String::new());
    host::until("sleep runs", || {
        *inside.borrow_mut() = container
            .exec("cd /proc; for p in [0-9]*; do grep -q ^sleep $p/cmdline && echo $p; done; true")?;
        Ok(inside.borrow().parse::<i32>().is_ok_and(|pid| pid > 1))
    })?;
    let pids = host::processes_of(&container.id)?;
    let outside = pids.iter().find(|pid| {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == "sleep\x0012345\0"
    });
    let outside = *outside.ok_or_else(|| fail(format!("no sleep among {pids:?}")))?;
    let numbers = host::status_field(outside, "NSpid")?;
    let numbers: Vec<_> = numbers.split_whitespace().collect();
    ensure_eq!(numbers.first(), Some(&outside.to_string().as_str()));
    ensure_eq!(numbers.last(), Some(&inside.borrow().as_str()));
    ensure!(outside.to_string() != *inside.borrow(), "the same number on both sides");
    Ok(())
}

fn ordinary_user_outside(bench: &mut Bench<'_>) -> Check {
    let container = bench.sleeper(|config| {
        config.user_namespace().set("/process/user", json!({"uid": 1000, "gid": 1000}));
    })?;
    ensure_eq!(container.exec("id -u; id -g")?, "1000\n1000");
    let pid = container.pid()?;
    ensure_eq!(host::status_field(pid, "Uid")?, "101000\t101000\t101000\t101000");
    ensure_eq!(host::status_field(pid, "Gid")?, "101000\t101000\t101000\t101000");
    Ok(())
}

fn last_cpu() -> Check<u32> {
    let online = host::read_trimmed("/sys/devices/system/cpu/online")?;
    let last = online.rsplit([',', '-']).next().unwrap_or_default();
    Ok(last.parse()?)
}

fn debian_sleeper<'b>(bench: &'b Bench<'_>, edit: impl FnOnce(&mut Config)) -> Check<Container<'b>> {
    ensure!(last_cpu()? > 0, "this case needs two CPUs");
    let mut bundle = bench.debian_bundle()?;
    edit(&mut bundle.config);
    let container = bench.container(bundle)?;
    container.run_detached()?;
    Ok(container)
}

fn taskset_beyond_the_last(bench: &mut Bench<'_>) -> Check {
    let container = debian_sleeper(bench, |_| {})?;
    let beyond = (last_cpu()? + 1).to_string();
    let output = container.exec_with(&[], &["taskset", "-c", &beyond, "true"]).output()?;
    output.fails_with(1, &["taskset: failed to set pid ", "affinity: Invalid argument"])?;
    container.exec_with(&[], &["taskset", "-c", &last_cpu()?.to_string(), "true"]).succeeds()?;
    Ok(())
}

fn refuses_cpu_1(container: &Container<'_>, bench: &Bench<'_>) -> Check {
    let output = container.exec_with(&[], &["taskset", "-c", "1", "true"]).output()?;
    output.fails_with(1, &["taskset: failed to set pid ", "affinity: Invalid argument"])?;
    container.exec_with(&[], &["taskset", "-c", "0", "true"]).succeeds()?;
    bench.program("taskset").args(["-c", "1", "true"]).succeeds()?;
    Ok(())
}

fn cpuset_at_create(bench: &mut Bench<'_>) -> Check {
    let container = debian_sleeper(bench, |config| {
        config.set("/linux/resources/cpu", json!({"cpus": "0"}));
    })?;
    refuses_cpu_1(&container, bench)
}

fn cpuset_by_update(bench: &mut Bench<'_>) -> Check {
    let container = debian_sleeper(bench, |_| {})?;
    container.exec_with(&[], &["taskset", "-c", "1", "true"]).succeeds()?;
    bench.call(&["update", "--cpuset-cpus", "0", &container.id]).succeeds()?;
    refuses_cpu_1(&container, bench)
}
