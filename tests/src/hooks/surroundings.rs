//! Where hooks run: namespaces, directory, environment, arguments, descriptors.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{KINDS, hook, observe, shared, shell, text, written};
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq, host};

/// Kinds that run in the runtime's namespaces.
const OF_THE_RUNTIME: [&str; 4] = ["prestart", "createRuntime", "poststart", "poststop"];

/// Kinds that run in the container's.
const OF_THE_CONTAINER: [&str; 2] = ["createContainer", "startContainer"];

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    namespaces(suite);
    files(suite);
    mounts(suite);
    environments(suite);
    arguments(suite);
    process(suite);
    user_namespace(suite);
    odd_roots(suite);
}

const NAMESPACES: &str = "for kind in mnt net pid uts ipc; do readlink /proc/self/ns/$kind; done > OUT";

fn namespaces(suite: &mut Suite) {
    for kind in OF_THE_RUNTIME {
        suite.case(format!("a {kind} hook runs in the namespaces of the runtime"), move |bench| {
            let seen = observe(bench, kind, NAMESPACES, |_| {})?;
            ensure_eq!(seen, own_namespaces()?);
            Ok(())
        });
    }
    for kind in OF_THE_CONTAINER {
        suite.case(format!("a {kind} hook runs in the namespaces of the container"), move |bench| {
            let mut bundle = bench.bundle()?;
            let out = shared(bench, &mut bundle)?.join("out");
            hook(&mut bundle, kind, shell(&NAMESPACES.replace("OUT", &text(&out))));
            let container = bench.container(bundle)?;
            container.run_detached()?;
            let pid = container.pid_of_program()?;
            let kinds = ["mnt", "net", "pid", "uts", "ipc"];
            let expected = kinds.map(|kind| host::namespace_of(pid, kind)).into_iter();
            ensure_eq!(written(&out)?, expected.collect::<Check<Vec<_>>>()?.join("\n"));
            Ok(())
        });
    }
    suite
        .case("a createRuntime hook changes the container's network namespace", |bench| {
            let mut bundle = bench.bundle()?;
            let script = r#"pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/')
            nsenter --net=/proc/$pid/ns/net sh -c 'echo 42 > /proc/sys/net/ipv4/ip_default_ttl'"#;
            hook(&mut bundle, "createRuntime", shell(script));
            bundle.config.shell("cat /proc/sys/net/ipv4/ip_default_ttl");
            ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "42");
            ensure!(
                fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl")? != "42\n",
                "the host's has changed"
            );
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn own_namespaces() -> Check<String> {
    let kinds = ["mnt", "net", "pid", "uts", "ipc"];
    let links = kinds.map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")));
    let links = links.into_iter().map(|link| Ok(text(&link?))).collect::<Check<Vec<_>>>()?;
    Ok(links.join("\n"))
}

fn files(suite: &mut Suite) {
    for kind in ["prestart", "createRuntime"] {
        suite.case(format!("a {kind} hook starts in the bundle"), move |bench| {
            let mut bundle = bench.bundle()?;
            hook(&mut bundle, kind, shell("pwd > where"));
            bundle.config.args(&["true"]);
            let container = bench.container(bundle)?;
            container.run()?.exits_with(0)?;
            ensure_eq!(written(&container.bundle.dir.join("where"))?, text(&container.bundle.dir));
            Ok(())
        });
    }
    suite.case("a createContainer hook starts in the root, with the host's files in view", |bench| {
        let mut bundle = bench.bundle()?;
        let host_file = bench.path("of-the-host");
        fs::write(&host_file, "from the host")?;
        hook(
            &mut bundle,
            "createContainer",
            shell(&format!("cp {} copied; stat -c %a copied >> copied", text(&host_file))),
        );
        bundle.config.shell("cat /copied");
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "from the host644");
        Ok(())
    });
    suite.case(
        "what a createContainer hook mounts below a read-only root is there for the program",
        |bench| {
            let mut bundle = bench.bundle()?;
            let library = bench.path("library");
            fs::write(&library, "a driver")?;
            let script = format!("touch opt/driver && mount --bind {} opt/driver", text(&library));
            hook(&mut bundle, "createContainer", shell(&script));
            bundle
                .config
                .set("/root/readonly", true)
                .shell("cat /opt/driver; echo x > /opt/y || echo read-only");
            let output = bench.container(bundle)?.run()?.exits_with(0)?;
            ensure_eq!(output.text(), "a driverread-only");
            Ok(())
        },
    );
}

fn mounts(suite: &mut Suite) {
    suite
        .case("a createRuntime hook that joins the mount namespace mounts at the path of the root", |bench| {
            let mut bundle = bench.bundle()?;
            let library = bench.path("library");
            fs::write(&library, "a driver")?;
            let point = bundle.inside("opt/driver");
            fs::write(&point, "")?;
            let script = format!(
                r#"pid=$(sed 's/.*"pid":\([0-9]*\).*/\1/'); nsenter -m -t $pid mount --bind {} {}"#,
                text(&library),
                text(&point)
            );
            hook(&mut bundle, "createRuntime", shell(&script));
            bundle.config.shell("cat /opt/driver");
            ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "a driver");
            ensure_eq!(fs::read_to_string(&point)?, "", "the host's file is covered");
            Ok(())
        })
        .needs(&[Need::Root]);
}

