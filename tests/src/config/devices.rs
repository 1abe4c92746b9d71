//! The default devices and linux.devices.

use serde_json::json;

use crate::harness::{Need, Suite, ensure, ensure_eq};

/// Adds the cases.
#[expect(clippy::too_many_lines, reason = "a flat list of cases")]
pub(crate) fn add(suite: &mut Suite) {
    suite.case("the default devices are there with their numbers and modes", |bench| {
        let text =
            bench.inside("cd /dev; stat -c '%n %F %a %t:%T' null zero full random urandom tty", |_| {})?;
        let wanted = "null character special file 666 1:3\nzero character special file 666 1:5\n\
            full character special file 666 1:7\nrandom character special file 666 1:8\n\
            urandom character special file 666 1:9\ntty character special file 666 5:0";
        ensure_eq!(text, wanted);
        Ok(())
    });
    suite.case("the default devices work", |bench| {
        let script =
            "echo x > /dev/null && head -c 2 /dev/zero | od -A n -t x1 && head -c 8 /dev/urandom | wc -c
            echo x 2>/dev/null > /dev/full || echo full";
        ensure_eq!(bench.inside(script, |_| {})?, "00 00\n8\nfull");
        Ok(())
    });
    suite.case("the default links of /dev are there", |bench| {
        let text = bench.inside("cd /dev; for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done", |_| {})?;
        let wanted =
            "fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx";
        ensure_eq!(text, wanted);
        Ok(())
    });
    suite.case("linux.devices are made with their mode and owner", |bench| {
        let text = bench.inside("cd /dev; stat -c '%n %F %a %u:%g %t:%T' mine deep/block; stat -c '%n %F %a' pipe", |config| {
            config.set("/linux/devices", json!([
                {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8},
                {"path": "/dev/deep/block", "type": "b", "major": 7, "minor": 99, "fileMode": 0o600, "uid": 0, "gid": 0},
                {"path": "/dev/pipe", "type": "p", "fileMode": 0o622}
            ]));
        })?;
        let wanted = "mine character special file 640 7:8 1:5\ndeep/block block special file 600 0:0 7:63\npipe fifo 622";
        ensure_eq!(text, wanted);
        Ok(())
    }).needs(&[Need::Root]);
    suite.case("a device whose rule allows it can be used and another cannot", |bench| {
        let script = "head -c 1 /dev/allowed | od -A n -t x1; head -c 1 /dev/denied 2>&1 | grep -o 'Operation not permitted'";
        let text = bench.inside(script, |config| {
            config.set("/linux/devices", json!([
                {"path": "/dev/allowed", "type": "c", "major": 1, "minor": 5, "fileMode": 0o666},
                {"path": "/dev/denied", "type": "c", "major": 1, "minor": 11, "fileMode": 0o666}
            ]));
            config.push("/linux/resources/devices", json!({"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rw"}));
        })?;
        ensure_eq!(text, "00\nOperation not permitted");
        Ok(())
    }).needs(&[Need::Root]);
    suite
        .case("mknod of a device that no rule names can be made but not opened", |bench| {
            let text = bench.inside(
                "mknod /dev/kmsg c 1 11 && head -c 1 /dev/kmsg 2>&1 | grep -o 'not permitted'",
                |config| {
                    config.capabilities(&["CAP_MKNOD"]);
                },
            )?;
            ensure_eq!(text, "not permitted");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("in a user namespace the default devices are there too", |bench| {
            let text = bench.inside("echo x > /dev/null && stat -c '%F %t:%T' /dev/null", |config| {
                config.user_namespace();
            })?;
            ensure_eq!(text, "character special file 1:3");
            Ok(())
        })
        .needs(&[Need::Ids]);
    suite
        .case("a /dev/ptmx among linux.devices is the container's own all the same", |bench| {
            for user_namespace in [false, true] {
                let text = bench.inside("readlink /dev/ptmx", |config| {
                    let ptmx =
                        json!({"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2, "fileMode": 0o666});
                    config.set("/linux/devices", json!([ptmx]));
                    if user_namespace {
                        config.user_namespace();
                    }
                })?;
                ensure_eq!(text, "pts/ptmx", "with a user namespace: {user_namespace}");
            }
            Ok(())
        })
        .needs(&[Need::Root, Need::Ids]);
    suite
        .case("a device of type u is a character device", |bench| {
            let text = bench.inside("stat -c '%F %t:%T' /dev/mine", |config| {
                config.set(
                    "/linux/devices",
                    json!([{"path": "/dev/mine", "type": "u", "major": 1, "minor": 5}]),
                );
            })?;
            ensure_eq!(text, "character special file 1:5");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("a file of the image in the place of a device is refused", |bench| {
            let mut bundle = bench.bundle()?;
            bundle.file("opt/node", "of the image", 0o644)?;
            let node = json!([{"path": "/opt/node", "type": "c", "major": 1, "minor": 5}]);
            bundle.config.set("/linux/devices", node).args(&["true"]);
            let container = bench.container(bundle)?;
            container.run()?.fails_with(1, &["/opt/node"])?;
            ensure_eq!(std::fs::read_to_string(container.bundle.inside("opt/node"))?, "of the image");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite
        .case("the device itself may be part of the image", |bench| {
            let mut bundle = bench.bundle()?;
            let node = bundle.inside("opt/node");
            bench.program("mknod").arg(&node).args(["c", "1", "5"]).succeeds()?;
            let device = json!([{"path": "/opt/node", "type": "c", "major": 1, "minor": 5}]);
            bundle.config.set("/linux/devices", device).shell("head -c 2 /opt/node | od -A n -t x1");
            ensure_eq!(bench.container(bundle)?.run()?.exits_with(0)?.text(), "00 00");
            Ok(())
        })
        .needs(&[Need::Root]);
    suite.case("a device of an unknown type is refused", |bench| {
        let output = bench.script("true", |config| {
            config.set("/linux/devices", json!([{"path": "/dev/x", "type": "z", "major": 1, "minor": 5}]));
        })?;
        ensure!(output.exits_with(1)?.stderr.contains('z'), "the type is not named");
        Ok(())
    });
}
