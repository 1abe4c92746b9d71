//! `process`.

use serde_json::{Value, json};

use crate::exec::sets;
use crate::harness::{Bench, Check, Need, Suite, ensure, ensure_eq};

/// Adds the cases.
pub(crate) fn add(suite: &mut Suite) {
    arguments(suite);
    identity(suite);
    kept_groups(suite);
    capabilities(suite);
    limits(suite);
}

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn arguments(suite: &mut Suite) {
    suite.case("process.args arrive as they are, escapes and all", |bench| {
        let output = bench.script("", |config| {
            config.args(&[
                "printf",
                "%s|",
                "",
                "a b",
                "\u{e9}\u{1F600}",
                "\"quoted\"",
                "back\\slash",
                "tab\there",
                "<&>",
            ]);
        })?;
        ensure_eq!(
            output.exits_with(0)?.stdout,
            "|a b|\u{e9}\u{1F600}|\"quoted\"|back\\slash|tab\there|<&>|"
        );
        Ok(())
    });
    suite.case("escapes of Go's encoder in config.json are understood", escapes);
    suite.case("process.args[0] is looked up on the container's PATH", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.file("opt/tool", "#!/bin/sh\necho found \"$@\"\n", 0o755)?;
        bundle.config.set("/process/env", json!(["PATH=/nowhere:/opt:/bin"])).args(&["tool", "me"]);
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "found me");
        Ok(())
    });
    suite.case("process.args[0] with a slash is taken from the working directory", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.file("opt/tool", "#!/bin/sh\necho here\n", 0o755)?;
        bundle.config.set("/process/cwd", "/opt").args(&["./tool"]);
        ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "here");
        Ok(())
    });
    suite.case("process.env is the environment, in its order, with HOME added", |bench| {
        let text = bench.inside("env", |config| {
            config.set("/process/env", json!(["PATH=/bin", "Z=1", "A=with space", "E="])).args(&["env"]);
        })?;
        ensure_eq!(
            text.lines().collect::<Vec<_>>(),
            ["PATH=/bin", "Z=1", "A=with space", "E=", "HOME=/root"]
        );
        Ok(())
    });
    suite.case("an empty HOME is none, whatever stood before it", |bench| {
        let text = bench.inside("env", |config| {
            config.set("/process/env", json!(["PATH=/bin", "HOME=/other", "HOME="])).args(&["env"]);
        })?;
        ensure_eq!(text, "PATH=/bin\nHOME=/root");
        Ok(())
    });
    suite.case("nothing of the caller's environment is inherited", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.args(&["env"]);
        let container = bench.container(bundle)?;
        let output = container.launch("run", &[]).env("SECRET_OF_THE_HOST", "1").succeeds()?;
        ensure!(!output.stdout.contains("SECRET"), "{output}");
        Ok(())
    });
    suite.case("of a repeated variable the last one counts", |bench| {
        let text = bench.inside("echo $A", |config| {
            config.push("/process/env", json!("A=first")).push("/process/env", json!("A=last"));
        })?;
        ensure_eq!(text, "last");
        Ok(())
    });
    suite.case("process.cwd is the working directory", |bench| {
        ensure_eq!(
            bench.inside("pwd", |config| {
                config.set("/process/cwd", "/usr/bin");
            })?,
            "/usr/bin"
        );
        Ok(())
    });
    suite.case("a missing process.cwd is made when the root is writable", |bench| {
        let text = bench.inside("pwd", |config| {
            config.writable().set("/process/cwd", "/new/deep");
        })?;
        ensure_eq!(text, "/new/deep");
        Ok(())
    });
}