/// The variables that the shell itself was given; it opens the file, since what it executes gets more.
const ENVIRONMENT: &str = "exec 3< /proc/self/environ; /bin/cat <&3 > OUT; true";

fn environments(suite: &mut Suite) {
    suite.case("a hook has its own environment and no other", |bench| {
        for kind in KINDS {
            let script = ENVIRONMENT;
            let seen = observe(bench, kind, script, |bundle| {
                let place = format!("/hooks/{kind}/0/env");
                bundle.config.set(&place, json!(["PATH=/usr/bin:/bin", "B=two words", "C="]));
            })?;
            ensure_eq!(seen, "PATH=/usr/bin:/bin\0B=two words\0C=\0", "{kind}");
        }
        Ok(())
    });
    suite.case("a startContainer hook without environment has that of the process", |bench| {
        let seen = observe(bench, "startContainer", ENVIRONMENT, |bundle| {
            bundle.config.remove("/hooks/startContainer/0", "env");
            bundle.config.set("/process/env", json!(["PATH=/bin", "ONE=two"]));
        })?;
        ensure!(seen.contains("ONE=two") && seen.contains("HOME=/root"), "{seen}");
        Ok(())
    });
    suite.case("a createContainer hook without environment has none", |bench| {
        let seen = observe(bench, "createContainer", ENVIRONMENT, |bundle| {
            bundle.config.remove("/hooks/createContainer/0", "env");
        })?;
        ensure_eq!(seen, "");
        Ok(())
    });
    suite.case("a hook of the runtime without environment has the runtime's", |bench| {
        for kind in OF_THE_RUNTIME {
            let seen = observe(bench, kind, ENVIRONMENT, |bundle| {
                bundle.config.remove(&format!("/hooks/{kind}/0"), "env");
            })?;
            ensure!(seen.contains(&format!("MASU_TEST_CASE={}", bench.tag)), "{kind}: {seen}");
        }
        Ok(())
    });
    suite.case("a hook of the runtime with an empty environment has none", |bench| {
        for kind in OF_THE_RUNTIME {
            let seen = observe(bench, kind, ENVIRONMENT, |bundle| {
                bundle.config.set(&format!("/hooks/{kind}/0/env"), json!([]));
            })?;
            ensure_eq!(seen, "", "{kind}");
        }
        Ok(())
    });
}

