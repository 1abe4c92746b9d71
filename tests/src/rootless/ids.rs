//! Id maps: the own id, granted ranges, and everything that can be wrong with these.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::user::{GID, GRANTED, SUBGID, SUBUID, UID};
use crate::harness::{Bench, Check, Suite, ensure_eq, host};

const SHOW: &str = "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups";

/// Adds the cases.
pub(super) fn add(suite: &mut Suite) {
    suite.case("the one id that is mapped is the own, and setgroups is forbidden", |bench| {
        bench.become_user()?;
        let text = bench.inside(SHOW, |_| {})?;
        let (uid, gid) = (UID.to_string(), GID.to_string());
        ensure_eq!(words(&text), ["0", &uid, "1", "0", &gid, "1", "deny"]);
        Ok(())
    });
    suite.case("granted ranges are mapped by newuidmap and newgidmap, and setgroups is allowed", granted);
    suite.case("with granted ranges a process can be any user of the container", |bench| {
        bench.become_user()?;
        let container = bench.sleeper(|config| {
            ranges(config, GRANTED);
            config.set("/process/user/uid", 1000).set("/process/user/gid", 1001);
        })?;
        let pid = container.pid_of_program()?;
        let ids = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
        ensure_eq!(host::status_field(pid, "Uid")?, ids(SUBUID + 999));
        ensure_eq!(host::status_field(pid, "Gid")?, ids(SUBGID + 1000));
        Ok(())
    });
    suite.case("with granted ranges additional groups are set", |bench| {
        bench.become_user()?;
        let text = bench.inside("id -G", |config| {
            ranges(config, GRANTED).set("/process/user/additionalGids", json!([10, 65_536]));
        })?;
        ensure_eq!(text, "0 10 65536");
        Ok(())
    });
    suite.case("without granted ranges additional groups are refused", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.set("/process/user/additionalGids", json!([0]));
        })?;
        refused(
            bench,
            output,
            "process.user.additionalGids: cannot be set: the kernel forbids it in a user namespace that an ordinary \
             user makes",
        )
    });
    refusals(suite);
    programs(suite);
}

fn refusals(suite: &mut Suite) {
    suite.case("a range beyond the granted one is refused in newuidmap's own words", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            ranges(config, GRANTED + 1);
        })?;
        refused(
            bench,
            output,
            &format!(
                "linux.uidMappings: /usr/bin/newuidmap exited with status 1: newuidmap: uid range [1-65538) -> \
                 [700000-765537) not allowed\nhint: /etc/subuid has to grant user {UID} the ranges: as root, usermod \
                 --add-subuids 100000-165535 USER; their first id is the hostID"
            ),
        )
    });
    suite.case("granted users do not grant groups", |bench| {
        bench.become_user()?.etc("subgid", "")?;
        let output = bench.script("true", |config| {
            ranges(config, GRANTED);
        })?;
        refused(
            bench,
            output,
            &format!(
                "linux.gidMappings: /usr/bin/newgidmap exited with status 1: newgidmap: gid range [1-65537) -> \
                 [800000-865536) not allowed\nhint: /etc/subgid has to grant user {UID} the ranges: as root, usermod \
                 --add-subgids 100000-165535 USER; their first id is the hostID"
            ),
        )
    });
    suite.case("somebody else's id cannot be mapped", |bench| {
        bench.become_user()?;
        let output = bench.script("true", |config| {
            config.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]));
        })?;
        refused(
            bench,
            output,
            &format!(
                "linux.uidMappings: /usr/bin/newuidmap exited with status 1: newuidmap: uid range [0-1) -> [0-1) not \
                 allowed\nhint: /etc/subuid has to grant user {UID} the ranges: as root, usermod --add-subuids \
                 100000-165535 USER; their first id is the hostID"
            ),
        )
    });
}

fn programs(suite: &mut Suite) {
    suite.case("where newuidmap is missing, ranges are refused", |bench| {
        // A file that cannot be executed is no program.
        let plain = bench.path("plain");
        std::fs::write(&plain, "")?;
        bench.become_user()?.prepare(&format!("mount --bind {} /usr/bin/newuidmap", plain.display()))?;
        let output = bench.script("true", |config| {
            ranges(config, GRANTED);
        })?;
        refused(
            bench,
            output,
            "linux.uidMappings: more than the own id needs newuidmap, which is in no directory of PATH: executable file \
             not found\nhint: install it (packages uidmap, shadow-utils or shadow), or map one id, the own: masu spec \
             --rootless shows how; root needs no newuidmap",
        )
    });
    suite.case("a newuidmap without privilege is told by its file", |bench| {
        let copy = bench.path("newuidmap");
        std::fs::copy("/usr/bin/newuidmap", &copy)?;
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755))?;
        bench.become_user()?.prepare(&format!("mount --bind {} /usr/bin/newuidmap", copy.display()))?;
        let output = bench.script("true", |config| {
            ranges(config, GRANTED);
        })?;
        refused(
            bench,
            output,
            "linux.uidMappings: /usr/bin/newuidmap exited with status 1: newuidmap: write to uid_map failed: Operation \
             not permitted\nhint: it needs privilege: as root, chmod u+s /usr/bin/newuidmap or setcap cap_setuid+ep \
             /usr/bin/newuidmap, on a file system without nosuid",
        )
    });
    suite.case("a user whom /etc/passwd does not know has the own id and no ranges", unknown_user);
}

fn granted(bench: &mut Bench<'_>) -> Check {
    bench.become_user()?;
    let text = bench.inside(SHOW, |config| {
        ranges(config, GRANTED);
    })?;
    let line = |own: u32, first: u32| {
        let text = format!("0 {own} 1 1 {first} {GRANTED}");
        text.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = [line(UID, SUBUID), line(GID, SUBGID), vec!["allow".to_owned()]].concat();
    ensure_eq!(words(&text), expected);
    Ok(())
}

fn unknown_user(bench: &mut Bench<'_>) -> Check {
    let user = bench.become_user()?;
    user.etc("passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
    ensure_eq!(bench.inside("id -u", |_| {})?, "0");
    let output = bench.script("true", |config| {
        ranges(config, GRANTED);
    })?;
    refused(
        bench,
        output,
        &format!(
            "linux.uidMappings: /usr/bin/newuidmap exited with status 1: newuidmap: Cannot determine your user name.\n\
             hint: user {UID} has no line in /etc/passwd, so that no line of /etc/subuid can be its"
        ),
    )
}

/// Root is the user, and `size` ids from 1 on are granted ones.
pub(super) fn ranges(config: &mut Config, size: u32) -> &mut Config {
    let map = |own: u32, first: u32| json!([{"containerID": 0, "hostID": own, "size": 1}, {"containerID": 1, "hostID": first, "size": size}]);
    config.set("/linux/uidMappings", map(UID, SUBUID)).set("/linux/gidMappings", map(GID, SUBGID))
}

/// The command failed; masu said exactly this.
pub(super) fn refused(bench: &Bench<'_>, output: crate::harness::command::Output, message: &str) -> Check {
    let output = output.exits_with(1)?;
    if bench.runtime().is_masu() {
        ensure_eq!(output.stderr.trim_end(), format!("masu: {message}"));
    }
    Ok(())
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}