fn escapes(bench: &mut Bench<'_>) -> Check {
    let mut bundle = bench.bundle()?;
    bundle.config.set("/hostname", "escaped").set("/annotations", json!({"key": "value"}));
    bundle.config.args(&["echo", "PLACE"]);
    let container = bench.container(bundle)?;
    let path = container.bundle.dir.join("config.json");
    let mut text = std::fs::read_to_string(&path)?;
    for (plain, escaped) in [
        ("\"PLACE\"", r#""\u003c\u0026\u003e \ud83d\ude00 \/""#),
        ("\"escaped\"", r#""es\u0063aped""#),
        ("\"rootfs\"", r#""root\u0066s""#),
        ("\"echo\"", r#""ec\u0068o""#),
        ("\"/proc\"", r#""\/pr\u006fc""#),
        ("\"pid\"", r#""p\u0069d""#),
        ("\"nosuid\"", r#""n\u006fsuid""#),
        ("\"CAP_KILL\"", r#""CAP_\u004bILL""#),
        ("\"key\"", r#""k\u0065y""#),
    ] {
        ensure!(text.contains(plain), "no {plain} in {text}");
        text = text.replace(plain, escaped);
    }
    std::fs::write(&path, text)?;
    ensure_eq!(container.run()?.exits_with(0)?.stdout, "<&> \u{1F600} /\n");
    Ok(())
}

fn kept_groups(suite: &mut Suite) {
    suite
        .case("run.oci.keep_original_groups keeps the caller's groups, for exec too", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.config.set("/annotations", json!({"run.oci.keep_original_groups": "1"}));
            bundle.config.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5]}));
            bundle.config.args(&["sleep", "1000"]);
            let container = bench.container(bundle)?;
            let run = container.launch("run", &["--detach"]).words();
            let keeping = |words: Vec<std::ffi::OsString>| {
                bench.program("setpriv").args(["--groups", "77,78"]).args(words).succeeds()
            };
            keeping(run)?;
            let pid = container.pid_of_program()?;
            ensure_eq!(crate::harness::host::status_field(pid, "Groups")?, "77 78");
            let words = container.exec_with(&[], &["grep", "Groups", "/proc/self/status"]).words();
            ensure_eq!(keeping(words)?.text(), "Groups:\t77 78");
            Ok(())
        })
        .needs(&[Need::Root]);
}

fn identity(suite: &mut Suite) {
    suite
        .case("process.user sets uid, gid and the additional groups", |bench| {
            let text =
                bench.inside("id -u; id -g; id -G; grep -E '^(Uid|Gid)' /proc/self/status", |config| {
                    config.set(
                        "/process/user",
                        json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 65000]}),
                    );
                })?;
            ensure_eq!(
                text,
                "1000\n1001\n1001 5 65000\nUid:\t1000\t1000\t1000\t1000\nGid:\t1001\t1001\t1001\t1001"
            );
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("without additionalGids there are no groups of the host", |bench| {
        ensure_eq!(bench.inside("grep ^Groups /proc/self/status", |_| {})?.trim_end(), "Groups:");
        Ok(())
    });
    suite.case("process.user.umask is set", |bench| {
        for (umask, text) in [(0o22, "0022"), (0o77, "0077"), (0, "0000"), (0o777, "0777")] {
            let seen = bench.inside("umask", |config| {
                config.set("/process/user", json!({"uid": 0, "gid": 0, "umask": umask}));
            })?;
            ensure_eq!(seen, text);
        }
        Ok(())
    });
    suite.case("without process.user.umask it is 0022, whatever the caller's is", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.shell("umask");
        let container = bench.container(bundle)?;
        let script = format!(
            "umask 077; exec {} run --bundle {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        ensure_eq!(bench.program("sh").args(["-c", &script]).succeeds()?.text(), "0022");
        Ok(())
    });
    suite.case("process.noNewPrivileges is set or not", |bench| {
        for (value, text) in [(true, "NoNewPrivs:\t1"), (false, "NoNewPrivs:\t0")] {
            let seen = bench.inside("grep NoNewPrivs /proc/self/status", |config| {
                config.set("/process/noNewPrivileges", value);
            })?;
            ensure_eq!(seen, text);
        }
        Ok(())
    });
    suite.case("a missing process.noNewPrivileges means false", |bench| {
        let seen = bench.inside("grep NoNewPrivs /proc/self/status", |config| {
            config.remove("/process", "noNewPrivileges");
        })?;
        ensure_eq!(seen, "NoNewPrivs:\t0");
        Ok(())
    });
}

const KILL: u64 = 1 << 5;
const CHOWN: u64 = 1;

#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
fn capabilities(suite: &mut Suite) {
    suite.case("each of the five sets is what the config says", |bench| {
        let seen = seen_sets(
            bench,
            json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
                "effective": ["CAP_CHOWN"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]
            }),
            0,
        )?;
        // execve(2) of root makes permitted and effective of bounding and inheritable: capabilities(7).
        ensure_eq!([seen[0], seen[3]], [KILL, CHOWN | KILL | 1 << 13]);
        Ok(())
    });
    suite.case("an ordinary user keeps the ambient set alone", |bench| {
        let seen = seen_sets(
            bench,
            json!({
                "bounding": ["CAP_CHOWN", "CAP_KILL"], "permitted": ["CAP_CHOWN", "CAP_KILL"],
                "effective": ["CAP_CHOWN", "CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]
            }),
            1000,
        )?;
        ensure_eq!(seen, [KILL, KILL, KILL, CHOWN | KILL, KILL]);
        Ok(())
    }).needs(&[Need::Ids]);
    suite
        .case("an ordinary user without ambient capabilities has none", |bench| {
            let seen = seen_sets(
                bench,
                json!({
                    "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"]
                }),
                1000,
            )?;
            ensure_eq!(seen, [0, 0, 0, KILL, 0]);
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite.case("empty sets are empty", |bench| {
        ensure_eq!(seen_sets(bench, json!({"bounding": [], "permitted": [], "effective": []}), 0)?, [0; 5]);
        Ok(())
    });
    suite.case("an unknown capability is a warning and the container runs", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.capabilities(&["CAP_KILL", "CAP_OF_THE_FUTURE"]).shell("echo runs");
        let container = bench.container(bundle)?;
        let log = bench.path("log");
        let call = bench.call(&["--log"]).arg(&log).args(["--log-format", "json", "run", "--bundle"]);
        let output = call.arg(&container.bundle.dir).arg(&container.id).succeeds()?;
        ensure_eq!(output.text(), "runs");
        let log = std::fs::read_to_string(&log)?;
        let warning = log.lines().find(|line| line.contains("CAP_OF_THE_FUTURE")).unwrap_or_default();
        let warning: Value = serde_json::from_str(warning)?;
        ensure_eq!(warning["level"], "warning", "{log}");
        Ok(())
    });
    suite.case("a capability that the caller does not have is a warning and the container runs", |bench| {
        let text = bench.inside("echo runs", |config| {
            config.capabilities(&["CAP_KILL", "CAP_SYS_RESOURCE"]);
        })?;
        ensure_eq!(text, "runs");
        Ok(())
    });
}

fn seen_sets(bench: &Bench<'_>, capabilities: Value, uid: u32) -> Check<[u64; 5]> {
    let text = bench.inside("cat /proc/self/status", |config| {
        config
            .set("/process/capabilities", capabilities)
            .set("/process/user", json!({"uid": uid, "gid": uid}));
    })?;
    Ok(sets(&text))
}

fn limits(suite: &mut Suite) {
    suite.case("process.rlimits set soft and hard limits", |bench| {
        let text = bench.inside("cat /proc/self/limits", |config| {
            config.set(
                "/process/rlimits",
                json!([
                    {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024},
                    {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                    {"type": "RLIMIT_NPROC", "soft": 1000, "hard": 2000},
                    {"type": "RLIMIT_STACK", "soft": 4_194_304, "hard": 8_388_608}
                ]),
            );
        })?;
        let limit = |name: &str| -> Vec<String> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().take(2).map(str::to_owned).collect()
        };
        ensure_eq!(limit("Max open files"), ["512", "1024"]);
        ensure_eq!(limit("Max core file size"), ["0", "0"]);
        ensure_eq!(limit("Max processes"), ["1000", "2000"]);
        ensure_eq!(limit("Max stack size"), ["4194304", "8388608"]);
        Ok(())
    });
    for value in [0, 100, 1000] {
        suite.case(format!("process.oomScoreAdj {value} is set"), move |bench| {
            let text = bench.inside("cat /proc/self/oom_score_adj", |config| {
                config.set("/process/oomScoreAdj", value);
            })?;
            ensure_eq!(text, value.to_string());
            Ok(())
        });
    }
    suite.case("without process.oomScoreAdj the caller's stays", |bench| {
        let mut bundle = bench.bundle()?;
        bundle.config.remove("/process", "oomScoreAdj").shell("cat /proc/self/oom_score_adj");
        let container = bench.container(bundle)?;
        let script = format!(
            "echo 321 > /proc/self/oom_score_adj; exec {} run --bundle {} {}",
            bench.command_line(),
            container.bundle.dir.display(),
            container.id
        );
        ensure_eq!(bench.program("sh").args(["-c", &script]).succeeds()?.text(), "321");
        Ok(())
    });
}