fn arguments(suite: &mut Suite) {
    suite.case("a hook has its arguments as they are written", |bench| {
        for kind in KINDS {
            // busybox goes by its name.
            let name = if kind == "startContainer" { "sh" } else { "no name of a file" };
            let script = "exec 3< /proc/self/cmdline; /bin/cat <&3 > OUT; true";
            let seen = observe(bench, kind, script, |bundle| {
                let arguments = format!("/hooks/{kind}/0/args");
                let own = bundle.config.0.pointer(&format!("{arguments}/2")).cloned().unwrap_or_default();
                bundle.config.set(&arguments, json!([name, "-c", own, "", "a b"]));
            })?;
            ensure!(
                seen.starts_with(&format!("{name}\0-c\0")) && seen.ends_with("\0\0a b\0"),
                "{kind}: {seen:?}"
            );
        }
        Ok(())
    });
    suite.case("a hook without arguments is called by its path", |bench| {
        let mut bundle = bench.bundle()?;
        let (script, out) = (bench.path("script"), bench.path("out"));
        fs::write(&script, format!("#!/bin/sh\necho \"$0 $#\" > {}\n", text(&out)))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        hook(&mut bundle, "createRuntime", json!({"path": text(&script)}));
        bundle.config.args(&["true"]);
        bench.container(bundle)?.run()?.exits_with(0)?;
        ensure_eq!(written(&out)?, format!("{} 0", text(&script)));
        Ok(())
    });
}

fn process(suite: &mut Suite) {
    suite.case("a hook has three descriptors", |bench| {
        for kind in KINDS {
            // The fourth is the directory that ls reads.
            let seen = observe(bench, kind, "ls -x /proc/self/fd > OUT", |_| {})?;
            let seen: Vec<&str> = seen.split_whitespace().collect();
            ensure_eq!(seen, ["0", "1", "2", "3"], "{kind}");
        }
        Ok(())
    });
    suite.case("a hook has no signal blocked or ignored", |bench| {
        for kind in KINDS {
            let status = observe(bench, kind, "", |bundle| {
                // No shell, which changes signals itself.
                let place = format!("/hooks/{kind}/0");
                let out = bundle.config.0["mounts"].as_array().and_then(|mounts| mounts.last().cloned());
                let out = out.unwrap_or_default()["source"].as_str().unwrap_or_default().to_owned();
                let args = json!(["dd", "if=/proc/self/status", format!("of={out}/out")]);
                bundle.config.set(&place, json!({"path": "/bin/dd", "args": args}));
            })?;
            let seen: Vec<&str> = status.lines().filter(|line| line.starts_with("Sig")).collect();
            for set in ["SigBlk", "SigIgn"] {
                let none = format!("{set}:\t0000000000000000");
                ensure!(seen.contains(&none.as_str()), "{kind}: {seen:?}");
            }
        }
        Ok(())
    });
    suite
        .case("a startContainer hook runs as the container's process", |bench| {
            let mut bundle = bench.bundle()?;
            let script =
                "(id -u; id -g; pwd; umask; grep -E 'CapEff|NoNewPrivs' /proc/self/status) > /tmp/out";
            hook(&mut bundle, "startContainer", shell(script));
            bundle
                .config
                .writable()
                .capabilities(&["CAP_KILL"])
                .set("/process/noNewPrivileges", true)
                .set("/process/user", json!({"uid": 1000, "gid": 1000, "umask": 0o027}))
                .set("/process/cwd", "/home/user")
                .shell("cat /tmp/out");
            let output = bench.container(bundle)?.run()?.exits_with(0)?;
            let seen: Vec<&str> = output.text().split_whitespace().collect();
            let expected =
                ["1000", "1000", "/home/user", "0027", "NoNewPrivs:", "1", "CapEff:", "0000000000000000"];
            for word in expected {
                ensure!(seen.contains(&word), "no {word} in {seen:?}");
            }
            Ok(())
        })
        .needs(&[Need::Ids]);
}

fn user_namespace(suite: &mut Suite) {
    suite
        .case("hooks of the container run in its user namespace", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.file("out", "", 0o666)?;
            let script = "(tr -s ' ' < /proc/self/uid_map; id -u) >> out";
            hook(&mut bundle, "createContainer", shell(script));
            hook(&mut bundle, "startContainer", shell(&script.replace("out", "/out")));
            bundle.config.writable().user_namespace().shell("cat /out");
            let output = bench.container(bundle)?.run()?.exits_with(0)?;
            let seen: Vec<&str> = output.text().split_whitespace().collect();
            ensure_eq!(seen, ["0", "100000", "65536", "0", "0", "100000", "65536", "0"]);
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case("hooks of the runtime stay outside of the container's user namespace", |bench| {
            for kind in OF_THE_RUNTIME {
                let seen =
                    observe(bench, kind, "readlink /proc/self/ns/user > OUT; id -u >> OUT", |bundle| {
                        bundle.config.user_namespace();
                    })?;
                let own = text(&fs::read_link("/proc/self/ns/user")?);
                ensure_eq!(seen, format!("{own}\n{}", rustix::process::geteuid().as_raw()), "{kind}");
            }
            Ok(())
        })
        .needs(&[Need::Ids]);
}

/// Every kind of hook, and a program whose output shows that the container is whole.
fn runs_whole(
    bench: &Bench<'_>,
    verb_options: &[&str],
    edit: impl FnOnce(&mut crate::harness::Bundle),
) -> Check {
    let mut bundle = bench.bundle()?;
    let log = bench.path("log");
    fs::write(&log, "")?;
    for kind in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        hook(&mut bundle, kind, shell(&format!("echo {kind} >> {}", text(&log))));
    }
    hook(&mut bundle, "createContainer", shell("echo made > made"));
    bundle.config.writable().shell("cat /made; ls /home");
    edit(&mut bundle);
    let container = bench.container(bundle)?;
    let output = container.launch("run", verb_options).output()?.exits_with(0)?;
    ensure_eq!(output.text(), "made\nuser");
    let mut seen: Vec<String> = written(&log)?.lines().map(Into::into).collect();
    // A program so short may end before poststart, whose place another case looks at.
    seen.sort();
    ensure_eq!(seen, ["createContainer", "createRuntime", "poststart", "poststop", "prestart"]);
    Ok(())
}

fn odd_roots(suite: &mut Suite) {
    suite.case("hooks run beside --no-pivot", |bench| runs_whole(bench, &["--no-pivot"], |_| {}));
    suite.case("an exec enters the root of a container with hooks and --no-pivot", |bench| {
        let mut bundle = bench.bundle()?;
        hook(&mut bundle, "createRuntime", shell("true"));
        bundle.file("mine", "the container's", 0o644)?;
        let container = bench.container(bundle)?;
        container.launch("run", &["--detach", "--no-pivot"]).succeeds()?;
        ensure_eq!(container.exec("cat /mine")?, "the container's");
        Ok(())
    });
    suite.case("hooks run without a mount namespace", |bench| {
        runs_whole(bench, &[], |bundle| {
            let config = &mut bundle.config;
            config.without_namespace("mount").set("/mounts", json!([])).remove("/linux", "maskedPaths");
            config.remove("/linux", "readonlyPaths");
        })
    });
    for propagation in ["shared", "private", "rslave", "unbindable"] {
        suite.case(format!("hooks run beside a {propagation} root"), move |bench| {
            runs_whole(bench, &[], |bundle| {
                bundle.config.set("/linux/rootfsPropagation", propagation);
            })
        });
    }
    suite.case("mounts of a createContainer hook stay in the container", |bench| {
        let mut bundle = bench.bundle()?;
        hook(&mut bundle, "createContainer", shell("mount -t tmpfs mine mnt && echo x > mnt/file"));
        bundle.config.shell("cat /mnt/file");
        let container = bench.container(bundle)?;
        ensure_eq!(container.run()?.exits_with(0)?.text(), "x");
        ensure!(!container.bundle.inside("mnt/file").exists(), "the mount is on the host");
        let mounts: Value = fs::read_to_string("/proc/self/mountinfo")?.into();
        ensure!(!mounts.to_string().contains(&bench.tag), "{mounts}");
        Ok(())
    });
}
